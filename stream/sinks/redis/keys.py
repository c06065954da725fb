"""The names of all keys in Redis: the one place that says what lies where. docs/redis.md describes their contents."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

#: The version of the layout, in ``meta`` under ``layout``.
LAYOUT = 1
DEFAULT_PREFIX = "segstream:"

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
#: Flows by minute reach back so far from the stream clock, and those by hour so far.
MINUTES_KEPT = 24 * 60
HOURS_KEPT = 90 * 24
#: A customer's latest changes: how many, and how long after the last one; what is left of the erased as long.
CHANGES_KEPT = 10
KEPT_MS = 90 * DAY_MS
#: The feed has about so many entries at most.
FEED_LENGTH = 10_000

CAUSES = ("event", "timer", "definitions", "erasure", "model")
DIRECTIONS = ("in", "out")

#: What comes after the prefix in keys that are not there just once.
_MANY = re.compile(r"(?:segment:[a-z][a-z0-9_]*:(?:members|holdout)|flow:[a-z][a-z0-9_]*:(?:minutes|hours)|"
                   r"stay:[a-z][a-z0-9_]*|moves:[0-9]+|(?:customer|changes):.+)", re.DOTALL)  # fmt: skip
_ONE = ("meta", "offsets", "segments", "overlap", "feed", "gaps")


@dataclass(frozen=True)
class Keys:
    """The keys under one prefix.

    >>> Keys().members("buyers"), Keys("shop:").customer("c001")
    ('segstream:segment:buyers:members', 'shop:customer:c001')
    """

    prefix: str = DEFAULT_PREFIX

    @property
    def meta(self) -> str:
        return f"{self.prefix}meta"

    @property
    def offsets(self) -> str:
        return f"{self.prefix}offsets"

    @property
    def segments(self) -> str:
        return f"{self.prefix}segments"

    @property
    def overlap(self) -> str:
        return f"{self.prefix}overlap"

    @property
    def feed(self) -> str:
        return f"{self.prefix}feed"

    @property
    def gaps(self) -> str:
        return f"{self.prefix}gaps"

    def members(self, segment: str) -> str:
        return f"{self.prefix}segment:{segment}:members"

    def holdout(self, segment: str) -> str:
        return f"{self.prefix}segment:{segment}:holdout"

    def customer(self, customer_id: str) -> str:
        return f"{self.prefix}customer:{customer_id}"

    def changes(self, customer_id: str) -> str:
        return f"{self.prefix}changes:{customer_id}"

    def minutes(self, segment: str) -> str:
        return f"{self.prefix}flow:{segment}:minutes"

    def hours(self, segment: str) -> str:
        return f"{self.prefix}flow:{segment}:hours"

    def stay(self, segment: str) -> str:
        return f"{self.prefix}stay:{segment}"

    def moves(self, hour: int) -> str:
        return f"{self.prefix}moves:{hour}"

    def is_ours(self, key: str) -> bool:
        """Whether a key is one of these.

        >>> Keys("shop:").is_ours("shop:customer:c001"), Keys("shop:").is_ours("shop:carts")
        (True, False)
        """
        if not key.startswith(self.prefix):
            return False
        rest = key[len(self.prefix) :]
        return rest in _ONE or _MANY.fullmatch(rest) is not None


def membership_field(segment: str) -> str:
    """The field of a membership in the hash of a customer."""
    return f"@{segment}"


def flow_field(number: int, cause: str, direction: str) -> str:
    """The field of a flow in a minute or an hour; ``direction`` is ``in`` or ``out``.

    >>> flow_field(28_928_544, "timer", "in")
    '28928544:timer:in'
    """
    return f"{number}:{cause}:{direction}"


def move_field(left: str | None, entered: str | None) -> str:
    """The field of a move from one persona to another; None where a customer had none, or has none any more.

    >>> move_field("p1", "p2"), move_field(None, "p2")
    ('p1>p2', '>p2')
    """
    return f"{left or ''}>{entered or ''}"


def overlap_field(one: str, other: str) -> str:
    """The field of two segments, whichever is named first.

    >>> overlap_field("buyers", "addicts")
    'addicts|buyers'
    """
    return "|".join(sorted((one, other)))


def stay_bucket(seconds: int) -> int:
    """The bucket of a stay that was so long: four of them double the length.

    >>> [stay_bucket(seconds) for seconds in (0, 1, 3, 60, 86_400)]
    [0, 4, 8, 23, 65]
    """
    bucket = math.floor(4 * math.log2(seconds + 1))
    # A logarithm may be a hair off where a bucket begins.
    while 2 ** ((bucket + 1) / 4) <= seconds + 1:
        bucket += 1
    while 2 ** (bucket / 4) > seconds + 1:
        bucket -= 1
    return bucket


def stay_seconds(bucket: int) -> float:
    """The length in the middle of a bucket."""
    return float(2 ** ((bucket + 0.5) / 4)) - 1
