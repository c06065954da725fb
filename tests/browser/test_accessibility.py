"""axe-core on every page, in both themes and at both widths; and nothing wider than the screen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.invented import Dashboard
from tests.browser.watching import Watch

WIDTHS = {375: 812, 1440: 900}
#: An id that fits into no line.
LONG = "x" * 256
_BAD = ("serious", "critical")
#: It would read style sheets anew in ways that the security policy forbids.
_OPTIONS = {"resultTypes": ["violations"], "preload": False}


def _segments(page: Page) -> None:
    page.goto("/")
    expect(page.locator("[data-segment]")).to_have_count(21)
    expect(page.locator(".feed li").first).to_be_visible()


def _segment(page: Page) -> None:
    page.goto("/segments/cart_abandoner")
    expect(page.locator(".chart canvas")).to_have_count(2)
    page.get_by_text("As it is written").click()
    page.get_by_text("These numbers as a table").click()


def _personas(page: Page) -> None:
    page.goto("/personas")
    expect(page.locator("[data-persona]")).to_have_count(6)
    expect(page.locator(".movement .ribbon")).to_have_count(10)
    page.get_by_text("These numbers as a table").click()
    page.get_by_text("5 older versions").click()


def _persona(page: Page) -> None:
    page.goto("/personas/p3")
    expect(page.locator(".chart canvas")).to_have_count(2)
    page.get_by_role("radio", name="Share").check()
    page.get_by_text("These numbers as a table").click()


def _customers(page: Page) -> None:
    page.goto("/customers")
    expect(page.locator(".feed li").first).to_be_visible()
    expect(page.get_by_role("link", name=LONG).first).to_be_visible()


def _customer(page: Page) -> None:
    page.goto("/customers/c006312")
    page.locator(".why summary").first.click()
    page.get_by_text("The values at that instant").first.click()


def _nobody(page: Page) -> None:
    page.goto("/customers/nobody")
    expect(page.get_by_role("heading", name="Nobody with this id is known")).to_be_visible()


def _pipeline(page: Page) -> None:
    page.goto("/pipeline")
    expect(page.get_by_role("heading", name="Dead letters")).to_be_visible()


def _draft(page: Page) -> None:
    page.goto("/draft")
    page.get_by_role("button", name="Check and count").click()
    expect(page.locator("[data-preview]")).to_be_visible()


def _mistakes(page: Page) -> None:
    page.goto("/draft")
    page.locator("#source").fill("version: 1\nsegments:\n  a:\n    enter: cuont(click) > 1\n")
    page.get_by_role("button", name="Check and count").click()
    expect(page.locator(".problems li")).to_have_count(1)


PAGES: list[Callable[[Page], None]] = [
    _segments,
    _segment,
    _personas,
    _persona,
    _customers,
    _customer,
    _nobody,
    _pipeline,
    _draft,
    _mistakes,
]


@pytest.mark.parametrize("show", PAGES)
def test_nothing_keeps_people_from_using_it(
    page: Page, dashboard: Dashboard, watch: Watch, show: Callable[[Page], None]
) -> None:
    watch.allow("status of 404")
    dashboard.answers.remember(LONG, "lapsed")
    show(page)
    expect(page.locator("main [aria-busy]")).to_have_count(0)
    _examine(page)


def test_the_login_page(page: Page) -> None:
    with Dashboard(token="right") as dashboard:
        page.goto(f"{dashboard.url}/login")
        _examine(page)


def test_a_lost_connection(page: Page, dashboard: Dashboard, watch: Watch) -> None:
    watch.allow("ERR_|status of 503")
    dashboard.answers.away.add("redis")
    page.goto("/")
    expect(page.locator("#lost")).to_be_visible()
    _examine(page)


def _examine(page: Page) -> None:
    for theme in ("light", "dark"):
        for width, height in WIDTHS.items():
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            page.set_viewport_size({"width": width, "height": height})
            found = [
                f"{theme} {width}: {violation['id']}: {[node['html'] for node in violation['nodes']][:3]}"
                for violation in Axe().run(page, options=_OPTIONS).response["violations"]
                if violation["impact"] in _BAD
            ]
            assert not found
            beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert beyond == 0, f"{beyond} px wider than {width}"
