"""All segments: cards that move, found, filtered and sorted."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.invented import Dashboard
from tests.browser.watching import Watch


def _names(page: Page) -> list[str]:
    return [card.get_attribute("data-segment") or "" for card in page.locator("[data-segment]").all()]


def test_a_count_moves_while_one_looks(page: Page, dashboard: Dashboard) -> None:
    page.goto("/")
    count = page.locator("[data-count=cart_abandoner]")
    expect(count).to_have_text(f"{dashboard.answers.size('cart_abandoner'):,}")

    dashboard.answers.move("cart_abandoner", 12_345)

    expect(count).to_have_text("12,345")
    expect(count).to_have_class(re.compile("flash.*up"))
    expect(page.locator("[data-segment=cart_abandoner] .segment-share")).to_contain_text("62 % of customers")
    expect(count).not_to_have_class(re.compile("flash"))


def test_cards_keep_their_places_when_counts_move(page: Page, dashboard: Dashboard) -> None:
    page.goto("/?sort=members")
    expect(page.locator("[data-segment]").first).to_be_visible()
    before = _names(page)

    dashboard.answers.move(before[-1], 99_999)

    expect(page.locator(f"[data-count={before[-1]}]")).to_have_text("99,999")
    assert _names(page) == before


def test_the_reason_of_a_change_in_words(page: Page, dashboard: Dashboard) -> None:
    page.goto("/")
    expect(page.locator(".feed li").first).to_be_visible()
    words = "put two things into the cart 31 minutes ago, and has not bought since"

    dashboard.answers.tell("c000777", "cart_abandoner", words=words)

    newest = page.locator(".feed li").first
    expect(newest).to_contain_text(words)
    expect(newest).to_contain_text("Entered")
    expect(newest.get_by_role("link", name="c000777")).to_have_attribute("href", "/customers/c000777")


def test_search_finds_names_tags_and_owners(page: Page) -> None:
    page.goto("/")
    search = page.get_by_role("searchbox", name="Search")
    search.fill("LEFT items cart")
    expect(page.locator("[data-segment]")).to_have_count(1)
    assert _names(page) == ["cart_abandoner"]

    search.fill("churn crm")
    expect(page.locator("[data-segment=lapsed]")).to_be_visible()
    assert "cart_abandoner" not in _names(page)

    search.fill("no such thing")
    expect(page.get_by_role("heading", name="No segment is like that")).to_be_visible()
    page.get_by_role("button", name="Show all segments").click()
    expect(page.locator("[data-segment]")).to_have_count(21)


def test_filters_and_order_stand_in_the_address(page: Page, dashboard: Dashboard) -> None:
    page.goto("/")
    page.get_by_label("Tag").select_option("churn")
    page.get_by_label("Order").select_option("members")
    expect(page).to_have_url(re.compile(r"tag=churn&sort=members$"))
    page.reload()
    expect(page.locator("[data-segment]")).to_have_count(4)
    sizes = [dashboard.answers.size(name) for name in _names(page)]
    assert sizes == sorted(sizes, reverse=True)


def test_a_clock_that_is_behind_is_said(page: Page, dashboard: Dashboard) -> None:
    page.goto("/")
    expect(page.locator("[data-segment]")).to_have_count(21)
    expect(page.locator("main .notice")).to_be_hidden()

    dashboard.answers.behind_s = 3 * 3_600 + 12 * 60 + 7

    expect(page.locator("main .notice")).to_contain_text("The stream clock is 3 h 12 min behind the time of day")


def test_alerts_are_on_the_cards(page: Page) -> None:
    page.goto("/?sort=alerts")
    first = page.locator("[data-segment]").first
    expect(first.locator(".alert")).to_be_visible()
    expect(page.locator("[data-segment=win_back] .alert")).to_contain_text("fewer than its min_size of 5,000")


def test_one_segment_has_its_curve_reasons_and_members(page: Page, dashboard: Dashboard) -> None:
    page.goto("/")
    page.get_by_role("link", name="Cart abandoner", exact=True).first.click()
    expect(page).to_have_url(re.compile("/segments/cart_abandoner$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Cart abandoner")
    expect(page.get_by_text("Leaves when the customer buys, or has not clicked for 7 days.")).to_be_visible()
    expect(page.locator(".chart canvas")).to_have_count(2)
    expect(page.locator(".chart")).to_have_attribute("aria-label", re.compile("^Members from .* to "))
    expect(page.get_by_role("row", name=re.compile("^Time passing"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^New visitor"))).to_contain_text("50 %")

    page.get_by_role("radio", name="7 days").check()
    page.get_by_text("These numbers as a table").click()
    expect(page.get_by_role("table", name="Members over time").locator("tbody tr")).to_have_count(168)

    members = page.get_by_role("table", name="Members", exact=True).locator("tbody tr")
    expect(members).to_have_count(10)
    page.get_by_role("button", name="Show more").click()
    expect(members).to_have_count(20)

    dashboard.answers.move("cart_abandoner", 4_321)
    expect(page.locator("[data-count=cart_abandoner]")).to_have_text("4,321")


def test_members_are_exported(page: Page) -> None:
    page.goto("/segments/cart_abandoner")
    with page.expect_download() as download:
        page.get_by_role("link", name="All as CSV").click()
    assert download.value.suggested_filename == "cart_abandoner.csv"
    assert download.value.path().read_bytes().startswith(b"customer_id,since,held_out\r\nc000001,")


def test_an_unknown_segment_leads_back(page: Page, watch: Watch) -> None:
    watch.allow("status of 404")
    page.goto("/segments/nothing_like_that")
    expect(page.get_by_role("heading", name="There is no such segment")).to_be_visible()
    page.get_by_role("link", name="See all segments").click()
    expect(page.locator("[data-segment]")).to_have_count(21)


def test_times_are_the_shop_s(page: Page, dashboard: Dashboard) -> None:
    change = dashboard.answers.remember("c000001", "lapsed")
    at = "2025-07-01T22:30:15.250Z"
    change["at"] = at
    page.goto("/")
    shown = page.locator(f".feed time[datetime='{at}']")
    expect(shown).to_have_text("00:30:15")  # Berlin, in summer
    expect(shown).to_have_attribute("title", at)
