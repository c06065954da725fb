"""``segstream sink``: what the changes say, kept elsewhere."""

from __future__ import annotations

import click

from stream.commands.broker_options import AppId, broker_option
from stream.commands.redis_options import redis_option, redis_prefix_option
from stream.commands.service import host_option, log_to_stderr, port_option, serve


@click.group()
def sink() -> None:
    """Keep elsewhere what the changes say: who is in which segment."""


@sink.command("redis")
@broker_option
@redis_option
@redis_prefix_option
@click.option(
    "--id",
    "sink_id",
    type=AppId(),
    default="segstream-redis",
    show_default=True,
    envvar="SEGSTREAM_SINK_REDIS_ID",
    help="What the sink calls itself.",
    show_envvar=True,
)
@click.option(
    "--no-evidence", is_flag=True, help="Keep no changes of each customer, and no evidence.", show_envvar=True
)
@click.option("--refill", is_flag=True, help="Begin by emptying what is there, and fill it anew.", show_envvar=True)
@click.option(
    "--exit-when-done", is_flag=True, help="End when all changes that lie in the topic are applied.", show_envvar=True
)
@port_option("probes and metrics")
@host_option
def redis_(
    *,
    broker: str,
    redis_url: str,
    redis_prefix: str,
    sink_id: str,
    no_evidence: bool,
    refill: bool,
    exit_when_done: bool,
    port: int | None,
    host: str,
) -> None:
    """Keep in Redis who is in which segment, and what has happened lately.

    It reads segment-changes, and memberships when Redis is empty. How far it has read lies in Redis too, so it goes on
    from what Redis holds. SIGTERM ends it in order. Exit 64 for what has to be put right first, 69 when the broker or,
    for a minute from the start, Redis does not answer, 70 when something went wrong that should not.
    """
    from stream.sinks.redis.sink import Options
    from stream.sinks.redis.sink import run as work

    log_to_stderr()
    options = Options(
        broker,
        redis_url,
        redis_prefix,
        sink_id,
        keep_evidence=not no_evidence,
        refill=refill,
        exit_when_done=exit_when_done,
        port=port,
        host=host,
    )
    serve(work(options))
