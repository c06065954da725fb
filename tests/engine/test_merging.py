"""Three topics merged by time: against a plain merge that looks at the first event of each, one at a time."""

from __future__ import annotations

import random
from collections import deque

import numpy as np
import orjson
import pytest

from stream.contract import Kind
from stream.engine.merging import Merger
from stream.engine.plan import compile_plan
from stream.events.columns import Columns
from stream.events.decoder import Decoder
from stream.language.checker import load

DEFINITIONS = b"""
version: 1
segments:
  busy: {enter: 'count(click, 1h) >= 2 or exists(trait("plan")) or last(click.device) == "phone"'}
"""
DECODER = Decoder(compile_plan(load(DEFINITIONS, "merge.yaml")).wanted)


def decoded(kind: Kind, entries: list[tuple[int, str]]) -> Columns:
    """Events with these timestamps and ids."""
    by_kind: dict[Kind, dict[str, object]] = {
        Kind.CLICK: {"action": "page_view"},
        Kind.PURCHASE: {"total": 1},
        Kind.EMAIL: {"action": "opened"},
    }
    extra = by_kind[kind]
    messages = [
        orjson.dumps(
            {"event_id": name, "customer_id": "c", "timestamp": t, "order_id": name, "traits": {"plan": name}, **extra}
        )
        for t, name in entries
    ]
    columns, rejected = DECODER.decode(kind, messages)
    assert not rejected
    return columns


class PlainMerge:
    """The rule itself: the earliest of the first events, while no topic that is behind is empty."""

    def __init__(self) -> None:
        self.queues: dict[Kind, deque[tuple[int, str]]] = {kind: deque() for kind in Kind}
        self.behind = dict.fromkeys(Kind, True)

    def take(self, until_ms: int | None) -> list[str]:
        out = []
        while not any(self.behind[kind] and not self.queues[kind] for kind in Kind):
            heads = [(self.queues[kind][0][0], kind) for kind in Kind if self.queues[kind]]
            if not heads or (until_ms is not None and min(heads)[0] > until_ms):
                break
            out.append(self.queues[min(heads)[1]].popleft()[1])
        return out


@pytest.mark.parametrize("seed", range(300))
def test_merges_like_the_plain_rule(seed: int) -> None:
    r = random.Random(seed)
    merger, plain = Merger(), PlainMerge()
    count, offsets = 0, dict.fromkeys(Kind, 0)
    until = r.choice([None, None, 30])
    for _ in range(r.randrange(1, 12)):
        kind = r.choice(list(Kind))
        match r.randrange(4):
            case 0 | 1:
                entries = []
                for _ in range(r.randrange(6)):
                    entries.append((r.randrange(40), f"e{count}"))
                    count += 1
                start = offsets[kind]
                offsets[kind] += len(entries)
                merger.push(kind, decoded(kind, entries), np.arange(start, offsets[kind]))
                plain.queues[kind].extend(entries)
            case 2:
                plain.behind[kind] = r.random() < 0.4
                merger.set_behind(kind, behind=plain.behind[kind])
            case 3:
                taken = merger.take(until)
                assert ([] if taken is None else taken[0].event_ids()) == plain.take(until)
                if taken is not None:
                    columns, places = taken
                    assert len(places) == len(columns)
                    carried = [(columns.event_ids()[i], value) for i, _, value in columns.trait_values()]
                    assert carried == [(name, name) for name in columns.event_ids()]
                    for each in Kind:
                        own = places[columns.kind == each]
                        assert (np.diff(own) == 1).all()
        assert len(merger) == sum(map(len, plain.queues.values()))
    assert merger.caught_up == (not any(plain.queues.values()) and not any(plain.behind.values()))
    merger.clear()
    assert not len(merger)
    assert not merger.caught_up


def test_a_click_read_early_waits_for_a_purchase_that_may_be_earlier() -> None:
    merger = Merger()
    merger.push(Kind.CLICK, decoded(Kind.CLICK, [(10, "click")]), np.array([0]))
    merger.set_behind(Kind.EMAIL, behind=False)
    assert merger.take() is None
    merger.push(Kind.PURCHASE, decoded(Kind.PURCHASE, [(5, "purchase")]), np.array([0]))
    taken = merger.take()
    assert taken is not None
    assert taken[0].event_ids() == ["purchase"]
    assert merger.waiting(Kind.CLICK) == 1
    merger.set_behind(Kind.PURCHASE, behind=False)
    merger.set_behind(Kind.CLICK, behind=False)
    taken = merger.take()
    assert taken is not None
    assert taken[0].event_ids() == ["click"]
    assert merger.caught_up
