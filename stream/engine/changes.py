"""Changes: what comes out of the engine, from the kernel's columns to the record that everybody downstream reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from stream.contract import hash64
from stream.engine import opcodes as op
from stream.engine.instant_texts import format_instants
from stream.engine.persona_plan import segment_of
from stream.engine.plan import Plan
from stream.engine.profiles import Profiles
from stream.engine.snapshot import Gone
from stream.engine.texts import TextPool
from stream.engine.working_memory import WorkingMemory
from stream.events.columns import Columns
from stream.events.spans import present_texts
from stream.instants import format_instant
from stream.language.tree import Type

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Value = float | int | str | bool | None

_WORDS = ("exited", "entered")


class Change(msgspec.Struct, frozen=True, gc=False):
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


_ENCODER = msgspec.json.Encoder()


@dataclass
class Changes:
    """Changes in the order in which they happened to each customer.

    ``segment`` (the segment's number; NONE: a persona, or one that is not in the definitions), ``entered``, ``stay_ms``
    (of an exit: how long the customer was a member), ``at_ms`` and ``by_event`` (whether an event is the cause) are
    columns for whoever counts: (n,) each, aligned with ``items``.
    """

    items: list[Change] = field(default_factory=list)
    segment: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    entered: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    stay_ms: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    at_ms: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    by_event: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def __len__(self) -> int:
        return len(self.items)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The changes as the objects that their JSON says."""
        return [msgspec.to_builtins(change) for change in self.items]

    def json_lines(self) -> bytes:
        """The changes as JSON, one a line."""
        return _ENCODER.encode_lines(self.items)

    @classmethod
    def joined(cls, parts: list[Changes]) -> Changes:
        """All changes of ``parts``, in order."""
        parts = [part for part in parts if part.items]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls()
        return cls(
            [change for part in parts for change in part.items],
            np.concatenate([part.segment for part in parts]),
            np.concatenate([part.entered for part in parts]),
            np.concatenate([part.stay_ms for part in parts]),
            np.concatenate([part.at_ms for part in parts]),
            np.concatenate([part.by_event for part in parts]),
        )


class ChangeWriter:
    """Turns the kernel's output into records."""

    def __init__(self, plan: Plan, profiles: Profiles) -> None:
        self._plan = plan
        self._profiles = profiles
        segments = plan.definitions.segments
        self._segments = len(segments)
        self._names = [segment.name for segment in segments]
        # hash64 / 2**64 < share, without rounding the hash: the product is exact, and so is the comparison in Python.
        self._holdouts = [*(segment.holdout * 2.0**64 for segment in segments), 0.0]
        self._holds_out = np.array(self._holdouts) > 0.0
        bounds = plan.segments[:, [op.S_EVIDENCE, op.S_EVIDENCE_END]].tolist()
        evidence = plan.evidence.tolist()
        infos = [[plan.values[v] for v in evidence[start:end]] for start, end in bounds]
        self._keys = [tuple(info.text for info in row) for row in infos]
        are_instants = [[info.type is Type.INSTANT for info in row] for row in infos]
        # All personas have the same evidence, that of one segment more.
        personas = plan.personas
        self._keys.append(personas.features if personas else ())
        are_instants.append(list(personas.are_instants) if personas else [])
        # The types of all evidence, segment after segment, and where each segment's begins.
        self._is_instant = np.array([flag for row in are_instants for flag in row], dtype=np.bool_)
        self._sizes = np.array([len(row) for row in are_instants], dtype=np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes

    def held_out(self, segment: int, customer: str) -> bool:
        """Whether the customer belongs to the share that the segment holds out."""
        return _in_share(self._names[segment], customer, self._holdouts[segment])

    def write(self, work: WorkingMemory, batch: Columns, cause: str, *, quiet: bool = False) -> Changes:
        """The changes that ``work`` holds. Events are those of ``batch``; ``cause``: where there is none."""
        columns = work.changes()
        if not columns.size:
            return Changes()
        customers = self._profiles.customers(columns[op.O_ROW])
        _, events, segments, _, sequences, starts, _ = columns.tolist()
        places = np.minimum(columns[op.O_SEGMENT], self._segments)
        ends = (columns[op.O_EVIDENCE] + self._sizes[places]).tolist()
        values = self._values(work, places)
        keys = [self._keys[place] for place in places.tolist()]
        entered = columns[op.O_STAY] == op.NONE
        # Columns and `map` instead of a loop: this is a fifth of the time of a busy partition.
        items = map(
            Change,
            [f"{customer}:{sequence}" for customer, sequence in zip(customers, sequences, strict=True)],
            customers,
            self._named(segments),
            [_WORDS[flag] for flag in entered.tolist()],
            format_instants(columns[op.O_AT]),
            sequences,
            [cause if event < 0 else "event" for event in events],
            self._event_ids(columns[op.O_EVENT], batch),
            [
                dict(zip(names, values[start:end], strict=False))  # of equal length, and asking takes time
                for names, start, end in zip(keys, starts, ends, strict=True)
            ],
            self._held_out(places, customers),
            repeat(quiet),
            repeat(self._plan.definitions_hash),
        )
        by_event = columns[op.O_EVENT] >= 0
        return Changes(
            list(items),
            np.where(places < self._segments, places, op.NONE),
            entered,
            columns[op.O_STAY],
            columns[op.O_AT].copy(),
            by_event,
        )

    def _named(self, segments: list[int]) -> list[str]:
        if self._plan.personas is None:
            return [self._names[segment] for segment in segments]
        last = self._segments
        return [self._names[s] if s < last else segment_of(s - last) for s in segments]

    def _held_out(self, segments: Ints, customers: list[str]) -> Iterable[bool]:
        """Whether each customer belongs to the share that each segment holds out."""
        asked = np.flatnonzero(self._holds_out[segments])
        if not len(asked):
            return repeat(False)
        held = [False] * len(segments)
        for i, segment in zip(asked.tolist(), segments[asked].tolist(), strict=True):
            held[i] = self.held_out(segment, customers[i])
        return held

    @staticmethod
    def _event_ids(events: Ints, batch: Columns) -> list[Any]:
        """The id of each event (n,) of the batch; None where there is no event."""
        caused = events >= 0
        if not caused.any():
            return [None] * len(events)
        ids = present_texts(batch.data, batch.event_id[events[caused]])
        if len(ids) == len(events):
            return ids
        some: npt.NDArray[np.object_] = np.full(len(events), None, dtype=np.object_)
        some[caused] = ids
        listed: list[Any] = some.tolist()
        return listed

    def exit_of_gone(self, membership: Gone, sequence: int, at_ms: int, *, quiet: bool) -> Change:
        """The exit from a segment that the definitions do not have any more; there is no evidence left."""
        customer, segment = self._profiles.customer(membership.row), membership.segment
        return Change(
            id=f"{customer}:{sequence}",
            customer_id=customer,
            segment=segment,
            change="exited",
            at=format_instant(at_ms),
            sequence=sequence,
            cause="definitions",
            event_id=None,
            values={},
            holdout=_in_share(segment, customer, membership.holdout * 2.0**64),
            quiet=quiet,
            definitions=self._plan.definitions_hash,
        )

    def _values(self, work: WorkingMemory, segments: Ints) -> list[Value]:
        """The evidence as people read it."""
        types, numbers = work.evidence()
        sizes = self._sizes[segments]
        which = np.repeat(self._starts[segments] - np.cumsum(sizes) + sizes, sizes) + np.arange(len(types))
        return readable(types, numbers, self._is_instant[which], self._profiles.texts)


def readable(types: Ints, numbers: Floats, is_instant: npt.NDArray[np.bool_], pool: TextPool) -> list[Value]:
    """Values (n,) as people read them: instants as text, whole numbers without a point."""
    shown: npt.NDArray[np.object_] = numbers.astype(np.object_)
    instants = is_instant & (types == op.T_NUMBER)
    whole = (types == op.T_NUMBER) & (np.abs(numbers) < 2.0**53) & (numbers == np.floor(numbers)) & ~instants
    shown[whole] = numbers[whole].astype(np.int64)
    shown[instants] = format_instants(numbers[instants].astype(np.int64))
    shown[types == op.T_NULL] = None
    texts = types == op.T_TEXT
    shown[texts] = pool.texts(numbers[texts].astype(np.int64))
    booleans = types == op.T_BOOLEAN
    shown[booleans] = numbers[booleans] != 0.0
    values: list[Value] = shown.tolist()
    return values


def _in_share(segment: str, customer: str, share: float) -> bool:
    """Whether a customer's hash for a segment lies below ``share``, which is 0 ... 2**64."""
    return share > 0.0 and hash64(f"{segment}/{customer}") < share
