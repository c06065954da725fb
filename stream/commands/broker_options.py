"""What the commands share that speak to a broker: their options, and how they are run and interrupted."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, NoReturn, TypeVar

import click

from stream.kafka.defaults import APP_ID, BROKER

_ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})")
#: Topics are named after it, with more behind.
_APP_ID = re.compile(r"[a-zA-Z0-9._-]{1,200}")

T = TypeVar("T")


class BrokerAddress(click.ParamType):
    """``HOST:PORT``, or several with commas between."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        addresses = [address.strip() for address in value.split(",")]
        for address in addresses:
            match = _ADDRESS.fullmatch(address)
            if match is None or not 0 < int(match[1]) < 1 << 16:
                self.fail(f"{address!r} is not an address such as {BROKER}", param, ctx)
        return ",".join(addresses)


class AppId(click.ParamType):
    """A name that can be part of a topic's name."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not isinstance(value, str) or not _APP_ID.fullmatch(value):
            self.fail(f"{value!r}: expected letters, digits, dots, hyphens and underscores, 200 at most", param, ctx)
        return value


broker_option = click.option(
    "--broker",
    type=BrokerAddress(),
    default=BROKER,
    show_default=True,
    envvar="SEGSTREAM_BROKER",
    show_envvar=True,
    help="Where Kafka listens; several addresses with commas between.",
)
app_id_option = click.option(
    "--id",
    "app_id",
    type=AppId(),
    default=APP_ID,
    show_default=True,
    envvar="SEGSTREAM_ID",
    show_envvar=True,
    help="The name of the workers' group; their changelog is named after it.",
)


def run(main: Coroutine[Any, Any, T], *, reads_input: bool = False) -> T:
    """Runs what speaks to the broker.

    aiokafka's log is left out: it tells of every attempt, and the errors that are raised say what matters. By default a
    Ctrl-C waits until ``main`` awaits something; where that ``reads_input``, which may take for ever, it waits for
    nothing.
    """
    log = logging.getLogger("aiokafka")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    if not reads_input:
        return asyncio.run(main)
    # asyncio takes over Python's own handler only.
    before = signal.signal(signal.SIGINT, _interrupt)
    try:
        return asyncio.run(_told_of_interrupts(main))
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


async def _told_of_interrupts(main: Coroutine[Any, Any, T]) -> T:
    """What ``main`` gives. A task that an interrupt has ended is no news."""

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), KeyboardInterrupt):
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(handle)
    return await main
