"""The command ``segstream``: parses, calls the library, prints, sets exit codes."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click

from stream import __version__
from stream.errors import DefinitionsError, InputError

EXIT_FOUND = 1  # a check found something
EXIT_USAGE = 2
EXIT_CONFIG = 64  # bad configuration, a definitions file with an error among it

_ENVIRONMENT = "SEGSTREAM"


class Instant(click.ParamType):
    """An instant: RFC 3339 text, or milliseconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from stream.instants import parse_time

        if isinstance(value, int):
            return value
        try:
            return parse_time(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Count(click.ParamType):
    """A whole number above zero; 1k, 20M and 1_000 pass too."""

    name = "n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = value.replace("_", "").replace(",", "")
        scale = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower(), 1)
        digits = text[:-1] if scale > 1 else text
        if not digits.isascii() or not digits.isdigit() or int(digits) == 0:
            self.fail(f"{value!r} is not a whole number above zero (such as 5000, 20k or 1M)", param, ctx)
        return int(digits) * scale


def main() -> None:
    """Runs the command. A reader that goes away (``| head``) ends it quietly."""
    try:
        cli(auto_envvar_prefix=_ENVIRONMENT)
    except BrokenPipeError:
        # Python would complain once more when it flushes standard output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="segstream")
def cli() -> None:
    """Real-time customer segmentation: who is in which segment, since when, and why."""


@cli.command()
@click.argument("definitions", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(definitions: Path) -> None:
    """Check a definitions file: all errors and warnings with their places, and what the file costs.

    Exit 1 when there is an error.
    """
    from stream.language.checker import check as check_definitions

    checked = check_definitions(definitions.read_bytes(), str(definitions))
    for problem in checked.problems:
        click.echo(str(problem))
    if checked.definitions is None:
        sys.exit(EXIT_FOUND)
    from stream.engine.cost import cost_lines
    from stream.engine.plan import compile_plan

    for line in cost_lines(compile_plan(checked.definitions)):
        click.echo(line)


@cli.command()
@click.argument("definitions", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("events", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    default="-",
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
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    help="Where lines that are no valid events go, with their places and the reasons.",
    show_envvar=True,
)
def replay(
    definitions: Path, events: tuple[str, ...], output: str, until: int | None, sort: bool, rejected: str | None
) -> None:
    """Replay files of events (JSON lines, plain or .gz, - for standard input) and print who entered and left which
    segment, when and why. A closing table goes to standard error.

    Exit 0 even where lines were rejected, 64 for bad definitions.
    """
    import orjson

    from stream.replay.run import Outlets
    from stream.replay.run import replay as run
    from stream.replay.screen import closing_table, progress_bar

    plan = _plan(definitions)
    with contextlib.ExitStack() as stack:
        changes = stack.enter_context(_open_output(output))
        bad = stack.enter_context(_open_output(rejected)) if rejected else None
        on_bytes = stack.enter_context(progress_bar(events))
        _prepare(plan)
        outlets = Outlets(
            changes=lambda found: _write(changes, found.json_lines()),
            rejected=lambda report: _write(bad, orjson.dumps(report, option=orjson.OPT_APPEND_NEWLINE)),
            bytes_read=on_bytes,
        )
        try:
            summary = run(plan, events, outlets, until_ms=until, sort=sort)
        except InputError as error:
            click.echo(f"segstream: {error}", err=True)
            sys.exit(EXIT_USAGE)
    closing_table(summary, plan.definitions, reported=rejected is not None)


@cli.command()
@click.option("--events", type=Count(), help="How many lines, duplicates included.", show_envvar=True)
@click.option("--customers", type=Count(), help="How many customers.", show_envvar=True)
@click.option("--days", type=Count(), help="How many days.", show_envvar=True)
@click.option("--start", type=Instant(), help="The first instant. Default: a fixed one.", show_envvar=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Other seeds, other traffic.", show_envvar=True)
@click.option(
    "--duplicates", type=float, default=0.0, show_default=True, help="Share of events sent twice.", show_envvar=True
)
@click.option(
    "--late", type=float, default=0.0, show_default=True, help="Share of events that arrive late.", show_envvar=True
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    default="-",
    show_default=True,
    help="Where the events go, one JSON object a line.",
    show_envvar=True,
)
@click.option(
    "--truth",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    help="Where the customers' hidden habits go, one JSON object a customer.",
    show_envvar=True,
)
def simulate(
    events: int | None,
    customers: int | None,
    days: int | None,
    start: int | None,
    seed: int,
    duplicates: float,
    late: float,
    output: str,
    truth: str | None,
) -> None:
    """Make believable shop traffic: visits, carts, orders and e-mail of customers with different habits.

    The same arguments give the same bytes.
    """
    from stream.simulate import DEFAULT_START_MS, Simulation

    try:
        simulation = Simulation(
            events=events,
            customers=customers,
            days=days,
            start_ms=DEFAULT_START_MS if start is None else start,
            seed=seed,
            duplicates=duplicates,
            late=late,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with _open_output(output) as out:
        for chunk in simulation.chunks():
            _write(out, chunk)
    if truth:
        with _open_output(truth) as out:
            for line in simulation.truth():
                _write(out, line)


def _plan(definitions: Path) -> Any:
    """The plan of a definitions file; prints its problems, and ends the command where one is an error."""
    from stream.engine.plan import compile_plan
    from stream.language.checker import check as check_definitions

    checked = check_definitions(definitions.read_bytes(), str(definitions))
    for problem in checked.problems:
        click.echo(str(problem), err=True)
    if checked.definitions is None:
        sys.exit(EXIT_CONFIG)
    return compile_plan(checked.definitions)


def _prepare(plan: Any) -> None:
    """Loads the compiled kernel. Says so when that takes long, which means that it is being compiled."""
    from stream.engine.partition import Partition

    notice = threading.Timer(
        1.5,
        click.echo,
        ("segstream: compiling the engine; this happens once and takes about 15 seconds",),
        {"err": True},
    )
    notice.daemon = True
    notice.start()
    try:
        Partition(plan).prepare()
    finally:
        notice.cancel()


@contextlib.contextmanager
def _open_output(path: str) -> Iterator[IO[bytes]]:
    """A file to write to, or standard output; what is written is there when the block ends."""
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        file = Path(path).open("wb", buffering=1 << 20)
    except OSError as error:
        raise click.UsageError(f"{path}: can't be written: {error.strerror}") from error
    with file:
        yield file


def _write(out: IO[bytes] | None, data: bytes) -> None:
    if out is not None:
        out.write(data)


__all__ = ["DefinitionsError", "cli", "main"]
