"""A browser, a dashboard over invented data, and pages that must not complain.

Without Chromium these tests are skipped, and say how to get it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from scripts.chromium import HOW_TO_GET_IT, find_chromium, launch_arguments
from tests.browser.invented import Dashboard
from tests.browser.watching import Watch

WIDE = (1440, 900)
_WITHIN_MS = 10_000


# Not for the whole session: while Playwright runs, its event loop is the thread's, and nobody else can run one there.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip(HOW_TO_GET_IT)
    expect.set_options(timeout=_WITHIN_MS)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=launch_arguments())
        yield browser
        browser.close()


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    with Dashboard() as running:
        yield running


@pytest.fixture
def context(browser: Browser, dashboard: Dashboard) -> Iterator[BrowserContext]:
    width, height = WIDE
    context = browser.new_context(
        viewport={"width": width, "height": height}, base_url=dashboard.url, reduced_motion="reduce", locale="en-GB"
    )
    context.set_default_timeout(_WITHIN_MS)
    yield context
    context.close()


@pytest.fixture
def watch() -> Watch:
    """What the page complained about; a test says with ``allow`` what belongs to what it does."""
    return Watch()


@pytest.fixture
def page(context: BrowserContext, watch: Watch) -> Iterator[Page]:
    page = context.new_page()
    watch.follow(page)
    yield page
    watch.check()
