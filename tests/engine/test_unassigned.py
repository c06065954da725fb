"""Rows that wait for a model: each is taken once, whoever takes it."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from stream.engine.unassigned import Unassigned


@pytest.mark.parametrize("seed", range(200))
def test_every_row_is_taken_once(seed: int) -> None:
    random = Random(seed)
    unassigned = Unassigned()
    for at_ms in (5, 9):
        rows = sorted(random.sample(range(60), random.randrange(40)))
        unassigned.begin(np.array(rows, dtype=np.int64), at_ms)
        assert unassigned.at_ms == at_ms
        taken: list[int] = []
        while len(unassigned):
            assert len(unassigned) == len(rows) - len(taken)
            match random.randrange(3):
                case 0:
                    most = random.randrange(1, 9)
                    found = unassigned.take_next(most).tolist()
                    assert len(found) == min(most, len(rows) - len(taken))
                    assert found == sorted(found)
                case 1:
                    asked = [random.randrange(80) for _ in range(random.randrange(6))]
                    found = unassigned.take(np.array(asked, dtype=np.int64)).tolist()
                    assert found == sorted({*asked} & {*rows} - {*taken})
                case _:
                    row = random.randrange(80)
                    unassigned.forget(row)
                    found = [row] if row in rows and row not in taken else []
            taken += found
        assert sorted(taken) == rows
        assert not len(unassigned.take(np.array([1, 2])))
        assert not len(unassigned.take_next(3))
