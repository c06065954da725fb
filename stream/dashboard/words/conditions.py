"""Conditions in words: what each says of a customer, and what its opposite says."""

from __future__ import annotations

from dataclasses import dataclass

from stream.dashboard.words.amounts import duration, listed, literal, percent, quoted
from stream.dashboard.words.events import events
from stream.dashboard.words.features import CALCULATED, measure, noun, score
from stream.language.tree import (
    After,
    Aggregate,
    And,
    Arithmetic,
    Before,
    Compare,
    Exists,
    Expression,
    Field,
    Function,
    In,
    Literal,
    Member,
    Not,
    Or,
    Persona,
    Rank,
    Rfm,
    Since,
    TextMatch,
    Trait,
    Type,
)
from stream.language.types import MIRRORED, type_of

_MATCHED = {
    "contains": ("contains", "does not contain"),
    "starts_with": ("begins with", "does not begin with"),
    "ends_with": ("ends with", "does not end with"),
}
_AMOUNTS = {
    "==": "exactly {}",
    "!=": "other than {}",
    "<": "less than {}",
    "<=": "{} or less",
    ">": "more than {}",
    ">=": "{} or more",
}
_COUNTS = {**_AMOUNTS, "<": "fewer than {}", "<=": "{} or fewer"}
_TIMES = {"<": "before", "<=": "not after", ">": "after", ">=": "not before", "==": "at the same time as"}


@dataclass(frozen=True)
class Said:
    """A condition in words, and its opposite."""

    yes: str
    no: str

    def turned(self) -> Said:
        return Said(self.no, self.yes)


def said(condition: Expression) -> Said:
    """What a condition says. It has no subject: "bought within 7 days", "the device of the last click is “phone”"."""
    match condition:
        case And(operands=operands):
            parts = [_part(operand) for operand in operands]
            return Said(" and ".join(one.yes for one in parts), " or ".join(one.no for one in parts))
        case Or(operands=operands):
            parts = [_part(operand) for operand in operands]
            return Said(" or ".join(one.yes for one in parts), " and ".join(one.no for one in parts))
        case Not(operand=operand):
            return said(operand).turned()
        case Literal(value=value):
            return Said("always", "never") if value else Said("never", "always")
        case Member(segment=segment):
            return Said(f"is a member of {quoted(segment)}", f"is no member of {quoted(segment)}")
        case Compare(op=op, left=left, right=right):
            return _comparison(op, left, right)
        case After(left=left, right=right):
            return _after(left, right)
        case Before(left=left, right=right):
            return _order(left, "before", right)
        case Exists(value=value):
            return _exists(value)
        case In(value=value, literals=literals, negated=negated):
            return _in(value, literals, negated)
        case TextMatch(op=op, value=value, text=text):
            yes, no = _MATCHED[op]
            return Said(f"{the(value)} {yes} {quoted(text)}", f"{the(value)} {no} {quoted(text)}")
        case _:
            return Said(f"{the(condition)} is yes", f"{the(condition)} is not yes")


def _part(operand: Expression) -> Said:
    """Within an ``and`` or ``or``: in brackets where it is another of these."""
    one = said(operand)
    inner = operand.operand if isinstance(operand, Not) else operand
    return Said(f"({one.yes})", f"({one.no})") if isinstance(inner, And | Or) else one


def the(value: Expression) -> str:
    """A value as a noun with its article."""
    match value:
        case Literal(value=constant, type=kind):
            return duration(float(constant)) if kind is Type.DURATION else literal(constant)
        case Aggregate():
            return f"the {noun(value)}"
        case Trait(name=name):
            return f"the trait {quoted(name)}"
        case Persona():
            return "the persona"
        case Rank(value=ranked):
            return f"the rank by {measure(ranked)}"
        case Rfm():
            return f"the {score(value)}"
        case Since(instant=instant):
            return f"the time since {the(instant)}"
        case Arithmetic(op="-", left=left, right=right) if type_of(left) is type_of(right) is Type.INSTANT:
            return f"the time from {the(right)} to {the(left)}"
        case Arithmetic(op=op, left=left, right=right):
            return f"{_operand(left)} {CALCULATED[op]} {_operand(right)}"
        case Field(name=name):
            return name
        case _:
            return f"whether it is so that ({said(value).yes})"


def _operand(value: Expression) -> str:
    return f"({the(value)})" if isinstance(value, Arithmetic) else the(value)


def _comparison(op: str, left: Expression, right: Expression) -> Said:
    if isinstance(left, Literal) or (_moves(right) and not _moves(left)):
        op, left, right = MIRRORED[op], right, left
    match left:
        case Since(instant=instant):
            return _since(op, instant, right)
        case Aggregate(function=Function.COUNT):
            return _count(op, left, right)
        case Aggregate(function=Function.SUM, field="total"):
            spent = events(left.kind, left.where)
            window = "" if left.window_ms is None else f" within {duration(left.window_ms)}"
            on = f" on {spent.many}{spent.which}" if spent.which else ""
            rest = f"spent {_amount(op, right)}{on}{window}"
            return Said(rest, f"not {rest}")
        case Aggregate(function=Function.P_ALIVE | Function.P_BUY):
            what = noun(left).removeprefix("likelihood ")
            bound = (
                percent(right.value) if isinstance(right, Literal) and not isinstance(right.value, str) else the(right)
            )
            rest = f"{_AMOUNTS[op].format(bound)} likely {what}"
            return Said(rest, f"not {rest}")
    if isinstance(left, Rank) and isinstance(right, Literal) and isinstance(right.value, float):
        bound = _AMOUNTS[op].format(percent(right.value))
        return Said(f"{the(left)} is {bound}", f"{the(left)} is not {bound}")
    if type_of(left) is type_of(right) is Type.INSTANT and op in _TIMES:
        rest = f"{_TIMES[op]} {the(right)}"
        return Said(f"{the(left)} was {rest}", f"{the(left)} was not {rest}, or one of them never was")
    if op in ("==", "!=") and type_of(left) not in (Type.NUMBER, Type.DURATION):
        yes, no = f"{the(left)} is {the(right)}", f"{the(left)} is not {the(right)}"
        if op == "==":
            return Said(yes, no)
        return Said(f"{the(left)} is known and not {the(right)}", f"{yes}, or not known")
    amount = _amount(op, right)
    return Said(f"{the(left)} is {amount}", f"{the(left)} is not {amount}")


def _moves(value: Expression) -> bool:
    return isinstance(value, Since) or (
        isinstance(value, Aggregate) and value.function in (Function.P_ALIVE, Function.P_BUY)
    )


def _amount(op: str, bound: Expression) -> str:
    return _AMOUNTS[op].format(the(bound))


def _count(op: str, count: Aggregate, bound: Expression) -> Said:
    sort = events(count.kind, count.where)
    within = "" if count.window_ms is None else f" within {duration(count.window_ms)}"
    value = bound.value if isinstance(bound, Literal) else None
    if (op, value) in ((">=", 1), (">", 0), ("!=", 0), ("==", 0), ("<", 1), ("<=", 0)):
        some = f"{sort.did}{sort.which}{within or ' at least once'}"
        none = f"did not {sort.do}{sort.which}{within}" if within else f"never {sort.did}{sort.which}"
        return Said(some, none) if op in (">=", ">", "!=") else Said(none, some)
    if isinstance(bound, Literal):
        things = sort.one if value == 1 and op in ("==", "!=") else sort.many
        rest = f"{_COUNTS[op].format(the(bound))} {things}{sort.which}{within}"
        return Said(rest, f"not {rest}")
    rest = _amount(op, bound)
    return Said(f"{the(count)} is {rest}", f"{the(count)} is not {rest}")


def _since(op: str, instant: Expression, bound: Expression) -> Said:
    span = the(bound)
    longer = f"{span} ago or longer" if op in (">=", "<") else f"longer than {span} ago"
    shorter = f"less than {span} ago" if op in (">=", "<") else f"{span} ago or less"
    if isinstance(instant, Aggregate) and instant.field is None:
        sort = events(instant.kind, instant.where)
        did, do = f"{sort.did}{sort.which}", f"{sort.do}{sort.which}"
        which = instant.function.value
        is_recent = which == "last" and isinstance(bound, Literal)
        if op in ("<", "<="):
            if is_recent:
                span = span.removeprefix("1 ") if span.count(" ") == 1 else span
                return Said(f"{did} within the last {span}", f"did not {do} within the last {span}")
            return Said(f"{which} {did} {shorter}", f"{which} {did} {longer}, or never")
        return Said(f"{which} {did} {longer}", f"{which} {did} {shorter}, or never")
    if op in ("<", "<="):
        return Said(f"{the(instant)} was {shorter}", f"{the(instant)} was {longer}, or never")
    return Said(f"{the(instant)} was {longer}", f"{the(instant)} was {shorter}, or never")


def _after(left: Expression, right: Expression) -> Said:
    match left, right:
        case (
            Aggregate(function=Function.LAST, field=None),
            Aggregate(function=Function.LAST, field=None),
        ):
            one, other = events(left.kind, left.where), events(right.kind, right.where)
            return Said(
                f"{one.did}{one.which} and did not {other.do}{other.which} since then",
                f"never {one.did}{one.which}, or {other.did}{other.which} since then",
            )
    return _order(left, "after", right)


def _order(left: Expression, order: str, right: Expression) -> Said:
    rest = f"{order} {the(right)}"
    return Said(f"{the(left)} was {rest}, or the latter never was", f"{the(left)} never was, or was not {rest}")


def _exists(value: Expression) -> Said:
    if isinstance(value, Aggregate) and value.type is Type.INSTANT and value.field is None:
        sort = events(value.kind, value.where)
        return Said(f"{sort.did}{sort.which} at least once", f"never {sort.did}{sort.which}")
    return Said(f"{the(value)} is known", f"{the(value)} is not known")


def _in(value: Expression, literals: tuple[Literal, ...], negated: bool) -> Said:
    values = listed([the(one) for one in literals], "or")
    if negated:
        return Said(f"{the(value)} is known and not {values}", f"{the(value)} is {values}, or not known")
    return Said(f"{the(value)} is {values}", f"{the(value)} is not {values}")
