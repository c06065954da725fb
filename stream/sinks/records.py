"""The records that sinks read: changes, and memberships, as schemas/ describes them."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Literal

import msgspec

#: Numbers up to here are the same everywhere, also where all numbers are floating-point ones.
_EXACT = 1 << 53
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MS = datetime.timedelta(milliseconds=1)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

ChangeName = Literal["entered", "exited", "erased"]
Sequence = Annotated[int, msgspec.Meta(ge=0, le=_EXACT)]
Instant = Annotated[datetime.datetime, msgspec.Meta(tz=True)]


class Change(msgspec.Struct, frozen=True, gc=False):
    """What a sink wants to know of a change; the evidence stays in its JSON."""

    customer_id: Annotated[str, msgspec.Meta(min_length=1)]
    segment: str | None
    change: ChangeName
    at: Instant
    sequence: Sequence
    cause: Literal["event", "timer", "definitions", "erasure", "model"]
    holdout: bool
    definitions: str


class Membership(msgspec.Struct, frozen=True, gc=False):
    """That a customer is in a segment."""

    since: Instant
    holdout: bool


class Memberships(msgspec.Struct, frozen=True, gc=False):
    """Who is in what, of one customer."""

    sequence: Sequence
    segments: dict[str, Membership]


_changes = msgspec.json.Decoder(Change)
_memberships = msgspec.json.Decoder(Memberships)
_names: set[str] = set()


def parse_change(value: bytes | None) -> Change:
    """The change in a record. Raises ``ValueError``, whose text is a reason for people, for what is none."""
    try:
        change = _changes.decode(value or b"")
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if (change.segment is None) != (change.change == "erased"):
        raise ValueError(f"{change.change}, and the segment is {change.segment or 'null'}")
    if change.segment is not None:
        _check_name(change.segment)
    return change


def parse_memberships(value: bytes) -> Memberships:
    """The memberships in a record. Raises ``ValueError`` for what is none."""
    try:
        memberships = _memberships.decode(value)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
    for name in memberships.segments:
        _check_name(name)
    return memberships


def to_ms(instant: datetime.datetime) -> int:
    """Milliseconds since the epoch."""
    return (instant - _EPOCH) // _MS


def _check_name(name: str) -> None:
    """Names become parts of keys, so nothing else may look like one."""
    if name not in _names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a segment")
        _names.add(name)
