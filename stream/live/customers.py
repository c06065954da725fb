"""Answers for customers over HTTP: from this worker's rows, or from the worker that has the partition."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from aiohttp import web

from stream.contract import Kind
from stream.instants import format_instant
from stream.live.addresses import Address, Distribution, owner_of
from stream.live.answers import Answer, Membership, Refusal, Why
from stream.live.fleet import Fleet
from stream.live.forwarding import FORWARDED, Forwarder, ForwardingError
from stream.live.paths import CUSTOMERS, customer_of
from stream.live.questions import NotNowError
from stream.live.runner import Runner
from stream.worker.owner import Owner
from stream.worker.partitioning import partitions_of
from stream.worker.settings import Settings

#: The path that `Customers.answer` serves. A slash in an id has to be encoded.
ROUTE = CUSTOMERS + "{id:[^/]*}"
#: So long a step of the owner is waited for.
_ANSWERED_WITHIN_S = 5.0
_RETRY_AFTER_S = "1"

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)


class _RefusedError(Exception):
    """Why there is no portrait, as it is answered."""

    def __init__(self, status: int, code: str, reason: str, *, retry: bool = False) -> None:
        self.status = status
        self.code = code
        self.retry = retry
        super().__init__(reason)

    def response(self) -> web.Response:
        return _json(Refusal(self.code, str(self)), self.status, _RETRY_AFTER_S if self.retry else None)


@dataclass(frozen=True)
class _Here:
    """What is known once the worker takes part in the group."""

    fleet: Fleet
    address: Address
    distribution: Callable[[], Distribution]


class Customers:
    """Answers for customers of all partitions, once `open` has said who has them."""

    def __init__(self, settings: Settings, forwarder: Forwarder) -> None:
        self._settings = settings
        self._forwarder = forwarder
        self._here: _Here | None = None

    def open(self, fleet: Fleet, address: Address, distribution: Callable[[], Distribution]) -> None:
        """Says which partitions are here, what this worker's address is, and which worker has what."""
        self._here = _Here(fleet, address, distribution)

    async def answer(self, request: web.Request) -> web.Response:
        """The answer to ``GET /v1/customers/ID``."""
        try:
            return await self._find(_customer(request), request.headers.get(FORWARDED))
        except _RefusedError as refusal:
            return refusal.response()
        except Exception as error:  # noqa: BLE001 (whoever asked is told; the worker goes on)
            _log.exception("no answer for a customer")
            return _RefusedError(500, "internal", f"{type(error).__name__}; the worker's log says more").response()

    async def _find(self, customer: str, meant_for: str | None) -> web.Response:
        """From here, or from the worker that has the partition. ``meant_for``: of a request that was forwarded."""
        here, settings = self._here, self._settings
        if here is None:
            raise _RefusedError(503, "moving", "the worker is about to join its group", retry=True)
        partition = int(partitions_of([customer.encode()], settings.partitions)[0])
        if meant_for is not None and meant_for != here.address.token:
            reason = f"{here.address.url} leads to another worker than the one that partition {partition} belongs to"
            raise _RefusedError(503, "wrong_worker", f"{reason}: see its --host and --advertise")
        runner = here.fleet.runner(partition)
        if runner is not None:
            return _json(await self._ask(runner, customer, here.address))
        if meant_for is not None:
            reason = f"another worker forwarded this, but partition {partition} is not here, or no longer"
            raise _RefusedError(503, "not_owner", reason, retry=True)
        owner = owner_of(here.distribution(), settings.changelog, partition)
        if owner is None or owner.token == here.address.token:
            raise _RefusedError(503, "moving", f"nobody has partition {partition} at the moment", retry=True)
        if owner.url is None:
            raise _RefusedError(503, "no_port", f"partition {partition} belongs to a worker without --port")
        try:
            found = await self._forwarder.ask(owner, customer)
        except ForwardingError as error:
            raise _RefusedError(error.status, error.code, f"partition {partition}: {error}") from error
        return _json(found.body, found.status, found.retry_after)

    async def _ask(self, runner: Runner, customer: str, address: Address) -> Answer:
        assert address.url is not None, "nobody can ask a worker without a port"
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN_S):
                return await runner.ask(functools.partial(_look, customer, address.url))
        except NotNowError as error:
            raise _RefusedError(503, error.code, str(error), retry=True) from error
        except TimeoutError as error:
            reason = f"partition {runner.partition} has been busy with a batch for {_ANSWERED_WITHIN_S:g} s"
            raise _RefusedError(503, "busy", reason, retry=True) from error


def _customer(request: web.Request) -> str:
    try:
        return customer_of(request.rel_url.raw_path)
    except ValueError as error:
        raise _RefusedError(400, "bad_id", str(error)) from error


def _look(customer: str, worker: str, owner: Owner) -> Answer:
    """What is answered of a customer, between two steps of the owner."""
    partition = owner.partition
    portrait = partition.portrait(customer)
    if portrait is None and owner.writer.erasures.has_erased(customer):
        raise _RefusedError(404, "erased_customer", "the customer was erased, and no later event has been applied")
    if portrait is None:
        raise _RefusedError(404, "unknown_customer", "no event of such a customer has been applied")
    return Answer(
        customer_id=portrait.customer,
        partition=owner.settings.partition,
        at=format_instant(portrait.at_ms),
        clock=format_instant(portrait.clock_ms),
        stream_clock=_text(partition.stream_ms),
        sequence=portrait.sequence,
        memberships={
            segment: Membership(format_instant(one.since_ms), one.holdout)
            for segment, one in portrait.memberships.items()
        },
        features=portrait.features,
        next_timer=_text(portrait.next_timer_ms),
        offsets={kind.topic: portrait.offsets[kind] for kind in Kind},
        definitions=owner.plan.definitions_hash,
        worker=worker,
        why=tuple(Why.of(standing) for standing in partition.standings(customer) or ()),
    )


def _text(instant_ms: int | None) -> str | None:
    return None if instant_ms is None or instant_ms < 0 else format_instant(instant_ms)


def _json(body: object, status: int = 200, retry_after: str | None = None) -> web.Response:
    """A response that nobody keeps: it tells of a customer, and of now."""
    headers = {"Cache-Control": "no-store", **({} if retry_after is None else {"Retry-After": retry_after})}
    data = body if isinstance(body, bytes) else _encode(body)
    return web.Response(body=data, status=status, headers=headers, content_type="application/json")
