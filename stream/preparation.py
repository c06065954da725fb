"""Getting compiled code ready: from its cache, or by compiling it, which takes some seconds once a machine."""

from __future__ import annotations

from typing import Final

import numpy as np

from stream.contract import Kind
from stream.engine import preview
from stream.engine.instant_texts import format_instants
from stream.engine.partition import Partition
from stream.engine.plan import Plan
from stream.events.bytestrings import Bytestrings
from stream.events.decoder import Decoder
from stream.worker.partitioning import partitions_of

_EVENT: Final = b'{"event_id":"e","customer_id":"c","timestamp":0,"action":"page_view"}'


def prepare_looks(plan: Plan) -> None:
    """Loads what is compiled for looking at customers, and for previews of drafts: nothing that events run through."""
    Partition(plan).prepare_portraits()
    preview.prepare(plan)


def prepare(plan: Plan) -> None:
    """Loads all compiled code that events run through, or compiles it where it is not kept yet."""
    partition = Partition(plan)
    partition.prepare()
    # What every event runs through: the same code serves any definitions.
    keys = Bytestrings.of([b"c"])
    partitions_of(keys, 1)
    event, _ = Decoder(plan.wanted).decode(Kind.CLICK, Bytestrings.of([_EVENT]), np.zeros(1, np.int64), keys)
    assert len(event) == 1, "the contract has an event that is as small as can be"
    if plan.personas is not None:
        partition.vectors(np.zeros(0, np.int64), 0)
    partition.apply(event)
    Partition(plan).restore(partition.snapshot())
    format_instants(event.time_ms)
