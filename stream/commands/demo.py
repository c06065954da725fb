"""``segstream demo``: all of it on this machine, with a simulated shop."""

from __future__ import annotations

import click

from stream.commands.broker_options import BrokerAddress
from stream.commands.parameter_types import Count
from stream.commands.redis_options import RedisUrl


@click.command()
@click.option(
    "--broker",
    type=BrokerAddress(),
    envvar="SEGSTREAM_BROKER",
    show_envvar=True,
    help="A broker that is there, without events. Default: one of its own, in memory.",
)
@click.option("--kafka", is_flag=True, help="Start Apache Kafka as the broker.", show_envvar=True)
@click.option(
    "--redis",
    type=RedisUrl(),
    metavar="URL",
    envvar="SEGSTREAM_REDIS",
    show_envvar=True,
    help="A Redis that is there. Default: one of its own.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    show_default=True,
    metavar="N",
    help="Where the dashboard is; 0 takes a free port.",
    show_envvar=True,
)
@click.option(
    "--speed",
    type=click.FloatRange(1, 3_600),
    default=60.0,
    show_default=True,
    metavar="TIMES",
    help="How fast time goes on in the shop after the first days.",
    show_envvar=True,
)
@click.option(
    "--customers", type=Count(), default=20_000, show_default=True, help="How many customers.", show_envvar=True
)
@click.option(
    "--days", type=Count(), default=30, show_default=True, help="How many days are filled in first.", show_envvar=True
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Other seeds, other traffic.",
    show_envvar=True,
)
def demo(
    *,
    broker: str | None,
    kafka: bool,
    redis: str | None,
    port: int,
    speed: float,
    customers: int,
    days: int,
    seed: int,
) -> None:
    """See it live: a broker, Redis, a worker, the sink, the dashboard, and a simulated shop.

    Fills in some days as fast as it goes, and then lets time go on. Ctrl-C ends all and leaves nothing behind. Exit 64
    for what has to be put right first, 69 when a broker does not answer, 70 when a part has ended by itself.
    """
    from stream.demo.run import Options, run
    from stream.demo.screen import Screen

    if kafka and broker is not None:
        raise click.UsageError("--kafka and --broker exclude each other")
    options = Options(broker, redis, kafka, port, speed, customers, days, seed)
    run(options, Screen())
