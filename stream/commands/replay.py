"""``segstream replay``: files of events in, changes out."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from stream.commands.definitions import definitions_argument
from stream.commands.model_files import read_models
from stream.commands.outputs import OUTPUT_FILE, STANDARD, Output, check_apart
from stream.commands.parameter_types import Instant
from stream.commands.plans import plan_of, prepare_aloud


@click.command()
@definitions_argument
@click.argument("events", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--output",
    type=OUTPUT_FILE,
    default=STANDARD,
    show_default=True,
    help="Where the changes go, one JSON object a line; - is standard output.",
    show_envvar=True,
)
@click.option(
    "--until",
    type=Instant(),
    help="The end of time (RFC 3339 or epoch milliseconds): later events are not applied, and what is due by then "
    "fires. Default: the largest timestamp among the events.",
    show_envvar=True,
)
@click.option("--sort", is_flag=True, help="Sort the events by time first (in runs on disk).", show_envvar=True)
@click.option(
    "--rejected",
    type=OUTPUT_FILE,
    help="Where lines that are no valid events go, with their places and the reasons.",
    show_envvar=True,
)
@click.option(
    "--personas",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="The models of personas as they were published, one JSON object a line: each is applied when it took effect.",
    show_envvar=True,
)
def replay(
    *,
    definitions: Path,
    events: tuple[str, ...],
    output: str,
    until: int | None,
    sort: bool,
    rejected: str | None,
    personas: Path | None,
) -> None:
    """Replay files of events and print who entered and left which segment, when and why.

    EVENTS are JSON lines, plain or .gz, - for standard input, and are applied in that order. A closing table goes to
    standard error. Exit 0 even where lines were rejected, 64 for bad definitions.

    \b
    Examples:
      segstream replay segments.yaml events.jsonl --output changes.jsonl
      segstream replay segments.yaml clicks.jsonl.gz orders.jsonl.gz --sort
      zcat *.gz | segstream replay segments.yaml - --until 2025-02-01T00:00:00Z
    """  # noqa: D301 (click knows that character)
    import orjson

    from stream.replay.run import Outlets
    from stream.replay.run import replay as run
    from stream.replay.screen import closing_table, progress_bar
    from stream.replay.versions import Recorded

    models = [] if personas is None else [str(personas)]
    check_apart({"--output": output, "--rejected": rejected}, [str(definitions), *events, *models])
    if [*events, *models].count(STANDARD) > 1:
        raise click.UsageError("standard input (-) can be read only once")
    plan = plan_of(definitions, events)
    versions = Recorded(read_models(personas, plan)) if personas is not None else None
    with contextlib.ExitStack() as stack:
        changes = stack.enter_context(Output(output))
        bad = stack.enter_context(Output(rejected)) if rejected else None
        prepare_aloud(plan)
        if STANDARD in events and sys.stdin is not None and sys.stdin.isatty():
            click.echo("segstream: reading events from the terminal; Ctrl-D ends them", err=True)
        # Where lines scroll through the same terminal a bar would only disturb them.
        scrolls = STANDARD in (output, rejected) and sys.stdout.isatty()
        bar = None if scrolls else stack.enter_context(progress_bar(events, sort=sort))
        outlets = Outlets(
            changes=lambda found: changes.write(found.json_lines()),
            rejected=(lambda report: bad.write(orjson.dumps(report) + b"\n")) if bad else None,
            bytes_read=bar.bytes_read if bar else None,
            bytes_sorted=bar.bytes_sorted if bar else None,
        )
        summary = run(plan, events, outlets, until_ms=until, sort=sort, versions=versions)
    closing_table(summary, plan.definitions, until_ms=until, sort=sort, reported=rejected is not None)
