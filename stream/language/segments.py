"""One segment of the file after the other: its conditions, its durations, where its changes go."""

from __future__ import annotations

from stream.contract import TOPICS
from stream.language.expression_state import ExpressionState, TooLargeError
from stream.language.expressions import ExpressionCheck
from stream.language.features import parse_expression, used_names
from stream.language.ranges import contradiction, verdict
from stream.language.scope import Scope
from stream.language.source import Node, Scalar
from stream.language.tree import Expression, Literal, Not, Segment, Type
from stream.language.values import Values
from stream.language.words import TOPIC_NAME

_KEYS = (
    "enter",
    "exit",
    "for",
    "min_stay",
    "cooldown",
    "once",
    "to",
    "description",
    "owner",
    "goal",
    "tags",
    "review_by",
    "min_size",
    "holdout",
)
_CHANGES_TOPIC = "segment-changes"


class SegmentsCheck:
    """Checks the segments in the order of the file; ``used_features`` grows with each."""

    def __init__(self, scope: Scope, values: Values) -> None:
        self._scope = scope
        self._report = scope.report
        self._values = values
        self.used_features: set[str] = set()

    def segment(self, place: int, key: Scalar, node: Node) -> Segment | None:
        """The checked segment; None when its ``enter`` or ``exit`` was reported as wrong."""
        mapping = self._values.mapping(key, node, "`enter: CONDITION` and the like, below its name", is_required=True)
        if mapping is None:
            return None
        entries = self._values.entries(mapping, _KEYS, "of a segment")
        values = self._values
        if entries.lacks("enter"):
            self._report.error(key.at, f"segment `{key.text}` has no `enter`: a condition to become a member")
        enter = self._condition(place, *entries["enter"]) if "enter" in entries else None
        leave = self._condition(place, *entries["exit"], is_exit=True) if "exit" in entries else None
        if enter is not None and leave is not None:
            self._warn_shut(entries["exit"][1], enter, leave)
        for_ms = values.duration(*entries["for"]) if "for" in entries else None
        min_stay_ms = values.duration(*entries["min_stay"]) if "min_stay" in entries else None
        cooldown_ms = values.duration(*entries["cooldown"]) if "cooldown" in entries else None
        once = values.truth(*entries["once"]) if "once" in entries else None
        holdout = None
        if "holdout" in entries:
            holdout = values.number(*entries["holdout"], lambda share: 0 <= share <= 1, "a share from 0 to 1")
        to = self._topics(*entries["to"]) if "to" in entries else ()
        tags = values.texts(*entries["tags"]) if "tags" in entries else None
        min_size = values.whole(*entries["min_size"], 0, None) if "min_size" in entries else None
        review_by = values.day(*entries["review_by"]) if "review_by" in entries else None
        about = {name: values.text(*entries[name]) for name in ("description", "owner", "goal") if name in entries}
        if enter is None or (leave is None and "exit" in entries):
            return None
        return Segment(
            name=key.text,
            enter=enter,
            exit=Not(enter) if leave is None else leave,
            for_ms=for_ms or 0,
            min_stay_ms=min_stay_ms or 0,
            cooldown_ms=cooldown_ms or 0,
            once=bool(once),
            holdout=holdout or 0.0,
            to=to,
            tags=tuple(tag for _, tag in tags or ()),
            review_by=review_by,
            min_size=min_size,
            **about,
        )

    def _condition(self, place: int, key: Scalar, node: Node, *, is_exit: bool = False) -> Expression | None:
        scalar = self._values.expression(key, node)
        if scalar is None:
            return None
        syntax = parse_expression(self._report, scalar)
        self.used_features |= used_names(scalar, syntax)
        if syntax is None:
            return None
        if is_exit and scalar.text.strip() == "false":
            return Literal(False, Type.BOOLEAN)  # the way to say that members stay: nothing to warn of
        try:
            return ExpressionCheck(ExpressionState(self._scope, scalar), place).condition(syntax)
        except TooLargeError:
            return None

    def _warn_shut(self, node: Node, enter: Expression, leave: Expression) -> None:
        """Nobody can enter where ``exit`` holds whenever ``enter`` does."""
        if verdict(enter) is not None or verdict(leave) is not None:
            return  # that has been said
        if contradiction([(enter, True), (leave, False)]) is not None:
            at = node.place_of(0) if isinstance(node, Scalar) else node.at
            self._report.warning(at, "`exit` holds whenever `enter` does, so nobody can become a member")

    def _topics(self, key: Scalar, node: Node) -> tuple[str, ...]:
        topics: list[str] = []
        for at, topic in self._values.texts(key, node) or ():
            if not TOPIC_NAME.fullmatch(topic) or topic in (".", ".."):
                rule = "letters, digits, `.`, `_` and `-`, at most 249"
                self._report.error(at, f"`{topic[:80]}` is no name of a Kafka topic: {rule}")
            elif topic in TOPICS.values():
                self._report.error(at, f"`{topic}` is a topic of events: changes cannot go there")
            elif topic == _CHANGES_TOPIC:
                self._report.error(at, f"every change goes to `{topic}` anyway: leave it out")
            elif topic in topics:
                self._report.error(at, f"`{topic}` is listed twice")
            else:
                topics.append(topic)
        return tuple(topics)
