"""The command ``segstream``: parses, calls the library, prints, sets exit codes."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

import click

from stream import __version__
from stream.errors import InputError

if TYPE_CHECKING:
    from stream.engine.plan import Plan
    from stream.language.checker import Checked

EXIT_FOUND = 1  # a check found something
EXIT_USAGE = 2
EXIT_CONFIG = 64  # bad configuration, a definitions file with an error among it
EXIT_INTERRUPTED = 130  # Ctrl-C, as shells report it

#: Kernels that are in their cache are there much sooner, so after this long it is being compiled.
NOTICE_AFTER_S = 1.5

#: The language takes a sixteenth of this at most, so of more there is no need to read.
_DEFINITIONS_BYTES_MAX = 16 << 20

_STANDARD = "-"


class Instant(click.ParamType):  # type: ignore[type-arg]  # earlier versions of click take no argument
    """An instant: RFC 3339 text, or milliseconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from stream.instants import parse_time

        if isinstance(value, int):
            return value
        try:
            return parse_time(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class Count(click.ParamType):  # type: ignore[type-arg]  # earlier versions of click take no argument
    """A whole number above zero; 1k, 20M and 1_000 pass too."""

    name = "n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = value.replace("_", "").replace(",", "")
        scale = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower(), 1)
        digits = text[:-1] if scale > 1 else text
        # No count has as many digits as int() refuses in another way.
        if not digits.isascii() or not digits.isdigit() or len(digits) > 100 or int(digits) == 0:
            self.fail(f"{value!r} is not a whole number above zero (such as 5000, 20k or 1M)", param, ctx)
        return int(digits) * scale


class Share(click.ParamType):  # type: ignore[type-arg]  # earlier versions of click take no argument
    """A share from 0 to 1; 5% passes too."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        share = -1.0
        with contextlib.suppress(ValueError):
            share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is not a share from 0 to 1 (such as 0.05 or 5%)", param, ctx)
        return share


class _Failure(click.ClickException):
    """Something that the arguments name can't be read or written."""

    exit_code = EXIT_USAGE

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"segstream: {self.message}", file=file, err=file is None)


class _Segstream(click.Group):
    """The group of all commands: it ends those that something around them has stopped."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
        except InputError as error:
            raise _Failure(str(error)) from error
        except _Failure:
            _discard_what_is_left()
            raise
        except BrokenPipeError:
            # Whoever reads has seen enough (`| head`): no reason to complain, also not when Python flushes at exit.
            _discard_what_is_left()
            ctx.exit(0)
        except KeyboardInterrupt:
            _discard_what_is_left()  # of a pipeline, Ctrl-C ends the reader too
            click.echo("\nsegstream: interrupted; what has been written until now is not complete", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except OSError as error:
            _discard_what_is_left()
            raise _Failure(str(error)) from error
        return result


def _discard_what_is_left() -> None:
    """Writes out what standard output and error hold; where nobody reads it any more, nowhere."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def main() -> None:
    """Runs the command."""
    for stream in (sys.stdout, sys.stderr):
        # A name of a file, or a text in a definitions file, may hold what the terminal can't show.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli(prog_name="segstream")


@click.group(
    name="segstream",
    cls=_Segstream,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 120,
        "auto_envvar_prefix": "SEGSTREAM",
    },
)
@click.version_option(__version__, prog_name="segstream")
def cli() -> None:
    """Real-time customer segmentation: who is in which segment, since when, and why.

    \b
    To begin with:
      segstream check segments.yaml
      segstream simulate --events 100k --output events.jsonl
      segstream replay segments.yaml events.jsonl --output changes.jsonl
    """  # noqa: D301 (click knows that character)


@cli.command(short_help="Check a definitions file: what is wrong with it, and what it costs.")
@click.argument("definitions", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(definitions: Path) -> None:
    """Check a definitions file: all errors and warnings with their places, and what the file costs.

    Exit 1 when there is an error.
    """
    checked = _check(definitions)
    for problem in checked.problems:
        click.echo(str(problem))
    if checked.definitions is None:
        sys.exit(EXIT_FOUND)
    from stream.engine.cost import cost_lines
    from stream.engine.plan import compile_plan

    for line in cost_lines(compile_plan(checked.definitions)):
        click.echo(line)


@cli.command(short_help="Replay files of events: who entered and left which segment, when and why.")
@click.argument("definitions", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("events", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    default=_STANDARD,
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
    *, definitions: Path, events: tuple[str, ...], output: str, until: int | None, sort: bool, rejected: str | None
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

    _check_apart({"--output": output, "--rejected": rejected}, [str(definitions), *events])
    if events.count(_STANDARD) > 1:
        raise click.UsageError("standard input (-) can be read only once")
    plan = _plan(definitions, events)
    with contextlib.ExitStack() as stack:
        changes = stack.enter_context(_Output(output))
        bad = stack.enter_context(_Output(rejected)) if rejected else None
        _prepare(plan)
        if _STANDARD in events and sys.stdin is not None and sys.stdin.isatty():
            click.echo("segstream: reading events from the terminal; Ctrl-D ends them", err=True)
        # Where lines scroll through the same terminal a bar would only disturb them.
        scrolls = _STANDARD in (output, rejected) and sys.stdout.isatty()
        bar = None if scrolls else stack.enter_context(progress_bar(events, sort=sort))
        outlets = Outlets(
            changes=lambda found: changes.write(found.json_lines()),
            rejected=(lambda report: bad.write(orjson.dumps(report) + b"\n")) if bad else None,
            bytes_read=bar.bytes_read if bar else None,
            bytes_sorted=bar.bytes_sorted if bar else None,
        )
        summary = run(plan, events, outlets, until_ms=until, sort=sort)
    closing_table(summary, plan.definitions, until_ms=until, sort=sort, reported=rejected is not None)


@cli.command(short_help="Make believable shop traffic, to try segments with.")
@click.option(
    "--events",
    type=Count(),
    help="How many lines, duplicates included. Default: as many as the customers make in those days.",
    show_envvar=True,
)
@click.option(
    "--customers",
    type=Count(),
    help="How many customers. Default: 1,000, or as many as --events need.",
    show_envvar=True,
)
@click.option("--days", type=Count(), help="How many days. Default: 30, or as many as --events need.", show_envvar=True)
@click.option(
    "--start",
    type=Instant(),
    help="The first instant (RFC 3339 or epoch milliseconds). Default: 2025-01-06T00:00:00Z.",
    show_envvar=True,
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
@click.option(
    "--duplicates", type=Share(), default=0.0, show_default=True, help="Share of events sent twice.", show_envvar=True
)
@click.option(
    "--late", type=Share(), default=0.0, show_default=True, help="Share of events that arrive late.", show_envvar=True
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    default=_STANDARD,
    show_default=True,
    help="Where the events go, one JSON object a line; - is standard output.",
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

    _check_apart({"--output": output, "--truth": truth}, [])
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
        # It begins with the name of the argument.
        raise click.UsageError(f"--{error}".replace("--start_ms", "--start")) from error
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(_Output(output))
        habits = stack.enter_context(_Output(truth)) if truth else None
        for chunk in simulation.chunks():
            lines.write(chunk)
        if habits is not None:
            for line in simulation.truth():
                habits.write(line)


def _check(definitions: Path) -> Checked:
    from stream.language.checker import check as check_definitions

    try:
        with definitions.open("rb") as file:
            text = file.read(_DEFINITIONS_BYTES_MAX)
    except OSError as error:
        raise _Failure(f"{definitions}: can't be read: {error.strerror}") from error
    if len(text) == _DEFINITIONS_BYTES_MAX:
        # It may have been cut within a character. The check refuses it for its length.
        text = text.decode("utf-8", "replace").encode()
    return check_definitions(text, str(definitions))


def _plan(definitions: Path, events: Sequence[str]) -> Plan:
    """The plan of a definitions file; prints its problems, and ends the command where one is an error."""
    from stream.engine.plan import compile_plan

    checked = _check(definitions)
    for problem in checked.problems:
        click.echo(str(problem), err=True)
    if checked.definitions is None:
        if any(name.endswith((".yaml", ".yml")) for name in events):
            click.echo("segstream: the definitions come first: segstream replay DEFINITIONS EVENTS...", err=True)
        sys.exit(EXIT_CONFIG)
    return compile_plan(checked.definitions)


def _prepare(plan: Plan) -> None:
    """Loads the compiled kernel. Says so when that takes long, which means that it is being compiled."""
    from stream.engine.partition import Partition

    notice = threading.Timer(
        NOTICE_AFTER_S,
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


def _check_apart(outputs: Mapping[str, str | None], inputs: Sequence[str]) -> None:
    """Refuses to write two things to one place, or over what is read."""
    read = [_place(name, sys.stdin) for name in inputs if name != _STANDARD or sys.stdin is not None]
    written: dict[Any, str] = {}
    for option, path in outputs.items():
        place = path and _place(path, None)
        if place is None:
            continue
        if place in written:
            where = "standard output" if path == _STANDARD else path
            raise click.UsageError(f"{written[place]} and {option} both go to {where}: name another file for one")
        if place in read:
            raise click.UsageError(f"{option}: {path} is also read, and would be overwritten: name another file")
        written[place] = option


def _place(path: str, standard: IO[str] | None) -> Any:
    """What tells a file from others, however it is named; None for what several may share, such as /dev/null."""
    try:
        if path != _STANDARD:
            status = Path(path).stat()
        elif standard is None:
            return _STANDARD
        else:
            status = os.fstat(standard.fileno())
    except FileNotFoundError:
        return Path(path).resolve()
    except OSError:  # the standard input of a test is no file
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


class _Output:
    """A file to write to, or standard output; what is written is there when the block ends."""

    def __init__(self, path: str) -> None:
        self._path = path
        if path != _STANDARD:
            try:
                self._file: IO[bytes] = Path(path).open("wb", buffering=1 << 20)  # noqa: SIM115 (closed with this)
            except OSError as error:
                raise self._failure(error) from error
        elif sys.stdout is None:
            raise _Failure("standard output is closed: name a file")
        else:
            self._file = _standard_output()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        try:
            if sys.stdout is not None and self._file is sys.stdout.buffer:
                self._file.flush()
            else:
                self._file.close()
        except OSError as error:
            if kind is None:  # else what was wrong first is what to tell
                raise self._failure(error) from error

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> Exception:
        if isinstance(error, BrokenPipeError):
            return error
        name = "standard output" if self._path == _STANDARD else self._path
        return _Failure(f"{name}: can't be written: {error.strerror}")


def _standard_output() -> IO[bytes]:
    """Standard output with a buffer of its own.

    Under PYTHONUNBUFFERED Python's has none, and then writes less than it is given where the reader is slow.
    """
    try:
        return os.fdopen(sys.stdout.fileno(), "wb", closefd=False)
    except io.UnsupportedOperation:  # a test's has no number
        return sys.stdout.buffer
