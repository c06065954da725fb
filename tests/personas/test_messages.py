"""Samples of customers on the wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.errors import SamplesError
from stream.personas.messages import parse_samples, samples_value

SCHEMA = Path(__file__).parents[2] / "schemas" / "profile-samples.schema.json"
FEATURES, RANKED = ("count(purchase, 30d)", "last(purchase)"), ("avg(purchase.total)",)
AT_MS = 1_772_341_200_000


def value(rows: list[list[float]]) -> bytes:
    return samples_value(AT_MS, 3, FEATURES, RANKED, np.array(rows).reshape(len(rows), 3))


def test_samples_are_written_as_the_schema_shows_them() -> None:
    (example,) = json.loads(SCHEMA.read_text(encoding="utf-8"))["examples"]
    assert json.loads(value([[2.0, 5.25, 40.5], [0.0, 0.0, np.nan]])) == example
    assert b"[2,0]" in value([[2.0, 5.25, 40.5], [0.0, 0.0, np.nan]])  # whole numbers have no point


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [[1.0, -3.0, np.nan]],
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
        [[0.5, 2.0**53, -(2.0**60)], [4.0, 1e300, 1e-300]],
    ],
)
def test_samples_are_read_as_they_were_written(rows: list[list[float]]) -> None:
    samples = parse_samples(value(rows))
    assert (samples.at_ms, samples.partition, samples.features, samples.ranked) == (AT_MS, 3, FEATURES, RANKED)
    assert len(samples) == len(rows)
    np.testing.assert_array_equal(samples.array(), np.array(rows).reshape(len(rows), 3))


@pytest.mark.parametrize("columns", [[[1], [2]], [[1, 2], [3], [4, 5]], [[1], [2], ["3"]], [[1], [2], [3], [4]], 7])
def test_columns_that_do_not_fit_are_refused(columns: Any) -> None:
    record = {**json.loads(value([])), "columns": columns}
    with pytest.raises(SamplesError, match="not samples of customers"):
        parse_samples(json.dumps(record).encode())
