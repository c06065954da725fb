"""The week of a shop: how busy each hour is, and a clock that runs at that pace.

Visits are a Poisson process whose rate follows the hour of the day and the weekday. It is drawn by warping time:
on the clock of *busy hours*, which passes quickly in the evening and slowly at night, the rate is constant, so waits
are exponential (Çinlar, Introduction to Stochastic Processes, 1975, section 4.7). A week has 168 busy hours.
"""

from __future__ import annotations

import numpy as np

from stream.simulate.draws import Floats

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_HOURS = 168
FIRST_MONDAY_MS = 4 * DAY_MS  # 1970-01-05; the epoch is a Thursday

# fmt: off
#: Relative traffic of the hours of a local day: a lunch peak, a higher one in the evening.
HOUR_WEIGHTS = (12, 7, 4, 3, 3, 5, 12, 25, 40, 50, 56, 60, 66, 62, 56, 56, 60, 68, 80, 96, 104, 92, 60, 28)
# fmt: on
#: Relative traffic of the weekdays, Monday first: Sunday evening on the sofa wins.
WEEKDAY_WEIGHTS = (104, 98, 96, 94, 88, 96, 124)

_weights = np.array([day * hour for day in WEEKDAY_WEIGHTS for hour in HOUR_WEIGHTS], dtype=np.float64)
_pace: Floats = _weights * (WEEK_HOURS / (sum(WEEKDAY_WEIGHTS) * sum(HOUR_WEIGHTS)))
_passed: Floats = np.concatenate([np.zeros(1), np.cumsum(_pace)])
_passed[-1] = WEEK_HOURS  # the running sum may miss it by a rounding


def busy_hours(local_ms: Floats) -> Floats:
    """Busy hours from the first Monday of 1970 to instants of local time (milliseconds).

    >>> float(busy_hours(np.array([FIRST_MONDAY_MS + 168 * 3600e3]))[0])
    168.0
    """
    hours = (local_ms - FIRST_MONDAY_MS) / HOUR_MS
    week = np.floor(hours / WEEK_HOURS)
    within = np.clip(hours - week * WEEK_HOURS, 0.0, WEEK_HOURS)
    hour = np.minimum(within.astype(np.int64), WEEK_HOURS - 1)
    passed: Floats = week * WEEK_HOURS + _passed[hour] + (within - hour) * _pace[hour]
    return passed


def instant_of(busy: Floats) -> Floats:
    """The instants of local time (milliseconds) at which so many busy hours have passed; undoes ``busy_hours``.

    >>> float(instant_of(busy_hours(np.array([1.7e12])))[0])
    1700000000000.0
    """
    week = np.floor(busy / WEEK_HOURS)
    within = busy - week * WEEK_HOURS
    hour = np.clip(np.searchsorted(_passed, within, side="right") - 1, 0, WEEK_HOURS - 1)
    hours: Floats = week * WEEK_HOURS + hour + (within - _passed[hour]) / _pace[hour]
    return hours * HOUR_MS + FIRST_MONDAY_MS
