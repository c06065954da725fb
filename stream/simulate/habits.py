"""The habits of customers, in sets: what a clustering should find again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """What the customers of one habit have in common; each customer's own parameters scatter around it.

    Rates are per day while active, ``stay_days`` is the mean of the hidden time until a customer leaves for good,
    ``purchase``, ``checkout`` and ``cart`` are the shares of visits that end with a purchase, an abandoned checkout
    and an abandoned cart, ``more_views`` and ``more_items`` the means of what comes on top of the first, and
    ``price_level`` runs from -1 (picks the cheaper of two products) through 0 (does not look) to 1 (the pricier).
    """

    name: str
    share: float
    visits_per_day: float
    stay_days: float
    purchase: float
    checkout: float
    cart: float
    more_views: float
    more_items: float
    price_level: float
    coupon: float
    subscribed: float
    daily_deals: float
    opens: float
    clicks: float  # of the opened mails
    winback: float = 0.0  # of the opened win-back mails
    unsubscribes: float = 0.006  # of the opened mails
    arrives: bool = False  # within the period, rather than being there already
    buys_once: bool = False
    dormant: bool = False  # silent at the start, until a win-back mail


@dataclass(frozen=True, slots=True, kw_only=True)
class HabitSet:
    """The habits of a shop's customers, and which of them the scenarios are about (see ``Scenario``).

    ``lines_per_customer_day`` is what a customer comes to in a day on average (measured): what chooses customers or
    days where they are not given. The larger ``evenness`` (the shape of a gamma distribution), the less the rates of
    visits scatter within a habit. The first habit is also that of the customer who is always there.
    """

    habits: tuple[Habit, ...]
    lines_per_customer_day: float
    evenness: int
    switching: tuple[str, str]  # from, to
    born: str
    dying: str
    doubling: str

    def index(self, name: str) -> int:
        """The number of a habit."""
        return [habit.name for habit in self.habits].index(name)


# fmt: off
_SHOP = (
    Habit(name="loyal_regular", share=0.14, visits_per_day=0.45, stay_days=900, purchase=0.075, checkout=0.03,
          cart=0.09, more_views=2.6, more_items=1.2, price_level=0.1, coupon=0.08, subscribed=0.85, daily_deals=0.15,
          opens=0.35, clicks=0.15),
    Habit(name="bargain_hunter", share=0.15, visits_per_day=0.40, stay_days=320, purchase=0.03, checkout=0.03,
          cart=0.12, more_views=4.0, more_items=0.9, price_level=-0.9, coupon=0.65, subscribed=0.9, daily_deals=0.7,
          opens=0.32, clicks=0.22),
    Habit(name="big_spender", share=0.06, visits_per_day=0.20, stay_days=600, purchase=0.065, checkout=0.03,
          cart=0.08, more_views=3.2, more_items=2.6, price_level=0.95, coupon=0.02, subscribed=0.6, daily_deals=0.03,
          opens=0.20, clicks=0.10),
    Habit(name="window_shopper", share=0.25, visits_per_day=0.42, stay_days=220, purchase=0.003, checkout=0.008,
          cart=0.06, more_views=5.0, more_items=0.5, price_level=0.2, coupon=0.05, subscribed=0.55, daily_deals=0.06,
          opens=0.12, clicks=0.08),
    Habit(name="email_lover", share=0.10, visits_per_day=0.06, stay_days=450, purchase=0.045, checkout=0.02,
          cart=0.08, more_views=2.4, more_items=0.9, price_level=0.0, coupon=0.25, subscribed=1.0, daily_deals=0.6,
          opens=0.75, clicks=0.40),
    Habit(name="one_time_buyer", share=0.10, visits_per_day=0.40, stay_days=14, purchase=0.16, checkout=0.04,
          cart=0.08, more_views=3.0, more_items=0.4, price_level=0.0, coupon=0.15, subscribed=0.35, daily_deals=0.0,
          opens=0.10, clicks=0.05, arrives=True, buys_once=True),
    Habit(name="lapsed", share=0.10, visits_per_day=0.30, stay_days=300, purchase=0.05, checkout=0.03,
          cart=0.09, more_views=2.8, more_items=1.0, price_level=0.0, coupon=0.30, subscribed=0.9, daily_deals=0.1,
          opens=0.06, clicks=0.02, winback=0.35, dormant=True),
    Habit(name="newcomer", share=0.10, visits_per_day=0.50, stay_days=90, purchase=0.025, checkout=0.03,
          cart=0.10, more_views=5.5, more_items=0.6, price_level=0.0, coupon=0.35, subscribed=0.5, daily_deals=0.1,
          opens=0.40, clicks=0.15, arrives=True),
)

_PERSONAS = (
    Habit(name="regular", share=0.15, visits_per_day=0.70, stay_days=15000, purchase=0.38, checkout=0.04, cart=0.08,
          more_views=1.2, more_items=0.4, price_level=-0.1, coupon=0.05, subscribed=1.0, daily_deals=0.0, opens=0.68,
          clicks=0.24, unsubscribes=0.001),
    Habit(name="bargain_hunter", share=0.14, visits_per_day=0.45, stay_days=15000, purchase=0.17, checkout=0.05,
          cart=0.20, more_views=3.5, more_items=0.8, price_level=-0.9, coupon=0.80, subscribed=1.0, daily_deals=0.95,
          opens=0.42, clicks=0.20, unsubscribes=0.002),
    Habit(name="big_spender", share=0.14, visits_per_day=0.25, stay_days=15000, purchase=0.62, checkout=0.03, cart=0.06,
          more_views=1.5, more_items=5.0, price_level=0.95, coupon=0.02, subscribed=0.3, daily_deals=0.0, opens=0.12,
          clicks=0.08),
    Habit(name="window_shopper", share=0.15, visits_per_day=0.60, stay_days=15000, purchase=0.004, checkout=0.004,
          cart=0.03, more_views=4.0, more_items=0.3, price_level=0.2, coupon=0.05, subscribed=0.3, daily_deals=0.0,
          opens=0.12, clicks=0.08),
    Habit(name="wish_lister", share=0.13, visits_per_day=0.50, stay_days=15000, purchase=0.007, checkout=0.03,
          cart=0.50, more_views=3.0, more_items=1.5, price_level=0.2, coupon=0.10, subscribed=0.5, daily_deals=0.0,
          opens=0.15, clicks=0.08),
    Habit(name="mail_reader", share=0.14, visits_per_day=0.05, stay_days=15000, purchase=0.01, checkout=0.02, cart=0.06,
          more_views=1.0, more_items=0.7, price_level=0.0, coupon=0.25, subscribed=1.0, daily_deals=1.0, opens=0.60,
          clicks=0.36, unsubscribes=0.0005),
    Habit(name="occasional", share=0.15, visits_per_day=0.10, stay_days=15000, purchase=0.03, checkout=0.02, cart=0.08,
          more_views=1.5, more_items=0.6, price_level=0.0, coupon=0.15, subscribed=0.4, daily_deals=0.0, opens=0.10,
          clicks=0.08),
)
# fmt: on

#: By the name that ``segstream simulate --habits`` takes.
HABIT_SETS: dict[str, HabitSet] = {
    "shop": HabitSet(
        habits=_SHOP,
        lines_per_customer_day=2.7,
        evenness=3,
        switching=("window_shopper", "loyal_regular"),
        born="email_lover",
        dying="bargain_hunter",
        doubling="big_spender",
    ),
    "personas": HabitSet(
        habits=_PERSONAS,
        lines_per_customer_day=3.6,
        evenness=6,
        switching=("window_shopper", "regular"),
        born="mail_reader",
        dying="wish_lister",
        doubling="regular",
    ),
}

#: Country, share of the customers, hours ahead of UTC (winter time all year), currency.
COUNTRIES: tuple[tuple[str, float, int, str], ...] = (
    ("DE", 0.36, 1, "EUR"),
    ("FR", 0.15, 1, "EUR"),
    ("GB", 0.12, 0, "GBP"),
    ("NL", 0.08, 1, "EUR"),
    ("ES", 0.08, 1, "EUR"),
    ("IT", 0.08, 1, "EUR"),
    ("AT", 0.06, 1, "EUR"),
    ("US", 0.07, -5, "USD"),
)

DEVICES: tuple[tuple[str, float], ...] = (("mobile", 0.60), ("desktop", 0.33), ("tablet", 0.07))

#: The plan a customer is on, by the orders made before.
PLANS: tuple[tuple[int, str], ...] = ((0, "free"), (3, "plus"), (10, "gold"))
