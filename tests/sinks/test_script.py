"""The script against a model in plain Python, on three versions of Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import RedisError

from stream.brokers.redis_server import RedisServer
from stream.instants import format_instant
from stream.sinks.records import parse_change, parse_memberships
from stream.sinks.redis.keys import Keys
from stream.sinks.redis.script import Applied, Place, RefusedError, Script, batch_request, filled_customer
from stream.sinks.redis.server import is_passing, make_client
from tests.effort import examples
from tests.sinks.model import Model, found
from tests.sinks.servers import client_of

TOPIC = "segment-changes of a test"
#: Hostile ones among them: with what separates keys and fields, a pattern's signs, quotes, another script.
CUSTOMERS = ["c1", "a:b|c@d", '*?[x]\\"{}', "клиент 7", "\x00\n"]
SEGMENTS = ["buyers", "addicts", "new", "z9", "persona_p1", "persona_p12"]
START_MS = 1_735_787_045_000
STEPS_MS = [0, 1, 59_999, 3_600_000, 23 * 3_600_000, 26 * 3_600_000, 91 * 86_400_000]


def line(customer: str, sequence: int, change: str, segment: str | None, at_ms: int, **more: Any) -> bytes:
    erased = change == "erased"
    record = {
        "id": f"{customer}:{sequence}",
        "customer_id": customer,
        "segment": None if erased else segment,
        "change": change,
        "at": format_instant(at_ms),
        "sequence": sequence,
        "cause": "erasure" if erased else "event",
        "event_id": None if erased else "e1",
        "values": {} if erased else {"count(click)": sequence, "last(purchase)": None, "last(click.title)": '"ü\u2028'},
        "holdout": False,
        "quiet": False,
        "definitions": "9f86d081884c7d65",
    }
    return json.dumps({**record, **more}, separators=(",", ":"), ensure_ascii=False).encode()


@st.composite
def histories(draw: st.DrawFn) -> list[list[bytes]]:
    """Changes in batches: of consistent customers, but with gaps, repeats, and entries of those who are in already."""
    sequences = dict.fromkeys(CUSTOMERS, 0)
    written: list[bytes] = []
    now_ms = START_MS
    for _ in range(draw(st.integers(1, 40))):
        if written and draw(st.integers(0, 5)) == 0:
            written.append(draw(st.sampled_from(written)))
            continue
        customer = draw(st.sampled_from(CUSTOMERS))
        sequences[customer] += 2 if draw(st.integers(0, 9)) == 0 else 1
        now_ms += draw(st.sampled_from(STEPS_MS))
        late_ms = draw(st.sampled_from([0, 0, 0, 60_000, 25 * 3_600_000]))
        change = draw(st.sampled_from(["entered", "entered", "entered", "exited", "exited", "erased"]))
        cause = draw(st.sampled_from(["event", "timer", "definitions", "model"]))
        if change == "erased" or (change == "exited" and draw(st.integers(0, 5)) == 0):
            cause = "erasure"
        segment, held_out = draw(st.sampled_from(SEGMENTS)), draw(st.booleans())
        at_ms = now_ms - late_ms
        number = sequences[customer]
        written.append(line(customer, number, change, segment, at_ms, holdout=held_out, cause=cause))
        if change == "exited" and segment.startswith("persona_") and draw(st.integers(0, 3)) > 0:
            # As a customer changes persona; now and then something is between, or it is another instant.
            sequences[customer] += 2 if draw(st.integers(0, 5)) == 0 else 1
            at_ms += draw(st.sampled_from([0, 0, 0, 1]))
            entered = draw(st.sampled_from(["persona_p2", "persona_p1", "buyers"]))
            written.append(line(customer, sequences[customer], "entered", entered, at_ms, cause=cause))
    alone = st.just(list(range(len(written))))  # what belongs together comes apart, too
    cuts = sorted(draw(alone | st.lists(st.integers(0, len(written)), max_size=4)))
    return [written[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(written)], strict=True)]


class Session:
    """The script in one Redis, with the offsets of one partition."""

    def __init__(self, server: RedisServer, *, keep_evidence: bool = True) -> None:
        self.client = make_client(server.url)
        self.script = Script(self.client, Keys())
        self.offset = 0
        self._keep_evidence = keep_evidence

    async def empty(self) -> None:
        await self.client.flushall()
        await self.script.begin("first", TOPIC)
        await self.script.finish("first", {0: 0, 1: 70}, is_empty=False)

    def request(self, lines: Sequence[bytes], topic: str = TOPIC) -> bytes:
        places = [Place(0, self.offset, self.offset + len(lines))] if lines else []
        changes = [(parse_change(one), one) for one in lines]
        return batch_request(topic, places, changes, keep_evidence=self._keep_evidence)

    async def apply(self, lines: Sequence[bytes]) -> Applied:
        applied = await self.script.apply(self.request(lines))
        self.offset += len(lines)
        return applied

    async def __aenter__(self) -> Session:
        await self.empty()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()


def check(server: RedisServer, model: Model) -> None:
    with client_of(server) as client:
        there = found(client)
    for name, value in model.expected().items():
        assert there[name] == value, name


def run(server: RedisServer, batches: Sequence[Sequence[bytes]]) -> list[Applied]:
    async def apply() -> list[Applied]:
        async with Session(server) as session:
            return [await session.apply(batch) for batch in batches if batch]

    return asyncio.run(apply())


# --- against the model ------------------------------------------------------------------------------------------------


@examples(60)
@given(batches=histories())
def test_what_lies_in_redis_is_what_the_model_says(shared_redis: RedisServer, batches: list[list[bytes]]) -> None:
    model = Model()
    for batch in batches:
        for one in batch:
            model.apply(one)
    applied = run(shared_redis, batches)
    check(shared_redis, model)
    assert sum(one.duplicates for one in applied) == model.duplicates
    assert sum(one.gaps for one in applied) == model.gaps
    assert sum(one.unknown for one in applied) == model.unknown
    total = sum(one.entered + one.exited + one.erased for one in applied)
    assert total == sum(map(len, batches)) - model.duplicates


@examples(15)
@given(batches=histories(), data=st.data())
def test_a_server_that_forgets_is_gone_on_with(
    own_redis: RedisServer, batches: list[list[bytes]], data: st.DataObject
) -> None:
    """Saved after one batch, killed after another, started again: what was lost is applied anew from what it holds."""
    model = Model()
    for batch in batches:
        for one in batch:
            model.apply(one)
    batches = [batch for batch in batches if batch]
    saved_at = data.draw(st.integers(0, len(batches)))
    killed_at = data.draw(st.integers(saved_at, len(batches)))

    async def play() -> None:
        async with Session(own_redis) as session:
            starts = []
            for number, batch in enumerate(batches[:killed_at]):
                if number == saved_at:
                    await session.client.save()
                starts.append(session.offset)
                await session.apply(batch)
            if saved_at == killed_at:
                await session.client.save()
                starts.append(session.offset)
        await asyncio.to_thread(own_redis.kill)
        await asyncio.to_thread(own_redis.start)
        again = Session(own_redis)
        again.offset = int((await again.client.hgetall("segstream:offsets"))[b"0"])
        assert again.offset == starts[saved_at]
        for batch in batches[saved_at:]:
            await again.apply(batch)
        await again.client.aclose()

    asyncio.run(play())
    check(own_redis, model)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_batch_is_applied_once_whoever_sends_it(redis_server: RedisServer) -> None:
    lines = [line("c1", 1, "entered", "buyers", START_MS)]

    async def play() -> None:
        async with Session(redis_server) as session:
            request = session.request(lines)
            await session.script.apply(request)
            before = await session.client.hgetall("segstream:meta")
            with pytest.raises(RefusedError):
                await session.script.apply(request)
            session.offset = 5  # ahead of what Redis holds
            with pytest.raises(RefusedError):
                await session.apply(lines)
            assert await session.client.hgetall("segstream:meta") == before

    asyncio.run(play())
    with client_of(redis_server) as client:
        assert found(client)["offsets"] == {0: 1, 1: 70}


@pytest.mark.parametrize("loss", ["all", "filled", "offsets", "topic", "layout"])
def test_nothing_is_applied_to_what_is_not_as_it_was(redis_server: RedisServer, loss: str) -> None:
    async def play() -> None:
        async with Session(redis_server) as session:
            match loss:
                case "all":
                    await session.client.flushall()
                case "offsets":
                    await session.client.delete("segstream:offsets")
                case field:
                    await session.client.hset("segstream:meta", field, "other")
            with pytest.raises(RefusedError):
                await session.apply([line("c1", 1, "entered", "buyers", START_MS)])

    asyncio.run(play())
    with client_of(redis_server) as client:
        assert found(client)["members"] == {}


def test_the_script_is_loaded_again_where_it_is_not_known(redis_server: RedisServer) -> None:
    async def play() -> None:
        async with Session(redis_server) as session:
            await session.apply([line("c1", 1, "entered", "buyers", START_MS)])
            await session.client.script_flush()
            await session.apply([line("c1", 2, "exited", "buyers", START_MS + 5_000)])

    asyncio.run(play())
    with client_of(redis_server) as client:
        assert client.hgetall("segstream:stay:buyers") == {"10": "1"}


def test_without_evidence_there_is_none(redis_server: RedisServer) -> None:
    async def play() -> None:
        async with Session(redis_server, keep_evidence=False) as session:
            await session.apply([line("c1", 1, "entered", "buyers", START_MS)])

    asyncio.run(play())
    with client_of(redis_server) as client:
        there = found(client)
    assert there["changes"] == {}
    ((customer, change),) = there["feed"]
    assert customer == "c1"
    assert json.loads(change) == json.loads(line("c1", 1, "entered", "buyers", START_MS, values={}))


def test_the_erased_are_nowhere(redis_server: RedisServer) -> None:
    async def play() -> None:
        async with Session(redis_server) as session:
            await session.apply(
                [
                    line("Gone", 1, "entered", "buyers", START_MS, holdout=True),
                    line("Gone", 3, "entered", "new", START_MS),
                    line("stays", 1, "entered", "new", START_MS),
                ]
            )
            await session.apply([line("Gone", 4, "exited", "buyers", START_MS, cause="erasure", values={})])
            await session.apply([line("Gone", 5, "erased", None, START_MS + 1)])

    asyncio.run(play())
    with client_of(redis_server) as client:
        assert "Gone" not in str(client.xrange("segstream:feed"))
        keys = [key for key in client.scan_iter() if key != "segstream:feed"]
        with redis.Redis.from_url(redis_server.url) as raw:
            naming = [key for key in keys if b"Gone" in (raw.dump(key) or b"") or "Gone" in key]
        assert naming == ["segstream:customer:Gone"]
        assert client.hgetall("segstream:customer:Gone") == {"sequence": "5", "erased": str(START_MS + 1)}


def test_the_feed_is_bounded(redis_server: RedisServer) -> None:
    lines = [line(f"c{i}", 1, "entered", "buyers", START_MS + i) for i in range(12_000)]
    run(redis_server, [lines[i : i + 500] for i in range(0, len(lines), 500)])
    with client_of(redis_server) as client:
        there = [(fields["customer"], fields["change"]) for _, fields in client.xrange("segstream:feed")]
    assert 10_000 <= len(there) < 11_000
    assert there == [(f"c{i}", lines[i].decode()) for i in range(12_000 - len(there), 12_000)]


def test_a_full_or_a_following_server_may_be_written_to_later(redis_server: RedisServer) -> None:
    lines = [line("c1", 1, "entered", "buyers", START_MS)]

    async def refused(session: Session) -> None:
        with pytest.raises(RedisError) as raised:
            await session.apply(lines)
        assert is_passing(raised.value), raised.value

    async def play() -> None:
        async with Session(redis_server) as session:
            await session.client.config_set("maxmemory", "1")
            try:
                await refused(session)
            finally:
                await session.client.config_set("maxmemory", "0")
            await session.client.replicaof("127.0.0.1", "1")
            try:
                await refused(session)
            finally:
                await session.client.replicaof("NO", "ONE")
            await session.apply(lines)

    asyncio.run(play())
    model = Model()
    model.apply(lines[0])
    check(redis_server, model)


def test_a_key_of_another_type_is_no_passing_error(redis_server: RedisServer) -> None:
    async def play() -> None:
        async with Session(redis_server) as session:
            await session.client.set("segstream:segment:buyers:members", "somebody else's")
            with pytest.raises(RedisError) as raised:
                await session.apply([line("c1", 1, "entered", "buyers", START_MS)])
            assert not is_passing(raised.value)

    asyncio.run(play())


# --- filling ----------------------------------------------------------------------------------------------------------


def memberships(sequence: int, **segments: tuple[int, bool]) -> Any:
    found = {name: {"since": format_instant(ms), "holdout": held_out} for name, (ms, held_out) in segments.items()}
    return parse_memberships(json.dumps({"customer_id": "?", "sequence": sequence, "segments": found}).encode())


def test_the_latest_record_of_a_customer_fills(redis_server: RedisServer) -> None:
    async def play() -> None:
        async with Session(redis_server) as session:
            script = session.script
            await session.client.flushall()
            await script.begin("t", TOPIC)
            await script.fill(
                "t",
                [
                    filled_customer("a", memberships(3, buyers=(START_MS, True), new=(START_MS, False))),
                    filled_customer("b", memberships(9, new=(START_MS + 7, False))),
                    filled_customer("gone", memberships(2, new=(START_MS, False))),
                ],
            )
            await script.fill(
                "t",
                [
                    filled_customer("a", memberships(5, new=(START_MS, True), z9=(START_MS + 5, False))),
                    filled_customer("gone", None),
                    filled_customer("left", memberships(4)),
                ],
            )
            await script.finish("t", {0: 40, 1: 0}, is_empty=False)
            session.offset = 40
            applied = await session.apply(
                [line("b", 9, "entered", "new", START_MS + 7), line("b", 10, "exited", "new", START_MS + 60_007)]
            )
            assert (applied.duplicates, applied.exited, applied.gaps) == (1, 1, 0)

    asyncio.run(play())
    with client_of(redis_server) as client:
        there = found(client)
    assert there["customers"] == {"a": {"new": (START_MS, True), "z9": (START_MS + 5, False)}}
    assert there["sequences"] == {"a": 5, "b": 10, "left": 4}
    assert there["members"] == {"new": {"a"}, "z9": {"a"}}
    assert there["holdout"] == {"new": {"a"}}
    assert there["overlap"] == {"new|z9": 1}
    assert there["offsets"] == {0: 42, 1: 0}
    assert there["history_from_ms"] == START_MS + 60_007


def test_two_fillings_do_not_mix(redis_server: RedisServer) -> None:
    async def play() -> None:
        async with Session(redis_server) as session:
            script, client = session.script, session.client
            await script.begin("one", TOPIC)
            with pytest.raises(RefusedError):
                await script.begin("two", TOPIC)  # it gives way
            seconds, _ = await client.time()
            await client.hset("segstream:meta", "filling_ms", str((seconds - 16) * 1_000))
            await script.begin("two", TOPIC)  # the first one has gone
            customers = [filled_customer("a", memberships(3, buyers=(START_MS, True)))]
            for step in (
                script.clear("one", ["segstream:meta"]),
                script.fill("one", customers),
                script.finish("one", {0: 0}, is_empty=False),
            ):
                with pytest.raises(RefusedError):
                    await step
            with pytest.raises(RefusedError):
                await session.apply([line("c1", 1, "entered", "buyers", START_MS)])
            await script.clear("two", [f"segstream:customer:{i}" for i in range(2_500)])
            await script.finish("two", {0: 0}, is_empty=True)

    asyncio.run(play())
    with client_of(redis_server) as client:
        there = found(client)
        assert client.hget("segstream:meta", "filling") is None
    assert there["members"] == {}
    assert there["history_from_ms"] == 0
