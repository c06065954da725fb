"""What a definitions file costs, in words."""

from __future__ import annotations

from stream.engine.plan import Plan

_LARGEST = 5


def cost_lines(plan: Plan) -> list[str]:
    """Aggregates, bytes a customer and timers, and the aggregates that take most."""
    words = {accumulator.key: accumulator.words for accumulator in plan.accumulators}
    sizes: dict[str, int] = {}  # of each aggregate, by its canonical text
    for value in plan.values:
        taken = sum(words.get(key, 0) for key in value.history)
        if taken:
            sizes[value.text] = 8 * taken
    of_aggregates = sum(sizes.values())
    counts = [
        _count(len(plan.definitions.segments), "segment"),
        _count(len(sizes), "aggregate"),
        _count(len(plan.wanted.traits), "trait"),
        _count(plan.timers, "timer"),
    ]
    rest = f"{plan.row_bytes - of_aggregates:,} of memberships, timers, traits and remembered ids"
    lines = [
        ", ".join(counts),
        f"{plan.row_bytes:,} bytes a customer: {of_aggregates:,} of aggregates, {rest}",
        f"{plan.row_bytes * 1_000_000 / 2**30:.2f} GiB for 1,000,000 customers, and their ids on top",
    ]
    largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:_LARGEST]
    if largest:
        lines.append("the largest aggregates:")
        lines += [f"  {size:>5,} bytes  {text}" for text, size in largest]
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
