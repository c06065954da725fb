"""A worker from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
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
from stream.live.fleet import Connections, Fleet
from stream.live.forwarding import Forwarder
from stream.live.metrics import Durations, Metrics
from stream.live.previews import ROUTE as PREVIEW
from stream.live.previews import Previews
from stream.live.producer import LogProducer
from stream.live.reader import LogReader
from stream.live.record_batches import unpack_stored
from stream.live.snapshot_folder import SnapshotFolder
from stream.live.status import Status
from stream.live.watch import EXIT_STALLED, STALLED_AFTER_S, Watch
from stream.live.web import Web
from stream.web_server import DEFAULT_HOST
from stream.worker.settings import ClockMode, Settings, StreamClock

#: A worker that is silent for so long loses its partitions.
SESSION_S = 30.0
#: So long leaving the group may take.
_LEFT_WITHIN_S = 20.0
_LOOK_S = 0.2
_EXIT_KILLED = 137

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
        _started(reader),
        _started(producer),
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
        fleet = Fleet(
            plan,
            settings,
            Connections(producer, reader, time, folder),
            status,
            durations,
            drained_within_s=options.session_s / 2,
            exit_when_done=options.exit_when_done,
        )
        app = make_app(group, fleet, address)
        customers.open(fleet, address, lambda: app.distribution)
        previews.open(fleet)
        # Joining a group of workers that restore, or are about to be given up, takes as long as a session.
        async with Announcer(options.broker, Announcements(status, durations, time, address.url)):
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


@contextlib.asynccontextmanager
async def _started(one: LogReader | LogProducer) -> AsyncIterator[None]:
    await one.start()
    try:
        yield
    finally:
        await one.stop()


async def _work(app: SegstreamApp, fleet: Fleet, status: Status, stalled_after_s: float) -> None:
    """Runs the app until something ends it, then lets go of everything in order."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _asked_to_stop, stop, number)
    watch = Watch(status, loop, stalled_after_s)
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
        await _leave(app, starting)
        watch.stop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    if fleet.error is None:
        await fleet.save()


def _end_at_once() -> None:
    """Threads that do not end would keep the process for ever."""
    _log.critical("the worker does not come to its end; ending at once")
    os._exit(EXIT_STALLED)


def _asked_to_stop(stop: asyncio.Event, number: int) -> None:
    if stop.is_set():
        _log.warning("asked to stop a second time: ending at once")
        os._exit(_EXIT_KILLED)
    _log.info("%s: finishing what has been begun", signal.Signals(number).name)
    stop.set()


async def _until_ended(app: SegstreamApp, fleet: Fleet, stop: asyncio.Event, starting: asyncio.Task[None]) -> None:
    while not (stop.is_set() or fleet.ended.is_set()):
        if starting.done() and starting.exception() is not None:
            fleet.fail(starting.exception() or AssertionError("Faust ended"))
        elif app.should_stop:
            fleet.fail(app.crash_reason or RuntimeError("Faust has stopped"))
        await fleet.look()
        await asyncio.sleep(_LOOK_S)


async def _leave(app: SegstreamApp, starting: asyncio.Task[None]) -> None:
    """Leaves the group. What has to be durable is; a broker that does not answer is not waited for."""
    last_resort = threading.Timer(2 * _LEFT_WITHIN_S, _end_at_once)
    last_resort.daemon = True
    last_resort.start()
    try:
        async with asyncio.timeout(_LEFT_WITHIN_S):
            await app.stop()
        last_resort.cancel()
    except TimeoutError:
        _log.warning("the group was not left within %g s; it will notice", _LEFT_WITHIN_S)
    if not starting.done():
        starting.cancel()
    await asyncio.wait([starting])
