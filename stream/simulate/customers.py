"""The customers: hidden parameters that never change, and what the shop's traffic has made of them so far."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from stream.simulate.catalogue import CATEGORIES
from stream.simulate.draws import Bools, Draws, Floats, Ints, Objects, cumulative_shares
from stream.simulate.habits import COUNTRIES, DEVICES, HABITS, PLANS
from stream.simulate.season import DAY_MS, HOUR_MS, busy_hours, instant_of

NEVER = 2**62  # an instant that does not come
BAD_ADDRESSES = 0.015
TRUTH_BLOCK = 10_000
VISITS_AHEAD = 4_096  # drawn at once at most

PLAN_NAMES: Objects = np.array([name for _, name in PLANS], dtype=np.object_)
PLAN_FROM: Ints = np.array([orders for orders, _ in PLANS])


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
    of all (Little's law), the others arrive evenly over the period, so that traffic neither grows nor dries up.
    """

    def __init__(self, n: int, start_ms: int, end_ms: int, seed: int) -> None:
        self.n, self.start_ms, self.end_ms = n, start_ms, end_ms
        draws = Draws(seed, 1)
        self.habit: Ints = draws.pick(cumulative_shares([habit.share for habit in HABITS]), n)
        # The first customer is a regular who was always there and never leaves: no shop is ever without traffic.
        self.habit[0] = 0
        self.country: Ints = draws.pick(cumulative_shares([share for _, share, _, _ in COUNTRIES]), n)
        self.device: Ints = draws.pick(cumulative_shares([share for _, share in DEVICES]), n)
        self.favourite: Ints = draws.pick(cumulative_shares([demand for _, demand, _, _ in CATEGORIES]), n)
        self.ahead_ms: Ints = np.array([hours * HOUR_MS for _, _, hours, _ in COUNTRIES])[self.country]

        self.visits_per_day: Floats = self._each("visits_per_day") * draws.erlang(n, 3)
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
        self.bad_address: Bools = draws.chance(np.full(n, BAD_ADDRESSES))
        self.mail_slot: Floats = draws.uniform(n)  # the customer's place in the queue of a mailing
        self.dormant: Bools = self._each("dormant") > 0
        self.buys_once: Bools = self._each("buys_once") > 0

        # An arrival of 0 stands for: there before the start.
        stay_days = self._each("stay_days")
        days = (end_ms - start_ms) / DAY_MS
        established = (draws.uniform(n) < stay_days / (stay_days + days)) & (self._each("arrives") == 0) | self.dormant
        established[0] = True
        opening, closing = self.busy(np.full(n, start_ms)), self.busy(np.full(n, end_ms))
        first = self.at_busy(opening + (closing - opening) * draws.uniform(n))
        self.arrived_ms: Ints = np.where(established, 0, np.clip(first, max(start_ms, 1), end_ms - 1))
        stay_ms = stay_days * DAY_MS * draws.exponential(n) * draws.erlang(n, 2)
        alive_until = np.maximum(self.arrived_ms, start_ms) + np.minimum(stay_ms, 1e15).astype(np.int64) + 1
        self.alive_until_ms: Ints = np.where(alive_until > end_ms, NEVER, alive_until)
        self.alive_until_ms[0] = NEVER

        silent_days = np.where(
            self.dormant, 18 + 80 * draws.uniform(n), np.minimum(draws.exponential(n) / self.visits_per_day, 60)
        )
        self.last_visit_ms: Ints = np.where(established, start_ms - (silent_days * DAY_MS).astype(np.int64), 0)
        before = np.floor(draws.exponential(n) * self.purchase * self.visits_per_day * 250).astype(np.int64)
        self.orders_before: Ints = np.where(established, before, 0)

    def _each(self, parameter: str) -> Floats:
        return np.array([float(getattr(habit, parameter)) for habit in HABITS])[self.habit]

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
        for first in range(0, self.n, TRUTH_BLOCK):
            columns = self._truth_columns(slice(first, min(first + TRUTH_BLOCK, self.n)), pace)
            for row in zip(*columns.values(), strict=True):
                yield json.dumps(dict(zip(columns, row, strict=True)), separators=(",", ":")).encode() + b"\n"

    def _truth_columns(self, block: slice, pace: float) -> dict[str, list[Any]]:
        def rounded(values: Floats) -> list[float]:
            return [round(value, 6) for value in values.tolist()]

        alive_until = self.alive_until_ms[block].tolist()
        return {
            "customer_id": [customer_id(index) for index in range(block.start, block.stop)],
            "habit": [HABITS[habit].name for habit in self.habit[block].tolist()],
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


class State:
    """What changes while the traffic goes on: who visits next when, who is subscribed, who has bought how often."""

    def __init__(self, population: Population, pace: float, draws: Draws) -> None:
        self.population = population
        self.pace = pace
        self._draws = draws
        self.last_visit_ms: Ints = population.last_visit_ms.copy()
        self.orders: Ints = population.orders_before.copy()
        self.subscribed: Bools = population.subscribed.copy()
        self.dormant: Bools = population.dormant.copy()
        # Who arrives does so by a visit; at a slow pace not even each of these takes place.
        arrives = population.arrived_ms > 0
        seen = draws.uniform(population.n) < pace
        self.next_visit_ms: Ints = np.where(arrives & seen, population.arrived_ms, NEVER)
        missed = np.flatnonzero(arrives & ~seen)
        self.plan_visits(missed, population.arrived_ms[missed])
        there = np.flatnonzero((population.arrived_ms == 0) & ~population.dormant)
        self.plan_visits(there, np.full(len(there), population.start_ms))

    def plan_visits(self, who: Ints, after_ms: Ints) -> None:
        """Draw the next visit of each of ``who`` (no repeats) after an instant; none if they leave before it."""
        self.next_visit_ms[who] = self._draw_visits(who, after_ms, 1)[:, 0]

    def take_visits(self, until_ms: int) -> tuple[Ints, Ints]:
        """All visits that begin before ``until_ms``: when, and whose."""
        due = np.flatnonzero(self.next_visit_ms < until_ms)
        when, whose = [self.next_visit_ms[due]], [due]
        while len(due):
            # Several at once for few customers: one who visits thousands of times a day would take as many rounds.
            ahead = max(1, min(64, VISITS_AHEAD // len(due)))
            at_ms = self._draw_visits(due, self.next_visit_ms[due], ahead)
            following = np.minimum(np.count_nonzero(at_ms < until_ms, axis=1), ahead - 1)
            row, place = np.nonzero(np.arange(ahead) < following[:, None])
            next_ms = at_ms[np.arange(len(due)), following]
            self.next_visit_ms[due] = next_ms
            still = next_ms < until_ms
            when += [at_ms[row, place], next_ms[still]]
            whose += [due[row], due[still]]
            due = due[still]
        return np.concatenate(when), np.concatenate(whose)

    def _draw_visits(self, who: Ints, after_ms: Ints, ahead: int) -> Ints:
        """The instants of the next visits of ``who`` after an instant: i64[len(who), ahead], NEVER once they left."""
        people = self.population
        waits = self._draws.exponential(len(who) * ahead).reshape(len(who), ahead)
        waits *= 24.0 / (people.visits_per_day[who] * self.pace)[:, None]
        busy = people.busy(after_ms, who)[:, None] + np.minimum(np.cumsum(waits, axis=1), 1e8)
        at_ms = people.at_busy(busy.ravel(), np.repeat(who, ahead)).reshape(len(who), ahead)
        at_ms = np.maximum(at_ms, after_ms[:, None])
        return np.where(at_ms < people.alive_until_ms[who][:, None], at_ms, NEVER)

    def hurry(self, now_ms: int) -> None:
        """Double the pace from ``now_ms`` on: the period is over and lines are still wanted.

        Waits are memoryless, so all that were drawn may be drawn again.
        """
        self.pace *= 2
        awake = np.flatnonzero(~self.dormant & (self.population.alive_until_ms == NEVER))
        self.plan_visits(awake, np.full(len(awake), now_ms))

    def plans(self, who: Ints) -> Objects:
        """The plan each of ``who`` is on, by the orders made so far."""
        plans: Objects = PLAN_NAMES[np.searchsorted(PLAN_FROM, self.orders[who], side="right") - 1]
        return plans

    def note_visits(self, who: Ints, end_ms: Ints, bought: Bools) -> None:
        """Remember that ``who`` visited until ``end_ms``, and which of the visits made an order."""
        np.maximum.at(self.last_visit_ms, who, end_ms)
        np.add.at(self.orders, who[bought], 1)

    def wake(self, who: Ints, at_ms: Ints) -> None:
        """Those of ``who`` who are dormant visit again from ``at_ms`` on."""
        first = np.zeros(len(who), dtype=np.bool_)
        first[np.unique(who, return_index=True)[1]] = True
        waking = first & self.dormant[who]
        self.dormant[who[waking]] = False
        self.plan_visits(who[waking], at_ms[waking])
