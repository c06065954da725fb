"""``segstream customer``: what a running worker knows of a customer now."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from stream.commands.parameter_types import HttpUrl

if TYPE_CHECKING:
    from stream.live.answers import Answer, Value

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@click.command()
@click.argument("customer", metavar="ID")
@click.option(
    "--worker",
    type=HttpUrl(),
    default="http://127.0.0.1:6066",
    show_default=True,
    envvar="SEGSTREAM_WORKER_URL",
    show_envvar=True,
    help="Any worker of the group that runs with --port.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    envvar="SEGSTREAM_CUSTOMER_JSON",
    show_envvar=True,
    help="Print the worker's answer as JSON.",
)
def customer(*, customer: str, worker: str, as_json: bool) -> None:
    """Ask a worker for the customer ID: segments, features, and what happens next.

    Any worker may be asked; it hands the question on to the one that has the customer. Exit 1 when the customer is not
    known, 69 when no worker answers, or the one that has the customer can't do so now.
    """
    from stream.live.answers import ask
    from stream.live.paths import checked

    try:
        checked(customer)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="ID") from error
    answer, body = ask(worker, customer)
    click.echo(body.decode() if as_json else "\n".join(_lines(answer)))


def _lines(answer: Answer) -> Iterator[str]:
    """The answer for people."""
    yield from _table(
        [
            ("customer", _bare(answer.customer_id)),
            ("at", _bare(answer.at)),
            ("clock", _bare(answer.clock)),
            ("stream clock", _bare(answer.stream_clock or "none")),
            ("next timer", _bare(answer.next_timer or "never")),
            ("sequence", str(answer.sequence)),
            ("partition", str(answer.partition)),
            ("worker", _bare(answer.worker or "none")),
            ("definitions", _bare(answer.definitions)),
        ]
    )
    members = answer.memberships.items()
    parts = {
        "memberships": [(name, f"since {_bare(one.since)}{', held out' * one.holdout}") for name, one in members],
        "features": [(name, _shown(value)) for name, value in answer.features.items()],
        "offsets": [(name, "none" if offset is None else str(offset)) for name, offset in answer.offsets.items()],
    }
    for title, rows in parts.items():
        yield ""
        yield title if rows else f"{title}: none"
        yield from _table([(_bare(name), text) for name, text in rows], indent="  ")


def _table(rows: Iterable[tuple[str, str]], indent: str = "") -> Iterator[str]:
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    return (f"{indent}{name:{width}}  {text}" for name, text in rows)


def _shown(value: Value) -> str:
    """A value as JSON has it, but for instants."""
    if isinstance(value, str):
        return value if _INSTANT.fullmatch(value) else _bare(json.dumps(value, ensure_ascii=False))
    return json.dumps(value)


def _bare(text: str) -> str:
    r"""A text as it is, but for what would do something to a terminal.

    >>> _bare("ü \x1b[2J")
    'ü \\x1b[2J'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
