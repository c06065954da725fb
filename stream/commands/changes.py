"""``segstream changes``: prints the changes in their topic."""

from __future__ import annotations

import contextlib
import sys

import click

from stream.cli import EXIT_FOUND
from stream.commands.broker_options import broker_option, run
from stream.commands.outputs import STANDARD, Output


@click.command()
@broker_option
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.", show_envvar=True)
def changes(*, broker: str, follow: bool) -> None:
    """Print the changes in the topic segment-changes as JSON lines, each once.

    It begins at the topic's beginning and ends where the topic ended when it began. Changes of one customer come in
    order. Exit 1 when the topic has records that are no changes, 64 when it is missing, 69 when no broker answers.
    """
    from stream.kafka.changes import ForeignRecord
    from stream.kafka.changes import changes as read

    foreign = 0

    async def show(output: Output) -> None:
        nonlocal foreign
        async with contextlib.aclosing(read(broker, follow=follow)) as batches:
            async for batch in batches:
                for one in batch:
                    if isinstance(one, ForeignRecord):
                        foreign += 1
                        click.echo(f"segstream: {one}", err=True)
                    else:
                        output.write(one + b"\n")
                output.flush()

    with Output(STANDARD) as output:
        try:
            run(show(output))
        except KeyboardInterrupt:
            if not follow:  # else it is the way to end it
                raise
    if foreign:
        sys.exit(EXIT_FOUND)
