"""A definitions file compiled to arrays: what to ask of events, what to remember, what to evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stream.contract import FieldType, Kind, hash64
from stream.engine import opcodes as op
from stream.engine.accumulators import Accumulator, field_type, needs
from stream.engine.conditions import ConditionCompiler, ValueCompiler, ValueInfo
from stream.engine.filters import Constants, FilterCompiler
from stream.engine.layout import Layout, RowBuilder
from stream.engine.persona_plan import (
    PART,
    RANKS,
    PersonaPlan,
    aggregates,
    features_hash,
    model_room,
    persona_plan,
    persona_table,
    rank_tables,
    read_by,
)
from stream.events.columns import TextTest, Wanted
from stream.language import canonical, tree
from stream.language.meaning import Evidence, definitions_hash, evidence
from stream.language.words import RFM_SCORES

Ints = npt.NDArray[np.int64]

#: Code that time alone changes, besides that of windows.
_MOVING = (op.C_COMPARE_SINCE, op.C_COMPARE_CHURN)


class Arrays(NamedTuple):
    """What the kernel runs. Places and columns are named in ``opcodes``.

    ``numbers`` (int64) starts with the places of its tables, ``constants`` (float64) with the churn model and room
    for a model of personas. One array each: what compiled code is handed costs time at every call.
    """

    numbers: Ints
    constants: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """All that the engine needs to know of a definitions file."""

    definitions: tree.Definitions
    definitions_hash: str
    wanted: Wanted
    accumulators: tuple[Accumulator, ...]
    values: tuple[ValueInfo, ...]
    layout: Layout
    template: Ints  # a new customer's row
    arrays: Arrays
    segments: Ints  # (S, S_COLUMNS), as in ``arrays``
    evidence: Ints  # (E,) values of all segments' evidence, one segment after the other
    stack_depth: int  # of conditions
    filter_depth: int
    filter_count: int
    timers: int  # how many things in the file time alone can change: windows, crossings, stays and waits
    pool_texts: tuple[str, ...]  # literals that conditions compare stored texts with; their codes are their places
    pool_tests: tuple[TextTest, ...]  # tests of stored texts
    personas: PersonaPlan | None

    @property
    def row_bytes(self) -> int:
        """Bytes that a customer takes in the profiles: the row and the timer."""
        return 8 * (len(self.template) + 1)

    def without_history(self, segment: int, known: frozenset[str]) -> list[str]:
        """The texts of what a segment, by its place in the file, names that a layout with the parts ``known`` lacks."""
        entry = self.segments[segment]
        named = self.evidence[entry[op.S_EVIDENCE] : entry[op.S_EVIDENCE_END]].tolist()
        values = [self.values[value] for value in named]
        return [value.text for value in values if any(key not in known for key in value.history)]


def compile_plan(definitions: tree.Definitions) -> Plan:
    """Compiles checked definitions. Deterministic: the same definitions give the same arrays and layout."""
    churn = definitions.churn
    is_mbgnbd = float(churn.model is tree.ChurnModel.MBGNBD)
    personas = definitions.personas
    constants = Constants([is_mbgnbd, churn.r, churn.alpha, churn.a, churn.b, *model_room(definitions)])
    filters = FilterCompiler(constants)
    stored = _collect_accumulators(definitions)
    ordered = tuple(sorted(stored, key=lambda a: (a.kind, a.width_ms, a.window_ms or 0)))
    traits = tuple(
        dict.fromkeys(x.name for s in definitions.segments for x in evidence(s) if isinstance(x, tree.Trait))
    )

    row = RowBuilder.start()
    persona_word = row.add(PART, [op.NONE, op.NONE, 0], meaning=features_hash(definitions)) if personas else None
    segment_words = [
        row.add(
            f"segment {s.name}",
            [op.NONE, op.NONE],
            meaning=_eligibility_hash(s, definitions.buckets),
            holdout=s.holdout,
        )
        for s in definitions.segments
    ]
    event_ring = row.add("event ids", [0] * definitions.dedupe_events)
    order_ring = row.add("order ids", [0] * definitions.dedupe_orders)
    trait_words = {name: row.add(f"trait {name}", [op.NONE, op.T_NULL, op.NONE], text_at=2) for name in traits}
    offsets: dict[Accumulator, int] = {}
    for accumulator in ordered:
        holds_text = (
            accumulator.op in (op.FIRST_VALUE, op.LAST_VALUE)
            and field_type(definitions, accumulator.kind, str(accumulator.field)) is FieldType.TEXT
        )
        offsets[accumulator] = row.add(accumulator.key, accumulator.initial(), text_at=1 if holds_text else -1)

    values = ValueCompiler(definitions, constants, offsets, trait_words, persona_word, rank_tables(definitions))
    conditions = ConditionCompiler(definitions, values, constants, row, pool_texts=_first_texts(definitions))
    segments, evidence_values = _compile_segments(definitions, conditions, segment_words)
    dues = row.derived([0] * ((len(segments) + 1) // 2))
    touch = {a.key: bit for bit, a in enumerate(ordered)}
    touch.update((f"trait {name}", len(touch)) for name in traits)
    touch[PART] = len(touch)
    touch[RANKS] = len(touch)
    # Personas are readers as one more segment is, and behind them each feature.
    mask_words = -(-(len(segments) + 1 + (len(personas.features) if personas else 0)) // op.MASK_BITS)
    table = []
    if persona_word is not None:
        derived = op.OWN_WORDS + op.FEATURE_WORDS * len(personas.features) if personas else 0
        words = (persona_word, row.derived([0] * derived))
        table = persona_table(definitions, conditions, offsets, words, (touch[PART], touch[RANKS]))
    accumulators, kind_accumulators, filter_table, kind_filters = _compile_accumulators(
        definitions, ordered, offsets, filters
    )
    windowed = sorted((i for i, a in enumerate(ordered) if a.window_ms), key=lambda i: ordered[i].width_ms)
    arrays = _assemble(
        definitions,
        constants,
        {
            op.P_SEGMENTS: [x for row_ in segments for x in row_],
            op.P_EVIDENCE: evidence_values,
            op.P_VALUES: [x for row_ in values.table for x in row_],
            op.P_CODE: [x for row_ in conditions.code for x in row_],
            op.P_FILTER_CODE: [x for row_ in filters.code for x in row_],
            op.P_FILTERS: [x for row_ in filter_table for x in row_],
            op.P_CHURN_CACHES: conditions.crossings,
            op.P_TRAITS: [x for name in traits for x in (trait_words[name], touch[f"trait {name}"])],
            op.P_READERS: _reader_masks(definitions, values, touch, mask_words),
            **({op.P_PERSONA: table} if table else {}),
        },
        accumulators,
        kind_accumulators,
        kind_filters,
        windowed,
        (event_ring, order_ring, dues, mask_words),
    )
    waits = sum((s.for_ms > 0) + (s.min_stay_ms > 0) + (s.cooldown_ms > 0) for s in definitions.segments)
    crossings = sum(row_[0] in _MOVING for row_ in conditions.code)
    wanted = Wanted(
        kinds={kind: columns.wanted() for kind, columns in filters.columns.items()},
        traits=traits,
        declared=definitions.declared,
        event_ids=definitions.dedupe_events > 0,
        order_ids=definitions.dedupe_orders > 0,
    )
    return Plan(
        definitions=definitions,
        definitions_hash=definitions_hash(definitions),
        wanted=wanted,
        accumulators=ordered,
        values=tuple(values.infos),
        layout=row.layout(),
        template=row.template(),
        arrays=arrays,
        segments=np.array(segments, dtype=np.int64).reshape(-1, op.S_COLUMNS),
        evidence=np.array(evidence_values, dtype=np.int64),
        stack_depth=conditions.depth,
        filter_depth=len(filters.code) + 1,
        filter_count=len(filter_table),
        timers=waits + crossings + len(windowed),
        pool_texts=tuple(conditions.pool_texts),
        pool_tests=tuple(conditions.pool_tests),
        personas=None if persona_word is None else persona_plan(definitions, persona_word),
    )


def _first_texts(definitions: tree.Definitions) -> list[str]:
    """The texts whose codes the kernel knows: those of ``rfm``, where some segment asks for one."""
    has_rfm = any(isinstance(part, tree.Rfm) for segment in definitions.segments for part in evidence(segment))
    return list(RFM_SCORES) if has_rfm else []


def _assemble(
    definitions: tree.Definitions,
    constants: Constants,
    tables: dict[int, list[int]],
    accumulators: list[tuple[int, ...]],
    kind_accumulators: list[int],
    kind_filters: list[int],
    windowed: list[int],
    places: tuple[int, int, int, int],
) -> Arrays:
    """Puts the tables one behind the other, and their places in front."""
    numbers = [0] * op.P_HEADER

    def append(place: int, table: list[int]) -> int:
        numbers[place] = len(numbers)
        numbers.extend(table)
        return numbers[place]

    for place, table in tables.items():
        append(place, table)
    first = len(numbers)
    numbers.extend(x for row in accumulators for x in row)
    append(op.P_KIND_ACCUMULATORS, [first + op.A_COLUMNS * n for n in kind_accumulators])
    append(op.P_KIND_FILTERS, kind_filters)
    append(op.P_WINDOWED, [first + op.A_COLUMNS * n for n in windowed])
    numbers[op.P_WINDOWED_COUNT] = len(windowed)
    numbers[op.P_SEGMENT_COUNT] = len(definitions.segments)
    features = len(definitions.personas.features) if definitions.personas else 0
    exits_and_enters = 2 if definitions.personas else 0
    numbers[op.P_EVIDENCE_MOST] = len(tables[op.P_EVIDENCE]) + exits_and_enters * features
    numbers[op.P_CHANGES_MOST] = len(definitions.segments) + exits_and_enters
    numbers[op.P_CHURN_CACHE_COUNT] = len(tables[op.P_CHURN_CACHES])
    numbers[op.P_EVENT_RING], numbers[op.P_ORDER_RING], numbers[op.P_DUES], numbers[op.P_MASK_WORDS] = places
    numbers[op.P_EVENT_RING_SIZE] = definitions.dedupe_events
    numbers[op.P_ORDER_RING_SIZE] = definitions.dedupe_orders
    return Arrays(np.array(numbers, dtype=np.int64), np.array(constants.values, dtype=np.float64))


def _collect_accumulators(definitions: tree.Definitions) -> list[Accumulator]:
    """Every accumulator that some segment's condition or persona needs, once each, in order of first appearance."""
    found: dict[Accumulator, None] = {}
    for segment in definitions.segments:
        for part in evidence(segment):
            if isinstance(part, tree.Aggregate):
                found.update(dict.fromkeys(needs(part, definitions)))
    for part in aggregates(definitions.personas) if definitions.personas else ():
        found.update(dict.fromkeys(needs(part, definitions)))
    return list(found)


def _compile_segments(
    definitions: tree.Definitions,
    conditions: ConditionCompiler,
    segment_words: list[int],
) -> tuple[list[tuple[int, ...]], list[int]]:
    """The segments' table, and the values of all segments' evidence one after the other."""
    table: list[tuple[int, ...]] = []
    evidence_values: list[int] = []
    for segment, word in zip(definitions.segments, segment_words, strict=True):
        enter = conditions.condition(segment.enter)
        # The default exit is not compiled a second time.
        exit_ = (0, 0) if segment.exit == tree.Not(segment.enter) else conditions.condition(segment.exit)
        first = len(evidence_values)
        evidence_values += [conditions.shown(part) for part in evidence(segment)]
        table.append(
            (
                word,
                word + 1,
                *enter,
                *exit_,
                segment.for_ms,
                segment.min_stay_ms,
                segment.cooldown_ms,
                int(segment.once),
                first,
                len(evidence_values),
                int(any(row[0] == op.C_MEMBER for row in conditions.code[enter[0] : max(enter[1], exit_[1])])),
            )
        )
    return table, evidence_values


def _reader_masks(definitions: tree.Definitions, values: ValueCompiler, touch: dict[str, int], words: int) -> list[int]:
    """For each thing that an event may change a mask of ``words`` words: the segments that read it."""
    masks = [[0] * words for _ in touch]
    for number, segment in enumerate(definitions.segments):
        for part in evidence(segment):
            for key in _read_by(part, values):
                masks[touch[key]][number // op.MASK_BITS] |= 1 << number % op.MASK_BITS
    if definitions.personas is not None:
        for number, read in enumerate(read_by(definitions.personas), len(definitions.segments)):
            for accumulator in (accumulator for aggregate in read for accumulator in needs(aggregate, definitions)):
                masks[touch[accumulator.key]][number // op.MASK_BITS] |= 1 << number % op.MASK_BITS
    return [word for mask in masks for word in mask]


def _read_by(part: Evidence, values: ValueCompiler) -> tuple[str, ...]:
    """What of the things that may change a value reads; what is ranked is a part of the evidence by itself."""
    match part:
        case tree.Persona():
            return (PART,)
        case tree.Rank() | tree.Rfm():
            return (RANKS,)
        case _:
            return values.infos[values.index(part)].history


def _compile_accumulators(
    definitions: tree.Definitions,
    ordered: tuple[Accumulator, ...],
    offsets: dict[Accumulator, int],
    filters: FilterCompiler,
) -> tuple[list[tuple[int, ...]], list[int], list[tuple[int, ...]], list[int]]:
    """The accumulators' table and the filters' table, each with the bounds of every kind in it."""
    table: list[tuple[int, ...]] = []
    filter_table: list[tuple[int, ...]] = []
    bounds, filter_bounds = [0], [0]
    for kind in Kind:
        of_kind: dict[tuple[int, int], int] = {}
        for accumulator in (a for a in ordered if a.kind is kind):
            filter_ = op.NONE
            if accumulator.where is not None:
                code = filters.filter(kind, accumulator.where)
                if code not in of_kind:
                    of_kind[code] = len(filter_table)
                    filter_table.append(code)
                filter_ = of_kind[code]
            source = _source(definitions, accumulator, filters)
            table.append(
                (
                    accumulator.op,
                    filter_,
                    *source,
                    offsets[accumulator],
                    accumulator.width_ms,
                    accumulator.buckets,
                    ordered.index(accumulator),
                )
            )
        bounds.append(len(table))
        filter_bounds.append(len(filter_table))
    return table, bounds, filter_table, filter_bounds


def _source(definitions: tree.Definitions, accumulator: Accumulator, filters: FilterCompiler) -> tuple[int, int]:
    """Which matrix of the batch holds the accumulator's field, and in which row."""
    name = accumulator.field
    if name is None:
        return op.FROM_NOTHING, 0
    columns = filters.columns[accumulator.kind]
    if field_type(definitions, accumulator.kind, name) is not FieldType.TEXT:
        return op.FROM_NUMBERS, columns.number(name)
    if accumulator.op == op.DISTINCT:
        return op.FROM_HASHES, columns.hash(name)
    return op.FROM_TEXTS, columns.text(name)


def _eligibility_hash(segment: tree.Segment, buckets: int) -> str:
    """hash64 of what a segment's eligibility depends on: when it changes, eligibility starts anew."""
    windowed = any(isinstance(part, tree.Aggregate) and part.window_ms for part in evidence(segment))
    meaning = f"{canonical.text(segment.enter)}\n{canonical.text(segment.exit)}\n{segment.for_ms}"
    if windowed:
        meaning += f"\n{buckets}"
    return f"{hash64(meaning):016x}"
