"""What must be true of a world once everything has settled."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, ClassVar

import numpy as np

from stream.contract import Kind, hash64
from stream.engine import opcodes as op
from stream.engine.partition import Clock, Partition
from stream.engine.persona_plan import segment_of
from stream.engine.plan import Plan
from stream.events.columns import Columns
from stream.events.decoder import Decoder
from stream.instants import parse_instant
from stream.kafka.topics import DEAD_LETTERS, MEMBERSHIPS, SEGMENT_CHANGES
from stream.worker.memberships import Memberships
from stream.worker.settings import ClockMode
from tests.reference import Definitions, Reference
from tests.worker.simulation import Simulation
from tests.worker.watched import Advance, Assign, Begin, Deeds, Event, Redefine, Restored, WatchedPartition
from tests.worker.worlds import FILES, plans

Dict = dict[str, Any]
FINALLY_MS = 60_000
_decoders: dict[str, Decoder] = {}


def check(simulation: Simulation) -> None:
    """All invariants; raises ``AssertionError``."""
    assert simulation.live is not None
    owner = simulation.live.owner
    live = owner.partition
    changes = consumed(simulation, SEGMENT_CHANGES)
    simulation.residues = owner.writer.erasures.residues
    check_memberships(simulation, live)
    partition = simulation.successor()
    if simulation.scenario.mode is not ClockMode.WALL:
        clocks = (partition.stream_ms, partition.latest_ms), (live.stream_ms, live.latest_ms)
        assert clocks[0] == clocks[1], f"clocks of a later owner and of the living one: {clocks}"
    check_further_topics(simulation, changes)
    check_memberships(simulation, partition)
    check_letters(simulation)
    lasting = dict(partition.deeds)  # to look at the profiles, time is moved on
    for customer in sorted({*changes, *lasting, *(c for c, _ in partition.registry.erasures)}):
        check_customer(simulation, partition, customer, lasting.get(customer), changes.get(customer, []))
    check_same_memory(partition, live)
    if simulation.scenario.same_as_replay:
        check_replay(simulation, changes)


# --- What a consumer sees ---------------------------------------------------------------------------------------------


def consumed(simulation: Simulation, topic: str) -> dict[str, list[Dict]]:
    """Each customer's changes as a consumer has them who drops what is not later than the last one."""
    content: dict[str, bytes] = {}
    found: dict[str, list[Dict]] = {}
    for record in simulation.broker.log(topic).history:
        assert record.value is not None
        change = json.loads(record.value)
        customer = change["customer_id"]
        assert record.key == customer.encode()
        assert dict(record.headers)["ce_id"] == change["id"].encode()
        assert content.setdefault(change["id"], record.value) == record.value, (
            f"two contents of {change['id']} in {topic}"
        )
        mine = found.setdefault(customer, [])
        last = mine[-1]["sequence"] if mine else 0
        if change["sequence"] > last:
            if topic == SEGMENT_CHANGES:
                assert change["sequence"] == last + 1, f"a gap before {change['id']}"
            mine.append(change)
    return found


def check_further_topics(simulation: Simulation, changes: dict[str, list[Dict]]) -> None:
    """What goes to the topics that segments name is what they get."""
    named = {
        plan.definitions_hash: {segment.name: segment.to for segment in plan.definitions.segments}
        for plan in simulation.plans
    }
    for topic in ("busy-topic", "mail-topic"):
        expected = {
            customer: [
                c["id"]
                for c in mine
                if topic in named[c["definitions"]].get(c["segment"], ()) and c["cause"] != "erasure"
            ]
            for customer, mine in changes.items()
        }
        got = {customer: [c["id"] for c in mine] for customer, mine in consumed(simulation, topic).items()}
        assert got == {customer: ids for customer, ids in expected.items() if ids}, f"the topic {topic}"


def check_memberships(simulation: Simulation, partition: Partition) -> None:
    """The latest record of each customer is the truth; of those without changes there need be none."""
    latest = {(record.key or b"").decode(): record.value for record in simulation.broker.log(MEMBERSHIPS).records}
    memberships = Memberships(partition)
    customers = list(partition.profiles)
    values = memberships.values(customers, partition.profiles.find_all(customers)) if customers else []
    truth = {
        customer: value
        for customer, value, (sequence, _) in zip(customers, values, memberships.of(customers), strict=True)
        if sequence
    }
    for customer in {*latest, *truth}:
        if customer in partition.profiles and customer not in truth:
            continue
        got, wanted = latest.get(customer), truth.get(customer)
        residue = simulation.residues.get(hash64(customer))
        if got is None and residue is not None and residue.sequence == json.loads(wanted or b"{}").get("sequence"):
            continue  # nothing has changed since the tombstone
        assert got == wanted, f"memberships of {customer}: {got!r}, expected {wanted!r}"


def check_letters(simulation: Simulation) -> None:
    """Every bad record has its letter, and no good one."""
    letters = set()
    for record in simulation.broker.log(DEAD_LETTERS).history:
        headers = dict(record.headers)
        where = headers["source_topic"].decode(), int(headers["source_offset"])
        letters.add(where)
        (source,) = (r for r in simulation.broker.log(where[0]).history if r.offset == where[1])
        assert record.value == (source.value or b"")
        assert record.key == source.key
        assert headers["reason"]
    expected = simulation.scenario.bad
    if simulation.scenario.mode is ClockMode.FIXED:
        expected = {(t, o) for t, o in expected if o < simulation.broker.committed.get(t, 0)}
        assert letters <= simulation.scenario.bad
    else:
        assert letters == expected, "letters"
    assert expected <= letters, f"no letters for {expected - letters}"


# --- Each customer ----------------------------------------------------------------------------------------------------


def check_customer(
    simulation: Simulation, partition: WatchedPartition, customer: str, deeds: Deeds | None, changes: list[Dict]
) -> None:
    """Each event has been applied once, and what came out is what the deeds that lasted give."""
    registry = partition.registry
    residue = simulation.residues.get(hash64(customer))
    gone: Deeds = () if residue is None else (Begin(residue.sequence, partition.plan, None),)
    if deeds is None and residue is None:
        assert not changes, f"changes of {customer}, who is not known"
        return
    histories: list[tuple[Deeds | int, ...]] = []  # deeds, instant of erasure, deeds, instant ...
    open_ends: list[tuple[Deeds, tuple[Deeds | int, ...]]] = [
        (deeds, (deeds,)) if deeds is not None else (gone, (gone,))
    ]
    while open_ends:
        first, behind = open_ends.pop()
        if first and isinstance(first[0], Begin) and first[0].sequence:
            for erasure in registry.erasures[customer, first[0].sequence]:
                open_ends.append((erasure.before, (erasure.before, erasure.instant_ms, *behind)))
        else:
            histories.append(behind)
    problems = []
    for history in histories:
        try:
            check_history(simulation, partition, customer, history, changes)
        except AssertionError as error:
            problems.append(str(error))
        else:
            return
    raise AssertionError(" | ".join(dict.fromkeys(problems)) or f"no history of {customer}")


def check_history(
    simulation: Simulation,
    partition: WatchedPartition,
    customer: str,
    history: tuple[Deeds | int, ...],
    changes: list[Dict],
) -> None:
    scenario = simulation.scenario
    applied: Counter[tuple[Kind, int]] = Counter()
    met: set[tuple[Kind, int]] = set()
    expected: list[Dict] = []
    erased_ms = -1
    rebuilt: Rebuilt | None = None
    for part in history:
        if isinstance(part, int):
            assert rebuilt is not None
            expected += rebuilt.erased(part)
            erased_ms = max(erased_ms, part)
            continue
        rebuilt = Rebuilt(simulation, customer, changes)
        rebuilt.do(part)
        expected += rebuilt.changes
        for deed in part:
            if isinstance(deed, Event):
                met.add((deed.kind, deed.offset))
                if not deed.is_duplicate:
                    applied[deed.kind, deed.offset] += 1
                    assert not erased_ms >= scenario.events[deed.kind, deed.offset]["timestamp"], (
                        "an erased event is back"
                    )
    twice = [key for key, count in applied.items() if count > 1]
    assert not twice, f"applied twice: {twice} of {customer}"
    known = {scenario.events[key]["event_id"] for key in applied}
    for key, event in scenario.events.items():
        # That a repeat was skipped is written with the next change of the row only.
        if event["customer_id"] != customer or key in met or event["event_id"] in known:
            continue
        is_late = scenario.mode is ClockMode.FIXED and key[1] >= simulation.broker.committed.get(key[0].topic, 0)
        assert is_late or event["timestamp"] <= erased_ms, f"lost: {key} of {customer}"
    assert changes == expected, differing(changes, expected, f"changes of {customer}")
    if customer in partition.profiles:
        assert rebuilt is not None
        check_profile(rebuilt, partition)
        if simulation.seed % 4 == 0 and not simulation.scenario.models:
            check_reference(simulation, customer, history, changes)


def differing(got: list[Dict], expected: list[Dict], what: str) -> str:
    place = next(
        (i for i, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b), min(len(got), len(expected))
    )
    mine, theirs = got[place : place + 1], expected[place : place + 1]
    return f"{what}: {len(got)}, expected {len(expected)}; number {place}:\n  {mine}\n  {theirs}"


class Rebuilt:
    """One customer, from what was done to them, event by event in an engine of their own."""

    def __init__(self, simulation: Simulation, customer: str, told: list[Dict]) -> None:
        self.simulation = simulation
        self.told = {change["sequence"]: change for change in told}
        self.customer = customer
        self.changes: list[Dict] = []
        self.partition = Partition(simulation.plans[0], Clock.HELD)

    def _take(self, changes: Any) -> None:
        self.changes += (json.loads(line) for line in changes.json_lines().splitlines())

    def do(self, deeds: Deeds) -> None:
        for deed in deeds:
            match deed:
                case Begin(sequence, plan, model):
                    self.partition = Partition(plan, Clock.HELD)
                    self.partition.use_model(model)
                    self._row()[op.R_SEQUENCE] = sequence
                case Assign(model, at_ms):
                    self.partition.stream_ms = at_ms  # a model that came late was applied later than it says
                    for changes in self.partition.apply_model(model):
                        self._take(changes)
                case Restored(model):
                    snapshot = self.partition.snapshot()
                    self.partition = Partition(self.partition.plan, Clock.HELD)
                    self.partition.restore(snapshot)
                    self.partition.use_model(model)
                case Event(kind, offset, stream_ms, _):
                    self.partition.stream_ms = stream_ms  # earlier than before, where it was lost in a crash
                    event = self.simulation.scenario.events[kind, offset]
                    self._take(self.partition.apply(columns(self.partition.plan, event), np.array([offset])).changes)
                case Advance(stream_ms):
                    self.partition.stream_ms = stream_ms
                    self._take(self.partition.advance(stream_ms))
                case Redefine(plan, stream_ms, allow_empty, quiet):
                    self.partition.stream_ms = stream_ms  # earlier than before, where it was lost in a crash
                    snapshot = self.partition.snapshot()
                    self.partition = Partition(plan, Clock.HELD)
                    self.partition.restore(snapshot)
                    self._take(self.partition.redefine(allow_empty=allow_empty, quiet=quiet))

    def _row(self) -> Any:
        return self.partition.profiles.row(int(self.partition.profiles.rows([self.customer])[0]))

    def erased(self, instant_ms: int) -> list[Dict]:
        """The changes that erase the customer as they are now."""
        sequence = 0
        at_ms = instant_ms
        members: list[str] = []
        if self.customer in self.partition.profiles:
            sequence = int(self._row()[op.R_SEQUENCE])
            at_ms = max(at_ms, int(self._row()[op.R_CLOCK]))
            members = [segment for segment, count in self.partition.members().items() if count]
            members += map(segment_of, self.partition.personas())
        found = []
        for segment in (*members, None):
            sequence += 1
            found.append((sequence, segment, at_ms))
        return [self._erasure(*change) for change in found]

    def _erasure(self, sequence: int, segment: str | None, at_ms: int) -> Dict:
        change = self.told.get(sequence)
        assert change is not None, f"the erasure of {self.customer} is not told: {sequence}"
        assert (change["segment"], change["cause"]) == (segment, "erasure"), change
        assert change["change"] == ("erased" if segment is None else "exited")
        assert parse_instant(change["at"]) == at_ms, change
        return change


def columns(plan: Plan, event: Dict) -> Columns:
    if plan.definitions_hash not in _decoders:  # making one takes as long as many events
        _decoders[plan.definitions_hash] = Decoder(plan.wanted)
    found, refused = _decoders[plan.definitions_hash].decode_mixed([json.dumps(event).encode()])
    assert not refused
    return found


def words(partition: Partition, customer: str) -> list[int]:
    """A row as it is kept, but for the offsets and the model that it has seen: these are written with what changes."""
    row = partition.profiles.row(int(partition.profiles.rows([customer])[0])).tolist()
    if partition.plan.personas is not None:
        row[partition.plan.personas.word + 2] = 0
    kept: list[int] = row[op.R_CLOCK : op.R_CLOCK + partition.plan.layout.kept_words]
    del kept[op.R_SEEN - op.R_CLOCK : op.R_SEEN - op.R_CLOCK + len(Kind)]
    return kept


def check_profile(rebuilt: Rebuilt, partition: WatchedPartition) -> None:
    """The profile is what the deeds give, and stays so."""
    finally_ms = max(partition.stream_ms, FINALLY_MS)
    later = [json.loads(line) for line in partition.advance(finally_ms).json_lines().splitlines()]
    partition.later.extend(later)
    rebuilt.changes = []
    rebuilt.do((Advance(finally_ms),))
    mine = [change for change in partition.later if change["customer_id"] == rebuilt.customer]
    assert rebuilt.changes == mine, differing(mine, rebuilt.changes, f"what comes later for {rebuilt.customer}")
    assert words(rebuilt.partition, rebuilt.customer) == words(partition, rebuilt.customer), (
        f"profile of {rebuilt.customer}"
    )


def check_same_memory(partition: WatchedPartition, live: Partition) -> None:
    """What the living owner has in memory is what a later one restores."""
    assert set(partition.profiles) == set(live.profiles)
    live.advance(max(partition.stream_ms, FINALLY_MS))
    partition.advance(max(partition.stream_ms, FINALLY_MS))
    for customer in live.profiles:
        assert words(live, customer) == words(partition, customer), f"memory of {customer}"


# --- The reference and the replay -------------------------------------------------------------------------------------


class _Reference(Reference):
    """A reference whose definitions have been read before."""

    _read: ClassVar[dict[int, Definitions]] = {}

    def __init__(self, place: int) -> None:
        if place not in self._read:
            self._read[place] = Definitions(FILES[place])
        super().__init__(self._read[place])


def check_reference(
    simulation: Simulation, customer: str, history: tuple[Deeds | int, ...], changes: list[Dict]
) -> None:
    """The slow reference, fed with what was done in that order, says the same."""
    from tests.engine.agreement import difference

    got = [change for change in changes if change["cause"] != "erasure"]
    expected: list[Dict] = []
    for part in history:
        if isinstance(part, int):
            continue
        if part and isinstance(part[0], Begin) and part[0].sequence:
            return  # a sequence that goes on: the engine's answer has been compared
        reference = _Reference(simulation.scenario.files[0])
        for deed in part:
            if isinstance(deed, Begin):
                reference = _Reference(place_of(deed.plan))
                continue
            assert not isinstance(deed, Assign | Restored), "the reference is not asked where there are models"
            reference.stream_clock = deed.stream_ms
            if isinstance(deed, Event):
                expected += reference.apply(simulation.scenario.events[deed.kind, deed.offset])
            elif isinstance(deed, Advance):
                expected += reference.advance(deed.stream_ms)
            else:
                expected += reference.redefine(
                    FILES[place_of(deed.plan)], allow_empty=deed.allow_empty, quiet=deed.quiet
                )
    assert len(got) == len(expected), f"reference: {len(got)} changes of {customer}, expected {len(expected)}"
    for mine, theirs in zip(got, expected, strict=True):
        assert not difference(mine, theirs), f"reference: {difference(mine, theirs)}:\n  {mine}\n  {theirs}"


def place_of(plan: Plan) -> int:
    return next(i for i, other in enumerate(plans()) if other is plan)


def check_replay(simulation: Simulation, changes: dict[str, list[Dict]]) -> None:
    """The changes are those of a replay of the sorted events."""
    scenario = simulation.scenario
    partition = Partition(simulation.plans[0], Clock.HELD)
    until = scenario.until_ms if scenario.mode is ClockMode.FIXED else None
    ordered = sorted(scenario.events.items(), key=lambda item: (item[1]["timestamp"], item[0]))
    found: list[Any] = []
    models = list(scenario.models)

    def take_models(to_ms: int) -> None:
        while models and models[0].effective_ms <= to_ms:
            found.extend(partition.apply_model(models.pop(0)))

    for _, event in ordered:
        if until is None or event["timestamp"] <= until:
            take_models(event["timestamp"])
            found.append(partition.apply(columns(partition.plan, event)).changes)
    take_models(partition.latest_ms if until is None else until)
    found.append(partition.advance(partition.latest_ms if until is None else until))
    expected: dict[str, list[Dict]] = {}
    for change in (json.loads(line) for group in found for line in group.json_lines().splitlines()):
        expected.setdefault(change["customer_id"], []).append(change)
    for customer in {*expected, *changes}:
        got, wanted = changes.get(customer, []), expected.get(customer, [])
        assert got == wanted, differing(got, wanted, f"not as the replay, {customer}")
