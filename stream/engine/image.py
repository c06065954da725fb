"""A partition's memory as arrays: written and read as they are, by the very plan and program that made them.

Rows on the wire (`stream.engine.snapshot`) can be read by other definitions and later programs; an image can't, and is
there in a fraction of the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from stream.compiled import sources_digest
from stream.contract import hash64
from stream.engine.plan import Plan
from stream.events.bytewise import Bytes

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TextImage:
    """A `TextIndex`: of each number ever given the text's hash64 and span, (n,); the bytes; and the free numbers."""

    hashes: Ints
    spans: Ints
    arena: Bytes
    free: npt.NDArray[np.int32]

    @property
    def arrays(self) -> tuple[npt.NDArray[np.generic], ...]:
        return self.hashes, self.spans, self.arena, self.free


@dataclass(frozen=True)
class Image:
    """A `Partition`: its clocks, its rows in their blocks (each (n, words)), their timers (n,), texts and customers.

    ``fingerprint`` is that of the plan; see `fingerprint_of`.
    """

    fingerprint: int
    stream_ms: int
    latest_ms: int
    blocks: tuple[Ints, ...]
    due: Ints
    customers: TextImage
    texts: TextImage


def fingerprint_of(plan: Plan) -> int:
    """Differs where rows or codes of texts might mean something else: in other definitions, or another program."""
    texts = [*plan.pool_texts, *(repr(test) for test in plan.pool_tests)]
    said = [sources_digest(), plan.definitions_hash, plan.layout.id, len(plan.template), texts]
    return hash64(msgspec.json.encode(said).decode())
