"""One customer: found by search, with what is known of them and why they are where they are."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.invented import Dashboard
from tests.browser.watching import Watch
from tests.dashboard.fake import CUSTOMERS


def test_a_customer_is_found_by_search(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Customers", exact=True).click()
    page.get_by_role("searchbox", name="Customer id").fill("c006312")
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile("/customers/c006312$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("c006312")
    expect(page.locator(".memberships li").first).to_contain_text("Cart abandoner held out")
    expect(page.get_by_text("84 % likely to buy within 90 days")).to_be_visible()
    expect(page.locator("[data-facts]")).to_contain_text("Next possible change")


def test_any_id_has_a_page(page: Page) -> None:
    page.goto("/customers")
    for customer in CUSTOMERS:
        page.get_by_role("searchbox", name="Customer id").fill(customer)
        page.get_by_role("button", name="Look up").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(customer)
        expect(page.locator(".memberships li")).to_have_count(3)
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text(customer)
        expect(page.locator(".memberships li")).to_have_count(3)


def test_the_time_line_says_why(page: Page) -> None:
    page.goto("/customers/c006312")
    first = page.locator(".timeline .changes > li").first
    expect(first).to_contain_text("put something into the cart 30 minutes ago; has never bought")
    first.get_by_text("The values at that instant").click()
    expect(first.get_by_role("row", name=re.compile("^count"))).to_contain_text("3")
    expect(first.get_by_role("row", name=re.compile(r"^last\(purchase\)"))).to_contain_text("nothing yet")
    expect(page.locator(".timeline h3").first).to_have_text(re.compile(r"^\w+day,? \d+ \w+ \d{4}$"))


def test_why_and_why_not(page: Page) -> None:
    page.goto("/customers/c006312")
    abroad = page.locator("[data-why=shopper_abroad]")
    expect(abroad).to_contain_text("Not a member")
    expect(abroad).to_contain_text("Missing: the last click's country is none of “DE”, “AT”, “CH”")
    expect(abroad).to_contain_text("Kept out until 12 hours after the last exit")
    abroad.locator("summary").click()
    expect(abroad).to_contain_text("since(last(click)) is 8 d")

    cart = page.locator("[data-why=cart_abandoner]")
    cart.locator("summary").click()
    comparisons = cart.locator(".comparison")
    expect(comparisons).to_have_count(3)
    expect(comparisons.nth(0).get_by_role("img")).to_have_accessible_name("holds")
    expect(comparisons.nth(0)).to_contain_text("last(purchase) is nothing yet")
    expect(comparisons.nth(2)).to_contain_text("did not click for 7 days")
    expect(comparisons.nth(2).get_by_role("img")).to_have_accessible_name("does not hold")

    page.get_by_label("Which segments").select_option("out")
    expect(page.locator("[data-why]")).to_have_count(1)


def test_what_was_opened_stays_open_when_news_come(page: Page, dashboard: Dashboard) -> None:
    page.goto("/customers/c006312")
    cart = page.locator("[data-why=cart_abandoner]")
    cart.locator("summary").click()
    expect(cart).to_have_attribute("open", "")
    with page.expect_response("**/v1/customers/c006312"):
        dashboard.answers.tell("c006312", "lapsed")
    expect(cart).to_have_attribute("open", "")
    expect(cart.locator("summary")).to_be_focused()


def test_nobody_is_said_in_words(page: Page, watch: Watch) -> None:
    watch.allow("status of 404")
    page.goto("/customers/nobody")
    expect(page.get_by_role("heading", name="Nobody with this id is known")).to_be_visible()


def test_without_a_worker_what_redis_holds_is_shown(page: Page) -> None:
    page.goto("/customers/away")
    expect(page.locator(".memberships li")).to_have_count(3)
    expect(page.get_by_text("only what Redis holds is shown")).to_be_visible()


def test_without_redis_it_is_said_and_can_be_tried_again(page: Page, dashboard: Dashboard, watch: Watch) -> None:
    watch.allow("status of 503")
    dashboard.answers.away.add("redis")
    page.goto("/customers/c006312")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    dashboard.answers.away.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".memberships li")).to_have_count(3)
