"""Accumulators in a customer's row: update by an event, roll as the clock moves on, read. Compiled.

A windowed accumulator keeps a ring of buckets; bucket ``b`` lies at ``b % B``. The ring always stands at the
customer's clock: it holds the buckets ``clock // w - B + 1 ... clock // w``. Its running total saves reading the ring
at each event. A look at a later instant (a timer) leaves the ring as it is and takes off what will have left by then.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.compiled import as_float, inner, pasted
from stream.engine import opcodes as op

Ints = npt.NDArray[np.int64]


@inner
def cell_of(row: Ints, at: int, place: int) -> int:
    """Bucket ``place`` of a ring of counts: two of 32 bits in each word behind ``at``."""
    return row[at + 1 + (place >> 1)] >> ((place & 1) << 5) & 0xFFFFFFFF


@inner
def slot_of(row: Ints, at: int, k: int) -> int:
    """Bucket number modulo B of value ``k`` of a windowed set: eight of 8 bits in each word behind the hashes."""
    return row[at + 1 + op.DISTINCT_LIMIT + (k >> 3)] >> ((k & 7) << 3) & 0xFF


@inner
def _set_slot(row: Ints, at: int, k: int, slot: int) -> None:
    row[at + 1 + op.DISTINCT_LIMIT + (k >> 3)] ^= (slot ^ slot_of(row, at, k)) << ((k & 7) << 3)


@inner
def roll(plan: Ints, row: Ints, before_ms: int, now_ms: int) -> None:
    """Drops the buckets that leave the windows as the clock moves from ``before_ms`` (-1: new) to ``now_ms``.

    Also writes when the next bucket of any window will end.
    """
    due = op.FOREVER
    width, head, moved = 0, 0, 0
    windowed = plan[op.P_WINDOWED]
    for k in range(windowed, windowed + plan[op.P_WINDOWED_COUNT]):
        a = plan[k]
        if plan[a + op.A_WIDTH] != width:
            width = plan[a + op.A_WIDTH]
            head = now_ms // width
            moved = head - before_ms // width if before_ms >= 0 else 0
            due = min(due, (head + 1) * width)
        if moved > 0:
            _drop(row, plan[a + op.A_OP], plan[a + op.A_OFFSET], plan[a + op.A_BUCKETS], head, moved)
    row[op.R_ROLL] = due


@inner
def _drop(row: Ints, what: int, at: int, size: int, head: int, moved: int) -> None:
    """Empties the ``moved`` oldest buckets of a ring whose newest bucket becomes ``head``."""
    gone = min(moved, size)
    # The places of the new buckets head - gone + 1 ... head are those of the ones that leave.
    place = (head - gone + 1) % size
    if what == op.COUNT:
        if row[at] == 0:
            return
        for _ in range(gone):
            cell = cell_of(row, at, place)
            row[at] -= cell
            row[at + 1 + (place >> 1)] ^= cell << ((place & 1) << 5)
            place = place + 1 if place + 1 < size else 0
    elif what == op.SUM:
        for _ in range(gone):
            row[at] -= row[at + 1 + place]
            row[at + 1 + place] = 0
            place = place + 1 if place + 1 < size else 0
    elif what == op.DISTINCT:
        _drop_distinct(row, at, size, head - moved, moved)
    else:
        if row[at] == op.NAN_WORD:
            return
        for _ in range(gone):
            row[at + 1 + place] = op.NAN_WORD
            place = place + 1 if place + 1 < size else 0
        row[at] = _extreme(row, at, what, 0, size, size)


@inner
def _drop_distinct(row: Ints, at: int, size: int, head: int, moved: int) -> None:
    """Forgets the values whose latest bucket leaves; ``head`` is the newest bucket before the move."""
    kept = 0
    for k in range(row[at]):
        slot = slot_of(row, at, k)
        if (head - slot) % size + moved < size:
            row[at + 1 + kept] = row[at + 1 + k]
            _set_slot(row, at, kept, slot)
            kept += 1
    row[at] = kept


@inner
def _more_extreme(what: int, word: int, than: int) -> bool:
    """Whether one double is smaller (larger, for MAX) than another, or the other is not there. Both by their bits."""
    if than == op.NAN_WORD:
        return True
    x, y = as_float(word), as_float(than)
    return x < y if what == op.MIN else x > y


@inner
def _extreme(row: Ints, at: int, what: int, place: int, count: int, size: int) -> int:
    """The smallest or largest double of ``count`` buckets from ``place`` on, by its bits; NAN_WORD when none."""
    found = op.NAN_WORD
    for _ in range(count):
        word = row[at + 1 + place]
        if word != op.NAN_WORD and _more_extreme(what, word, found):
            found = word
        place = place + 1 if place + 1 < size else 0
    return found


@pasted
def update(plan: Ints, a: int, row: Ints, t: int, word: int) -> bool:
    """Adds one event at ``t`` to accumulator ``a``; ``word``: its field's value, which is known to be there.

    Returns whether anything that is read from it may have changed, now or at an earlier instant than before.
    """
    what, at = plan[a + op.A_OP], plan[a + op.A_OFFSET]
    width, size = plan[a + op.A_WIDTH], plan[a + op.A_BUCKETS]
    bucket, head, place = 0, 0, 0
    if width > 0:
        bucket, head = t // width, row[op.R_CLOCK] // width
        if bucket + size <= head:
            return False  # late, and its bucket has left the window
        place = bucket % size
    if what == op.COUNT:
        row[at] += 1
        if width > 0:
            row[at + 1 + (place >> 1)] += 1 << ((place & 1) << 5)
        return True
    if what == op.LAST:
        if t <= row[at]:
            return False
        row[at] = t
        return True
    if what == op.FIRST:
        if row[at] != op.NONE and t >= row[at]:
            return False
        row[at] = t
        return True
    if what == op.SUM:
        scaled = np.int64(np.rint(as_float(word) * op.SUM_SCALE))
        row[at] += scaled
        if width > 0:
            row[at + 1 + place] += scaled
        return scaled != 0
    if what == op.MIN or what == op.MAX:
        changed = False
        if _more_extreme(what, word, row[at]):
            row[at] = word
            changed = True
        if width > 0 and _more_extreme(what, word, row[at + 1 + place]):
            row[at + 1 + place] = word
            changed = True
        return changed
    if what == op.DISTINCT:
        return _remember(row, at, word, head, bucket, size)
    if what == op.DAYS:
        return _count_day(row, at, t)
    if what == op.FIRST_VALUE:
        if row[at] != op.NONE and t >= row[at]:
            return False
    elif t < row[at]:
        return False
    changed = row[at] == op.NONE or row[at + 1] != word
    row[at] = t
    row[at + 1] = word
    return changed


@inner
def _remember(row: Ints, at: int, word: int, head: int, bucket: int, size: int) -> bool:
    """Notes a value of a set of up to 32; ``size`` is 0 without a window. True when it is a new one.

    In a window, of more than 32 values those with the latest buckets are kept. That is exact: a value that is dropped
    leaves the window no later than the 32 that stay.
    """
    count, age = row[at], head - bucket
    oldest, oldest_age = np.int64(-1), np.int64(-1)
    for k in range(count):
        other = (head - slot_of(row, at, k)) % size if size > 0 else np.int64(-1)
        if row[at + 1 + k] == word:
            if age < other:
                _set_slot(row, at, k, bucket % size)
            return False
        if other > oldest_age:
            oldest, oldest_age = np.int64(k), other
    if count < op.DISTINCT_LIMIT:
        oldest = count
        row[at] = count + 1
    elif oldest_age <= age:
        return False
    row[at + 1 + oldest] = word
    if size > 0:
        _set_slot(row, at, oldest, bucket % size)
    return True


@inner
def _count_day(row: Ints, at: int, t: int) -> bool:
    """Counts a day with an event when it lies after the latest or before the earliest so far."""
    if row[at + 1] == op.NONE:
        row[at + 1] = t
        row[at + 2] = t
        return True
    if row[at + 1] <= t <= row[at + 2]:
        return False
    day = t // 86_400_000
    if day > row[at + 2] // 86_400_000 or day < row[at + 1] // 86_400_000:
        row[at] += 1
    row[at + 1] = min(row[at + 1], t)
    row[at + 2] = max(row[at + 2], t)
    return True


# --- Reading a window at an instant ---------------------------------------------------------------------------------


@inner
def gone_by(row: Ints, width: int, now_ms: int) -> int:
    """How many buckets will have left a window of that width between the customer's clock and ``now_ms``."""
    return now_ms // width - row[op.R_CLOCK] // width


@inner
def count_at(row: Ints, at: int, width: int, size: int, now_ms: int) -> int:
    """Events in the window at ``now_ms``, which is not before the clock."""
    total = row[at]
    if total == 0 or width == 0 or now_ms == row[op.R_CLOCK]:
        return total
    place = (row[op.R_CLOCK] // width + 1) % size
    for _ in range(min(gone_by(row, width, now_ms), size)):
        total -= cell_of(row, at, place)
        place = place + 1 if place + 1 < size else 0
    return total


@inner
def sum_at(row: Ints, at: int, width: int, size: int, now_ms: int) -> int:
    """Sum over the window at ``now_ms``, in units of 1/10000."""
    total = row[at]
    if width == 0 or now_ms == row[op.R_CLOCK]:
        return total
    place = (row[op.R_CLOCK] // width + 1) % size
    for _ in range(min(gone_by(row, width, now_ms), size)):
        total -= row[at + 1 + place]
        place = place + 1 if place + 1 < size else 0
    return total


@inner
def extreme_at(row: Ints, at: int, what: int, width: int, size: int, now_ms: int) -> int:
    """Smallest or largest value in the window at ``now_ms``, by its bits; NAN_WORD when there is none."""
    if width == 0 or row[at] == op.NAN_WORD or now_ms == row[op.R_CLOCK]:
        return row[at]
    gone = min(gone_by(row, width, now_ms), size)
    return _extreme(row, at, what, (row[op.R_CLOCK] // width + 1 + gone) % size, size - gone, size)


@inner
def distinct_at(row: Ints, at: int, width: int, size: int, now_ms: int) -> int:
    """Different values in the window at ``now_ms``, at most 32."""
    count = row[at]
    if width == 0 or count == 0 or now_ms == row[op.R_CLOCK]:
        return count
    head, gone = row[op.R_CLOCK] // width, gone_by(row, width, now_ms)
    left = 0
    for k in range(count):
        if (head - slot_of(row, at, k)) % size + gone < size:
            left += 1
    return left


# --- The next step of a window in time ------------------------------------------------------------------------------


@inner
def next_step(row: Ints, what: int, at: int, width: int, size: int, now_ms: int) -> int:
    """The first instant after ``now_ms`` at which a bucket that holds something leaves; FOREVER when none does."""
    head = row[op.R_CLOCK] // width
    first = now_ms // width - size + 1  # the oldest bucket still in the window
    if what == op.DISTINCT:
        oldest = op.FOREVER
        for k in range(row[at]):
            bucket = head - (head - slot_of(row, at, k)) % size
            if bucket >= first:
                oldest = min(oldest, bucket)
        return (oldest + size) * width if oldest < op.FOREVER else op.FOREVER
    if what == op.COUNT and row[at] == 0:
        return op.FOREVER
    place = first % size
    for bucket in range(first, head + 1):
        if what == op.COUNT:
            holds = cell_of(row, at, place) != 0
        elif what == op.SUM:
            holds = row[at + 1 + place] != 0
        else:
            holds = row[at + 1 + place] != op.NAN_WORD
        if holds:
            return (bucket + size) * width
        place = place + 1 if place + 1 < size else 0
    return op.FOREVER
