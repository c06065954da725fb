"""Bytes of JSON events → columns, or a reason for refusal.

Messages are read by the thousand in one pass of compiled code (`stream.events.event_scan`), which takes all that is
written in a usual way. What it leaves out is read the careful way, one by one (`stream.events.verdict`).
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from stream.contract import Kind
from stream.events.bytestrings import Bytestrings
from stream.events.bytewise import PADDING, Bytes
from stream.events.columns import Columns, Rejection, Wanted, concatenate
from stream.events.event_scan import scan
from stream.events.json_scan import TEXT
from stream.events.reasons import Code, Refusal
from stream.events.scan_layout import (
    CUSTOMER_ID,
    EVENT_ID,
    FIRST_HASHED,
    ORDER_ID,
    TRAIT_HASH,
    TRAIT_TYPE,
    TRAIT_VALUE,
)
from stream.events.scan_plan import make_plan
from stream.events.spans import MISSING, hash_all, present_texts
from stream.events.verdict import judge
from stream.instants import format_instant

#: How far ahead of its Kafka record's timestamp an event may be unless told otherwise.
MAX_AHEAD_MS = 3_600_000

#: So many messages are read at once. What is made on the way mostly stays in the processor's cache.
_PIECE = 8192

#: The joined text of a piece is so large that the C library at first takes its memory from the system each time, and
#: gives it back, which took a fifth of the time. Once a block of this size has been given back (nothing is written to
#: it), glibc keeps what is smaller; elsewhere this does nothing.
_ROOM = 8 << 20

#: Stands between messages: no JSON contains it.
_SEPARATOR = bytearray(1)
_END = bytes(PADDING)

_Refused = list[tuple[int, Refusal]]


class Decoder:
    """Reads messages against the contract, for one `Wanted`.

    Not for several threads at once.
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
            late |= _check_keys(
                columns, Bytestrings.of(keys)
            )  # of two reasons this one stays: the key is the greater fault
        if late:
            refused += ((int(columns.source[i]), refusal) for i, refusal in late.items())
            keep = np.ones(len(columns), np.bool_)
            keep[list(late)] = False
            columns = columns.select(np.flatnonzero(keep))
        columns.compact()  # events of topics wait for each other, and are moved several times
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
        self._kinds = kinds
        self._plan = make_plan(wanted, kinds)

    def read(self, messages: Sequence[bytes | None]) -> tuple[Columns, _Refused]:
        """Columns of the valid messages, and what was refused, by index."""
        n = len(messages)
        if n <= _PIECE:
            return self._read_piece(messages)
        pieces: list[Columns] = []
        refused: _Refused = []
        for start in range(0, n, _PIECE):
            columns, bad = self._read_piece(messages[start : start + _PIECE])
            columns.source += start
            pieces.append(columns)
            refused += ((start + i, refusal) for i, refusal in bad)
        return concatenate(pieces), refused

    def _read_piece(self, messages: Sequence[bytes | None]) -> tuple[Columns, _Refused]:
        """The same of messages that are not too many."""
        try:
            columns = self._scan(messages)  # type: ignore[arg-type]  # a missing one raises
        except (TypeError, ValueError):
            readable = [i for i, message in enumerate(messages) if message is not None and _is_readable(message)]
            columns = self._scan([messages[i] or b"" for i in readable])
            columns.source = np.array(readable, np.int64)[columns.source]
        return (columns, []) if len(columns) == len(messages) else self._judge_the_rest(messages, columns)

    def _judge_the_rest(self, messages: Sequence[bytes | None], columns: Columns) -> tuple[Columns, _Refused]:
        """Reads what the scanner has left out the careful way, and adds what is valid to its columns."""
        left = np.ones(len(messages), np.bool_)
        left[columns.source] = False
        refused: _Refused = []
        valid: list[bytes] = []
        source: list[int] = []
        for i in np.flatnonzero(left).tolist():
            verdict = judge(self._wanted, self._kinds, messages[i])
            if isinstance(verdict, Refusal):
                refused.append((i, verdict))
            else:
                valid.append(verdict.plainly())
                source.append(i)
        if valid:
            more = self._scan(valid)
            assert len(more) == len(valid), "an event in its plainest form was refused"
            more.source = np.array(source, np.int64)
            both = concatenate([columns, more])
            columns = both.select(np.argsort(both.source, kind="stable"))
        return columns, refused

    def _scan(self, messages: Sequence[bytes]) -> Columns:
        """The events among ``messages`` that are written in a usual way.

        Raises `TypeError` when there is something else among them, and `ValueError` when one is no UTF-8 or has a NUL.
        """
        plan, n = self._plan, len(messages)
        data = messages.separated() if isinstance(messages, Bytestrings) else _separated(messages)
        room, counts = plan.room(n), np.zeros(3, np.int64)
        plan.work[:] = 0
        scan(plan.numbers, plan.literals, plan.masks, data, plan.work, room, counts)
        used, traits, long = counts.tolist()
        # The engine takes matrices without gaps.
        spans, numbers = np.ascontiguousarray(room.spans[:, :used]), np.ascontiguousarray(room.numbers[:, :used])
        tests = np.ascontiguousarray(room.tests[:, :used])
        hashes = np.ascontiguousarray(room.hashes[:, :used]).view(np.uint64)
        carried = room.traits[:traits]
        long_trait = (carried[:, TRAIT_TYPE] == TEXT) & (carried[:, TRAIT_HASH] == 0)
        if long_trait.any():
            texts = present_texts(data, carried[long_trait, TRAIT_VALUE])
            carried[long_trait, TRAIT_HASH] = hash_all([text.encode() for text in texts]).view(np.int64)
        if long:
            where = (hashes == 0) & (spans != MISSING)
            hashes[where] = hash_all([text.encode() for text in present_texts(data, spans[where])])
        none = np.zeros(used, np.uint64)
        texts_at = FIRST_HASHED + plan.hash_rows
        return Columns(
            data=data,
            kind=room.kind[:used],
            time_ms=room.time_ms[:used],
            customer=spans[CUSTOMER_ID],
            customer_hash=hashes[CUSTOMER_ID],
            event_id=spans[EVENT_ID],
            event_hash=hashes[EVENT_ID] if self._wanted.event_ids else none,
            order_hash=hashes[ORDER_ID] if self._wanted.order_ids else none,
            numbers=numbers,
            tests=tests,
            hashes=hashes[FIRST_HASHED:texts_at],
            texts=spans[texts_at:],
            text_hashes=hashes[texts_at:],
            traits=carried,
            source=room.source[:used],
        )


def _separated(messages: Sequence[bytes]) -> Bytes:
    """As `Bytestrings.separated`, which would be slower for those that are not in one array yet."""
    joined = _SEPARATOR.join([*messages, _END])
    data = np.frombuffer(joined, np.uint8)
    if len(data) - np.count_nonzero(data) != len(messages) + len(_END):
        raise ValueError("a message contains what separates messages")
    if not joined.isascii():
        joined.decode()
    return data


def _is_readable(message: bytes) -> bool:
    """Whether the message may be joined with others."""
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return _SEPARATOR not in message


def _check_keys(columns: Columns, keys: Bytestrings) -> dict[int, Refusal]:
    """What is wrong with the keys, by the event's index in ``columns``."""
    missing = Refusal(Code.MISSING_KEY, "the record has no key: it must be the `customer_id`")
    wrong = Refusal(Code.WRONG_KEY, "the record's key is not the event's `customer_id`")
    differing = keys.differing(columns.data, columns.customer, columns.source).tolist()
    return {i: missing if keys[int(columns.source[i])] is None else wrong for i in differing}


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
