"""What the commands share that go on until they are stopped: where they listen, their log, and how they end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

import click

from stream.cli import EXIT_INTERNAL, Failure
from stream.commands.broker_options import run
from stream.errors import SegstreamError

Option = Callable[[Any], Any]


def port_option(what: str) -> Option:
    """``--port``, at which ``what`` is served."""
    return click.option(
        "--port",
        type=click.IntRange(0, 65_535),
        metavar="N",
        help=f"Serve {what} at this port; 0 takes a free one. Default: none.",
        show_envvar=True,
    )


def session_timeout_option(what: str) -> Option:
    """``--session-timeout``: ``what`` becomes of who is silent for so long."""
    return click.option(
        "--session-timeout",
        type=click.FloatRange(1, 1_800),
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help=what,
        show_envvar=True,
    )


host_option: Option = click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Where the port is: an address or a name of this machine; 0.0.0.0 stands for all.",
    show_envvar=True,
)


def log_to_stderr() -> None:
    """Of our own parts what they do, of others what is wrong."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("stream").setLevel(logging.INFO)


def serve(main: Coroutine[Any, Any, None]) -> None:
    """Runs it to its end. What should not happen is logged, and ends the command with its own exit code."""
    try:
        run(main)
    except SegstreamError:
        raise
    except Exception as error:
        logging.getLogger("stream").exception("ended by what should not happen")
        raise Failure(f"{type(error).__name__}: {error}", EXIT_INTERNAL) from error
