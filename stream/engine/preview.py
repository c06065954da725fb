"""What drafted definitions would make of the present customers: looked at in slices, so that others may go on between.

Each slice of rows is carried into a partition of its own that has the draft's plan, as a restart with the draft would
carry all of them, and evaluated there once. The present partition is only read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stream.contract import hash64
from stream.engine import opcodes as op
from stream.engine.changes import Changes, ChangeWriter
from stream.engine.partition import Clock, Partition
from stream.engine.plan import Plan
from stream.engine.profiles import are_members
from stream.engine.working_memory import WorkingMemory
from stream.events.columns import Columns

Ints = npt.NDArray[np.int64]

#: How many members are named.
SAMPLE = 20


@dataclass
class Size:
    """Of one drafted segment: who would be a member at once, and who was one before.

    ``eligible`` are others who satisfy its conditions, and would enter when ``for`` or ``cooldown`` is over. ``before``
    is None where no segment has had that name. ``sample`` has members by their hashes: the same each time.
    """

    name: str
    members: int = 0
    held_out: int = 0
    eligible: int = 0
    before: int | None = None
    sample: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: Size) -> None:
        """Takes over what has been counted in another partition."""
        self.members += other.members
        self.held_out += other.held_out
        self.eligible += other.eligible
        if other.before is not None:
            self.before = (self.before or 0) + other.before
        self.sample = sorted(self.sample + other.sample)[:SAMPLE]


class Preview:
    """Of the customers of one partition under ``plan``; the ``names`` are its drafted segments."""

    def __init__(self, plan: Plan, present: Plan, names: Sequence[str]) -> None:
        self._before = _state_words(present)
        self._words = _state_words(plan)
        self.sizes = {name: Size(name, before=0 if name in self._before else None) for name in names}
        self.customers = 0
        self._plan = plan
        self._position = 0
        self._numbers = {segment.name: number for number, segment in enumerate(plan.definitions.segments)}

    def look(self, present: Partition, rows: int) -> bool:
        """Looks at the customers of the next ``rows`` rows, between two batches; False when there are no more.

        A customer who came since the beginning may be among them or not.
        """
        start, stop = self._position, min(self._position + rows, present.profiles.end)
        self._position = stop
        every = present.profiles.every_row()
        chosen = every[np.searchsorted(every, start) : np.searchsorted(every, stop)]
        if len(chosen):
            self._look_at(present, chosen)
        return stop < present.profiles.end

    def _look_at(self, present: Partition, rows: Ints) -> None:
        customers = present.profiles.customers(rows)
        scratch = _Scratch(self._plan, present.clock, present.lateness_ms)
        scratch.restore(present.snapshot(customers))
        scratch.redefine()
        self.customers += len(customers)
        before, now = present.profiles.gather(rows), scratch.profiles.gather(scratch.profiles.rows(customers))
        for name, size in self.sizes.items():
            number = self._numbers[name]
            state = now[:, self._words[name]]
            is_in = are_members(state)
            size.members += int(np.count_nonzero(is_in))
            size.eligible += int(np.count_nonzero((state >= 0) & ~is_in))
            members = np.flatnonzero(is_in)
            if self._plan.definitions.segments[number].holdout > 0.0:
                size.held_out += sum(scratch.is_held_out(number, customers[i]) for i in members.tolist())
            some = [(hash64(f"{name}/{customers[i]}"), customers[i]) for i in members[:SAMPLE].tolist()]
            size.sample = sorted(size.sample + some)[:SAMPLE]
            if size.before is not None:
                size.before += int(np.count_nonzero(are_members(before[:, self._before[name]])))


def prepare(plan: Plan) -> None:
    """Loads what is compiled before somebody waits for it: looks at one customer."""
    partition = Partition(plan)
    partition.stream_ms = 0
    partition.profiles.rows(["-"])
    Preview(plan, plan, [segment.name for segment in plan.definitions.segments]).look(partition, 1)


class _Scratch(Partition):
    """A partition of which only the rows count: it makes no records of changes, which would take most of the time."""

    def __init__(self, plan: Plan, clock: Clock, lateness_ms: int) -> None:
        super().__init__(plan, clock, lateness_ms)
        self._writer = _SilentWriter(plan, self.profiles)


class _SilentWriter(ChangeWriter):
    def write(self, work: WorkingMemory, batch: Columns, cause: str, *, quiet: bool = False) -> Changes:  # noqa: ARG002
        return Changes()


def _state_words(plan: Plan) -> dict[str, int]:
    """Where each segment's state lies in a row."""
    words = plan.segments[:, op.S_STATE].tolist()
    return {segment.name: word for segment, word in zip(plan.definitions.segments, words, strict=True)}


def without_history(plan: Plan, present: Plan, names: Sequence[str]) -> dict[str, list[str]]:
    """For each drafted segment what it names that present rows know nothing of: until they do, nobody is let in."""
    known = frozenset(part.key for part in present.layout.parts)
    return {
        segment.name: plan.without_history(number, known)
        for number, segment in enumerate(plan.definitions.segments)
        if segment.name in names
    }
