"""Changes on their way out: kept with the row until they are known to be sent, and then sent as they were kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from stream.kafka.topics import SEGMENT_CHANGES
from stream.worker.errors import ChangelogError
from stream.worker.interfaces import Batch, Headers, Record, make_record

_SPECVERSION = ("ce_specversion", b"1.0")
_SOURCE = ("ce_source", b"/segstream")
_TYPES = {word: ("ce_type", b"segstream.segment." + word.encode()) for word in ("entered", "exited", "erased")}
_JSON = ("content-type", b"application/json")
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


def make_headers(id_: str, change: str, at: str) -> Headers:
    """CloudEvents attributes in binary mode."""
    return (_SPECVERSION, ("ce_id", id_.encode()), _TYPES[change], _SOURCE, ("ce_time", at.encode()), _JSON)


def _headers(value: bytes) -> Headers:
    """The headers of a change that is given as JSON."""
    head = _head(value)
    return make_headers(head.id, head.change, head.at)


class Outboxes:
    """The outboxes of one partition's customers.

    ``largest`` is how many bytes the fullest one takes, roughly.
    """

    def __init__(self) -> None:
        self._boxes: dict[str, Outbox] = {}
        self._sizes: dict[str, int] = {}
        self._records: dict[str, list[Record]] = {SEGMENT_CHANGES: []}
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
        headers: Iterable[Headers] | None = None,
    ) -> None:
        """Puts a change, given as JSON, into each of ``customers``' outboxes; ``topics``: where else it goes.

        ``headers`` are those that ``make_headers`` gives for the changes, where they are known.
        """
        boxes, sizes, records, largest = self._boxes, self._sizes, self._records, self.largest
        main = records[SEGMENT_CHANGES]
        headers = map(_headers, values) if headers is None else headers
        keys = [customer.encode() for customer in customers]
        for customer, value, more, record in zip(
            customers, values, topics, map(make_record, zip(keys, values, headers, strict=True)), strict=True
        ):
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
            main.append(record)
            for topic in more:
                records.setdefault(topic, []).append(record)
        self.largest = largest

    def restore(self, customer: str, box: Outbox) -> None:
        """Takes over what another owner has kept."""
        self._boxes[customer] = box
        for change in box.changes:
            record = Record(customer.encode(), change.value, _headers(change.value))
            for topic in (SEGMENT_CHANGES, *change.topics):
                self._records.setdefault(topic, []).append(record)

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
        return [Batch(topic, None, found) for topic, found in self._records.items()]

    def memberships(self) -> list[Record]:
        """A record for each customer who has something in theirs."""
        return [make_record((customer.encode(), box.membership, ())) for customer, box in self._boxes.items()]

    def clear(self) -> None:
        """All of it has been sent."""
        self._boxes.clear()
        self._sizes.clear()
        self._records = {SEGMENT_CHANGES: []}
        self.largest = 0
