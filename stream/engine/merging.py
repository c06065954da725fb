"""Merging the three topics of a partition by time while a worker catches up."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stream.contract import Kind
from stream.events.columns import Columns, concatenate

Ints = npt.NDArray[np.int64]


@dataclass
class _Buffer:
    """Decoded events of one topic that wait, as they came, and whether more of it is known to exist."""

    events: list[Columns] = field(default_factory=list)
    offsets: list[Ints] = field(default_factory=list)
    behind: bool = True

    def __len__(self) -> int:
        return sum(map(len, self.events))

    def add(self, events: Columns, offsets: Ints) -> None:
        self.events.append(events)
        self.offsets.append(offsets)

    def clear(self) -> None:
        self.events, self.offsets = [], []


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
        buffer.add(events, offsets)

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
        buffers = [self._buffers[kind] for kind in filled]
        events = concatenate([part for buffer in buffers for part in buffer.events])
        offsets = np.concatenate([part for buffer in buffers for part in buffer.offsets])
        bounds = np.cumsum([0, *map(len, buffers)])
        order = _merged_order(events.time_ms, bounds)
        topics = np.repeat(np.arange(len(filled)), np.diff(bounds))[order]
        end = len(order)
        for topic, buffer in enumerate(buffers):
            if buffer.behind:
                # After its last buffered event, the topic's next one might be the earliest.
                end = min(end, int(np.flatnonzero(topics == topic)[-1]) + 1)
        if until_ms is not None:
            later = np.flatnonzero(events.time_ms[order[:end]] > until_ms)
            end = int(later[0]) if len(later) else end
        if not end:
            return None
        counts = np.bincount(topics[:end], minlength=len(filled))
        for buffer, start, count, stop in zip(buffers, bounds[:-1], counts, bounds[1:], strict=True):
            buffer.clear()
            if start + count < stop:
                rest = events.select(np.arange(start + count, stop))
                rest.compact()
                buffer.add(rest, offsets[start + count : stop])
        taken = order[:end]
        return events.select(taken), offsets[taken]


def _merged_order(times_ms: Ints, bounds: Ints) -> Ints:
    """The order of a merge by first events, as indices; topic ``i`` has those from ``bounds[i]`` to ``bounds[i + 1]``.

    An event behind a later one of its topic follows that at once (the other topics' first events are later still), so
    merging is sorting by the largest timestamp so far of each topic, ties by topic, then by place.
    """
    keys = times_ms.copy()
    for start, stop in itertools.pairwise(bounds.tolist()):
        np.maximum.accumulate(keys[start:stop], out=keys[start:stop])
    return np.argsort(keys, kind="stable")
