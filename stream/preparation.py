"""Getting compiled code ready: from its cache, or by compiling it, which takes some seconds once a machine."""

from __future__ import annotations

import numpy as np

from stream.contract import Kind
from stream.engine.partition import Partition
from stream.engine.plan import Plan
from stream.events.bytestrings import Bytestrings
from stream.events.columns import Wanted
from stream.events.decoder import Decoder
from stream.worker.partitioning import partitions_of


def prepare(plan: Plan) -> None:
    """Loads all compiled code, or compiles it where it is not kept yet."""
    Partition(plan).prepare()
    # The same code reads events for any definitions.
    nothing = Bytestrings.of([])
    Decoder(Wanted({})).decode(Kind.CLICK, nothing, np.zeros(0, np.int64), nothing)
    partitions_of(nothing, 1)
