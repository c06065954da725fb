"""``segstream produce``: events from files into their topics."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from stream.cli import EXIT_FOUND
from stream.commands.broker_options import broker_option, run
from stream.commands.outputs import STANDARD
from stream.commands.parameter_types import Count

if TYPE_CHECKING:
    from stream.kafka.producing import Produced


@click.command()
@click.argument("events", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@broker_option
@click.option("--sort", is_flag=True, help="Sort the events by time first (in runs on disk).", show_envvar=True)
@click.option("--rate", type=Count(), help="How many events a second. Default: as fast as it goes.", show_envvar=True)
def produce(*, events: tuple[str, ...], broker: str, sort: bool, rate: int | None) -> None:
    """Send events from files to the topics clicks, purchases and emails.

    EVENTS are JSON lines, plain or .gz, - for standard input. Each line goes as it is to the topic of its type, with
    its customer_id as the key. Exit 1 when lines had to be left out, because they name no type or no customer, or with
    --sort because they are no valid events; the others are sent. Exit 64 when topics are missing, 69 when no broker
    answers.
    """
    from stream.kafka.producing import Reports
    from stream.kafka.producing import produce as send
    from stream.replay.screen import progress_bar

    if events.count(STANDARD) > 1:
        raise click.UsageError("standard input (-) can be read only once")
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(progress_bar(events, sort=sort, doing="sending"))
        reports = Reports(
            refused=lambda line: click.echo(f"segstream: not sent: {line}", err=True),
            bytes_read=bar.bytes_read if bar else None,
            bytes_sorted=bar.bytes_sorted if bar else None,
        )
        produced = run(send(events, broker, reports, sort=sort, rate=rate), reads_input=STANDARD in events)
    click.echo(_closing_line(produced), err=True)
    if produced.refused:
        sys.exit(EXIT_FOUND)


def _closing_line(produced: Produced) -> str:
    total = produced.events.total()
    left_out = f"; {produced.refused:,} left out" if produced.refused else ""
    if not total:
        return f"no events sent{left_out}"
    topics = ", ".join(f"{count:,} to {topic}" for topic, count in sorted(produced.events.items()))
    rate = f"{total / produced.seconds:,.0f} events/s" if produced.seconds else ""
    return f"{total:,} events sent in {produced.seconds:.2f} s ({rate}): {topics}{left_out}"
