"""``segstream customer``: what a running worker knows of a customer now."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from stream.commands.parameter_types import HttpUrl

if TYPE_CHECKING:
    from stream.engine.explanation import Condition
    from stream.live.answers import Answer, Value, Why

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
@click.option(
    "--why",
    "with_why",
    is_flag=True,
    envvar="SEGSTREAM_CUSTOMER_WHY",
    show_envvar=True,
    help="Say of each segment why the customer is in it, or not.",
)
def customer(*, customer: str, worker: str, as_json: bool, with_why: bool) -> None:
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
    if as_json:
        click.echo(body.decode())
        return
    lines = [*_lines(answer), *(_explained(answer.why) if with_why else ())]
    click.echo("\n".join(lines))


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


def _explained(segments: Iterable[Why]) -> Iterator[str]:
    """Each segment with its conditions, and what they compare."""
    yield ""
    yield "why"
    for one in segments:
        member = f"in since {_bare(one.since or '')}" if one.member else "not in"
        yield f"  {_bare(one.segment)}: {member}{', held out' * one.holdout}"
        if one.held is not None:
            until = "" if one.held.until is None else f", until {_bare(one.held.until)}"
            yield f"    {_bare(one.held.reason)}{until}"
        for title, truth, parts in (("enter", one.enters, one.enter), ("exit", one.exits, one.exit)):
            yield f"    {title}: {_TRUTHS[truth]}"
            for part in parts:
                yield from _condition(part, "      ")


_TRUTHS = {True: "yes", False: "no", None: "no, not known"}
_JOINED = {"and": "all of these", "or": "any of these", "not": "not this"}


def _condition(condition: Condition, indent: str) -> Iterator[str]:
    text = _JOINED.get(condition.op or "", condition.text or "")
    yield f"{indent}{_TRUTHS[condition.truth]}: {_bare(text)}"
    for part in condition.parts or ():
        yield from _condition(part, indent + "  ")
    values = condition.values or {}
    shown = [(_bare(name), _shown_of(name, value, condition.durations)) for name, value in values.items()]
    yield from _table(shown, indent + "  ")


def _shown_of(name: str, value: Value, durations: Iterable[str]) -> str:
    if name in durations and isinstance(value, int | float) and not isinstance(value, bool):
        return _duration(value)
    return _shown(value)


_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))


def _duration(ms: float) -> str:
    """The largest unit that there is one of, and the next.

    >>> _duration(3_224_087), _duration(-86_400_000), _duration(0), _duration(1_500)
    ('53m 44s', '-1d', '0ms', '1s 500ms')
    """
    rest = round(abs(ms))
    for number, (unit, size) in enumerate(_UNITS):
        if rest >= size:
            next_unit, next_size = _UNITS[min(number + 1, len(_UNITS) - 1)]
            further = rest % size // next_size
            return f"{'-' * (ms < 0)}{rest // size}{unit}{f' {further}{next_unit}' * (further > 0)}"
    return "0ms"


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
