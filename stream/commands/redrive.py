"""``segstream redrive``: sends dead letters back to their topics."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING

import click

from stream.cli import EXIT_FOUND
from stream.commands.broker_options import broker_option, run

if TYPE_CHECKING:
    from stream.kafka.redriving import Redriven


@click.command()
@broker_option
@click.option(
    "--reason",
    "reasons",
    multiple=True,
    metavar="CODE",
    envvar="SEGSTREAM_REDRIVE_REASON",
    help="Only letters with this code, such as too_far_ahead; may be given several times.",
    show_envvar=True,
)
@click.option("--dry-run", is_flag=True, help="Only count what would be sent.", show_envvar=True)
def redrive(*, broker: str, reasons: tuple[str, ...], dry_run: bool) -> None:
    """Send dead letters back to the topics they came from, once what was wrong with them is mended.

    Keys and values are sent as they were. What has been sent back is remembered: run again, it goes on with later
    letters. Prints how many there are by code and topic. Exit 1 when letters had to be left where they are, 64 when
    topics are missing, 69 when no broker answers.
    """
    from stream.kafka.redriving import redrive as send

    _check(reasons)
    redriven = run(
        send(
            broker,
            lambda kept: click.echo(f"segstream: not sent back: {kept}", err=True),
            codes=reasons,
            dry_run=dry_run,
        )
    )
    _show(redriven, dry_run=dry_run)
    if redriven.kept:
        sys.exit(EXIT_FOUND)


def _check(reasons: tuple[str, ...]) -> None:
    from stream.events.reasons import Code
    from stream.worker.letters import BAD_ERASURE, WRONG_PARTITION

    known = [*map(str, Code), WRONG_PARTITION, BAD_ERASURE]
    for reason in reasons:
        if reason not in known:
            near = difflib.get_close_matches(reason, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise click.BadParameter(f"no letter has the code {reason!r}: {hint}", param_hint="--reason")


def _show(redriven: Redriven, *, dry_run: bool) -> None:
    for (code, topic), count in sorted(redriven.letters.items()):
        click.echo(f"{code}: {count:,} to {topic}")
    total = redriven.letters.total()
    left = f"; {redriven.kept:,} left where they are" if redriven.kept else ""
    if not total:
        click.echo(f"nothing to send back{left}", err=True)
    else:
        letters = "letter" if total == 1 else "letters"
        click.echo(f"{total:,} {letters} {'would be sent' if dry_run else 'sent'} back{left}", err=True)
