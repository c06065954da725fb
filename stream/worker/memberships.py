"""Who is in what now: the records of the topic ``memberships``, one a customer."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from stream.engine import opcodes as op
from stream.engine.changes import ChangeWriter
from stream.engine.partition import Partition
from stream.instants import format_instant

_encode = msgspec.json.Encoder().encode


class Memberships:
    """Reads memberships from the rows of one partition."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._names = [segment.name for segment in partition.plan.definitions.segments]
        self._words = partition.plan.segments[:, op.S_STATE]
        self._writer = ChangeWriter(partition.plan, partition.profiles)

    def of(self, customers: Sequence[str]) -> list[tuple[int, list[tuple[int, int]]]]:
        """For each customer with a row: the sequence, and (segment's number, since when) of each membership."""
        profiles = self._partition.profiles
        if not customers:
            return []
        rows = profiles.find_all(customers)
        assert rows.min() >= 0, "a customer without a row"
        words = profiles.gather(rows)
        states = words[:, self._words]
        members: list[list[tuple[int, int]]] = [[] for _ in customers]
        for i, segment in zip(*np.nonzero((states >= 0) & (states & 1 == 1)), strict=True):
            members[i].append((int(segment), int(states[i, segment]) >> 1))
        return list(zip(words[:, op.R_SEQUENCE].tolist(), members, strict=True))

    def is_held_out(self, segment: int, customer: str) -> bool:
        return self._writer.held_out(segment, customer)

    def name(self, segment: int) -> str:
        return self._names[segment]

    def values(self, customers: Sequence[str]) -> list[bytes]:
        """The records' values for customers who have rows."""
        return [
            _encode(
                {
                    "customer_id": customer,
                    "sequence": sequence,
                    "segments": {
                        self._names[segment]: {
                            "since": format_instant(since_ms),
                            "holdout": self._writer.held_out(segment, customer),
                        }
                        for segment, since_ms in members
                    },
                }
            )
            for customer, (sequence, members) in zip(customers, self.of(customers), strict=True)
        ]
