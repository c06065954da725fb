"""One partition: all that the events of its customers, and time, do to them. Pure: no I/O, no clock of its own."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.engine import kernel
from stream.engine import opcodes as op
from stream.engine.centres import Centres, check_fits, name_others, named_personas, write_model
from stream.engine.changes import Change, Changes, ChangeWriter
from stream.engine.image import Image, fingerprint_of
from stream.engine.plan import Plan
from stream.engine.portrait import Portrait, Portraitist
from stream.engine.profiles import Profiles, are_members
from stream.engine.snapshot import Gone, RowCodec, Snapshot
from stream.engine.standing import Standing
from stream.engine.unassigned import Unassigned
from stream.engine.vectors import read_vectors
from stream.engine.working_memory import WorkingMemory
from stream.events.bytestrings import Bytestrings
from stream.events.columns import NO_COLUMNS, Columns
from stream.events.scan_layout import TRAIT_EVENT, TRAIT_HASH, TRAIT_NUMBER, TRAIT_TYPE, TRAIT_VALUE

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Changes and pieces of evidence that the kernel's output holds before it is emptied.
_OUTPUT_CHANGES = 4_096
_OUTPUT_EVIDENCE = 4 * _OUTPUT_CHANGES

#: Rows whose timers fire before their changes are handed on.
_ROWS_AT_ONCE = 16_384
#: Rows to which a model is applied before others have their turn: some milliseconds.
_ASSIGNED_AT_ONCE = 8_192

#: No segment lets nobody in.
_NOBODY = np.zeros(0, dtype=np.bool_)
_NO_STATUS = np.zeros(0, dtype=np.int8)

#: What causes a change where no event does.
_CAUSES = {kernel.APPLY: "timer", kernel.FIRE: "timer", kernel.REDEFINE: "definitions", kernel.MODEL: "model"}


class Clock(enum.Enum):
    """What moves a partition's stream clock."""

    HELD = "held"  # nothing but advance(): a replay
    EVENTS = "events"  # the events read, less the lateness; and advance()


class Status(enum.IntEnum):
    """What became of an event."""

    APPLIED = op.APPLIED
    DUPLICATE = op.DUPLICATE  # its event or order id is among those remembered
    REPLAYED = op.REPLAYED  # its offset has been seen
    LATE = op.LATE  # applied, with a timestamp before the customer's clock


@dataclass
class Applied:
    """What a batch did: its changes, and of each event (n,) the row it belongs to and a ``Status``, int64 and int8."""

    changes: Changes
    rows: Ints
    status: npt.NDArray[np.int8]


class Partition:
    """The engine of one partition. Give it batches in order; it gives back changes.

    ``stream_ms`` is the stream clock (-1 before the first event), ``latest_ms`` the largest timestamp of the valid
    events so far, duplicates included. ``lateness_ms`` is how far the stream clock keeps behind the events.
    """

    def __init__(self, plan: Plan, clock: Clock = Clock.HELD, lateness_ms: int | None = None) -> None:
        self.plan = plan
        self.clock = clock
        declared = plan.definitions.lateness_ms or 0
        self.lateness_ms = declared if lateness_ms is None else lateness_ms
        self.profiles = Profiles(plan)
        self.stream_ms = op.NONE
        self.latest_ms = op.NONE
        self._writer = ChangeWriter(plan, self.profiles)
        # The model of personas lies among them, and is this partition's own.
        self._constants = plan.arrays.constants.copy()
        self._portraitist = Portraitist(plan, self._constants, self.profiles, self._writer)
        self._codec = RowCodec(plan, self.profiles)
        self._no_events = self._events(NO_COLUMNS, None, np.zeros(0, dtype=np.int64))
        self._work = WorkingMemory(plan, _OUTPUT_CHANGES, _OUTPUT_EVIDENCE)
        self._unassigned = Unassigned()

    def prepare(self) -> None:
        """Loads the kernel from its cache, or compiles it where there is none: some seconds, once a machine."""
        kernel.place_of(0)
        self._run(kernel.FIRE, np.zeros(0, dtype=np.int64), _NOBODY, op.NONE, self._no_events, _NO_STATUS, 0)

    def prepare_portraits(self) -> None:
        """The same for what portraits and standings take."""
        self._portraitist.prepare()

    # --- events and time ---

    def apply(self, batch: Columns, offsets: Ints | None = None) -> Applied:
        """Applies a batch of valid events in order.

        ``offsets`` (n,) int64 are the events' offsets in their topics: one at or below the last seen of its customer
        and topic is skipped. With ``Clock.EVENTS`` the timers of silent customers fire as well.
        """
        n = len(batch)
        status = np.zeros(n, dtype=np.int8)
        if not n:
            return Applied(Changes(), np.zeros(0, dtype=np.int64), status)
        latest = np.maximum(np.maximum.accumulate(batch.time_ms), self.latest_ms)
        self.latest_ms = int(latest[-1])
        if self.clock is Clock.EVENTS:
            stream = np.maximum(latest - self.lateness_ms, self.stream_ms)
        else:
            stream = np.full(n, self.stream_ms, dtype=np.int64)
        self.stream_ms = int(stream[-1])
        rows = self.profiles.rows_of(batch.data, batch.customer, batch.customer_hash)
        changes = [self._assign_anew(self._unassigned.take(rows))]
        changes += self._fill(kernel.APPLY, rows, _NOBODY, op.NONE, batch, self._events(batch, offsets, stream), status)
        if self.clock is Clock.EVENTS:
            due = self.profiles.due_by(self.stream_ms)
            anew = self._unassigned.take(due)
            if len(anew):
                changes += [self._written(kernel.APPLY, batch), self._assign_anew(anew)]
            changes += self._fill(kernel.FIRE, due, _NOBODY, self.stream_ms, batch)
        changes.append(self._written(kernel.APPLY, batch))
        self.profiles.sweep_texts()
        return Applied(Changes.joined(changes), rows, status)

    def advance(self, to_ms: int) -> Changes:
        """Moves the stream clock on to ``to_ms`` (never back) and fires all that is due by then."""
        return Changes.joined(list(self.advance_in_groups(to_ms)))

    def advance_in_groups(self, to_ms: int) -> Iterator[Changes]:
        """`advance` for very many customers: the clock moves at once, and each group of changes is made when asked for.

        A customer's changes are all in one group. What is not asked for stays due.
        """
        self.stream_ms = max(self.stream_ms, to_ms)
        return self._fire(self.profiles.due_by(self.stream_ms), self.stream_ms)

    # --- personas ---

    @property
    def model_version(self) -> int:
        """The version of the model that personas are assigned by; 0: there is none."""
        return int(self._constants[op.K_HEADER + op.M_VERSION]) if self.plan.personas else 0

    def use_model(self, model: Centres | None) -> None:
        """Goes on with a model that the restored rows have been assigned by, or a later one. Raises ``ModelError``."""
        if model is not None:
            check_fits(model, self.plan.personas)
            self._write_model(model)
        self._name_personas(self.profiles.every_row())

    def _write_model(self, model: Centres) -> None:
        assert self.plan.personas is not None, "the model fits"
        write_model(model, self.plan.personas, self.profiles.texts, self._constants)

    def _name_personas(self, rows: Ints) -> None:
        """Sees to it that all personas that customers are in have names."""
        personas = self.plan.personas
        if personas is not None:
            numbers = np.unique(self.profiles.column(personas.word, rows))
            name_others(numbers[numbers != op.NONE].tolist(), personas, self.profiles.texts, self._constants)

    def apply_model(self, model: Centres) -> Iterator[Changes]:
        """`begin_model` and all that follows. Each group of changes is made when asked for; all have to be."""
        yield from self.begin_model(model)
        while self.is_assigning:
            yield self.go_on_assigning()

    def begin_model(self, model: Centres) -> Iterator[Changes]:
        """Takes a new model as an input at its instant, or at the stream clock where that is later.

        What is due by then fires: each group of changes is made when asked for, and nothing else may be done until all
        are. Then everybody is to be assigned anew at that instant, or at their own clock if it is later: by
        `go_on_assigning`, and before anything else happens to them; where they are few, at once. Raises ``ModelError``.
        """
        check_fits(model, self.plan.personas)
        at_ms = max(model.effective_ms, self.stream_ms)
        yield from self._fire(self.profiles.due_by(at_ms), at_ms)
        known = named_personas(len(model.features), self._constants)
        self._write_model(model)
        rows = self.profiles.every_row()
        if not known.keys() <= set(model.numbers):
            self._name_personas(rows)  # of those that are gone, some may have members until these are assigned anew
        self._unassigned.begin(rows, at_ms)
        if len(rows) <= _ASSIGNED_AT_ONCE:
            yield self.go_on_assigning()

    @property
    def is_assigning(self) -> bool:
        """Whether there are customers to whom the latest model has not been applied yet."""
        return len(self._unassigned) > 0

    def go_on_assigning(self) -> Changes:
        """Applies the latest model to some more customers."""
        rows = self._unassigned.take_next(_ASSIGNED_AT_ONCE)
        changes = self._assign_anew(rows)
        # The stream clock may have moved on meanwhile.
        overdue = rows[self.profiles.due[rows] <= self.stream_ms]
        return Changes.joined([changes, *self._fire(overdue, self.stream_ms)])

    def _assign_anew(self, rows: Ints) -> Changes:
        """Applies the latest model to rows to which it has not been applied."""
        if not len(rows):
            return Changes()
        return self._step(kernel.MODEL, rows, _NOBODY, self._unassigned.at_ms)

    def vectors(self, rows: Ints, now_ms: int) -> Floats:
        """The features of ``rows`` at the later of ``now_ms`` and each one's clock, and behind them what is ranked.

        (rows, features + ranked) float64: numbers as they are, of instants how many days ago they are, for features
        at the last border of a bucket. A feature that is null is 0, what is ranked is NaN then; for who is not active
        all are NaN.
        """
        personas = self.plan.personas
        assert personas is not None, "the file has personas"
        out = np.empty((len(rows), len(personas.features) + len(personas.ranked)))
        numbers, words = self.plan.arrays.numbers, self._work.words
        bits, blocks = self.profiles.texts.bits, self.profiles.blocks
        read_vectors(numbers, self._constants, bits, words, blocks, rows, now_ms, out)
        return out

    def personas(self) -> dict[int, int]:
        """How many customers each persona has now, by its number."""
        if self.plan.personas is None:
            return {}
        numbers = self.profiles.column(self.plan.personas.word, self.profiles.every_row())
        found, counts = np.unique(numbers[numbers != op.NONE], return_counts=True)
        return dict(zip(found.tolist(), counts.tolist(), strict=True))

    def _fire(self, rows: Ints, to_ms: int) -> Iterator[Changes]:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            group = rows[start : start + _ROWS_AT_ONCE]
            before = self._assign_anew(self._unassigned.take(group))
            yield Changes.joined([before, self._step(kernel.FIRE, group, _NOBODY, to_ms)])

    def _step(
        self, mode: int, rows: Ints, withheld: npt.NDArray[np.bool_], to_ms: int, *, quiet: bool = False
    ) -> Changes:
        """Runs the kernel over rows, without events."""
        filled = self._fill(mode, rows, withheld, to_ms, quiet=quiet)
        return Changes.joined([*filled, self._written(mode, quiet=quiet)])

    def _fill(
        self,
        mode: int,
        rows: Ints,
        withheld: npt.NDArray[np.bool_],
        to_ms: int,
        batch: Columns = NO_COLUMNS,
        events: kernel.Events | None = None,
        status: npt.NDArray[np.int8] = _NO_STATUS,
        *,
        quiet: bool = False,
    ) -> list[Changes]:
        """Runs the kernel over rows. Returns what it wrote each time the output was full; the rest is in there."""
        written: list[Changes] = []
        done = 0
        while done < len(rows):
            done = self._run(mode, rows, withheld, to_ms, events or self._no_events, status, done)
            if done < len(rows):
                written.append(self._written(mode, batch, quiet=quiet))
        return written

    def _written(self, mode: int, batch: Columns = NO_COLUMNS, *, quiet: bool = False) -> Changes:
        """What the kernel has written by events of ``batch`` or by the cause of a mode; empties the output.

        All changes are made here or in `_exits_of_gone`.
        """
        changes = self._writer.write(self._work, batch, _CAUSES[mode], quiet=quiet)
        self._work.clear()
        return changes

    def _run(
        self,
        mode: int,
        rows: Ints,
        withheld: npt.NDArray[np.bool_],
        to_ms: int,
        events: kernel.Events,
        status: npt.NDArray[np.int8],
        start: int,
    ) -> int:
        """One call of the kernel: every call goes through here, so that one compilation serves all."""
        return kernel.step(
            mode,
            self.plan.arrays.numbers,
            self._constants,
            self.profiles.texts.bits,
            self._work.words,
            self.profiles.blocks,
            self.profiles.due,
            rows,
            events,
            status,
            withheld,
            start,
            to_ms,
        )

    def _events(self, batch: Columns, offsets: Ints | None, stream: Ints) -> kernel.Events:
        """The batch as the kernel reads it: texts by their codes, traits as columns."""
        traits, pool = batch.traits, self.profiles.texts
        types, values = traits[:, TRAIT_TYPE].copy(), traits[:, TRAIT_VALUE].copy()
        values[types == op.T_NULL] = op.NONE
        of_texts = types == op.T_TEXT
        values[of_texts] = pool.codes(batch.data, values[of_texts], traits[of_texts, TRAIT_HASH].view(np.uint64))
        return kernel.Events(
            kind=batch.kind,
            time_ms=batch.time_ms,
            offset=np.full(len(batch), op.NONE, dtype=np.int64) if offsets is None else offsets,
            stream_ms=stream,
            event_hash=batch.event_hash.view(np.int64),
            order_hash=batch.order_hash.view(np.int64),
            numbers=batch.numbers,
            number_bits=batch.numbers.view(np.int64),
            tests=batch.tests,
            hashes=batch.hashes.view(np.int64),
            texts=pool.codes(batch.data, batch.texts, batch.text_hashes),
            trait_event=traits[:, TRAIT_EVENT].copy(),
            trait=traits[:, TRAIT_NUMBER].copy(),
            trait_type=types,
            trait_value=values,
        )

    # --- what is known ---

    def portrait(self, customer: str) -> Portrait | None:
        """How the customer stands at the later of their own clock and the stream clock; None: not known.

        Ask when all that is due by the stream clock has been fired.
        """
        return self._portraitist.portrait(customer, self.stream_ms)

    def standings(self, customer: str) -> list[Standing] | None:
        """How the customer stands to each segment, and why, when `portrait` is taken; None: not known."""
        return self._portraitist.standings(customer, self.stream_ms)

    def is_held_out(self, segment: int, customer: str) -> bool:
        """Whether the customer belongs to the share that a segment, given by its place in the file, holds out."""
        return self._writer.held_out(segment, customer)

    def members(self) -> dict[str, int]:
        """How many customers are members of each segment now."""
        words = self.plan.segments[:, op.S_STATE]
        counts = np.zeros(len(words), dtype=np.int64)
        for block in self.profiles.blocks_in_use():
            for start in range(0, len(block), _ROWS_AT_ONCE):
                states = block[start : start + _ROWS_AT_ONCE][:, words]  # nobody is a member in an empty row
                counts += np.count_nonzero(are_members(states), axis=0)
        names = [segment.name for segment in self.plan.definitions.segments]
        return dict(zip(names, counts.tolist(), strict=True))

    def remove(self, customer: str) -> bool:
        """Forgets a customer and all that is known of them; False when there is no such customer."""
        row = self.profiles.find(customer)
        if row is not None:
            self._unassigned.forget(row)
        return self.profiles.remove(customer)

    # --- snapshots and new definitions ---

    def snapshot(self, customers: Iterable[str] | None = None) -> Snapshot:
        """The partition's clocks and the rows of ``customers`` (all of them by default) as bytes."""
        chosen = list(self.profiles) if customers is None else list(customers)
        return Snapshot(
            definitions=self.plan.definitions_hash,
            stream_ms=self.stream_ms,
            latest_ms=self.latest_ms,
            layouts={self._codec.layout_id: self.plan.layout.encode()},
            rows=list(zip(chosen, self._codec.encode(chosen), strict=True)),
        )

    def encoded_rows(self, rows: Ints) -> Bytestrings:
        """``rows`` as bytes, as `snapshot` gives them, of customers who are there."""
        return self._codec.encode_rows(rows)

    def restore(self, snapshot: Snapshot) -> None:
        """Takes over clocks and rows; a row of another layout is read by the names of its parts.

        When the snapshot is of other definitions, ``redefine`` must follow before the next event. Raises
        ``SnapshotError`` for a row that is damaged or whose layout is not in the snapshot.
        """
        self.stream_ms = max(self.stream_ms, snapshot.stream_ms)
        self.latest_ms = max(self.latest_ms, snapshot.latest_ms)
        self._name_personas(self._codec.decode(snapshot))

    def fill(self, customers: Bytestrings, data: Bytestrings) -> Ints:
        """Takes over rows that are in the present layout, of ``n`` different customers given in UTF-8: their rows (n,).

        As ``restore`` without clocks, and for rows that ``redefine`` need not look at. Raises ``SnapshotError``.
        """
        return self._codec.fill(customers, data)

    def image(self) -> Image:
        """All of the partition, copied, for `place`; see `stream.engine.image`."""
        profiles = self.profiles
        return Image(
            fingerprint_of(self.plan),
            self.stream_ms,
            self.latest_ms,
            tuple(block.copy() for block in profiles.blocks_in_use()),
            profiles.due[: profiles.end].copy(),
            profiles.image_of_customers(),
            profiles.texts.image(),
        )

    def place(self, image: Image) -> None:
        """Takes over an image into a partition that nothing has been applied to; its fingerprint must be ours."""
        assert image.fingerprint == fingerprint_of(self.plan), "the image is of another plan or program"
        self.stream_ms, self.latest_ms = image.stream_ms, image.latest_ms
        self.profiles.place(image.customers, image.texts, image.blocks, image.due)

    def redefine(self, *, allow_empty: bool = False, quiet: bool = False) -> Changes:
        """Evaluates every restored customer once under this partition's definitions.

        Members of segments that are gone exit first. A segment that names an aggregate or trait without history lets
        nobody in this time, unless ``allow_empty``. ``quiet`` marks the changes.
        """
        parts: list[Changes] = []
        for group in self._codec.restored():
            if allow_empty:
                withheld = _NOBODY
                self._unbar(group.rows)
            else:
                withheld = np.array(self._without_history(group.known), dtype=np.bool_)
            parts.append(self._exits_of_gone(group.gone, quiet))
            parts.append(self._step(kernel.REDEFINE, group.rows, withheld, self.stream_ms, quiet=quiet))
        return Changes.joined(parts)

    def _unbar(self, rows: Ints) -> None:
        """Lets customers in again whom an earlier change of definitions kept out until their next event."""
        words = self.profiles.gather(rows)
        states = self.plan.segments[:, op.S_STATE]
        words[:, states] = np.where(words[:, states] == op.BARRED, op.NONE, words[:, states])
        self.profiles.scatter(rows, words)

    def segments_without_history(self, snapshot: Snapshot) -> list[str]:
        """The segments that ``redefine`` would let nobody enter after restoring ``snapshot``."""
        found: dict[str, None] = {}
        for known in self._codec.known_parts(snapshot):
            flags = self._without_history(known)
            found.update((s.name, None) for s, flag in zip(self.plan.definitions.segments, flags, strict=True) if flag)
        return list(found)

    def _without_history(self, known: frozenset[str]) -> list[bool]:
        """For each segment whether something it names is not among the ``known`` parts of a layout."""
        return [bool(self.plan.without_history(number, known)) for number in range(len(self.plan.segments))]

    def _exits_of_gone(self, gone: list[Gone], quiet: bool) -> Changes:
        """Exits from segments that the new definitions do not have."""
        items: list[Change] = []
        stays: list[int] = []
        instants: list[int] = []
        for membership in gone:
            words = self.profiles.row(membership.row)
            at_ms = max(self.stream_ms, int(words[op.R_CLOCK]))
            words[op.R_SEQUENCE] += 1
            # The exit is a change at that instant, so the customer's clock stands there, as after a timer.
            kernel.move_clock(self.plan.arrays.numbers, words, at_ms)
            items.append(self._writer.exit_of_gone(membership, int(words[op.R_SEQUENCE]), at_ms, quiet=quiet))
            stays.append(at_ms - membership.since_ms)
            instants.append(at_ms)
        if not items:
            return Changes()
        nowhere = np.full(len(items), op.NONE, dtype=np.int64)
        none = np.zeros(len(items), dtype=np.bool_)
        return Changes(items, nowhere, none, np.array(stays, dtype=np.int64), np.array(instants, dtype=np.int64), none)
