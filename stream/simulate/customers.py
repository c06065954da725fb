"""The customers: hidden parameters, drawn before anything happens."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.simulate.catalogue import CATEGORIES
from stream.simulate.draws import Bools, Draws, Floats, Ints, cumulative_shares
from stream.simulate.habits import COUNTRIES, DEVICES, HabitSet
from stream.simulate.scenarios import BIRTH_DAYS, SWITCHING_SHARE, Scenario
from stream.simulate.season import DAY_MS, HOUR_MS, busy_hours, instant_of

NEVER = 2**62  # an instant that does not come
BAD_ADDRESSES = 0.015
TRUTH_BLOCK = 10_000


def customer_id(index: int) -> str:
    """The id of a customer by number.

    >>> customer_id(122)
    'c000123'
    """
    return f"c{index + 1:06d}"


class Population:
    """The hidden parameters of ``n`` customers, one array entry each; a shape of ``[n]`` throughout.

    Lifetimes and rates are those of Pareto/NBD (Schmittlein, Morrison and Colombo, Management Science 33, 1987; BG/NBD
    is its easier kin): visits are Poisson with a gamma-distributed rate, and the time until a customer leaves for good
    is exponential with a gamma-mixed mean. A habit's customers who are there at the start are ``stay / (stay + days)``
    of all (Little's law), the others arrive evenly over the period, so that traffic neither grows nor dries up; a
    scenario of a birth or a death changes when the customers of its habit come and go.
    """

    def __init__(self, n: int, start_ms: int, end_ms: int, seed: int, habits: HabitSet, scenario: Scenario) -> None:
        self.n, self.start_ms, self.end_ms = n, start_ms, end_ms
        self.habits, self.scenario, self.seed = habits, scenario, seed
        draws = Draws(seed, 1)
        self.habit: Ints = draws.pick(cumulative_shares([habit.share for habit in self.habits.habits]), n)
        # The first customer is a regular who was always there and never leaves: no shop is ever without traffic.
        self.habit[0] = 0
        self.country: Ints = draws.pick(cumulative_shares([share for _, share, _, _ in COUNTRIES]), n)
        self.device: Ints = draws.pick(cumulative_shares([share for _, share in DEVICES]), n)
        self.favourite: Ints = draws.pick(cumulative_shares([demand for _, demand, _, _ in CATEGORIES]), n)
        self.ahead_ms: Ints = np.array([hours * HOUR_MS for _, _, hours, _ in COUNTRIES])[self.country]

        self._parameter_draws = copy.deepcopy(draws)
        self.draw_parameters(draws)
        self.bad_address: Bools = draws.chance(np.full(n, BAD_ADDRESSES))
        self.mail_slot: Floats = draws.uniform(n)  # the customer's place in the queue of a mailing
        self.dormant: Bools = self._each("dormant") > 0
        self.buys_once: Bools = self._each("buys_once") > 0

        self._draw_lifetimes(draws)
        silent_days = np.where(
            self.dormant, 18 + 80 * draws.uniform(n), np.minimum(draws.exponential(n) / self.visits_per_day, 60)
        )
        established = self.arrived_ms == 0
        self.last_visit_ms: Ints = np.where(established, start_ms - (silent_days * DAY_MS).astype(np.int64), 0)
        before = np.floor(draws.exponential(n) * self.purchase * self.visits_per_day * 250).astype(np.int64)
        self.orders_before: Ints = np.where(established, before, 0)

    def draw_parameters(self, draws: Draws) -> None:
        """What follows from a customer's habit, scattered around it."""
        n = self.n
        self.visits_per_day: Floats = self._each("visits_per_day") * draws.erlang(n, self.habits.evenness)
        self.purchase: Floats = self._scattered(draws, "purchase")
        self.more_views: Floats = self._scattered(draws, "more_views")
        self.more_items: Floats = self._scattered(draws, "more_items")
        self.opens: Floats = np.minimum(self._scattered(draws, "opens"), 0.95)
        self.clicks: Floats = np.minimum(self._scattered(draws, "clicks"), 0.9)
        self.winback: Floats = self._scattered(draws, "winback")
        self.coupon: Floats = np.minimum(self._scattered(draws, "coupon"), 0.95)
        self.price_level: Floats = self._each("price_level") * (0.8 + 0.2 * draws.uniform(n))
        self.subscribed: Bools = draws.chance(self._each("subscribed"))
        self.daily_deals: Bools = draws.chance(self._each("daily_deals")) & self.subscribed
        self.pieces: npt.NDArray[np.int8] = np.ones(n, dtype=np.int8)  # of each item, times what is usual

    def _draw_lifetimes(self, draws: Draws) -> None:
        """When each customer arrives, and until when they are a customer."""
        n, start_ms, end_ms, scenario = self.n, self.start_ms, self.end_ms, self.scenario
        arrive_from, arrive_until = np.full(n, start_ms), np.full(n, end_ms)
        born = self._has(self.habits.born) & (scenario.kind == "birth")
        dying = self._has(self.habits.dying) & (scenario.kind == "death")
        arrive_from[born] = scenario.at_ms
        arrive_until[born] = min(scenario.at_ms + BIRTH_DAYS * DAY_MS, end_ms)
        arrive_until[dying] = scenario.at_ms

        # An arrival of 0 stands for: there before the start.
        stay_days = self._each("stay_days")
        days = (end_ms - start_ms) / DAY_MS
        established = (draws.uniform(n) < stay_days / (stay_days + days)) & (self._each("arrives") == 0) | self.dormant
        established[0] = True
        established &= ~born
        opening, closing = self.busy(arrive_from), self.busy(arrive_until)
        first = self.at_busy(opening + (closing - opening) * draws.uniform(n))
        self.arrived_ms: Ints = np.where(established, 0, np.clip(first, np.maximum(arrive_from, 1), arrive_until - 1))
        stay_ms = stay_days * DAY_MS * draws.exponential(n) * draws.erlang(n, 2)
        alive_until = np.maximum(self.arrived_ms, start_ms) + np.minimum(stay_ms, 1e15).astype(np.int64) + 1
        self.alive_until_ms: Ints = np.where(alive_until > end_ms, NEVER, alive_until)
        self.alive_until_ms[0] = NEVER
        self.alive_until_ms[dying] = np.minimum(self.alive_until_ms[dying], scenario.at_ms)

    def later(self) -> Population:
        """The same customers from the scenario's instant on."""
        later = copy.copy(self)
        if self.scenario.kind == "switch":
            later.habit = np.where(self._switching(), self.habits.index(self.habits.switching[1]), self.habit)
            later.draw_parameters(copy.deepcopy(self._parameter_draws))
        elif self.scenario.kind == "doubling":
            later.pieces = np.where(self._has(self.habits.doubling), np.int8(2), np.int8(1))
        return later

    def _switching(self) -> Bools:
        """Who takes on another habit: a share of those who have the one and are customers at that instant."""
        there = (self.arrived_ms < self.scenario.at_ms) & (self.alive_until_ms > self.scenario.at_ms)
        return self._has(self.habits.switching[0]) & there & (Draws(self.seed, 9).uniform(self.n) < SWITCHING_SHARE)

    def _has(self, name: str) -> Bools:
        has: Bools = self.habit == self.habits.index(name)
        return has

    def of_habit(self, parameter: str, who: Ints) -> Floats:
        """What all customers of a habit have in common, for each of ``who``."""
        return self._values(parameter)[self.habit[who]]

    def _each(self, parameter: str) -> Floats:
        return self._values(parameter)[self.habit]

    def _values(self, parameter: str) -> Floats:
        return np.array([float(getattr(habit, parameter)) for habit in self.habits.habits])

    def _scattered(self, draws: Draws, parameter: str) -> Floats:
        return self._each(parameter) * (0.6 + 0.8 * draws.uniform(self.n))

    def busy(self, at_ms: Ints, who: Ints | None = None) -> Floats:
        """The busy hours of instants (UTC milliseconds) in the local time of customers (all, or ``who``)."""
        return busy_hours((at_ms + (self.ahead_ms if who is None else self.ahead_ms[who])).astype(np.float64))

    def at_busy(self, busy: Floats, who: Ints | None = None) -> Ints:
        """The instants (UTC milliseconds) of busy hours in the local time of customers; undoes ``busy``."""
        return instant_of(busy).astype(np.int64) - (self.ahead_ms if who is None else self.ahead_ms[who])

    def present_ms(self) -> tuple[Ints, Ints]:
        """For how long within the period each customer is known to the shop, and is alive."""
        since = np.maximum(self.arrived_ms, self.start_ms)
        return self.end_ms - since, np.minimum(self.alive_until_ms, self.end_ms) - since

    def truth(self, pace: float) -> Iterator[bytes]:
        """A JSON line per customer, in order of the ids; ``pace`` multiplies the rates of visits."""
        later = None if self.scenario.kind == "none" else self.later()
        for first in range(0, self.n, TRUTH_BLOCK):
            block = slice(first, min(first + TRUTH_BLOCK, self.n))
            columns = self._truth_columns(block, pace)
            if later is not None:
                columns |= self._later_columns(block, later)
            for row in zip(*columns.values(), strict=True):
                yield json.dumps(dict(zip(columns, row, strict=True)), separators=(",", ":")).encode() + b"\n"

    def _later_columns(self, block: slice, later: Population) -> dict[str, list[Any]]:
        """What a scenario changes about customers for whom it is not said by when they arrive and leave."""
        at_ms, habits = self.scenario.at_ms, self.habits.habits
        now, then = self.habit[block].tolist(), later.habit[block].tolist()
        pieces = later.pieces[block].tolist()
        return {
            "later_habit": [None if one == other else habits[other].name for one, other in zip(now, then, strict=True)],
            "later_from": [None if one == other else at_ms for one, other in zip(now, then, strict=True)],
            "spending_doubles_from": [at_ms if times > 1 else None for times in pieces],
        }

    def _truth_columns(self, block: slice, pace: float) -> dict[str, list[Any]]:
        def rounded(values: Floats) -> list[float]:
            return [round(value, 6) for value in values.tolist()]

        alive_until = self.alive_until_ms[block].tolist()
        return {
            "customer_id": [customer_id(index) for index in range(block.start, block.stop)],
            "habit": [self.habits.habits[habit].name for habit in self.habit[block].tolist()],
            "country": [COUNTRIES[country][0] for country in self.country[block].tolist()],
            "device": [DEVICES[device][0] for device in self.device[block].tolist()],
            "favourite_category": [CATEGORIES[category][0] for category in self.favourite[block].tolist()],
            "arrived_at": [at_ms or None for at_ms in self.arrived_ms[block].tolist()],
            "alive_until": [None if at_ms == NEVER else at_ms for at_ms in alive_until],
            "dormant_at_start": self.dormant[block].tolist(),
            "visit_rate": rounded(self.visits_per_day[block] * pace),
            "purchase_propensity": rounded(self.purchase[block]),
            "basket_size": rounded(1 + self.more_items[block]),
            "views_per_visit": rounded(1 + self.more_views[block]),
            "price_level": rounded(self.price_level[block]),
            "coupon_use": rounded(self.coupon[block]),
            "email_subscribed": self.subscribed[block].tolist(),
            "daily_deals": self.daily_deals[block].tolist(),
            "email_open_rate": rounded(self.opens[block]),
            "email_click_rate": rounded(self.clicks[block]),
            "winback_propensity": rounded(self.winback[block]),
        }
