"""Whether the traffic is believable: funnels, habits, the week, mails, customers who come and go."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
import pytest

from stream.simulate import Simulation
from stream.simulate.draws import Draws, exact_log
from stream.simulate.habits import HABIT_SETS
from stream.simulate.season import busy_hours, instant_of
from tests.simulate.simulated import Event, Traffic, four_weeks

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@pytest.fixture(name="traffic")
def _traffic() -> Traffic:
    return four_weeks()


def of_action(events: Iterable[Event], action: str) -> list[Event]:
    return [event for event in events if event.get("action") == action]


def purchases(traffic: Traffic) -> list[Event]:
    return [event for event in traffic.events if event["type"] == "purchase"]


def test_purchases_follow_views_cart_and_checkout(traffic: Traffic) -> None:
    for visit in traffic.sessions().values():
        assert len({event["customer_id"] for event in visit}) == 1
        assert [e["timestamp"] for e in visit] == sorted(e["timestamp"] for e in visit)
        viewed: set[str] = set()
        cart: Counter[str] = Counter()
        checked_out = False
        for event in visit:
            if event["type"] == "purchase":
                assert checked_out
                assert event is visit[-1]
                assert Counter(item["product_id"] for item in event["items"]) == +cart
            elif event["action"] == "product_view":
                viewed.add(event["product_id"])
            elif event["action"] == "add_to_cart":
                assert event["product_id"] in viewed
                cart[event["product_id"]] += 1
            elif event["action"] == "remove_from_cart":
                cart[event["product_id"]] -= 1
                assert cart[event["product_id"]] >= 0
            elif event["action"] == "checkout_start":
                assert +cart
                checked_out = True


def test_total_is_the_sum_of_the_items(traffic: Traffic) -> None:
    with_coupon = 0
    for event in purchases(traffic):
        cents = sum(round(item["price"] * 100) * item["quantity"] for item in event["items"])
        assert round(event["total"] * 100) == cents
        with_coupon += "coupon" in event
    assert 0 < with_coupon < len(purchases(traffic)) / 2


def test_each_step_of_the_funnel_loses_visits(traffic: Traffic) -> None:
    visits = traffic.sessions().values()
    steps = ["product_view", "add_to_cart", "checkout_start"]
    shares = [sum(any(e.get("action") == step for e in visit) for visit in visits) / len(visits) for step in steps]
    shares.append(len(purchases(traffic)) / len(visits))
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.9
    assert 0.05 < shares[1] < 0.3
    assert 0.01 < shares[3] < 0.06
    assert shares[3] < 0.8 * shares[2] < 0.8 * 0.8 * shares[1]


def test_habits_show(traffic: Traffic) -> None:
    totals, coupons = defaultdict(list), defaultdict(list)
    for event in purchases(traffic):
        totals[traffic.habit_of(event)].append(event["total"])
        coupons[traffic.habit_of(event)].append("coupon" in event)
    mean = {habit: np.mean(values) for habit, values in totals.items()}
    others = np.mean([total for habit, values in totals.items() if habit != "big_spender" for total in values])
    assert mean["big_spender"] > 1.6 * others
    assert mean["bargain_hunter"] < others
    assert np.mean(coupons["bargain_hunter"]) > 0.5 > 3 * np.mean(coupons["loyal_regular"])

    visits = Counter(traffic.habit_of(visit[0]) for visit in traffic.sessions().values())
    conversion = {habit: len(totals[habit]) / n for habit, n in visits.items()}
    assert conversion["window_shopper"] < 0.01 < conversion["loyal_regular"]

    opened = Counter(map(traffic.habit_of, of_action(traffic.events, "opened")))
    delivered = Counter(map(traffic.habit_of, of_action(traffic.events, "delivered")))
    rate = {habit: opened[habit] / delivered[habit] for habit in delivered}
    assert max(rate, key=rate.__getitem__) == "email_lover"

    orders = Counter(event["customer_id"] for event in purchases(traffic))
    often = Counter(traffic.truth[customer]["habit"] for customer, n in orders.items() if n >= 3)
    assert max(often, key=often.__getitem__) == "loyal_regular"
    once = [n for customer, n in orders.items() if traffic.truth[customer]["habit"] == "one_time_buyer"]
    assert len(once) > 20
    assert np.mean(np.array(once) == 1) > 0.9


def test_purchase_propensity_is_the_share_of_visits_that_buy(traffic: Traffic) -> None:
    """The truth's parameter and what happens agree; visits from mails (which buy more) are left out."""
    expected = variance = 0.0
    bought = 0
    for visit in traffic.sessions().values():
        truth = traffic.truth[visit[0]["customer_id"]]
        if "mail." in visit[0].get("referrer", "") or truth["habit"] == "one_time_buyer":
            continue
        expected += truth["purchase_propensity"]
        variance += truth["purchase_propensity"] * (1 - truth["purchase_propensity"])
        bought += visit[-1]["type"] == "purchase"
    assert abs(bought - expected) < 4 * variance**0.5


def test_visit_rate_is_what_customers_do(traffic: Traffic) -> None:
    expected = 0.0
    for truth in traffic.truth.values():
        if not truth["dormant_at_start"]:
            begin = truth["arrived_at"] or traffic.simulation.start_ms
            days = (min(truth["alive_until"] or 2**60, traffic.simulation.end_ms) - begin) / DAY_MS
            expected += truth["visit_rate"] * days + (truth["arrived_at"] is not None)
    own = sum(
        not traffic.truth[visit[0]["customer_id"]]["dormant_at_start"] and "mail." not in visit[0].get("referrer", "")
        for visit in traffic.sessions().values()
    )
    assert own == pytest.approx(expected, rel=0.04)


def test_truth_lists_every_customer(traffic: Traffic) -> None:
    assert list(traffic.truth) == [f"c{n:06d}" for n in range(1, 1_501)]
    assert {event["customer_id"] for event in traffic.events} <= set(traffic.truth)
    habits = Counter(record["habit"] for record in traffic.truth.values())
    assert set(habits) == {habit.name for habit in HABIT_SETS["shop"].habits}
    for habit in HABIT_SETS["shop"].habits:
        assert habits[habit.name] / 1_500 == pytest.approx(habit.share, abs=0.04)
    assert sum(habit.share for habit in HABIT_SETS["shop"].habits) == pytest.approx(1)
    for record in traffic.truth.values():
        assert record["visit_rate"] > 0
        assert 0 <= record["purchase_propensity"] < 0.5
        assert -1 <= record["price_level"] <= 1
        assert record["basket_size"] >= 1


def test_nobody_acts_before_they_come_or_after_they_leave(traffic: Traffic) -> None:
    began: set[str] = set()
    for event in traffic.events:
        truth = traffic.truth[event["customer_id"]]
        assert event["timestamp"] >= (truth["arrived_at"] or 0)
        own = event.get("action") in ("opened", "clicked", "unsubscribed", "complained")
        if "session_id" in event and event["session_id"] not in began:
            began.add(event["session_id"])
            own = True
        if own and truth["alive_until"] is not None:
            assert event["timestamp"] < truth["alive_until"]
    left = sum(record["alive_until"] is not None for record in traffic.truth.values())
    assert 0.05 < left / len(traffic.truth) < 0.4
    arrived = sum(record["arrived_at"] is not None for record in traffic.truth.values())
    assert 0.1 < arrived / len(traffic.truth) < 0.5


def test_traffic_neither_grows_nor_dries_up() -> None:
    times = []
    for chunk in Simulation(customers=400, days=280, seed=5).chunks():
        times += [int(part[:13]) for part in chunk.split(b'"timestamp":')[1:]]
    start = Simulation(customers=1).start_ms
    quarters = np.bincount((np.array(times) - start) // (70 * DAY_MS))
    assert len(quarters) == 4
    assert quarters.min() > 0.75 * quarters.max()


def test_the_hours_and_days_of_the_week_show(traffic: Traffic) -> None:
    clicks = np.array([event["timestamp"] for event in traffic.events if event["type"] == "click"])
    hours = np.bincount(clicks // HOUR_MS % 24, minlength=24)
    assert hours[18:21].mean() > 5 * hours[1:4].mean()
    days = np.bincount((clicks // DAY_MS + 3) % 7, minlength=7)
    assert days[6] > 1.1 * days[4]  # Sunday and Friday


def test_mails_are_causal(traffic: Traffic) -> None:
    messages = defaultdict(list)
    for event in traffic.events:
        if event["type"] == "email":
            messages[event["message_id"]].append(event)
    for mails in messages.values():
        actions = [mail["action"] for mail in mails]
        assert actions[0] in ("delivered", "bounced")
        assert len(set(actions)) == len(actions)
        assert len({(mail["customer_id"], mail["campaign_id"]) for mail in mails}) == 1
        if "clicked" in actions:
            assert actions.index("opened") < actions.index("clicked")
    gone: set[str] = set()
    for event in traffic.events:
        if event.get("action") == "delivered":
            assert event["customer_id"] not in gone
        if event.get("action") == "bounced":
            gone.add(event["customer_id"])


def test_clicks_in_mails_lead_to_visits_of_the_campaign(traffic: Traffic) -> None:
    clicked = Counter((e["customer_id"], e["campaign_id"]) for e in of_action(traffic.events, "clicked"))
    led = Counter(
        (visit[0]["customer_id"], visit[0]["campaign_id"])
        for visit in traffic.sessions().values()
        if "mail." in visit[0].get("referrer", "")
    )
    assert not led - clicked
    assert (clicked - led).total() <= 5  # cut at the end of the period
    campaigns = {campaign for _, campaign in led}
    assert "cart-reminder" in campaigns
    assert any(campaign.startswith("winback") for campaign in campaigns)


def test_reminders_follow_abandoned_carts(traffic: Traffic) -> None:
    last_cart: dict[str, int] = {}
    reminders = 0
    for event in traffic.events:
        if event.get("action") == "add_to_cart":
            last_cart[event["customer_id"]] = event["timestamp"]
        if event.get("action") == "delivered" and event["campaign_id"] == "cart-reminder":
            reminders += 1
            assert event["timestamp"] > last_cart[event["customer_id"]] - 2 * HOUR_MS
    assert reminders > 100


def test_the_lapsed_are_silent_until_a_mail_wins_them_back(traffic: Traffic) -> None:
    visits = defaultdict(list)
    for visit in traffic.sessions().values():
        if traffic.habit_of(visit[0]) == "lapsed":
            visits[visit[0]["customer_id"]].append(visit[0].get("referrer", ""))
    lapsed = sum(record["dormant_at_start"] for record in traffic.truth.values())
    assert 0.1 < len(visits) / lapsed < 0.8
    assert all("mail." in referrers[0] for referrers in visits.values())
    assert any("mail." not in referrer for referrers in visits.values() for referrer in referrers[1:])


def test_popularity_is_skewed_like_zipf(traffic: Traffic) -> None:
    views = Counter(event["product_id"] for event in of_action(traffic.events, "product_view"))
    ranked = [n for _, n in views.most_common()]
    assert sum(ranked[: len(ranked) // 10]) > 0.35 * sum(ranked)
    assert len(views) > 1_500


def test_the_clock_of_busy_hours_is_undone() -> None:
    at_ms = np.floor(Draws(1, 1).uniform(10_000) * 4e12)
    # A rounding of a million hours (1e-10 h) grows by the slowest hour's pace (1/20): some hundredths of a millisecond.
    assert np.abs(instant_of(busy_hours(at_ms)) - at_ms).max() < 0.05
    assert np.all(np.diff(busy_hours(np.sort(at_ms))) >= 0)


def test_draws_have_the_distributions_they_claim() -> None:
    draws, n = Draws(9, 0), 200_000
    u, waits = draws.uniform(n), draws.exponential(n)
    assert u.min() >= 0
    assert u.max() < 1
    assert u.mean() == pytest.approx(0.5, abs=0.004)
    assert (waits.mean(), waits.std()) == pytest.approx((1, 1), abs=0.015)
    assert draws.erlang(n, 4).std() == pytest.approx(0.5, abs=0.01)
    delays = draws.log_uniform(n, 2.0, 2.0 * 2**10)
    assert delays.min() >= 2
    assert delays.max() < 2 * 2**10
    assert np.bincount(np.log2(delays / 2).astype(int)) == pytest.approx(n / 10, rel=0.05)
    x = u + 1e-12
    assert np.abs(exact_log(x) - np.log(x)).max() < 1e-8
