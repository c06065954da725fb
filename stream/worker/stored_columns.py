"""Records of a log that owners write, as they were read: by the thousand, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from stream.worker.interfaces import Record, StoredRecord
from stream.worker.record_columns import RecordColumns

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StoredColumns(Sequence[StoredRecord]):
    """``n`` records in the order of their ``offsets`` (n,); where one has no timestamp, ``times_ms`` (n,) is negative.

    ``records`` is what their writers gave.
    """

    offsets: Ints
    times_ms: Ints
    records: RecordColumns

    @classmethod
    def of(cls, records: Sequence[StoredRecord]) -> StoredColumns:
        """The same of single records."""
        if isinstance(records, StoredColumns):
            return records
        return cls(
            np.array([record.offset for record in records], np.int64),
            np.array([record.timestamp_ms for record in records], np.int64),
            RecordColumns.of([Record(record.key, record.value, record.headers) for record in records]),
        )

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, index: int) -> StoredRecord: ...

    @overload
    def __getitem__(self, index: slice) -> StoredColumns: ...

    def __getitem__(self, index: int | slice) -> StoredRecord | StoredColumns:
        if isinstance(index, slice):
            return StoredColumns(self.offsets[index], self.times_ms[index], self.records[index])
        return StoredRecord(int(self.offsets[index]), int(self.times_ms[index]), *self.records[index])
