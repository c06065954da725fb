"""Bytes of JSON events → columns, or a reason for refusal.

Messages are read by the thousand: joined by newlines, checked as a whole (`stream.events.guards`), decoded into Structs
by msgspec (`stream.events.structs`) and turned into columns (`stream.events.assembly`). When anything is wrong, smaller
and smaller parts are read, and in the end the message itself, the careful way (`stream.events.verdict`).
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import cast

import msgspec
import numpy as np
import numpy.typing as npt

from stream.contract import Kind
from stream.events.assembly import Assembler
from stream.events.columns import Columns, Rejection, Wanted, concatenate
from stream.events.guards import LONG_MESSAGE, is_too_deep, is_utf8, may_join
from stream.events.layout import Layout, make_layout
from stream.events.reasons import Code, Refusal
from stream.events.structs import FIRST_WORDS, WORDS_KEPT, Structs, make_structs
from stream.events.verdict import Valid, judge
from stream.instants import format_instant

#: How far ahead of its Kafka record's timestamp an event may be unless told otherwise.
MAX_AHEAD_MS = 3_600_000

#: All that msgspec raises for bytes: its own errors, text that is not UTF-8, nesting beyond Python's stack.
_REFUSED = (msgspec.MsgspecError, ValueError, RecursionError)

#: A batch with a bad message in it is read again in parts of so many messages, and a part with a bad one singly.
_PART = 64

#: So many messages are read at once. What is made on the way mostly stays in the processor's cache, and its memory is
#: used again for the next ones; with fewer, the steps that are taken once per piece weigh more.
_PIECE = 2048

#: The joined text of a piece is so large that the C library at first takes its memory from the system each time, and
#: gives it back, which took a fifth of the time. Once a block of this size has been given back (nothing is written to
#: it), glibc keeps what is smaller; elsewhere this does nothing.
_ROOM = 8 << 20

_Events = list[msgspec.Struct]
_Refused = list[tuple[int, Refusal]]


class Decoder:
    """Reads messages against the contract, for one `Wanted`.

    It learns from what it reads (actions, texts and their hashes) to be faster the next time; what it answers does not
    depend on that. Not for several threads at once.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self._readers: dict[tuple[Kind, ...], _Reader] = {}
        bytes(_ROOM)  # given back at once

    def decode_mixed(self, messages: Sequence[bytes | None]) -> tuple[Columns, list[Rejection]]:
        """Columns of the valid messages, in order, and one rejection for each of the others, by index.

        The kinds are told apart by ``type``, which is required. No bytes make it raise.
        """
        columns, refused = self._reader(tuple(Kind)).read(messages)
        return columns, _rejections(refused)

    def decode(
        self,
        kind: Kind,
        messages: Sequence[bytes | None],
        record_ms: npt.NDArray[np.int64] | Sequence[int] | None = None,
        keys: Sequence[bytes | None] | None = None,
        max_ahead_ms: int = MAX_AHEAD_MS,
    ) -> tuple[Columns, list[Rejection]]:
        """As `decode_mixed`, for messages of one topic: ``type`` may be missing but must not name another kind.

        ``record_ms`` are the timestamps of the ``n`` Kafka records: an event more than ``max_ahead_ms`` later is
        refused (but not where the record's is negative, which means that it has none). ``keys`` are the records' keys,
        which must be the ``customer_id`` in UTF-8.
        """
        columns, refused = self._reader((kind,)).read(messages)
        late: dict[int, Refusal] = {}
        if record_ms is not None:
            late |= _check_ahead(columns, np.asarray(record_ms, np.int64), max_ahead_ms)
        if keys is not None:
            late |= _check_keys(columns, keys)  # of two reasons this one stays: the key is the greater fault
        if late:
            refused += ((int(columns.source[i]), refusal) for i, refusal in late.items())
            keep = np.ones(len(columns), np.bool_)
            keep[list(late)] = False
            columns = columns.select(np.flatnonzero(keep))
        return columns, _rejections(refused)

    def _reader(self, kinds: tuple[Kind, ...]) -> _Reader:
        reader = self._readers.get(kinds)
        if reader is None:
            reader = self._readers[kinds] = _Reader(self.wanted, kinds)
        return reader


class _Reader:
    """Reads messages that are of certain kinds."""

    def __init__(self, wanted: Wanted, kinds: tuple[Kind, ...]) -> None:
        self._wanted = wanted
        self._layout = make_layout(wanted, kinds)
        self._assembler = Assembler(wanted, self._layout)
        self._words = {field: set(words) for field, words in FIRST_WORDS.items()}
        self._has_learned = False
        self._structs = make_structs(wanted, self._layout, self._words)

    def read(self, messages: Sequence[bytes | None]) -> tuple[Columns, _Refused]:
        """Columns of the valid messages, and what was refused, by index."""
        n = len(messages)
        pieces: list[Columns] = []
        refused: _Refused = []
        for start in range(0, n, _PIECE) if n else (0,):
            piece = messages[start : start + _PIECE] if n > _PIECE else messages
            events, source = self._read_piece(piece, start, refused)
            pieces.append(self._assembler.assemble(events, source))
        return concatenate(pieces), refused

    def _read_piece(
        self, messages: Sequence[bytes | None], start: int, refused: _Refused
    ) -> tuple[_Events, npt.NDArray[np.int64]]:
        """The valid events in order and their indices, which count from ``start``. Adds to ``refused``."""
        n = len(messages)
        whole = _read_joined(self._structs, messages)
        if whole is not None:
            return whole, np.arange(start, start + n)
        events: _Events = []
        source: list[int] = []
        for at in range(0, n, _PART):
            part = messages[at : at + _PART]
            together = _read_joined(self._structs, part) if n > _PART else None
            if together is not None:
                events += together
                source += range(start + at, start + at + len(part))
                continue
            for i, message in enumerate(part, start + at):
                event = self._read_one(message)
                if isinstance(event, Refusal):
                    refused.append((i, event))
                else:
                    events.append(event)
                    source.append(i)
            if self._has_learned:
                self._has_learned = False
                self._structs = make_structs(self._wanted, self._layout, self._words)
        return events, np.array(source, np.int64)

    def _read_one(self, message: bytes | None) -> msgspec.Struct | Refusal:
        """One message: at once where it is plain, else the careful way."""
        if message and len(message) <= LONG_MESSAGE and is_utf8(message) and not is_too_deep(message):
            try:
                event: msgspec.Struct = self._structs.decoder.decode(message)
            except _REFUSED:
                pass
            else:
                return event
        verdict = judge(self._wanted, self._layout, message)
        if isinstance(verdict, Refusal):
            return verdict
        for (kind, field), known in self._words.items():
            word = verdict.fields.get(field) if kind is verdict.kind else None
            if word is not None and word not in known and len(known) <= WORDS_KEPT:
                known.add(word)
                self._has_learned = True
        return _make_event(self._structs, self._layout, self._wanted, verdict)


def _read_joined(structs: Structs, messages: Sequence[bytes | None]) -> _Events | None:
    """All messages as one text, which is fastest; None when any may be bad: what, they must say singly."""
    values = cast("Sequence[bytes]", messages)
    try:
        joined = b"\n".join(values)
    except TypeError:  # a record without a value
        return None
    if not may_join(values, joined):
        return None
    try:
        events: _Events = structs.decoder.decode_lines(joined)
    except _REFUSED:
        return None
    return events if len(events) == len(messages) else None


def _make_event(structs: Structs, layout: Layout, wanted: Wanted, valid: Valid) -> msgspec.Struct:
    """The Struct that the decoder would make of an event if it took all that is valid."""
    values = {}
    for place, name in enumerate(layout.names[valid.kind]):
        if name is not None and name in valid.fields:
            value = valid.fields[name]
            if name == "traits" and isinstance(structs.traits, type):
                value = structs.traits(**{f"f{i}": value[t] for i, t in enumerate(wanted.traits) if t in value})
            values[f"f{place}"] = value
    return structs.types[valid.kind](**values)


def _check_keys(columns: Columns, keys: Sequence[bytes | None]) -> dict[int, Refusal]:
    """What is wrong with the keys, by the event's index in ``columns``."""
    expected = list(map(str.encode, columns.customer))
    given = list(keys) if len(keys) == len(columns) else [keys[i] for i in columns.source.tolist()]
    if expected == given:
        return {}
    missing = Refusal(Code.MISSING_KEY, "the record has no key: it must be the `customer_id`")
    wrong = Refusal(Code.WRONG_KEY, "the record's key is not the event's `customer_id`")
    pairs = enumerate(zip(given, expected, strict=True))
    return {i: missing if key is None else wrong for i, (key, customer) in pairs if key != customer}


def _check_ahead(columns: Columns, record_ms: npt.NDArray[np.int64], max_ahead_ms: int) -> dict[int, Refusal]:
    """Which events are too far ahead of their records, by the event's index in ``columns``."""
    records = record_ms[columns.source]
    ahead = np.flatnonzero((columns.time_ms > records + max_ahead_ms) & (records >= 0))
    return {
        i: Refusal(
            Code.TOO_FAR_AHEAD,
            f"`timestamp`: {format_instant(time)} is more than {_duration(max_ahead_ms)} after the record's timestamp",
        )
        for i, time in zip(ahead.tolist(), columns.time_ms[ahead].tolist(), strict=True)
    }


def _duration(ms: int) -> str:
    """A duration in its largest whole unit."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if ms and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms}ms"


def _rejections(refused: _Refused) -> list[Rejection]:
    """Rejections by index."""
    return [Rejection(i, refusal.reason, refusal.code) for i, refusal in sorted(refused, key=itemgetter(0))]
