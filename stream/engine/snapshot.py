"""Rows as bytes and back, also from the layout of an older definitions file.

A row on the wire is: the layout's id (u64, little-endian), the next timer and the kept words (`stream.engine.packing`),
and, where the layout holds texts, a MessagePack array of them (null where there is none) in the order of its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from stream.engine import opcodes as op
from stream.engine.layout import Layout, copy_plan, reorder_ring
from stream.engine.packing import pack, unpack
from stream.engine.persona_plan import PART, segment_of
from stream.engine.plan import Plan
from stream.engine.profiles import Profiles, are_members
from stream.engine.text_index import numbered
from stream.errors import SnapshotError
from stream.events.bytestrings import Bytestrings
from stream.events.spans import make_spans

Ints = npt.NDArray[np.int64]
_TextRow = list[str | None]

#: What a row on the wire begins with: the layout's id in bytes, and the next timer in words.
_ID_BYTES, _TIMER_WORDS = 8, 1
_TEXTS = msgspec.msgpack.Decoder(list[str | None])


@dataclass(frozen=True)
class Snapshot:
    """What a partition needs to go on: its clocks, and rows with the layouts they are in."""

    definitions: str  # hash of the definitions' meaning
    stream_ms: int
    latest_ms: int
    layouts: dict[int, bytes]  # by id, as Layout.encode gives them
    rows: list[tuple[str, bytes]]  # customer and row


@dataclass(frozen=True)
class Gone:
    """A membership in a segment that the definitions do not have any more."""

    row: int
    segment: str
    since_ms: int
    holdout: float  # the share that the segment held out


@dataclass(frozen=True)
class Restored:
    """Rows that were read from one layout, and what that layout knew."""

    rows: Ints
    known: frozenset[str]  # names of its parts
    gone: list[Gone]


class RowCodec:
    """Encodes and decodes the rows of one partition's profiles."""

    def __init__(self, plan: Plan, profiles: Profiles) -> None:
        self._plan = plan
        self._profiles = profiles
        self._layout = plan.layout
        self.layout_id = plan.layout.id
        self._texts = _text_parts(plan.layout)
        self._kept = op.R_CLOCK + np.arange(plan.layout.kept_words)
        self._restored: list[Restored] = []

    # --- to bytes ---

    def encode(self, customers: Sequence[str]) -> list[bytes]:
        """The rows of ``customers`` as bytes; raises ``KeyError`` for one that there is no row of."""
        if not customers:
            return []
        rows = self._profiles.find_all(customers)
        if rows.min() < 0:
            raise KeyError(customers[int(rows.argmin())])
        return [row or b"" for row in self.encode_rows(rows)]

    def encode_rows(self, rows: Ints) -> Bytestrings:
        """``rows`` as bytes, of customers who are there."""
        wire = self._profiles.gather(rows, self._kept, _TIMER_WORDS)
        wire[:, 0] = self._profiles.due[rows]
        codes = np.empty((len(rows), len(self._texts)), dtype=np.int64)
        for number, (word, is_trait) in enumerate(self._texts):
            place = _TIMER_WORDS + word - op.R_CLOCK
            holds = wire[:, place - 1] == op.T_TEXT if is_trait else np.ones(len(rows), dtype=np.bool_)
            codes[:, number] = np.where(holds, wire[:, place], op.NONE)
            # Codes mean something in this process only.
            wire[holds, place] = op.NONE
        return pack(wire, self.layout_id.to_bytes(_ID_BYTES, "little"), *self._encoded_texts(codes))

    def _encoded_texts(self, codes: Ints) -> tuple[Bytestrings, Ints]:
        """The different combinations of texts among rows of codes (n, texts), encoded; and each row's, (n,)."""
        if not self._texts:
            return Bytestrings.of([b""]), np.zeros(len(codes), dtype=np.int64)
        numbers: dict[tuple[int, ...], int] = {}
        which = [numbers.setdefault(row, len(numbers)) for row in map(tuple, codes.tolist())]
        encode = msgspec.msgpack.Encoder().encode
        columns = [self._texts_of(column) for column in np.array(list(numbers), dtype=np.int64).T]
        return Bytestrings.of([encode(texts) for texts in zip(*columns, strict=True)]), np.array(which, dtype=np.int64)

    def _texts_of(self, codes: Ints) -> _TextRow:
        """The texts of codes (n,), None where there is none."""
        texts: npt.NDArray[np.object_] = np.full(len(codes), None, dtype=np.object_)
        present = codes != op.NONE
        if present.any():
            texts[present] = self._profiles.texts.texts(codes[present])
        found: _TextRow = texts.tolist()
        return found

    # --- from bytes ---

    def decode(self, snapshot: Snapshot) -> Ints:
        """Fills rows from a snapshot: their numbers; a customer that is there already gets the snapshot's row."""
        filled = [np.zeros(0, dtype=np.int64)]
        for layout_id, entries in _by_layout(snapshot).items():
            layout = _layout(snapshot, layout_id)
            if layout_id == self.layout_id:
                layout = self._layout
            filled.append(self._decode_layout(layout, entries))
        return np.concatenate(filled)

    def fill(self, customers: Bytestrings, data: Bytestrings) -> Ints:
        """Fills the rows of ``n`` different customers, given in UTF-8, from rows in the present layout: their numbers.

        Raises ``SnapshotError``. What is filled so is not among the ``restored``.
        """
        if not len(customers):
            return np.zeros(0, dtype=np.int64)
        wire, texts = _parse(self._layout, customers, data)
        try:
            customers.check_utf8()
            spans = customers.spans()
        except ValueError as error:
            raise SnapshotError(f"there is a row of a customer whose id is no UTF-8: {error}") from None
        rows = self._profiles.rows_of(*spans)
        words = self._new_words(len(rows))
        words[:, op.R_CLOCK : op.R_CLOCK + self._layout.kept_words] = wire[:, _TIMER_WORDS:]
        self._put_texts(self._layout, texts, words)
        self._place(rows, wire, words)
        self._profiles.sweep_texts()
        return rows

    def _decode_layout(self, layout: Layout, entries: list[tuple[str, bytes]]) -> Ints:
        customers = [customer for customer, _ in entries]
        wire, texts = _parse(layout, customers, [data for _, data in entries])
        rows = self._profiles.rows(customers)
        words = self._new_words(len(rows))
        # In the wire's matrix a word lies where the layout says, plus the timer, less the derived first word.
        shift = _TIMER_WORDS - op.R_CLOCK
        for source, target, count in copy_plan(layout, self._layout):
            words[:, target : target + count] = wire[:, source + shift : source + shift + count]
        self._put_texts(layout, texts, words)
        if layout is not self._layout:
            self._carry_rings(layout, wire, words)
            self._start_changed_segments(layout, words)
            if _are_personas_gone(layout, self._layout) and PART in self._layout.by_key():
                at = self._layout.by_key()[PART].at
                words[:, at : at + op.PERSONA_WORDS] = self._plan.template[at : at + op.PERSONA_WORDS]
        self._place(rows, wire, words)
        self._restored.append(Restored(rows, frozenset(layout.by_key()), _gone(layout, self._layout, wire, rows)))
        return rows

    def _new_words(self, count: int) -> Ints:
        """New customers' rows: (count, words)."""
        words = np.empty((count, len(self._plan.template)), dtype=np.int64)
        words[:] = self._plan.template
        return words

    def _place(self, rows: Ints, wire: Ints, words: Ints) -> None:
        words[:, op.R_ROLL] = 0  # to be worked out when the clock moves next
        self._profiles.scatter(rows, words)
        self._profiles.due[rows] = wire[:, 0]

    def _put_texts(self, layout: Layout, texts: _Texts, words: Ints) -> None:
        """Enters the codes of texts; one that the present layout has no place for is dropped."""
        keys = {part.at + part.text_at: part.key for part in layout.parts if part.text_at >= 0}
        mine = self._layout.by_key()
        for number, (word, _) in enumerate(_text_parts(layout)):
            part = mine.get(keys[word])
            if part is None or part.text_at < 0:
                continue
            column = [row[number] for row in texts.rows]
            present = [i for i, text in enumerate(column) if text is not None]
            if present:
                codes = np.full(len(column), op.NONE, dtype=np.int64)
                codes[present] = self._profiles.texts.codes(*make_spans([column[i] or "" for i in present]))
                of_rows = codes[texts.which]
                mine_at = part.at + part.text_at
                words[:, mine_at] = np.where(of_rows == op.NONE, words[:, mine_at], of_rows)

    def _carry_rings(self, layout: Layout, wire: Ints, words: Ints) -> None:
        """Rings of remembered ids have another size when ``dedupe`` changed: the latest ids stay."""
        old, new = layout.by_key(), self._layout.by_key()
        places = wire[:, old["rings"].at + _TIMER_WORDS - op.R_CLOCK]
        together = np.zeros(len(words), dtype=np.int64)
        for shift, key in ((0, "event ids"), (8, "order ids")):
            at = old[key].at + _TIMER_WORDS - op.R_CLOCK
            ring = wire[:, at : at + old[key].words]
            place = places >> shift & 255
            if old[key].words != new[key].words:
                ring, place = reorder_ring(ring, place, new[key].words)
                words[:, new[key].at : new[key].at + new[key].words] = ring
            together |= place << shift
        words[:, op.R_RINGS] = together

    def _start_changed_segments(self, layout: Layout, words: Ints) -> None:
        """Eligibility for a segment whose conditions changed starts anew; membership stays."""
        old = layout.segments()
        for name, part in self._layout.segments().items():
            if name in old and old[name].meaning != part.meaning:
                state = words[:, part.at]
                words[:, part.at] = np.where((state >= 0) & (state & 1 == 0), op.NONE, state)

    def restored(self) -> list[Restored]:
        """What has been restored since the last call, and forgets it."""
        found, self._restored = self._restored, []
        return found

    def known_parts(self, snapshot: Snapshot) -> list[frozenset[str]]:
        """The names of the parts that the snapshot's rows have, a set for each layout in use."""
        return [frozenset(_layout(snapshot, layout_id).by_key()) for layout_id in _by_layout(snapshot)]


def _text_parts(layout: Layout) -> list[tuple[int, bool]]:
    """The words that hold codes of texts, in order, and whether they are a trait's (whose type lies before)."""
    return [(part.at + part.text_at, part.key.startswith("trait ")) for part in layout.parts if part.text_at >= 0]


def _by_layout(snapshot: Snapshot) -> dict[int, list[tuple[str, bytes]]]:
    found: dict[int, list[tuple[str, bytes]]] = {}
    for customer, data in snapshot.rows:
        if len(data) < _ID_BYTES:
            raise SnapshotError(f"the row of customer {customer!r} is cut off: {len(data)} bytes")
        found.setdefault(int.from_bytes(data[:_ID_BYTES], "little"), []).append((customer, data))
    return found


def _layout(snapshot: Snapshot, layout_id: int) -> Layout:
    try:
        layout = Layout.decode(snapshot.layouts[layout_id])
    except KeyError:
        raise SnapshotError(f"rows are in layout {layout_id:016x}, which the snapshot does not have") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotError(f"layout {layout_id:016x} is damaged: {error}") from error
    if layout.id != layout_id:
        raise SnapshotError(f"layout {layout_id:016x} is damaged: its hash is {layout.id:016x}")
    return layout


@dataclass(frozen=True)
class _Texts:
    """The different combinations of texts that rows have, and ``which`` (n,) of them is each row's."""

    rows: list[_TextRow]
    which: Ints


def _parse(layout: Layout, customers: Sequence[str] | Bytestrings, data: Sequence[bytes | None]) -> tuple[Ints, _Texts]:
    """The next timers and words of rows in one layout, (n, 1 + kept); and their texts."""
    rows = Bytestrings.of(data)
    wire = np.empty((len(rows), _TIMER_WORDS + layout.kept_words), dtype=np.int64)
    used = unpack(rows, _ID_BYTES, wire)
    text_parts = len(_text_parts(layout))
    wrong = (used < 0) | ((rows.sizes > used) != (text_parts > 0))
    if wrong.any():
        i = int(wrong.argmax())
        raise SnapshotError(
            f"the row of customer {_name(customers[i])} has {rows.sizes[i]} bytes: more or fewer than its words take"
        )
    if not text_parts:
        return wire, _Texts([], np.zeros(len(rows), dtype=np.int64))
    texts = Bytestrings(rows.data, rows.starts + used, rows.sizes - used)
    return wire, _parse_texts(customers, texts, text_parts)


def _parse_texts(customers: Sequence[str] | Bytestrings, data: Bytestrings, count: int) -> _Texts:
    """The texts of rows. Few of them differ, so each combination is decoded once."""
    which = numbered(data)
    places = np.empty(int(which.max()) + 1 if len(which) else 0, dtype=np.int64)
    places[which] = np.arange(len(which))
    found = []
    for place in places.tolist():
        try:
            texts = _TEXTS.decode(data[place] or b"")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SnapshotError(
                f"the texts in the row of customer {_name(customers[place])} are damaged: {error}"
            ) from error
        if len(texts) != count:
            raise SnapshotError(f"the row of customer {_name(customers[place])} has {len(texts)} texts, not {count}")
        found.append(texts)
    return _Texts(found, which)


def _name(customer: str | bytes | None) -> str:
    return repr(customer if isinstance(customer, str) else (customer or b"").decode("utf-8", "replace"))


def _gone(old: Layout, new: Layout, wire: Ints, rows: Ints) -> list[Gone]:
    """Members of personas and of segments that the new layout does not have, in the old file's order."""
    found = []
    if _are_personas_gone(old, new):
        at = old.by_key()[PART].at + _TIMER_WORDS - op.R_CLOCK
        for i in np.flatnonzero(wire[:, at] != op.NONE):
            found.append(Gone(int(rows[i]), segment_of(int(wire[i, at])), int(wire[i, at + 1]), 0.0))
    kept = new.segments()
    for name, part in old.segments().items():
        if name in kept:
            continue
        state = wire[:, part.at + _TIMER_WORDS - op.R_CLOCK]
        for i in np.flatnonzero(are_members(state)):
            found.append(Gone(int(rows[i]), name, int(state[i]) >> 1, part.holdout))
    return found


def _are_personas_gone(old: Layout, new: Layout) -> bool:
    """Whether the old layout's personas are of other features, or there are none any more."""
    before, now = old.by_key().get(PART), new.by_key().get(PART)
    return before is not None and (now is None or now.meaning != before.meaning)
