"""Segments of one row at one instant: who enters, who leaves, and when to look again. Compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.compiled import as_word, inner, pasted
from stream.engine import opcodes as op
from stream.engine.assignment import write_change
from stream.engine.evaluation import run, value_of
from stream.engine.touched import is_touched

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]


@inner
def _emit(
    plan: Ints,
    constants: Floats,
    pool: Words,
    work: Ints,
    row: Ints,
    index: int,
    event: int,
    s: int,
    stay_ms: int,
    now_ms: int,
) -> None:
    """Writes one change of a segment with its evidence. ``stay_ms``: NONE for an entry."""
    write_change(work, row, index, event, s, stay_ms, now_ms)
    g = plan[op.P_SEGMENTS] + s * op.S_COLUMNS
    for k in range(plan[g + op.S_EVIDENCE], plan[g + op.S_EVIDENCE_END]):
        type_, value = value_of(plan, constants, pool, work, plan[plan[op.P_EVIDENCE] + k], row, now_ms)
        at = work[op.W_PIECES] + 2 * work[op.W_PIECES_USED]
        work[at] = type_
        work[at + 1] = as_word(value)
        work[op.W_PIECES_USED] += 1


@pasted
def evaluate(
    plan: Ints,
    constants: Floats,
    pool: Words,
    work: Ints,
    row: Ints,
    index: int,
    event: int,
    withheld: npt.NDArray[np.bool_],
    changed: bool,
    due: int,
    now_ms: int,
) -> tuple[bool, int]:
    """Evaluates a row's segments at ``now_ms``, in file order, after its persona.

    Only those are looked at that read something which the event changed, whose own timer is due, or which ask for
    membership of another segment when something has changed: for all others the last bound still holds.

    ``withheld`` is empty, or names the segments that let nobody in before the customer's next event. ``changed`` and
    ``due``: whether the persona is another one, and when it may be. Returns whether that, a membership or an
    eligibility changed, and the next instant at which one may if no event comes.
    """
    now_s = now_ms // 1_000
    for s in range(plan[op.P_SEGMENT_COUNT]):
        g = plan[op.P_SEGMENTS] + s * op.S_COLUMNS
        if withheld.shape[0] == 0 and not (changed and plan[g + op.S_MEMBER]):
            own_s = _own_timer(row, plan[op.P_DUES], s)
            if own_s > now_s and not is_touched(work, s):
                if own_s < _NEVER_S:
                    due = min(due, own_s * 1_000)
                continue
        own_changed, own = _evaluate_segment(plan, constants, pool, work, row, index, event, withheld, s, now_ms)
        changed = changed or own_changed
        if own == op.BARRED:
            own = np.int64(0)  # to be looked at with the next event, not before
        else:
            due = min(due, own)
        # Beyond what the 32 bits hold, the last instant before "never" will do: it is looked at again then.
        own_s = _NEVER_S if own == op.FOREVER else min(own // 1_000, _NEVER_S - 1)
        _set_own_timer(row, plan[op.P_DUES], s, own_s)
    return changed, due


#: The largest value of a segment's own timer, in seconds: it means never.
_NEVER_S = 0xFFFF_FFFF


@inner
def _own_timer(row: Ints, dues: int, s: int) -> int:
    """When segment ``s`` must be looked at again even if no event touches it: seconds, rounded down."""
    return row[dues + (s >> 1)] >> ((s & 1) << 5) & 0xFFFF_FFFF


@pasted
def _set_own_timer(row: Ints, dues: int, s: int, seconds: int) -> None:
    row[dues + (s >> 1)] ^= (seconds ^ _own_timer(row, dues, s)) << ((s & 1) << 5)


@pasted
def _evaluate_segment(
    plan: Ints,
    constants: Floats,
    pool: Words,
    work: Ints,
    row: Ints,
    index: int,
    event: int,
    withheld: npt.NDArray[np.bool_],
    s: int,
    now_ms: int,
) -> tuple[bool, int]:
    """Evaluates one segment: whether a membership or eligibility changed, and the next instant at which one may.

    That instant is BARRED where nobody is let in before the customer's next event.
    """
    g = plan[op.P_SEGMENTS] + s * op.S_COLUMNS
    place = plan[g + op.S_STATE]
    state, left = row[place], row[plan[g + op.S_LEFT]]
    member = state >= 0 and state & 1 == 1
    if not member:
        if left != op.NONE and plan[g + op.S_ONCE]:
            if state < 0:
                return False, op.FOREVER
            row[place] = op.NONE  # eligible under a file that did not say `once`
            return True, op.FOREVER
        if withheld.shape[0] > 0 and withheld[s]:
            state = op.BARRED
            row[place] = state
        if state == op.BARRED:
            if event == op.NONE:
                return False, op.BARRED
            state = op.NONE
            row[place] = state
    enters, enters_until, leaves, leaves_until = _conditions(plan, constants, pool, work, row, g, member, now_ms)
    if member:
        since = state >> 1
        stay_over = since + plan[g + op.S_MIN_STAY]
        if not leaves:
            return False, max(leaves_until, stay_over)
        if now_ms < stay_over:
            return False, stay_over
        row[place] = op.NONE
        row[plan[g + op.S_LEFT]] = now_ms
        _emit(plan, constants, pool, work, row, index, event, s, now_ms - since, now_ms)
        if withheld.shape[0] > 0 and withheld[s]:
            row[place] = op.BARRED
            return True, op.BARRED
        # Nobody is eligible while the exit holds.
        return True, op.FOREVER if plan[g + op.S_ONCE] else leaves_until
    if not enters or leaves:
        row[place] = op.NONE
        turns = leaves_until
        if not enters:
            turns = max(enters_until, leaves_until) if leaves else enters_until
        return state != op.NONE, turns
    began = state == op.NONE
    if began:
        state = now_ms << 1
        row[place] = state
    ready = (state >> 1) + plan[g + op.S_FOR]
    if left != op.NONE:
        ready = max(ready, left + plan[g + op.S_COOLDOWN])
    if now_ms < ready:
        return began, min(ready, min(enters_until, leaves_until))
    row[place] = now_ms << 1 | 1
    _emit(plan, constants, pool, work, row, index, event, s, op.NONE, now_ms)
    return True, max(leaves_until, now_ms + plan[g + op.S_MIN_STAY])


@pasted
def _conditions(
    plan: Ints, constants: Floats, pool: Words, work: Ints, row: Ints, g: int, member: bool, now_ms: int
) -> tuple[bool, int, bool, int]:
    """Enter and exit of the segment at ``g``: truth and until when, each. What does not matter is false for ever."""
    has_exit = plan[g + op.S_EXIT_END] > plan[g + op.S_EXIT]
    enters, enters_until, leaves, leaves_until = False, op.FOREVER, False, op.FOREVER
    for side in range(2):
        if side == 0:
            wanted, start, end = has_exit, plan[g + op.S_EXIT], plan[g + op.S_EXIT_END]
        else:
            # A member's enter condition does not matter, nor anybody's where the exit holds for ever.
            wanted = not has_exit or not (member or (leaves and leaves_until == op.FOREVER))
            start, end = plan[g + op.S_ENTER], plan[g + op.S_ENTER_END]
        if wanted:
            _, value, until = run(plan, constants, pool, work, row, start, end, now_ms)
            truth = value != 0.0
            if side == 0:
                leaves, leaves_until = truth, until
            else:
                enters, enters_until = truth, until
    if not has_exit:
        leaves, leaves_until = not enters, enters_until
    return enters, enters_until, leaves, leaves_until
