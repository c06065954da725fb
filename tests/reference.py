"""The slow reference: the segment language evaluated in the plainest way, to judge the fast engine.

It is written from the language page alone and shares no code with the package. Every value is computed anew from the
list of events applied to a customer; nothing is kept incrementally but memberships and eligibilities. Instants are
found by walking: between two borders at which a window's bucket leaves, every aggregate stands still and only ``now``
moves, so each continuous comparison changes at most once and bisection over whole milliseconds finds where.

Numbers, durations and instants are all doubles (milliseconds), text is ``str``, booleans are ``bool``, null is None.

Where the page is silent, this is what was chosen (all about changing the definitions unless said otherwise):

* A customer's clock becomes S in the pass where it changes something for them (a membership, or the beginning or end of
  an eligibility); otherwise it stays where it was, like with a timer that changes nothing. Eligibility for a segment
  that is gone or changed is dropped beforehand, and that alone is no such change.
* Members of a segment that is gone exit first, in the old file's order, whatever its ``min_stay``, with values {} and
  the old file's holdout; then the new file's segments are evaluated in file order. Staying members exit in the pass
  only when their new ``min_stay`` allows it.
* All state of a segment that is gone is dropped: should it come back, ``once`` and ``cooldown`` start anew.
* A segment "changed" when its ``enter`` or ``exit`` differ after features are resolved and brackets dropped, when its
  ``for`` differs, or when a windowed aggregate in it has another number of buckets. Other ``churn`` parameters, and
  another definition behind a ``member``, do not count.
* A segment left out of the pass (it names an aggregate without history) stays barred for a customer until the next
  event applied to them: otherwise any superfluous look at it would let the customer in, and what comes out would
  depend on when the engine happens to look. Another change of the definitions lifts that only if asked to
  (``allow_empty``).
* A trait that the old file did not name starts empty and is without history, just as an aggregate
  (``Reference.keeps_every_trait`` turns that round).
* An aggregate that keeps values of a field (``distinct``, ``first``, ``last``) which the new file declares with another
  type starts empty and is without history.
* The duplicate memory holds what the old file let it hold; a larger one fills up from there.
* ``persona`` without a section ``personas`` is null, and shows in the evidence as ``persona``.
* A model is applied at its instant before the first event, in the order given, whose timestamp is not before it
  (skipped duplicates are such events, those after the end of a replay are not); of several due at once the first of the
  list comes first. Like the pass of a redefinition it moves a customer's clock only where it changed something; what
  lies before it has been decided under the model before it, until the next event is applied.
* A feature that is not finite, or an instant before 1970 or after 9999, is null in the vector and in the evidence.
* A model goes on under new definitions that have the same features of personas, with history. Otherwise it is dropped:
  each persona is left as a segment that is gone is, but before those. What was activity stays activity.
* ``and``/``or`` inside ``where`` are printed flat: ``a and (b and c)`` is ``a and b and c``; ``exists(f)`` is printed
  as ``f exists``.
* A trait that is text of more than 4,096 characters, a number beyond a double, an array or an object is not carried.
* Arithmetic that gives no number (infinity less infinity; traits may be as large as a double) gives null.
* The share of ``holdout`` is compared exactly, so that 1 holds every customer out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import xxhash
import yaml

WEEK = 604_800_000
DAY = 86_400_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_INSTANT = 253_402_300_799_999
UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY, "w": WEEK}
KINDS = ("click", "purchase", "email")

FIELDS: dict[str, dict[str, str]] = {
    "click": {
        "action": "text",
        "product_id": "text",
        "category": "text",
        "price": "number",
        "quantity": "number",
        "session_id": "text",
        "url": "text",
        "referrer": "text",
        "campaign_id": "text",
        "device": "text",
        "country": "text",
    },
    "purchase": {"order_id": "text", "total": "number", "currency": "text", "coupon": "text", "campaign_id": "text"},
    "email": {"action": "text", "campaign_id": "text", "message_id": "text"},
}

Value = float | str | bool | None
Change = dict[str, Any]
Churn = dict[str, Any]  # the mapping under `churn`


# --- Instants -----------------------------------------------------------------------------------------------------

RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)


def instant(timestamp: int | str) -> int:
    """Milliseconds since the epoch; digits finer than a millisecond are cut off."""
    if isinstance(timestamp, int):
        ms = timestamp
    else:
        match = RFC3339.fullmatch(timestamp)
        if match is None:
            raise ValueError(f"not an RFC 3339 instant: {timestamp!r}")
        year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
        ms = (datetime(year, month, day, hour, minute, second, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
        ms += int((match[7] or "").ljust(3, "0")[:3])
        if match[8]:
            hours, minutes = int(match[9]), int(match[10])
            if hours > 23 or minutes > 59:
                raise ValueError(f"not an offset: {timestamp!r}")
            offset = (hours * 60 + minutes) * 60_000
            ms += -offset if match[8] == "+" else offset
    if not 0 <= ms <= LAST_INSTANT:
        raise ValueError(f"an instant before 1970 or after 9999: {timestamp!r}")
    return ms


def instant_text(ms: float) -> str:
    """RFC 3339 in UTC with milliseconds, as changes carry it."""
    whole = int(ms)
    return f"{EPOCH + timedelta(seconds=whole // 1000):%Y-%m-%dT%H:%M:%S}.{whole % 1000:03d}Z"


# --- Expressions --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Literal:
    """A constant; ``type`` keeps the duration 1ms apart from the number 1."""

    value: float | str | bool
    type: str


@dataclass(frozen=True)
class Field:
    """A field of the event at hand, inside ``where``."""

    name: str


@dataclass(frozen=True)
class Aggregate:
    """``function(kind.field where COND, DURATION)``; the duration is a window, or p_buy's horizon."""

    function: str
    kind: str
    field: str | None = None
    where: Node | None = None
    duration: int | None = None
    buckets: int | None = None

    @property
    def width(self) -> int | None:
        """The length of one bucket, where the aggregate has a window."""
        if self.buckets is None or self.duration is None:
            return None
        return -(-self.duration // self.buckets)


@dataclass(frozen=True)
class Trait:
    name: str


@dataclass(frozen=True)
class Persona:
    pass


@dataclass(frozen=True)
class Rank:
    operand: Node


@dataclass(frozen=True)
class Rfm:
    """Its ``parts``: the latest purchase, how many there are within the window, and their total."""

    parts: tuple[Aggregate, Aggregate, Aggregate]


@dataclass(frozen=True)
class Member:
    segment: str


@dataclass(frozen=True)
class Since:
    instant: Node


@dataclass(frozen=True)
class Arithmetic:
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Comparison:
    """Also ``after`` and ``before``."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class In:
    operand: Node
    literals: tuple[Literal, ...]
    negated: bool


@dataclass(frozen=True)
class Match:
    operator: str
    operand: Node
    text: str


@dataclass(frozen=True)
class Exists:
    operand: Node


@dataclass(frozen=True)
class Not:
    operand: Node


@dataclass(frozen=True)
class Junction:
    """``and`` or ``or`` over all its operands, flat."""

    operator: str
    operands: tuple[Node, ...]


Node = (
    Literal
    | Field
    | Aggregate
    | Trait
    | Persona
    | Rank
    | Rfm
    | Member
    | Since
    | Arithmetic
    | Comparison
    | In
    | Match
    | Exists
    | Not
    | Junction
)

MOVING = ("p_alive", "p_buy")
WINDOWED = ("count", "sum", "avg", "min", "max", "distinct")
NEEDS_FIELD = ("sum", "avg", "min", "max", "distinct")
FUNCTIONS = (*WINDOWED, "first", "last", "gap", *MOVING)
_NAMED = Aggregate | Trait | Persona | Rank | Rfm


def children(node: Node) -> tuple[Node, ...]:
    """The operands of a node, left to right (not what stands inside an aggregate)."""
    match node:
        case Since(operand) | Rank(operand) | In(operand) | Exists(operand) | Not(operand):
            return (operand,)
        case Match(operand=operand):
            return (operand,)
        case Arithmetic(_, left, right) | Comparison(_, left, right):
            return (left, right)
        case Junction(_, operands):
            return operands
        case Rfm(parts):
            return parts
    return ()


def is_instant(node: Node) -> bool:
    """Whether the value of a node is an instant."""
    match node:
        case Aggregate(function="first" | "last", field=None):
            return True
        case Arithmetic("+" | "-", left, right):
            return is_instant(left) and not is_instant(right)
    return False


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from walk(child)


def is_moving(node: Node) -> bool:
    """Whether the value of this very node changes continuously."""
    return isinstance(node, Since) or (isinstance(node, Aggregate) and node.function in MOVING)


# --- Reading expressions ------------------------------------------------------------------------------------------

TOKEN = re.compile(
    r"""\s*(?:
      (?P<duration>(?:\d+(?:ms|[smhdw]))+(?![A-Za-z0-9_.]))
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![A-Za-z0-9_.]))
    | (?P<text>"[^"]*"|'[^']*')
    | (?P<word>[a-z][a-z0-9_]*(?![A-Za-z0-9_]))
    | (?P<symbol>==|!=|<=|>=|[<>()\[\],.+\-*/])
    )""",
    re.VERBOSE | re.ASCII,
)
WORDS = {"and", "or", "not", "in", "where", "contains", "starts_with", "ends_with", "after", "before", "true", "false"}


def duration(text: str | int) -> int:
    """Milliseconds of `1d12h`; a bare 0 passes, as the default of `for` and its kin is written so."""
    if isinstance(text, int) and not isinstance(text, bool) and text == 0:
        return 0
    if not isinstance(text, str) or not re.fullmatch(r"(?:\d+(?:ms|[smhdw]))+", text, re.ASCII):
        raise ValueError(f"not a duration: {text!r}")
    return sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)(ms|[smhdw])", text))


class Parser:
    """Recursive descent over one expression, one method for each level of precedence."""

    def __init__(self, text: str | bool, definitions: Definitions) -> None:
        # YAML reads the condition `false` as what it means.
        self.text = text = str(text).lower() if isinstance(text, bool) else text
        self.definitions = definitions
        self.tokens = list(self._tokenize(text))
        self.position = 0
        self.kind: str | None = None  # set while inside a `where`

    @staticmethod
    def _tokenize(text: str) -> Iterator[tuple[str, str]]:
        position, end = 0, len(text.rstrip())
        while position < end:
            match = TOKEN.match(text, position)
            if match is None:
                raise ValueError(f"unexpected {text[position:]!r} in {text!r}")
            assert match.lastgroup is not None
            yield match.lastgroup, match[match.lastgroup]
            position = match.end()

    def whole(self) -> Node:
        node = self.disjunction()
        if self.position != len(self.tokens):
            raise self.error()
        return node

    def error(self) -> ValueError:
        rest = " ".join(text for _, text in self.tokens[self.position :])
        return ValueError(f"cannot read {rest or 'the end'!r} in {self.text!r}")

    def peek(self, ahead: int = 0) -> str:
        """The next token's text; empty for quoted text, which is never a word of the language, and at the end."""
        place = self.position + ahead
        if place >= len(self.tokens) or self.tokens[place][0] == "text":
            return ""
        return self.tokens[place][1]

    def accept(self, *texts: str) -> str | None:
        if self.peek() in texts:
            self.position += 1
            return self.tokens[self.position - 1][1]
        return None

    def expect(self, text: str) -> None:
        if self.accept(text) is None:
            raise self.error()

    def take(self, token_type: str) -> str:
        if self.position >= len(self.tokens) or self.tokens[self.position][0] != token_type:
            raise self.error()
        self.position += 1
        return self.tokens[self.position - 1][1]

    def disjunction(self) -> Node:
        return self._junction("or", self.conjunction)

    def conjunction(self) -> Node:
        return self._junction("and", self.negation)

    def _junction(self, operator: str, operand: Callable[[], Node]) -> Node:
        nodes = [operand()]
        while self.accept(operator):
            nodes.append(operand())
        if len(nodes) == 1:
            return nodes[0]
        flat: list[Node] = []
        for node in nodes:
            flat.extend(node.operands if isinstance(node, Junction) and node.operator == operator else [node])
        return Junction(operator, tuple(flat))

    def negation(self) -> Node:
        return Not(self.negation()) if self.accept("not") else self.comparison()

    def comparison(self) -> Node:
        left = self.sum()
        if operator := self.accept("==", "!=", "<=", ">=", "<", ">", "after", "before"):
            right = self.sum()
            return Comparison(operator, self.named(left, right), self.named(right, left))
        if self.accept("exists"):
            return Exists(left)
        if operator := self.accept("contains", "starts_with", "ends_with"):
            return Match(operator, left, self.take("text")[1:-1])
        negated = self.peek() == "not" and self.peek(1) == "in"
        if negated:
            self.position += 1
        if self.accept("in"):
            self.expect("[")
            literals: list[Literal] = []
            while not self.accept("]"):
                if literals:
                    self.expect(",")
                literal = self.named(self.literal(), left)
                assert isinstance(literal, Literal)
                literals.append(literal)
            return In(left, tuple(literals), negated)
        return left

    def named(self, literal: Node, beside: Node) -> Node:
        """The literal that ``beside`` is compared with: beside ``persona`` an id that has an alias is that alias."""
        if isinstance(beside, Persona) and isinstance(literal, Literal) and isinstance(literal.value, str):
            return Literal(self.definitions.aliases.get(literal.value, literal.value), "text")
        return literal

    def sum(self) -> Node:
        node = self.product()
        while operator := self.accept("+", "-"):
            node = Arithmetic(operator, node, self.product())
        return node

    def product(self) -> Node:
        node = self.primary()
        while operator := self.accept("*", "/"):
            node = Arithmetic(operator, node, self.primary())
        return node

    def literal(self) -> Literal:
        if self.accept("-"):
            return Literal(-float(self.take("number")), "number")
        if word := self.accept("true", "false"):
            return Literal(word == "true", "boolean")
        kind = self.tokens[self.position][0] if self.position < len(self.tokens) else ""
        match kind:
            case "number":
                return Literal(float(self.take("number")), "number")
            case "duration":
                return Literal(float(duration(self.take("duration"))), "duration")
            case "text":
                return Literal(self.take("text")[1:-1], "text")
        raise self.error()

    def primary(self) -> Node:
        if self.accept("("):
            node = self.disjunction()
            self.expect(")")
            return node
        is_word = self.position < len(self.tokens) and self.tokens[self.position][0] == "word"
        if not is_word or self.peek() in ("true", "false"):
            return self.literal()
        if self.peek() in WORDS:
            raise self.error()
        name = self.take("word")
        if self.kind is not None:
            return self.field_test(name)
        if name == "persona":
            return Persona()
        if self.accept("("):
            node = self.call(name)
            self.expect(")")
            return node
        return self.definitions.feature(name)

    def field_test(self, name: str) -> Node:
        assert self.kind is not None
        if name == "exists" and self.accept("("):
            node = Exists(Field(self.take("word")))
            self.expect(")")
            return node
        if name not in self.definitions.fields[self.kind]:
            raise ValueError(f"no field {name!r} of {self.kind} in {self.text!r}")
        return Field(name)

    def call(self, name: str) -> Node:
        """What stands between the brackets of a function."""
        match name:
            case "trait":
                return Trait(self.take("text")[1:-1])
            case "member":
                return Member(self.take("text")[1:-1])
            case "since":
                return Since(self.sum())
            case "rank":
                return Rank(self.sum())
            case "rfm":
                counted = self.aggregate("count")
                if counted.kind != "purchase" or counted.duration is None:
                    raise self.error()
                where, length, buckets = counted.where, counted.duration, counted.buckets
                last = Aggregate("last", "purchase", None, where, None, None)
                return Rfm((last, counted, Aggregate("sum", "purchase", "total", where, length, buckets)))
            case "exists":
                return Exists(self.disjunction())
            case "never":
                return Comparison("==", self.aggregate("count"), Literal(0.0, "number"))
        if name not in FUNCTIONS:
            raise ValueError(f"no function {name!r} in {self.text!r}")
        return self.aggregate(name)

    def aggregate(self, function: str) -> Aggregate:
        kind = self.take("word")
        if kind not in KINDS:
            raise ValueError(f"no kind {kind!r} in {self.text!r}")
        name = where = length = buckets = None
        if self.accept("."):
            name = self.take("word")
            if name not in self.definitions.fields[kind] or function not in (*NEEDS_FIELD, "first", "last"):
                raise self.error()
        elif function in NEEDS_FIELD:
            raise self.error()
        if self.accept("where"):
            self.kind = kind
            where = self.disjunction()
            self.kind = None
        if function in WINDOWED and self.accept(","):
            length = duration(self.take("duration"))
            buckets = self.definitions.buckets
        elif function == "p_buy":
            self.expect(",")
            length = duration(self.take("duration"))
        return Aggregate(function, kind, name, where, length, buckets)


# --- Canonical text -----------------------------------------------------------------------------------------------


def number_text(value: float) -> str:
    """A number as JSON writes it shortest."""
    if value == int(value) and abs(value) < 1e16:
        return str(int(value))
    return re.sub(r"e([+-]?)0*(\d)", lambda m: "e" + m[1].replace("+", "") + m[2], repr(value))


def duration_text(ms: int) -> str:
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if ms % UNITS[unit] == 0)
    return f"{ms // UNITS[unit]}{unit}"


def literal_text(literal: Literal) -> str:
    match literal.value:
        case bool(value):
            return "true" if value else "false"
        case str(value):
            return f"'{value}'" if '"' in value else f'"{value}"'
        case value:
            return duration_text(int(value)) if literal.type == "duration" else number_text(value)


def where_text(node: Node, outer: int = 0) -> str:
    """A `where` condition; ``outer`` is the binding strength of what surrounds it (or 1, and 2, not 3)."""
    match node:
        case Junction(operator, operands):
            own = 1 if operator == "or" else 2
            text = f" {operator} ".join(where_text(operand, own) for operand in operands)
        case Not(operand):
            own, text = 3, f"not {where_text(operand, 3)}"
        case Field(name):
            return name
        case Comparison(operator, left, right):
            return f"{where_text(left)} {operator} {where_text(right)}"
        case In(operand, literals, negated):
            listed = ", ".join(literal_text(literal) for literal in literals)
            return f"{where_text(operand)} {'not in' if negated else 'in'} [{listed}]"
        case Match(operator, operand, sought):
            return f"{where_text(operand)} {operator} {literal_text(Literal(sought, 'text'))}"
        case Exists(operand):
            return f"{where_text(operand)} exists"
        case Literal():
            return literal_text(node)
        case _:
            raise ValueError(f"not part of a where: {node}")
    return f"({text})" if own < outer else text


def evidence_text(node: Node, outer: int = 0) -> str:
    """The key of a value in the evidence; ``outer`` is the binding strength of what surrounds it (sum 1, product 2)."""
    match node:
        case Literal():
            return literal_text(node)
        case Arithmetic(operator, left, right):
            own = 1 if operator in "+-" else 2
            text = f"{evidence_text(left, own)} {operator} {evidence_text(right, own + 1)}"
            return f"({text})" if own < outer else text
        case Trait(name):
            return f"trait({literal_text(Literal(name, 'text'))})"
        case Persona():
            return "persona"
        case Rank(operand):
            return f"rank({evidence_text(operand)})"
        case Rfm((_, counted, _)):
            return f"rfm({evidence_text(counted).removeprefix('count(')}"
        case Aggregate(function, kind, name, where, length):
            text = f"{kind}.{name}" if name else kind
            if where is not None:
                text += f" where {where_text(where)}"
            if length is not None:
                text += f", {duration_text(length)}"
            return f"{function}({text})"
    raise ValueError(f"not part of the evidence: {node}")


# --- Definitions --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Segment:
    """One segment; ``named`` are the aggregates, traits, ranks and rfms of its conditions, by first mention."""

    name: str
    enter: Node
    exit: Node
    wait: int  # the key `for`
    min_stay: int
    cooldown: int
    once: bool
    holdout: float
    named: tuple[Aggregate | Trait | Persona | Rank | Rfm, ...]
    moving: tuple[Comparison, ...]  # the comparisons with a side that moves continuously

    def held_out(self, customer: str) -> bool:
        hashed = xxhash.xxh3_64_intdigest(f"{self.name}/{customer}".encode())
        return Fraction(hashed, 2**64) < Fraction(self.holdout)


@dataclass(frozen=True)
class Personas:
    """The section ``personas``, as far as it says who has which persona under a given model."""

    features: tuple[Node, ...]
    margin: float
    active_within: int
    width: int  # of the buckets at whose borders ages grow
    aliases: dict[str, str]

    def name(self, number: int) -> str:
        """What conditions see."""
        return self.aliases.get(f"p{number}", f"p{number}")


@dataclass(frozen=True)
class Model:
    """Where personas lie from an instant on: their numbers with their centres, and the scales of the features.

    ``quantiles`` say, by the text of what is ranked, what the shares 0, 1/200, ..., 1 of all customers have at most.
    """

    effective_ms: int
    scales: list[float]
    personas: list[tuple[int, list[float]]]
    quantiles: dict[str, list[float]] = field(default_factory=dict)

    def rank(self, text: str, x: float | None, *, of_instants: bool) -> float | None:
        """The largest of these shares of which all are below x; null where nothing or nobody has a value.

        Quantiles of instants are how many days before the model they are, to the millisecond.
        """
        quantiles = self.quantiles.get(text)
        if x is None or not quantiles:
            return None
        if of_instants:
            x = self.effective_ms - x
            quantiles = [math.floor(days * DAY + 0.5) for days in quantiles]
        return max([place for place, most in enumerate(quantiles) if most < x], default=0) / 200

    def quintile(self, text: str, x: float | None, *, of_instants: bool) -> int | None:
        """In which fifth of all customers x lies, 1 to 5; null where nothing or nobody has a value."""
        share = self.rank(text, x, of_instants=of_instants)
        return None if share is None else 1 + min(4, math.floor(5 * share))

    def distance(self, number: int, vector: list[float]) -> float:
        """Between a vector (of transformed numbers) and a persona; summed in the order of the features."""
        total = 0.0
        for value, centre, scale in zip(vector, dict(self.personas)[number], self.scales, strict=True):
            difference = (value - centre) / scale
            total += difference * difference
        return math.sqrt(total)


class Definitions:
    """A definitions file, with its features resolved."""

    def __init__(self, source: dict[str, Any] | str) -> None:
        content = yaml.safe_load(source) if isinstance(source, str) else source
        if not isinstance(content, dict) or content.get("version") != 1 or not content.get("segments"):
            raise ValueError("not a definitions file")
        self.buckets: int = content.get("buckets", 24)
        dedupe = content.get("dedupe") or {}
        self.dedupe_events: int = dedupe.get("events", 16)
        self.dedupe_orders: int = dedupe.get("orders", 8)
        self.lateness = duration(content.get("lateness", 0))
        default = {"model": "bgnbd", "r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
        self.churn: Churn = content.get("churn") or default
        declared = content.get("fields") or {}
        self.fields = {kind: {**FIELDS[kind], **(declared.get(kind) or {})} for kind in KINDS}
        section = content.get("personas")
        self.aliases: dict[str, str] = (section or {}).get("aliases") or {}
        self._feature_texts: dict[str, str] = content.get("features") or {}
        self._features: dict[str, Node | None] = {}
        for name in self._feature_texts:
            self.feature(name)
        self.segments = [self._segment(name, body) for name, body in content["segments"].items()]
        self.personas = None if section is None else self._personas(section)
        self.clustered = [
            node
            for feature in (self.personas.features if self.personas else ())
            for node in walk(feature)
            if isinstance(node, Aggregate)
        ]
        self.named = {node for segment in self.segments for node in segment.named} | set(self.clustered)

    def type_of(self, node: Node) -> str | None:
        """The type of the field whose values an aggregate keeps."""
        if isinstance(node, Aggregate) and node.field is not None and node.function in ("distinct", "first", "last"):
            type_: str = self.fields[node.kind][node.field]
            return type_
        return None

    def feature(self, name: str) -> Node:
        if name not in self._features:
            if name not in self._feature_texts:
                raise ValueError(f"no feature {name!r}")
            self._features[name] = None  # being read: meeting it again is a cycle
            self._features[name] = Parser(self._feature_texts[name], self).whole()
        node = self._features[name]
        if node is None:
            raise ValueError(f"the feature {name!r} needs itself")
        return node

    def _personas(self, section: dict[str, Any]) -> Personas:
        active_within = duration(section.get("active_within", "90d"))
        return Personas(
            features=tuple(Parser(text, self).whole() for text in section["features"].values()),
            margin=section.get("margin", 0.1),
            active_within=active_within,
            width=-(-active_within // self.buckets),
            aliases=self.aliases,
        )

    def _segment(self, name: str, body: dict[str, Any]) -> Segment:
        enter = Parser(body["enter"], self).whole()
        leave = Parser(body["exit"], self).whole() if "exit" in body else Not(enter)
        nodes = [*walk(enter), *walk(leave)]
        return Segment(
            name=name,
            enter=enter,
            exit=leave,
            wait=duration(body.get("for", 0)),
            min_stay=duration(body.get("min_stay", 0)),
            cooldown=duration(body.get("cooldown", 0)),
            once=body.get("once", False),
            holdout=body.get("holdout", 0),
            named=tuple(dict.fromkeys(node for node in nodes if isinstance(node, _NAMED))),
            moving=tuple(
                dict.fromkeys(
                    node
                    for node in nodes
                    if isinstance(node, Comparison) and (is_moving(node.left) or is_moving(node.right))
                )
            ),
        )


# --- The churn models ---------------------------------------------------------------------------------------------


def p_alive(model: Churn, x: int, t_x: float, T: float) -> float:
    """The probability that a customer with x purchase days after the first is still active; times in weeks."""
    r, alpha, a, b = model["r"], model["alpha"], model["a"], model["b"]
    bgnbd = model.get("model", "bgnbd") == "bgnbd"
    if bgnbd and x == 0:
        return 1.0
    try:
        growth: float = ((alpha + T) / (alpha + t_x)) ** (r + x)
    except OverflowError:
        return 0.0
    return float(1 / (1 + a / (b + x - 1 if bgnbd else b + x) * growth))


def p_buy(model: Churn, x: int, t_x: float, T: float, h: float) -> float:
    """The probability of at least one purchase within the next h weeks."""
    r, alpha = model["r"], model["alpha"]
    return p_alive(model, x, t_x, T) * -math.expm1(-(r + x) * math.log1p(h / (alpha + T)))


# --- Customers ----------------------------------------------------------------------------------------------------


@dataclass
class Event:
    """An applied event: only what conditions look at."""

    kind: str
    at: int
    fields: dict[str, Value]
    traits: dict[str, Value]

    def leaf(self, node: Node) -> Value:
        assert isinstance(node, Field)
        return self.fields.get(node.name)


def scalar(value: Any) -> Value:
    """A JSON scalar as this module holds it: every number a double."""
    if value is None or isinstance(value, bool | str):
        return value
    return float(value)


def read_traits(traits: Any) -> dict[str, Value]:
    """The traits that count: what is not text of 4,096 characters, number, boolean or null is not carried."""
    carried: dict[str, Value] = {}
    for name, raw in traits.items() if isinstance(traits, dict) else ():
        if isinstance(raw, list | dict) or (isinstance(raw, str) and len(raw) > 4096):
            continue
        try:
            value = scalar(raw)
        except OverflowError:
            continue
        if not (isinstance(value, float) and not math.isfinite(value)):
            carried[name] = value
    return carried


@dataclass
class Standing:
    """How a customer stands to one segment."""

    entered: int | None = None  # since when a member
    exited: int | None = None  # the last exit
    eligible: int | None = None  # since when eligible
    ever: bool = False
    barred: bool = False  # left out until the next event


@dataclass
class Customer:
    id: str
    clock: int
    events: list[Event] = field(default_factory=list)
    event_ids: list[str] = field(default_factory=list)
    order_ids: list[str] = field(default_factory=list)
    sequence: int = 0
    standings: dict[str, Standing] = field(default_factory=dict)
    passed: int = -1  # the instant of a change of the definitions since the last event
    starts: dict[Node, int] = field(default_factory=dict)  # at which event an aggregate's history starts, if not at 0
    persona: int | None = None
    matching: dict[Node, list[Event]] = field(default_factory=dict)  # see View.events; forgotten with each event

    def active_until(self, within: int) -> int:
        """From this instant on the customer is not active, unless an event comes."""
        instants = [
            event.at
            for event in self.events
            if event.kind in ("click", "purchase") or event.fields.get("action") in ("opened", "clicked")
        ]
        return max(instants) + within if instants else -1


def arithmetic(operator: str, left: Value, right: Value) -> Value:
    if not (isinstance(left, float) and isinstance(right, float)):
        return None
    match operator:
        case "+":
            result = left + right
        case "-":
            result = left - right
        case "*":
            result = left * right
        case _:
            if right == 0:
                return None
            result = left / right
    return None if math.isnan(result) else result


def compare(operator: str, left: Value, right: Value) -> bool:
    """Values of different types are never equal; only numbers (durations, instants) have an order."""
    if operator in ("after", "before"):
        if left is None or right is None:
            return left is not None
        operator = ">" if operator == "after" else "<"
    if left is None or right is None:
        return False
    alike = type(left) is type(right)
    if operator == "==":
        return alike and left == right
    if operator == "!=":
        return not (alike and left == right)
    if not (isinstance(left, float) and isinstance(right, float)):
        return False
    match operator:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
    return left >= right


def evaluate(node: Node, leaf: Callable[[Node], Value]) -> Value:
    """The value of an expression; ``leaf`` gives that of fields, aggregates, traits, memberships and since."""

    def holds(part: Node) -> bool:
        return evaluate(part, leaf) is True

    match node:
        case Literal(value):
            return value
        case Arithmetic(operator, left, right):
            return arithmetic(operator, evaluate(left, leaf), evaluate(right, leaf))
        case Comparison(operator, left, right):
            return compare(operator, evaluate(left, leaf), evaluate(right, leaf))
        case In(operand, literals, negated):
            sought = evaluate(operand, leaf)
            found = any(compare("==", sought, literal.value) for literal in literals)
            return sought is not None and found is not negated
        case Match(operator, operand, part):
            text = evaluate(operand, leaf)
            if not isinstance(text, str):
                return False
            if operator == "contains":
                return part in text
            return text.startswith(part) if operator == "starts_with" else text.endswith(part)
        case Exists(operand):
            return evaluate(operand, leaf) is not None
        case Not(operand):
            return not holds(operand)
        case Junction("and", operands):
            return all(holds(operand) for operand in operands)
        case Junction(_, operands):
            return any(holds(operand) for operand in operands)
    return leaf(node)


class View:
    """What the conditions see of one customer at one instant."""

    def __init__(self, customer: Customer, now: int, definitions: Definitions, model: Model | None = None) -> None:
        self.customer = customer
        self.now = now
        self.definitions = definitions
        self.model = model

    def value(self, node: Node) -> Value:
        return evaluate(node, self._leaf)

    def holds(self, node: Node) -> bool:
        return self.value(node) is True

    def _leaf(self, node: Node) -> Value:
        match node:
            case Trait(name):
                return self._trait(node, name)
            case Persona():
                personas, number = self.definitions.personas, self.customer.persona
                return None if personas is None or number is None else personas.name(number)
            case Rank(operand):
                if self.definitions.personas is None or self.model is None:
                    return None
                return self.model.rank(evidence_text(operand), self.sayable(operand), of_instants=is_instant(operand))
            case Rfm():
                return self.rfm(node)
            case Member(segment):
                return self.customer.standings[segment].entered is not None
            case Aggregate() if not is_moving(node):
                return self._aggregate(node)
        return self.moving(node)(self.now)

    def rfm(self, node: Rfm) -> str | None:
        """Three digits of somebody who bought within the window; of the latest orders the first is 5."""
        _, counted, _ = node.parts
        if self.definitions.personas is None or self.model is None or self.value(counted) == 0:
            return None
        digits = []
        for part, name in zip(node.parts, ("recency", "frequency", "money"), strict=True):
            text, of_instants = f"{evidence_text(node)}.{name}", is_instant(part)
            digits.append(self.model.quintile(text, self.sayable(part), of_instants=of_instants))
        age, frequency, money = digits
        if age is None or frequency is None or money is None:
            return None
        return f"{6 - age}{frequency}{money}"

    def moving(self, node: Node) -> Callable[[int], Value]:
        """A continuous value as a function of time, as long as nothing but time changes."""
        if isinstance(node, Since):
            start = self.value(node.instant)
            return lambda now: arithmetic("-", float(now), start)
        assert isinstance(node, Aggregate)
        events = self.events(node)
        if not events:
            return lambda now: None
        x = 0
        earliest = latest = events[0].at
        for event in events[1:]:
            if event.at // DAY > latest // DAY or event.at // DAY < earliest // DAY:
                x += 1
            earliest, latest = min(earliest, event.at), max(latest, event.at)
        t_x = (latest - earliest) / WEEK
        model, horizon = self.definitions.churn, node.duration
        if horizon is None:
            return lambda now: p_alive(model, x, t_x, (now - earliest) / WEEK)
        return lambda now: p_buy(model, x, t_x, (now - earliest) / WEEK, horizon / WEEK)

    def events(self, node: Aggregate) -> list[Event]:
        """The aggregate's events in order of arrival, windows aside (kept until the next event, for speed alone)."""
        found = self.customer.matching.get(node)
        if found is None:
            found = self.customer.matching[node] = [
                event
                for event in self.customer.events[self.customer.starts.get(node, 0) :]
                if event.kind == node.kind and (node.where is None or evaluate(node.where, event.leaf) is True)
            ]
        return found

    def in_window(self, node: Aggregate) -> list[Event]:
        width = node.width
        if width is None or node.buckets is None:
            return self.events(node)
        newest = self.now // width
        return [event for event in self.events(node) if newest - node.buckets < event.at // width <= newest]

    def border(self, node: Aggregate) -> int | None:
        """When the next bucket that holds an event leaves the window."""
        width = node.width
        if width is None or node.buckets is None:
            return None
        return min(((event.at // width + node.buckets) * width for event in self.in_window(node)), default=None)

    def _trait(self, node: Trait, name: str) -> Value:
        carrying = [e for e in self.customer.events[self.customer.starts.get(node, 0) :] if name in e.traits]
        return latest(carrying).traits[name] if carrying else None

    def _aggregate(self, node: Aggregate) -> Value:
        events = self.in_window(node)
        if node.field is None:
            match node.function:
                case "count":
                    return float(len(events))
                case "first":
                    return float(min(event.at for event in events)) if events else None
                case "last":
                    return float(max(event.at for event in events)) if events else None
            if len(events) < 2:
                return None
            instants = [event.at for event in events]
            return (max(instants) - min(instants)) / (len(instants) - 1)
        having = [event for event in events if event.fields.get(node.field) is not None]
        if node.function in ("first", "last"):
            return (earliest if node.function == "first" else latest)(having).fields[node.field] if having else None
        values: list[Any] = [event.fields[node.field] for event in having]
        match node.function:
            case "distinct":
                return float(min(len(set(values)), 32))
            case "min":
                return min(values, default=None)
            case "max":
                return max(values, default=None)
        total = float(sum(round(value * 10000.0) for value in values)) / 10000.0
        if node.function == "sum":
            return total
        return total / len(values) if values else None

    def evidence(self, segment: Segment) -> dict[str, Any]:
        return self.evidence_of(segment.named)

    def evidence_of(self, nodes: Iterable[Node]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for node in nodes:
            value = self.shown(node)
            if is_instant(node) and isinstance(value, float):
                value = instant_text(value)
            if isinstance(value, float) and value == int(value) and abs(value) < 2**53:
                value = int(value)  # the same number; JSON writes it without a point
            values[evidence_text(node)] = value
        return values

    def shown(self, node: Node) -> Value:
        """The value, or null where neither JSON nor RFC 3339 could say it."""
        value = self.value(node)
        if isinstance(value, float):
            sayable = 0 <= value < LAST_INSTANT + 1 if is_instant(node) else math.isfinite(value)
            return value if sayable else None
        return value

    def vector(self, personas: Personas) -> list[float]:
        """The features of personas, transformed."""
        measures = [self.measure(node, personas) for node in personas.features]
        return [0.0 if x is None else math.copysign(math.log1p(abs(x)), x) for x in measures]

    def sayable(self, node: Node) -> float | None:
        """A number or an instant, where it is there."""
        x = self.shown(node)
        return x if isinstance(x, float) else None

    def measure(self, node: Node, personas: Personas) -> float | None:
        """What a feature of personas counts as: of an instant its age in days."""
        x = self.sayable(node)
        if x is None:
            return None
        border = self.now // personas.width * personas.width
        return max(0.0, border - x) / 86_400_000.0 if is_instant(node) else x

    def persona(self, personas: Personas, model: Model) -> int | None:
        """The number of the customer's persona from now on."""
        if self.now >= self.customer.active_until(personas.active_within):
            return None
        vector, present = self.vector(personas), self.customer.persona
        distances = {number: model.distance(number, vector) for number, _ in model.personas}
        if present not in distances:
            return min(distances, key=lambda number: distances[number], default=None)
        others = [number for number in distances if number != present]
        nearest = min(others, key=lambda number: distances[number], default=present)
        return nearest if distances[nearest] < (1 - personas.margin) * distances[present] else present


def earliest(events: list[Event]) -> Event:
    """Of equal timestamps the one that arrived first."""
    return min(events, key=lambda event: event.at)


def latest(events: list[Event]) -> Event:
    """Of equal timestamps the one that arrived last."""
    return max(reversed(events), key=lambda event: event.at)


# --- The reference ------------------------------------------------------------------------------------------------


class Reference:
    """All customers of one partition under one definitions file."""

    keeps_every_trait = False  # whether a trait has a history although the definitions did not name it

    def __init__(
        self, definitions: dict[str, Any] | str | Definitions, *, clock: str = "replay", lateness_ms: int | None = None
    ) -> None:
        if clock not in ("replay", "event"):
            raise ValueError(f"no clock {clock!r}")
        self.definitions = definitions if isinstance(definitions, Definitions) else Definitions(definitions)
        self.customers: dict[str, Customer] = {}
        self.model: Model | None = None
        self.stream_clock = -1
        self.newest = -1  # the largest timestamp of the valid events
        self.by_event = clock == "event"
        self.lateness_ms = lateness_ms

    @property
    def lateness(self) -> int:
        return self.definitions.lateness if self.lateness_ms is None else self.lateness_ms

    def members(self, segment: str) -> set[str]:
        if segment.startswith("persona_p"):
            number = int(segment.removeprefix("persona_p"))
            return {customer.id for customer in self.customers.values() if customer.persona == number}
        return {
            customer.id
            for customer in self.customers.values()
            if segment in customer.standings and customer.standings[segment].entered is not None
        }

    def sequence(self, customer: str) -> int:
        return self.customers[customer].sequence if customer in self.customers else 0

    def apply(self, event: dict[str, Any]) -> list[Change]:
        """Apply a valid event; what it and the stream clock set off is returned, in order for each customer."""
        at, customer_id = instant(event["timestamp"]), event["customer_id"]
        self.newest = max(self.newest, at)
        changes: list[Change] = []
        if self.by_event:
            changes += self._move_stream_clock(self.newest - self.lateness)
        customer = self.customers.get(customer_id)
        if customer is not None and self._is_duplicate(customer, event):
            return changes
        if customer is None:
            customer = self.customers[customer_id] = Customer(customer_id, at)
            customer.standings = {segment.name: Standing() for segment in self.definitions.segments}
        else:
            changes += self._fire(customer, max(at, self.stream_clock))
        self._remember(customer, event, at)
        customer.clock = max(customer.clock, at)
        changes += self._evaluate(customer, customer.clock, "event", event["event_id"])[0]
        changes += self._fire(customer, self.stream_clock)
        return changes

    def apply_model(self, model: Model) -> list[Change]:
        """Put a model in force, at its instant, for all customers."""
        changes: list[Change] = []
        for customer in self.customers.values():
            changes += self._fire(customer, model.effective_ms)
        self.model = model
        for customer in self.customers.values():
            now = customer.passed = max(customer.clock, model.effective_ms)
            new, changed = self._evaluate(customer, now, "model", None)
            changes += new
            if changed:
                customer.clock = now
        return changes

    def advance(self, to_ms: int | None = None) -> list[Change]:
        """Move the stream clock to an instant (a replay's end: to the largest timestamp) and fire what is due."""
        if to_ms is None:
            to_ms = self.stream_clock if self.by_event else self.newest
        return self._move_stream_clock(to_ms)

    def _move_stream_clock(self, to: int) -> list[Change]:
        self.stream_clock = max(self.stream_clock, to)
        return [change for customer in self.customers.values() for change in self._fire(customer, self.stream_clock)]

    def _is_duplicate(self, customer: Customer, event: dict[str, Any]) -> bool:
        events, orders = self.definitions.dedupe_events, self.definitions.dedupe_orders
        if events and event["event_id"] in customer.event_ids[-events:]:
            return True
        return bool(orders and event["type"] == "purchase" and event["order_id"] in customer.order_ids[-orders:])

    def _remember(self, customer: Customer, event: dict[str, Any], at: int) -> None:
        kind = event["type"]
        names = self.definitions.fields[kind]
        # A field that nobody looks at may hold anything.
        fields = {name: scalar(event[name]) for name in names if isinstance(event.get(name), bool | int | float | str)}
        customer.events.append(Event(kind, at, fields, read_traits(event.get("traits"))))
        customer.event_ids.append(event["event_id"])
        if kind == "purchase":
            customer.order_ids.append(event["order_id"])
        customer.matching.clear()
        customer.passed = -1
        for standing in customer.standings.values():
            standing.barred = False

    # Timers

    def _fire(self, customer: Customer, to: int) -> list[Change]:
        """Evaluate at every instant after the customer's clock, up to ``to``, at which time may change something.

        What lies before a change of the definitions has been decided under the old ones.
        """
        changes: list[Change] = []
        looked_at = max(customer.clock, customer.passed)
        while (due := self._next_instant(customer, looked_at, to)) is not None:
            looked_at = due
            new, changed = self._evaluate(customer, due, "timer", None)
            changes += new
            if changed:
                customer.clock = due
        return changes

    def _next_instant(self, customer: Customer, after: int, to: int) -> int | None:
        """The next instant in (after, to] at which something may change; a needless one does no harm.

        Until the next border no aggregate changes, so each continuous comparison changes at most once before it.
        """
        if after >= to:
            return None
        view = View(customer, after, self.definitions, self.model)
        fixed = []
        for segment in self.definitions.segments:
            standing = customer.standings[segment.name]
            if standing.eligible is not None:
                fixed.append(standing.eligible + segment.wait)
            if standing.exited is not None:
                fixed.append(standing.exited + segment.cooldown)
            if standing.entered is not None:
                fixed.append(standing.entered + segment.min_stay)
            for node in segment.named:
                border = view.border(node) if isinstance(node, Aggregate) else None
                if border is not None:
                    fixed.append(border)
        fixed += self._instants_of_personas(view)
        due = min((at for at in fixed if after < at <= to), default=None)
        before = to if due is None else due - 1
        for segment in self.definitions.segments:
            for comparison in segment.moving:
                crossing = self._crossing(view, comparison, before)
                if crossing is not None:
                    due, before = crossing, crossing - 1
        return due

    def _instants_of_personas(self, view: View) -> list[int]:
        """When, after the view's instant, a persona may change through time alone."""
        personas = self.definitions.personas
        if personas is None or self.model is None:
            return []
        until = view.customer.active_until(personas.active_within)
        if view.now >= until:
            return []
        instants = [until]
        instants += [border for node in self.definitions.clustered if (border := view.border(node)) is not None]
        if any(is_instant(node) for node in personas.features):
            instants.append((view.now // personas.width + 1) * personas.width)
        return instants

    @staticmethod
    def _crossing(view: View, comparison: Comparison, to: int) -> int | None:
        """The first millisecond in (view.now, to] at which a comparison differs from its value at view.now."""

        def side(node: Node) -> Callable[[int], Value]:
            if is_moving(node):
                return view.moving(node)
            constant = view.value(node)
            return lambda now: constant

        left, right = side(comparison.left), side(comparison.right)

        def truth(now: int) -> bool:
            return compare(comparison.operator, left(now), right(now))

        same, other = view.now, to
        if same >= other or truth(same) == truth(other):
            return None
        while other - same > 1:
            middle = (same + other) // 2
            if truth(middle) == truth(view.now):
                same = middle
            else:
                other = middle
        return other

    # Evaluation

    def _evaluate(
        self, customer: Customer, now: int, cause: str, event_id: str | None, left_out: Iterable[str] = ()
    ) -> tuple[list[Change], bool]:
        """The persona, then every segment once, in file order; also whether one of these or an eligibility changed."""
        changed = False
        view = View(customer, now, self.definitions, self.model)
        changes = self._decide_persona(customer, now, cause, event_id, view)
        for segment in self.definitions.segments:
            standing = customer.standings[segment.name]
            if segment.name in left_out:
                standing.barred = True
            leaving = view.holds(segment.exit)
            if standing.entered is not None:
                if leaving and now >= standing.entered + segment.min_stay:
                    standing.entered, standing.exited = None, now
                    changes.append(self._change(customer, segment, "exited", now, cause, event_id, view))
                continue
            spent = standing.barred or (segment.once and standing.ever)
            if spent or leaving or not view.holds(segment.enter):
                changed |= standing.eligible is not None
                standing.eligible = None
                continue
            if standing.eligible is None:
                standing.eligible = now
                changed = True
            cooled = standing.exited is None or now >= standing.exited + segment.cooldown
            if now >= standing.eligible + segment.wait and cooled:
                standing.entered, standing.eligible, standing.ever = now, None, True
                changes.append(self._change(customer, segment, "entered", now, cause, event_id, view))
        return changes, changed or bool(changes)

    def _decide_persona(
        self, customer: Customer, now: int, cause: str, event_id: str | None, view: View
    ) -> list[Change]:
        personas, model, old = self.definitions.personas, self.model, customer.persona
        if personas is None or model is None:
            return []
        new = view.persona(personas, model)
        return [] if new == old else self._change_persona(customer, new, now, cause, event_id, view)

    def _change_persona(
        self, customer: Customer, new: int | None, now: int, cause: str, event_id: str | None, view: View | None
    ) -> list[Change]:
        """The exit from the present persona and the entry to the new one, as far as there are such."""
        old, customer.persona = customer.persona, new
        return [
            self._change(customer, f"persona_p{number}", change, now, cause, event_id, view)
            for number, change in ((old, "exited"), (new, "entered"))
            if number is not None
        ]

    def _change(
        self,
        customer: Customer,
        segment: Segment | str,
        change: str,
        now: int,
        cause: str,
        event_id: str | None,
        view: View | None,
    ) -> Change:
        customer.sequence += 1
        if isinstance(segment, Segment):
            named: Iterable[Node] = segment.named
        else:
            named = self.definitions.personas.features if self.definitions.personas else ()
        return {
            "id": f"{customer.id}:{customer.sequence}",
            "customer_id": customer.id,
            "segment": segment.name if isinstance(segment, Segment) else segment,
            "change": change,
            "at": instant_text(now),
            "sequence": customer.sequence,
            "cause": cause,
            "event_id": event_id,
            "values": {} if view is None else view.evidence_of(named),
            "holdout": isinstance(segment, Segment) and segment.held_out(customer.id),
            "quiet": False,
        }

    # Changing the definitions

    def redefine(
        self, definitions: dict[str, Any] | str, *, allow_empty: bool = False, quiet: bool = False
    ) -> list[Change]:
        """Section 8; the choices made are in this module's docstring."""
        old, new = self.definitions, Definitions(definitions)
        self.definitions = new
        before = {segment.name: segment for segment in old.segments}
        kept = {
            name
            for name, segment in ((segment.name, segment) for segment in new.segments)
            if name in before
            and (before[name].enter, before[name].exit, before[name].wait)
            == (segment.enter, segment.exit, segment.wait)
        }
        fresh = {
            node
            for node in new.named - old.named
            if not isinstance(node, Persona | Rank | Rfm) and not (isinstance(node, Trait) and self.keeps_every_trait)
        }
        fresh |= {
            node
            for node in new.named & old.named
            if not isinstance(node, Persona | Rank | Rfm) and new.type_of(node) != old.type_of(node)
        }
        left_out = {segment.name for segment in new.segments if not allow_empty and fresh.intersection(segment.named)}
        same_vector = (old.personas and old.personas.features) == (new.personas and new.personas.features)
        if not same_vector or fresh.intersection(new.clustered):
            self.model = None
        changes: list[Change] = []
        for customer in self.customers.values():
            now = customer.passed = max(customer.clock, self.stream_clock)
            had_persona = self.model is None and customer.persona is not None
            if had_persona:
                changes += self._change_persona(customer, None, now, "definitions", None, None)
            customer.event_ids = last_of(customer.event_ids, old.dedupe_events)
            customer.order_ids = last_of(customer.order_ids, old.dedupe_orders)
            customer.starts = {node: start for node, start in customer.starts.items() if node in new.named}
            customer.starts.update({node: len(customer.events) for node in fresh})
            customer.matching.clear()
            standings = customer.standings
            customer.standings = {segment.name: standings.get(segment.name, Standing()) for segment in new.segments}
            exits = [
                s for s in old.segments if s.name not in customer.standings and standings[s.name].entered is not None
            ]
            changes += [self._change(customer, s, "exited", now, "definitions", None, None) for s in exits]
            for name, standing in customer.standings.items():
                if name not in kept:
                    standing.eligible = None
                if allow_empty:
                    standing.barred = False
            new_changes, changed = self._evaluate(customer, now, "definitions", None, left_out)
            for standing in customer.standings.values():
                if standing.entered is not None:
                    standing.barred = False  # who stays a member was let in before
            changes += new_changes
            if had_persona or exits or changed:
                customer.clock = now
        for change in changes:
            change["quiet"] = quiet
        return changes


def last_of(items: list[str], count: int) -> list[str]:
    return items[-count:] if count else []


def feed(
    reference: Reference, events: Iterable[dict[str, Any]], until: int | None = None, models: Iterable[Model] = ()
) -> list[Change]:
    """A replay's changes as they come: events in the order given, none later than ``until``; then the end of the input.

    Each model comes before the first event that is not before it.
    """
    changes: list[Change] = []
    waiting = list(models)

    def apply_models(to: int) -> None:
        for model in [model for model in waiting if model.effective_ms <= to]:
            waiting.remove(model)
            changes.extend(reference.apply_model(model))

    for event in events:
        at = instant(event["timestamp"])
        if until is None or at <= until:
            apply_models(at)
            changes += reference.apply(event)
    apply_models(reference.newest if until is None else until)
    return changes + reference.advance(until)


def replay(
    definitions: dict[str, Any] | str,
    events: Iterable[dict[str, Any]],
    until: int | None = None,
    models: Iterable[Model] = (),
) -> list[Change]:
    """What a replay prints, but sorted by customers."""
    changes = feed(Reference(definitions), events, until, models)
    return sorted(changes, key=lambda change: (change["customer_id"], change["sequence"]))
