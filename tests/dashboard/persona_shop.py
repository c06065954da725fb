"""A shop with personas: its definitions, two versions, what happened, and the changes of its customers."""

from __future__ import annotations

import math

import msgspec

from stream.instants import format_instant
from stream.personas.drift import Drift
from stream.personas.messages import event_records, model_records, pin_record
from stream.personas.model import Model, Persona, Quality, Training
from stream.personas.publication import births_and_deaths
from stream.personas.shift import Shift
from tests.dashboard.shops import DAY_MS, HOUR_MS, NOW_MS, Changes

DEFINITIONS = """\
version: 1
personas:
  features:
    orders: count(purchase, 30d)
    recency: last(purchase)
    click_gap: gap(click) / 1d
  k: 3
  aliases: {p2: regulars}
segments:
  buyer:
    enter: count(purchase) >= 1
"""
FEATURES = ("count(purchase, 30d)", "last(purchase)", "gap(click) / 1d")
USUAL = (1.5, 20.0, 3.0)
SCALES = (0.5, 0.8, 1.0)
#: The centres in the features' own units.
CENTRES = {1: (1.5, 20.0, 3.0), 2: (6.0, 4.0, 2.0), 3: (0.2, 60.0, 3.5), 4: (0.0, 0.0, 0.0)}
LABELS = {1: "average", 2: "very high orders, very low recency", 3: "low orders", 4: "low click_gap"}
#: How many customers have which in the end.
MEMBERS = {1: 11, 2: 5, 3: 4}
MOVED_MS = NOW_MS - 2 * HOUR_MS


def model(version: int, effective_ms: int, *numbers: int) -> Model:
    """A version with these personas, each as large as the others."""
    personas = [
        Persona(number, tuple(map(math.log1p, CENTRES[number])), 1 / len(numbers), LABELS[number]) for number in numbers
    ]
    return Model(
        version=version,
        effective_at=format_instant(effective_ms),
        features=FEATURES,
        scales=SCALES,
        personas=tuple(personas),
        quality=Quality(1.25, None if version == 1 else 1.5, 0.4, 4_000),
        offset=100 * version,
        next_number=5,
        training=Training(tuple(map(math.log1p, USUAL)), (1.0, 1.0, 1.0), 1_000, 1_000.0, {}, {}),
    )


FIRST = model(1, NOW_MS - 9 * DAY_MS, 1, 2, 4)
SECOND = model(2, NOW_MS - DAY_MS, 1, 2, 3)


def records(pinned: int | None = None) -> list[tuple[bytes, bytes | None]]:
    """What lies in the topic of models."""
    found = [*model_records(FIRST), *model_records(SECOND)]
    if pinned is None:
        return found
    # As a trainer does it: the version comes back as a new one.
    again = msgspec.structs.replace(FIRST, version=3, effective_at=format_instant(NOW_MS - HOUR_MS), copy_of=pinned)
    return [*found, pin_record(pinned), *model_records(again)]


def events() -> list[bytes]:
    """What lies in the topic of events, as a trainer writes it: what happened by the second version is told twice."""
    told = []
    for version, events, reason in (
        (FIRST, births_and_deaths(None, FIRST), None),
        (SECOND, (*births_and_deaths(FIRST, SECOND), Shift(2, "recency", 9.04, 4.0), Drift(1, 0.7, 0.9, 90, 30)), None),
        (SECOND, births_and_deaths(FIRST, SECOND), None),
    ):
        told += [value for _, value in event_records(version.version, version.effective_ms, events, reason)]
    told += [value for _, value in event_records(3, NOW_MS, (), "the distance is worse by 4 %")]
    return told


def changes() -> list[bytes]:
    """Twenty customers with personas since 8 days; two hours ago 3 moved and 2 lost theirs; one is new, one erased."""
    found = Changes()
    began = NOW_MS - 8 * DAY_MS
    first = {f"a{number}": 1 if number < 14 else 2 if number < 18 else 4 for number in range(22)}
    for customer, number in first.items():
        found.add(customer, "buyer", "entered", began)
        found.add(customer, f"persona_p{number}", "entered", began, cause="model", values=VALUES)
    for customer, after in (("a0", 2), ("a1", 3), ("a18", 3)):
        move(found, customer, first[customer], after, MOVED_MS)
    for customer in ("a2", "a14"):
        found.add(customer, f"persona_p{first[customer]}", "exited", MOVED_MS, cause="timer")
    for customer in ("a19", "a20"):
        move(found, customer, 4, 3, NOW_MS - 30 * HOUR_MS, cause="model")
    found.add("new", "persona_p2", "entered", NOW_MS, values=VALUES)
    found.add("gone", "persona_p1", "entered", NOW_MS - 1)
    found.add("gone", "persona_p1", "exited", NOW_MS, cause="erasure")
    found.add("gone", None, "erased", NOW_MS, cause="erasure")
    return found.made


VALUES = {"count(purchase, 30d)": 3, "last(purchase)": format_instant(NOW_MS - 20 * DAY_MS), "gap(click) / 1d": 2.5}


def move(found: Changes, customer: str, before: int, after: int, at_ms: int, cause: str = "event") -> None:
    found.add(customer, f"persona_p{before}", "exited", at_ms, cause=cause, values=VALUES)
    found.add(customer, f"persona_p{after}", "entered", at_ms, cause=cause, values=VALUES)


def without_features(version: Model) -> Model:
    """One that was learned under other definitions."""
    return msgspec.structs.replace(version, features=("sum(purchase.total)", "last(click)", "count(email)"))
