"""Changes on their way out: kept with the row until they are known to be sent, and then sent as they were kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from stream.events.bytestrings import Bytestrings
from stream.kafka.topics import SEGMENT_CHANGES
from stream.worker.errors import ChangelogError
from stream.worker.interfaces import Batch
from stream.worker.record_columns import RecordColumns, sized, varint

#: Headers as they lie in a record (`stream.worker.record_columns`): how many there are, and what never changes of them.
_BEGIN = varint(6) + sized(b"ce_specversion") + sized(b"1.0") + sized(b"ce_id")
_TYPES = {
    word: sized(b"ce_type")
    + sized(b"segstream.segment." + word.encode())
    + sized(b"ce_source")
    + sized(b"/segstream")
    + sized(b"ce_time")
    for word in ("entered", "exited", "erased")
}
_END = sized(b"content-type") + sized(b"application/json")
#: What a change takes in a customer's record besides its own bytes, roughly.
_OVERHEAD = 16


class Outgoing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One change as it will be sent: its JSON, and the topics besides ``segment-changes``."""

    value: bytes
    topics: tuple[str, ...] = ()


class Outbox(msgspec.Struct, array_like=True, gc=False):
    """What is to be sent for one customer, in order; then the membership as it is after that, None: a tombstone."""

    changes: list[Outgoing]
    membership: bytes | None = None


class _Head(msgspec.Struct):
    """What the headers repeat of a change."""

    id: str
    change: str
    at: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Outbox).decode
_head = msgspec.json.Decoder(_Head).decode


def parse_outbox(data: bytes, where: str) -> Outbox:
    """The outbox in a record of the changelog."""
    try:
        return _decode(data)
    except msgspec.DecodeError as error:
        raise ChangelogError(f"{where}: the changes that wait in it are damaged: {error}") from error


def make_headers(id_: str, change: str, at: str) -> bytes:
    """CloudEvents attributes in binary mode, encoded as `stream.worker.record_columns.encode_headers` does."""
    return b"".join((_BEGIN, sized(id_.encode()), _TYPES[change], sized(at.encode()), _END))


def _headers(value: bytes) -> bytes:
    """The headers of a change that is given as JSON."""
    head = _head(value)
    return make_headers(head.id, head.change, head.at)


class _Columns:
    """Records for one topic."""

    __slots__ = ("headers", "keys", "values")

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.values: list[bytes] = []
        self.headers: list[bytes] = []

    def add(self, key: bytes, value: bytes, headers: bytes) -> None:
        self.keys.append(key)
        self.values.append(value)
        self.headers.append(headers)

    def records(self) -> RecordColumns:
        return RecordColumns(*map(Bytestrings.of, (self.keys, self.values, self.headers)))


class Outboxes:
    """The outboxes of one partition's customers.

    ``largest`` is how many bytes the fullest one takes, roughly.
    """

    def __init__(self) -> None:
        self._boxes: dict[str, Outbox] = {}
        self._sizes: dict[str, int] = {}
        self._columns = {SEGMENT_CHANGES: _Columns()}
        self.largest = 0

    def __len__(self) -> int:
        return len(self._boxes)

    def customers(self) -> list[str]:
        """Those who have something in theirs, in the order in which it came."""
        return list(self._boxes)

    def add(
        self,
        customers: Sequence[str],
        values: Sequence[bytes],
        topics: Iterable[tuple[str, ...]],
        headers: Iterable[bytes] | None = None,
    ) -> None:
        """Puts a change, given as JSON, into each of ``customers``' outboxes; ``topics``: where else it goes.

        ``headers`` are those that ``make_headers`` gives for the changes, where they are known.
        """
        boxes, sizes, largest = self._boxes, self._sizes, self.largest
        keys = [customer.encode() for customer in customers]
        all_headers = list(map(_headers, values) if headers is None else headers)
        main = self._columns[SEGMENT_CHANGES]
        main.keys += keys
        main.values += values
        main.headers += all_headers
        for customer, key, value, more, head in zip(customers, keys, values, topics, all_headers, strict=True):
            outgoing = Outgoing(value, more)
            box = boxes.get(customer)
            if box is None:
                boxes[customer] = Outbox([outgoing])
                size = len(value) + _OVERHEAD
            else:
                box.changes.append(outgoing)
                size = sizes[customer] + len(value) + _OVERHEAD
            sizes[customer] = size
            largest = max(largest, size)
            for topic in more:
                self._columns.setdefault(topic, _Columns()).add(key, value, head)
        self.largest = largest

    def restore(self, customer: str, box: Outbox) -> None:
        """Takes over what another owner has kept."""
        self._boxes[customer] = box
        for change in box.changes:
            headers = _headers(change.value)
            for topic in (SEGMENT_CHANGES, *change.topics):
                self._columns.setdefault(topic, _Columns()).add(customer.encode(), change.value, headers)

    def set_memberships(self, customers: Sequence[str], values: Sequence[bytes | None]) -> None:
        """Says what the customers' memberships are after all that waits."""
        for customer, value in zip(customers, values, strict=True):
            self._boxes[customer].membership = value

    def encoded(self, customers: Iterable[str]) -> list[bytes]:
        """Each customer's outbox as a record of the changelog carries it; empty where nothing waits."""
        boxes = self._boxes
        return [_encode(boxes[customer]) if customer in boxes else b"" for customer in customers]

    def batches(self) -> list[Batch]:
        """All changes, for the topics they go to."""
        return [Batch(topic, None, found.records()) for topic, found in self._columns.items()]

    def memberships(self) -> RecordColumns:
        """A record for each customer who has something in theirs, without headers."""
        keys = Bytestrings.of([customer.encode() for customer in self._boxes])
        values = Bytestrings.of([box.membership for box in self._boxes.values()])
        return RecordColumns.plain(keys, values)

    def clear(self) -> None:
        """All of it has been sent."""
        self._boxes.clear()
        self._sizes.clear()
        self._columns = {SEGMENT_CHANGES: _Columns()}
        self.largest = 0
