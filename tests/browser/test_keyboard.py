"""Everything is reached, seen and used by keyboard."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def _focused(page: Page) -> str:
    text: str = page.evaluate(
        "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()"
    )
    return text


def test_a_walk_through_the_frame_into_a_segment(page: Page) -> None:
    page.goto("/")
    expect(page.locator("[data-segment]")).to_have_count(21)
    walked = []
    for _ in range(8):
        page.keyboard.press("Tab")
        walked.append(_focused(page))
    assert walked == [
        "Skip to the content",
        "segstream, to the segments",
        "Segments",
        "Personas",
        "Customers",
        "Pipeline",
        "Draft",
        "Colours: Auto. Change",
    ]
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    page.keyboard.type("lapsed")
    for _ in range(4):  # tag, owner, order, card
        page.keyboard.press("Tab")
    assert _focused(page) == "Lapsed"
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/segments/lapsed$"))
    expect(page.get_by_role("heading", level=1, name="Lapsed")).to_be_focused()


def test_the_skip_link_skips(page: Page) -> None:
    page.goto("/pipeline")
    expect(page.get_by_role("heading", name="Workers")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_a_slash_that_is_typed_is_a_slash(page: Page) -> None:
    page.goto("/customers")
    search = page.get_by_role("searchbox", name="Customer id")
    expect(search).to_be_visible()
    page.keyboard.press("/")
    expect(search).to_be_focused()
    page.keyboard.type("a/b")
    expect(search).to_have_value("a/b")


def test_what_has_the_focus_is_seen(page: Page) -> None:
    page.goto("/segments/cart_abandoner")
    expect(page.get_by_role("link", name="All as CSV")).to_be_visible()
    for _ in range(25):
        page.keyboard.press("Tab")
        outlined = page.evaluate(
            """() => {
              const focused = document.activeElement;
              const shown = focused.matches('.switch input') ? focused.nextElementSibling : focused;
              return getComputedStyle(shown).outlineStyle;
            }"""
        )
        assert outlined == "solid", _focused(page)


def test_the_spans_of_the_curve_by_arrow_keys(page: Page) -> None:
    page.goto("/segments/cart_abandoner")
    expect(page.locator(".chart canvas")).to_have_count(2)
    page.get_by_role("radio", name="24 hours").focus()
    with page.expect_response("**/history?hours=168"):
        page.keyboard.press("ArrowRight")


def test_the_way_back_is_the_browser_s(page: Page) -> None:
    page.goto("/?tag=churn")
    page.get_by_role("link", name="Lapsed", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Lapsed")
    page.go_back()
    expect(page).to_have_url(re.compile(r"/\?tag=churn$"))
    expect(page.locator("[data-segment]")).to_have_count(4)
