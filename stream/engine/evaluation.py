"""Values, conditions and segments of one row at one instant. Compiled.

A condition leaves its truth and the instant until which that is sure to hold if no event comes. The bound may be too
early (the row is then looked at once more, in vain), never too late. ``and`` that is false holds until the last of its
false operands may turn, one that is true until the first of its operands may; ``or`` is the mirror image. So most
conditions that time could never make true by itself ask for no timer at all.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stream.compiled import as_float, as_word, fused, inner, pasted
from stream.contract import LAST_INSTANT
from stream.engine import opcodes as op
from stream.engine.churn import crossing, probability
from stream.engine.ranks import rank, rfm
from stream.engine.windows import (
    cell_of,
    count_at,
    distinct_at,
    extreme_at,
    next_step,
    sum_at,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]


@fused
def load(plan: Ints, constants: Floats, v: int, row: Ints, now_ms: int) -> tuple[int, float]:
    """Value number ``v`` at ``now_ms`` (not before the clock): its type on the stack and the value."""
    v = plan[op.P_VALUES] + v * op.V_COLUMNS
    what, a = plan[v + op.V_OP], plan[v + op.V_A]
    width, size = plan[v + op.V_WIDTH], plan[v + op.V_BUCKETS]
    if what == op.V_COUNT:
        return op.T_NUMBER, float(count_at(row, a, width, size, now_ms))
    if what == op.V_INSTANT:
        return (op.T_NULL, 0.0) if row[a] == op.NONE else (op.T_NUMBER, float(row[a]))
    if what == op.V_SUM:
        return op.T_NUMBER, sum_at(row, a, width, size, now_ms) / op.SUM_SCALE
    if what == op.V_TRAIT:
        type_ = row[a + 1]
        return type_, float(row[a + 2]) if type_ == op.T_TEXT else as_float(row[a + 2])
    if what == op.V_GAP:
        count = row[a]
        if count < 2:
            return op.T_NULL, 0.0
        return op.T_NUMBER, (row[plan[v + op.V_C]] - row[plan[v + op.V_B]]) / (count - 1)
    if what == op.V_AVG:
        count = count_at(row, plan[v + op.V_B], width, size, now_ms)
        if count == 0:
            return op.T_NULL, 0.0
        return op.T_NUMBER, sum_at(row, a, width, size, now_ms) / op.SUM_SCALE / count
    if what == op.V_EXTREME:
        word = extreme_at(row, a, plan[v + op.V_B], width, size, now_ms)
        return (op.T_NULL, 0.0) if word == op.NAN_WORD else (op.T_NUMBER, as_float(word))
    if what == op.V_DISTINCT:
        return op.T_NUMBER, float(distinct_at(row, a, width, size, now_ms))
    if what == op.V_P_ALIVE or what == op.V_P_BUY:
        if row[a + 1] == op.NONE:
            return op.T_NULL, 0.0
        horizon = constants[plan[v + op.V_B]] if what == op.V_P_BUY else -1.0
        return op.T_NUMBER, probability(constants, row[a], row[a + 1], row[a + 2], now_ms, horizon)
    if what == op.V_PERSONA:
        return _persona_name(constants, row[a], plan[v + op.V_B])
    if what == op.V_NULL or row[a] == op.NONE:
        return op.T_NULL, 0.0
    if what == op.V_TEXT:
        return op.T_TEXT, float(row[a + 1])
    return (op.T_NUMBER if what == op.V_NUMBER else op.T_BOOLEAN), as_float(row[a + 1])


@inner
def _persona_name(constants: Floats, number: int, features: int) -> tuple[int, float]:
    """The type and code of what a persona is called; null for nobody's."""
    if number == op.NONE:
        return op.T_NULL, 0.0
    at = op.K_HEADER + op.M_SCALES + features
    for _ in range(int(constants[op.K_HEADER + op.M_COUNT])):
        if constants[at] == number:
            return op.T_TEXT, constants[at + 1]
        at += op.M_NAMING + features
    at = op.K_HEADER + op.M_SCALES + features + op.PERSONAS_MOST * (op.M_NAMING + features)
    for _ in range(int(constants[op.K_HEADER + op.M_OTHERS])):
        if constants[at] == number:
            return op.T_TEXT, constants[at + 1]
        at += op.M_NAMING
    return op.T_NULL, 0.0


@inner
def value_step(plan: Ints, v: int, row: Ints, now_ms: int) -> int:
    """The first instant after ``now_ms`` at which windowed value number ``v`` may take a step."""
    v = plan[op.P_VALUES] + v * op.V_COLUMNS
    what, a, width, size = plan[v + op.V_OP], plan[v + op.V_A], plan[v + op.V_WIDTH], plan[v + op.V_BUCKETS]
    kept = op.DISTINCT
    if what == op.V_COUNT:
        kept = op.COUNT
    elif what == op.V_SUM or what == op.V_AVG:
        kept = op.SUM
    elif what == op.V_EXTREME:
        kept = plan[v + op.V_B]
    step = next_step(row, kept, a, width, size, now_ms)
    if what == op.V_AVG:
        step = min(step, next_step(row, op.COUNT, plan[v + op.V_B], width, size, now_ms))
    return step


@inner
def holds(comparison: int, left: float, right: float) -> bool:
    """``left comparison right`` of two doubles."""
    if comparison == op.GE:
        return left >= right
    if comparison == op.GT:
        return left > right
    if comparison == op.LT:
        return left < right
    if comparison == op.LE:
        return left <= right
    if comparison == op.EQ:
        return left == right
    return left != right


@pasted
def compare(comparison: int, left_type: int, left: float, right_type: int, right: float) -> bool:
    """A comparison of two values of any type: false with null; between types only ``!=`` is true."""
    if left_type == op.T_NULL or right_type == op.T_NULL:
        return False
    if left_type != right_type:
        return comparison == op.NE
    if left_type == op.T_NUMBER or comparison <= op.NE:
        return holds(comparison, left, right)
    return False  # there is no order between texts or booleans


@inner
def _walk(plan: Ints, v: int, row: Ints, now_ms: int, comparison: int, right: float) -> int:
    """When the comparison of a windowed count or sum flips as its buckets leave; FOREVER when it never does."""
    v = plan[op.P_VALUES] + v * op.V_COLUMNS
    a, width, size = plan[v + op.V_A], plan[v + op.V_WIDTH], plan[v + op.V_BUCKETS]
    counts = plan[v + op.V_OP] == op.V_COUNT
    total = count_at(row, a, width, size, now_ms) if counts else sum_at(row, a, width, size, now_ms)
    scale = 1.0 if counts else op.SUM_SCALE
    truth = holds(comparison, total / scale, right)
    first = now_ms // width - size + 1
    place = first % size
    for bucket in range(first, row[op.R_CLOCK] // width + 1):
        cell = cell_of(row, a, place) if counts else row[a + 1 + place]
        if cell != 0:
            total -= cell
            if holds(comparison, total / scale, right) != truth:
                return (bucket + size) * width
        place = place + 1 if place + 1 < size else 0
    return op.FOREVER


@inner
def _since_flip(comparison: int, instant: float, duration: float, now_ms: int) -> int:
    """The first millisecond after ``now_ms`` at which ``now - instant comparison duration`` is another truth.

    Age grows by one each millisecond, so ``<`` and ``>=`` flip at the first age that is not below the duration, ``<=``
    and ``>`` at the first above it. The sum below may be rounded, so the neighbours are tried.
    """
    border = instant + duration
    if not border < LAST_INSTANT + 2.0:
        return op.FOREVER
    if border < now_ms - 2.0:
        return op.FOREVER  # it has been
    at_least = comparison == op.GE or comparison == op.LT
    flip = np.int64(math.floor(border)) - 2
    while True:
        age = flip - instant
        if age >= duration if at_least else age > duration:
            break
        flip += 1
    return flip if flip > now_ms else op.FOREVER


@inner
def _push(work: Ints, top: int, type_: int, value: float, until: int) -> None:
    """Writes an entry of the stack: its type, its value, and the instant until which it stays."""
    work[top] = type_
    work[top + 1] = as_word(value)
    work[top + 2] = until


@inner
def run(
    plan: Ints, constants: Floats, pool: Words, work: Ints, row: Ints, start: int, end: int, now_ms: int
) -> tuple[int, float, int]:
    """Runs the code of a condition or a value: its type, the value (a truth is 1.0), and until when it surely holds.

    The stack lies in ``work``, three words an entry (``_push``); ``top`` is the place of the uppermost one.
    """
    bottom = work[op.W_STACK]
    top = bottom - 3
    code = plan[op.P_CODE]
    pc = start
    while pc < end:
        at = code + pc * op.CODE_COLUMNS
        what, a, b, c = plan[at], plan[at + 1], plan[at + 2], plan[at + 3]
        pc += 1
        if what == op.C_VALUE:
            top += 3
            type_, value = load(plan, constants, a, row, now_ms)
            _push(work, top, type_, value, value_step(plan, a, row, now_ms) if b != 0 else op.FOREVER)
            continue
        if what == op.C_NUMBER:
            top += 3
            _push(work, top, op.T_NUMBER, constants[a], op.FOREVER)
            continue
        if what == op.C_MEMBER:
            top += 3
            state = row[plan[plan[op.P_SEGMENTS] + a * op.S_COLUMNS + op.S_STATE]]
            _push(work, top, op.T_BOOLEAN, 1.0 if state >= 0 and state & 1 else 0.0, op.FOREVER)
            continue
        if what == op.C_TEXT or what == op.C_BOOLEAN:
            top += 3
            _push(work, top, op.T_TEXT if what == op.C_TEXT else op.T_BOOLEAN, float(a), op.FOREVER)
            continue
        if what == op.C_DUPLICATE:
            top += 3
            _push(work, top, work[top - 3], as_float(work[top - 2]), work[top - 1])
            continue
        type_, value, until = work[top], as_float(work[top + 1]), work[top + 2]
        if what == op.C_SKIP_FALSE or what == op.C_SKIP_TRUE:
            if (value != 0.0) == (what == op.C_SKIP_TRUE) and until == op.FOREVER:
                pc = a
        elif what == op.C_NOT:
            work[top + 1] = as_word(1.0 - value)
        elif what == op.C_TRUTH:
            truth = type_ == op.T_BOOLEAN and value == 1.0
            _push(work, top, op.T_BOOLEAN, 1.0 if truth else 0.0, until)
        elif what == op.C_RANK:
            type_, value = rank(constants, a, b != 0, type_, value)
            _push(work, top, type_, value, until)
        elif what == op.C_EXISTS:
            _push(work, top, op.T_BOOLEAN, 0.0 if type_ == op.T_NULL else 1.0, until)
        elif what == op.C_TEXT_TEST:
            truth = False
            if type_ == op.T_TEXT:
                word = pool[np.int64(value), a >> 6]
                truth = (word >> np.uint64(a & 63)) & np.uint64(1) != np.uint64(0)
            _push(work, top, op.T_BOOLEAN, 1.0 if truth else 0.0, until)
        elif what == op.C_COMPARE_CHURN:
            truth, steps = _compare_churn(plan, constants, a, b, c, type_, value, row, now_ms)
            _push(work, top, op.T_BOOLEAN, 1.0 if truth else 0.0, min(until, steps))
        else:
            # Two operands: what was read above is the right one.
            top -= 3
            left_type, left, left_until = work[top], as_float(work[top + 1]), work[top + 2]
            steps = min(left_until, until)
            truth = False
            if what == op.C_AND or what == op.C_OR:
                # For `or` both truths are turned: by De Morgan it is the `and` of the opposites.
                turned = what == op.C_OR
                first, second = (left != 0.0) != turned, (value != 0.0) != turned
                if first and not second:
                    steps = until
                elif second and not first:
                    steps = left_until
                elif not first:
                    steps = max(left_until, until)
                truth = (first and second) != turned
            elif what == op.C_COMPARE:
                truth = compare(a, left_type, left, type_, value)
            elif what == op.C_COMPARE_SINCE:
                if left_type == op.T_NUMBER and type_ == op.T_NUMBER:
                    truth = holds(a, now_ms - left, value)
                    steps = min(steps, _since_flip(a, left, value, now_ms))
            elif what == op.C_COMPARE_WALK:
                truth = compare(a, left_type, left, type_, value)
                # A value that only falls stays where a fall cannot bring it to the other side.
                settled = c != 0 and a != op.EQ and a != op.NE and ((a == op.GE or a == op.GT) != truth)
                steps = until
                if type_ == op.T_NUMBER and not settled:
                    steps = min(steps, _walk(plan, b, row, now_ms, a, value))
            elif what == op.C_AFTER or what == op.C_BEFORE:
                truth = left_type != op.T_NULL and (
                    type_ == op.T_NULL or (left > value if what == op.C_AFTER else left < value)
                )
            elif what == op.C_SWAP:
                _push(work, top, type_, value, until)
                top += 3
                _push(work, top, left_type, left, left_until)
                continue
            elif what == op.C_RFM:
                top -= 3
                steps = min(steps, work[top + 2])
                type_, value = rfm(constants, a, work[top], as_float(work[top + 1]), left, value)
                _push(work, top, type_, value, steps)
                continue
            else:
                type_, value = _calculate(what, left_type, left, type_, value)
                _push(work, top, type_, value, steps)
                continue
            _push(work, top, op.T_BOOLEAN, 1.0 if truth else 0.0, steps)
    return work[bottom], as_float(work[bottom + 1]), work[bottom + 2]


@inner
def value_of(
    plan: Ints, constants: Floats, pool: Words, work: Ints, v: int, row: Ints, now_ms: int
) -> tuple[int, float]:
    """Any value as people see it, by its number: also one that takes code."""
    at = plan[op.P_VALUES] + v * op.V_COLUMNS
    if plan[at + op.V_OP] != op.V_CODE:
        return load(plan, constants, v, row, now_ms)
    type_, value, _ = run(plan, constants, pool, work, row, plan[at + op.V_A], plan[at + op.V_B], now_ms)
    return type_, value


@pasted
def _calculate(what: int, left_type: int, left: float, right_type: int, right: float) -> tuple[int, float]:
    """Arithmetic: null with anything but numbers, by zero, and where no number comes out."""
    if left_type != op.T_NUMBER or right_type != op.T_NUMBER:
        return op.T_NULL, 0.0
    if what == op.C_ADD:
        x = left + right
    elif what == op.C_SUB:
        x = left - right
    elif what == op.C_MUL:
        x = left * right
    elif what == op.C_AMONG:
        return (op.T_NULL, 0.0) if left < 1.0 else (op.T_NUMBER, right)
    elif right == 0.0:
        return op.T_NULL, 0.0
    else:
        x = left / right
    return (op.T_NULL, 0.0) if np.isnan(x) else (op.T_NUMBER, x)


@inner
def _compare_churn(
    plan: Ints,
    constants: Floats,
    comparison: int,
    v: int,
    cache: int,
    bound_type: int,
    bound: float,
    row: Ints,
    now_ms: int,
) -> tuple[bool, int]:
    """A comparison of ``p_alive`` or ``p_buy``, which only fall, with a bound: its truth and when it flips.

    The instant at which the probability falls to the bound is found once, and kept in the row (the words ``cache``:
    the bound, the instant) until an event counts or the bound moves.
    """
    v = plan[op.P_VALUES] + v * op.V_COLUMNS
    a = plan[v + op.V_A]
    if bound_type != op.T_NUMBER or row[a + 1] == op.NONE:
        return False, op.FOREVER
    if row[cache] != as_word(bound):
        horizon = constants[plan[v + op.V_B]] if plan[v + op.V_OP] == op.V_P_BUY else -1.0
        strict = comparison == op.LT or comparison == op.GE
        row[cache + 1] = crossing(constants, row[a], row[a + 1], row[a + 2], horizon, bound, strict)
        row[cache] = as_word(bound)
    flip = row[cache + 1]
    low = now_ms >= flip
    truth = low == (comparison == op.LT or comparison == op.LE)
    return truth, op.FOREVER if low else flip
