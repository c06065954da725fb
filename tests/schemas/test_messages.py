"""What workers write fits the schemas, and the schemas take nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonschema
import pytest

from stream.contract import CUSTOMER_ID_LENGTH, TOPICS
from stream.events.reasons import Code
from stream.kafka.topics import CUSTOMER_ERASURES, DEAD_LETTERS, MEMBERSHIPS, SEGMENT_CHANGES
from stream.worker.erasures import parse_request
from stream.worker.interfaces import StoredRecord
from stream.worker.letters import BAD_ERASURE, WRONG_PARTITION, dead_letter
from stream.worker.settings import Limits
from tests.docs.test_docs_examples import schema
from tests.worker.simulation import simulate

#: Simulated worlds in which all kinds of messages are written.
WORLDS = range(40)


@lru_cache
def judge(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema(name), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


def fits(value: object, name: str) -> bool:
    valid: bool = judge(name).is_valid(value)
    return valid


@lru_cache(maxsize=1)
def written() -> dict[str, list[StoredRecord]]:
    """All that owners of partitions write in the worlds, by topic."""
    found: dict[str, list[StoredRecord]] = {}
    for seed in WORLDS:
        simulation, problem = simulate(seed)
        assert problem is None
        for topic, log in simulation.broker.logs.items():
            found.setdefault(topic, []).extend(log.history)
    return found


def texts(record: StoredRecord) -> Mapping[str, str]:
    """A record's headers as its schema describes them."""
    assert len({name for name, _ in record.headers}) == len(record.headers), "each once"
    return {name: value.decode() for name, value in record.headers}


# --- what workers write -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", [SEGMENT_CHANGES, "busy-topic", "mail-topic"])
def test_changes_and_their_headers_fit(topic: str) -> None:
    for record in written()[topic]:
        change = json.loads(record.value or b"")
        judge("segment-change").validate(change)
        headers = texts(record)
        judge("segment-change-headers").validate(headers)
        assert record.key == change["customer_id"].encode()
        assert headers["ce_id"] == change["id"]
        assert headers["ce_type"].endswith(f".{change['change']}")
        assert headers["ce_time"] == change["at"]


def test_all_kinds_of_changes_were_seen() -> None:
    changes = [json.loads(record.value or b"") for record in written()[SEGMENT_CHANGES]]
    seen = {(change["change"], change["cause"]) for change in changes}
    assert seen >= {
        *((change, cause) for change in ("entered", "exited") for cause in ("event", "timer")),
        ("exited", "definitions"),
        ("exited", "erasure"),
        ("erased", "erasure"),
    }


def test_memberships_fit() -> None:
    seen = set()
    for record in written()[MEMBERSHIPS]:
        if record.value is None:
            seen.add("tombstone")
            continue
        membership = json.loads(record.value)
        judge("membership").validate(membership)
        assert record.key == membership["customer_id"].encode()
        seen |= {"member" if membership["segments"] else "nowhere"}
        seen |= {f"holdout {segment['holdout']}" for segment in membership["segments"].values()}
    assert seen == {"tombstone", "member", "nowhere", "holdout True", "holdout False"}


def test_dead_letters_fit() -> None:
    seen = set()
    for record in written()[DEAD_LETTERS]:
        headers = texts(record)
        judge("dead-letter-headers").validate(headers)
        seen |= {headers["source_topic"], headers["code"], *headers}
    assert seen >= {*TOPICS.values(), CUSTOMER_ERASURES, BAD_ERASURE, Code.NOT_JSON, "source_value"}


@pytest.mark.parametrize("key", [b"k" * 11, b"ada", None])
@pytest.mark.parametrize("value", [b"v" * 11, b"{}", b"", None])
@pytest.mark.parametrize("timestamp_ms", [-1, 5])
def test_letters_that_are_cut_off_fit(key: bytes | None, value: bytes | None, timestamp_ms: int) -> None:
    limits = Limits(letter_bytes=10, letter_kept_bytes=5)
    record = StoredRecord(0, timestamp_ms, key, value)
    headers = dead_letter("clicks", 0, record, WRONG_PARTITION, "ü \udcff", limits).headers
    found = texts(StoredRecord(0, 0, None, None, headers))
    judge("dead-letter-headers").validate(found)
    assert ("source_bytes" in found) == (value is not None and len(value) > 10)
    assert ("source_value" in found) == (value is None)


def test_every_code_of_a_refusal_is_known() -> None:
    known = schema("dead-letter-headers")["properties"]["code"]["enum"]
    assert known == [*Code, WRONG_PARTITION, BAD_ERASURE]
    assert schema("dead-letter-headers")["properties"]["source_topic"]["enum"] == [*TOPICS.values(), CUSTOMER_ERASURES]


# --- what workers read ------------------------------------------------------------------------------------------------

VALUES: list[Any] = [
    {},
    {"timestamp": 0},
    {"timestamp": 253_402_300_799_999},
    {"timestamp": "2025-10-09T09:36:15Z"},
    {"timestamp": "2025-10-09T09:36:15.123456+02:00", "by": "ada"},
    {"timestamp": -1},
    {"timestamp": 253_402_300_800_000},
    {"timestamp": 1.5},
    {"timestamp": True},
    {"timestamp": None},
    {"timestamp": "soon"},
    {"timestamp": "2025-10-09"},
    {"timestamp": [1]},
    [1],
    "ada",
    None,
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_requests_to_forget_are_taken_as_their_schema_says(value: object) -> None:
    record = StoredRecord(0, 7, b"ada", json.dumps(value).encode())
    try:
        parse_request(record)
        taken = True
    except ValueError:
        taken = False
    assert fits(value, "customer-erasure") == taken


def test_an_empty_request_needs_no_schema() -> None:
    for value in (b"", None):
        assert parse_request(StoredRecord(0, 7, b"ada", value)).instant_ms == 7


# --- the schemas can say no -------------------------------------------------------------------------------------------

ERASED = schema("segment-change")["examples"][1]
MEMBER = schema("membership")["examples"][0]
CUSTOMER = schema("customer")["examples"][0]
WHY = CUSTOMER["why"][0]
WORKER = schema("worker")["examples"][0]
LETTER = schema("dead-letter-headers")["examples"][0]
HEADERS = schema("segment-change-headers")["examples"][0]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("segment-change", ERASED, {"segment": "big_spender"}),
        ("segment-change", ERASED, {"cause": "timer"}),
        ("segment-change", ERASED, {"event_id": "e1"}),
        ("segment-change", ERASED, {"change": "exited"}),
        ("segment-change", ERASED, {"change": "entered", "segment": "big_spender"}),
        ("segment-change", ERASED, {"values": {"count(click)": 1}}),
        ("segment-change", ERASED, {"quiet": True}),
        ("membership", MEMBER, {"sequence": -1}),
        ("membership", MEMBER, {"segments": {"Big": MEMBER["segments"]["cart_abandoner"]}}),
        ("membership", MEMBER, {"segments": {"big": {"since": "2025-10-09T09:36:15Z", "holdout": False}}}),
        ("membership", MEMBER, {"segments": {"big": {"since": "2025-10-09T09:36:15.000Z"}}}),
        ("membership", MEMBER, {"customer_id": "x" * (CUSTOMER_ID_LENGTH + 1)}),
        ("customer", CUSTOMER, {"at": "2025-10-09T09:36:15Z"}),
        ("customer", CUSTOMER, {"clock": None}),
        ("customer", CUSTOMER, {"next_timer": "never"}),
        ("customer", CUSTOMER, {"memberships": {"big": {"since": "2025-10-09T09:36:15.000Z"}}}),
        ("customer", CUSTOMER, {"features": {"count(click)": [1]}}),
        ("customer", CUSTOMER, {"offsets": {"clicks": 1}}),
        ("customer", CUSTOMER, {"offsets": {"clicks": -1, "purchases": None, "emails": None}}),
        ("customer", CUSTOMER, {"worker": None}),
        ("customer", CUSTOMER, {"why": [{"segment": "big"}]}),
        ("customer", CUSTOMER, {"why": [{**WHY, "enter": []}]}),
        ("customer", CUSTOMER, {"why": [{**WHY, "enter": [{"truth": True}]}]}),
        ("customer", CUSTOMER, {"why": [{**WHY, "enter": [{"truth": True, "op": "and", "parts": []}]}]}),
        ("customer", CUSTOMER, {"why": [{**WHY, "exit": [{"truth": None, "op": "or", "parts": WHY["enter"]}]}]}),
        ("customer", CUSTOMER, {"why": [{**WHY, "held": {"by": "mood", "until": None, "reason": "bad"}}]}),
        ("worker", WORKER, {"at_ms": -1}),
        ("worker", WORKER, {"url": 7}),
        ("worker", WORKER, {"change_delay_ms": None}),
        ("worker", WORKER, {"partitions": [{**WORKER["partitions"][0], "phase": "lost"}]}),
        ("dead-letter-headers", LETTER, {"code": "bad_mood"}),
        ("dead-letter-headers", LETTER, {"source_topic": "memberships"}),
        ("dead-letter-headers", LETTER, {"source_offset": "-1"}),
        ("dead-letter-headers", LETTER, {"source_value": "null", "source_bytes": "5"}),
        ("segment-change-headers", HEADERS, {"ce_type": "entered"}),
        ("segment-change-headers", HEADERS, {"ce_id": "7"}),
    ],
)
def test_what_does_not_fit(name: str, good: dict[str, Any], bad: dict[str, Any]) -> None:
    assert fits(good, name)
    assert not fits({**good, **bad}, name)
    for required in schema(name)["required"]:
        assert not fits({key: value for key, value in good.items() if key != required}, name)
