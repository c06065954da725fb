"""A partition that counts what happens in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.contract import TOPICS, Kind
from stream.engine.centres import Centres
from stream.engine.changes import Changes
from stream.engine.partition import Applied, Clock, Partition, Status
from stream.engine.plan import Plan
from stream.events.columns import Columns
from stream.live.status import Counters


class CountingPartition(Partition):
    """`Partition` with ``counters``. What was applied before, and is read again after a crash, does not count."""

    def __init__(self, plan: Plan, clock: Clock, lateness_ms: int | None, counters: Counters) -> None:
        super().__init__(plan, clock, lateness_ms)
        self._counters = counters

    def apply(self, batch: Columns, offsets: npt.NDArray[np.int64] | None = None) -> Applied:
        applied = super().apply(batch, offsets)
        counters = self._counters
        fresh = batch.kind[applied.status != Status.REPLAYED]
        for kind, count in enumerate(np.bincount(fresh, minlength=len(Kind)).tolist()):
            counters.events[TOPICS[Kind(kind)]] += count
        counters.duplicates += int(np.count_nonzero(applied.status == Status.DUPLICATE))
        counters.late += int(np.count_nonzero(applied.status == Status.LATE))
        return applied

    def begin_model(self, model: Centres) -> Iterator[Changes]:
        is_late = model.effective_ms < max(self.stream_ms, self.latest_ms)
        self._counters.models["late" if is_late else "in time"] += 1
        return super().begin_model(model)

    def _written(self, *args: Any, **options: Any) -> Changes:
        return self._counted(super()._written(*args, **options))

    def _exits_of_gone(self, *args: Any) -> Changes:
        return self._counted(super()._exits_of_gone(*args))

    def _counted(self, changes: Changes) -> Changes:
        if len(changes):
            found = ((change.segment, change.change, change.cause) for change in changes.items)
            self._counters.changes.update(found)
        return changes
