"""Which segments read something that has changed: a mask in the working memory. Compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.compiled import pasted
from stream.engine import opcodes as op

Ints = npt.NDArray[np.int64]


@pasted
def nothing_touched(plan: Ints, work: Ints) -> None:
    """Begins anew."""
    for k in range(work[op.W_TOUCHED], work[op.W_TOUCHED] + plan[op.P_MASK_WORDS]):
        work[k] = 0


@pasted
def touch(plan: Ints, work: Ints, thing: int) -> None:
    """Notes the segments that read ``thing``, by its number in ``P_READERS``, which has changed."""
    words = plan[op.P_MASK_WORDS]
    for k in range(words):
        work[work[op.W_TOUCHED] + k] |= plan[plan[op.P_READERS] + thing * words + k]


@pasted
def is_touched(work: Ints, s: int) -> bool:
    """Whether anything has changed that segment ``s`` reads."""
    return bool(work[work[op.W_TOUCHED] + s // op.MASK_BITS] >> s % op.MASK_BITS & 1)
