"""A worker from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from stream import __version__
from stream.engine.plan import Plan
from stream.garbage import collect_rarely
from stream.kafka.connection import connected_admin
from stream.live.addresses import Address, told_url
from stream.live.announcing import Announcements, Announcer
from stream.live.app import GroupSettings, SegstreamApp, make_app
from stream.live.checks import check_instant, check_topics
from stream.live.clock import SystemTime
from stream.live.customers import ROUTE, Customers
from stream.live.ending import leave, why_ended
from stream.live.fleet import Connections, Fleet
from stream.live.forwarding import Forwarder
from stream.live.metrics import Durations, Metrics
from stream.live.models import FollowedModels
from stream.live.previews import ROUTE as PREVIEW
from stream.live.previews import Previews
from stream.live.producer import LogProducer
from stream.live.reader import LogReader
from stream.live.record_batches import unpack_stored
from stream.live.snapshot_folder import SnapshotFolder
from stream.live.started import started
from stream.live.status import Status
from stream.live.watch import STALLED_AFTER_S, Watch
from stream.live.web import Web
from stream.signals import asked_to_stop
from stream.web_server import DEFAULT_HOST
from stream.worker.settings import ClockMode, Settings, StreamClock

#: A worker that is silent for so long loses its partitions.
SESSION_S = 30.0
_LOOK_S = 0.2

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What a worker is told."""

    broker: str
    app_id: str
    clock: StreamClock = field(default_factory=StreamClock)
    exit_when_done: bool = False
    force: bool = False
    force_definitions: bool = False
    quiet_changes: bool = False
    allow_empty: bool = False
    session_s: float = SESSION_S
    port: int | None = None
    standbys: int = 0
    snapshots: Path | None = None
    host: str = DEFAULT_HOST
    advertise: str | None = None
    source: bytes | None = None  # the definitions file as it is written: drafts of segments are checked within it
    compression: str | None = None


async def run(plan: Plan, options: Options) -> None:
    """Works until SIGTERM or SIGINT, or with ``exit_when_done`` until all is done.

    Raises what it ends by: ``TopicsError``, ``PortInUseError``, ``ClockAheadError``, ``EarlierDefinitionsError`` and
    ``SourceTruncatedError`` for what somebody has to put right, ``BrokerUnreachableError``, and anything else for what
    should not happen. Nothing that was not durable is committed then.
    """
    partitions = await check_topics(options.broker, options.app_id, plan.definitions)
    settings = _settings(options, partitions)
    group = GroupSettings(options.broker, options.app_id, settings.partitions, options.session_s, options.standbys)
    time = SystemTime()
    collect_rarely()
    status = Status(options.app_id, __version__, plan.definitions_hash, time.wall_ms(), time.wall_ms())
    status.unassigned_ms = time.steady_ms()
    durations = Durations()
    producer = LogProducer(options.broker, partitions, group.request_s, status.counters, options.compression)
    reader = LogReader(options.broker, unpack_stored)
    async with (
        started(reader),
        started(producer),
        _saving(options) as folder,
        Forwarder() as forwarder,
        _serving(
            options,
            status,
            durations,
            customers := Customers(settings, forwarder),
            previews := Previews(plan, options.source),
        ) as address,
    ):
        if options.clock.mode is ClockMode.FIXED and not options.force:
            await check_instant(reader, settings.partitions, options.clock.instant_ms, time.wall_ms())
        followed = FollowedModels(plan, reader, lambda error: fleet.fail(error))
        fleet = Fleet(
            plan,
            settings,
            Connections(producer, reader, time, followed.models, folder),
            status,
            durations,
            drained_within_s=options.session_s / 2,
            exit_when_done=options.exit_when_done,
        )
        app = make_app(group, fleet, address)
        customers.open(fleet, address, lambda: app.distribution)
        previews.open(fleet)
        # Joining a group of workers that restore, or are about to be given up, takes as long as a session.
        async with followed, Announcer(options.broker, Announcements(status, durations, time, address.url)):
            await _work(app, fleet, status, max(STALLED_AFTER_S, 2 * options.session_s))
        counters = status.counters
        done = counters.events.total(), counters.changes.total(), counters.dead_letters.total()
        _log.info("ended after %s events, %s changes, %s dead letters", *(f"{count:,}" for count in done))
    if fleet.error is not None:
        raise fleet.error


def _settings(options: Options, partitions: dict[str, int]) -> Settings:
    return Settings(
        partition=0,
        partitions=partitions["clicks"],
        worker_id=options.app_id,
        clock=options.clock,
        force_definitions=options.force_definitions,
        quiet_changes=options.quiet_changes,
        allow_empty=options.allow_empty,
    )


@contextlib.asynccontextmanager
async def _serving(
    options: Options, status: Status, durations: Durations, customers: Customers, previews: Previews
) -> AsyncIterator[Address]:
    """Serves probes, metrics, customers and previews, where a port is given; what other workers are told of that."""
    token = uuid.uuid4().hex
    if options.port is None:
        yield Address(None, token)
        return
    routes, posts = [(ROUTE, customers.answer)], [(PREVIEW, previews.answer)]
    web = Web(status, Metrics(status, durations), options.port, host=options.host, routes=routes, posts=posts)
    await web.start()
    _log.info("probes and metrics: %s", web.url)
    url = options.advertise or told_url(options.host, web.port)
    if url != web.url:
        _log.info("other workers are told: %s", url)
    try:
        yield Address(url, token)
    finally:
        await web.stop()


@contextlib.asynccontextmanager
async def _saving(options: Options) -> AsyncIterator[SnapshotFolder | None]:
    """The folder for snapshots, where there is one."""
    if options.snapshots is None:
        yield None
        return
    async with connected_admin(options.broker) as admin:
        cluster = (await admin.describe_cluster())["cluster_id"]
    with SnapshotFolder(options.snapshots, cluster) as folder:
        yield folder


async def _work(app: SegstreamApp, fleet: Fleet, status: Status, stalled_after_s: float) -> None:
    """Runs the app until something ends it, then lets go of everything in order."""
    watch = Watch(status, asyncio.get_running_loop(), stalled_after_s)
    with asked_to_stop() as stop:
        watch.start()
        starting = asyncio.create_task(app.start(), name="faust")
        try:
            await _until_ended(app, fleet, stop, starting)
            status.is_stopping = True
            if fleet.error is None:
                await fleet.stop()
            else:
                _log.error("stopping: %s", fleet.error)
        finally:
            await leave(app, starting)
            watch.stop()
    if fleet.error is None:
        await fleet.save()


async def _until_ended(app: SegstreamApp, fleet: Fleet, stop: asyncio.Event, starting: asyncio.Task[None]) -> None:
    while not (stop.is_set() or fleet.ended.is_set()):
        error = why_ended(app, starting)
        if error is not None:
            fleet.fail(error)
        await fleet.look()
        await asyncio.sleep(_LOOK_S)
