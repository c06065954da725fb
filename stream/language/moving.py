"""``since``, ``p_alive`` and ``p_buy`` change at every moment; what to do about one that stands in the wrong place."""

from __future__ import annotations

from dataclasses import replace

from stream.language.canonical import text
from stream.language.tree import Aggregate, Exists, Expression, Function, Since
from stream.language.types import MIRRORED


def is_moving(expression: Expression) -> bool:
    """Whether the value changes continuously with time, so that only an order comparison can be foretold."""
    return isinstance(expression, Since) or (
        isinstance(expression, Aggregate) and expression.function in (Function.P_ALIVE, Function.P_BUY)
    )


def presence(moving: Expression) -> str:
    """How to ask whether a continuously changing value is there."""
    if isinstance(moving, Since):
        return f"`{text(Exists(moving.instant))}`"
    if isinstance(moving, Aggregate):
        counted = replace(moving, function=Function.COUNT, horizon_ms=None)
        return f"`{text(counted)} >= 1`"
    return "`X exists`"


def both_move(op: str, left: Expression, right: Expression) -> str:
    """What to say of ``left op right`` where both change continuously."""
    if isinstance(left, Since) and isinstance(right, Since):
        instants = f"`{text(left.instant)} {MIRRORED[op]} {text(right.instant)}`"
        return f"both sides change at every moment; compare the instants: {instants}"
    return "both sides change at every moment, and only one may: compare with a constant or an aggregate"
