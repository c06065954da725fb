"""The words of the language: keywords, functions, names that are taken, units, and how a name may look."""

from __future__ import annotations

import itertools
import re

from stream.contract import KINDS

#: Words of the grammar itself; no name of any sort may be one, declared fields included.
KEYWORDS = frozenset(
    {"and", "or", "not", "in", "where", "contains", "starts_with", "ends_with", "exists", "after", "before"}
    | {"true", "false"}
)

#: Every function and how it is called, for messages.
FUNCTIONS = {
    "count": "count(KIND [where CONDITION] [, WINDOW])",
    "sum": "sum(KIND.field [where CONDITION] [, WINDOW])",
    "avg": "avg(KIND.field [where CONDITION] [, WINDOW])",
    "min": "min(KIND.field [where CONDITION] [, WINDOW])",
    "max": "max(KIND.field [where CONDITION] [, WINDOW])",
    "distinct": "distinct(KIND.field [where CONDITION] [, WINDOW])",
    "first": "first(KIND[.field] [where CONDITION])",
    "last": "last(KIND[.field] [where CONDITION])",
    "gap": "gap(KIND [where CONDITION])",
    "p_alive": "p_alive(KIND [where CONDITION])",
    "p_buy": "p_buy(KIND [where CONDITION], HORIZON)",
    "never": "never(KIND [where CONDITION])",
    "since": "since(INSTANT)",
    "exists": "exists(X)",
    "trait": 'trait("name")',
    "member": 'member("segment")',
    "rank": "rank(EXPRESSION)",
    "rfm": "rfm(purchase [where CONDITION], WINDOW)",
}

#: The customer's cluster: a word that stands alone.
PERSONA = "persona"
#: The share of active customers who have less: a function that needs a model, as ``persona`` does.
RANK = "rank"
#: The quintiles of a buyer's recency, frequency and money: a function that needs a model, too.
RFM = "rfm"
#: All that it may be.
RFM_SCORES = tuple(map("".join, itertools.product("12345", repeat=3)))

#: What no segment and no feature may be called.
RESERVED = KEYWORDS | FUNCTIONS.keys() | KINDS.keys() | {PERSONA}

#: Segments of this beginning are made by clustering.
PERSONA_PREFIX = "persona_"

#: The id of a persona, as ``persona`` has it where there is no alias.
PERSONA_ID = re.compile(r"p[1-9][0-9]{0,8}")

#: How segments and features are called.
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
#: How a declared field is called: as the shop's own JSON has it.
FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")

#: Units of durations in milliseconds, largest first.
UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}

_LONG_UNITS = {
    "ms": ("milli", "millis", "msec", "msecs", "millisecond", "milliseconds"),
    "s": ("sec", "secs", "second", "seconds"),
    "m": ("min", "mins", "minute", "minutes"),
    "h": ("hr", "hrs", "hour", "hours"),
    "d": ("day", "days"),
    "w": ("wk", "wks", "week", "weeks"),
}
_UNIT_OF = {word: unit for unit, words in _LONG_UNITS.items() for word in words}


def unit_of(word: str) -> str | None:
    """The unit that ``word`` stands for: ``days`` → ``d``, ``H`` → ``h``; None when it is no unit.

    >>> unit_of("minutes"), unit_of("D"), unit_of("month")
    ('m', 'd', None)
    """
    lower = word.lower()
    return lower if lower in UNITS else _UNIT_OF.get(lower)
