"""Instants beyond what 32 bits of seconds hold, and fields that are declared anew with another type."""

from __future__ import annotations

import orjson

from stream.engine.partition import Partition
from stream.engine.plan import compile_plan
from stream.events.decoder import Decoder
from stream.instants import parse_instant
from stream.language.checker import load


def partition_of(definitions: dict[str, object]) -> tuple[Partition, Decoder]:
    plan = compile_plan(load(orjson.dumps(definitions), "test.yaml"))
    return Partition(plan), Decoder(plan.wanted)


def event(number: int, at: str, **fields: object) -> bytes:
    common = {"event_id": f"e{number}", "customer_id": "c", "timestamp": at}
    return orjson.dumps({**common, **fields})


def test_a_timer_after_2106_is_not_lost_when_another_event_passes_the_segment_over() -> None:
    partition, decoder = partition_of(
        {
            "version": 1,
            "segments": {
                "long_gone": {"enter": "since(last(purchase)) >= 3650d"},
                "clicked": {"enter": "count(click) >= 1"},
            },
        }
    )
    lines = [
        event(1, "2099-01-01T00:00:00Z", type="purchase", order_id="o", total=1),
        event(2, "2099-01-02T00:00:00Z", type="click", action="page_view"),
        event(3, "2107-01-02T00:00:00Z", type="click", action="page_view"),
    ]
    for line in lines:
        partition.apply(decoder.decode_mixed([line])[0])
    changes = partition.advance(parse_instant("2120-01-01T00:00:00Z")).items
    assert [(change.segment, change.at) for change in changes] == [("long_gone", "2108-12-30T00:00:00.000Z")]


def test_a_field_declared_anew_with_another_type_starts_without_its_old_values() -> None:
    def definitions(type_: str) -> dict[str, object]:
        condition = "exists(last(click.score)) or distinct(click.score) >= 1 or exists(first(click.score))"
        return {
            "version": 1,
            "fields": {"click": {"score": type_}},
            "segments": {"scored": {"enter": condition}},
        }

    values: dict[str, object] = {"number": 7, "text": "seven", "boolean": True}
    for before, value in values.items():
        for after in values:
            old, decoder = partition_of(definitions(before))
            line = event(1, "2024-01-01T00:00:00Z", type="click", action="page_view", score=value)
            assert len(old.apply(decoder.decode_mixed([line])[0]).changes) == 1
            new, _ = partition_of(definitions(after))
            new.restore(old.snapshot())
            changes = new.redefine(allow_empty=True).items
            if before == after:
                assert changes == []
                continue
            assert [(change.change, change.cause) for change in changes] == [("exited", "definitions")]
            assert changes[0].values == {
                "last(click.score)": None,
                "distinct(click.score)": 0,
                "first(click.score)": None,
            }
