"""Instants: RFC 3339 text to milliseconds and back."""

from __future__ import annotations

import json
import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contract import LAST_INSTANT, Kind
from stream.engine.instant_texts import format_instants
from stream.events.columns import Wanted
from stream.events.decoder import Decoder
from stream.instants import (
    format_instant,
    parse_instant,
    parse_time,
)
from tests.events.making import message

VALID = [
    ("1970-01-01T00:00:00Z", 0),
    ("1970-01-01T00:00:00.001Z", 1),
    ("1969-12-31T23:00:00-01:00", 0),
    ("1970-01-01T01:00:00+01:00", 0),
    ("2019-10-01T00:31:07Z", 1_569_889_867_000),
    ("2019-10-01t00:31:07z", 1_569_889_867_000),
    ("2019-10-01T02:31:07+02:00", 1_569_889_867_000),
    ("2019-09-30T19:01:07-05:30", 1_569_889_867_000),
    ("2019-10-01T00:31:07-00:00", 1_569_889_867_000),
    ("2019-10-01T00:31:07.1Z", 1_569_889_867_100),
    ("2019-10-01T00:31:07.12Z", 1_569_889_867_120),
    ("2019-10-01T00:31:07.123Z", 1_569_889_867_123),
    ("2019-10-01T00:31:07.123999999999Z", 1_569_889_867_123),
    ("2019-10-01T00:31:07.0009Z", 1_569_889_867_000),
    ("2020-02-29T00:00:00Z", 1_582_934_400_000),
    ("2000-02-29T23:59:59.999Z", 951_868_799_999),
    ("9999-12-31T23:59:59.999Z", LAST_INSTANT),
    ("9999-12-31T23:59:59.9999Z", LAST_INSTANT),
    ("9999-12-31T22:59:59.999-01:00", LAST_INSTANT),
]
INVALID = [
    "",
    "now",
    "2019-10-01",
    "2019-10-01T00:31:07",
    "2019-10-01 00:31:07Z",
    "2019-10-01T00:31Z",
    "2019-10-01T00:31:07.Z",
    "2019-10-01T00:31:07,5Z",
    "2019-10-01T00:31:07Z ",
    " 2019-10-01T00:31:07Z",
    "2019-10-01T00:31:07Z\n",
    "2019-10-01T00:31:07+0200",
    "2019-10-01T00:31:07+02",
    "2019-10-01T00:31:07+24:00",
    "2019-10-01T00:31:07+02:60",
    "2019-10-01T24:00:00Z",
    "2019-10-01T23:60:00Z",
    "2016-12-31T23:59:60Z",
    "2019-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2019-04-31T00:00:00Z",
    "2019-00-01T00:00:00Z",
    "2019-13-01T00:00:00Z",
    "2019-10-00T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "1969-12-31T23:59:59.999Z",
    "1970-01-01T00:59:59+01:00",
    "9999-12-31T23:59:59-00:01",
    "10000-01-01T00:00:00Z",
    "+2019-10-01T00:31:07Z",
    "19-10-01T00:31:07Z",
    "２０１９-10-01T00:31:07Z",
    "2019-10-01T00:31:0٧Z",
    "1569889867000",
]


def read(texts: list[str]) -> list[int]:
    """The timestamps of those of the texts that the decoder takes as one."""
    columns, _ = Decoder(Wanted({})).decode(Kind.EMAIL, [message(Kind.EMAIL, timestamp=text) for text in texts])
    times: list[int] = columns.time_ms.tolist()
    return times


@pytest.mark.parametrize(("text", "ms"), VALID)
def test_valid(text: str, ms: int) -> None:
    assert parse_instant(text) == ms
    assert parse_time(text) == ms
    assert read([text]) == [ms]
    assert parse_instant(format_instant(ms)) == ms


@pytest.mark.parametrize("text", INVALID)
def test_invalid(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_instant(text)
    assert read([VALID[0][0], text, VALID[1][0]]) == [0, 1]


def test_the_scanner_knows_the_calendar() -> None:
    texts, exist = [], []
    for year in (1969, 1970, 1972, 1999, 2000, 2001, 2004, 2100, 2399, 2400, 3000, 9996, 9999):
        for month in range(14):
            for day in range(33):
                texts.append(f"{year:04}-{month:02}-{day:02}T23:00:00.5+01:00")
                try:
                    parse_instant(texts[-1])
                except ValueError:
                    continue
                exist.append(texts[-1])
    assert len(exist) == 12 * 365 + 5
    assert read(texts) == [parse_instant(text) for text in exist]


@given(st.integers(0, LAST_INSTANT))
def test_there_and_back(ms: int) -> None:
    text = format_instant(ms)
    assert parse_instant(text) == ms
    assert format_instants(np.array([ms, 0, ms])) == [text, "1970-01-01T00:00:00.000Z", text]


def test_many_at_once() -> None:
    draw = random.Random(7)
    instants = [draw.randrange(LAST_INSTANT + 1) for _ in range(5000)]
    texts = format_instants(np.array(instants))
    assert texts == [format_instant(ms) for ms in instants]
    assert read(texts) == instants
    for length in (0, 1, 2, 6):
        cut = [f"{text[:19]}.{text[20:23]}{'9' * 6}"[: 20 + length].rstrip(".") + "Z" for text in texts]
        assert read(cut) == [parse_instant(text) for text in cut]
    assert format_instants(np.array([], np.int64)) == []


def test_every_day_of_four_centuries() -> None:
    days = np.arange(366 * 401, dtype=np.int64) * 86_400_000
    assert format_instants(days) == [format_instant(ms) for ms in days.tolist()]


@pytest.mark.parametrize("ms", [-1, LAST_INSTANT + 1])
def test_out_of_range(ms: int) -> None:
    with pytest.raises(ValueError, match="1970 to 9999"):
        format_instant(ms)
    with pytest.raises(ValueError, match="1970 to 9999"):
        format_instants(np.array([0, ms]))
    with pytest.raises(ValueError, match="milliseconds from 0"):
        parse_time(str(ms))


def test_what_a_user_types() -> None:
    assert parse_time(" 1569889867000 ") == 1_569_889_867_000
    assert parse_time("0") == 0
    for text in ("tomorrow", "1e3", "1.5", "9" * 5000, "٣", "--5", "1_000"):
        with pytest.raises(ValueError, match="milliseconds"):
            parse_time(text)


def test_reasons_name_the_fault() -> None:
    for text, reason in [
        ("2016-12-31T23:59:60Z", "leap seconds"),
        ("2019-02-29T00:00:00Z", "2019-02-29 is no day of the calendar"),
        ("2019-10-01T25:00:00Z", "25:00 is no time of day"),
        ("2019-10-01T00:31:07", "with a zone"),
        ("2019-10-01T00:31:07+25:00", "+25:00 is no offset"),
        ("1969-01-01T00:00:00Z", "1970 to 9999"),
    ]:
        with pytest.raises(ValueError, match=re.escape(reason)):
            parse_instant(text)
        assert json.dumps(text)
