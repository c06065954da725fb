"""Events for tests that are worked out by hand."""

from __future__ import annotations

from typing import Any

from tests.reference import instant

Dict = dict[str, Any]
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


def click(event_id: str, at: int, customer: str = "a", **more: Any) -> Dict:
    common = {"type": "click", "event_id": event_id, "customer_id": customer, "timestamp": at}
    return {**common, "action": "page_view", **more}


def purchase(event_id: str, at: int, customer: str = "a", **more: Any) -> Dict:
    common = {"type": "purchase", "event_id": event_id, "customer_id": customer, "timestamp": at}
    return {**common, "order_id": f"o-{event_id}", "total": 10, **more}


def file(**segments: Any) -> Dict:
    """A definitions file of these segments; a text is a segment's ``enter``."""
    bodies = {name: {"enter": body} if isinstance(body, str) else body for name, body in segments.items()}
    return {"version": 1, "segments": bodies}


def brief(changes: list[Dict]) -> list[tuple[str, str, int]]:
    """Of each change the segment, what happened and when."""
    return [(change["segment"], change["change"], instant(change["at"])) for change in changes]
