"""What workers and trainers say to each other: samples of customers, models, what happens to personas, and pins.

``schemas/`` describes each on the wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from stream.errors import ModelError, SamplesError
from stream.instants import format_instant, parse_instant
from stream.personas.model import Floats, Model, decode, encode

_PIN = b"pin"
#: So many versions are kept.
VERSIONS_KEPT = 100


class Samples(msgspec.Struct, frozen=True):
    """Numbers of ``n`` customers of one partition at an instant of the stream. Nobody is named.

    ``features`` and ``ranked`` are the canonical texts of what the ``columns`` are of, in order: F + R of them, with a
    number for each customer, null where there is nothing.
    """

    at: str
    partition: int
    features: tuple[str, ...]
    ranked: tuple[str, ...]
    columns: list[list[float | None]]

    @property
    def at_ms(self) -> int:
        return parse_instant(self.at)

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def array(self) -> Floats:
        """The customers' vectors (n, F + R), NaN where there is nothing. Raises `ValueError` where some are missing."""
        width = len(self.features) + len(self.ranked)
        return np.array(self.columns, dtype=np.float64).reshape(width, len(self)).T.copy()


class Pin(msgspec.Struct, frozen=True):
    """The version to stay at; None: learning goes on."""

    version: int | None


_samples = msgspec.json.Decoder(Samples)
_pin = msgspec.json.Decoder(Pin)
_encode = msgspec.json.Encoder().encode


def samples_value(at_ms: int, partition: int, features: tuple[str, ...], ranked: tuple[str, ...], raw: Floats) -> bytes:
    """A record of the topic ``profile-samples`` with the vectors ``raw`` (n, F + R); it has no key."""
    head = {"at": format_instant(at_ms), "partition": partition, "features": features, "ranked": ranked}
    columns = [_short(column) for column in raw.T]
    return orjson.dumps({**head, "columns": columns}, option=orjson.OPT_SERIALIZE_NUMPY)  # NaN is written as null


def _short(column: Floats) -> npt.NDArray[Any]:
    """Numbers (n,) that are all whole as integers: these are written in a fraction of the time, and of the bytes."""
    whole = column.astype(np.int64) if (np.abs(column) < 2.0**53).all() else None
    return np.ascontiguousarray(column) if whole is None or (whole != column).any() else whole


def parse_samples(value: bytes | None) -> Samples:
    """What `samples_value` wrote. Raises `SamplesError` for anything else."""
    try:
        samples = _samples.decode(value or b"")
        samples.array()
        parse_instant(samples.at)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise SamplesError(f"not samples of customers: {error}") from None
    return samples


def model_records(model: Model) -> list[tuple[bytes, bytes | None]]:
    """Key and value of a version for the topic ``persona-models``, and a tombstone for one that is too old to keep."""
    records: list[tuple[bytes, bytes | None]] = [(b"%d" % model.version, encode(model))]
    if model.version > VERSIONS_KEPT:
        records.append((b"%d" % (model.version - VERSIONS_KEPT), None))
    return records


def pin_record(version: int | None) -> tuple[bytes, bytes]:
    """Key and value of what says at which version personas stay; None: at none."""
    return _PIN, _encode(Pin(version))


def parse_model_record(key: bytes | None, value: bytes | None) -> Model | Pin | None:
    """What a record of ``persona-models`` says; None for a tombstone. Raises `ModelError` for anything else."""
    if value is None:
        return None
    if key == _PIN:
        try:
            return _pin.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ModelError(f"not a pin: {error}") from None
    model = decode(value)
    if key != b"%d" % model.version:
        raise ModelError(f"version {model.version} has the key {key!r}")
    return model


def event_records(
    version: int, at_ms: int, events: tuple[Any, ...], reason: str | None
) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values for the topic ``persona-events``: what has happened by a version, or by one that was refused.

    A trainer that begins again says them again: the same event has the same id.
    """
    told = [msgspec.to_builtins(event) for event in events]
    if reason is not None:
        told.append({"event": "refused", "reason": reason})
    for event in told:
        number = event.pop("number", None)
        persona = None if number is None else f"p{number}"
        id_ = ":".join(map(str, (version, at_ms, event["event"], persona or "")))
        head = {"id": id_, "at": format_instant(at_ms), "version": version, "persona": persona}
        yield (persona or "").encode(), _encode({**head, **event})


class Published:
    """What records of ``persona-models`` say when they are taken in order.

    ``versions`` are the models by their numbers; ``pinned`` is the version that personas stay at, None: at none.
    """

    def __init__(self) -> None:
        self.versions: dict[int, Model] = {}
        self.pinned: int | None = None

    @property
    def last(self) -> Model | None:
        """The latest version."""
        return self.versions[max(self.versions)] if self.versions else None

    def take(self, key: bytes | None, value: bytes | None) -> Model | None:
        """The model in a record, if it is one. A version that is there already stays as it is.

        Raises `ModelError` for a record that is none of ours.
        """
        found = parse_model_record(key, value)
        if isinstance(found, Pin):
            self.pinned = found.version
        elif found is not None:
            return self.versions.setdefault(found.version, found)
        elif key is not None and key.isdigit():
            self.versions.pop(int(key), None)
        return None
