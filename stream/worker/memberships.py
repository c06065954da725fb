"""Who is in what now: the records of the topic ``memberships``, one a customer."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from stream.engine import opcodes as op
from stream.engine.changes import ChangeWriter
from stream.engine.instant_texts import format_instants
from stream.engine.partition import Partition
from stream.engine.persona_plan import segment_of
from stream.engine.profiles import are_members

Ints = npt.NDArray[np.int64]

_encode = msgspec.json.Encoder().encode


class Memberships:
    """Reads memberships from the rows of one partition.

    A segment's number is its place in the file; those behind the last one are the personas' (p1 is the second).
    """

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._names = [segment.name for segment in partition.plan.definitions.segments]
        self._shares = [segment.holdout > 0.0 for segment in partition.plan.definitions.segments]
        personas = partition.plan.personas
        its = [personas.word, personas.word + 1] if personas else []
        #: The words of a row that are read: the sequence, the segments' states, and which persona since when.
        self._read = np.array([op.R_SEQUENCE, *partition.plan.segments[:, op.S_STATE], *its])
        self._writer = ChangeWriter(partition.plan, partition.profiles)

    def of(self, customers: Sequence[str]) -> list[tuple[int, list[tuple[int, int]]]]:
        """For each customer with a row: the sequence, and (segment's number, since when) of each membership."""
        members: list[list[tuple[int, int]]] = [[] for _ in customers]
        if not customers:
            return []
        sequences, places, segments, instants = self._found(self._partition.profiles.find_all(customers))
        for i, segment, since_ms in zip(places, segments, instants.tolist(), strict=True):
            members[i].append((segment, since_ms))
        return list(zip(sequences, members, strict=True))

    def _found(self, rows: Ints) -> tuple[list[int], list[int], list[int], Ints]:
        """The sequences; and of each membership the customer's place, the segment's number, and since when."""
        assert rows.min() >= 0, "a customer without a row"
        words = self._partition.profiles.gather(rows, self._read)
        states = words[:, 1 : 1 + len(self._names)]
        places, segments = np.nonzero(are_members(states))
        instants = states[places, segments] >> 1
        if self._partition.plan.personas is not None:
            numbers, since_ms = words[:, -2], words[:, -1]
            having = np.flatnonzero(numbers != op.NONE)
            places = np.concatenate([places, having])
            segments = np.concatenate([segments, len(self._names) + numbers[having]])
            instants = np.concatenate([instants, since_ms[having]])
        return words[:, 0].tolist(), places.tolist(), segments.tolist(), instants

    def is_held_out(self, segment: int, customer: str) -> bool:
        return segment < len(self._names) and self._writer.held_out(segment, customer)

    def name(self, segment: int) -> str:
        last = len(self._names)
        return self._names[segment] if segment < last else segment_of(segment - last)

    def values(self, customers: Sequence[str], rows: Ints) -> list[bytes]:
        """The records' values for customers who have ``rows`` (n,)."""
        if not customers:
            return []
        sequences, places, segments, instants = self._found(rows)
        members: list[list[bytes]] = [[] for _ in customers]
        keys = {segment: _encode(self.name(segment)) for segment in set(segments)}
        # Put together from parts, since making objects for all of it takes most of the time.
        for i, segment, since in zip(places, segments, format_instants(instants), strict=True):
            is_rule = segment < len(self._names)
            held_out = is_rule and self._shares[segment] and self._writer.held_out(segment, customers[i])
            members[i].append(
                b'%b:{"since":"%b","holdout":%b}' % (keys[segment], since.encode(), b"true" if held_out else b"false")
            )
        return [
            b'{"customer_id":%b,"sequence":%d,"segments":{%b}}' % (_encode(customer), sequence, b",".join(parts))
            for customer, sequence, parts in zip(customers, sequences, members, strict=True)
        ]
