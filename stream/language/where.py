"""The condition after ``where``: a field on the left, a literal on the right."""

from __future__ import annotations

from stream.contract import COMMON_FIELDS, UNREAD_FIELDS, Kind
from stream.language.expression_state import ExpressionState
from stream.language.ranges import verdict
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
    And,
    Compare,
    Exists,
    Expression,
    Field,
    In,
    Literal,
    Not,
    Or,
    TextMatch,
    Type,
)
from stream.language.types import MIRRORED, NAMES, comparison_mismatch

_EXAMPLE = '`price > 10`, `action in [...]`, `category contains "shoe"`'


class WhereCheck:
    """Checks the ``where`` of one function over events of ``kind``."""

    def __init__(self, state: ExpressionState, kind: Kind) -> None:
        self._state = state
        self._kind = kind
        self._fields = state.scope.fields_of(kind)

    def condition(self, node: Node, depth: int) -> Expression | None:
        """The checked condition; None when something in it was reported as wrong."""
        self._state.enter(node, depth)
        match node:
            case Conjunction(operands=operands) | Disjunction(operands=operands):
                return self._junction(node, operands, depth)
            case Negation(operand=operand):
                inner = self.condition(operand, depth + 1)
                return None if inner is None else Not(inner)
            case Relation():
                return self._relation(node)
            case Inclusion():
                return self._inclusion(node)
            case Existence(value=value):
                return self._existence(value)
            case Call(name="exists", arguments=arguments) if len(arguments) == 1 and arguments[0].where is None:
                return self._existence(arguments[0].value)
            case Name():
                field = self._field(node)
                if field is not None and field.type is not Type.BOOLEAN:
                    self._state.error(node.at, f"`{field.name}` is {NAMES[field.type]}, not a condition: compare it")
                    return None
                return field
            case _:
                self._state.error(node.at, f"`where` takes conditions on the event's own fields: {_EXAMPLE}")
                return None

    def _junction(self, node: Conjunction | Disjunction, operands: tuple[Node, ...], depth: int) -> Expression | None:
        checked = [(operand.at, self.condition(operand, depth + 1)) for operand in operands]
        junction = And if isinstance(node, Conjunction) else Or
        return self._state.join(junction, checked, self._kind)

    def _relation(self, node: Relation) -> Expression | None:
        if not isinstance(node.left, Name) and isinstance(node.right, Name) and node.op in MIRRORED:
            self._state.error(
                node.left.at,
                f"within `where` the field stands on the left: `{node.right.name} {MIRRORED[node.op]} ...`",
            )
            return None
        field = self._field(node.left)
        literal = self._literal(node.right)
        if field is None or literal is None:
            return None
        if node.op in ("after", "before"):
            self._state.error(node.op_at, f"`{node.op}` compares instants, and no field is one")
            return None
        if node.op in ("contains", "starts_with", "ends_with"):
            return self._text_match(node, field, literal)
        mismatch = comparison_mismatch(node.op, field, literal)
        if mismatch is not None:
            at = node.op_at if mismatch.at == "operator" else node.right.at
            self._state.error(at, f"`{field.name}`: {mismatch.message}")
            return None
        self._check_action(field, node.right.at, literal)
        comparison = Compare(node.op, field, literal)
        self._state.warn_verdict(node.at, comparison, verdict(comparison, self._kind))
        return comparison

    def _text_match(self, node: Relation, field: Field, literal: Literal) -> Expression | None:
        if field.type is not Type.TEXT:
            self._state.error(node.left.at, f"`{node.op}` looks into text, and `{field.name}` is {NAMES[field.type]}")
            return None
        if not isinstance(literal.value, str):
            self._state.error(node.right.at, f"`{node.op}` needs text in quotes")
            return None
        return TextMatch(node.op, field, literal.value)

    def _inclusion(self, node: Inclusion) -> Expression | None:
        field = self._field(node.value)
        literals = [(item.at, self._literal(item)) for item in node.items]
        if field is None:
            return None
        good: list[Literal] = []
        for at, literal in literals:
            if literal is None:
                continue
            if literal.type is not field.type:
                self._state.error(
                    at, f"`{field.name}` is {NAMES[field.type]}, and the list holds {NAMES[literal.type]}"
                )
                continue
            self._check_action(field, at, literal)
            good.append(literal)
        if len(good) < len(literals):
            return None
        inclusion = In(field, tuple(good), node.negated)
        self._state.warn_verdict(node.at, inclusion, verdict(inclusion, self._kind))
        return inclusion

    def _existence(self, value: Node) -> Expression | None:
        field = self._field(value)
        if field is None:
            return None
        existence = Exists(field)
        self._state.warn_verdict(value.at, existence, verdict(existence, self._kind))
        return existence

    def _check_action(self, field: Field, at: int, literal: Literal) -> None:
        """Warn of an ``action`` that no event of the kind is known to have."""
        if field.name == "action" and isinstance(literal.value, str):
            self._state.warn_action(at, self._kind, literal.value)

    def _field(self, node: Node) -> Field | None:
        if isinstance(node, Name):
            kind = self._fields.get(node.name)
            if kind is not None:
                return Field(node.name, Type(kind.value))
            self._state.error(node.at, self._unknown_field(node.name))
        elif isinstance(node, Dotted):
            self._state.error(node.at, f"within `where` a field stands by its name alone: `{node.field}`")
        elif isinstance(node, Call):
            self._state.error(node.at, "a function cannot stand within `where`: it looks at one event's own fields")
        elif isinstance(node, Arithmetic | Minus):
            self._state.error(node.at, "`where` does not calculate: compare a field with a literal")
        elif isinstance(node, Quantity | Text | Truth):
            self._state.error(node.at, "within `where` a field of the event stands on the left")
        else:
            self._state.error(node.at, "within `where` a comparison has a field on the left, not another condition")
        return None

    def _unknown_field(self, name: str) -> str:
        word = self._kind.word
        if name in COMMON_FIELDS or name in UNREAD_FIELDS[self._kind]:
            hint = ' (ask for it outside: `trait("...")`)' if name == "traits" else ""
            return f"`{name}` cannot be used in a condition{hint}"
        if name in self._state.scope.features:
            return f"`{name}` is a feature, and `where` looks at the fields of `{word}` alone"
        suggestion = did_you_mean(name, self._fields)
        if not suggestion:
            owners = [kind.word for kind in Kind if name in self._state.scope.fields_of(kind)]
            if owners:
                suggestion = f" (`{owners[0]}` has it)"
            else:
                suggestion = f" (fields of your own are declared: `fields: {{{word}: {{{name}: text}}}}`)"
        return f"unknown field `{name}` of `{word}`{suggestion}"

    def _literal(self, node: Node) -> Literal | None:
        if isinstance(node, Name):
            fields = " or another field" if node.name in self._fields else ""
            hint = f': text stands in quotes, `"{node.name}"`' if not fields else ""
            self._state.error(node.at, f"within `where` the right side is a literal, not a name{fields}{hint}")
            return None
        if isinstance(node, Quantity | Text | Truth):
            literal = self._state.literal(node)
            if literal is not None and literal.type is Type.DURATION:
                self._state.error(node.at, "no field is a duration: compare with a number")
                return None
            return literal
        self._state.error(
            node.at, "within `where` the right side is a literal: a number, text in quotes, true or false"
        )
        return None
