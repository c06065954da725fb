"""The contract for events: kinds, their fields and limits, in one place.

The language checks names and types against it, the decoder builds its validation from it, and the
JSON Schemas under ``schemas/`` are tested against it. A field that is added to ``FIELDS`` is known
everywhere.
"""

from __future__ import annotations

import enum

import xxhash


class Kind(enum.IntEnum):
    """The kinds of events; the number is the order of ties between topics."""

    CLICK = 0
    PURCHASE = 1
    EMAIL = 2

    @property
    def word(self) -> str:
        """The kind as it is written: ``click``, ``purchase`` or ``email``."""
        return self.name.lower()

    @property
    def topic(self) -> str:
        """The Kafka topic that carries this kind."""
        return TOPICS[self]


TOPICS = {Kind.CLICK: "clicks", Kind.PURCHASE: "purchases", Kind.EMAIL: "emails"}
KINDS = {kind.word: kind for kind in Kind}


class FieldType(enum.StrEnum):
    """What a field of an event may hold."""

    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"


_N, _T = FieldType.NUMBER, FieldType.TEXT

#: The fields of each kind that conditions may name (``items`` is never looked into).
FIELDS: dict[Kind, dict[str, FieldType]] = {
    Kind.CLICK: {
        "action": _T,
        "product_id": _T,
        "category": _T,
        "price": _N,
        "quantity": _N,
        "session_id": _T,
        "url": _T,
        "referrer": _T,
        "campaign_id": _T,
        "device": _T,
        "country": _T,
    },
    Kind.PURCHASE: {"order_id": _T, "total": _N, "currency": _T, "coupon": _T, "campaign_id": _T},
    Kind.EMAIL: {"action": _T, "campaign_id": _T, "message_id": _T},
}

#: Fields of every event; like those of ``FIELDS`` and ``items`` they cannot be declared again.
COMMON_FIELDS = ("event_id", "customer_id", "timestamp", "type", "traits")
UNREAD_FIELDS = {Kind.CLICK: (), Kind.PURCHASE: ("items",), Kind.EMAIL: ()}

#: Fields that an event of the kind must have, besides ``event_id``, ``customer_id`` and ``timestamp``.
REQUIRED_FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.CLICK: ("action",),
    Kind.PURCHASE: ("order_id", "total"),
    Kind.EMAIL: ("action",),
}

#: The actions that shops are known to send. A click may have any word, an e-mail only these.
KNOWN_ACTIONS: dict[Kind, tuple[str, ...]] = {
    Kind.CLICK: ("page_view", "product_view", "search", "add_to_cart", "remove_from_cart", "checkout_start"),
    Kind.EMAIL: ("delivered", "opened", "clicked", "bounced", "unsubscribed", "complained"),
}

ACTION_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
CURRENCY_PATTERN = r"^[A-Z]{3}$"
EVENT_ID_LENGTH = 128
ORDER_ID_LENGTH = 128
CUSTOMER_ID_LENGTH = 256
TEXT_LENGTH = 4096
NUMBER_LIMIT = 1e11
NESTING_LIMIT = 100
#: The last millisecond of the year 9999: the latest timestamp, and the latest instant of a timer.
LAST_INSTANT = 253_402_300_799_999

MAX_DURATION_MS = 3660 * 86_400_000


def hash64(text: str) -> int:
    """XXH3 with 64 bits and seed 0 over the UTF-8 bytes of ``text``.

    >>> hex(hash64(""))
    '0x2d06800538d394c2'
    """
    return xxhash.xxh3_64_intdigest(text.encode())
