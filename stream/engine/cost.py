"""What a definitions file costs, in words."""

from __future__ import annotations

from stream.engine.plan import Plan

_LARGEST = 5


def cost_lines(plan: Plan) -> list[str]:
    """Aggregates, bytes a customer and timers, and the aggregates that take most."""
    sizes: dict[str, int] = {}
    by_key = {accumulator.key: accumulator.words for accumulator in plan.accumulators}
    for value in plan.values:
        words = sum(by_key.get(key, 0) for key in value.history)
        if words:
            sizes[value.text] = 8 * words
    segments = len(plan.definitions.segments)
    lines = [
        f"{_count(segments, 'segment')}, {_count(len(sizes), 'aggregate')}, {_count(len(plan.traits), 'trait')}, "
        f"{_count(plan.timers, 'timer')}",
        f"{plan.row_bytes:,} bytes a customer: {sum(sizes.values()):,} of aggregates, "
        f"{plan.row_bytes - sum(sizes.values()):,} of memberships, clocks and remembered ids "
        f"({plan.row_bytes * 1_000_000 / 2**30:.2f} GiB for 1,000,000 customers, ids not counted)",
    ]
    largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:_LARGEST]
    if largest:
        lines.append("the largest aggregates:")
        lines += [f"  {size:>5,} bytes  {text}" for text, size in largest]
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
