"""Events as JSON lines: the numbers that were drawn, written down.

A line is put together from parts that many lines share: what was looked at is the catalogue's, who looks and with what
is written once a visit or message. That is where the speed comes from, so field order follows the parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.contract import Kind
from stream.simulate.catalogue import SHOP, Catalogue, price_text
from stream.simulate.customers import Population, customer_id
from stream.simulate.draws import Bools, Draws, Ints, Objects, cumulative_shares
from stream.simulate.habits import COUNTRIES, DEVICES
from stream.simulate.state import State
from stream.simulate.visits import Visits

LOGGED_IN_SHARE = 0.15  # of the visits begin with an event that carries traits
USUAL_DEVICE_SHARE = 0.85
COUPONS = ("SAVE10", "WELCOME10", "FRIENDS10", "APP10")  # each takes a tenth off every item
MAIL_ADDRESS = "news@shop.example.com"

#: Where visits that no mail led to come from: referrer, campaign, share.
WAYS_IN: tuple[tuple[str, str, float], ...] = (
    ("", "", 0.32),
    ("https://www.google.com/", "", 0.28),
    ("https://www.google.com/", "ads-search-brand", 0.14),
    ("https://www.instagram.com/", "ads-social-spring", 0.12),
    ("https://prices.example.net/", "partner-prices", 0.09),
    ("https://www.bing.com/", "", 0.05),
)


@dataclass(frozen=True, slots=True)
class Lines:
    """Events as lines, in any order: ``at_ms`` i64[n], ``kind`` i64[n] (of the contract), ``text`` of str [n]."""

    at_ms: Ints
    kind: Ints
    text: Objects


class Ids:
    """Unique ids of 16 hexadecimal digits: a counter, mixed so that they look and sort like random ones.

    The mixing is the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), which is one to one.

    >>> Ids(1).take(2) == Ids(1).take(1) + Ids(1).take(2)[1:]
    True
    """

    def __init__(self, seed: int) -> None:
        self._next = int(Draws(seed, 5).words(1)[0])

    def take(self, n: int) -> list[str]:
        """The next ``n`` ids."""
        first = np.uint64(self._next % 2**64)
        self._next += n
        x: npt.NDArray[np.uint64] = np.arange(n, dtype=np.uint64) + first
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
        digits = x.astype(">u8").tobytes().hex()
        return [digits[i : i + 16] for i in range(0, 16 * n, 16)]


class Sources:
    """What leads to visits, by number: the ways in from outside first, then the mail campaigns as they come up."""

    def __init__(self) -> None:
        self.campaigns = [campaign for _, campaign, _ in WAYS_IN]
        self.fragments = [_source_fragment(referrer, campaign) for referrer, campaign, _ in WAYS_IN]
        self.shares = cumulative_shares([share for _, _, share in WAYS_IN])
        self._mail: dict[str, int] = {}

    def of_mail(self, campaign: str) -> int:
        """The number of a mail campaign."""
        if campaign not in self._mail:
            self._mail[campaign] = len(self.campaigns)
            self.campaigns.append(campaign)
            self.fragments.append(_source_fragment("https://mail.example.com/", campaign))
        return self._mail[campaign]


def _source_fragment(referrer: str, campaign: str) -> str:
    return (f'"referrer":"{referrer}",' if referrer else "") + (f'"campaign_id":"{campaign}",' if campaign else "")


class Writer:
    """Writes visits and mails as lines; counts the ids."""

    def __init__(self, population: Population, catalogue: Catalogue, sources: Sources, seed: int) -> None:
        self._people, self._catalogue, self._sources = population, catalogue, sources
        self._draws = Draws(seed, 4)
        self._ids = Ids(seed)
        self._orders = 0
        self._devices = cumulative_shares([share for _, share in DEVICES])
        places = [f'"device":"{device}","country":"{country[0]}"' for device, _ in DEVICES for country in COUNTRIES]
        self._places: Objects = np.array(places, dtype=np.object_)
        goods = [
            f'{{"product_id":"{product}","category":"{catalogue.category_names[category]}","quantity":'
            for product, category in zip(catalogue.product_ids, catalogue.category.tolist(), strict=True)
        ]
        self._goods: Objects = np.array(goods, dtype=np.object_)

    def write_visits(self, state: State, visits: Visits, source: Ints) -> Lines:
        """The clicks and purchases of ``visits``, which came from ``source`` (by visit)."""
        n, draws = len(visits.who), self._draws
        sessions = [f"s{digits}" for digits in self._ids.take(n)]
        usual = draws.uniform(n) < USUAL_DEVICE_SHARE
        device = np.where(usual, self._people.device[visits.who], draws.pick(self._devices, n))
        places = self._places[device * len(COUNTRIES) + self._people.country[visits.who]]
        shared = np.array(
            [
                f'"session_id":"{session}","customer_id":"c{number:06d}",{fragment}{place}'
                for session, number, fragment, place in zip(
                    sessions,
                    (visits.who + 1).tolist(),
                    [self._sources.fragments[s] for s in source.tolist()],
                    places.tolist(),
                    strict=True,
                )
            ],
            dtype=np.object_,
        )
        logged_in = draws.uniform(n) < LOGGED_IN_SHARE
        named = (visits.opening & logged_in[visits.visit]) | (visits.body == self._catalogue.CHECKOUT)
        traits: Objects = np.full(len(visits.visit), "", dtype=np.object_)
        traits[named] = self._traits(state, visits.who[visits.visit[named]])
        ids = self._ids.take(len(visits.visit))
        text = np.array(
            [
                f'{{"type":"click","event_id":"{event}","timestamp":{at},{body},{visit}{more}}}\n'
                for event, at, body, visit, more in zip(
                    ids,
                    visits.at_ms.tolist(),
                    self._catalogue.bodies[visits.body].tolist(),
                    shared[visits.visit].tolist(),
                    traits.tolist(),
                    strict=True,
                )
            ],
            dtype=np.object_,
        )
        orders = np.flatnonzero(visits.body == self._catalogue.ORDER)
        text[orders] = self._write_orders(state, visits, orders, ids, sessions, source)
        kind = np.where(visits.body == self._catalogue.ORDER, int(Kind.PURCHASE), int(Kind.CLICK))
        return Lines(visits.at_ms, kind, text)

    def _traits(self, state: State, who: Ints) -> list[str]:
        return [
            f',"traits":{{"email":"{customer}@example.com","country":"{country}","plan":"{plan}","newsletter":{news}}}'
            for customer, country, plan, news in zip(
                map(customer_id, who.tolist()),
                [COUNTRIES[c][0] for c in self._people.country[who].tolist()],
                state.plans(who).tolist(),
                np.where(state.subscribed[who], "true", "false").tolist(),
                strict=True,
            )
        ]

    def _write_orders(
        self, state: State, visits: Visits, orders: Ints, ids: list[str], sessions: list[str], source: Ints
    ) -> list[str]:
        visit = visits.visit[orders]  # ascending, like item_visit
        who = visits.who[visit]
        with_coupon = self._draws.chance(state.population.coupon[who])
        coupon = self._draws.below(len(who), len(COUPONS))
        cents = self._catalogue.price_cents[visits.item_product]
        # A coupon lowers the items' prices, so that the total stays their sum.
        cents = np.where(np.isin(visits.item_visit, visit[with_coupon]), cents * 9 // 10, cents)
        totals = np.cumsum(np.append(0, cents * visits.item_quantity))
        begin = np.searchsorted(visits.item_visit, visit, side="left")
        end = np.searchsorted(visits.item_visit, visit, side="right")
        items = [
            f'{good}{quantity},"price":{price_text(price)}}}'
            for good, quantity, price in zip(
                self._goods[visits.item_product].tolist(), visits.item_quantity.tolist(), cents.tolist(), strict=True
            )
        ]
        traits = self._traits(state, who)
        lines = []
        for i, (event, v) in enumerate(zip(orders.tolist(), visit.tolist(), strict=True)):
            self._orders += 1
            campaign = self._sources.campaigns[source[v]]
            more = f'"coupon":"{COUPONS[coupon[i]]}",' if with_coupon[i] else ""
            more += f'"campaign_id":"{campaign}",' if campaign else ""
            lines.append(
                f'{{"type":"purchase","event_id":"{ids[event]}","timestamp":{visits.at_ms[event]},'
                f'"customer_id":"{customer_id(int(who[i]))}","order_id":"o{self._orders:08d}",'
                f'"total":{price_text(int(totals[end[i]] - totals[begin[i]]))},'
                f'"currency":"{COUNTRIES[self._people.country[who[i]]][3]}",{more}'
                f'"items":[{",".join(items[begin[i] : end[i]])}],"session_id":"{sessions[v]}"{traits[i]}}}\n'
            )
        return lines

    def write_mails(
        self, who: Ints, source: Ints, subjects: list[str], message: Ints, action: Objects, at_ms: Ints, leaves: Bools
    ) -> Lines:
        """What became of messages: ``message`` indexes ``who``, ``source`` and ``subjects``; the rest is by event.

        ``leaves`` marks the events that take the customer off the list.
        """
        shared = np.array(
            [
                f'"customer_id":"c{number:06d}","campaign_id":"{self._sources.campaigns[s]}",'
                f'"message_id":"m{digits}","subject":"{subject}","sender":"{MAIL_ADDRESS}",'
                f'"list_url":"{SHOP}/account/newsletters"'
                for number, s, digits, subject in zip(
                    (who + 1).tolist(), source.tolist(), self._ids.take(len(who)), subjects, strict=True
                )
            ],
            dtype=np.object_,
        )
        more: Objects = np.full(len(message), "", dtype=np.object_)
        more[leaves] = ',"traits":{"newsletter":false}'
        text = np.array(
            [
                f'{{"type":"email","event_id":"{event}","timestamp":{at},"action":"{word}",{mail}{end}}}\n'
                for event, at, word, mail, end in zip(
                    self._ids.take(len(message)),
                    at_ms.tolist(),
                    action.tolist(),
                    shared[message].tolist(),
                    more.tolist(),
                    strict=True,
                )
            ],
            dtype=np.object_,
        )
        return Lines(at_ms, np.full(len(message), int(Kind.EMAIL)), text)
