"""The changelog on the wire: a customer's row or marker, residues, layouts, checkpoints and fences.

A row's key is the customer's id. Every other key starts with the byte 0xff, which no UTF-8 text has. All records but
fences carry the header ``epoch``: ``EPOCH/NUMBER``, the offset of the owner's fence and the place of the record among
all that this owner wrote. A tombstone carries it too.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from stream.compiled import compiled
from stream.events.bytestrings import Bytestrings
from stream.events.bytewise import Bytes, byte_at, copy_bytes
from stream.worker.errors import ChangelogError
from stream.worker.interfaces import Headers, Record, StoredRecord
from stream.worker.record_columns import RecordColumns, sized, varint

Ints = npt.NDArray[np.int64]

VERSION = 2
EPOCH = "epoch"

_FENCE, _CHECKPOINT, _LAYOUT, _RESIDUE = b"\xfffence/", b"\xffcheckpoint", b"\xfflayout/", b"\xffresidue/"
#: Of a row's value: the version, what the body is, and the length of the outbox that lies before it.
_PREFIX = struct.Struct("<BBI")
_PREFIX_BYTES = _PREFIX.size
#: What a stamp alone begins with among a record's headers: there is one, of this name.
_STAMP_NAME = varint(1) + sized(EPOCH.encode())
_DIGIT, _SLASH, _DIGITS_MOST = ord("0"), ord("/"), 18
_POWERS = 10 ** np.arange(18, -1, -1)


class KeyType(enum.Enum):
    """What a key of the changelog names."""

    ROW = enum.auto()
    FENCE = enum.auto()
    CHECKPOINT = enum.auto()
    LAYOUT = enum.auto()
    RESIDUE = enum.auto()


class Body(enum.IntEnum):
    """What is kept under a customer's id."""

    ROW = 0  # as the engine encodes it, its layout's id first
    MARKER = 1  # of a customer who was erased


_ROW = int(Body.ROW)
_BODIES = {int(body): body for body in Body}


class Marker(msgspec.Struct, frozen=True, array_like=True):
    """What is left of an erased customer until all that was read of them is committed.

    ``seen`` are the last offsets seen of each topic of events: what lies at or below them was applied before.
    """

    sequence: int
    instant_ms: int
    seen: tuple[int, int, int]


class Residue(msgspec.Struct, frozen=True):
    """What stays of an erased customer, under the hash64 of the id."""

    sequence: int
    instant_ms: int
    version: int = VERSION


class Checkpoint(msgspec.Struct, frozen=True):
    """What a partition's owner knows of the partition as a whole.

    ``definitions`` are the hashes of all definitions so far, the present ones last; ``passing``: rows are just being
    evaluated under these. Every outbox in a record at or before ``sent_to`` has been sent. Memberships before
    ``memberships_to`` (in their topic's partition) are those of the rows. ``model`` is the version of the personas that
    has been applied to all rows; 0: none.
    """

    stream_ms: int
    latest_ms: int
    definitions: tuple[str, ...]
    passing: bool
    sent_to: int
    memberships_to: int
    model: int = 0
    version: int = VERSION


_markers = msgspec.msgpack.Decoder(Marker)
_residues = msgspec.json.Decoder(Residue)
_checkpoints = msgspec.json.Decoder(Checkpoint)


class Stored(NamedTuple):
    """The value under a customer's id: an encoded outbox (mostly empty), and the body."""

    body_type: Body
    outbox: bytes
    body: bytes


class Stamp(NamedTuple):
    """Who wrote a record: the offset of the owner's fence, and the record's number among the owner's."""

    epoch: int
    number: int


# --- Keys ---------------------------------------------------------------------------------------------------------


def key_type(key: bytes | None, offset: int) -> KeyType:
    """What a key names; raises ``ChangelogError`` for one that no version of ours wrote."""
    if key:
        if key[0] != 0xFF:
            return KeyType.ROW
        for prefix, found in (
            (_FENCE, KeyType.FENCE),
            (_RESIDUE, KeyType.RESIDUE),
            (_LAYOUT, KeyType.LAYOUT),
            (_CHECKPOINT, KeyType.CHECKPOINT),
        ):
            if key.startswith(prefix):
                return found
    raise ChangelogError(f"the changelog's record at offset {offset} has a key that is not known: {key!r}")


def fence_key(token: str) -> bytes:
    """``token`` must never have been used before."""
    return _FENCE + token.encode()


def is_fence(key: bytes | None) -> bool:
    return key is not None and key.startswith(_FENCE)


def checkpoint_key() -> bytes:
    return _CHECKPOINT


def layout_key(layout_id: int) -> bytes:
    return _LAYOUT + b"%016x" % layout_id


def residue_key(customer_hash: int) -> bytes:
    return _RESIDUE + b"%016x" % customer_hash


def hash_of(key: bytes) -> int:
    """The hash in the key of a residue, or the id in that of a layout."""
    return int(key[key.index(b"/") + 1 :], 16)


# --- Headers --------------------------------------------------------------------------------------------------------


def stamped(records: Sequence[Record], epoch: int, first: int) -> RecordColumns:
    """The records, which have no headers, with their stamps, numbered from ``first`` on."""
    return RecordColumns.of(records).with_headers(_stamps(epoch, first, len(records)))


def _stamps(epoch: int, first: int, count: int) -> Bytestrings:
    """Stamps as records' headers, encoded. Those with as many digits are made together."""
    parts: list[Bytestrings] = []
    start, stop = first, first + count
    while start < stop or not parts:
        digits = len(str(start))
        end = min(stop, 10**digits)
        text = b"%d/" % epoch
        begin = _STAMP_NAME + varint(len(text) + digits) + text
        found = np.empty((end - start, len(begin) + digits), np.uint8)
        found[:, : len(begin)] = np.frombuffer(begin, np.uint8)
        found[:, len(begin) :] = np.arange(start, end)[:, None] // _POWERS[-digits:] % 10 + ord("0")
        rows, size = found.shape
        parts.append(Bytestrings(found.reshape(-1), np.arange(rows) * size, np.full(rows, size, np.int64)))
        start = end
    return Bytestrings.joined(parts)


def stamps_of(headers: Bytestrings) -> tuple[Ints, Ints]:
    """Epochs and numbers (n,) in headers as ``stamped`` makes them; -1 and -1 for others, be there a stamp or not."""
    epochs, numbers = np.empty(len(headers), np.int64), np.empty(len(headers), np.int64)
    begin = np.frombuffer(_STAMP_NAME, np.uint8)
    _read_stamps(headers.data, headers.starts, headers.sizes, begin, epochs, numbers)
    return epochs, numbers


@compiled
def _read_stamps(data: Bytes, starts: Ints, sizes: Ints, begin: Bytes, epochs: Ints, numbers: Ints) -> None:
    """Reads ``EPOCH/NUMBER`` behind ``begin`` and the size of it, which is one byte."""
    for i in range(len(sizes)):
        at, end = starts[i], starts[i] + sizes[i]
        epochs[i] = numbers[i] = -1
        is_stamp = sizes[i] > len(begin) + 1
        for k in range(len(begin) if is_stamp else 0):
            is_stamp = is_stamp and byte_at(data, at + k) == byte_at(begin, k)
        at += len(begin)
        if not is_stamp or byte_at(data, at) != 2 * (end - at - 1):
            continue
        epoch = number = digits = slashes = 0
        for place in range(at + 1, end):
            byte = byte_at(data, place)
            if byte == _SLASH and digits > 0 and slashes == 0:
                epoch, number, digits, slashes = number, 0, 0, 1
            elif 0 <= byte - _DIGIT <= 9 and digits < _DIGITS_MOST:
                number = 10 * number + byte - _DIGIT
                digits += 1
            else:
                slashes = 2
        if slashes == 1 and digits > 0:
            epochs[i], numbers[i] = epoch, number


def stamp_of(headers: Headers, where: str) -> Stamp:
    """The stamp in a record's headers. ``where`` tells a reader which record that is."""
    for name, value in headers:
        if name == EPOCH:
            epoch, slash, number = value.partition(b"/")
            if slash and epoch.isdigit() and number.isdigit():
                return Stamp(int(epoch), int(number))
            raise ChangelogError(f"{where}: the header `epoch` is damaged: {value!r}")
    raise ChangelogError(f"{where}: there is no header `epoch`; something else than a worker writes here")


# --- Values ---------------------------------------------------------------------------------------------------------


def row_values(outboxes: Sequence[bytes], rows: Bytestrings) -> Bytestrings:
    """The values of live customers' rows."""
    before = Bytestrings.of(outboxes)
    sizes = before.sizes + rows.sizes + _PREFIX.size
    starts = np.cumsum(sizes) - sizes
    out = np.empty(int(sizes.sum()), np.uint8)
    _fill_values(before.data, before.starts, before.sizes, rows.data, rows.starts, rows.sizes, out)
    return Bytestrings(out, starts, sizes)


@compiled
def _fill_values(
    outboxes: Bytes, outbox_at: Ints, outbox_size: Ints, rows: Bytes, row_at: Ints, row_size: Ints, out: Bytes
) -> None:
    """Writes the prefix of each value, as ``_PREFIX`` packs it, the outbox and the row."""
    at = 0
    for i in range(len(row_size)):
        out[at] = VERSION
        out[at + 1] = _ROW
        for byte in range(4):
            out[at + 2 + byte] = outbox_size[i] >> 8 * byte & 0xFF
        at += _PREFIX_BYTES
        copy_bytes(outboxes, outbox_at[i], outbox_size[i], out, at)
        at += outbox_size[i]
        copy_bytes(rows, row_at[i], row_size[i], out, at)
        at += row_size[i]


def present_rows(values: Bytestrings, layout_id: int) -> Ints:
    """How many bytes of outbox lie before each row in the layout (n,); -1 for a value that is something else."""
    sizes = np.empty(len(values), np.int64)
    layout = np.frombuffer(layout_id.to_bytes(8, "little"), np.uint8)
    _read_prefixes(values.data, values.starts, values.sizes, layout, sizes)
    return sizes


@compiled
def _read_prefixes(data: Bytes, starts: Ints, sizes: Ints, layout: Bytes, found: Ints) -> None:
    """Reads what ``_fill_values`` wrote, as far as the layout's id."""
    for i in range(len(sizes)):
        at, size = starts[i], sizes[i]
        found[i] = -1
        if size < _PREFIX_BYTES or byte_at(data, at) != VERSION or byte_at(data, at + 1) != _ROW:
            continue
        outbox = 0
        for byte in range(4):
            outbox |= byte_at(data, at + 2 + byte) << 8 * byte
        place = at + _PREFIX_BYTES + outbox
        is_present = place + len(layout) <= at + size
        for k in range(len(layout) if is_present else 0):
            is_present = is_present and byte_at(data, place + k) == byte_at(layout, k)
        if is_present:
            found[i] = outbox


def parts_of(values: Bytestrings, outboxes: Ints) -> tuple[Bytestrings, Bytestrings]:
    """Outboxes and rows of values whose outboxes have so many bytes (n,)."""
    starts = values.starts + _PREFIX.size
    rows = Bytestrings(values.data, starts + outboxes, values.sizes - _PREFIX.size - outboxes)
    return Bytestrings(values.data, starts, outboxes), rows


def marker_body(marker: Marker) -> bytes:
    return msgspec.msgpack.encode(marker)


def marker_value(outbox: bytes, marker: Marker) -> bytes:
    return _PREFIX.pack(VERSION, Body.MARKER, len(outbox)) + outbox + marker_body(marker)


def parse_stored(value: bytes, where: str) -> Stored:
    """The parts of what ``row_values`` or ``marker_value`` made."""
    if value and value[0] != VERSION:
        raise ChangelogError(f"{where}: written as version {value[0]}, this worker reads version {VERSION}")
    if len(value) < _PREFIX.size:
        raise ChangelogError(f"{where}: cut off after {len(value)} bytes")
    _, body_type, outbox = _PREFIX.unpack_from(value)
    end = _PREFIX.size + outbox
    if body_type not in _BODIES or len(value) <= end:
        raise ChangelogError(f"{where}: damaged: {len(value)} bytes, body type {body_type}, an outbox of {outbox}")
    return Stored(_BODIES[body_type], value[_PREFIX.size : end], value[end:])


def parse_marker(body: bytes, where: str) -> Marker:
    try:
        return _markers.decode(body)
    except msgspec.DecodeError as error:
        raise ChangelogError(f"{where}: the marker of an erased customer is damaged: {error}") from error


def fence_record(token: str, worker: str, at_ms: int) -> Record:
    """The record by which an owner takes over; ``worker`` and ``at_ms`` are for people."""
    value = msgspec.json.encode({"version": VERSION, "worker": worker, "at_ms": at_ms})
    return Record(fence_key(token), value)


def checkpoint_record(checkpoint: Checkpoint) -> Record:
    return Record(_CHECKPOINT, msgspec.json.encode(checkpoint))


def residue_record(customer_hash: int, residue: Residue) -> Record:
    return Record(residue_key(customer_hash), msgspec.json.encode(residue))


def layout_record(layout_id: int, layout: bytes) -> Record:
    return Record(layout_key(layout_id), layout)


def parse_checkpoint(record: StoredRecord) -> Checkpoint:
    return _parse_json(record, _checkpoints, "checkpoint")


def parse_residue(record: StoredRecord) -> Residue:
    return _parse_json(record, _residues, "residue")


_Versioned = TypeVar("_Versioned", Checkpoint, Residue)


def _parse_json(record: StoredRecord, decoder: msgspec.json.Decoder[_Versioned], name: str) -> _Versioned:
    where = f"the changelog's {name} at offset {record.offset}"
    try:
        parsed = decoder.decode(record.value or b"")
    except msgspec.DecodeError as error:
        raise ChangelogError(f"{where} is damaged: {error}") from error
    if parsed.version != VERSION:
        raise ChangelogError(f"{where} is of version {parsed.version}, this worker reads version {VERSION}")
    return parsed


def prepare() -> None:
    """Loads the compiled code, or compiles it."""
    values = row_values([b""], Bytestrings.of([b""]))
    present_rows(values, 0)
    stamps_of(stamped([Record(b"", None)], 0, 0).headers)
