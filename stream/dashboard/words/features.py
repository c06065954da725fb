"""The value of an aggregate, a trait, a rank, an rfm or the persona in words: "3 orders, the last 12 days ago"."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stream.dashboard.words.amounts import about, ago, counted, duration, likelihood, literal, number, percent, plural
from stream.dashboard.words.events import events, field
from stream.instants import parse_instant
from stream.language.meaning import Evidence
from stream.language.tree import Aggregate, Arithmetic, Expression, Function, Literal, Persona, Rank, Rfm, Trait, Type

Value = float | int | str | bool | None
#: `distinct` counts no further.
_DISTINCT_MAX = 32
CALCULATED = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}


@dataclass(frozen=True)
class When:
    """The instant of which all is said, and the zone of dates."""

    at_ms: int
    zone: datetime.tzinfo


def phrases(values: Iterable[tuple[Evidence, Value]], when: When) -> list[str]:
    """Each value in words, in their order, none twice; how many there were and when the last was come together."""
    known = dict(values)
    merged: set[Evidence] = set()
    found: dict[str, None] = {}
    for one, value in known.items():
        if one in merged:
            continue
        last = _last_of(one, value, known)
        if last is None:
            found[phrase(one, value, when)] = None
        else:
            merged.add(last)
            found[f"{phrase(one, value, when)}, the last {_when(known[last], when)}"] = None
    return list(found)


def _last_of(one: Evidence, value: Value, known: Mapping[Evidence, Value]) -> Evidence | None:
    """For a count of a whole life that is not 0: the instant of the last of those events."""
    if not isinstance(one, Aggregate) or one.function is not Function.COUNT or one.window_ms is not None or not value:
        return None
    last = Aggregate(Function.LAST, one.kind, None, one.where, None, None, Type.INSTANT)
    return last if known.get(last) is not None else None


def phrase(one: Evidence, value: Value, when: When) -> str:
    """One value in words."""
    match one:
        case Trait(name=name):
            return f"{name}: {'not known' if value is None else literal(value)}"
        case Persona():
            return "no persona" if value is None else f"persona {literal(value)}"
        case Rank(value=ranked):
            by = measure(ranked)
            return f"no rank by {by}" if value is None else f"rank {percent(_number(value))} by {by}"
        case Rfm():
            return f"no {score(one)}" if value is None else f"{score(one)}: {literal(value)}"
        case Aggregate():
            return _aggregate(one, value, when)


def score(rfm: Rfm) -> str:
    """What an ``rfm`` is called, without an article: ``RFM score of orders within 365 days``."""
    sort = events(rfm.frequency.kind, rfm.frequency.where)
    return f"RFM score of {sort.many}{sort.which}{_within(rfm.frequency)}"


def values_of(features: Sequence[tuple[Expression, Value]], when: When) -> list[str]:
    """Features of personas with their values; what is calculated is told as it is written."""
    aggregates = [(one, value) for one, value in features if isinstance(one, Aggregate)]
    others = [(one, value) for one, value in features if not isinstance(one, Aggregate)]
    return [*phrases(aggregates, when), *(f"{measure(one)}: {_plain(value)}" for one, value in others)]


def _plain(value: Value) -> str:
    return "not known" if value is None else literal(value)


def measure(value: Expression) -> str:
    """What customers are ranked by, with its article: ``the age of the last order``."""
    match value:
        case Literal(value=constant, type=kind):
            return duration(float(constant)) if kind is Type.DURATION else literal(constant)
        case Aggregate():
            return f"the age of the {noun(value)}" if value.type is Type.INSTANT else f"the {noun(value)}"
        case Arithmetic(op=op, left=left, right=right):
            return f"{_operand(left)} {CALCULATED[op]} {_operand(right)}"
        case _:
            raise AssertionError(f"nothing that is ranked: {value!r}")


def _operand(value: Expression) -> str:
    return f"({measure(value)})" if isinstance(value, Arithmetic) else measure(value)


def _aggregate(one: Aggregate, value: Value, when: When) -> str:
    sort = events(one.kind, one.where)
    many, within = f"{sort.many}{sort.which}", _within(one)
    match one.function:
        case Function.COUNT:
            if not value:
                return f"did not {sort.do}{sort.which}{within}" if within else f"never {sort.did}{sort.which}"
            assert isinstance(value, int | float), "a count is a number"
            return f"{counted(value, sort.one, sort.many)}{sort.which}{within}"
        case Function.SUM:
            return f"{_spent(one)} {_value(one, value, when)}{within}" if _is_money(one) else _named(one, value, when)
        case Function.DISTINCT:
            assert isinstance(value, int | float), "a count is a number"
            name, more = field(one.field or ""), " or more" if value >= _DISTINCT_MAX else ""
            return f"{number(value)}{more} different {name if value == 1 else plural(name)} in {many}{within}"
        case Function.AVG | Function.MIN | Function.MAX:
            return _named(one, value, when)
        case Function.FIRST | Function.LAST if one.field is None:
            if value is None:
                return f"never {sort.did}{sort.which}"
            return f"{one.function.value} {sort.did}{sort.which} {_when(value, when)}"
        case Function.FIRST | Function.LAST:
            return _named(one, value, when)
        case Function.GAP:
            if value is None:
                return f"fewer than two {many}"
            return f"{about(_number(value))} from one of the {many} to the next"
        case Function.P_ALIVE:
            return (
                f"never {sort.did}{sort.which}"
                if value is None
                else f"{likelihood(_number(value))} likely to {_goes_on(one)}"
            )
        case Function.P_BUY:
            assert one.horizon_ms is not None, "it has a horizon"
            if value is None:
                return f"never {sort.did}{sort.which}"
            return f"{likelihood(_number(value))} likely to {sort.do}{sort.which} within {duration(one.horizon_ms)}"


def _named(one: Aggregate, value: Value, when: When) -> str:
    return f"{noun(one)}: {_value(one, value, when)}"


def _value(one: Aggregate, value: Value, when: When) -> str:
    if value is None:
        return "not known"
    return _when(value, when) if one.type is Type.INSTANT else literal(value)


def _when(value: Value, when: When) -> str:
    assert isinstance(value, str), "instants are told as RFC 3339 text"
    return ago(parse_instant(value), when.at_ms, when.zone)


def _number(value: Value) -> float:
    assert isinstance(value, int | float), f"{value!r} is no number"
    return value


def noun(one: Aggregate) -> str:
    """What an aggregate is called, without an article: ``number of orders within 90 days``."""
    sort = events(one.kind, one.where)
    many, within = f"{sort.many}{sort.which}", _within(one)
    name = field(one.field or "")
    match one.function:
        case Function.COUNT:
            return f"number of {many}{within}"
        case Function.SUM:
            return (
                f"money spent{_on(sort.which, many)}{within}" if _is_money(one) else f"total {name} of {many}{within}"
            )
        case Function.AVG:
            return f"average {name} of {many}{within}"
        case Function.MIN:
            return f"smallest {name} of {many}{within}"
        case Function.MAX:
            return f"largest {name} of {many}{within}"
        case Function.DISTINCT:
            return f"number of different {plural(name)} in {many}{within}"
        case Function.FIRST | Function.LAST:
            event = f"{one.function.value} {sort.one}{sort.which}"
            return event if one.field is None else f"{name} of the {event}"
        case Function.GAP:
            return f"mean time from one of the {many} to the next"
        case Function.P_ALIVE:
            return f"likelihood to {_goes_on(one)}"
        case Function.P_BUY:
            assert one.horizon_ms is not None, "it has a horizon"
            return f"likelihood to {sort.do}{sort.which} within {duration(one.horizon_ms)}"


def _within(one: Aggregate) -> str:
    return "" if one.window_ms is None else f" within {duration(one.window_ms)}"


def _is_money(one: Aggregate) -> bool:
    return one.function is Function.SUM and one.field == "total"


def _spent(one: Aggregate) -> str:
    sort = events(one.kind, one.where)
    return f"spent on {sort.many}{sort.which}" if sort.which else "spent"


def _on(which: str, many: str) -> str:
    return f" on {many}" if which else ""


def _goes_on(one: Aggregate) -> str:
    """What ``p_alive`` is the probability of."""
    sort = events(one.kind, one.where)
    return f"{sort.do}{sort.which} ever again"
