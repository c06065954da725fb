"""Pictures of each page of the dashboard, at both widths, light and dark, for a person to judge.

``python -m scripts.screenshots`` looks at invented data that it serves by itself; with ``--url`` at a dashboard that
runs. ``--customer``, ``--segment`` and ``--persona`` say whose pages are taken. Needs Chromium; see
``scripts/chromium.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from scripts.chromium import HOW_TO_GET_IT, find_chromium, launch_arguments

WIDTHS = {375: 812, 1440: 900}
THEMES = ("light", "dark")
_FAKE_PORT = 18_437
_START_WITHIN_S = 60
_DRAFT_WITH_MISTAKES = """version: 1
segments:
  keen_visitor:
    description: Came back again and again this week
    enter: cuont(click, 7d) >= 5 and never(purchase)
  big_basket:
    enter: max(purchase.total, 30d) >= "200"
"""


def pages(segment: str, customer: str, persona: str) -> dict[str, str]:
    """Each page's name and address."""
    return {
        "segments": "/",
        "segment": f"/segments/{quote(segment, safe='')}",
        "customers": "/customers",
        "customer": f"/customers/{quote(customer, safe='')}",
        "personas": "/personas",
        "persona": f"/personas/{quote(persona, safe='')}",
        "pipeline": "/pipeline",
        "draft": "/draft",
    }


@contextlib.contextmanager
def _invented_data(*options: str) -> Iterator[str]:
    """The address of a dashboard over invented data."""
    url = f"http://127.0.0.1:{_FAKE_PORT}"
    command = [sys.executable, "-m", "tests.dashboard.fake", "--port", str(_FAKE_PORT), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            _wait_for(url, server)
            yield url
        finally:
            server.terminate()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_WITHIN_S
    while True:
        try:
            urllib.request.urlopen(f"{url}/static/logo.svg", timeout=2).close()  # noqa: S310 (our own)
        except (urllib.error.URLError, ConnectionError):
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _take(page: Page, name: str, address: str, file: Path, *, full: bool) -> None:
    # The stream of events never ends, so the network is never idle: what is waited for is the page's own content.
    page.goto(address, wait_until="load")
    page.wait_for_selector("main h1")
    expect(page.locator("main [aria-busy]")).to_have_count(0, timeout=15_000)
    if name == "draft":
        page.wait_for_selector("#from option:nth-child(2)", state="attached")
        page.get_by_role("button", name="Check and count").click()
        page.wait_for_selector("[data-preview], .problems")
    elif name == "draft-mistakes":
        page.locator("#source").fill(_DRAFT_WITH_MISTAKES)
        page.get_by_role("button", name="Check and count").click()
        page.locator(".problems button").first.click()
    elif name == "customer":
        for part in page.locator(".why details").all()[:2]:
            part.evaluate("element => { element.open = true; }")
    if full:
        page.evaluate("scrollTo(0, 0)")  # what sticks to the top stays there
    page.screenshot(path=file, full_page=full)


def _all(browser: Browser, url: str, folder: Path, chosen: dict[str, str], *, full: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for width, height in WIDTHS.items():
        for theme in THEMES:
            size: ViewportSize = {"width": width, "height": height}
            context = browser.new_context(
                viewport=size, color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce"
            )
            page = context.new_page()
            for name, path in chosen.items():
                file = folder / f"{name}-{width}-{theme}.png"
                _take(page, name, url + path, file, full=full)
                print(file)
            context.close()


def main() -> int:
    """Takes them all."""
    parser = argparse.ArgumentParser(description="Save a picture of each page at both widths, light and dark.")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--url", help="a dashboard that runs; default: one over invented data")
    parser.add_argument("--segment", default="cart_abandoner")
    parser.add_argument("--customer", default="c006312")
    parser.add_argument("--persona", default="p3")
    parser.add_argument("--only", action="append", help="only this page")
    parser.add_argument("--window", action="store_true", help="what fits into the window, not the whole page")
    arguments = parser.parse_args()
    browser_path = find_chromium()
    if browser_path is None:
        print(HOW_TO_GET_IT, file=sys.stderr)
        return 69
    chosen = {**pages(arguments.segment, arguments.customer, arguments.persona), "draft-mistakes": "/draft"}
    if arguments.only:
        chosen = {name: path for name, path in chosen.items() if name in arguments.only}
    with contextlib.ExitStack() as stack:
        url = arguments.url or stack.enter_context(_invented_data())
        driver = stack.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=browser_path, args=launch_arguments())
        _all(browser, url.rstrip("/"), arguments.folder, chosen, full=not arguments.window)
        if arguments.url is None and not arguments.only:
            stack.close()
            _login(arguments.folder, browser_path)
    return 0


def _login(folder: Path, browser_path: str) -> None:
    with _invented_data("--token", "secret") as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=launch_arguments())
        _all(browser, url, folder, {"login": "/login"}, full=False)


if __name__ == "__main__":
    sys.exit(main())
