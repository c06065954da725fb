"""The functions over events: kind, field, ``where``, window or horizon."""

from __future__ import annotations

from typing import NamedTuple

from stream.contract import KINDS, FieldType, Kind
from stream.language.expression_state import ExpressionState
from stream.language.literals import LiteralError, complaint, read_duration, read_number
from stream.language.suggest import did_you_mean
from stream.language.syntax import Argument, Call, Dotted, Name, Node, Quantity, Text
from stream.language.tree import Aggregate, Compare, Expression, Function, Literal, Type
from stream.language.where import WhereCheck
from stream.language.words import FUNCTIONS, UNITS

AGGREGATES = {function.value: function for function in Function}

_OVER_FIELDS = (Function.SUM, Function.AVG, Function.MIN, Function.MAX, Function.DISTINCT)
_OVER_NUMBERS = (Function.SUM, Function.AVG, Function.MIN, Function.MAX)
_OVER_EITHER = (Function.FIRST, Function.LAST)
_WINDOWED = (Function.COUNT, *_OVER_FIELDS)
_MIN_WINDOW_MS = UNITS["s"]
_MIN_HORIZON_MS = UNITS["h"]


class _Subject(NamedTuple):
    kind: Kind
    field: str | None
    type: FieldType | None


class AggregateCheck:
    """Checks one call of a function over events (``never`` included)."""

    def __init__(self, state: ExpressionState) -> None:
        self._state = state

    def aggregate(self, node: Call, depth: int) -> Expression | None:
        """The aggregate, or ``count(...) == 0`` for ``never``; None when something was reported as wrong."""
        function = AGGREGATES.get(node.name, Function.COUNT)
        usage = FUNCTIONS[node.name]
        if not node.arguments:
            what = "a field" if function in _OVER_FIELDS else "a kind of event"
            self._state.error(node.at, f"`{node.name}` needs {what}: `{usage}`")
            return None
        first, *rest = node.arguments
        kind = self._kind(first.value)
        subject = None if kind is None else self._subject(node.name, function, kind, first.value)
        where = None
        if first.where is not None and kind is not None:
            where = WhereCheck(self._state, kind).condition(first.where, depth + 1)
        spans = self._spans(node, function, rest)
        if subject is None or spans is None or (first.where is not None and where is None):
            return None
        window, horizon = spans
        aggregate = Aggregate(function, subject.kind, subject.field, where, window, horizon, _type(function, subject))
        if node.name == "never":
            return Compare("==", aggregate, Literal(0.0, Type.NUMBER))
        return aggregate

    def _kind(self, node: Node) -> Kind | None:
        if isinstance(node, Name | Dotted):
            kind = KINDS.get(node.name)
            if kind is None:
                self._state.error(node.at, self._unknown_kind(node.name))
            return kind
        if isinstance(node, Text):
            self._state.error(node.at, f"a kind stands without quotes: {_or_list(KINDS)}")
        else:
            self._state.error(node.at, f"a kind of event is needed here: {_or_list(KINDS)}")
        return None

    def _unknown_kind(self, name: str) -> str:
        if name in self._state.scope.features:
            return f"`{name}` is a feature, and a kind of event is needed here: {_or_list(KINDS)}"
        owners = [kind for kind in Kind if name in self._state.scope.fields_of(kind)]
        if owners:
            return f"`{name}` is a field: write it with its kind, `{owners[0].word}.{name}`"
        suggestion = did_you_mean(name, KINDS) or f": the kinds are {_or_list(KINDS)}"
        return f"unknown kind `{name}`{suggestion}"

    def _subject(self, name: str, function: Function, kind: Kind, node: Node) -> _Subject | None:
        fields = self._state.scope.fields_of(kind)
        if not isinstance(node, Dotted):
            if function not in _OVER_FIELDS:
                return _Subject(kind, None, None)
            usable = [field for field in fields if fields[field] is FieldType.NUMBER or function not in _OVER_NUMBERS]
            example = f", such as `{kind.word}.{usable[0]}`" if usable else ""
            self._state.error(node.at, f"`{name}` needs a field of `{kind.word}`{example}")
            return None
        if function not in _OVER_FIELDS and function not in _OVER_EITHER:
            self._state.error(
                node.field_at,
                f"`{name}` takes whole events, not a field; to look at those that have it, "
                f"write `{name}({kind.word} where {node.field} exists)`",
            )
            return None
        type_ = fields.get(node.field)
        if type_ is None:
            declare = f" (fields of your own are declared: `fields: {{{kind.word}: {{{node.field}: number}}}}`)"
            suggestion = did_you_mean(node.field, fields) or declare
            self._state.error(node.field_at, f"unknown field `{node.field}` of `{kind.word}`{suggestion}")
            return None
        if function in _OVER_NUMBERS and type_ is not FieldType.NUMBER:
            numbers = [field for field in fields if fields[field] is FieldType.NUMBER]
            hint = f": {_or_list(numbers)}" if numbers else ""
            what = "text" if type_ is FieldType.TEXT else "a boolean"
            self._state.error(node.field_at, f"`{name}` needs a number, and `{node.field}` is {what}{hint}")
            return None
        return _Subject(kind, node.field, type_)

    def _spans(self, node: Call, function: Function, rest: list[Argument]) -> tuple[int | None, int | None] | None:
        """Window and horizon; None when something is wrong with them."""
        usage = FUNCTIONS[node.name]
        for argument in rest:
            if argument.where is not None:
                self._state.error(argument.where_at, f"`where` stands before the comma, after the kind: `{usage}`")
                return None
        if function is Function.P_BUY:
            if not rest:
                self._state.error(node.at, f"`p_buy` needs a horizon: `{usage}`, such as `p_buy(purchase, 90d)`")
                return None
        elif node.name == "never" and rest:
            hint = "within a window, ask for `count(KIND, WINDOW) == 0`"
            self._state.error(rest[0].value.at, f"`never` is about the customer's whole life: {hint}")
            return None
        elif function not in _WINDOWED and rest:
            self._state.error(rest[0].value.at, f"`{node.name}` takes no window: `{usage}`")
            return None
        if len(rest) > 1:
            self._state.error(rest[1].value.at, f"`{node.name}` takes nothing more: `{usage}`")
            return None
        if not rest:
            return None, None
        is_horizon = function is Function.P_BUY
        what, least, example = ("horizon", _MIN_HORIZON_MS, "1h") if is_horizon else ("window", _MIN_WINDOW_MS, "1s")
        span = self._span(rest[0].value, what, least, example)
        if span is None:
            return None
        return (None, span) if is_horizon else (span, None)

    def _span(self, node: Node, what: str, least: int, least_text: str) -> int | None:
        if not isinstance(node, Quantity) or node.negative:
            self._state.error(node.at, f"a {what} is a duration written out, such as `7d`")
            return None
        try:
            duration = read_duration(node.text)
            if duration is None:
                number = read_number(node.text)
                hint = f" (`{node.text}d`?)" if node.text.isdigit() and 0 < int(node.text[:9]) <= 3660 else ""
                message = (
                    complaint(node.text) if number is None else f"a {what} needs a unit: `{node.text}` of what?{hint}"
                )
                self._state.error(node.at, message)
                return None
        except LiteralError as error:
            self._state.error(node.at, str(error))
            return None
        if duration < least:
            self._state.error(node.at, f"a {what} is at least `{least_text}`")
            return None
        return duration


def _type(function: Function, subject: _Subject) -> Type:
    if function is Function.GAP:
        return Type.DURATION
    if function in _OVER_EITHER:
        return Type.INSTANT if subject.type is None else Type(subject.type.value)
    return Type.NUMBER


def _or_list(words: list[str] | dict[str, Kind]) -> str:
    quoted = [f"`{word}`" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
