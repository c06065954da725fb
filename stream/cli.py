"""The command ``segstream``: the table of its commands, what ends them, and the exit codes."""

from __future__ import annotations

import difflib
import importlib
import io
import os
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any

import click

from stream import __version__
from stream.errors import (
    BrokerStartError,
    BrokerUnreachableError,
    CustomerUnknownError,
    DemoTopicsError,
    GroupInUseError,
    InputError,
    ModelError,
    PartEndedError,
    PortInUseError,
    RedisSettingError,
    RedisUnreachableError,
    SegstreamError,
    SinkStateError,
    SnapshotFolderError,
    SortSpaceError,
    TopicsError,
    WorkerUnreachableError,
)

#: All commands: name, place under ``stream/commands/`` as ``MODULE:ATTRIBUTE``, and what the list of commands says.
#: A new command is one line here and a module there. The module is imported when its command runs or its own help is
#: asked for, and not before: no command waits for what another one needs.
COMMANDS = {
    "check": ("check:check", "Check a definitions file: what is wrong with it, and what it costs."),
    "replay": ("replay:replay", "Replay files of events: who entered and left which segment, when and why."),
    "topics": ("topics:topics", "Make the topics on a broker, or see how they are."),
    "produce": ("produce:produce", "Send events from files to their topics."),
    "worker": ("worker:worker", "Apply events as they come, and send who entered and left which segment."),
    "trainer": ("trainer:trainer", "Learn personas from what workers send, and publish versions of them."),
    "sink": ("sink:sink", "Keep elsewhere what the changes say: who is in which segment."),
    "dashboard": ("dashboard:dashboard", "Serve pages that show segments live, and an API for programs."),
    "changes": ("changes:changes", "Print the changes in their topic, each once."),
    "customer": ("customer:customer", "Ask a running worker what it knows of a customer."),
    "erase": ("erase:erase", "Ask for a customer to be forgotten."),
    "redrive": ("redrive:redrive", "Send dead letters back to their topics, once what was wrong is mended."),
    "reset": ("reset:reset", "Start anew from the topics' beginning."),
    "config": ("config:config", "Print the settings of all commands, and where each comes from."),
    "demo": ("demo:demo", "See it live: all parts on this machine, with a simulated shop."),
    "personas": ("personas:personas", "Cluster customers: models of personas, learned from files or live."),
    "simulate": ("simulate:simulate", "Make believable shop traffic, to try segments with."),
}

EXIT_FOUND = 1  # a check found something
EXIT_USAGE = 2
EXIT_CONFIG = 64  # bad configuration, a definitions file with an error among it
EXIT_UNREACHABLE = 69  # a service does not answer
EXIT_INTERNAL = 70  # something went wrong that should not
EXIT_INTERRUPTED = 130  # Ctrl-C, as shells report it


#: How the errors end a command that say all there is to say.
_EXIT_CODES: dict[type[SegstreamError], int] = {
    InputError: EXIT_USAGE,
    ModelError: EXIT_CONFIG,
    SortSpaceError: EXIT_USAGE,
    BrokerStartError: EXIT_CONFIG,
    DemoTopicsError: EXIT_CONFIG,
    PartEndedError: EXIT_INTERNAL,
    TopicsError: EXIT_CONFIG,
    GroupInUseError: EXIT_CONFIG,
    PortInUseError: EXIT_CONFIG,
    SnapshotFolderError: EXIT_CONFIG,
    RedisSettingError: EXIT_CONFIG,
    SinkStateError: EXIT_CONFIG,
    BrokerUnreachableError: EXIT_UNREACHABLE,
    WorkerUnreachableError: EXIT_UNREACHABLE,
    RedisUnreachableError: EXIT_UNREACHABLE,
    CustomerUnknownError: EXIT_FOUND,
}


class Failure(click.ClickException):
    """Something that the arguments name can't be read or written, or is not there."""

    def __init__(self, message: str, exit_code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"segstream: {self.message}", file=file, err=file is None)


class _Commands(Mapping[str, click.Command]):
    """The commands by name; one is imported when it is looked up."""

    def __init__(self, table: Mapping[str, tuple[str, str]]) -> None:
        self._table = table

    def __getitem__(self, name: str) -> click.Command:
        module, attribute = self._table[name][0].split(":")
        command = getattr(importlib.import_module(f"stream.commands.{module}"), attribute)
        assert isinstance(command, click.Command), f"{name} is no command"
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


class _Segstream(click.Group):
    """The group of all commands: it ends those that something around them has stopped."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
        except SegstreamError as error:
            if type(error) not in _EXIT_CODES:
                raise
            raise Failure(str(error), _EXIT_CODES[type(error)]) from error
        except Failure:
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
            raise Failure(str(error)) from error
        return result

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; a slip is met with the name that is nearest."""
        near = difflib.get_close_matches(args[0], COMMANDS, 1)
        if near and args[0] not in COMMANDS:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table: importing them all would take long."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


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
    commands=_Commands(COMMANDS),
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
