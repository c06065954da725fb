"""What a worker counts of its changes is what comes out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest

from stream.engine.changes import Changes
from stream.engine.partition import Clock
from stream.events.decoder import Decoder
from stream.live.counting import CountingPartition
from stream.live.status import Counters
from tests.engine.driver import plan_of, through_bytes
from tests.engine.test_engine_personas import centres
from tests.strategies import random_case_with_personas


def told(parts: Iterable[Changes]) -> Counter[tuple[str, str, str]]:
    changes = [change for part in parts for change in part.items]
    return Counter((change.segment, change.change, change.cause) for change in changes)


@pytest.mark.parametrize("clock", Clock)
def test_all_changes_are_counted_once(clock: Clock) -> None:
    seen: set[tuple[str, str]] = set()
    for seed in range(40):
        file, events, _, models = random_case_with_personas(Random(seed))
        plan, counters = plan_of(file), Counters()
        assert plan.personas is not None
        partition = CountingPartition(plan, clock, 0, counters)
        decoder = Decoder(plan.wanted)
        parts: list[Changes] = []
        lines = [json.dumps(event).encode() for event in events]
        for start in range(0, len(lines), 10):
            columns, _ = decoder.decode_mixed(lines[start : start + 10])
            parts.append(partition.apply(columns).changes)
            if models and len(columns):
                model = models.pop(0)
                parts += partition.begin_model(centres(model, len(parts), plan.personas.features))
                while partition.is_assigning:
                    parts.append(partition.go_on_assigning())
        parts += partition.advance_in_groups(partition.latest_ms + 40 * 86_400_000)
        assert counters.changes == told(parts)

        recounted = Counters()
        others = {"other": {"enter": "count(click) >= 1"}}
        anew = CountingPartition(plan_of({**file, "segments": others}), clock, 0, recounted)
        anew.restore(through_bytes(partition.snapshot()))
        redefined = [anew.redefine(allow_empty=True)]
        assert recounted.changes == told(redefined)
        seen |= {(change, cause) for _, change, cause in told([*parts, *redefined])}
    assert {cause for _, cause in seen} == {"event", "timer", "model", "definitions"}
    assert ("exited", "definitions") in seen
