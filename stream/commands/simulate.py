"""``segstream simulate``: believable shop traffic into a file."""

from __future__ import annotations

import contextlib

import click

from stream.commands.outputs import OUTPUT_FILE, STANDARD, Output, check_apart
from stream.commands.parameter_types import Count, Instant, Share


@click.command()
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
    "--habits",
    type=click.Choice(["shop", "personas"]),
    default="shop",
    show_default=True,
    metavar="NAME",
    help="Which habits the customers have: shop, or personas, which are there to try clustering on.",
    show_envvar=True,
)
@click.option(
    "--scenario",
    type=click.Choice(["none", "switch", "birth", "death", "doubling"]),
    default="none",
    show_default=True,
    metavar="NAME",
    help="What happens to one of the habits: none, switch (half of its customers take on another), birth (its "
    "customers come only now), death (all of them leave) or doubling (they spend twice as much).",
    show_envvar=True,
)
@click.option(
    "--scenario-day",
    type=Count(),
    help="After how many days that happens. Default: half of them.",
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
    type=OUTPUT_FILE,
    default=STANDARD,
    show_default=True,
    help="Where the events go, one JSON object a line; - is standard output.",
    show_envvar=True,
)
@click.option(
    "--truth",
    type=OUTPUT_FILE,
    help="Where the customers' hidden habits go, one JSON object a customer.",
    show_envvar=True,
)
def simulate(
    events: int | None,
    customers: int | None,
    days: int | None,
    start: int | None,
    seed: int,
    habits: str,
    scenario: str,
    scenario_day: int | None,
    duplicates: float,
    late: float,
    output: str,
    truth: str | None,
) -> None:
    """Make believable shop traffic: visits, carts, orders and e-mail of customers with different habits.

    The same arguments give the same bytes.
    """
    from stream.simulate import DEFAULT_START_MS, Simulation

    check_apart({"--output": output, "--truth": truth}, [])
    try:
        simulation = Simulation(
            events=events,
            customers=customers,
            days=days,
            start_ms=DEFAULT_START_MS if start is None else start,
            seed=seed,
            duplicates=duplicates,
            late=late,
            habits=habits,
            scenario=scenario,
            scenario_day=scenario_day,
        )
    except ValueError as error:
        # It begins with the name of the argument.
        name, _, problem = str(error).partition(" ")
        raise click.UsageError(f"--{name.removesuffix('_ms').replace('_', '-')} {problem}") from error
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(Output(output))
        known = stack.enter_context(Output(truth)) if truth else None
        for chunk in simulation.chunks():
            lines.write(chunk)
        if known is not None:
            for line in simulation.truth():
                known.write(line)
