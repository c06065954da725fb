"""What an invented worker answers of a customer."""

from __future__ import annotations

from stream.dashboard.answers import Json
from stream.instants import format_instant

HOSTILE = "<img src=x onerror=alert(1)>"
_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000


def portrait(customer: str, now_ms: int, memberships: Json) -> Json:
    """What a worker answers of a customer, with words."""
    carted = 'last(click where action == "add_to_cart")'
    carted_at = format_instant(now_ms - 40 * _MINUTE_MS)
    why = [
        {
            "segment": "cart_abandoner",
            "member": True,
            "since": format_instant(now_ms - 10 * _MINUTE_MS),
            "holdout": True,
            "enter": [
                {
                    "op": "and",
                    "truth": True,
                    "parts": [
                        {
                            "text": f"{carted} after last(purchase)",
                            "words": "put something into the cart after the last purchase",
                            "values": {carted: carted_at, "last(purchase)": None},
                            "truth": True,
                        },
                        {
                            "text": f"since({carted}) >= 30m",
                            "words": "put something into the cart 30 minutes ago or longer",
                            "values": {carted: carted_at},
                            "truth": True,
                        },
                    ],
                }
            ],
            "enters": True,
            "exits": False,
            "held": None,
            "exit": [
                {
                    "op": "or",
                    "truth": False,
                    "parts": [
                        {
                            "text": "since(last(click)) >= 7d",
                            "words": "did not click for 7 days",
                            "values": {"last(click)": carted_at},
                            "truth": False,
                        }
                    ],
                }
            ],
        },
        {
            "segment": "shopper_abroad",
            "member": False,
            "enter": [
                {
                    "text": 'last(click.country) not in ["DE", "AT", "CH"]',
                    "words": "the last click's country is none of “DE”, “AT”, “CH”",
                    "values": {"last(click.country)": None},
                    "truth": None,
                }
            ],
            "since": None,
            "holdout": False,
            "enters": False,
            "exits": True,
            "held": {
                "by": "cooldown",
                "until": format_instant(now_ms + 5 * _HOUR_MS),
                "reason": "kept out until 12 hours after the last exit",
            },
            "exit": [
                {
                    "text": "since(last(click)) >= 7d",
                    "words": "last clicked 7 days ago or longer",
                    "values": {"since(last(click))": 691_200_000, "last(click)": carted_at},
                    "durations": ["since(last(click))"],
                    "truth": True,
                }
            ],
        },
        {
            "segment": "big_spender",
            "member": True,
            "since": format_instant(now_ms - _DAY_MS),
            "holdout": False,
            "enter": [
                {
                    "text": "sum(purchase.total, 90d) >= 500",
                    "words": "spent 500 or more within 90 days",
                    "values": {"sum(purchase.total, 90d)": 620.5},
                    "truth": True,
                }
            ],
            "enters": True,
            "exits": False,
            "held": None,
            "exit": [
                {
                    "op": "not",
                    "truth": False,
                    "parts": [
                        {
                            "text": "sum(purchase.total, 90d) >= 400",
                            "words": "spent 400 or more within 90 days",
                            "values": {"sum(purchase.total, 90d)": 620.5},
                            "truth": True,
                        }
                    ],
                }
            ],
        },
    ]
    return {
        "customer_id": customer,
        "partition": 3,
        "at": format_instant(now_ms),
        "clock": format_instant(now_ms - 60_000),
        "stream_clock": format_instant(now_ms),
        "sequence": 12,
        "memberships": memberships,
        "features": {"count(purchase)": 3, "last(click.product_id)": HOSTILE, carted: carted_at},
        "features_in_words": [
            "3 orders, the last 12 days ago",
            "84 % likely to buy within 90 days",
            f"last looked at “{HOSTILE}”",
        ],
        "next_timer": format_instant(now_ms + 2 * _DAY_MS),
        "offsets": {"clicks": 1207, "purchases": None, "emails": None},
        "definitions": "9771060ed6667186",
        "worker": "http://127.0.0.1:6066",
        "why": why,
    }
