"""E-mails: the shop's calendar of mailings, reminders of abandoned carts, and what customers do with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from stream.simulate.draws import Bools, Draws, Floats, Ints, Objects
from stream.simulate.lines import Lines, Sources, Writer
from stream.simulate.season import DAY_MS, HOUR_MS
from stream.simulate.state import State
from stream.simulate.visits import BOUGHT, FILLED_CART, Visits


@dataclass(frozen=True, slots=True)
class Mailing:
    """A mailing that goes out on ``weekdays`` (0 is Monday) from ``hour`` (UTC) on, over ``spread_hours``."""

    name: str
    weekdays: tuple[int, ...]
    hour: int
    spread_hours: int
    subject: str


NEWSLETTER = Mailing("newsletter", (1, 4), 8, 3, "New in this week, picked for you")
DAILY_DEALS = Mailing("daily-deals", (0, 1, 2, 3, 4, 5, 6), 5, 2, "Today only: our deals of the day")
WINBACK = Mailing("winback", (0, 1, 2, 3, 4, 5, 6), 10, 6, "We miss you: 10 % off your next order")
MAILINGS = (NEWSLETTER, DAILY_DEALS, WINBACK)
REMINDER, REMINDER_SUBJECT = "cart-reminder", "You left something in your cart"

WINBACK_SILENCE_DAYS = (21, 30, 45, 60, 90)
WINBACK_OPENS = 0.5  # of the dormant, whom other mails hardly reach
DORMANT_OPENS = 0.3  # of what they would open otherwise
REMINDER_SHARE = 0.5
REMINDER_OPENS = 1.6  # times a customer's usual share
OPENS_AFTER_HOURS, CLICKS_AFTER_MS, VISITS_AFTER_MS = 3.0, 40_000.0, 1_500
COMPLAINS = 0.0004  # of the delivered
DAY_INDEX_MONDAY = 3  # 1970-01-01 was a Thursday


class Mail:
    """The shop's e-mail: what is to be sent when, and the visits that clicks lead to."""

    def __init__(self, state: State, sources: Sources, writer: Writer, seed: int, reach: float) -> None:
        self._state, self._sources, self._writer = state, sources, writer
        self._draws = Draws(seed, 3)
        self._reach = reach
        people = state.population
        self._queue: Ints = np.argsort(people.mail_slot, kind="stable")
        slots = people.mail_slot[self._queue]
        self._offsets_ms = {
            mailing: (slots * (mailing.spread_hours * HOUR_MS)).astype(np.int64) for mailing in MAILINGS
        }
        nothing: Ints = np.zeros(0, dtype=np.int64)
        self._reminders = (nothing, nothing)  # when, to whom
        self._visits = (nothing, nothing, nothing)  # when, whose, from which source

    def remind(self, visits: Visits) -> None:
        """Plan reminders, an hour or more later, for some of the visits that left a cart behind."""
        left = (visits.outcome >= FILLED_CART) & (visits.outcome < BOUGHT)
        who, end_ms = visits.who[left], visits.end_ms[left]
        chosen = self._state.subscribed[who] & (self._draws.uniform(len(who)) < REMINDER_SHARE * self._reach)
        who = who[chosen]
        later = HOUR_MS + (self._draws.uniform(len(who)) * HOUR_MS).astype(np.int64)
        self._reminders = (
            np.concatenate([self._reminders[0], end_ms[chosen] + later]),
            np.concatenate([self._reminders[1], who]),
        )

    def send_mailings(self, from_ms: int, until_ms: int) -> list[Lines]:
        """Send what the calendar holds between two instants."""
        sent = []
        for day in range((from_ms - DAY_MS) // DAY_MS, until_ms // DAY_MS + 1):
            for mailing in MAILINGS:
                if (day + DAY_INDEX_MONDAY) % 7 in mailing.weekdays:
                    begin_ms = day * DAY_MS + mailing.hour * HOUR_MS
                    offsets = self._offsets_ms[mailing]
                    first, last = np.searchsorted(offsets, [from_ms - begin_ms, until_ms - begin_ms]).tolist()
                    who, at_ms = self._queue[first:last], begin_ms + offsets[first:last]
                    chosen = self._audience(mailing, who, at_ms)
                    if chosen.any():
                        date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
                        campaign = f"{mailing.name}-{date:%Y-%m-%d}"
                        sent.append(self._send(who[chosen], at_ms[chosen], campaign, mailing.subject))
        return sent

    def send_reminders(self, until_ms: int) -> list[Lines]:
        """Send the reminders that are due before ``until_ms``."""
        at_ms, who = self._reminders
        due = at_ms < until_ms
        if not due.any():
            return []
        self._reminders = (at_ms[~due], who[~due])
        who, at_ms = who[due], at_ms[due]
        still = self._state.subscribed[who]
        return [self._send(who[still], at_ms[still], REMINDER, REMINDER_SUBJECT)] if still.any() else []

    def take_visits(self, until_ms: int) -> tuple[Ints, Ints, Ints]:
        """The visits before ``until_ms`` that began with a click in a mail: when, whose, from which source."""
        at_ms, who, source = self._visits
        due = at_ms < until_ms
        self._visits = (at_ms[~due], who[~due], source[~due])
        return at_ms[due], who[due], source[due]

    def _audience(self, mailing: Mailing, who: Ints, at_ms: Ints) -> Bools:
        people = self._state.population
        audience = self._state.subscribed[who] & (people.arrived_ms[who] <= at_ms)
        if mailing is DAILY_DEALS:
            audience &= people.daily_deals[who]
        elif mailing is WINBACK:
            silence_days = (at_ms - self._state.last_visit_ms[who]) // DAY_MS
            audience &= np.isin(silence_days, WINBACK_SILENCE_DAYS)
        return audience & (self._draws.uniform(len(who)) < self._reach)

    def _send(self, who: Ints, at_ms: Ints, campaign: str, subject: str) -> Lines:
        """Send one campaign to ``who`` (no repeats but in reminders) and draw all that they will do with it."""
        state, people, draws, n = self._state, self._state.population, self._draws, len(who)
        bounced = people.bad_address[who]
        opens, clicks = self._readiness(who, campaign)
        waits = draws.exponential(n) * OPENS_AFTER_HOURS
        opened_ms = people.at_busy(people.busy(at_ms, who) + waits, who) + 1_000
        opened = ~bounced & draws.chance(opens) & (opened_ms < people.alive_until_ms[who])
        clicked_ms = opened_ms + 2_000 + (draws.exponential(n) * CLICKS_AFTER_MS).astype(np.int64)
        clicked = opened & draws.chance(clicks) & (clicked_ms + VISITS_AFTER_MS < people.alive_until_ms[who])
        weary = draws.chance(people.of_habit("unsubscribes", who))
        left = opened & ~clicked & weary & (clicked_ms < people.alive_until_ms[who])
        complained = ~bounced & ~opened & (draws.uniform(n) < COMPLAINS)
        complained &= opened_ms < people.alive_until_ms[who]
        state.subscribed[who[bounced | left | complained]] = False

        source = self._sources.of_mail(campaign)
        visit_ms = clicked_ms[clicked] + VISITS_AFTER_MS
        self._visits = (
            np.concatenate([self._visits[0], visit_ms]),
            np.concatenate([self._visits[1], who[clicked]]),
            np.concatenate([self._visits[2], np.full(len(visit_ms), source)]),
        )
        events: tuple[tuple[str, Bools, Ints], ...] = (
            ("delivered", ~bounced, at_ms),
            ("bounced", bounced, at_ms),
            ("opened", opened, opened_ms),
            ("clicked", clicked, clicked_ms),
            ("unsubscribed", left, clicked_ms),
            ("complained", complained, opened_ms),
        )
        message = np.concatenate([np.flatnonzero(mask) for _, mask, _ in events])
        counts = [int(np.count_nonzero(mask)) for _, mask, _ in events]
        action: Objects = np.repeat(np.array([word for word, _, _ in events], dtype=np.object_), counts)
        return self._writer.write_mails(
            who,
            np.full(n, source),
            [subject] * n,
            message,
            action,
            np.concatenate([when[mask] for _, mask, when in events]),
            np.isin(action, ["bounced", "unsubscribed", "complained"]),
        )

    def _readiness(self, who: Ints, campaign: str) -> tuple[Floats, Floats]:
        """The probabilities of opening a mail of ``campaign``, and of clicking in it once opened."""
        people, dormant = self._state.population, self._state.dormant[who]
        opens, clicks = people.opens[who], people.clicks[who]
        if campaign == REMINDER:
            return np.minimum(opens * REMINDER_OPENS, 0.95), clicks
        if campaign.startswith(WINBACK.name):
            return np.where(dormant, WINBACK_OPENS, opens), np.where(dormant, people.winback[who], clicks)
        return np.where(dormant, opens * DORMANT_OPENS, opens), clicks
