"""The kernel: a batch of events, or of rows with a timer due, through a plan. Compiled.

It walks strictly in order: what is due for the row by then fires, the event is applied, the segments are evaluated,
changes go into output arrays. So how events are cut into batches changes nothing. When the output is nearly full it
returns early, and the caller empties it and calls again from where it stopped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stream.compiled import compiled, inner, pasted, prefetch
from stream.engine import opcodes as op
from stream.engine.assignment import ask_anew, assign
from stream.engine.evaluation import holds
from stream.engine.membership import evaluate
from stream.engine.touched import nothing_touched, touch
from stream.engine.windows import roll, update

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

#: Rows of the first block of profiles; each block is twice as large as the one before.
FIRST_BLOCK = 1024

#: So many rows ahead memory is fetched, which takes less time than these do; words of a line of memory.
AHEAD, _LINE = 4, 8


class Events(NamedTuple):
    """A batch of ``n`` events, as the kernel reads it."""

    kind: npt.NDArray[np.int8]  # (n,)
    time_ms: Ints  # (n,)
    offset: Ints  # (n,) in the kind's topic, or NONE where there are no offsets
    stream_ms: Ints  # (n,) the stream clock when the event is applied
    event_hash: Ints  # (n,) bits of the hash; 0: not remembered
    order_hash: Ints  # (n,)
    numbers: Floats  # (number rows, n)
    number_bits: Ints  # the same memory as words
    tests: Words  # (test rows, n)
    hashes: Ints  # (hash rows, n) bits of the hash; 0: missing
    texts: Ints  # (text rows, n) codes in the pool, or NONE
    trait_event: Ints  # (m,) traits in the order of events: the event's index,
    trait: Ints  # (m,) the trait's number in the plan,
    trait_type: Ints  # (m,) its type on the stack
    trait_value: Ints  # (m,) the code of a text, or the bits of a double


@compiled
def place_of(row: int) -> tuple[int, int]:
    """The block of a row and its place there."""
    rest = row // FIRST_BLOCK + 1
    block = 0
    while rest > 1:
        rest >>= 1
        block += 1
    return block, row - FIRST_BLOCK * ((1 << block) - 1)


@compiled
def move_clock(plan: Ints, row: Ints, now_ms: int) -> None:
    """Moves a customer's clock to ``now_ms``, and the windows with it."""
    if now_ms >= row[op.R_ROLL] or row[op.R_CLOCK] == op.NONE:
        roll(plan, row, row[op.R_CLOCK], now_ms)
    row[op.R_CLOCK] = now_ms


@pasted
def _passes(plan: Ints, constants: Floats, numbers: Floats, tests: Words, work: Ints, f: int, i: int) -> int:
    """1 when event ``i`` satisfies filter number ``f``, else 0."""
    top = work[op.W_BITS] - 1
    f = plan[op.P_FILTERS] + f * op.FILTER_COLUMNS
    for pc in range(plan[f], plan[f + 1]):
        at = plan[op.P_FILTER_CODE] + pc * op.CODE_COLUMNS
        what, a = plan[at], plan[at + 1]
        if what == op.F_TEST:
            top += 1
            work[top] = np.int64(tests[a, i] >> np.uint64(plan[at + 2])) & 1
        elif what == op.F_NUMBER:
            top += 1
            x = numbers[a, i]
            work[top] = 1 if not np.isnan(x) and holds(plan[at + 2], x, constants[plan[at + 3]]) else 0
        elif what == op.F_EXISTS:
            top += 1
            work[top] = 0 if np.isnan(numbers[a, i]) else 1
        elif what == op.F_AND:
            top -= 1
            work[top] &= work[top + 1]
        elif what == op.F_OR:
            top -= 1
            work[top] |= work[top + 1]
        elif what == op.F_NOT:
            work[top] ^= 1
        else:
            top += 1
            work[top] = 0
    return work[top]


@pasted
def _remember_event(plan: Ints, constants: Floats, events: Events, work: Ints, row: Ints, i: int) -> None:
    """Updates every accumulator of the event's kind. The clock has been moved on already."""
    kind, t = events.kind[i], events.time_ms[i]
    hits = work[op.W_HITS]
    bounds = plan[op.P_KIND_FILTERS] + kind
    for f in range(plan[bounds], plan[bounds + 1]):
        work[hits + f] = _passes(plan, constants, events.numbers, events.tests, work, f, i)
    days_counted = False
    bounds = plan[op.P_KIND_ACCUMULATORS] + kind
    for a in range(plan[bounds], plan[bounds + 1], op.A_COLUMNS):
        f = plan[a + op.A_FILTER]
        if f != op.NONE and work[hits + f] == 0:
            continue
        word = np.int64(0)
        source = plan[a + op.A_SOURCE]
        if source != op.FROM_NOTHING:
            column = plan[a + op.A_COLUMN]
            if source == op.FROM_NUMBERS:
                word = events.number_bits[column, i]
                if np.isnan(events.numbers[column, i]):
                    continue
            elif source == op.FROM_HASHES:
                word = events.hashes[column, i]
                if word == 0:
                    continue
            else:
                word = events.texts[column, i]
                if word == op.NONE:
                    continue
        if update(plan, a, row, t, word):
            touch(plan, work, plan[a + op.A_TOUCH])
            days_counted = days_counted or plan[a + op.A_OP] == op.DAYS
    if days_counted:
        for k in range(plan[op.P_CHURN_CACHES], plan[op.P_CHURN_CACHES] + plan[op.P_CHURN_CACHE_COUNT]):
            row[plan[k]] = op.NONE


@inner
def _holds_id(row: Ints, start: int, size: int, id_: int) -> bool:
    """Whether a ring of ids holds ``id_`` (0: no id)."""
    found = 0
    if id_ != 0:
        # Without a way out in the middle, and counted without a sign, it is one comparison for eight places.
        for k in range(np.uint64(start), np.uint64(start + size)):
            found |= row[k] == id_
    return found != 0


@inner
def _remember_id(row: Ints, start: int, size: int, id_: int, shift: int) -> None:
    """Writes an id over the oldest one of a ring, whose next place is kept ``shift`` bits up in its word."""
    if id_ != 0 and size > 0:
        place = row[op.R_RINGS] >> shift & 255
        row[start + place] = id_
        after = place + 1 if place + 1 < size else 0
        row[op.R_RINGS] += (after - place) << shift


@pasted
def _skip(plan: Ints, events: Events, row: Ints, i: int) -> int:
    """Whether event ``i`` is to be skipped: APPLIED when not, else why. A duplicate's offset counts as seen."""
    kind, offset = events.kind[i], events.offset[i]
    if offset != op.NONE and offset <= row[op.R_SEEN + kind]:
        return op.REPLAYED
    if _holds_id(row, plan[op.P_EVENT_RING], plan[op.P_EVENT_RING_SIZE], events.event_hash[i]) or _holds_id(
        row, plan[op.P_ORDER_RING], plan[op.P_ORDER_RING_SIZE], events.order_hash[i]
    ):
        if offset != op.NONE:
            row[op.R_SEEN + kind] = offset
        return op.DUPLICATE
    return op.APPLIED


@pasted
def _apply_event(plan: Ints, constants: Floats, events: Events, work: Ints, row: Ints, i: int, trait: int) -> int:
    """Applies event ``i`` to its row, whose timers have fired; ``trait`` is its first trait, where it has one.

    Returns LATE when the event lies before the customer's clock, else APPLIED.
    """
    t, clock = events.time_ms[i], row[op.R_CLOCK]
    if t > clock:
        move_clock(plan, row, t)
    nothing_touched(plan, work)
    _remember_event(plan, constants, events, work, row, i)
    while trait < events.trait_event.shape[0] and events.trait_event[trait] == i:
        at = plan[op.P_TRAITS] + events.trait[trait] * op.TRAIT_COLUMNS
        word = plan[at + op.TRAIT_WORD]
        if t >= row[word]:
            row[word] = t
            if row[word + 1] != events.trait_type[trait] or row[word + 2] != events.trait_value[trait]:
                row[word + 1] = events.trait_type[trait]
                row[word + 2] = events.trait_value[trait]
                touch(plan, work, plan[at + op.TRAIT_TOUCH])
        trait += 1
    _remember_id(row, plan[op.P_EVENT_RING], plan[op.P_EVENT_RING_SIZE], events.event_hash[i], 0)
    _remember_id(row, plan[op.P_ORDER_RING], plan[op.P_ORDER_RING_SIZE], events.order_hash[i], 8)
    if events.offset[i] != op.NONE:
        row[op.R_SEEN + events.kind[i]] = events.offset[i]
    if t >= clock:
        return op.APPLIED
    if plan[op.P_PERSONA] != 0:
        ask_anew(plan, row)  # its bucket leaves before the latest one
    return op.LATE


@inner
def _has_seen(plan: Ints, constants: Floats, row: Ints) -> bool:
    """Whether a row has been looked at with this model of personas, or a later one: it was restored from then."""
    state = plan[plan[op.P_PERSONA] + op.PE_STATE]
    return row[state + 2] >= int(constants[op.K_HEADER + op.M_VERSION])


#: What ``step`` does with each of its rows.
APPLY = 0  # the events, one by one
FIRE = 1  # what is due by ``to_ms``
REDEFINE = 2  # one evaluation under new definitions, at the later of ``to_ms`` and the row's clock
MODEL = 3  # likewise with a new model of personas, of rows that have not seen it; what is due by then has been fired


@pasted
def fetch(plan: Ints, blocks: tuple[Ints, ...], index: int, mode: int) -> None:
    """Begins to fetch what a mode is going to read of a row: where customers are many, no cache has it."""
    block, place = place_of(index)
    row = blocks[block][place]
    if mode == MODEL:
        p = plan[op.P_PERSONA]
        _fetch_words(row, 0, plan[p + op.PE_STATE] + op.PERSONA_WORDS)
        due_at = plan[p + op.PE_DUE]
        _fetch_words(row, due_at, due_at + op.OWN_WORDS + op.FEATURE_WORDS * plan[p + op.PE_FEATURES])
    else:
        _fetch_words(row, 0, row.shape[0])


@inner
def _fetch_words(row: Ints, start: int, stop: int) -> None:
    for at in range(start, stop - 1, _LINE):
        prefetch(row, at)
    prefetch(row, stop - 1)


@compiled
def step(
    mode: int,
    plan: Ints,
    constants: Floats,
    pool: Words,
    work: Ints,
    blocks: tuple[Ints, ...],
    due: Ints,
    rows: Ints,
    events: Events,
    status: npt.NDArray[np.int8],
    withheld: npt.NDArray[np.bool_],
    start: int,
    to_ms: int,
) -> int:
    """Goes through ``rows[start:]`` in order and returns the first one that is not done (all: the number of rows).

    Mode APPLY: row ``i`` is that of event ``i``, and ``status[i]`` tells what became of it; the row's timers fire up to
    the later of the event's timestamp and the stream clock. ``withheld`` is empty, or flags segments that let nobody
    in (mode REDEFINE). A row that is taken up again goes on where it stopped: what has fired is not due any more.
    """
    trait = 0
    for i in range(start, rows.shape[0]):
        if i + AHEAD < rows.shape[0]:
            prefetch(due, rows[i + AHEAD])
            fetch(plan, blocks, rows[i + AHEAD], mode)
        index = rows[i]
        block, place = place_of(index)
        row = blocks[block][place]
        upto = to_ms
        if mode == MODEL and _has_seen(plan, constants, row):
            continue
        if mode == APPLY:
            status[i] = _skip(plan, events, row, i)
            if status[i] != op.APPLIED:
                continue
            upto = max(events.time_ms[i], events.stream_ms[i])
            while trait < events.trait_event.shape[0] and events.trait_event[trait] < i:
                trait += 1
        done = False
        while not done:
            if (
                work[op.W_CHANGES_USED] + plan[op.P_CHANGES_MOST] > work[op.W_CHANGES_MOST]
                or work[op.W_PIECES_USED] + plan[op.P_EVIDENCE_MOST] > work[op.W_PIECES_MOST]
            ):
                return i
            event = op.NONE
            if mode != REDEFINE and due[index] <= upto:
                now_ms = due[index]
            elif mode == FIRE:
                break
            else:
                done = True
                if mode == APPLY:
                    event = i
                    status[i] = _apply_event(plan, constants, events, work, row, i, trait)
                    now_ms = row[op.R_CLOCK]
                else:
                    now_ms = max(to_ms, row[op.R_CLOCK])
            changed, own, timer, ranks = False, op.FOREVER, op.NONE, 0
            if event == op.NONE:
                nothing_touched(plan, work)
            if plan[op.P_PERSONA] != 0:
                timer = row[plan[plan[op.P_PERSONA] + op.PE_DUE]]
                if mode >= REDEFINE:
                    touch(plan, work, plan[plan[op.P_PERSONA] + op.PE_RANKS_TOUCH])
                changed, own = assign(plan, constants, pool, work, row, index, event, mode >= REDEFINE, now_ms)
                ranks = plan[plan[op.P_PERSONA] + op.PE_RANKS]
                if done and mode == MODEL and not changed and own == timer and ranks == 0:
                    break  # nothing else can have changed
            changed, due[index] = evaluate(
                plan, constants, pool, work, row, index, event, withheld, changed, own, now_ms
            )
            if changed and now_ms > row[op.R_CLOCK]:
                move_clock(plan, row, now_ms)
            elif mode >= REDEFINE and now_ms > row[op.R_CLOCK]:
                # The clock stays behind, and what would be said at instants before this one is not known yet: where it
                # was asked for anew.
                if plan[op.P_PERSONA] != 0 and row[plan[plan[op.P_PERSONA] + op.PE_DUE]] != timer:
                    ask_anew(plan, row)
                if mode == REDEFINE or ranks > 0:
                    for k in range(plan[op.P_DUES], plan[op.P_DUES] + (plan[op.P_SEGMENT_COUNT] + 1) // 2):
                        row[k] = 0
    return rows.shape[0]
