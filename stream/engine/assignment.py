"""The persona of one row at one instant: the nearest centre, kept until another is clearly nearer. Compiled.

The model lies among the constants, at ``K_HEADER``. A vector has a value for each feature of the file: a number as it
is, an instant as its age in days at the last border of a bucket; null is 0. Each is made a logarithm that keeps its
sign, and divided by the model's scale, as its centres have been. Numbers and logarithms are kept in derived words of
the row: most events touch one feature or none, a new model none, and a sample is read from one place.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from stream.compiled import as_float, as_word, inner, pasted
from stream.engine import opcodes as op
from stream.engine.evaluation import load, run, value_step
from stream.engine.ranks import border_before, days_ago, measure
from stream.engine.touched import is_touched, touch

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

#: More than what rounding makes of the sum of any number of moves, for each unit that a vector is long.
_ROUNDED: Final = 1e-9


@inner
def assign(
    plan: Ints,
    constants: Floats,
    pool: Words,
    work: Ints,
    row: Ints,
    index: int,
    event: int,
    is_forced: bool,
    now_ms: int,
) -> tuple[bool, int]:
    """Decides on the persona of a row at ``now_ms`` where something it depends on may have changed, or ``is_forced``.

    Returns whether it is another one, and the next instant at which time alone may make it so.
    """
    p = plan[op.P_PERSONA]
    place, room = plan[p + op.PE_STATE], _room(plan)
    if is_forced or row[place + 2] != int(constants[op.K_HEADER + op.M_VERSION]):
        row[room] = 0  # it is of another model
    row[place + 2] = int(constants[op.K_HEADER + op.M_VERSION])
    is_model = constants[op.K_HEADER + op.M_COUNT] != 0.0
    if not is_model and row[place] == op.NONE:
        return False, op.FOREVER
    own = row[plan[p + op.PE_DUE]]
    if not is_forced and own > now_ms and not is_touched(work, plan[op.P_SEGMENT_COUNT]):
        return False, own
    present, since = row[place], row[place + 1]
    known = is_known(plan, row, now_ms)
    if known and not is_forced and not _is_feature_touched(plan, work):
        return False, own
    nearest, due = op.NONE, op.FOREVER
    over = own if known else active_until(plan, p, row)
    is_whole = present == op.NONE
    while now_ms < over or present != op.NONE:
        looked = _look(plan, constants, pool, work, row, is_whole, now_ms)
        if now_ms < over:
            due = min(over, looked)
            nearest = present
            # Restored rows may be in personas of a model that is to be applied yet.
            if is_model and (is_whole or not as_float(row[room]) > 0.0):
                nearest = _decided(plan, constants, work, row, present)
        if nearest == present or is_whole:
            break
        # Of a change all values are told.
        is_whole, over = True, active_until(plan, p, row)
    row[plan[p + op.PE_DUE]] = due
    if nearest == present:
        return False, due
    if present != op.NONE:
        _write(plan, work, row, index, event, present, now_ms - since, now_ms)
    if nearest != op.NONE:
        _write(plan, work, row, index, event, nearest, op.NONE, now_ms)
    row[place], row[place + 1] = nearest, now_ms
    touch(plan, work, plan[p + op.PE_TOUCH])
    return True, due


@inner
def active_until(plan: Ints, p: int, row: Ints) -> int:
    """When the customer stops being active if no event comes; NONE for one who never was."""
    seen = max(row[plan[p + op.PE_CLICK]], row[plan[p + op.PE_PURCHASE]], row[plan[p + op.PE_EMAIL]])
    return op.NONE if seen == op.NONE else seen + plan[p + op.PE_WITHIN]


@pasted
def _is_feature_touched(plan: Ints, work: Ints) -> bool:
    for f in range(plan[plan[op.P_PERSONA] + op.PE_FEATURES]):
        if is_touched(work, plan[op.P_SEGMENT_COUNT] + 1 + f):
            return True
    return False


@inner
def ask_anew(plan: Ints, row: Ints) -> None:
    """What is known of when time changes a row's features does not hold any more."""
    p = plan[op.P_PERSONA]
    row[plan[p + op.PE_DUE]] = 0
    for f in range(plan[p + op.PE_FEATURES]):
        row[_dues(plan) + f] = 0


@pasted
def _room(plan: Ints) -> int:
    """Where a row says how far its vector may move before it can be another persona's."""
    return int(plan[plan[op.P_PERSONA] + op.PE_DUE] + 1)


@pasted
def _dues(plan: Ints) -> int:
    """Where the features' own timers begin in a row."""
    p = plan[op.P_PERSONA]
    return int(plan[p + op.PE_DUE] + op.OWN_WORDS + 2 * plan[p + op.PE_FEATURES])


@inner
def _look(plan: Ints, constants: Floats, pool: Words, work: Ints, row: Ints, is_whole: bool, now_ms: int) -> int:
    """Works out the features that may have changed; where it ``is_whole``, all. Their numbers and logarithms are kept.

    Types and values as conditions have them (but what is beyond doubles or instants is null) go into the working
    memory. What the vector moves by is taken off what it may move by (`_decided`). Returns the next instant at which
    time may change a feature.
    """
    p = plan[op.P_PERSONA]
    vector, features, dues = plan[p + op.PE_DUE] + op.OWN_WORDS, plan[p + op.PE_FEATURES], _dues(plan)
    room = _room(plan)
    border = border_before(plan, now_ms)
    first = op.FOREVER
    for f in range(features):
        own = row[dues + f]
        is_anew = is_whole or own <= now_ms
        if is_anew or is_touched(work, plan[op.P_SEGMENT_COUNT] + 1 + f):
            at = p + op.PE_HEADER + f * op.FEATURE_COLUMNS
            type_, value = _measured(plan, constants, pool, work, row, at, now_ms)
            is_instant = plan[at + op.FEATURE_INSTANT] != 0
            is_there, x = measure(type_, value, is_instant, border)
            to = work[op.W_VECTOR] + op.VECTOR_COLUMNS * f
            work[to] = type_ if is_there else op.T_NULL
            work[to + 1] = as_word(value)
            if x != as_float(row[vector + features + f]):  # both begin as 0, and the logarithm takes time
                before, now = as_float(row[vector + f]), math.copysign(math.log1p(abs(x)), x)
                moved = abs(now - before) / constants[op.K_HEADER + op.M_SCALES + f]
                row[room] = as_word(as_float(row[room]) - moved)
                row[vector + f] = as_word(now)
                row[vector + features + f] = as_word(x)
            if is_anew:
                own = border + plan[p + op.PE_WIDTH] if is_instant else op.FOREVER
            own = min(own, _step(plan, at, row, is_anew, now_ms))
            row[dues + f] = own
        first = min(first, own)
    return first


@inner
def _step(plan: Ints, at: int, row: Ints, is_anew: bool, now_ms: int) -> int:
    """The next instant at which a window of the feature whose columns begin at ``at`` may take a step.

    Not ``is_anew``: because of an event of this very instant; of all buckets its own is the last one to leave.
    """
    step = op.FOREVER
    steps = plan[op.P_PERSONA] + op.PE_HEADER + plan[at + op.FEATURE_STEPS]
    for k in range(steps, steps + plan[at + op.FEATURE_STEPS + 1]):
        if is_anew:
            step = min(step, value_step(plan, plan[k], row, now_ms))
        else:
            v = plan[op.P_VALUES] + plan[k] * op.V_COLUMNS
            bucket = plan[v + op.V_WIDTH]
            step = min(step, (now_ms // bucket + plan[v + op.V_BUCKETS]) * bucket)
    return step


@inner
def _measured(
    plan: Ints, constants: Floats, pool: Words, work: Ints, row: Ints, at: int, now_ms: int
) -> tuple[int, float]:
    """The type and value of the feature, or of what is ranked, whose columns begin at ``at``."""
    alone, code = plan[at + op.FEATURE_ALONE], at + op.FEATURE_CODE
    if alone != op.NONE:
        return load(plan, constants, alone, row, now_ms)
    type_, value, _ = run(plan, constants, pool, work, row, plan[code], plan[code + 1], now_ms)
    return type_, value


@inner
def clustered(plan: Ints, constants: Floats, pool: Words, work: Ints, row: Ints, f: int, now_ms: int) -> float:
    """The number of feature ``f`` in the vector at ``now_ms``."""
    p = plan[op.P_PERSONA]
    at = p + op.PE_HEADER + f * op.FEATURE_COLUMNS
    type_, value = _measured(plan, constants, pool, work, row, at, now_ms)
    _, x = measure(type_, value, plan[at + op.FEATURE_INSTANT] != 0, border_before(plan, now_ms))
    return x


@inner
def is_known(plan: Ints, row: Ints, now_ms: int) -> bool:
    """Whether somebody is in a persona, and nothing but events can have changed that until ``now_ms``.

    Then they are active, and the numbers in the row are those of that instant, but for what an event of it changes.
    """
    p = plan[op.P_PERSONA]
    return bool(row[plan[p + op.PE_STATE]] != op.NONE and row[plan[p + op.PE_DUE]] > now_ms)


@inner
def ranked(plan: Ints, constants: Floats, pool: Words, work: Ints, row: Ints, number: int, now_ms: int) -> float:
    """The number that is ranked under this ``number``, or how many days ago the instant is; NaN where it is null."""
    p = plan[op.P_PERSONA]
    at = p + op.PE_HEADER + (plan[p + op.PE_FEATURES] + number) * op.FEATURE_COLUMNS
    type_, value = _measured(plan, constants, pool, work, row, at, now_ms)
    return days_ago(type_, value, plan[at + op.FEATURE_INSTANT] != 0, now_ms)


@pasted
def _decided(plan: Ints, constants: Floats, work: Ints, row: Ints, present: int) -> int:
    """The number of the persona for the row's vector: the nearest, unless the present one is nearly as near.

    Where it stays, the row is told how far the vector may move before it can be another: by the triangle inequality a
    centre that is ``d`` away is ``d - m`` to ``d + m`` away from a vector that has moved by ``m``.
    """
    p = plan[op.P_PERSONA]
    features, vector = plan[p + op.PE_FEATURES], plan[p + op.PE_DUE] + op.OWN_WORDS
    scaled = work[op.W_VECTOR] + 2
    size = 1.0
    for f in range(features):
        x = as_float(row[vector + f]) / constants[op.K_HEADER + op.M_SCALES + f]
        work[scaled + op.VECTOR_COLUMNS * f] = as_word(x)
        size += abs(x)
    nearest, least, of_present = op.NONE, math.inf, math.inf  # the nearest of the others
    at = op.K_HEADER + op.M_SCALES + features
    for _ in range(int(constants[op.K_HEADER + op.M_COUNT])):
        total = 0.0
        for f in range(features):
            apart = as_float(work[scaled + op.VECTOR_COLUMNS * f]) - constants[at + op.M_NAMING + f]
            total += apart * apart
        number = int(constants[at])
        if number == present:
            of_present = total
        elif total < least:
            nearest, least = number, total
        at += op.M_NAMING + features
    kept = constants[plan[p + op.PE_KEPT]]
    gap = math.sqrt(least) - kept * math.sqrt(of_present)
    if of_present < math.inf and gap >= 0.0:
        row[_room(plan)] = as_word(gap / (1.0 + kept) - _ROUNDED * size)
        return present
    row[_room(plan)] = 0
    return nearest


@inner
def _write(plan: Ints, work: Ints, row: Ints, index: int, event: int, number: int, stay_ms: int, now_ms: int) -> None:
    """Writes the entry into a persona, or the exit after ``stay_ms``, with the vector as its evidence."""
    write_change(work, row, index, event, plan[op.P_SEGMENT_COUNT] + number, stay_ms, now_ms)
    p = plan[op.P_PERSONA]
    for f in range(plan[p + op.PE_FEATURES]):
        at = work[op.W_PIECES] + 2 * work[op.W_PIECES_USED]
        work[at] = work[work[op.W_VECTOR] + op.VECTOR_COLUMNS * f]
        work[at + 1] = work[work[op.W_VECTOR] + op.VECTOR_COLUMNS * f + 1]
        work[op.W_PIECES_USED] += 1


@inner
def write_change(work: Ints, row: Ints, index: int, event: int, s: int, stay_ms: int, now_ms: int) -> None:
    """Writes a change without its evidence, and moves the customer's sequence on. ``stay_ms``: NONE for an entry."""
    row[op.R_SEQUENCE] += 1
    at = work[op.W_CHANGES] + op.O_COLUMNS * work[op.W_CHANGES_USED]
    work[at + op.O_ROW] = index
    work[at + op.O_EVENT] = event
    work[at + op.O_SEGMENT] = s
    work[at + op.O_AT] = now_ms
    work[at + op.O_SEQUENCE] = row[op.R_SEQUENCE]
    work[at + op.O_EVIDENCE] = work[op.W_PIECES_USED]
    work[at + op.O_STAY] = stay_ms
    work[op.W_CHANGES_USED] += 1
