"""The Faust app: the group, its assignment, and agents that hand on what comes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faust
from faust.types import TP
from yarl import URL

from stream.kafka.topics import PROFILES_TABLE
from stream.live import store
from stream.live.addresses import Address, Distribution
from stream.live.consumer import BatchConsumer, BatchTransport
from stream.live.fetched import Fetched
from stream.live.fleet import Fleet
from stream.worker.topics import SOURCES

#: A poll brings so many records at most, of all partitions together.
_POLL_RECORDS = 20_000
_FETCH_BYTES = 1 << 20
#: While a partition is restored nothing is polled, however long it takes; the watch looks after that.
_POLL_INTERVAL_S = 86_400.0


@dataclass(frozen=True)
class GroupSettings:
    """Of the consumer group. A worker that is silent for ``session_s`` loses its partitions.

    ``standbys`` further workers follow each partition's changelog.
    """

    broker: str
    app_id: str
    partitions: int
    session_s: float
    standbys: int = 0

    @property
    def request_s(self) -> float:
        """How long a write may take: less than it takes to lose a partition."""
        return self.session_s * 2 / 3


class _Schema(faust.Schema[Any, Any]):
    """Values are what the consumer made of them."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:  # noqa: ARG002
        return message.key

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:  # noqa: ARG002
        return message.value


class SegstreamApp(faust.App):
    """Faust's app with a fleet. It keeps nothing on disk."""

    logger = logging.getLogger("faust")

    def _create_directories(self) -> None:
        pass

    @property
    def distribution(self) -> Distribution:
        """Which worker has which partitions, as the group's latest assignment says."""
        found: Distribution = self.assignor.tables_metadata()
        return found


def make_app(settings: GroupSettings, fleet: Fleet, address: Address) -> SegstreamApp:
    """The app of a worker; starting it joins the group, which is told ``address``."""
    app = bare_app(settings)
    app.conf.canonical_url = URL(str(address))
    app.Table(PROFILES_TABLE, store=store.URL, partitions=settings.partitions, recovery_buffer_size=1_000)
    for topic in SOURCES:
        add_agent(app, topic, settings.partitions, lambda fetched: fleet.deliver(fetched))

    @app.on_partitions_revoked.connect(weak=False)
    async def revoked(*_: Any, **__: Any) -> None:
        await fleet.revoke()

    @app.on_partitions_assigned.connect(weak=False)
    async def assigned(app: SegstreamApp, assigned: set[TP], **_: Any) -> None:
        consumer = app.consumer
        assert isinstance(consumer, BatchConsumer)
        consumer.failed = fleet.fail
        fleet.attach(consumer)
        await fleet.assign(assigned, app.assignor.assigned_standbys(), app.consumer_generation_id)

    return app


def bare_app(settings: GroupSettings) -> SegstreamApp:
    """An app without agents: whole fetches come, and nothing but what is asked for is read or committed."""
    urls = [f"kafka://{address}" for address in settings.broker.split(",")]
    app = SegstreamApp(
        settings.app_id,
        broker=";".join(urls),
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        table_standby_replicas=settings.standbys,
        recovery_consistency_check=False,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        broker_session_timeout=settings.session_s,
        broker_rebalance_timeout=settings.session_s,
        broker_request_timeout=max(90.0, 2 * settings.session_s),
        broker_heartbeat_interval=settings.session_s / 10,
        broker_max_poll_interval=_POLL_INTERVAL_S,
        broker_max_poll_records=_POLL_RECORDS,
        consumer_max_fetch_size=_FETCH_BYTES,
        consumer_auto_offset_reset="earliest",
    )
    app.transport = BatchTransport(app.conf.broker_consumer, app)
    return app


def add_agent(app: SegstreamApp, topic: str, partitions: int, deliver: Callable[[Fetched], None]) -> None:
    """Has the app read a topic; ``deliver`` is given what has been fetched, and never waits."""

    async def take(stream: Any) -> None:
        async for fetched in stream:
            deliver(fetched)

    app.agent(app.topic(topic, schema=_Schema(), acks=False, partitions=partitions), name=f"take {topic}")(take)
