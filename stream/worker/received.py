"""Records as they come from a topic of events: by the thousand, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.events.bytestrings import Bytestrings
from stream.worker.interfaces import StoredRecord

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Received:
    """``n`` records in the order of their ``offsets`` (n,); where one has no timestamp, ``times_ms`` (n,) is negative.

    Headers are left out: those of events do not count.
    """

    offsets: Ints
    times_ms: Ints
    keys: Bytestrings
    values: Bytestrings

    @classmethod
    def of(cls, records: Sequence[StoredRecord]) -> Received:
        """The same of single records."""
        return cls(
            np.fromiter((record.offset for record in records), np.int64, len(records)),
            np.fromiter((record.timestamp_ms for record in records), np.int64, len(records)),
            Bytestrings.of([record.key for record in records]),
            Bytestrings.of([record.value for record in records]),
        )

    @classmethod
    def joined(cls, parts: Sequence[Received]) -> Received:
        """All of ``parts``, one at least, in order."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.offsets for part in parts]),
            np.concatenate([part.times_ms for part in parts]),
            Bytestrings.joined([part.keys for part in parts]),
            Bytestrings.joined([part.values for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.offsets)

    def record(self, index: int) -> StoredRecord:
        """One of them."""
        return StoredRecord(int(self.offsets[index]), int(self.times_ms[index]), self.keys[index], self.values[index])

    def records(self) -> list[StoredRecord]:
        """Each of them."""
        return [self.record(index) for index in range(len(self))]
