"""A trainer from its start to its end."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from faust.types import TP

from stream.engine.plan import Plan
from stream.kafka.topics import PROFILE_SAMPLES
from stream.live.app import GroupSettings, SegstreamApp, add_agent, bare_app
from stream.live.checks import check_topics
from stream.live.consumer import BatchConsumer
from stream.live.ending import leave, why_ended
from stream.live.producer import LogProducer
from stream.live.reader import LogReader
from stream.live.record_batches import unpack_stored
from stream.live.started import started
from stream.live.status import Counters
from stream.probes import Probes, serving
from stream.signals import asked_to_stop
from stream.trainer.status import TrainerStatus
from stream.trainer.work import PLACE, Work
from stream.web_server import DEFAULT_HOST

_LOOK_S = 0.2

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What a trainer is told."""

    broker: str
    app_id: str
    session_s: float
    port: int | None = None
    host: str = DEFAULT_HOST


async def run(plan: Plan, options: Options) -> None:
    """Works until SIGTERM or SIGINT; of several trainers one does, and the next when it is gone.

    Raises ``TopicsError``, ``PortInUseError`` and ``BrokerUnreachableError``, and anything for what should not happen.
    """
    partitions = await check_topics(options.broker, options.app_id, plan.definitions)
    group = GroupSettings(options.broker, f"{options.app_id}-trainer", 1, options.session_s)
    status = TrainerStatus()
    ending = _Ending()
    about = {"trainer": options.app_id, "definitions": plan.definitions_hash}
    checks = {"group": status.why_not_ready}
    probes = Probes(status.registry, checks, int(time.time() * 1_000), lambda: about)
    async with (
        started(LogReader(options.broker, unpack_stored)) as reader,
        started(LogProducer(options.broker, partitions, group.request_s, Counters())) as producer,
        serving(probes, options.port, options.host),
    ):
        work = Work(plan, reader, producer, status, ending.fail)
        app = _make_app(group, work, status, ending)
        with asked_to_stop() as stop:
            starting = asyncio.create_task(app.start(), name="faust")
            try:
                while not (stop.is_set() or ending.error):
                    error = why_ended(app, starting)
                    if error is not None:
                        ending.fail(error)
                    await asyncio.sleep(_LOOK_S)
                await work.stop()
            finally:
                await leave(app, starting)
    if ending.error is not None:
        raise ending.error


class _Ending:
    """The first error."""

    error: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        self.error = self.error or error


def _make_app(group: GroupSettings, work: Work, status: TrainerStatus, ending: _Ending) -> SegstreamApp:
    app = bare_app(group)
    add_agent(app, PROFILE_SAMPLES, 1, work.deliver)

    @app.on_partitions_revoked.connect(weak=False)
    async def revoked(*_: Any, **__: Any) -> None:
        if isinstance(app.consumer, BatchConsumer):
            app.consumer.hold_all()
        await work.stop()

    @app.on_partitions_assigned.connect(weak=False)
    async def assigned(app: SegstreamApp, assigned: set[TP], **_: Any) -> None:
        consumer = app.consumer
        assert isinstance(consumer, BatchConsumer)
        consumer.failed = ending.fail
        status.is_active = PLACE in assigned
        _log.info("%s", "learning" if status.is_active else "another trainer is learning; waiting")
        if status.is_active:
            work.start(consumer, app.consumer_generation_id)

    return app
