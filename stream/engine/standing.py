"""How a customer stands to each segment: in or out, what the conditions say, and what holds against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.engine import opcodes as op
from stream.engine.explanation import Condition, Facts, explained
from stream.engine.plan import Plan
from stream.instants import format_instant
from stream.language.literals import write_duration
from stream.language.tree import Not, Segment

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Held:
    """What keeps a customer out of a segment, or in it, although the conditions say otherwise.

    ``by``: for, cooldown, once, barred and exit keep out, min_stay keeps in. ``until_ms`` is when that alone will be
    over; None where only an event can end it, or nothing. ``reason`` is for people.
    """

    by: str
    until_ms: int | None
    reason: str


@dataclass(frozen=True)
class Standing:
    """To one segment. All conditions of ``enter`` must be true for ``enters`` to be, and so with ``exit``."""

    segment: str
    since_ms: int | None  # None: not a member
    holdout: bool
    enter: tuple[Condition, ...]
    enters: bool
    exit: tuple[Condition, ...]
    exits: bool
    held: Held | None


def standings(plan: Plan, row: Ints, facts: Facts, held_out: Sequence[bool]) -> list[Standing]:
    """Of a row, in file order."""
    found = []
    for segment, entry, holdout in zip(plan.definitions.segments, plan.segments, held_out, strict=True):
        state, left_ms = int(row[entry[op.S_STATE]]), int(row[entry[op.S_LEFT]])
        is_member = state >= 0 and state & 1 == 1
        enter, enters = explained(segment.enter, facts)
        if isinstance(segment.exit, Not) and segment.exit.operand is segment.enter:
            exit_, exits = _opposite(enter, enters), not enters
        else:
            exit_, exits = explained(segment.exit, facts)
        if is_member:
            held = _held_in(segment, state >> 1, exits, facts.at_ms)
        else:
            held = _held_out(segment, state, left_ms, enters, exits, facts.at_ms)
        found.append(
            Standing(segment.name, state >> 1 if is_member else None, holdout, enter, enters, exit_, exits, held)
        )
    return found


def _opposite(enter: tuple[Condition, ...], enters: bool) -> tuple[Condition, ...]:
    """What the exit is where the file gives none."""
    joined = enter[0] if len(enter) == 1 else Condition(enters, op="and", parts=enter)
    return (Condition(not enters, op="not", parts=(joined,)),)


def _held_in(segment: Segment, since_ms: int, exits: bool, at_ms: int) -> Held | None:
    over_ms = since_ms + segment.min_stay_ms
    if not exits or at_ms >= over_ms:
        return None
    stay = write_duration(segment.min_stay_ms)
    return Held("min_stay", over_ms, f"it may be left now, but whoever enters stays for {stay} at least")


def _held_out(segment: Segment, state: int, left_ms: int, enters: bool, exits: bool, at_ms: int) -> Held | None:
    if segment.once and left_ms != op.NONE:
        return Held("once", None, f"it is entered once in a customer's life, and was left at {format_instant(left_ms)}")
    if not enters:
        return None
    if state == op.BARRED:
        return Held("barred", None, "new definitions let nobody in before the customer's next event")
    if exits:
        return Held("exit", None, "it may be entered now, but what makes members leave is true as well")
    eligible_ms = state >> 1 if state >= 0 else at_ms
    waited_ms = eligible_ms + segment.for_ms
    cooled_ms = op.NONE if left_ms == op.NONE else left_ms + segment.cooldown_ms
    if at_ms >= max(waited_ms, cooled_ms):
        return None
    if waited_ms >= cooled_ms:
        since, wait = format_instant(eligible_ms), write_duration(segment.for_ms)
        return Held("for", waited_ms, f"it may be entered since {since}; that has to last for {wait}")
    left, cooldown = format_instant(left_ms), write_duration(segment.cooldown_ms)
    return Held("cooldown", cooled_ms, f"it was left at {left}, and may be entered again {cooldown} later")
