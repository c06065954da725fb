"""Names, ids and values that would be code if a page took them for HTML are shown as the text they are."""

from __future__ import annotations

from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.browser.invented import Dashboard
from tests.dashboard.fake import HOSTILE

PAGES = {
    "/": ".feed, .segment",
    "/segments/shopper_abroad": "table",
    "/customers": ".feed li",
    f"/customers/{quote(HOSTILE, safe='')}": ".timeline li",
    "/pipeline": ".letter-value",
}
_HOSTILE_ELEMENTS = "main :is(img, b[onerror], script, iframe, [onerror], [onclick], [style*=expression])"


def test_hostile_text_stays_text(page: Page) -> None:
    for path, content in PAGES.items():
        page.goto(path)
        expect(page.locator(content).first).to_be_visible()
        expect(page.get_by_text(HOSTILE).first).to_be_attached()
        assert page.locator(_HOSTILE_ELEMENTS).count() == 0, path


def test_a_hostile_draft_stays_text(page: Page) -> None:
    page.goto("/draft")
    page.locator("#source").fill(f'version: 1\nsegments:\n  a:\n    enter: {HOSTILE}("{HOSTILE}")\n')
    page.keyboard.press("Control+Enter")
    expect(page.locator(".problems li").first).to_contain_text("<img src=x")
    assert page.locator(_HOSTILE_ELEMENTS).count() == 0


def test_a_hostile_change_that_comes_while_one_looks(page: Page, dashboard: Dashboard) -> None:
    page.goto("/")
    expect(page.locator(".feed li").first).to_be_visible()
    dashboard.answers.tell(f"{HOSTILE}1", "lapsed", words="<script>alert(2)</script>")
    newest = page.locator(".feed li").first
    expect(newest).to_contain_text("<script>alert(2)</script>")
    expect(newest.get_by_role("link", name=f"{HOSTILE}1")).to_be_visible()
    assert page.locator(_HOSTILE_ELEMENTS).count() == 0
