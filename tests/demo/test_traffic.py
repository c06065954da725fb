"""The shop's traffic: the same for the same seed, without end, and at its pace."""

from __future__ import annotations

from itertools import islice

from stream.demo.traffic import DAY_MS, Coming, Pace, Traffic, instant_of
from stream.simulate import DEFAULT_START_MS

START = DEFAULT_START_MS


def _traffic(seed: int = 0) -> Traffic:
    return Traffic(50, 2, START, seed)


def test_the_first_days_come_at_once_and_all_else_after_them() -> None:
    traffic = _traffic()
    filled = [instant_of(line) for chunk in traffic.filling() for line in chunk]
    assert filled == sorted(filled)
    assert filled[0] >= START
    assert filled[-1] < traffic.filled_ms == START + 2 * DAY_MS
    assert abs(len(filled) - traffic.events_expected) < 0.5 * traffic.events_expected
    following = [at_ms for at_ms, _ in islice(traffic.following(), 3_000)]
    assert following == sorted(following)
    assert following[0] >= traffic.filled_ms
    assert following[-1] > traffic.filled_ms + 6 * DAY_MS  # of several rounds


def test_a_seed_says_what_happens() -> None:
    first = [line for chunk in _traffic().filling() for line in chunk]
    assert first == [line for chunk in _traffic().filling() for line in chunk]
    assert first != [line for chunk in _traffic(1).filling() for line in chunk]
    following = list(islice(_traffic().following(), 500))
    assert following == list(islice(_traffic().following(), 500))


def test_no_event_comes_twice() -> None:
    lines = [line for _, line in islice(_traffic().following(), 3_000)]
    assert len({line.split(b'"event_id":"')[1][:16] for line in lines}) == len(lines)


def _every(gap_ms: int) -> Coming:
    return Coming((START + gap_ms * i, b"%d" % i) for i in range(10**9))


def test_time_goes_on_at_its_speed() -> None:
    pace, coming = Pace(START, 60, 1_000), _every(1_000)
    assert len(pace.due(coming, 2.0, START + DAY_MS)) == 120
    assert pace.shop_ms == START + 120_000
    assert pace.due(coming, 2.0, START + DAY_MS)[0] == b"120"


def test_the_rate_is_bounded_and_nothing_is_left_out() -> None:
    pace, coming = Pace(START, 60, 10), _every(100)
    sent = [line for _ in range(5) for line in pace.due(coming, 2.0, START + DAY_MS)]
    assert sent == [b"%d" % i for i in range(100)]
    assert pace.shop_ms == START + 9_900


def test_the_shop_is_never_ahead_of_the_present() -> None:
    pace, coming = Pace(START, 60, 1_000), _every(1_000)
    assert len(pace.due(coming, 2.0, START + 5_000)) == 5
    assert pace.due(coming, 2.0, START + 5_000) == []
    assert pace.shop_ms == START + 5_000
