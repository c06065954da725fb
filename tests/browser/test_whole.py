"""With all real parts: what is produced to Kafka is on the page, with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.real_parts import RealParts, real_parts
from tests.browser.watching import Watch

HOSTILE = "<img src=x onerror=alert(1)>"
DEFINITIONS = """version: 1
segments:
  carted:
    description: Put something into the cart
    enter: exists(last(click where action == "add_to_cart"))
    tags: [funnel]
  searching:
    description: Searches
    enter: count(click where action == "search") >= 1
"""
DRAFT = """version: 1
segments:
  trial:
    enter: exists(last(click where action == "add_to_cart"))
  without_history:
    enter: count(click where action == "add_to_cart", 7d) >= 1
"""


# Made before the browser: its event loop would be in the way of those that the brokers are started with.
@pytest.fixture(scope="module", autouse=True)
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealParts]:
    folder = tmp_path_factory.mktemp("parts")
    definitions = folder / "segments.yaml"
    definitions.write_text(DEFINITIONS, encoding="utf-8")
    with real_parts(definitions, folder) as running:
        yield running


@pytest.fixture
def page(context: BrowserContext, watch: Watch) -> Iterator[Page]:
    page = context.new_page()
    page.set_default_timeout(60_000)
    watch.follow(page)
    yield page
    watch.check()


def test_what_is_produced_is_on_the_page(parts: RealParts, page: Page) -> None:
    parts.produce([f"c{number:03}" for number in range(40)], action="add_to_cart")
    page.goto(f"{parts.url}/")
    carted = page.locator("[data-count=carted]")
    expect(carted).to_have_text("40", timeout=60_000)

    parts.produce([*(f"d{number:03}" for number in range(25)), HOSTILE], action="add_to_cart", product_id=HOSTILE)

    expect(carted).to_have_text("66", timeout=30_000)
    feed = page.locator(".feed li")
    expect(feed.first).to_contain_text("put something into the cart")
    expect(page.locator("main img")).to_have_count(0)

    # A customer is found by search, with the reason of the change in words, and why not.
    page.get_by_role("link", name="Customers", exact=True).click()
    page.get_by_role("searchbox", name="Customer id").fill(HOSTILE)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page.locator(".memberships")).to_contain_text("Carted")
    expect(page.locator(".timeline li.entered")).to_contain_text("put something into the cart")
    expect(page.locator("[data-why=carted]")).to_contain_text("Member")
    expect(page.locator("[data-why=searching]")).to_contain_text(re.compile("Not a member.*Missing"))

    # A draft is counted on the worker's customers.
    page.get_by_role("link", name="Draft").click()
    page.locator("#source").fill(DRAFT)
    page.get_by_role("button", name="Check and count").click()
    expect(page.locator("[data-preview=trial] .preview-count")).to_have_text("66", timeout=30_000)
    expect(page.locator("[data-preview=without_history]")).to_contain_text("Counted from nothing")

    page.get_by_role("link", name="Pipeline").click()
    expect(page.get_by_role("table", name=re.compile("^Partitions of")).locator("tbody tr")).to_have_count(2)

    page.goto(f"{parts.url}/segments/carted")
    expect(page.locator("[data-count=carted]")).to_have_text("66")
    # What flowed is asked for every 10 s, and may be 5 s old.
    expect(page.get_by_role("row", name=re.compile("^Something they did"))).to_contain_text("66", timeout=30_000)
