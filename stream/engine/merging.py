"""Merging the three topics of a partition by time while a worker catches up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.contract import Kind
from stream.events.columns import Columns, concatenate

Ints = npt.NDArray[np.int64]


@dataclass
class _Buffer:
    """Decoded events of one topic that wait, and whether more of it is known to exist."""

    events: Columns | None = None
    offsets: Ints | None = None
    behind: bool = True

    def __len__(self) -> int:
        return 0 if self.events is None else len(self.events)


class Merger:
    """Three ordered inputs, one output: always the earliest of the topics' first events; ties: click, purchase, email.

    Each topic keeps its own order, late events included. While a topic is ``behind`` (more of it exists, or nobody
    knows yet) and nothing of it is buffered, nothing is given out: its next event might be the earliest. So the order
    does not depend on how the topics were fetched.
    """

    def __init__(self) -> None:
        self._buffers = {kind: _Buffer() for kind in Kind}

    def __len__(self) -> int:
        return sum(map(len, self._buffers.values()))

    def waiting(self, kind: Kind) -> int:
        """How many events of a topic are buffered."""
        return len(self._buffers[kind])

    def push(self, kind: Kind, events: Columns, offsets: Ints) -> None:
        """Adds events of one topic behind those that wait; ``offsets`` (n,) int64 in its partition."""
        buffer = self._buffers[kind]
        assert len(events) == len(offsets), "an offset for each event"
        if not len(events):
            return
        if buffer.events is None or buffer.offsets is None:
            buffer.events, buffer.offsets = events, offsets
        else:
            buffer.events = concatenate([buffer.events, events])
            buffer.offsets = np.concatenate([buffer.offsets, offsets])

    def set_behind(self, kind: Kind, *, behind: bool) -> None:
        """Says whether more events of a topic exist than have been pushed."""
        self._buffers[kind].behind = behind

    @property
    def caught_up(self) -> bool:
        """Whether all that exists has been given out."""
        return not len(self) and not any(buffer.behind for buffer in self._buffers.values())

    def clear(self) -> None:
        """Forgets what is buffered, as at every rebalance."""
        for kind in Kind:
            self._buffers[kind] = _Buffer()

    def take(self, until_ms: int | None = None) -> tuple[Columns, Ints] | None:
        """All events that can be given out now, in order, with their offsets; None when there are none.

        With ``until_ms`` it stops before the first event later than that, in merged order: that one and all behind it
        stay buffered.
        """
        filled = [kind for kind in Kind if len(self._buffers[kind])]
        if not filled or any(b.behind and not len(b) for b in self._buffers.values()):
            return None
        events, offsets = [], []
        for kind in filled:
            buffer = self._buffers[kind]
            assert buffer.events is not None
            assert buffer.offsets is not None
            events.append(buffer.events)
            offsets.append(buffer.offsets)
        order = _merged_order(events)
        kinds = np.concatenate([np.full(len(e), kind) for kind, e in zip(filled, events, strict=True)])[order]
        times = np.concatenate([e.time_ms for e in events])[order]
        end = len(order)
        for kind in filled:
            if self._buffers[kind].behind:
                # After its last buffered event, the topic's next one might be the earliest.
                end = min(end, int(np.flatnonzero(kinds == kind)[-1]) + 1)
        if until_ms is not None:
            later = np.flatnonzero(times[:end] > until_ms)
            end = int(later[0]) if len(later) else end
        if not end:
            return None
        taken = order[:end]
        joined = concatenate(events)
        result = joined.select(taken), np.concatenate(offsets)[taken]
        for kind in filled:
            self._drop(kind, int((kinds[:end] == kind).sum()))
        return result

    def _drop(self, kind: Kind, count: int) -> None:
        """Takes the first ``count`` events of a topic out of its buffer."""
        buffer = self._buffers[kind]
        assert buffer.events is not None
        assert buffer.offsets is not None
        if count == len(buffer.events):
            buffer.events = buffer.offsets = None
        elif count:
            buffer.events = buffer.events.select(np.arange(count, len(buffer.events)))
            buffer.offsets = buffer.offsets[count:]


def _merged_order(events: list[Columns]) -> Ints:
    """The order of a merge by first events, as indices into the topics laid one behind the other.

    An event behind a later one of its topic follows that at once (the other topics' first events are later still), so
    merging is sorting by the largest timestamp so far of each topic, ties by topic, then by place.
    """
    keys = np.concatenate([np.maximum.accumulate(e.time_ms) for e in events])
    return np.argsort(keys, kind="stable")
