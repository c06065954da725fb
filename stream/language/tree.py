"""The checked meaning of a definitions file: what the parser and checker hand on to the planner.

Expressions are immutable trees. Two of them are equal when they mean the same, wherever and however they were
written: features are resolved, ``never(X)`` is ``count(X) == 0``, ``X exists`` is ``exists(X)``, positions are gone.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.contract import FieldType, Kind


class Type(enum.StrEnum):
    """The type of an expression. Numbers, durations (ms) and instants (ms since the epoch) are doubles."""

    NUMBER = "number"
    DURATION = "duration"
    INSTANT = "instant"
    TEXT = "text"
    BOOLEAN = "boolean"
    TRAIT = "trait"  # number, text or boolean: known only at run time


class Function(enum.StrEnum):
    """The functions that aggregate events."""

    COUNT = "count"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    DISTINCT = "distinct"
    FIRST = "first"
    LAST = "last"
    GAP = "gap"
    P_ALIVE = "p_alive"
    P_BUY = "p_buy"


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: ``value`` is a float (number; duration in ms), str or bool, as ``type`` says."""

    value: float | str | bool
    type: Type


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the event at hand; stands only within ``where``."""

    name: str
    type: Type  # NUMBER, TEXT or BOOLEAN


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A function over events of ``kind`` that satisfy ``where``."""

    function: Function
    kind: Kind
    field: str | None
    where: Expression | None
    window_ms: int | None  # None: the customer's whole life
    horizon_ms: int | None  # p_buy only
    type: Type


@dataclass(frozen=True, slots=True)
class Trait:
    """``trait("name")``: the latest value carried for the customer."""

    name: str


@dataclass(frozen=True, slots=True)
class Persona:
    """The alias or id of the customer's cluster (text), null while there is none."""


@dataclass(frozen=True, slots=True)
class Rank:
    """The share of active customers with a smaller ``value`` (0 to 1), null while there is no model."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Rfm:
    """Three digits (text) of a buyer within the window: the quintiles, among such buyers, of what these are."""

    recency: Aggregate
    frequency: Aggregate
    money: Aggregate

    @classmethod
    def of(cls, where: Expression | None, window_ms: int) -> Rfm:
        """The one of the purchases that satisfy ``where``."""
        return cls(
            Aggregate(Function.LAST, Kind.PURCHASE, None, where, None, None, Type.INSTANT),
            Aggregate(Function.COUNT, Kind.PURCHASE, None, where, window_ms, None, Type.NUMBER),
            Aggregate(Function.SUM, Kind.PURCHASE, "total", where, window_ms, None, Type.NUMBER),
        )

    @property
    def measures(self) -> tuple[RfmMeasure, RfmMeasure, RfmMeasure]:
        """What customers are ranked by, in the order of the digits."""
        return RfmMeasure(self, "recency"), RfmMeasure(self, "frequency"), RfmMeasure(self, "money")


@dataclass(frozen=True, slots=True)
class RfmMeasure:
    """One of the three of an ``rfm`` as a number or instant, null for who is no buyer; it cannot be written."""

    rfm: Rfm
    name: str

    @property
    def value(self) -> Aggregate:
        found: Aggregate = getattr(self.rfm, self.name)
        return found


@dataclass(frozen=True, slots=True)
class Since:
    """``now - instant``; stands only directly on one side of an order comparison."""

    instant: Expression


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``left op right`` with op one of ``+ - * /``; ``type`` is that of the result."""

    op: str
    left: Expression
    right: Expression
    type: Type


@dataclass(frozen=True, slots=True)
class Compare:
    """``left op right`` with op one of ``== != < <= > >=``."""

    op: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class After:
    """``left after right``: left exists, and right is null or left > right."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Before:
    """``left before right``: left exists, and right is null or left < right."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class In:
    """``value in [literals]``, or ``value not in [literals]`` when ``negated``. Null is in neither."""

    value: Expression
    literals: tuple[Literal, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class TextMatch:
    """``value op "text"`` with op one of ``contains``, ``starts_with``, ``ends_with``."""

    op: str
    value: Expression
    text: str


@dataclass(frozen=True, slots=True)
class Exists:
    """The value is not null."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Member:
    """The customer is a member of a segment defined above."""

    segment: str


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expression


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more operands; a nested And that needed no brackets is flat."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of two or more operands; a nested Or that needed no brackets is flat."""

    operands: tuple[Expression, ...]


Expression = (
    Literal
    | Field
    | Aggregate
    | Trait
    | Persona
    | Rank
    | Rfm
    | RfmMeasure
    | Since
    | Arithmetic
    | Compare
    | After
    | Before
    | In
    | TextMatch
    | Exists
    | Member
    | Not
    | And
    | Or
)


class ChurnModel(enum.StrEnum):
    BGNBD = "bgnbd"
    MBGNBD = "mbgnbd"


@dataclass(frozen=True, slots=True)
class Churn:
    """Which model ``p_alive`` and ``p_buy`` use, and its parameters (time in weeks)."""

    model: ChurnModel = ChurnModel.BGNBD
    r: float = 0.243
    alpha: float = 4.414
    a: float = 0.793
    b: float = 2.426


@dataclass(frozen=True, slots=True)
class Personas:
    """How customers are clustered, and when they change cluster; durations in milliseconds."""

    features: tuple[tuple[str, Expression], ...]  # the vector's order: name and number or instant
    k_min: int
    k_max: int
    min_share: float = 0.01
    margin: float = 0.1
    active_within_ms: int = 7_776_000_000  # 90d
    every_ms: int = 86_400_000  # 1d
    samples: int = 20_000
    aliases: Mapping[str, str] = field(default_factory=dict)  # id → alias, by number


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; durations in milliseconds."""

    name: str
    enter: Expression
    exit: Expression  # Not(enter) where the file gives none
    for_ms: int = 0
    min_stay_ms: int = 0
    cooldown_ms: int = 0
    once: bool = False
    holdout: float = 0.0
    to: tuple[str, ...] = ()
    description: str | None = None
    owner: str | None = None
    goal: str | None = None
    tags: tuple[str, ...] = ()
    review_by: str | None = None  # ISO date
    min_size: int | None = None


@dataclass(frozen=True, slots=True)
class Definitions:
    """A whole file that has no error."""

    segments: tuple[Segment, ...]
    buckets: int = 24
    dedupe_events: int = 16
    dedupe_orders: int = 8
    churn: Churn = Churn()
    lateness_ms: int | None = None  # None: the mode's default
    max_ahead_ms: int = 3_600_000
    declared: Mapping[Kind, Mapping[str, FieldType]] = field(default_factory=dict)
    personas: Personas | None = None
