"""``segstream topics``: makes the topics on a broker, and tells how they are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stream.cli import EXIT_CONFIG, EXIT_FOUND
from stream.commands.broker_options import app_id_option, broker_option, run
from stream.commands.definitions import checked_file
from stream.kafka.defaults import PARTITIONS, REPLICATION

if TYPE_CHECKING:
    from stream.kafka.topics import FoundTopic, Topic

#: With --wait so long for a broker that is only starting.
_LONG_WAIT_S = 120.0

_definitions_option = click.option(
    "--definitions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A definitions file: the topics that its `to` names are among them.",
    show_envvar=True,
)


@click.group()
def topics() -> None:
    """Make the topics on a broker, or see how they are."""


@topics.command(short_help="Make the topics that are missing, with the settings they need.")
@broker_option
@app_id_option
@_definitions_option
@click.option(
    "--partitions",
    type=click.IntRange(min=1),
    default=PARTITIONS,
    show_default=True,
    metavar="N",
    help="How many partitions each has: as many workers can share the work.",
    show_envvar=True,
)
@click.option(
    "--replication",
    type=click.IntRange(min=1),
    default=REPLICATION,
    show_default=True,
    metavar="N",
    help="How many brokers keep each; 3 where nothing may be lost.",
    show_envvar=True,
)
@click.option("--wait", is_flag=True, help="Wait up to 2 minutes for a broker that is only starting.", show_envvar=True)
def create(
    *, broker: str, app_id: str, definitions: Path | None, partitions: int, replication: int, wait: bool
) -> None:
    """Make the topics that are missing, with the settings they need.

    Those that are there are left as they are. Exit 64, and nothing is made, when one of them has another number of
    partitions or a setting that would do harm; 69 when no broker answers.
    """
    from stream.kafka.administration import create_topics
    from stream.kafka.connection import connected_admin

    wanted = _topics(app_id, definitions)

    async def make() -> list[str]:
        async with connected_admin(broker, _LONG_WAIT_S if wait else None) as admin:
            return await create_topics(admin, wanted, partitions, replication)

    made = run(make())
    for name in made:
        click.echo(f"made {name}")
    if not made:
        click.echo("all topics are there")


@topics.command(short_help="See which topics are there, and what is wrong with them.")
@broker_option
@app_id_option
@_definitions_option
def describe(*, broker: str, app_id: str, definitions: Path | None) -> None:
    """See which topics are there, with their partitions and settings, and what is wrong with them.

    Exit 1 when something is wrong, 69 when no broker answers.
    """
    from stream.kafka.administration import find_topics
    from stream.kafka.connection import connected_admin
    from stream.kafka.topics import problems

    wanted = _topics(app_id, definitions)

    async def find() -> dict[str, FoundTopic]:
        async with connected_admin(broker) as admin:
            return await find_topics(admin, [topic.name for topic in wanted])

    found = run(find())
    for topic in wanted:
        click.echo(f"{topic.name}: {_state(topic, found.get(topic.name))}")
    wrong = problems(wanted, found)
    for problem in wrong:
        click.echo(problem, err=True)
    if wrong:
        sys.exit(EXIT_FOUND)


def _state(topic: Topic, found: FoundTopic | None) -> str:
    if found is None:
        return f"missing ({topic.purpose})"
    names = [setting.name for setting in topic.settings]
    settings = "".join(f", {name}={found.settings[name]}" for name in names if name in found.settings)
    return f"partitions={found.partitions}, replication={found.replication}{settings} ({topic.purpose})"


def _topics(app_id: str, definitions: Path | None) -> tuple[Topic, ...]:
    from stream.kafka.topics import all_topics, destinations

    if definitions is None:
        return all_topics(app_id)
    checked = checked_file(definitions)
    if checked.definitions is None:
        for problem in checked.problems:
            click.echo(str(problem), err=True)
        sys.exit(EXIT_CONFIG)
    return all_topics(app_id, destinations(checked.definitions))
