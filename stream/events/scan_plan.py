"""What the scanner looks for in messages of certain kinds, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.contract import (
    CUSTOMER_ID_LENGTH,
    EVENT_ID_LENGTH,
    FIELDS,
    KINDS,
    KNOWN_ACTIONS,
    NESTING_LIMIT,
    ORDER_ID_LENGTH,
    REQUIRED_FIELDS,
    TEXT_LENGTH,
    FieldType,
    Kind,
)
from stream.events import json_scan as js
from stream.events import scan_layout as sl
from stream.events.bytewise import PADDING, Bytes
from stream.events.columns import KindColumns, TextTest, Wanted
from stream.events.event_scan import Room, mixed_bits

Ints = npt.NDArray[np.int64]

_TYPES = {FieldType.NUMBER: js.NUMBER, FieldType.TEXT: js.TEXT, FieldType.BOOLEAN: js.BOOLEAN}
_LENGTHS = {"event_id": EVENT_ID_LENGTH, "customer_id": CUSTOMER_ID_LENGTH, "order_id": ORDER_ID_LENGTH}
_IDS = {"event_id": FieldType.TEXT, "customer_id": FieldType.TEXT}
_FORMS = {
    (Kind.CLICK, "action"): sl.CLICK_ACTION,
    (Kind.EMAIL, "action"): sl.EMAIL_ACTION,
    (Kind.PURCHASE, "currency"): sl.CURRENCY,
}
_PATTERN_OPS = {"contains": sl.CONTAINS, "starts_with": sl.STARTS_WITH, "ends_with": sl.ENDS_WITH}
_TESTS_MOST = 64


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """The arrays of `stream.events.scan_layout`, and the rows that a batch of columns has."""

    numbers: Ints
    literals: Bytes
    masks: npt.NDArray[np.uint64]
    span_rows: int
    hash_rows: int
    number_rows: int
    test_rows: int
    traits: int
    work: Ints

    def room(self, n: int) -> Room:
        """Where ``n`` events can be written to."""
        return Room(
            kind=np.empty(n, np.int8),
            time_ms=np.empty(n, np.int64),
            source=np.empty(n, np.int64),
            spans=np.empty((self.span_rows, n), np.int64),
            hashes=np.empty((self.span_rows, n), np.int64),
            numbers=np.empty((self.number_rows, n), np.float64),
            tests=np.empty((self.test_rows, n), np.uint64),
            traits=np.empty((self.traits * n, sl.TRAIT_COLUMNS), np.int64),
        )


class _Words:
    """All texts that something is compared with, each once."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.rows: list[list[int]] = []
        self.literals = bytearray()

    def add(self, text: str) -> list[int]:
        """The row of a word."""
        number = self.numbers.setdefault(text, len(self.rows))
        if number == len(self.rows):
            start, size = self.place(text)
            encoded = text.encode()
            row = [sl.NONE] * sl.W_COLUMNS
            row[sl.W_SIZE], row[sl.W_START] = size, start
            row[sl.W_HEAD] = int.from_bytes(encoded[:8], "little", signed=size >= 8)
            row[sl.W_TAIL] = int.from_bytes(encoded[-8:], "little", signed=True) if size >= 8 else 0
            self.rows.append(row)
        return self.rows[number]

    def place(self, text: str) -> tuple[int, int]:
        """Puts a text among the literals: its place and size."""
        encoded = text.encode()
        self.literals += encoded
        return len(self.literals) - len(encoded), len(encoded)

    def slots(self) -> list[int]:
        """A hash table of the words, a quarter full at most."""
        size = 1 << (4 * len(self.rows)).bit_length()
        table = [0] * size
        for number, row in enumerate(self.rows):
            slot = mixed_bits(row[sl.W_HEAD], row[sl.W_TAIL], row[sl.W_SIZE]) & (size - 1)
            while table[slot]:
                slot = slot + 1 & size - 1
            table[slot] = number + 1
        return table


def checked_fields(wanted: Wanted, kind: Kind) -> dict[str, FieldType]:
    """The fields of a kind besides those of all kinds that are looked at: what is wanted, and what must be there."""
    asked = wanted.kinds.get(kind, KindColumns())
    names = {*REQUIRED_FIELDS[kind], *asked.numbers, *dict(asked.tests), *asked.hashes, *asked.texts}
    known = FIELDS[kind] | dict(wanted.declared.get(kind, {}))
    return {name: type_ for name, type_ in known.items() if name in names}


class _Builder:
    """Puts a plan together."""

    def __init__(self, wanted: Wanted, kinds: Sequence[Kind]) -> None:
        self._wanted = wanted
        self._kinds = kinds
        self._words = _Words()
        self._keys: dict[str, int] = {}
        self._tests: list[tuple[TextTest, ...]] = []
        self._patterns: list[list[int]] = []

    def build(self) -> ScanPlan:
        wanted, words = self._wanted, self._words
        for trait, name in enumerate(wanted.traits):
            words.add(name)[sl.W_TRAIT] = trait
        for word, kind in KINDS.items():
            words.add(word)[sl.W_KIND] = kind
        for word in KNOWN_ACTIONS[Kind.EMAIL]:
            words.add(word)[sl.W_EMAIL_ACTION] = 1
        header = [0] * sl.P_HEADER
        header[sl.P_ONLY_KIND] = int(self._kinds[0]) if len(self._kinds) == 1 else sl.NONE
        header[sl.P_TYPE_KEY], header[sl.P_TIME_KEY] = self._key("type"), self._key("timestamp")
        header[sl.P_TRAITS_KEY] = self._key("traits")
        header[sl.P_TRAITS] = len(wanted.traits)
        fields = {kind: self._rows(kind) for kind in self._kinds}
        masks = self._masks()
        header[sl.P_KEYS] = len(self._keys)
        numbers = header
        header[sl.P_SLOTS] = len(numbers)
        slots = words.slots()
        header[sl.P_SLOT_MASK] = len(slots) - 1
        numbers = numbers + slots
        numbers[sl.P_WORDS] = len(numbers)
        numbers += [number for row in words.rows for number in row]
        patterns_at = len(numbers)
        numbers += [number for row in self._patterns for number in row]
        for kind in Kind:
            numbers[sl.P_FIELDS + kind] = len(numbers)
            for row in fields.get(kind, ()):
                row[sl.F_PATTERNS] = patterns_at + row[sl.F_PATTERNS] * sl.T_COLUMNS
                row[sl.F_PATTERNS_END] = patterns_at + row[sl.F_PATTERNS_END] * sl.T_COLUMNS
                row[sl.F_MASKS] *= masks.shape[1]
                numbers += row
        numbers[sl.P_FIELDS + len(Kind)] = len(numbers)
        tokens = (len(self._keys) + len(wanted.traits)) * sl.K_COLUMNS
        return ScanPlan(
            numbers=np.array(numbers, np.int64),
            literals=np.frombuffer(bytes(words.literals) + bytes(PADDING), np.uint8),
            masks=masks.reshape(-1),
            span_rows=sl.FIRST_HASHED + wanted.hash_rows + wanted.text_rows,
            hash_rows=wanted.hash_rows,
            number_rows=wanted.number_rows,
            test_rows=wanted.test_rows,
            traits=len(wanted.traits),
            work=np.zeros(tokens + NESTING_LIMIT, np.int64),
        )

    def _key(self, name: str) -> int:
        key = self._keys.setdefault(name, len(self._keys))
        self._words.add(name)[sl.W_KEY] = key
        return key

    def _rows(self, kind: Kind) -> list[list[int]]:
        """The fields of a kind."""
        asked = self._wanted.kinds.get(kind, KindColumns())
        spans: dict[str, list[int]] = {"event_id": [sl.EVENT_ID], "customer_id": [sl.CUSTOMER_ID]}
        if kind is Kind.PURCHASE:
            spans["order_id"] = [sl.ORDER_ID]
        numbers = {name: row for row, name in enumerate(asked.numbers)}
        tests: dict[str, list[tuple[int, tuple[TextTest, ...]]]] = {}
        for number, (name, of) in enumerate(asked.tests):
            tests.setdefault(name, []).append((number, of))
        for before, names in ((0, asked.hashes), (self._wanted.hash_rows, asked.texts)):
            for number, name in enumerate(names, sl.FIRST_HASHED + before):
                spans.setdefault(name, []).append(number)
        rows: list[list[int]] = []
        for name, type_ in (_IDS | checked_fields(self._wanted, kind)).items():
            first, row = len(rows), [sl.NONE] * sl.F_COLUMNS
            row[sl.F_KEY], row[sl.F_TYPE] = self._key(name), _TYPES[type_]
            row[sl.F_IS_REQUIRED] = int(name in (*_IDS, *REQUIRED_FIELDS[kind]))
            row[sl.F_LEAST] = int(name in (*_LENGTHS, "total"))
            row[sl.F_MOST] = _LENGTHS.get(name, TEXT_LENGTH)
            row[sl.F_FORM] = _FORMS.get((kind, name), sl.ANY_FORM)
            row[sl.F_NUMBER] = numbers.get(name, sl.NONE)
            places = spans.get(name, [])
            row[sl.F_SPAN : sl.F_OTHER_SPAN + 1] = [*places, sl.NONE, sl.NONE][:2]
            rows.append(row)
            # What a field fills beyond one row of answers and two of texts is written as if it were a field again.
            for extra in range(1, max(len(tests.get(name, ())), (len(places) + 1) // 2)):
                again = [*row]
                again[sl.F_NUMBER] = sl.NONE
                again[sl.F_SPAN : sl.F_OTHER_SPAN + 1] = [*places[2 * extra :], sl.NONE, sl.NONE][:2]
                rows.append(again)
            answers = [*tests.get(name, ())]
            for one in rows[first:]:
                one[sl.F_TEST], of = answers.pop(0) if answers else (sl.NONE, ())
                one[sl.F_MASKS] = len(self._tests)
                self._tests.append(of)
                one[sl.F_PATTERNS], one[sl.F_PATTERNS_END] = self._add_patterns(of)
        return rows

    def _add_patterns(self, tests: Sequence[TextTest]) -> tuple[int, int]:
        """Adds the tests that look into texts; the others' texts become words."""
        if len(tests) > _TESTS_MOST:
            raise ValueError(f"{len(tests)} tests of one field: the answers fill {_TESTS_MOST} bits")
        first = len(self._patterns)
        for bit, test in enumerate(tests):
            test.passes("")  # an unknown op shall raise here, not in the stream
            for text in test.texts:
                if test.op in _PATTERN_OPS:
                    self._patterns.append([_PATTERN_OPS[test.op], bit, *self._words.place(text)])
                else:
                    self._words.add(text)
        return first, len(self._patterns)

    def _masks(self) -> npt.NDArray[np.uint64]:
        """The answers of each field by word, (fields, 1 + words): the first is for all texts that are no word.

        There the tests that look into texts are 0.
        """
        texts = list(self._words.numbers)
        masks = np.zeros((len(self._tests), 1 + len(texts)), np.uint64)
        for row, tests in zip(masks, self._tests, strict=True):
            if tests:
                row[0] = _bits(test.op in ("!=", "not in", "exists") for test in tests)
                row[1:] = [_bits(test.passes(text) for test in tests) for text in texts]
        return masks


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << i for i, flag in enumerate(flags) if flag)


def make_plan(wanted: Wanted, kinds: Iterable[Kind]) -> ScanPlan:
    """The plan for messages of ``kinds``; several are told apart by ``type``.

    Raises `ValueError` for a field with more than 64 tests, or a test that nobody knows.
    """
    return _Builder(wanted, tuple(kinds)).build()
