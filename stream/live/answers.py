"""What a worker answers of a customer, and how it is asked for it from outside."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import msgspec

from stream.engine.explanation import Condition
from stream.engine.standing import Standing
from stream.errors import CustomerUnknownError, WorkerUnreachableError
from stream.instants import format_instant
from stream.live.paths import path_of

#: Longer than a worker takes to say that it can't, whomever it has to ask for it.
_WITHIN_S = 15.0

Value = float | int | str | bool | None


class Membership(msgspec.Struct, frozen=True):
    """In a segment: since when, and whether held out."""

    since: str
    holdout: bool


class Held(msgspec.Struct, frozen=True):
    """What keeps a customer out of a segment, or in it, although the conditions say otherwise."""

    by: str
    until: str | None
    reason: str


class Why(msgspec.Struct, frozen=True):
    """How a customer stands to a segment; all conditions of a list must be true."""

    segment: str
    member: bool
    since: str | None
    holdout: bool
    enter: tuple[Condition, ...]
    enters: bool
    exit: tuple[Condition, ...]
    exits: bool
    held: Held | None

    @classmethod
    def of(cls, standing: Standing) -> Why:
        """As it is answered."""
        held, since_ms = standing.held, standing.since_ms
        until_ms = None if held is None else held.until_ms
        return cls(
            standing.segment,
            since_ms is not None,
            None if since_ms is None else format_instant(since_ms),
            standing.holdout,
            standing.enter,
            standing.enters,
            standing.exit,
            standing.exits,
            None
            if held is None
            else Held(held.by, None if until_ms is None else format_instant(until_ms), held.reason),
        )


class Answer(msgspec.Struct, frozen=True):
    """One customer; ``schemas/customer.schema.json`` describes it on the wire. Instants are RFC 3339."""

    customer_id: str
    partition: int
    at: str
    clock: str
    stream_clock: str | None
    sequence: int
    memberships: dict[str, Membership]
    features: dict[str, Value]
    next_timer: str | None
    offsets: dict[str, int | None]
    definitions: str
    worker: str
    why: tuple[Why, ...] = ()


class Refusal(msgspec.Struct, frozen=True):
    """Why there is no answer: a code for programs, and a reason for people."""

    error: str
    message: str


_ANSWERS = msgspec.json.Decoder(Answer)
_REFUSALS = msgspec.json.Decoder(Refusal)


def ask(worker: str, customer: str) -> tuple[Answer, bytes]:
    """What the worker at this URL answers of a customer, and its JSON. It is asked directly, without any proxy.

    Raises ``CustomerUnknownError``, and ``WorkerUnreachableError`` where there is no answer.
    """
    parts = urlsplit(worker)
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(parts.hostname or "", parts.port, timeout=_WITHIN_S)
    try:
        connection.request("GET", parts.path + path_of(customer))
        response = connection.getresponse()
        status, body = response.status, response.read()
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        reason = str(error) or type(error).__name__
        raise WorkerUnreachableError(
            f"no worker answers at {worker}: {reason} (is one running with --port?)"
        ) from error
    finally:
        connection.close()
    try:
        if status == http.HTTPStatus.OK:
            return _ANSWERS.decode(body), body
        refusal = _REFUSALS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WorkerUnreachableError(f"what answers at {worker} is no worker: status {status}, {error}") from error
    if status == http.HTTPStatus.NOT_FOUND:
        raise CustomerUnknownError(f"customer {customer!r}: {refusal.message}")
    raise WorkerUnreachableError(f"the worker at {worker} has no answer now: {refusal.message}")
