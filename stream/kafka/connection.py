"""Reaching a broker: waiting for one that is not there yet, and saying so when it stays away."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError, RequestTimedOutError

from stream.errors import BrokerUnreachableError

#: So long a broker that does not answer is waited for.
WAIT_S = 10.0
_PAUSE_S = 0.1


def unreachable(broker: str, waited_s: float = 0) -> BrokerUnreachableError:
    """The error for a broker that does not answer."""
    waited = f" (waited {waited_s:g} s)" if waited_s else ""
    return BrokerUnreachableError(f"no broker answers at {broker}{waited}: is it running? --broker names another")


@contextlib.asynccontextmanager
async def connected_admin(broker: str, wait_s: float | None = None) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client that asks about topics and makes them; ``broker`` is ``HOST:PORT``, or several with commas between.

    Raises ``BrokerUnreachableError`` when nobody answers within ``wait_s`` (by default `WAIT_S`), or somebody stops
    answering.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=broker, request_timeout_ms=30_000)
    try:
        await _start(admin, broker, WAIT_S if wait_s is None else wait_s)
        try:
            yield admin
        except (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError, TimeoutError) as error:
            raise unreachable(broker) from error
    finally:
        await admin.close()


async def _start(admin: AIOKafkaAdminClient, broker: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await admin.start()
        except (KafkaConnectionError, TimeoutError) as error:
            if _is_last_try(deadline):
                raise unreachable(broker, wait_s) from error
            await asyncio.sleep(_PAUSE_S)
        else:
            return


def _is_last_try(deadline: float) -> bool:
    return time.monotonic() + _PAUSE_S > deadline
