"""The features of many rows, for whoever learns from them. Compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.compiled import as_float, compiled
from stream.engine import opcodes as op
from stream.engine.assignment import active_until, clustered, is_known, ranked
from stream.engine.kernel import AHEAD, MODEL, fetch, place_of

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]


@compiled
def read_vectors(
    plan: Ints,
    constants: Floats,
    pool: Words,
    work: Ints,
    blocks: tuple[Ints, ...],
    rows: Ints,
    now_ms: int,
    out: Floats,
) -> None:
    """Fills (rows, features and what is ranked) with each row's numbers at the later of ``now_ms`` and its clock.

    Numbers are as they are, of instants it is the age in days. Null is 0 among the features, NaN behind them; all of
    the row is NaN for who is not active.
    """
    p = plan[op.P_PERSONA]
    features = plan[p + op.PE_FEATURES]
    for i in range(rows.shape[0]):
        if i + AHEAD < rows.shape[0]:
            fetch(plan, blocks, rows[i + AHEAD], MODEL)  # a model reads the same
        block, place = place_of(rows[i])
        row = blocks[block][place]
        at_ms = max(now_ms, row[op.R_CLOCK])
        known = is_known(plan, row, at_ms)
        if known or at_ms < active_until(plan, p, row):
            for f in range(features):
                if known:
                    out[i, f] = as_float(row[plan[p + op.PE_DUE] + op.OWN_WORDS + features + f])
                else:
                    out[i, f] = clustered(plan, constants, pool, work, row, f, at_ms)
            for number in range(plan[p + op.PE_RANKS]):
                out[i, features + number] = ranked(plan, constants, pool, work, row, number, at_ms)
        else:
            for f in range(out.shape[1]):
                out[i, f] = np.nan
