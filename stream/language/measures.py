"""What may be measured of every customer alike: a feature of personas, and what is ranked.

Both are numbers or instants that events add up to, and that time changes by steps only.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from stream.contract import KINDS
from stream.language.expression_state import ExpressionState
from stream.language.moving import is_moving
from stream.language.syntax import Call, Name, Node, nodes
from stream.language.tree import Aggregate, Arithmetic, Expression, Member, Persona, Rank, Rfm, Trait, Type
from stream.language.types import NAMES, type_of
from stream.language.words import PERSONA, RANK, RFM

_MOVING = {
    "since": "use the instant itself, such as `last(purchase)`, which counts by its age in days",
    "p_alive": "use what it is made of, such as `last(purchase)` and `count(purchase)`",
    "p_buy": "use what it is made of, such as `last(purchase)` and `count(purchase)`",
}
_TRAIT = "a trait is nothing that events add up to: use aggregates, such as `count(click, 30d)`"
_MEMBER = "a membership is no number: use the aggregates that it asks about"
_NO_PERSONAS = (
    "`{}` needs `personas:` at the top of the file: customers are ranked among those who are active, as the models "
    "of personas know them"
)
_NOT_WITHIN = {
    "feature": {
        Persona: "`persona` follows from these features, so it cannot be in one of them",
        Rank: "`rank` follows from a model of these features, so it cannot be in one of them",
        Rfm: "`rfm` follows from a model of these features, so it cannot be in one of them",
    },
    RANK: {
        Persona: "`persona` has no order: it cannot be ranked",
        Rank: "a rank cannot be ranked once more: it goes from 0 to 1 for everybody",
        Rfm: "`rfm` is text that ranks customers already: it cannot be ranked",
    },
}
_WHAT = {"feature": "a feature of personas", RANK: "what is ranked"}
_NOTHING = {"feature": "no feature of personas", RANK: "nothing that is ranked"}


class Measure:
    """Reports what is wrong with a measure; ``role`` is what it is to be: ``feature`` or ``rank``."""

    def __init__(self, state: ExpressionState, role: str) -> None:
        self._state = state
        self._role = role

    def may_rank(self, rank: Call, ranked: Node) -> bool:
        """Whether there can be ranks at all, and one of a kind of thing."""
        if not may_know_all(self._state, rank):
            return False
        if isinstance(ranked, Name) and ranked.name in KINDS:
            message = f"`rank` takes a number or an instant, such as `count({ranked.name}, 90d)`"
            self._state.error(ranked.at, message)
            return False
        return True

    def may_have(self, syntax: Node, others: Container[str] = ()) -> bool:
        """Whether all parts of an expression may stand in a measure; ``others`` are features that it stands among."""
        refused = [(part.at, message) for part in nodes(syntax) if (message := self._refusal(part, others)) is not None]
        for at, message in refused:
            self._state.error(at, message)
        return not refused

    def is_one(self, syntax: Node, expression: Expression) -> bool:
        """Whether the whole expression is a measure."""
        what, kind = _WHAT[self._role], type_of(expression)
        if kind not in (Type.NUMBER, Type.INSTANT):
            hint = ": divide it by a unit, as in `gap(click) / 1d`" if kind is Type.DURATION else ""
            self._state.error(syntax.at, f"{what} is a number or an instant, and this is {NAMES[kind]}{hint}")
            return False
        if not any(isinstance(leaf, Aggregate) for leaf in _leaves(expression)):
            message = f"this is the same for everybody: {what} asks about events, as `count(click)` does"
            self._state.error(syntax.at, message)
            return False
        return True

    def _refusal(self, node: Node, others: Container[str]) -> str | None:
        match node:
            case Call(name=name) if name in _MOVING:
                return f"`{name}` {self._moves(name)}"
            case Call(name="trait"):
                return _TRAIT
            case Call(name="member"):
                return _MEMBER
            case Call(name=name) if name == RANK:
                return _NOT_WITHIN[self._role][Rank]
            case Call(name=name) if name == RFM:
                return _NOT_WITHIN[self._role][Rfm]
            case Name(name=name) if name == PERSONA:
                return _NOT_WITHIN[self._role][Persona]
            case Name(name=name) if name in self._state.scope.features:
                expression = self._state.scope.features[name].expression
                return None if expression is None else self._refusal_of_feature(name, expression)
            case Name(name=name) if name in others:
                return f"`{name}` is another feature of personas: to share it, put it under `features:` at the top"
            case _:
                return None

    def _moves(self, function: str) -> str:
        return f"changes at every moment, which {_NOTHING[self._role]} may: {_MOVING[function]}"

    def _refusal_of_feature(self, name: str, expression: Expression) -> str | None:
        reasons = {Trait: _TRAIT, Member: _MEMBER, **_NOT_WITHIN[self._role]}
        for leaf in _leaves(expression):
            if is_moving(leaf):
                return f"`{name}` {self._moves(leaf.function.value if isinstance(leaf, Aggregate) else 'since')}"
            for kind, reason in reasons.items():
                if isinstance(leaf, kind):
                    return f"`{name}` cannot be used here: {reason}"
        return None


def may_know_all(state: ExpressionState, call: Call) -> bool:
    """Whether there are models, from which a function knows of all customers; it is reported where there are none."""
    if state.scope.personas is None:
        state.error(call.at, _NO_PERSONAS.format(call.name))
        return False
    return True


def is_instant(measure: Expression) -> bool:
    """Whether it counts by its age in days."""
    return type_of(measure) is Type.INSTANT


def aggregates_of(measure: Expression) -> Iterator[Aggregate]:
    """The aggregates that it is calculated from, in the order of the text."""
    return (leaf for leaf in _leaves(measure) if isinstance(leaf, Aggregate))


def _leaves(expression: Expression) -> Iterator[Expression]:
    """What a number or an instant is calculated from; a condition is a leaf."""
    if isinstance(expression, Arithmetic):
        yield from _leaves(expression.left)
        yield from _leaves(expression.right)
    else:
        yield expression
