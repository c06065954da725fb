"""Asking another worker for a customer, once and with a time limit."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from stream.live.addresses import Address
from stream.live.paths import path_of

#: In a request that has been forwarded: the token of the worker that it is meant for.
FORWARDED = "Segstream-Forwarded"
#: The owner says by itself that it is busy before this is over.
WITHIN_S = 8.0
_CONNECTED_WITHIN_S = 3.0
_STATUSES = (200, 404, 500, 503)


class ForwardingError(Exception):
    """The other worker gave no answer; ``status`` is what to answer then."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        self.status = status
        self.code = code
        super().__init__(reason)


@dataclass(frozen=True)
class Forwarded:
    """Another worker's answer, to be handed on as it is."""

    status: int
    body: bytes
    retry_after: str | None


class Forwarder:
    """Connections to the other workers; an ``async with`` opens and closes them."""

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=WITHIN_S, sock_connect=_CONNECTED_WITHIN_S)
        self._session = aiohttp.ClientSession(timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(self, worker: Address, customer: str) -> Forwarded:
        """What the other worker answers; raises ``ForwardingError``."""
        url = URL(f"{worker.url}{path_of(customer)}", encoded=True)
        request = self._session.get(url, headers={FORWARDED: worker.token}, allow_redirects=False)
        try:
            async with request as answer:
                body = await answer.read()
        except TimeoutError as error:
            reason = f"the worker at {worker.url}, to which the partition belongs, has not answered in time"
            raise ForwardingError(504, "no_answer", reason) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = f"the worker at {worker.url}, to which the partition belongs, can't be reached: {error}"
            raise ForwardingError(502, "unreachable", reason) from error
        if answer.status not in _STATUSES or answer.content_type != "application/json":
            reason = f"what answers at {worker.url} is no worker: status {answer.status}, {answer.content_type}"
            raise ForwardingError(502, "unreachable", reason)
        return Forwarded(answer.status, body, answer.headers.get("Retry-After"))
