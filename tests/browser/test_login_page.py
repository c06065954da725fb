"""Signing in, and out."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.invented import Dashboard
from tests.browser.watching import Watch


def test_in_and_out(page: Page, watch: Watch) -> None:
    watch.allow("status of 40[13]")
    with Dashboard(token="right") as dashboard:
        page.goto(f"{dashboard.url}/segments/lapsed")
        expect(page).to_have_url(re.compile(r"/login\?next="))
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Token").fill("right")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{dashboard.url}/segments/lapsed")
        expect(page.locator("[data-count=lapsed]")).to_be_visible()
        expect(page.get_by_role("status")).to_have_text("Live")

        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Token")).to_be_visible()


def test_a_session_that_ended_leads_to_the_login_and_back(page: Page, watch: Watch) -> None:
    watch.allow("status of 401")
    with Dashboard(token="right") as dashboard:
        page.goto(f"{dashboard.url}/login?next=%2Fpipeline")
        page.get_by_label("Token").fill("right")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Workers")).to_be_visible()
        page.context.clear_cookies()
        expect(page).to_have_url(f"{dashboard.url}/login?next=%2Fpipeline")
