"""What all pages share: colours, titles, what was written and what is sent along."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from stream.dashboard.app import STATIC
from tests.browser.invented import Dashboard

OURS = [path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts]
#: Ways in which a text becomes elements or code.
_TEXT_AS_CODE = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc"
)


def test_colours_follow_the_system_and_the_switch(page: Page) -> None:
    def ground() -> str:
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return colour

    page.emulate_media(color_scheme="light")
    page.goto("/pipeline")
    light = ground()
    page.emulate_media(color_scheme="dark")
    dark = ground()
    assert light != dark
    switch = page.get_by_role("button", name="Colours")
    switch.click()
    expect(switch).to_have_text("Light")
    assert ground() == light
    page.reload()
    assert ground() == light
    switch.click()
    expect(switch).to_have_text("Dark")
    assert ground() == dark


TITLES = {
    "/": "Segments · segstream",
    "/segments/lapsed": "Lapsed · segstream",
    "/customers": "Customers · segstream",
    "/customers/a%2Fb": "a/b · segstream",
    "/pipeline": "Pipeline · segstream",
    "/draft": "Draft · segstream",
}


def test_each_page_has_its_title_and_one_heading(page: Page) -> None:
    for path, title in TITLES.items():
        page.goto(path)
        expect(page).to_have_title(title)
        expect(page.locator("h1")).to_have_count(1)


def test_the_pipeline_says_how_everything_is(page: Page, dashboard: Dashboard) -> None:
    page.goto("/pipeline")
    expect(page.get_by_role("table", name="Partitions of i-0").locator("tbody tr")).to_have_count(4)
    expect(page.get_by_role("table", name="Partitions of i-0")).to_contain_text("4,321 records to go")
    expect(page.get_by_role("table", name="The latest dead letters")).to_contain_text("`customer_id` is missing")
    expect(page.locator(".tile", has_text="Delay of a change")).to_contain_text("99 of 100 below")
    expect(page.locator(".facts")).to_contain_text("179 MiB")

    dashboard.answers.away.add("workers")
    expect(page.get_by_role("heading", name="No worker is running")).to_be_visible()


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_files_make_no_code_of_text_and_load_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not _TEXT_AS_CODE.search(text)
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text)) - {"http://www.w3.org/2000/svg"}
    assert not addresses
    if path.suffix == ".html":
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)
    assert len(text.splitlines()) < 400


def test_what_others_made_is_named_with_its_licence() -> None:
    notice = (STATIC / "vendor" / "NOTICE").read_text()
    for folder in (path for path in (STATIC / "vendor").iterdir() if path.is_dir()):
        assert folder.name in notice
        assert "MIT License" in (folder / "LICENSE").read_text()
    chart = STATIC / "vendor" / "uplot-1.6.32" / "uPlot.iife.min.js"
    assert (
        hashlib.sha256(chart.read_bytes()).hexdigest()
        == "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"
    )
