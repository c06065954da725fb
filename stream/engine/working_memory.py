"""The kernel's working memory, and what it wrote there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.engine import opcodes as op
from stream.engine.plan import Plan

Ints = npt.NDArray[np.int64]


class WorkingMemory:
    """One array of words for the kernel: its stacks, and room for changes with their evidence.

    At least ``changes`` changes with ``pieces`` pieces of evidence fit in, and always those of one evaluation.
    """

    def __init__(self, plan: Plan, changes: int, pieces: int) -> None:
        changes += int(plan.arrays.numbers[op.P_CHANGES_MOST])
        pieces += int(plan.arrays.numbers[op.P_EVIDENCE_MOST])
        parts = {
            op.W_STACK: 3 * plan.stack_depth,
            op.W_HITS: plan.filter_count,
            op.W_BITS: plan.filter_depth,
            op.W_TOUCHED: int(plan.arrays.numbers[op.P_MASK_WORDS]),
            op.W_VECTOR: op.VECTOR_COLUMNS * len(plan.personas.features) if plan.personas else 0,
            op.W_CHANGES: op.O_COLUMNS * changes,
            op.W_PIECES: 2 * pieces,
        }
        self.words: Ints = np.zeros(op.W_HEADER + sum(parts.values()), dtype=np.int64)
        self.words[op.W_CHANGES_MOST] = changes
        self.words[op.W_PIECES_MOST] = pieces
        place = op.W_HEADER
        for part, size in parts.items():
            self.words[part] = place
            place += size

    def clear(self) -> None:
        """Forgets what the kernel wrote."""
        self.words[op.W_CHANGES_USED] = 0
        self.words[op.W_PIECES_USED] = 0

    def changes(self) -> Ints:
        """A copy of the changes written: (O_COLUMNS, n)."""
        place, count = self.words[op.W_CHANGES], self.words[op.W_CHANGES_USED]
        return self.words[place : place + op.O_COLUMNS * count].reshape(count, op.O_COLUMNS).T.copy()

    def evidence(self) -> tuple[Ints, npt.NDArray[np.float64]]:
        """Copies of the types and the values of the evidence written: (pieces,) each."""
        place, count = self.words[op.W_PIECES], self.words[op.W_PIECES_USED]
        pieces = self.words[place : place + 2 * count].reshape(count, 2)
        return pieces[:, 0].copy(), pieces[:, 1].copy().view(np.float64)
