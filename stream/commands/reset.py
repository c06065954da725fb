"""``segstream reset``: workers start anew from the topics' beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stream.cli import EXIT_USAGE, Failure
from stream.commands.broker_options import app_id_option, broker_option, run

if TYPE_CHECKING:
    from stream.kafka.resetting import Standing


@click.command()
@broker_option
@app_id_option
@click.option("--yes", is_flag=True, help="Do it. Without it the command only says what it would do.", show_envvar=True)
def reset(*, broker: str, app_id: str, yes: bool) -> None:
    """Let the workers of one --id start anew, from the beginning of their topics and with nothing remembered.

    What the group has committed is set to the topics' beginning, and the changelog is deleted and made anew. All
    changes are then computed and sent again, numbered from 1: whoever reads them must begin anew too. Stop all workers
    first: exit 64 while one is in the group, or when topics are missing; 2 without --yes, 69 when no broker answers.
    """
    from stream.kafka.resetting import look
    from stream.kafka.resetting import reset as start_anew

    if yes:
        standing = run(look(broker, app_id))
        run(start_anew(broker, app_id))
        for line in _lines(standing):
            click.echo(f"done: {line}")
        click.echo(
            "segstream: before the workers start, remove their folders of snapshots (--snapshots), and empty what "
            "remembers the last sequence of each customer: they are numbered from 1 again",
            err=True,
        )
        return
    for line in _lines(run(look(broker, app_id))):
        click.echo(f"to do: {line}")
    raise Failure("nothing has been done: --yes does it", EXIT_USAGE)


def _lines(standing: Standing) -> list[str]:
    lines = [
        f"{topic}: read again from its beginning ({count:,} had been committed)"
        for topic, count in standing.committed.items()
    ]
    if standing.changelog is None:
        return [*lines, f"{standing.changelog_name}: made, with {standing.partitions} partitions; there was none"]
    size = f"{standing.partitions} partitions and replication {standing.changelog.replication}"
    return [*lines, f"{standing.changelog_name}: deleted, with all profiles in it, and made anew with {size}"]
