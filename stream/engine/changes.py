"""Changes: what comes out of the engine, from the kernel's columns to the record that everybody downstream reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from stream.contract import hash64
from stream.engine import opcodes as op
from stream.engine.kernel import Output
from stream.engine.plan import Plan
from stream.engine.profiles import Profiles
from stream.engine.snapshot import Gone
from stream.instants import format_instants
from stream.language.tree import Type

Ints = npt.NDArray[np.int64]
Value = float | int | str | bool | None

CAUSES = ("event", "timer", "definitions")


class Change(TypedDict):
    """One entry or exit; ``schemas/segment-change.schema.json`` describes it on the wire."""

    id: str
    customer_id: str
    segment: str
    change: str
    at: str
    sequence: int
    cause: str
    event_id: str | None
    values: dict[str, Value]
    holdout: bool
    quiet: bool
    definitions: str


@dataclass
class Changes:
    """Changes in the order in which they happened to each customer.

    ``segment``, ``entered`` and ``stay_ms`` (of an exit: how long the customer was a member) are the records' columns
    for whoever counts: (n,) each, aligned with ``records``.
    """

    records: list[Change] = field(default_factory=list)
    segment: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    entered: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    stay_ms: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.records)

    @classmethod
    def joined(cls, parts: list[Changes]) -> Changes:
        """All changes of ``parts``, in order."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls()
        return cls(
            [record for part in parts for record in part.records],
            np.concatenate([part.segment for part in parts]),
            np.concatenate([part.entered for part in parts]),
            np.concatenate([part.stay_ms for part in parts]),
        )


class ChangeWriter:
    """Turns the kernel's output into records."""

    def __init__(self, plan: Plan, profiles: Profiles) -> None:
        self._plan = plan
        self._profiles = profiles
        segments = plan.definitions.segments
        self._names = [segment.name for segment in segments]
        # hash64 / 2**64 < share, without rounding the hash: the product is exact, and so is the comparison in Python.
        self._holdouts = [segment.holdout * 2.0**64 for segment in segments]
        bounds = plan.segments[:, [op.S_EVIDENCE, op.S_EVIDENCE_END]].tolist()
        evidence = plan.evidence.tolist()
        infos = [[plan.values[v] for v in evidence[start:end]] for start, end in bounds]
        self._keys = [tuple(info.text for info in row) for row in infos]
        self._instants = [np.array([info.type is Type.INSTANT for info in row], dtype=np.bool_) for row in infos]

    def held_out(self, segment: int, customer: str) -> bool:
        """Whether the customer belongs to the share that the segment holds out."""
        return _in_share(self._names[segment], customer, self._holdouts[segment])

    def write(self, out: Output, event_ids: list[str] | None, cause: str, *, quiet: bool = False) -> Changes:
        """The records of all that ``out`` holds. ``event_ids`` are those of the batch; without an event it is ``cause``."""
        n, pieces = out.used.tolist()
        if not n:
            return Changes()
        columns = out.changes[:n].copy()
        segments, stays = columns[:, op.O_SEGMENT], columns[:, op.O_STAY]
        values = self._values(out, segments.tolist(), pieces)
        records: list[Change] = []
        for (row, event, segment, _, sequence, piece, stay), at in zip(
            columns.tolist(), format_instants(columns[:, op.O_AT]), strict=True
        ):
            customer = self._profiles.customer(row)
            keys = self._keys[segment]
            records.append(
                {
                    "id": f"{customer}:{sequence}",
                    "customer_id": customer,
                    "segment": self._names[segment],
                    "change": "entered" if stay == op.NONE else "exited",
                    "at": at,
                    "sequence": sequence,
                    "cause": cause if event < 0 else "event",
                    "event_id": None if event < 0 or event_ids is None else event_ids[event],
                    "values": dict(zip(keys, values[piece : piece + len(keys)], strict=True)),
                    "holdout": self.held_out(segment, customer),
                    "quiet": quiet,
                    "definitions": self._plan.definitions_hash,
                }
            )
        return Changes(records, segments, stays == op.NONE, stays)

    def exit_of_gone(self, membership: Gone, sequence: int, at_ms: int, *, quiet: bool) -> Change:
        """The exit from a segment that the definitions do not have any more; there is no evidence left."""
        customer, segment = self._profiles.customer(membership.row), membership.segment
        return {
            "id": f"{customer}:{sequence}",
            "customer_id": customer,
            "segment": segment,
            "change": "exited",
            "at": format_instants(np.array([at_ms]))[0],
            "sequence": sequence,
            "cause": "definitions",
            "event_id": None,
            "values": {},
            "holdout": _in_share(segment, customer, membership.holdout * 2.0**64),
            "quiet": quiet,
            "definitions": self._plan.definitions_hash,
        }

    def _values(self, out: Output, segments: list[int], pieces: int) -> list[Value]:
        """The evidence as people read it: instants as text, whole numbers without a point."""
        types, numbers = out.types[:pieces], out.values[:pieces]
        shown: npt.NDArray[np.object_] = numbers.astype(np.object_)
        whole = (numbers == np.floor(numbers)) & (np.abs(numbers) < 2.0**53)
        if pieces:
            shown[whole] = numbers[whole].astype(np.int64).tolist()
            instants = np.concatenate([self._instants[segment] for segment in segments]) & (types == op.T_NUMBER)
            shown[instants] = format_instants(numbers[instants].astype(np.int64))
            shown[types == op.T_NULL] = None
            for i in np.flatnonzero(types == op.T_TEXT):
                shown[i] = self._profiles.texts.text(int(numbers[i]))
            for i in np.flatnonzero(types == op.T_BOOLEAN):
                shown[i] = bool(numbers[i])
        return list(shown)


def _in_share(segment: str, customer: str, share: float) -> bool:
    """Whether a customer's hash for a segment lies below ``share``, which is 0 ... 2**64."""
    return share > 0.0 and hash64(f"{segment}/{customer}") < share
