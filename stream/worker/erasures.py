"""Customers who were erased: what their requests say, what goes out, and what has to be remembered of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from stream.contract import CUSTOMER_ID_LENGTH, LAST_INSTANT, Kind, hash64
from stream.engine import opcodes as op
from stream.engine.partition import Partition
from stream.events.columns import Columns
from stream.instants import format_instant, parse_instant
from stream.worker.interfaces import Record, StoredRecord
from stream.worker.memberships import Memberships
from stream.worker.records import Marker, Residue, residue_key, residue_record

_encode = msgspec.json.Encoder().encode
_NOTHING_SEEN = (op.NONE, op.NONE, op.NONE)


@dataclass(frozen=True)
class Request:
    """Forget ``customer``, and all events at or before ``instant_ms``."""

    customer: str
    instant_ms: int


@dataclass(frozen=True)
class Sifted:
    """Which events count, (n,), and those of them that are of erased customers, by their places."""

    counts: npt.NDArray[np.bool_]
    returning: dict[int, str]

    def returning_in(self, start: int, stop: int) -> list[str]:
        """The erased customers of whom there are events that count at these places."""
        return [customer for place, customer in self.returning.items() if start <= place < stop]


def parse_request(record: StoredRecord) -> Request:
    """What a record of the topic of erasures asks for; raises ``ValueError`` with a reason for people."""
    try:
        customer = (record.key or b"").decode()
    except UnicodeDecodeError:
        raise ValueError("the key is not UTF-8; it must be the customer's id") from None
    if not 1 <= len(customer) <= CUSTOMER_ID_LENGTH:
        raise ValueError(f"the key must be the customer's id, 1 to {CUSTOMER_ID_LENGTH} characters")
    timestamp: Any = record.timestamp_ms
    if record.value:
        try:
            body = msgspec.json.decode(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"the value is no JSON object: {error}") from None
        if not isinstance(body, dict):
            raise ValueError('the value must be empty or like {"timestamp": "2026-01-31T12:00:00Z"}')
        timestamp = body.get("timestamp", timestamp)
    if isinstance(timestamp, str):
        return Request(customer, parse_instant(timestamp))
    if isinstance(timestamp, bool) or not isinstance(timestamp, int) or not 0 <= timestamp <= LAST_INSTANT:
        raise ValueError("`timestamp` must be RFC 3339 text or whole milliseconds, from 1970 to 9999")
    return Request(customer, timestamp)


class Erasures:
    """What is known of the erased customers of one partition.

    ``markers``: of those of whom something read may not be committed yet, and who have no new row. ``residues``, by the
    hash64 of the id: of all.
    """

    def __init__(self) -> None:
        self.markers: dict[str, Marker] = {}
        self.residues: dict[int, Residue] = {}
        self._unwritten: dict[int, None] = {}  # residues that must be written before the row
        self._hashes: npt.NDArray[np.uint64] | None = None

    def add_residues(self, residues: dict[int, Residue]) -> None:
        self.residues.update(residues)
        self._hashes = None

    def add_marker(self, customer: str, marker: Marker) -> None:
        self.markers[customer] = marker
        self.residues[hash64(customer)] = Residue(marker.sequence, marker.instant_ms)
        self._hashes = None

    def has_erased(self, customer: str) -> bool:
        """Whether the customer was erased once; there may have been new events since."""
        return hash64(customer) in self.residues

    # --- events ---

    def sift(self, batch: Columns, offsets: npt.NDArray[np.int64]) -> Sifted | None:
        """Tells events from before an erasure, and those applied before it, from the others; None: all count."""
        if not self.residues:
            return None
        if self._hashes is None:
            self._hashes = np.fromiter(self.residues, dtype=np.uint64, count=len(self.residues))
        met = np.flatnonzero(np.isin(batch.customer_hash, self._hashes))
        if not len(met):
            return None
        counts = np.ones(len(batch), dtype=np.bool_)
        returning = {}
        for i, customer in zip(met.tolist(), batch.select(met).customers(), strict=True):
            marker = self.markers.get(customer)
            is_old = int(batch.time_ms[i]) <= self.residues[int(batch.customer_hash[i])].instant_ms
            counts[i] = not is_old and (marker is None or int(offsets[i]) > marker.seen[int(batch.kind[i])])
            if counts[i]:
                returning[i] = customer
        return Sifted(counts, returning)

    def revive(self, partition: Partition, customers: Sequence[str]) -> None:
        """Makes rows for erased customers of whom there are new events: their sequence goes on."""
        for customer in dict.fromkeys(customers):
            if customer in partition.profiles:
                continue
            customer_hash = hash64(customer)
            residue = self.residues.get(customer_hash)
            if residue is None:
                continue
            marker = self.markers.pop(customer, None)
            words = partition.profiles.row(int(partition.profiles.rows([customer])[0]))
            words[op.R_SEQUENCE] = residue.sequence
            if marker is not None:
                words[op.R_SEEN : op.R_SEEN + len(Kind)] = marker.seen
                self._unwritten[customer_hash] = None  # the row replaces the marker

    # --- erasing ---

    def erase(self, partition: Partition, memberships: Memberships, request: Request) -> list[bytes]:
        """Drops the customer's row for a marker, and returns the changes that say so, as JSON; none if known.

        A request for an instant up to which the customer has been erased already asks for nothing.
        """
        customer, customer_hash = request.customer, hash64(request.customer)
        residue = self.residues.get(customer_hash)
        if residue is not None and residue.instant_ms >= request.instant_ms:
            return []
        changes: list[dict[str, Any]] = []
        at_ms = request.instant_ms
        marker = self.markers.get(customer)
        seen = _NOTHING_SEEN if marker is None else marker.seen
        sequence = 0 if residue is None else residue.sequence
        members: list[tuple[int, int]] = []
        if customer in partition.profiles:
            ((sequence, members),) = memberships.of([customer])
            words = partition.profiles.row(int(partition.profiles.rows([customer])[0]))
            at_ms = max(at_ms, int(words[op.R_CLOCK]))
            clicks, purchases, emails = words[op.R_SEEN : op.R_SEEN + len(Kind)].tolist()
            seen = (clicks, purchases, emails)
        for segment, _ in members:
            sequence += 1
            held_out = memberships.is_held_out(segment, customer)
            changes.append(_change(partition, customer, sequence, at_ms, memberships.name(segment), held_out))
        sequence += 1
        changes.append(_change(partition, customer, sequence, at_ms, None, False))
        partition.remove(customer)
        self.add_marker(customer, Marker(sequence, request.instant_ms, seen))
        return [_encode(change) for change in changes]

    # --- the changelog ---

    def ripe(self, committed: Sequence[int]) -> list[str]:
        """Those whose markers can go: all that was applied to them lies below what is ``committed`` of each topic."""
        return [
            customer
            for customer, marker in self.markers.items()
            if all(seen < offset for seen, offset in zip(marker.seen, committed, strict=True))
        ]

    def bury(self, customers: Sequence[str]) -> list[Record]:
        """Drops markers; the records that leave a residue of each in the changelog and nothing else."""
        records = []
        for customer in customers:
            del self.markers[customer]
            customer_hash = hash64(customer)
            records.append(residue_record(customer_hash, self.residues[customer_hash]))
            records.append(Record(customer.encode(), None))
        return records

    def residue_again(self, customer_hash: int) -> Record:
        """The residue's record as it must be; a tombstone where there is none."""
        residue = self.residues.get(customer_hash)
        if residue is None:
            return Record(residue_key(customer_hash), None)
        return residue_record(customer_hash, residue)

    def unwritten_residues(self) -> list[Record]:
        """Residues that must lie in the changelog before the rows that come next; forgets them."""
        found, self._unwritten = self._unwritten, {}
        return [residue_record(customer_hash, self.residues[customer_hash]) for customer_hash in found]


def _change(
    partition: Partition, customer: str, sequence: int, at_ms: int, segment: str | None, is_held_out: bool
) -> dict[str, Any]:
    """An exit by erasure, or (no segment) the word to forget the customer. It carries no evidence."""
    return {
        "id": f"{customer}:{sequence}",
        "customer_id": customer,
        "segment": segment,
        "change": "erased" if segment is None else "exited",
        "at": format_instant(at_ms),
        "sequence": sequence,
        "cause": "erasure",
        "event_id": None,
        "values": {},
        "holdout": is_held_out,
        "quiet": False,
        "definitions": partition.plan.definitions_hash,
    }
