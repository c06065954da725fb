"""Random definitions files and event streams, all valid, that touch every corner of the segment language.

The makers below are written against a small ``Source`` of choices, so that they serve twice: fed by Hypothesis (each
choice is drawn, so failures shrink: the first entry of every list is the plainest) or by a seeded ``random.Random``
(faster and without a limit on size, for long hunts): ``random_case(Random(seed))``.

Streams are not uniform noise. Their timestamps lie on and one millisecond beside what the definitions make decisive:
durations after earlier events and bucket borders; prices are those whose sums show inexact arithmetic.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from random import Random
from typing import Any, NamedTuple, Protocol, TypeVar

from hypothesis import strategies as st

from tests.reference import Definitions, Node, Rank, Rfm, evidence_text, is_instant

T = TypeVar("T")
Dict = dict[str, Any]


# --- Choices ------------------------------------------------------------------------------------------------------


class Source(Protocol):
    """Where choices come from."""

    def integer(self, low: int, high: int) -> int: ...

    def group(self, make: Callable[[], T]) -> T:
        """Call a function whose choices belong together."""
        ...


class Drawn:
    """Choices drawn from Hypothesis, which can then shrink them."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw

    def integer(self, low: int, high: int) -> int:
        return int(self.draw(integers(low, high)))

    def group(self, make: Callable[[], T]) -> T:
        # What one nested strategy drew is what Hypothesis tries to leave out as a whole.
        result: T = self.draw(grouped(self, make))
        return result


class Seeded:
    """Choices from a random generator."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def integer(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def group(self, make: Callable[[], T]) -> T:
        return make()


@st.composite
def grouped(draw: Any, source: Drawn, make: Callable[[], Any]) -> Any:
    outer, source.draw = source.draw, draw
    try:
        return make()
    finally:
        source.draw = outer


@cache
def integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


class Maker:
    """The common part of what makes something out of choices."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def pick(self, options: Sequence[T]) -> T:
        return options[self.source.integer(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        return self.source.integer(0, 99) >= 100 - percent

    def many(self, low: int, high: int, make: Callable[[], T], percent: int = 60) -> list[T]:
        """Repeatedly, each time asking whether there is to be more (which shrinks better than a number would)."""
        made: list[T] = []

        def one() -> bool:
            more = len(made) < low or self.chance(percent)
            if more:
                made.append(make())
            return more

        while len(made) < high and self.source.group(one):
            pass
        return made

    def weighted(self, *options: tuple[int, Callable[[], T]]) -> T:
        """Call one of the functions, each as likely as its weight."""
        at = self.source.integer(0, sum(weight for weight, _ in options) - 1)
        for weight, make in options:
            at -= weight
            if at < 0:
                return make()
        raise AssertionError


# --- Definitions --------------------------------------------------------------------------------------------------

KINDS = ("click", "purchase", "email")
TEXT_FIELDS: dict[str, list[str]] = {
    "click": ["category", "action", "device", "product_id"],
    "purchase": ["coupon", "currency", "campaign_id", "order_id"],
    "email": ["campaign_id", "action", "message_id"],
}
NUMBER_FIELDS: dict[str, list[str]] = {"click": ["price", "quantity"], "purchase": ["total"], "email": []}
WORDS: dict[str, list[str]] = {
    "category": ["shoes", "hats", "toys", "", "Schürze"],
    "action click": ["page_view", "add_to_cart", "search", "product_view"],
    "action email": ["opened", "clicked", "bounced", "delivered"],
    "device": ["phone", "desktop"],
    "product_id": ["p1", "p2", 'p"3'],
    "coupon": ["X", "Y", "x"],
    "currency": ["EUR", "USD"],
    "campaign_id": ["c1", "c2"],
    "order_id": ["o1", "o2"],
    "message_id": ["m1", "m2"],
    "tone": ["warm", "cold", "warmer"],
    "plan": ["free", "pro", "team"],
}
PARTS = ["s", "_", "", "sh", "view", "Sch", "c1", "ro"]
NUMBERS = ["1", "0", "2", "3", "0.1", "0.2", "0.3", "0.7", "1.1", "1.5", "5", "10", "19.99", "-0.1", "-5", "0.9", "4"]
LARGE_NUMBERS = ["39.98", "50.25", "100", "33.33", "20.09", "20.19"]
PRICES = [10, 0.1, 0.2, 19.99, 0.3, 0.7, 1.1, 4.35, 25.5, 33.33, 100, 5, 20.09, 0.00005, 0.00015, 0.29]
NEGATIVE_PRICES = [-0.1, -0.2, -19.99, -10, -4.35]
# Shares of a bucket that do not come out even, sums of units, odd milliseconds.
DURATIONS: dict[str, list[str]] = {
    "short": ["1s", "10s", "1s1ms", "1500ms", "1m", "90s", "7s"],
    "middle": ["1m", "10m", "25m", "1h", "1h1ms", "3m20s", "6h", "90m", "2h"],
    "long": ["1d", "6h", "1d12h", "7d", "3d8h", "1d1ms", "2w6d", "30d", "7w1d", "90d", "1h"],
}
HORIZONS = ["7d", "1h", "36h", "1w3d", "90d", "13w"]
CHURN: list[Dict] = [
    {"model": "bgnbd", "r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
    {"model": "mbgnbd", "r": 0.243, "alpha": 0.4, "a": 0.793, "b": 2.426},
    {"model": "bgnbd", "r": 0.9, "alpha": 1.5, "a": 0.6, "b": 3.0},
    {"model": "mbgnbd", "r": 0.5, "alpha": 6, "a": 0.9, "b": 1.8},
    {"model": "bgnbd", "r": 2.5, "alpha": 0.01, "a": 1.7, "b": 0.4},
]
SHARES = ["0.5", "0.2", "0.05", "0.8", "0.95", "0.999", "0.02", "1", "0.1", "0"]
TRAITS = ["age", "plan", "vip", "mix"]
OR, AND, NOT, TEST, SUM, PRODUCT, ATOM = range(1, 8)


class Expr(NamedTuple):
    """The text of an expression and how strongly its outermost operator binds."""

    text: str
    level: int = ATOM
    distinct: bool = False  # names a `distinct`: not to be compared with more than 32


class Definer(Maker):
    """Makes one definitions file."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.durations = DURATIONS[self.pick(["middle", "short", "long"])]
        self.declared: Dict = {}
        if self.chance(40):
            self.declared = {"click": {"score": "number", "paid": "boolean"}, "email": {"tone": "text"}}
            if self.chance(30):
                self.declared["purchase"] = {"gift": "boolean", "weight": "number"}
        self.features: dict[str, list[Expr]] = {}  # by type
        self.personas: list[str] = []  # what they may be called, where there are any
        self.above: list[str] = []

    # Lexical variety

    def within(self, expr: Expr, level: int) -> str:
        """The text of an operand, in brackets where it must be, sometimes where it need not."""
        return f"({expr.text})" if expr.level < level or self.chance(4) else expr.text

    def quoted(self, text: str) -> str:
        return f"'{text}'" if '"' in text or self.chance(10) else f'"{text}"'

    def duration(self) -> str:
        return self.pick(self.durations)

    def compared(self, operators: Sequence[str], left: Expr, right: Expr) -> Expr:
        operator = self.pick(operators)
        gap = "" if operator[0] in "<>=!" and self.chance(3) else " "
        return Expr(f"{self.within(left, SUM)}{gap}{operator}{gap}{self.within(right, SUM)}", TEST)

    def listed(self, literals: Sequence[str]) -> str:
        return "[" + ", ".join(self.many(1, 3, lambda: self.pick(literals))) + "]"

    # where

    def words(self, kind: str, name: str) -> list[str]:
        return WORDS.get(name) or WORDS[f"{name} {kind}"]

    def fields(self, kind: str, field_type: str) -> list[str]:
        base = {"text": TEXT_FIELDS, "number": NUMBER_FIELDS}.get(field_type, {}).get(kind, [])
        return base + [name for name, declared in self.declared.get(kind, {}).items() if declared == field_type]

    def where(self, kind: str, depth: int = 2) -> Expr:
        """A condition on an event's own fields."""

        def text_test() -> Expr:
            name = self.pick(self.fields(kind, "text"))
            words = [self.quoted(word) for word in self.words(kind, name)]
            return self.weighted(
                (4, lambda: Expr(f"{name} {self.pick(['==', '!='])} {self.pick(words)}", TEST)),
                (2, lambda: Expr(f"{name} {self.pick(['in', 'not in'])} {self.listed(words)}", TEST)),
                (2, lambda: Expr(f"{name} {self.text_operator()} {self.quoted(self.pick(PARTS))}", TEST)),
            )

        def number_test() -> Expr:
            names = self.fields(kind, "number")
            if not names:
                return text_test()
            name = self.pick(names)
            if self.chance(15):
                return Expr(f"{name} {self.pick(['in', 'not in'])} {self.listed(NUMBERS + LARGE_NUMBERS)}", TEST)
            operator = self.pick([">", "<", ">=", "<=", "==", "!="])
            return Expr(f"{name} {operator} {self.pick(NUMBERS + LARGE_NUMBERS)}", TEST)

        def boolean_test() -> Expr:
            names = self.fields(kind, "boolean")
            if not names:
                return text_test()
            name = self.pick(names)
            alone = Expr(name)
            return alone if self.chance(40) else Expr(f"{name} {self.pick(['==', '!='])} {self.truth()}", TEST)

        def existence() -> Expr:
            name = self.pick(self.fields(kind, "text") + self.fields(kind, "number") + self.fields(kind, "boolean"))
            return Expr(f"exists({name})") if self.chance(20) else Expr(f"{name} exists", TEST)

        tests = ((4, text_test), (4, number_test), (2, boolean_test), (2, existence))
        if depth == 0 or not self.chance(40):
            return self.weighted(*tests)
        return self.junction(lambda: self.where(kind, depth - 1))

    def junction(self, operand: Callable[[], Expr]) -> Expr:
        """`and`, `or` or `not` over one to three operands."""
        operator = self.pick(["and", "or", "not"])
        if operator == "not":
            return Expr(f"not {self.within(operand(), NOT)}", NOT)
        level = AND if operator == "and" else OR
        count = 3 if self.chance(20) else 2
        # Operands of the same operator are sometimes bracketed, which must not show in the canonical text.
        texts = [self.within(operand(), level + (1 if self.chance(30) else 0)) for _ in range(count)]
        return Expr(f" {operator} ".join(texts), level)

    def text_operator(self) -> str:
        return self.pick(["contains", "starts_with", "ends_with"])

    def truth(self) -> str:
        return self.pick(["true", "false"])

    # Aggregates

    def kind(self) -> str:
        return self.pick(["click", "purchase", "click", "purchase", "email"])

    def call(self, function: str, kind: str, name: str | None = None, more: str = "") -> Expr:
        of = f"{kind}.{name}" if name else kind
        where = f" where {self.where(kind).text}" if self.chance(30) else ""
        return Expr(f"{function}({of}{where}{more})", ATOM, function == "distinct")

    def window(self) -> str:
        return f", {self.duration()}" if self.chance(60) else ""

    def trait(self) -> Expr:
        return Expr(f"trait({self.quoted(self.pick(TRAITS))})")

    # Expressions by type; none of these moves continuously

    def feature(self, kind: str, otherwise: Callable[[], Expr]) -> Expr:
        known = self.features.get(kind)
        return self.pick(known) if known else otherwise()

    def number(self, depth: int = 1) -> Expr:
        def of_field() -> Expr:
            kind = self.pick(["click", "purchase"])
            name = self.pick(self.fields(kind, "number"))
            return self.call(self.pick(["sum", "avg", "min", "max"]), kind, name, self.window())

        def distinct() -> Expr:
            kind = self.kind()
            names = self.fields(kind, "text") + self.fields(kind, "number") + self.fields(kind, "boolean")
            return self.call("distinct", kind, self.pick(names), self.window())

        def edge() -> Expr:
            kind = self.pick(["click", "purchase"])
            return self.call(self.pick(["last", "first"]), kind, self.pick(self.fields(kind, "number")))

        def counted() -> Expr:
            return self.call("count", self.kind(), None, self.window())

        def calculated() -> Expr:
            operator = self.pick(["+", "-", "*", "/"])
            left = self.number(depth - 1)
            literal = Expr(self.pick(NUMBERS))
            pair = self.weighted(
                (5, lambda: (left, literal)), (4, lambda: (left, self.number(0))), (1, lambda: (literal, left))
            )
            return self.arithmetic(operator, *pair)

        def ratio() -> Expr:
            return self.arithmetic("/", self.span(0), self.span(0))

        options: list[tuple[int, Callable[[], Expr]]] = [(6, counted), (6, of_field), (2, distinct), (2, edge)]
        options += [(1, self.trait), (1, lambda: self.feature("number", counted))]
        if depth > 0:
            options += [(5, calculated), (1, ratio)]
        return self.weighted(*options)

    def arithmetic(self, operator: str, left: Expr, right: Expr) -> Expr:
        own = SUM if operator in "+-" else PRODUCT
        text = f"{self.within(left, own)} {operator} {self.within(right, own + 1)}"
        return Expr(text, own, left.distinct or right.distinct)

    def span(self, depth: int = 1) -> Expr:
        """A duration."""

        def literal() -> Expr:
            return Expr(self.duration())

        def gap() -> Expr:
            return self.call("gap", self.kind())

        def between() -> Expr:
            return self.arithmetic("-", self.moment(0), self.moment(0))

        def factor() -> Expr:
            return self.weighted(
                (4, lambda: Expr(self.pick(NUMBERS))), (3, lambda: self.number(0)), (2, self.trait)
            )  # fmt: skip

        def scaled() -> Expr:
            if self.chance(30):
                return self.arithmetic("/", self.span(depth - 1), factor())
            pair = [self.span(depth - 1), factor()]
            return self.arithmetic("*", *(pair if self.chance(50) else pair[::-1]))

        def added() -> Expr:
            return self.arithmetic(self.pick(["+", "-"]), self.span(depth - 1), self.span(depth - 1))

        options: list[tuple[int, Callable[[], Expr]]] = [(4, literal), (3, gap)]
        if depth > 0:
            options += [(4, scaled), (2, added), (1, between), (1, lambda: self.feature("duration", gap))]
        return self.weighted(*options)

    def moment(self, depth: int = 1) -> Expr:
        """An instant."""

        def edge() -> Expr:
            return self.call(self.pick(["last", "first", "last"]), self.kind())

        if depth > 0 and self.chance(12):
            return self.arithmetic(self.pick(["+", "-"]), edge(), self.span(depth - 1))
        if self.chance(8):
            return self.feature("instant", edge)
        return edge()

    def text(self) -> tuple[Expr, list[str]]:
        """A text of known type, and what it is likely to be."""
        kind = self.kind()
        name = self.pick(self.fields(kind, "text"))
        return self.call(self.pick(["last", "first"]), kind, name), self.words(kind, name)

    # Conditions

    def condition(self, depth: int = 2) -> Expr:
        if depth > 0 and self.chance(45):
            return self.junction(lambda: self.source.group(lambda: self.condition(depth - 1)))
        options: list[tuple[int, Callable[[], Expr]]] = [
            (7, self.number_condition),
            (7, self.since_condition),
            (5, self.churn_condition),
            (4, self.instant_condition),
            (2, lambda: self.compared(["<", ">=", ">", "<=", "==", "!="], self.span(), self.span())),
            (3, self.text_condition),
            (4, self.trait_condition),
            (2, lambda: self.call("never", self.kind())),
            (2, self.existence),
            (2, lambda: self.feature("boolean", self.number_condition)),
            (1, self.boolean_field),
            (1, lambda: Expr(self.truth())),
        ]
        if self.above:
            options.append((3, lambda: Expr(f"member({self.quoted(self.pick(self.above))})")))
        if self.personas:
            options.append((12, self.persona_condition))
        if depth > 0:
            options.append((2, lambda: self.equality(depth)))
        return self.weighted(*options)

    def persona_condition(self) -> Expr:
        names = [self.quoted(name) for name in self.personas]
        return self.weighted(
            (4, lambda: Expr(f"persona {self.pick(['==', '!='])} {self.pick(names)}", TEST)),
            (2, lambda: Expr(f"persona {self.pick(['in', 'not in'])} {self.listed(names)}", TEST)),
            (1, lambda: Expr(f"{self.pick(names)} {self.pick(['==', '!='])} persona", TEST)),
            (1, lambda: Expr("persona exists", TEST)),
            (6, self.rank_condition),
            (6, self.rfm_condition),
            (1, lambda: Expr(f"persona {self.text_operator()} {self.quoted(self.pick(['p', '3', 's']))}", TEST)),
        )

    def rank_condition(self) -> Expr:
        rank = Expr(f"rank({self.measure().text})", ATOM)
        share = Expr(self.pick(["0.5", "0.9", "0.25", "0", "1", "0.005", "0.333"]))
        if self.chance(20):
            rank = self.arithmetic(self.pick(["*", "+", "-"]), rank, Expr(self.pick(["2", "0.5"])))
        return self.weighted(
            (6, lambda: self.compared([">=", "<", ">", "<=", "==", "!="], rank, share)),
            (1, lambda: Expr(f"{self.within(rank, SUM)} exists", TEST)),
            (1, lambda: self.compared([">", "<="], rank, Expr(f"rank({self.measure().text})"))),
            (1, lambda: self.compared(["<", ">="], self.call("count", self.kind(), None, self.window()), rank)),
        )

    def rfm(self) -> Expr:
        return self.call("rfm", "purchase", None, f", {self.duration()}")

    def rfm_condition(self, rfm: Expr | None = None) -> Expr:
        rfm = rfm or self.rfm()
        scores = [self.quoted(first + second) for first in "15342" for second in ("11", "55", "15", "33", "51", "12")]
        digit = self.quoted(self.pick(["5", "1", "3"]))
        return self.weighted(
            (4, lambda: Expr(f"{rfm.text} {self.pick(['==', '!='])} {self.pick(scores)}", TEST)),
            (4, lambda: Expr(f"{rfm.text} {self.pick(['in', 'not in'])} {self.listed(scores)}", TEST)),
            (6, lambda: Expr(f"{rfm.text} {self.text_operator()} {digit}", TEST)),
            (1, lambda: Expr(f"{rfm.text} exists", TEST)),
            (1, lambda: self.compared(["==", "!="], rfm, self.rfm())),
            (1, lambda: Expr(f"rank({self.call('count', 'purchase', None, self.window()).text}) > 0.5", TEST)),
        )

    def number_condition(self) -> Expr:
        left = self.number()
        if self.chance(8):
            return Expr(f"{self.within(left, SUM)} {self.pick(['in', 'not in'])} {self.listed(NUMBERS)}", TEST)
        right = (
            self.number() if self.chance(25) else Expr(self.pick(NUMBERS if left.distinct else NUMBERS + LARGE_NUMBERS))
        )
        if self.chance(10):
            left, right = right, left
        return self.compared([">=", "<", ">", "<=", "==", "!="], left, right)

    def moving(self, moving: Expr, other: Expr) -> Expr:
        sides = (other, moving) if self.chance(30) else (moving, other)
        return self.compared([">=", "<", ">", "<="], *sides)

    def since_condition(self) -> Expr:
        def since() -> Expr:
            return Expr(f"since({self.moment().text})")

        return self.moving(self.feature("since", since) if self.chance(10) else since(), self.span())

    def churn_condition(self) -> Expr:
        kind = self.pick(["purchase", "purchase", "click", "email"])
        buys = self.chance(50)
        moving = self.call("p_buy", kind, None, f", {self.pick(HORIZONS)}") if buys else self.call("p_alive", kind)
        other = self.weighted(
            (8, lambda: Expr(self.pick(SHARES))),
            (2, lambda: self.arithmetic("/", self.number(0), Expr(self.pick(["5", "10", "100"])))),
            (1, self.trait),
        )
        return self.moving(moving, other)

    def instant_condition(self) -> Expr:
        return self.compared(
            ["after", "before", "after", "before", "<", ">=", "==", "!="], self.moment(), self.moment()
        )

    def text_condition(self) -> Expr:
        left, words = self.text()
        literals = [self.quoted(word) for word in words]
        return self.weighted(
            (4, lambda: Expr(f"{left.text} {self.pick(['==', '!='])} {self.pick(literals)}", TEST)),
            (2, lambda: Expr(f"{left.text} {self.pick(['in', 'not in'])} {self.listed(literals)}", TEST)),
            (2, lambda: Expr(f"{left.text} {self.text_operator()} {self.quoted(self.pick(PARTS))}", TEST)),
            (1, lambda: self.compared(["==", "!="], left, self.text()[0])),
            (1, lambda: self.compared(["==", "!="], left, self.trait())),
        )

    def trait_condition(self) -> Expr:
        trait = self.trait()
        words = [self.quoted(word) for word in WORDS["plan"]]
        mixed = [*words, "true", "false", "30", "1", "0.1"]
        return self.weighted(
            (3, lambda: Expr(f"{trait.text} {self.pick(['==', '!='])} {self.pick(mixed)}", TEST)),
            (2, lambda: trait),
            (2, lambda: Expr(f"{trait.text} {self.pick(['in', 'not in'])} {self.listed(mixed)}", TEST)),
            (2, lambda: Expr(f"{trait.text} {self.text_operator()} {self.quoted(self.pick(PARTS))}", TEST)),
            (2, lambda: self.compared([">=", "<", "<=", ">"], trait, Expr(self.pick(["30", "1", "0.1", "-5"])))),
            (1, lambda: self.compared(["==", "!=", "<", ">="], trait, self.trait())),
            (1, lambda: self.compared([">=", "<", "=="], self.arithmetic("*", trait, Expr("2")), Expr("2"))),
        )

    def existence(self) -> Expr:
        of = self.weighted(
            (2, self.number), (2, self.trait), (2, self.moment), (1, self.span), (1, lambda: self.text()[0])
        )  # fmt: skip
        return Expr(f"exists({of.text})") if self.chance(60) else Expr(f"{self.within(of, SUM)} exists", TEST)

    def boolean(self) -> Expr | None:
        kind = self.pick(["click", "purchase"])
        names = self.fields(kind, "boolean")
        return self.call(self.pick(["last", "first"]), kind, self.pick(names)) if names else None

    def boolean_field(self) -> Expr:
        field = self.boolean()
        if field is None:
            return self.trait_condition()
        return field if self.chance(50) else self.compared(["==", "!="], field, Expr(self.truth()))

    def equality(self, depth: int) -> Expr:
        """Conditions are values as well: `(a > 1) == trait("vip")`."""
        left = self.bracketed(self.condition(depth - 1))
        right = self.weighted(
            (2, self.trait),
            (2, lambda: Expr(self.truth())),
            (1, lambda: self.bracketed(self.condition(depth - 1))),
            (1, lambda: self.boolean() or self.trait()),
        )
        return self.compared(["==", "!="], *((right, left) if self.chance(20) else (left, right)))

    @staticmethod
    def bracketed(expr: Expr) -> Expr:
        return Expr(f"({expr.text})")

    # The file

    def file(self, *, with_personas: bool = False) -> Dict:
        file: Dict = {"version": 1}
        if self.chance(75):
            file["buckets"] = self.pick([24, 2, 3, 5, 7, 10, 12, 120])
        if self.declared:
            file["fields"] = self.declared
        if self.chance(25):
            file["dedupe"] = {"events": self.pick([16, 0, 1, 2, 4, 64]), "orders": self.pick([8, 0, 1, 2, 64])}
        if self.chance(50):
            file["churn"] = self.pick(CHURN)
        if self.chance(10):
            file["lateness"] = self.pick(["0s", "5s", "1h"])
        if self.chance(40):
            file["features"] = self.make_features()
        if with_personas:
            file["personas"] = self.make_personas()
        file["segments"] = {}

        def add() -> None:
            name = f"s{len(self.above)}"
            file["segments"][name] = self.segment()
            self.above.append(name)

        self.many(1, 4, add, 75)
        return file

    def add_rfm(self, file: Dict) -> None:
        """Adds segments that tell of most changes of one or two rfms."""
        asked = self.many(1, 2, self.rfm, 40)

        def add() -> None:
            rfm = self.pick(asked)
            operator = self.pick(["starts_with", "ends_with", "contains"])
            condition = Expr(f"{rfm.text} {operator} {self.quoted(self.pick(['5', '1', '2', '3', '4']))}", TEST)
            segment = {"enter": (condition if self.chance(80) else self.rfm_condition(rfm)).text}
            if self.chance(15):
                segment["exit"] = self.rfm_condition(rfm).text
            file["segments"][f"scored{len(file['segments'])}"] = segment

        self.many(2, 5, add, 70)

    def make_features(self) -> dict[str, str]:
        """Some named expressions; later ones may use earlier ones, and stand before them in the file."""
        made: dict[str, str] = {}
        makers: dict[str, Callable[[], Expr]] = {
            "number": self.number,
            "boolean": lambda: self.condition(1),
            "duration": self.span,
            "instant": self.moment,
            "since": lambda: Expr(f"since({self.moment().text})"),
        }

        def add() -> None:
            kind = self.pick(list(makers))
            name, expr = f"f{len(made)}_{kind}", makers[kind]()
            made[name] = expr.text
            self.features.setdefault(kind, []).append(Expr(name, ATOM, expr.distinct))

        self.many(1, 3, add)
        return dict(reversed(made.items())) if self.chance(50) else made

    def make_personas(self) -> Dict:
        features: dict[str, str] = {}

        def add() -> None:
            features[f"m{len(features)}"] = self.measure().text

        self.many(1, 3, add)
        section: Dict = {"features": features, "k": self.pick([3, {"min": 2, "max": 5}])}
        section["active_within"] = self.duration()
        if self.chance(70):
            section["margin"] = self.pick([0, 0.3, 0.9, 0.05, 0.5])
        if self.chance(50):
            section["aliases"] = self.pick([{"p3": "regulars"}, {"p1": "hunters", "p2": "p_2"}, {}])
        self.personas = ["p1", "p2", "p3", "p4", *section.get("aliases", {}).values()]
        return section

    def measure(self) -> Expr:
        """A feature of personas: a number or an instant that events alone and time by steps decide."""

        def counted() -> Expr:
            return self.call("count", self.kind(), None, self.window())

        def of_field() -> Expr:
            kind = self.pick(["click", "purchase"])
            function = self.pick(["sum", "avg", "max", "distinct"])
            return self.call(function, kind, self.pick(self.fields(kind, "number")), self.window())

        def edge() -> Expr:
            return self.call(self.pick(["last", "first", "last"]), self.kind())

        def calculated() -> Expr:
            operator, left = self.pick(["+", "-", "*", "/"]), self.pick([counted, of_field])()
            return self.arithmetic(operator, left, Expr(self.pick(NUMBERS)) if self.chance(50) else counted())

        def moved() -> Expr:
            return self.arithmetic(self.pick(["+", "-"]), edge(), Expr(self.duration()))

        def ratio() -> Expr:
            return self.arithmetic("/", self.call("gap", self.kind()), Expr(self.duration()))

        options: list[tuple[int, Callable[[], Expr]]] = [(6, counted), (3, of_field), (5, edge)]
        return self.weighted(*options, (1, calculated), (1, moved), (1, ratio))

    def segment(self) -> Dict:
        segment: Dict = {"enter": self.condition().text}
        if self.chance(50):
            segment["exit"] = self.condition().text
        for key, percent in (("for", 30), ("min_stay", 25), ("cooldown", 30)):
            if self.chance(percent):
                segment[key] = self.duration()
        if self.chance(10):
            segment["once"] = True
        if self.chance(15):
            segment["holdout"] = self.pick([0.5, 0, 0.1, 1])
        if self.chance(5):
            segment.update(description="made at random", owner="tests", tags=["random"])
        return segment


# --- Streams ------------------------------------------------------------------------------------------------------

UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
DAY = UNITS["d"]
STARTS = [1_600_000_000_000, 0, DAY - 1, 1_641_900_000_000, 5 * DAY, 1_700_000_000_123]
LATEST = 4_000_000_000_000  # far enough, and leaves room for what comes later
CUSTOMERS = ["a", "b", "c", "ünï/ö"]


def durations_in(definitions: Dict) -> list[int]:
    """Every duration that a definitions file writes, in milliseconds."""
    texts = " ".join(re.findall(r"\b(?:\d+(?:ms|[smhdw]))+\b", str(definitions)))
    found = {
        sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)(ms|[smhdw])", text))
        for text in texts.split()
    }
    return sorted(found - {0}) or [UNITS["h"]]


class Streamer(Maker):
    """Makes the events for one definitions file."""

    def __init__(self, source: Source, definitions: Dict) -> None:
        super().__init__(source)
        self.declared: Dict = definitions.get("fields", {})
        self.durations = durations_in(definitions)
        self.widths: list[int] = [-(-duration // definitions.get("buckets", 24)) for duration in self.durations]
        self.customers = CUSTOMERS[: self.pick([1, 2, 2, 3, 4])]
        self.events: list[Dict] = []
        self.instants: list[int] = []
        self.start = self.pick(STARTS)

    def instant(self) -> int:
        """Mostly shortly after the latest event, at a decisive distance from some event; sometimes late."""
        if not self.instants:
            return self.start

        def step() -> int:
            return newest + self.source.integer(0, max(2, self.pick(self.durations) // 2))

        def decisive() -> int:
            anchor = self.pick(self.instants[-6:])
            times = self.pick([1, 1, 1, 2, 3])
            return anchor + self.pick(self.durations) * times + near()

        def border() -> int:
            width = self.pick(self.widths)
            return (newest // width + self.pick([1, 2, 3])) * width + near()

        def leaving() -> int:
            at = self.source.integer(0, len(self.durations) - 1)
            return (self.pick(self.instants) // self.widths[at]) * self.widths[at] + self.durations[at] + near()

        def near() -> int:
            return self.pick([0, 1, -1])

        newest = max(self.instants)
        return self.weighted(
            (5, step),
            (5, decisive),
            (3, border),
            (2, leaving),
            (2, lambda: newest),
            (1, lambda: self.pick(self.instants) + near()),
            (2, lambda: newest - self.source.integer(0, self.pick(self.durations))),
            (1, lambda: newest - self.pick(self.durations) * 3 + near()),
            (1, lambda: newest + DAY * self.source.integer(1, 30)),
            (1, lambda: (newest // DAY + 1) * DAY + near()),
        )

    def timestamp(self, ms: int) -> int | str:
        """The same instant as an integer or as one of the texts that RFC 3339 allows."""
        if not self.chance(12):
            return ms
        offset = self.pick([0, 0, 60, -480, 330, 1439, -1439])
        local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms - ms % 1000, minutes=offset)
        text = local.strftime("%Y-%m-%d" + self.pick(["T", "T", "t"]) + "%H:%M:%S")
        digits = f"{ms % 1000:03d}"
        if ms % 1000 == 0 and self.chance(50):
            digits = ""
        elif self.chance(30):
            digits += self.pick(["9", "0", "999999", "4999999999"])
        else:
            digits = digits.rstrip("0") or "0"
        if offset:
            zone = f"{timezone(timedelta(minutes=offset))}".removeprefix("UTC")
        else:
            zone = self.pick(["Z", "z", "+00:00", "-00:00"])
        return text + (f".{digits}" if digits else "") + zone

    def event(self) -> Dict:
        place = len(self.events)
        at = min(max(self.instant(), 0), LATEST)
        self.instants.append(at)
        kind = self.pick(["click", "purchase", "click", "purchase", "email"])
        customer = self.pick(self.customers)
        if self.events and self.chance(25):
            customer = self.events[-1]["customer_id"]
        event: Dict = {
            "type": kind,
            "event_id": f"e{place}",
            "customer_id": customer,
            "timestamp": self.timestamp(at),
            **getattr(self, f"_{kind}")(place),
        }
        for name, field_type in self.declared.get(kind, {}).items():
            values: dict[str, list[Any]] = {"number": PRICES, "boolean": [True, False], "text": WORDS["tone"]}
            self.optional(event, name, values[field_type])
        if self.chance(25):
            event["traits"] = self.traits()
        if self.chance(4):
            event["unknown"] = self.pick([None, [1, {"a": None}], "x", {"deep": {"er": []}}])
        if self.events and self.chance(8):
            self.repeat(event)
        return event

    def repeat(self, event: Dict) -> None:
        """Give the event an id, or the order, of an earlier one (also of another customer)."""
        earlier = self.pick(self.events[-8:])
        if "order_id" in event and "order_id" in earlier and self.chance(50):
            event["order_id"] = earlier["order_id"]
        else:
            event["event_id"] = earlier["event_id"]
        if self.chance(70):
            event["customer_id"] = earlier["customer_id"]

    def optional(self, event: Dict, name: str, values: Sequence[Any]) -> None:
        """A field that may be missing or null, both of which count the same."""
        if self.chance(60):
            event[name] = self.pick(values)
        elif self.chance(15):
            event[name] = None

    def _click(self, place: int) -> Dict:
        event: Dict = {"action": self.pick(WORDS["action click"])}
        self.optional(event, "price", NEGATIVE_PRICES if self.chance(10) else PRICES)
        self.optional(event, "quantity", [1, 2, 3, 0, 1.5, 2.0])
        self.optional(event, "category", WORDS["category"])
        if self.chance(30):
            self.optional(event, "device", WORDS["device"])
        if self.chance(20):
            self.optional(event, "product_id", WORDS["product_id"])
        return event

    def _purchase(self, place: int) -> Dict:
        event: Dict = {"order_id": f"o{place}", "total": self.pick([0, *PRICES])}
        self.optional(event, "currency", WORDS["currency"])
        self.optional(event, "coupon", WORDS["coupon"])
        if self.chance(20):
            self.optional(event, "campaign_id", WORDS["campaign_id"])
        if self.chance(10):
            event["items"] = [{"product_id": "p1", "quantity": 2, "price": "not looked into"}]
        return event

    def _email(self, place: int) -> Dict:
        event: Dict = {"action": self.pick(WORDS["action email"])}
        self.optional(event, "campaign_id", WORDS["campaign_id"])
        if self.chance(30):
            self.optional(event, "message_id", WORDS["message_id"])
        return event

    def traits(self) -> Dict:
        usual: dict[str, list[Any]] = {
            "age": [30, 29, 1, 0.1, 31.5],
            "plan": WORDS["plan"],
            "vip": [True, False],
            "mix": [1, "pro", True, 0.1, "1", False, "true"],
            "unnamed": ["x"],
        }
        carried: Dict = {}
        for _ in range(self.source.integer(1, 3)):
            name = self.pick(list(usual))
            odd = self.chance(20)
            carried[name] = self.pick([None, "pro", 2, True, [1], {}]) if odd else self.pick(usual[name])
        return carried

    def stream(self, most: int) -> list[Dict]:
        def add() -> None:
            self.events.append(self.event())

        self.many(1, most, add, 100 - 200 // most if most > 4 else 60)
        return self.events

    def until(self) -> int | None:
        """Where a replay ends: with its input, in the midst of it, at a decisive instant, or long after it."""
        return self.weighted(
            (2, lambda: None),
            (3, lambda: min(max(self.instants) + self.pick([90 * DAY, 900 * DAY, DAY]), LATEST)),
            (2, lambda: min(max(self.instants) + self.pick(self.durations) + self.pick([0, 1, -1]), LATEST)),
            (1, lambda: self.pick(self.instants)),
        )


# --- Models of personas -------------------------------------------------------------------------------------------

COUNTED = [0.0, 1.0, 2.0, 3.0, 0.1, 10.0, 19.99, 33.33, -1.0]
_INSTANT = re.compile(r"(?:first|last)\((?:click|purchase|email)[ )]")


class Modeller(Maker):
    """Makes models for the personas of one definitions file: centres lie where customers come by."""

    def __init__(self, source: Source, definitions: Dict, instants: Sequence[int]) -> None:
        super().__init__(source)
        section = definitions["personas"]
        self.features: list[str] = list(section["features"].values())
        self.within = durations_in({"active_within": section["active_within"]})[0]
        self.durations = durations_in(definitions)
        self.instants = instants
        self.ranked: dict[str, Node] = {}
        for node in (node for segment in Definitions(definitions).segments for node in segment.named):
            if isinstance(node, Rank):
                self.ranked[evidence_text(node.operand)] = node.operand
            elif isinstance(node, Rfm):
                names = ("recency", "frequency", "money")
                self.ranked |= {f"{evidence_text(node)}.{n}": part for n, part in zip(names, node.parts, strict=True)}

    def effective_ms(self) -> int:
        at = self.pick(self.instants) + self.pick([0, 1, -1])
        if self.chance(30):
            at += self.pick(self.durations)
        return min(max(at, 0), LATEST)

    def scale(self, feature: str) -> float:
        share = self.pick([1.0, 0.5, 2.0, 0.3])
        return share * (math.log1p(self.within / DAY) / 2 if _INSTANT.match(feature) else 1.0)

    def coordinate(self, feature: str) -> float:
        if _INSTANT.match(feature):
            return math.log1p(self.within / DAY * self.pick([0.0, 0.125, 0.25, 0.5, 1.0, 2.0]))
        value = self.pick([0.0, 1.0, 2.0, 3.0, 5.0, 0.1, 10.0, 19.99, 33.33, -1.0])
        return math.copysign(math.log1p(abs(value)), value)

    def model(self) -> Dict:
        numbers = list(dict.fromkeys(self.many(1, 4, lambda: self.source.integer(1, 5), 80)))
        scales = [self.scale(feature) for feature in self.features]
        personas = [(number, [self.coordinate(feature) for feature in self.features]) for number in numbers]
        model = {"effective_ms": self.effective_ms(), "scales": scales, "personas": personas}
        if self.ranked:
            model["quantiles"] = {text: self.quantiles(node) for text, node in self.ranked.items()}
        return model

    def quantiles(self, ranked: Node) -> list[float]:
        """Of a population with few values, many of them alike; or of nobody."""
        if self.chance(10):
            return []
        width = self.within / DAY
        values = [0.0, width / 24, width / 4, width / 2, width, width * 2] if is_instant(ranked) else COUNTED
        steps = sorted(self.many(1, 4, lambda: self.pick(values), 80))
        ends = sorted(self.many(len(steps), len(steps), lambda: self.pick([100, 1, 50, 66, 67, 180, 200]), 100))
        return [
            next((x for x, end in zip(steps, ends, strict=True) if place <= end), steps[-1]) for place in range(201)
        ]

    def models(self) -> list[Dict]:
        return sorted(self.many(1, 3, self.model), key=lambda model: int(model["effective_ms"]))


# --- What tests use -----------------------------------------------------------------------------------------------


@st.composite
def definitions(draw: Any) -> Dict:
    """Valid definitions files, as the mapping that YAML or JSON would give."""
    return Definer(Drawn(draw)).file()


@st.composite
def streams(draw: Any, definitions: Dict, most: int = 24) -> list[Dict]:
    """Valid events for a definitions file, in order of arrival; each with its `type`."""
    return Streamer(Drawn(draw), definitions).stream(most)


@st.composite
def cases(draw: Any, most: int = 24) -> tuple[Dict, list[Dict], int | None]:
    """Definitions, events, and until when to replay them."""
    return _case(Drawn(draw), most)


def random_case(random: Random, most: int = 40) -> tuple[Dict, list[Dict], int | None]:
    """As ``cases``, from a seeded generator: many times faster, but it cannot be shrunk."""
    return _case(Seeded(random), most)


@st.composite
def definitions_with_personas(draw: Any) -> Dict:
    """Valid definitions files with a section ``personas``, which conditions ask about."""
    return Definer(Drawn(draw)).file(with_personas=True)


@st.composite
def models(draw: Any, definitions: Dict, instants: Sequence[int]) -> list[Dict]:
    """Models for such a file, around some instants: ``effective_ms``, ``scales``, ``personas``, ``quantiles``."""
    return Modeller(Drawn(draw), definitions, instants).models()


@st.composite
def cases_with_personas(draw: Any, most: int = 24) -> tuple[Dict, list[Dict], int | None, list[Dict]]:
    """Definitions with personas, events, until when to replay them, and models."""
    return _case_with_personas(Drawn(draw), most)


def random_case_with_personas(random: Random, most: int = 40) -> tuple[Dict, list[Dict], int | None, list[Dict]]:
    """As ``cases_with_personas``, from a seeded generator."""
    return _case_with_personas(Seeded(random), most)


def random_case_with_rfm(random: Random, most: int = 40) -> tuple[Dict, list[Dict], int | None, list[Dict]]:
    """The same with segments that are about little but ``rfm``."""
    return _case_with_personas(Seeded(random), most, with_rfm=True)


def _case_with_personas(
    source: Source, most: int, *, with_rfm: bool = False
) -> tuple[Dict, list[Dict], int | None, list[Dict]]:
    definer = Definer(source)
    file = definer.file(with_personas=True)
    if with_rfm:
        definer.add_rfm(file)
    streamer = Streamer(source, file)
    events = streamer.stream(most)
    made = Modeller(source, file, streamer.instants).models()
    return file, events, streamer.until(), made


def _case(source: Source, most: int) -> tuple[Dict, list[Dict], int | None]:
    file = Definer(source).file()
    streamer = Streamer(source, file)
    return file, streamer.stream(most), streamer.until()
