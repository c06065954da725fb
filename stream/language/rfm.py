"""``rfm(purchase, WINDOW)``: the quintiles of a buyer's recency, frequency and money."""

from __future__ import annotations

from stream.contract import KINDS, Kind
from stream.language.aggregates import AggregateCheck
from stream.language.expression_state import ExpressionState
from stream.language.measures import may_know_all
from stream.language.syntax import Call, Dotted, Name
from stream.language.tree import Aggregate, Rfm
from stream.language.words import FUNCTIONS, RFM


class RfmCheck:
    """Checks one call."""

    def __init__(self, state: ExpressionState) -> None:
        self._state = state

    def rfm(self, node: Call, depth: int) -> Rfm | None:
        """The meaning of ``node``; None when something was reported as wrong."""
        if not may_know_all(self._state, node) or not self._is_of_purchases(node):
            return None
        # What may be counted within a window has a recency and a sum as well.
        counted = AggregateCheck(self._state).aggregate(node, depth)
        if counted is None:
            return None
        assert isinstance(counted, Aggregate), "only `never` is something else"
        if counted.window_ms is None:
            self._state.error(node.at, f"`rfm` needs a window: `{FUNCTIONS[RFM]}`, such as `rfm(purchase, 365d)`")
            return None
        return Rfm.of(counted.where, counted.window_ms)

    def _is_of_purchases(self, node: Call) -> bool:
        kind = node.arguments[0].value if node.arguments else None
        if not isinstance(kind, Name | Dotted) or KINDS.get(kind.name, Kind.PURCHASE) is Kind.PURCHASE:
            return True
        message = f"`rfm` is about purchases, as only they have a `total`, and this is `{kind.name}`"
        self._state.error(kind.at, f"{message}: `{FUNCTIONS[RFM]}`")
        return False
