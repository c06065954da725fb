"""The connection to the dashboard: it shows when it is lost, and comes back by itself."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.invented import Dashboard
from tests.browser.watching import Watch

REFUSED = "ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET"


def test_lost_and_regained(page: Page, dashboard: Dashboard, watch: Watch) -> None:
    watch.allow(REFUSED)
    page.goto("/")
    connection = page.get_by_role("status")
    count = page.locator("[data-count=lapsed]")
    expect(connection).to_have_text("Live")
    expect(count).to_have_text(f"{dashboard.answers.size('lapsed'):,}")
    expect(page.locator("#lost")).to_be_hidden()

    dashboard.stop()
    expect(connection).to_have_text("Connection lost")
    expect(page.locator("#lost")).to_contain_text("What you see may be old")
    expect(count).to_be_visible()

    dashboard.answers.move("lapsed", 7_654)
    dashboard.start()
    expect(connection).to_have_text("Live", timeout=15_000)
    expect(count).to_have_text("7,654")
    expect(page.locator("#lost")).to_be_hidden()

    dashboard.answers.move("lapsed", 7_655)
    expect(count).to_have_text("7,655")


def test_a_page_that_came_too_early_is_filled_later(page: Page, dashboard: Dashboard, watch: Watch) -> None:
    watch.allow(REFUSED)
    page.goto("/")
    expect(page.get_by_role("status")).to_have_text("Live")
    dashboard.stop()
    expect(page.get_by_role("status")).to_have_text("Connection lost")
    page.get_by_role("link", name="Pipeline").click()
    expect(page.get_by_role("alert")).to_contain_text("Is it still running?")
    dashboard.start()
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_role("heading", name="Workers")).to_be_visible(timeout=15_000)


def test_redis_away_is_said_and_its_end_too(page: Page, dashboard: Dashboard, watch: Watch) -> None:
    watch.allow("status of 503")
    page.goto("/")
    expect(page.get_by_role("status")).to_have_text("Live")
    dashboard.answers.away.add("redis")
    expect(page.locator("#lost")).to_contain_text("The numbers stand still: Redis at")
    expect(page.locator("[data-segment]")).to_have_count(21)
    dashboard.answers.away.clear()
    expect(page.get_by_role("status")).to_have_text("Live")
    expect(page.locator("#lost")).to_be_hidden()
