"""Getting compiled code ready: from its cache, or by compiling it, which takes some seconds once a machine."""

from __future__ import annotations

from stream.engine.partition import Partition
from stream.engine.plan import Plan
from stream.events.columns import Wanted
from stream.events.decoder import Decoder


def prepare(plan: Plan) -> None:
    """Loads all compiled code, or compiles it where it is not kept yet."""
    Partition(plan).prepare()
    Decoder(Wanted({})).decode_mixed([])  # the same code reads events for any definitions
