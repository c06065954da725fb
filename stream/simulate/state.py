"""What the shop's traffic has made of the customers so far."""

from __future__ import annotations

import numpy as np

from stream.simulate.customers import NEVER, Population
from stream.simulate.draws import Bools, Draws, Ints, Objects
from stream.simulate.habits import PLANS

VISITS_AHEAD = 4_096  # drawn at once at most

PLAN_NAMES: Objects = np.array([name for _, name in PLANS], dtype=np.object_)
PLAN_FROM: Ints = np.array([orders for orders, _ in PLANS])


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

    def follow(self, later: Population, at_ms: int) -> None:
        """The customers are as ``later`` says from ``at_ms`` on; who has another habit plans anew.

        Waits are memoryless, so all that were drawn may be drawn again.
        """
        before, self.population = self.population, later
        who = np.flatnonzero(later.habit != before.habit)
        stays_off = before.subscribed[who] & ~self.subscribed[who]  # who has left the list does not come back to it
        self.subscribed[who] = later.subscribed[who] & ~stays_off
        awake = who[~self.dormant[who]]
        self.plan_visits(awake, np.full(len(awake), at_ms))

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
