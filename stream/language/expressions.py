"""One expression: from syntax to checked meaning, with everything that is wrong in it reported."""

from __future__ import annotations

from stream.contract import KINDS
from stream.language.aggregates import AGGREGATES, AggregateCheck
from stream.language.canonical import text
from stream.language.expression_state import ExpressionState
from stream.language.measures import Measure
from stream.language.moving import both_move, is_moving, presence
from stream.language.ranges import verdict
from stream.language.rfm import RfmCheck
from stream.language.suggest import did_you_mean
from stream.language.syntax import (
    Arithmetic,
    Call,
    Conjunction,
    Disjunction,
    Dotted,
    Existence,
    Inclusion,
    Minus,
    Name,
    Negation,
    Node,
    Quantity,
    Relation,
    Text,
    Truth,
)
from stream.language.tree import (
    After,
    And,
    Before,
    Compare,
    Exists,
    Expression,
    In,
    Literal,
    Member,
    Not,
    Or,
    Persona,
    Rank,
    Since,
    TextMatch,
    Trait,
    Type,
)
from stream.language.tree import Arithmetic as Calculation
from stream.language.types import (
    NAMES,
    ORDER,
    Mismatch,
    arithmetic_type,
    comparison_mismatch,
    type_of,
)
from stream.language.words import FUNCTIONS, PERSONA, RANK, RFM

_NO_PERSONAS = "`persona` needs `personas:` at the top of the file: by what customers are clustered, and into how many"
_COMPARE = "compare it, as in {bound}"
_NULLS = ("null", "none", "nil", "undefined", "missing")
_NOWS = ("now", "today", "current_time")


class ExpressionCheck:
    """Checks one expression; ``segment`` is the place of its segment in the file, None for a feature."""

    def __init__(self, state: ExpressionState, segment: int | None) -> None:
        self._state = state
        self._scope = state.scope
        self._segment = segment
        self.members: set[str] = set()

    def condition(self, node: Node, depth: int = 0) -> Expression | None:
        """A condition: a boolean, or a trait (which counts as false unless it is true).

        Returns None when something in it was reported as wrong.

        Raises:
            TooLargeError: it is beyond a limit, which was reported.
        """
        expression = self._steady(node, depth, _COMPARE)
        if expression is None:
            return None
        kind = type_of(expression)
        if kind not in (Type.BOOLEAN, Type.TRAIT):
            self._state.error(node.at, f"a condition is needed here, and this is {NAMES[kind]}{_comparison_hint(kind)}")
            return None
        if isinstance(expression, Literal):
            self._state.warn_verdict(node.at, expression, verdict(expression))
        return expression

    def value(self, node: Node, depth: int = 0) -> Expression | None:
        """Any expression; ``since`` and its kin are left for the caller to place."""
        self._state.enter(node, depth)
        match node:
            case Quantity() | Text() | Truth():
                return self._state.literal(node)
            case Name():
                return self._name(node, depth)
            case Dotted():
                return self._dotted(node)
            case Call():
                return self._call(node, depth)
            case Minus():
                self.value(node.operand, depth + 1)
                self._state.error(node.at, "only a number has a `-` before it: subtract from `0`, or from `0s`")
                return None
            case Arithmetic():
                return self._arithmetic(node, depth)
            case Relation():
                return self._relation(node, depth)
            case Inclusion():
                return self._inclusion(node, depth)
            case Existence(value=value):
                return self._existence(node.at, value, depth)
            case Negation(operand=operand):
                inner = self.condition(operand, depth + 1)
                return None if inner is None else Not(inner)
            case Conjunction(operands=operands):
                return self._state.join(And, [(one.at, self.condition(one, depth + 1)) for one in operands])
            case Disjunction(operands=operands):
                return self._state.join(Or, [(one.at, self.condition(one, depth + 1)) for one in operands])

    def _steady(self, node: Node, depth: int, advice: str) -> Expression | None:
        """An expression that does not change continuously; ``advice`` says what to do about one that does.

        In it ``{bound}`` becomes a comparison of the expression, ``{exists}`` the way to ask whether it has a value.
        """
        expression = self.value(node, depth)
        if expression is None or not is_moving(expression):
            return expression
        name = text(expression)
        message = (
            f"`{name}` changes at every moment, so it may stand only directly on one side of `<`, `<=`, `>` or `>=`"
        )
        bound = ">= 30d" if isinstance(expression, Since) else "< 0.2"
        self._state.error(
            node.at, f"{message}: {advice.format(bound=f'`{name} {bound}`', exists=presence(expression))}"
        )
        return None

    def _name(self, node: Name, depth: int) -> Expression | None:
        if node.name == PERSONA:
            if self._scope.personas is None:
                self._state.error(node.at, _NO_PERSONAS)
                return None
            return Persona()
        feature = self._scope.features.get(node.name)
        if feature is None:
            self._state.error(node.at, self._unknown_name(node.name))
            return None
        if feature.expression is None:
            return None  # what is wrong with it was reported where it is defined
        self._state.enter(node, depth + feature.depth, feature.parts)
        self.members |= feature.members
        for member in feature.members:
            if self._segment is not None and self._scope.segments[member] >= self._segment:
                which = "this segment itself" if self._scope.segments[member] == self._segment else "one defined below"
                self._state.error(node.at, f"`{node.name}` asks for membership of `{member}`, {which}")
                return None
        return feature.expression

    def _unknown_name(self, name: str) -> str:
        if name in KINDS:
            return f"`{name}` is a kind of event: count them, `count({name})`, or take the latest, `last({name})`"
        if name in FUNCTIONS:
            return f"`{name}` needs brackets: `{FUNCTIONS[name]}`"
        if name.lower() in _NULLS:
            return f"there is no `{name}`: to ask whether there is a value, write `X exists` or `not X exists`"
        if name.lower() in _NOWS:
            return f"there is no `{name}`: the time since an instant is `since(last(click))`"
        if name in self._scope.segments:
            return f'`{name}` is a segment: to ask for its members, write `member("{name}")`'
        suggestion = did_you_mean(name, [*self._scope.features, PERSONA])
        if not suggestion:
            owners = [kind.word for kind in KINDS.values() if name in self._scope.fields_of(kind)]
            if owners:
                return (
                    f"`{name}` is a field of `{owners[0]}`: it stands within `where`, or as `last({owners[0]}.{name})`"
                )
        return f"unknown feature `{name}`{suggestion}"

    def _dotted(self, node: Dotted) -> Expression | None:
        if node.name in KINDS:
            self._state.error(
                node.at,
                f"`{node.name}.{node.field}` needs a function around it, such as `last({node.name}.{node.field})`",
            )
        else:
            self._state.error(node.at, f"unknown kind `{node.name}`{did_you_mean(node.name, KINDS)}")
        return None

    def _call(self, node: Call, depth: int) -> Expression | None:
        if node.name in AGGREGATES or node.name == "never":
            return AggregateCheck(self._state).aggregate(node, depth)
        if node.name == RFM:
            return RfmCheck(self._state).rfm(node, depth)
        if node.name not in FUNCTIONS:
            self._state.error(node.at, self._unknown_function(node.name))
            return None
        usage = FUNCTIONS[node.name]
        if len(node.arguments) != 1:
            number = "nothing" if not node.arguments else "more than one thing"
            self._state.error(node.at, f"`{node.name}` takes one thing and has {number}: `{usage}`")
            return None
        argument = node.arguments[0]
        if argument.where is not None:
            self._state.error(argument.where_at, f"`where` belongs to an event's kind, not to `{node.name}`: `{usage}`")
            return None
        if node.name == "exists":
            return self._existence(node.at, argument.value, depth)
        if node.name == RANK:
            return self._rank(node, argument.value, depth)
        if node.name == "since":
            return self._since(argument.value, depth)
        if not isinstance(argument.value, Text):
            self._state.error(argument.value.at, f"`{node.name}` takes a name in quotes: `{usage}`")
            return None
        return self._trait(argument.value) if node.name == "trait" else self._member(argument.value)

    def _unknown_function(self, name: str) -> str:
        if name in self._scope.features or name == PERSONA:
            return f"`{name}` is no function: write it without brackets"
        if name in KINDS:
            return f"`{name}` is a kind of event, no function: `count({name})`"
        return f"unknown function `{name}`{did_you_mean(name, FUNCTIONS)}"

    def _trait(self, node: Text) -> Expression | None:
        if not node.value:
            self._state.error(node.at, "the name of the trait is empty")
            return None
        return Trait(node.value)

    def _member(self, node: Text) -> Expression | None:
        place = self._scope.segments.get(node.value)
        if place is None:
            suggestion = did_you_mean(node.value, self._scope.segments)
            self._state.error(node.at, f"unknown segment `{node.value}`{suggestion}")
            return None
        if self._segment is not None and place >= self._segment:
            if place == self._segment:
                message = f'`member("{node.value}")` asks the segment about itself'
            else:
                message = f"segment `{node.value}` is defined below: move it above this one"
            self._state.error(node.at, message)
            return None
        self.members.add(node.value)
        return Member(node.value)

    def _since(self, node: Node, depth: int) -> Expression | None:
        if isinstance(node, Name) and node.name in KINDS:
            self._state.error(node.at, f"`since` takes an instant, such as `last({node.name})`")
            return None
        instant = self._steady(node, depth + 1, "`since` takes an instant, such as `last(click)`")
        if instant is None:
            return None
        kind = type_of(instant)
        if kind is not Type.INSTANT:
            self._state.error(node.at, f"`since` takes an instant, such as `last(click)`, and this is {NAMES[kind]}")
            return None
        return Since(instant)

    def _rank(self, node: Call, ranked: Node, depth: int) -> Expression | None:
        measure = Measure(self._state, RANK)
        if not measure.may_rank(node, ranked) or not measure.may_have(ranked):
            return None
        value = self.value(ranked, depth + 1)
        return Rank(value) if value is not None and measure.is_one(ranked, value) else None

    def _existence(self, at: int, node: Node, depth: int) -> Expression | None:
        if isinstance(node, Name) and node.name in KINDS:
            self._state.error(node.at, f"write `exists(last({node.name}))` or `count({node.name}) >= 1`")
            return None
        value = self._steady(node, depth + 1, "write {exists}")
        if value is None:
            return None
        existence = Exists(value)
        self._state.warn_verdict(at, existence, verdict(existence))
        return existence

    def _arithmetic(self, node: Arithmetic, depth: int) -> Expression | None:
        advice = "move the calculation to the other side of the comparison"
        left = self._steady(node.left, depth + 1, advice)
        right = self._steady(node.right, depth + 1, advice)
        if left is None or right is None:
            return None
        result = arithmetic_type(node.op, left, right)
        if isinstance(result, Mismatch):
            self._state.error(_place(node, result), result.message)
            return None
        return Calculation(node.op, left, right, result)

    def _relation(self, node: Relation, depth: int) -> Expression | None:
        if node.op in ("contains", "starts_with", "ends_with"):
            return self._text_match(node, depth)
        if node.op in ("after", "before"):
            return self._instant_order(node, depth)
        if node.op in ORDER:
            left, right = self.value(node.left, depth + 1), self.value(node.right, depth + 1)
        else:
            advice = "it would be equal for a moment only; compare as in {bound}"
            left, right = self._steady(node.left, depth + 1, advice), self._steady(node.right, depth + 1, advice)
        if left is None or right is None:
            return None
        if is_moving(left) and is_moving(right):
            self._state.error(node.right.at, both_move(node.op, left, right))
            return None
        mismatch = comparison_mismatch(node.op, left, right)
        if mismatch is not None:
            self._state.error(_place(node, mismatch), mismatch.message)
            return None
        new_left = self._state.compared(right, left, node.left.at)
        new_right = self._state.compared(left, right, node.right.at)
        if new_left is None or new_right is None:
            return None
        left, right = new_left, new_right
        comparison = Compare(node.op, left, right)
        if type_of(left) is not Type.BOOLEAN or type_of(right) is not Type.BOOLEAN:
            self._state.warn_verdict(node.at, comparison, verdict(comparison))
        return comparison

    def _text_match(self, node: Relation, depth: int) -> Expression | None:
        value = self._steady(node.left, depth + 1, _COMPARE)
        if not isinstance(node.right, Text):
            self._state.error(node.right.at, f"`{node.op}` needs text in quotes")
            return None
        if value is None:
            return None
        kind = type_of(value)
        if kind not in (Type.TEXT, Type.TRAIT):
            self._state.error(node.left.at, f"`{node.op}` looks into text, and this is {NAMES[kind]}")
            return None
        match = TextMatch(node.op, value, node.right.value)
        self._state.warn_verdict(node.at, match, verdict(match))
        return match

    def _instant_order(self, node: Relation, depth: int) -> Expression | None:
        advice = "`after` and `before` compare instants, such as `last(click)`"
        left = self._steady(node.left, depth + 1, advice)
        right = self._steady(node.right, depth + 1, advice)
        for side, expression in ((node.left, left), (node.right, right)):
            if expression is not None and type_of(expression) is not Type.INSTANT:
                name = NAMES[type_of(expression)]
                self._state.error(side.at, f"{advice}, and this is {name}")
                return None
        if left is None or right is None:
            return None
        order = After(left, right) if node.op == "after" else Before(left, right)
        self._state.warn_verdict(node.at, order, verdict(order))
        return order

    def _inclusion(self, node: Inclusion, depth: int) -> Expression | None:
        value = self._steady(node.value, depth + 1, _COMPARE)
        kind = None if value is None else type_of(value)
        if kind is Type.INSTANT:
            self._state.error(node.op_at, "no list of instants can be written: use `after`, `before` or `since`")
            return None
        literals: list[Literal] = []
        for item in node.items:
            self._state.enter(item, depth + 1)
            literal = self._item(item, value)
            if literal is not None:
                literals.append(literal)
        if value is None or len(literals) < len(node.items):
            return None
        inclusion = In(value, tuple(literals), node.negated)
        self._state.warn_verdict(node.at, inclusion, verdict(inclusion))
        return inclusion

    def _item(self, item: Node, value: Expression | None) -> Literal | None:
        if not isinstance(item, Quantity | Text | Truth):
            hint = f': text stands in quotes, `"{item.name}"`' if isinstance(item, Name) else ""
            self._state.error(item.at, f"a list holds literals only{hint}")
            return None
        literal = self._state.literal(item)
        if literal is None or value is None:
            return literal
        mismatch = comparison_mismatch("==", value, literal)
        if mismatch is not None:
            self._state.error(item.at, mismatch.message)
            return None
        compared = self._state.compared(value, literal, item.at)
        return compared if isinstance(compared, Literal) else None


def _place(node: Arithmetic | Relation, mismatch: Mismatch) -> int:
    return {"left": node.left.at, "operator": node.op_at, "right": node.right.at}[mismatch.at]


def _comparison_hint(kind: Type) -> str:
    if kind is Type.INSTANT:
        return " (to ask whether it ever happened, write `X exists`)"
    return ": compare it with something"
