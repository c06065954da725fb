"""A customer as they stand now: memberships, the value of all that the definitions name, and why. Changes nothing."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.compiled import as_word, compiled
from stream.contract import LAST_INSTANT, Kind
from stream.engine import opcodes as op
from stream.engine.changes import ChangeWriter, Value, readable
from stream.engine.churn import crossing
from stream.engine.evaluation import value_of
from stream.engine.explanation import Facts, Native, Texts
from stream.engine.persona_plan import segment_of
from stream.engine.plan import Plan
from stream.engine.profiles import Profiles
from stream.engine.standing import Standing, standings
from stream.engine.working_memory import WorkingMemory
from stream.language.tree import Aggregate, Type

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Membership:
    """Since when, and whether the customer belongs to the share that the segment holds out."""

    since_ms: int
    holdout: bool


@dataclass(frozen=True)
class Portrait:
    """One customer at ``at_ms``, the later of the customer's clock and the stream clock.

    ``features`` has the value of each aggregate, trait, rank and rfm that the definitions name, by its canonical text,
    as evidence has it. ``next_timer_ms``: when time alone may change something next, None where it never will.
    ``offsets``: the last offset seen of each kind's topic, None where there was none.
    """

    customer: str
    at_ms: int
    clock_ms: int
    sequence: int
    memberships: dict[str, Membership]
    features: dict[str, Value]
    next_timer_ms: int | None
    offsets: dict[Kind, int | None]


class Portraitist:
    """Reads customers from the rows of one partition."""

    def __init__(self, plan: Plan, constants: Floats, profiles: Profiles, writer: ChangeWriter) -> None:
        self._plan = plan
        self._constants = constants
        self._profiles = profiles
        self._writer = writer
        self._names = [segment.name for segment in plan.definitions.segments]
        self._persona = plan.personas.word if plan.personas else None
        self._texts = [info.text for info in plan.values]
        self._canonical = Texts()
        self._numbers = {text: number for number, text in enumerate(self._texts)}
        self._work = WorkingMemory(plan, 0, 0)
        self._is_instant = np.array([info.type is Type.INSTANT for info in plan.values], dtype=np.bool_)

    def prepare(self) -> None:
        """Loads what is compiled, or compiles it."""
        self._values(self._plan.template, 0)
        falls(self._constants, 0, 0, 0, 0.0, 1.0, True)

    def portrait(self, customer: str, stream_ms: int) -> Portrait | None:
        """The customer, when all that is due by the stream clock has been fired; None for one who is not known."""
        index = self._profiles.find(customer)
        if index is None:
            return None
        row = self._profiles.row(index).copy()
        clock_ms = int(row[op.R_CLOCK])
        at_ms = max(clock_ms, stream_ms)
        assert at_ms >= 0, "a row before its first event"
        due_ms = int(self._profiles.due[index])
        seen = row[op.R_SEEN : op.R_SEEN + len(Kind)].tolist()
        return Portrait(
            customer,
            at_ms,
            clock_ms,
            int(row[op.R_SEQUENCE]),
            self._memberships(customer, row),
            dict(zip(self._texts, self._values(row, at_ms), strict=True)),
            due_ms if due_ms <= LAST_INSTANT else None,
            {kind: None if seen[kind] == op.NONE else seen[kind] for kind in Kind},
        )

    def standings(self, customer: str, stream_ms: int) -> list[Standing] | None:
        """How the customer stands to each segment, and why, at the portrait's instant; None for one not known."""
        index = self._profiles.find(customer)
        if index is None:
            return None
        row = self._profiles.row(index).copy()
        at_ms = max(int(row[op.R_CLOCK]), stream_ms)
        types, numbers = self._read(row, at_ms)
        facts = Facts(
            at_ms,
            dict(zip(self._texts, self._natives(types, numbers), strict=True)),
            dict(zip(self._texts, readable(types, numbers, self._is_instant, self._profiles.texts), strict=True)),
            frozenset(self._memberships(customer, row)),
            functools.partial(self._falls_ms, row),
            self._canonical,
        )
        held_out = [self._writer.held_out(segment, customer) for segment in range(len(self._names))]
        return standings(self._plan, row, facts, held_out)

    def _natives(self, types: Ints, numbers: Floats) -> list[Native]:
        """Values as conditions compare them."""
        found: list[Native] = []
        for type_, number in zip(types.tolist(), numbers.tolist(), strict=True):
            if type_ == op.T_NULL:
                found.append(None)
            elif type_ == op.T_TEXT:
                found.append(self._profiles.texts.texts(np.array([int(number)]))[0])
            else:
                found.append(number != 0.0 if type_ == op.T_BOOLEAN else number)
        return found

    def _falls_ms(self, row: Ints, probability: Aggregate, bound: float, strict: bool) -> int | None:
        numbers, constants = self._plan.arrays.numbers, self._constants
        value = numbers[op.P_VALUES] + op.V_COLUMNS * self._numbers[self._canonical.of(probability)]
        place = int(numbers[value + op.V_A])
        days, first_ms, last_ms = row[place : place + 3].tolist()
        if first_ms == op.NONE:
            return None
        is_p_buy = numbers[value + op.V_OP] == op.V_P_BUY
        horizon_ms = float(constants[numbers[value + op.V_B]]) if is_p_buy else -1.0
        return int(falls(constants, days, first_ms, last_ms, horizon_ms, bound, strict))

    def _memberships(self, customer: str, row: Ints) -> dict[str, Membership]:
        states = row[self._plan.segments[:, op.S_STATE]].tolist()
        found = {
            name: Membership(state >> 1, self._writer.held_out(segment, customer))
            for segment, (name, state) in enumerate(zip(self._names, states, strict=True))
            if state >= 0 and state & 1 == 1
        }
        if self._persona is not None and row[self._persona] != op.NONE:
            number, since_ms = row[self._persona : self._persona + 2].tolist()
            found[segment_of(number)] = Membership(since_ms, holdout=False)
        return found

    def _values(self, row: Ints, at_ms: int) -> list[Value]:
        types, numbers = self._read(row, at_ms)
        return readable(types, numbers, self._is_instant, self._profiles.texts)

    def _read(self, row: Ints, at_ms: int) -> tuple[Ints, Floats]:
        """The types of all values (n,) and their numbers (n,)."""
        out = np.zeros((len(self._texts), 2), dtype=np.int64)
        read(self._plan.arrays.numbers, self._constants, self._profiles.texts.bits, self._work.words, row, at_ms, out)
        return out[:, 0].copy(), out[:, 1].copy().view(np.float64)


@compiled
def read(plan: Ints, constants: Floats, pool: Words, work: Ints, row: Ints, now_ms: int, out: Ints) -> None:
    """All values of a row at ``now_ms`` (not before its clock): the type of each and its bits, (values, 2)."""
    for v in range(out.shape[0]):
        type_, value = value_of(plan, constants, pool, work, v, row, now_ms)
        out[v, 0] = type_
        out[v, 1] = as_word(value)


@compiled
def falls(
    constants: Floats, days: int, first_ms: int, last_ms: int, horizon_ms: float, bound: float, strict: bool
) -> int:
    """`crossing`, for Python."""
    return crossing(constants, days, first_ms, last_ms, horizon_ms, bound, strict)
