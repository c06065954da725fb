"""A draft: checked with places, and counted."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.invented import Dashboard

MISTAKES = """version: 1
segments:
  keen:
    description: 🛒 früh da
    enter: cuont(click, 7d) >= 5
"""


def _selected(page: Page) -> str:
    chosen: str = page.locator("#source").evaluate("f => f.value.slice(f.selectionStart, f.selectionEnd)")
    return chosen


def test_a_draft_is_previewed(page: Page) -> None:
    page.goto("/draft")
    page.get_by_role("button", name="Check and count").click()
    preview = page.locator("[data-preview=keen_visitor]")
    expect(preview.locator(".preview-count")).to_have_text("1,234")
    expect(preview).to_contain_text("of 20,000 customers (6.2 %)")
    expect(preview.get_by_role("link", name="c006312")).to_have_attribute("href", "/customers/c006312")


def test_a_mistake_is_shown_at_its_place(page: Page) -> None:
    page.goto("/draft")
    page.locator("#source").fill(MISTAKES)
    page.keyboard.press("Control+Enter")
    problem = page.locator(".problems li")
    expect(problem).to_have_count(1)
    expect(problem).to_contain_text("Line 5, column 12")
    expect(problem).to_contain_text("unknown function `cuont` (did you mean `count`?)")
    expect(problem.locator("mark")).to_have_text("cuont")
    expect(page.locator(".lines > .error")).to_have_text("5")
    problem.get_by_role("button").click()
    expect(page.locator("#source")).to_be_focused()
    assert _selected(page) == "cuont"

    page.locator("#source").fill(MISTAKES.replace("cuont", "count"))
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-preview=keen]")).to_be_visible()
    expect(page.locator(".lines > .error")).to_have_count(0)


def test_a_place_far_down_is_brought_into_view(page: Page) -> None:
    page.goto("/draft")
    page.locator("#source").fill("# so\n" * 300 + MISTAKES)
    page.keyboard.press("Control+Enter")
    problem = page.locator(".problems li")
    expect(problem).to_contain_text("Line 305")
    page.locator("#source").evaluate("f => { f.scrollTop = 0; }")
    problem.get_by_role("button").click()
    assert _selected(page) == "cuont"
    field, line = page.locator("#source").bounding_box(), page.locator(".lines > .error").bounding_box()
    assert field is not None
    assert line is not None
    assert field["y"] < line["y"] < field["y"] + field["height"]


def test_it_may_begin_with_a_segment_that_is_there(page: Page) -> None:
    page.goto("/draft")
    page.get_by_label("Begin with").select_option("lapsed")
    expect(page.locator("#source")).to_have_value(re.compile(r"^version: 1\nsegments:\n  lapsed:\n"))


def test_it_outlives_a_reload_and_keeps_indentation(page: Page) -> None:
    page.goto("/draft")
    field = page.locator("#source")
    field.fill("segments:\n  mine:")
    field.press("End")
    field.press("Enter")
    field.type("enter: true")
    expect(field).to_have_value("segments:\n  mine:\n  enter: true")
    page.reload()
    expect(field).to_have_value("segments:\n  mine:\n  enter: true")


def test_without_workers_the_reason_is_said(page: Page, dashboard: Dashboard) -> None:
    dashboard.answers.away.add("workers")
    page.goto("/draft")
    page.get_by_role("button", name="Check and count").click()
    expect(page.get_by_text("Checked, but not counted: no worker has announced itself")).to_be_visible()
