"""``segstream worker``: events from Kafka, changes to Kafka, in real time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stream.cli import EXIT_CONFIG, Failure
from stream.commands.broker_options import app_id_option, broker_option
from stream.commands.definitions import definitions_argument, meant, read_and_checked
from stream.commands.parameter_types import Codec, HttpUrl, Instant
from stream.commands.service import host_option, log_to_stderr, port_option, serve, session_timeout_option

if TYPE_CHECKING:
    from stream.engine.plan import Plan
    from stream.worker.settings import StreamClock


class _Clock(click.ParamType):
    """What moves the stream clock: ``event``, ``wall``, or an instant."""

    name = "clock"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> StreamClock:
        from stream.worker.settings import ClockMode, StreamClock

        if isinstance(value, StreamClock):
            return value
        if value in ("event", "wall"):
            return StreamClock(ClockMode(value))
        return StreamClock(ClockMode.FIXED, Instant().convert(value, param, ctx))


@click.command()
@definitions_argument
@broker_option
@app_id_option
@click.option(
    "--clock",
    type=_Clock(),
    metavar="CLOCK",
    default="wall",
    show_default=True,
    help="What moves time on besides events: event (nothing), wall (the time of day), or an instant, up to which.",
    show_envvar=True,
)
@click.option("--exit-when-done", is_flag=True, help="With --clock TIME: end when all stands there.", show_envvar=True)
@session_timeout_option("A worker that is silent for so long loses its partitions to others.")
@port_option("probes, metrics, customers and previews")
@host_option
@click.option(
    "--advertise",
    type=HttpUrl(),
    help="Where other workers find this one. Default: by --host and --port.",
    show_envvar=True,
)
@click.option(
    "--standbys",
    type=click.IntRange(0, 10),
    default=0,
    show_default=True,
    metavar="N",
    help="So many further workers follow each partition, to take it over at once.",
    show_envvar=True,
)
@click.option(
    "--snapshots",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep profiles there too, so that the next start reads only what came after. Default: nowhere.",
    show_envvar=True,
)
@click.option(
    "--compression",
    type=Codec(),
    metavar="CODEC",
    help="How what is written to Kafka is compressed: gzip, snappy, lz4 or zstd. Default: not at all.",
    show_envvar=True,
)
@click.option("--force", is_flag=True, help="Take a TIME far after the newest record.", show_envvar=True)
@click.option("--force-definitions", is_flag=True, help="Go back to definitions that were left.", show_envvar=True)
@click.option("--quiet-changes", is_flag=True, help="Mark the changes that new definitions cause.", show_envvar=True)
@click.option("--allow-empty", is_flag=True, help="Let segments without history be entered.", show_envvar=True)
def worker(
    *,
    definitions: Path,
    broker: str,
    app_id: str,
    clock: StreamClock,
    exit_when_done: bool,
    session_timeout: float,
    port: int | None,
    standbys: int,
    snapshots: Path | None,
    host: str,
    advertise: str | None,
    compression: str | None,
    force: bool,
    force_definitions: bool,
    quiet_changes: bool,
    allow_empty: bool,
) -> None:
    """Apply events as they come, and send who entered and left which segment.

    Workers with the same --id share the partitions. SIGTERM ends one in order. Exit 64 for what has to be put right
    first, 69 when the broker does not answer, 70 when something went wrong that should not.
    """
    from stream.errors import ClockAheadError
    from stream.live.worker import Options
    from stream.live.worker import run as work
    from stream.preparation import prepare_looks
    from stream.worker.errors import EarlierDefinitionsError, SourceTruncatedError
    from stream.worker.settings import ClockMode

    if exit_when_done and clock.mode is not ClockMode.FIXED:
        raise click.UsageError("--exit-when-done needs --clock TIME: with other clocks there is always more to come")
    if advertise is not None and port is None:
        raise click.UsageError("--advertise needs --port: without, nothing is served")
    source, plan = _plan(definitions)
    if port is not None:
        # Who looks at a customer comes later; joining the group, which is mostly waiting, goes on meanwhile. At its end
        # the process waits for it: the compiler crashes where it is left in the midst of its work.
        threading.Thread(target=prepare_looks, args=(plan,), daemon=False).start()
    log_to_stderr()
    options = Options(
        broker,
        app_id,
        clock,
        exit_when_done=exit_when_done,
        force=force,
        force_definitions=force_definitions,
        quiet_changes=quiet_changes,
        allow_empty=allow_empty,
        session_s=session_timeout,
        port=port,
        standbys=standbys,
        snapshots=snapshots,
        host=host,
        advertise=advertise,
        source=source,
        compression=compression,
    )
    try:
        serve(work(plan, options))
    except (ClockAheadError, EarlierDefinitionsError, SourceTruncatedError) as error:
        raise Failure(str(error), EXIT_CONFIG) from error


def _plan(definitions: Path) -> tuple[bytes, Plan]:
    """The file as it is written, and its plan; what it takes to work is ready."""
    from stream.engine.plan import compile_plan
    from stream.garbage import without_collections
    from stream.live import batch_building, record_batches
    from stream.preparation import prepare
    from stream.worker import records

    source, checked = read_and_checked(definitions)
    plan = compile_plan(meant(checked))
    with without_collections():
        prepare(plan)
        record_batches.prepare()
        batch_building.prepare()
        records.prepare()
    return source, plan
