"""The brokers that tests run on: the embedded one always, Apache Kafka too where it can run.

A test that takes ``broker`` runs on each, and finds it empty. One that stops or kills its broker takes ``own_broker``,
which nobody else uses.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator

import pytest

from scripts.kafka.apache import ApacheKafka, missing_programs
from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.process import BrokerProcess
from stream.kafka.connection import connected_admin

KINDS: dict[str, Callable[[], BrokerProcess]] = {"embedded": EmbeddedBroker, "apache": ApacheKafka}
MISSING = missing_programs()
_REASON = f"Apache Kafka needs {' and '.join(MISSING)}"
_PARAMETERS = ["embedded", pytest.param("apache", marks=pytest.mark.skipif(bool(MISSING), reason=_REASON))]


def brokers_line() -> str:
    """What the head of a run says."""
    apache = f"not Apache Kafka ({' and '.join(MISSING)} not installed)" if MISSING else "Apache Kafka"
    return f"brokers: embedded (Tansu), {apache}"


@pytest.fixture(scope="session")
def shared_apache() -> Iterator[BrokerProcess]:
    """Apache Kafka takes seconds to start: all tests of a process share one."""
    if MISSING:
        pytest.skip(_REASON)
    with ApacheKafka() as broker:
        yield broker


@pytest.fixture(params=_PARAMETERS)
def broker(request: pytest.FixtureRequest) -> Iterator[BrokerProcess]:
    """A broker without topics."""
    if request.param == "embedded":
        with EmbeddedBroker() as one:
            yield one
    else:
        shared: BrokerProcess = request.getfixturevalue("shared_apache")
        yield shared
        asyncio.run(delete_all_topics(shared.address))


@pytest.fixture(params=_PARAMETERS)
def own_broker(request: pytest.FixtureRequest) -> Iterator[BrokerProcess]:
    """A broker that the test may stop, kill and start again."""
    with KINDS[request.param]() as one:
        yield one


async def delete_all_topics(address: str) -> None:
    """Deletes what tests have made, and returns when it is gone."""
    async with connected_admin(address) as admin:
        while names := [name for name in await admin.list_topics() if not name.startswith("__")]:
            await admin.delete_topics(names)


def is_alive(pid: int) -> bool:
    """Whether there is a process of this id, be it a dead one that nobody has asked for its result."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
