"""What sets a persona apart, and what happened to it, in plain English."""

from __future__ import annotations

from stream.dashboard.words.amounts import number
from stream.personas.labels import APART, FAR_APART


def rounded(value: float) -> str:
    """A number as exact as the middle of many customers is worth.

    >>> rounded(1234.56), rounded(12.345), rounded(0.0123)
    ('1,235', '12.3', '0.01')
    """
    return number(round(value, 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2))


def amount(value: float, *, in_days: bool) -> str:
    """A feature's number with its unit, where it is known to have one.

    >>> amount(1.0, in_days=True), amount(3.5, in_days=False)
    ('1 day', '3.5')
    """
    text = rounded(value)
    return f"{text} {'day' if text == '1' else 'days'}" if in_days else text


def apart(feature: str, deviation: float, here: str, usual: str) -> str | None:
    """How a persona differs from all customers in a feature; None where it hardly does.

    >>> apart("the number of orders", 1.7, "8.2", "1.4")
    'the number of orders is far above the usual: 8.2, where 1.4 is usual'
    """
    if abs(deviation) < APART:
        return None
    far = "far " if abs(deviation) >= FAR_APART else ""
    return f"{feature} is {far}{'above' if deviation > 0 else 'below'} the usual: {here}, where {usual} is usual"


def happened(
    event: str, share: float | None, feature: str | None, before: str | None, after: str | None, reason: str | None
) -> str:
    """What happened to a persona, or why there is no version; an event of a later time is told by its name.

    >>> happened("birth", 0.081, None, None, None, None)
    'is new: 8.1 % of the customers'
    """
    has = "some" if share is None else f"{number(round(100 * share, 1))} %"
    match event:
        case "birth":
            return f"is new: {has} of the customers"
        case "death":
            return f"is no more: it had {has} of the customers"
        case "drift":
            return f"its customers are suddenly further from its middle: {after}, and {before} before"
        case "shift":
            return f"has moved: {feature or 'a feature'} was {before}, and is {after} now"
        case "refused":
            return f"there is no new version: {reason or 'no reason is given'}"
        case _:
            return event
