"""A simulation of shop traffic: arguments in, JSON lines in order of arrival out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stream.contract import LAST_INSTANT
from stream.simulate.catalogue import Catalogue
from stream.simulate.customers import NEVER, Population
from stream.simulate.delivery import Delivery
from stream.simulate.draws import Draws, Floats, Ints
from stream.simulate.habits import HABIT_SETS, HabitSet
from stream.simulate.lines import Lines, Sources, Writer
from stream.simulate.mail import DORMANT_OPENS, Mail
from stream.simulate.scenarios import SCENARIOS, Scenario
from stream.simulate.season import DAY_MS
from stream.simulate.state import State
from stream.simulate.visits import BOUGHT, draw_visits

#: Monday, 6 January 2025, 00:00 UTC.
DEFAULT_START_MS = 1_736_121_600_000
DEFAULT_CUSTOMERS = 1_000
DEFAULT_DAYS = 30
DERIVED_DAYS_MAX = 365

CUSTOMERS_MAX = 20_000_000
DAYS_MAX = 3_660
EVENTS_MAX = 10**12

WINDOW_LINES = 24_000  # in the mean; a chunk has two or three times as many in the evening
WINDOW_MIN_MS = 1_000
PILOT_VISITS = 10_000
#: What cart reminders and win-back mails add to the others (measured).
REMINDERS_AND_WINBACK = 1.06


class Simulation:
    """Seeded traffic of a shop's customers.

    The same arguments give the same bytes, in any process and on any machine. What is given means:

    * nothing: 1,000 customers for 30 days;
    * ``customers`` and/or ``days`` (the other by default): these customers at their natural pace; events have
      timestamps in [``start_ms``, ``start_ms`` + ``days``), and as many lines come out as that makes;
    * ``events``: exactly so many lines, duplicates included, then the stream stops as if it was cut. Without
      ``customers`` there are as many as make about so many lines in ``days`` (30 by default), without ``days`` the
      customers given take as many days as they need, 1 to 365. The pace of the visits (and, where it has to be slow,
      the reach of the mails) is adapted so that the last line comes within a few per cent of the end of the period,
      before or after; for a few hundred lines chance may make it more.

    ``duplicates`` is the probability that an event arrives a second time, ``late`` that it arrives later than its
    timestamp says; see ``Delivery``. Without ``events`` they only rearrange and repeat the lines that come without
    them. The shop's catalogue is the same for every seed.

    ``habits`` is the name of a set of habits (``HABIT_SETS``), ``scenario`` what happens to some of them (``Scenario``)
    as ``scenario_day`` days are over, by default half of ``days``. The pace that ``events`` need is estimated as if
    nobody switched.

    Attributes: ``events`` (None if not given), ``customers``, ``days``, ``start_ms``, ``end_ms``, ``seed``,
    ``duplicates``, ``late``, ``scenario`` as resolved, ``lines_expected`` (an estimate unless ``events`` is given).

    Raises ``ValueError`` for arguments out of range, naming the argument.

    >>> lines = b"".join(Simulation(events=3, customers=2).chunks()).splitlines()
    >>> len(lines)
    3
    """

    def __init__(
        self,
        *,
        events: int | None = None,
        customers: int | None = None,
        days: int | None = None,
        start_ms: int = DEFAULT_START_MS,
        seed: int = 0,
        duplicates: float = 0.0,
        late: float = 0.0,
        habits: str = "shop",
        scenario: str = "none",
        scenario_day: int | None = None,
    ) -> None:
        _check_count("events", events, EVENTS_MAX)
        _check_count("customers", customers, CUSTOMERS_MAX)
        _check_count("days", days, DAYS_MAX)
        _check_share("duplicates", duplicates)
        _check_share("late", late)
        if seed < 0:
            raise ValueError(f"seed must be 0 or more, not {seed}")
        self.events, self.seed, self.duplicates, self.late = events, seed, duplicates, late
        _check_name("habits", habits, tuple(HABIT_SETS))
        _check_name("scenario", scenario, SCENARIOS)
        habit_set = HABIT_SETS[habits]
        originals = None if events is None else events / (1 + duplicates)
        self.customers, self.days = _population_and_period(originals, customers, days, habit_set)
        # A stream of so many lines may run past its period by a little; a year is more than that.
        last_start = LAST_INSTANT - (self.days + 365) * DAY_MS
        if not 0 <= start_ms <= last_start:
            raise ValueError(f"start_ms must be from 0 to {last_start} for {self.days} days, not {start_ms}")
        self.start_ms, self.end_ms = start_ms, start_ms + self.days * DAY_MS

        self._catalogue = Catalogue()
        self.scenario = _scenario(scenario, scenario_day, start_ms, self.days)
        self._population = Population(self.customers, start_ms, self.end_ms, seed, habit_set, self.scenario)
        by_visits, others = self._expect()
        natural = by_visits + others
        self._pace, self._reach = 1.0, 1.0
        # Counted without the duplicates, so that they leave the events as they are.
        self._originals_expected = natural if events is None else events / (1 + duplicates)
        self.lines_expected = self._originals_expected * (1 + duplicates)
        if events is not None:
            wanted = self._originals_expected
            self._pace = wanted / natural if wanted < natural else (wanted - others) / by_visits
            self._reach = min(1.0, wanted / natural)

    def truth(self) -> Iterator[bytes]:
        """The hidden parameters of every customer as JSON lines, in order of the ids.

        Fields: ``customer_id``, ``habit``, ``country``, ``device``, ``favourite_category``, ``arrived_at`` (ms; null
        if there before the start), ``alive_until`` (ms; null if beyond the end of the period: the customer begins no
        visit and opens no mail from then on), ``dormant_at_start`` (silent until a mail wakes them),
        ``visit_rate`` (a day, while active, besides visits from mails), ``purchase_propensity`` (orders a visit),
        ``basket_size`` (about the mean number of items), ``views_per_visit``, ``price_level`` (-1..1),
        ``coupon_use`` (a share of the orders), ``email_subscribed``, ``daily_deals``, ``email_open_rate``,
        ``email_click_rate`` (of the opened), ``winback_propensity`` (of the opened win-back mails). With a scenario
        also ``later_habit`` and ``later_from`` (ms; null for who does not switch; the parameters are those before),
        and ``spending_doubles_from`` (ms; null for whose does not).
        """
        return self._population.truth(self._pace)

    def chunks(self) -> Iterator[bytes]:
        """The lines in order of arrival, in chunks of whole lines, some megabytes each; each call starts anew.

        At most the customers, one window of time and what is still on its way (late events, mails not yet opened)
        are held in memory.
        """
        left = self.events
        if left is None:
            yield from (_join(lines) for lines in self._windows() if lines)
            return
        for lines in self._windows():
            if lines:
                yield _join(lines[:left])
                left -= min(left, len(lines))
            if not left:
                return

    def _windows(self) -> Iterator[list[str]]:
        """Lines window by window; without end if a number of events is wanted."""
        state = State(self._population, self._pace, Draws(self.seed, 2))
        sources = Sources()
        writer = Writer(self._population, self._catalogue, sources, self.seed)
        mail = Mail(state, sources, writer, self.seed, self._reach)
        draws = Draws(self.seed, 7)
        period_ms = self.end_ms - self.start_ms
        gap_ms = period_ms / self._originals_expected
        delivery = Delivery(self.duplicates, self.late, gap_ms, self.seed)
        window_ms = min(max(round(gap_ms * WINDOW_LINES), WINDOW_MIN_MS), DAY_MS)
        from_ms, hurry_ms = self.start_ms, self.end_ms + DAY_MS
        turn_ms = NEVER if self.scenario.kind == "none" else self.scenario.at_ms
        while self.events is not None or from_ms < self.end_ms:
            if from_ms >= hurry_ms:
                state.hurry(from_ms)
                hurry_ms += DAY_MS
            if from_ms == turn_ms:
                state.follow(self._population.later(), from_ms)
                turn_ms = NEVER
            last_ms = turn_ms if self.events is not None else min(turn_ms, self.end_ms)
            until_ms = min(from_ms + window_ms, last_ms)
            for lines in mail.send_mailings(from_ms, until_ms):
                delivery.add(self._within_period(lines))
            more = True
            while more:  # visits leave carts, carts lead to mails, mails to visits
                found = mail.send_reminders(until_ms)
                found += _write_visits(state, self._catalogue, sources, writer, mail, draws, until_ms)
                for lines in found:
                    delivery.add(self._within_period(lines))
                more = bool(found)
            yield delivery.release(until_ms)
            from_ms = until_ms
        yield delivery.release(None)

    def _within_period(self, lines: Lines) -> Lines:
        """All lines, or those before the end of the period if that is what ends the stream."""
        if self.events is not None or not len(lines.at_ms) or lines.at_ms.max() < self.end_ms:
            return lines
        inside = lines.at_ms < self.end_ms
        return Lines(lines.at_ms[inside], lines.kind[inside], lines.text[inside])

    def _expect(self) -> tuple[float, float]:
        """How many events to expect at the natural pace: from visits at a customer's rate, and from all else.

        All else are mails, the visits they lead to, and the visits with which customers arrive.
        """
        people = self._population
        present_ms, alive_ms = people.present_ms()
        begin = people.busy(people.end_ms - present_ms)
        busy_days = (people.busy(people.end_ms - present_ms + alive_ms) - begin) / 24
        visits = np.where(people.dormant, 0.0, people.visits_per_day * busy_days)
        by_visits = _total(visits) * self._events_per_visit(visits, from_mail=False)
        arrivals = (people.arrived_ms > 0).astype(np.float64)
        by_arrivals = _total(arrivals) * self._events_per_visit(arrivals, from_mail=False)

        mails = people.subscribed * ~people.bad_address * (2 / 7 + people.daily_deals) * (present_ms / DAY_MS)
        opened = mails * (alive_ms / present_ms) * np.where(people.dormant, DORMANT_OPENS, 1.0) * people.opens
        clicked = opened * people.clicks
        per_click = 1 + self._events_per_visit(clicked, from_mail=True)
        by_mails = _total(mails + opened) + _total(clicked) * per_click
        return by_visits, by_arrivals + by_mails * REMINDERS_AND_WINBACK

    def _events_per_visit(self, weights: Floats, *, from_mail: bool) -> float:
        """The mean number of events in visits of customers drawn by ``weights``, counted on a sample.

        A sample follows the funnel whatever becomes of it; a formula would have to be kept in step.
        """
        totals = np.cumsum(weights)
        if not totals[-1] > 0:
            return 0.0
        draws = Draws(self.seed, 8)
        who = np.searchsorted(totals, draws.uniform(PILOT_VISITS) * totals[-1], side="right")
        who = np.minimum(who, self.customers - 1)
        state = State(self._population, 1.0, draws)
        begin_ms = np.zeros(PILOT_VISITS, dtype=np.int64)
        visits = draw_visits(state, self._catalogue, draws, begin_ms, who, np.full(PILOT_VISITS, from_mail))
        return len(visits.visit) / PILOT_VISITS


def _write_visits(
    state: State, catalogue: Catalogue, sources: Sources, writer: Writer, mail: Mail, draws: Draws, until_ms: int
) -> list[Lines]:
    """Draw and write all visits before ``until_ms`` that are known of by now."""
    mail_ms, mail_who, mail_source = mail.take_visits(until_ms)
    state.wake(mail_who, mail_ms)
    own_ms, own_who = state.take_visits(until_ms)
    begin_ms, who = np.concatenate([own_ms, mail_ms]), np.concatenate([own_who, mail_who])
    if not len(who):
        return []
    own_source: Ints = draws.pick(sources.shares, len(own_who))
    from_mail = np.arange(len(who)) >= len(own_who)
    visits = draw_visits(state, catalogue, draws, begin_ms, who, from_mail)
    lines = writer.write_visits(state, visits, np.concatenate([own_source, mail_source]))
    state.note_visits(who, visits.end_ms, visits.outcome == BOUGHT)
    mail.remind(visits)
    return [lines]


def _population_and_period(
    originals: float | None, customers: int | None, days: int | None, habits: HabitSet
) -> tuple[int, int]:
    """The customers and days that are meant; see ``Simulation``."""
    if originals is None:
        return customers or DEFAULT_CUSTOMERS, days or DEFAULT_DAYS
    customer_days = originals / habits.lines_per_customer_day
    if customers is not None:
        return customers, days or min(max(round(customer_days / customers), 1), DERIVED_DAYS_MAX)
    days = days or DEFAULT_DAYS
    return min(max(round(customer_days / days), 1), CUSTOMERS_MAX), days


def _scenario(kind: str, day: int | None, start_ms: int, days: int) -> Scenario:
    """The scenario that is meant, in the middle of the period where no day is given."""
    if kind == "none":
        if day is not None:
            raise ValueError("scenario_day needs a scenario")
        return Scenario(kind, start_ms)
    if days < 2:
        raise ValueError(f"scenario needs 2 days or more, not {days}")
    day = days // 2 if day is None else day
    if not 1 <= day < days:
        raise ValueError(f"scenario_day must be from 1 to {days - 1} for {days} days, not {day}")
    return Scenario(kind, start_ms + day * DAY_MS)


def _check_count(name: str, value: int | None, largest: int) -> None:
    if value is not None and not 1 <= value <= largest:
        raise ValueError(f"{name} must be from 1 to {largest}, not {value}")


def _check_name(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {value}")


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:  # which NaN is not either
        raise ValueError(f"{name} must be a share from 0 to 1, not {value}")


def _join(lines: list[str]) -> bytes:
    return "".join(lines).encode()


def _total(values: Floats) -> float:
    """A sum in defined order; ``np.sum`` may add in another on another processor."""
    return float(np.cumsum(values)[-1])
