"""A segment in plain sentences: who enters, who leaves, and what else holds."""

from __future__ import annotations

from stream.dashboard.words.amounts import duration, listed, percent
from stream.dashboard.words.conditions import said
from stream.language.tree import And, Expression, Literal, Not, Or, Segment


def sentences(segment: Segment) -> list[str]:
    """All that decides about a segment's members."""
    found = [_when("Enters", segment.enter)]
    if segment.exit == Not(segment.enter):
        found.append("Leaves as soon as that is no longer so.")
    elif isinstance(segment.exit, Literal) and not segment.exit.value:
        found.append("Never leaves.")
    else:
        found.append(_when("Leaves", segment.exit))
    if segment.for_ms:
        found.append(f"Enters only after that has been so for {duration(segment.for_ms)} without interruption.")
    if segment.min_stay_ms:
        found.append(f"Stays for {duration(segment.min_stay_ms)} at least.")
    if segment.cooldown_ms:
        found.append(f"Does not enter again within {duration(segment.cooldown_ms)} after leaving.")
    if segment.once:
        found.append("Enters only once.")
    if segment.holdout:
        found.append(f"{percent(segment.holdout)} of the customers are held out: they are members, and left alone.")
    if segment.to:
        found.append(f"Changes also go to {listed(segment.to, 'and')}.")
    return found


def _when(what: str, condition: Expression) -> str:
    match condition:
        case And(operands=operands):
            return f"{what} when all of this holds: {'; '.join(said(one).yes for one in operands)}."
        case Or(operands=operands):
            return f"{what} when any of this holds: {'; '.join(said(one).yes for one in operands)}."
        case _:
            return f"{what} when this holds: {said(condition).yes}."
