"""Personas: cards, what sets each apart, who moved, the versions; and what stands there while there are none."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.invented import Dashboard
from tests.browser.watching import Watch


def test_cards_say_who_they_are_and_what_sets_them_apart(page: Page, dashboard: Dashboard) -> None:
    page.goto("/")
    page.get_by_role("link", name="Personas", exact=True).click()
    expect(page).to_have_url(re.compile("/personas$"))
    cards = page.locator("[data-persona]")
    expect(cards).to_have_count(6)
    hunters = page.locator("[data-persona=p3]")
    expect(hunters.get_by_role("link", name="Bargain hunters (p3)")).to_be_visible()
    expect(hunters).to_contain_text("very high coupons, high orders")
    expect(hunters).to_contain_text("14 % of all who have a persona")
    first = hunters.get_by_role("table", name="What sets it apart").locator("tbody tr").first
    expect(first).to_contain_text("coupons")
    expect(first).to_contain_text("above the usual")
    expect(first.locator("td.number").first).to_have_text("2.94")
    expect(page.locator("[data-persona=p1] h2")).to_have_text("Persona p1")
    expect(page.locator(".headline")).to_contain_text("16,649 customers have one")
    expect(page.locator("main img")).to_have_count(0)  # a label is hostile

    dashboard.answers.personas_told.sizes["p3"] = 12_407

    expect(page.locator("[data-count=persona_p3]")).to_have_text("12,407")
    expect(hunters).to_contain_text("47 % of all who have a persona")
    expect(page.locator("[data-together]")).to_have_text("26,649")


def test_who_moved_over_a_span(page: Page) -> None:
    page.goto("/personas")
    chart = page.locator(".movement")
    expect(chart.locator(".ribbon")).to_have_count(10)
    expect(chart).to_have_attribute(
        "aria-label", re.compile(r"^Moves .*214 from Persona p1 to Persona p8; 180 got Persona p1")
    )
    expect(chart.locator("text").filter(has_text="Regulars (p2)")).to_have_count(2)
    page.get_by_text("These numbers as a table").click()
    rows = page.get_by_role("table", name="Moves between personas").locator("tbody tr")
    expect(rows).to_have_count(10)
    expect(rows.first).to_have_text(re.compile("Persona p1.*Persona p8.*214"))

    page.get_by_role("radio", name="7 days").check()

    expect(rows.first).to_have_text(re.compile("1,498"))
    expect(page.get_by_text("5,208 moves since")).to_be_visible()


def test_versions_and_events(page: Page, dashboard: Dashboard) -> None:
    page.goto("/personas")
    expect(page.locator("[data-version='41']")).to_contain_text("in force")
    expect(page.locator("[data-event]")).to_have_count(5)
    moved = page.locator("[data-event]").filter(has_text="has moved")
    expect(moved).to_contain_text("the money spent within 30 days was 480, and is 912 now")
    expect(moved.get_by_role("link", name="Regulars (p2)")).to_have_attribute("href", "/personas/p2")
    expect(page.locator("main")).not_to_contain_text("pinned")

    dashboard.answers.personas_told.pinned = 38
    page.reload()

    expect(page.locator("[data-version='38']")).to_contain_text("pinned")
    expect(page.locator(".headline")).to_contain_text("pinned at version 38")
    expect(page.locator("[data-version='41']")).to_contain_text("as 38")
    expect(page.get_by_text("Personas stay at version 38")).to_be_visible()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("not_defined", "The definitions have no personas"),
        ("no_version", "No version has been learned yet"),
        ("other_features", "No version fits these definitions"),
        ("unknown", "It is not known whether there are personas"),
    ],
)
def test_what_to_do_while_there_are_none(page: Page, dashboard: Dashboard, state: str, said: str) -> None:
    dashboard.answers.personas_told.state = state
    dashboard.answers.personas_told.trouble = "no broker answers" if state == "unknown" else None
    page.goto("/personas")
    expect(page.get_by_role("heading", name=said)).to_be_visible()
    if state == "not_defined":
        expect(page.locator("pre")).to_contain_text("personas:")
    if state == "unknown":
        expect(page.locator("main")).to_contain_text("no broker answers")


def test_members_without_a_version(page: Page, dashboard: Dashboard) -> None:
    told = dashboard.answers.personas_told
    told.state, told.is_left, told.trouble = "unknown", True, "no broker answers"
    page.goto("/personas")
    expect(page.locator("[data-count=persona_p3]")).to_have_text("2,407")
    expect(page.locator("main > .notice").last).to_contain_text(
        "is not known: the broker does not tell: no broker answers"
    )
    expect(page.locator("[data-persona=p3] .alert")).to_be_hidden()


def test_one_persona(page: Page, dashboard: Dashboard) -> None:
    page.goto("/personas")
    page.get_by_role("link", name="Bargain hunters (p3)").first.click()
    expect(page.get_by_role("heading", level=1, name="Bargain hunters (p3)")).to_be_focused()
    expect(
        page.get_by_text("The number of orders within 30 days is above the usual: 3.12, where 1.4 is usual")
    ).to_be_visible()
    expect(page.get_by_role("table", name="What sets it apart").locator("tbody tr")).to_have_count(5)
    expect(page.locator(".chart canvas")).to_have_count(2)
    expect(page.locator(".chart")).to_have_attribute("aria-label", re.compile("^Members from"))

    page.get_by_role("radio", name="Share").check()

    expect(page.locator(".chart")).to_have_attribute("aria-label", re.compile("^Share from .* %"))
    page.get_by_text("These numbers as a table").click()
    expect(page.get_by_role("columnheader", name="Share")).to_be_visible()
    members = page.get_by_role("table", name="Members", exact=True).locator("tbody tr")
    expect(members).to_have_count(10)
    expect(members.first.get_by_role("link")).to_have_attribute("href", "/customers/c000001")
    with page.expect_download() as download:
        page.get_by_role("link", name="All as CSV").click()
    assert download.value.suggested_filename == "persona_p3.csv"

    dashboard.answers.personas_told.sizes["p3"] = 3_333
    expect(page.locator("[data-count=persona_p3]")).to_have_text("3,333")


def test_the_segment_of_a_persona_is_its_page(page: Page) -> None:
    page.goto("/segments/persona_p2")
    expect(page.get_by_role("heading", level=1)).to_have_text("Regulars (p2)")
    page.goto("/segments/cart_abandoner")
    personas = page.get_by_role("table", name="Personas of its members")
    expect(personas.get_by_role("link", name="Regulars (p2)")).to_have_attribute("href", "/personas/p2")
    expect(page.get_by_role("table", name="Overlap with other segments")).not_to_contain_text("ersona")


def test_an_unknown_persona_leads_back(page: Page, watch: Watch) -> None:
    watch.allow("status of 404")
    page.goto("/personas/p99")
    expect(page.get_by_role("heading", name="There is no such persona")).to_be_visible()
    page.get_by_role("link", name="See all personas").click()
    expect(page.locator("[data-persona]")).to_have_count(6)


def test_a_customer_s_persona(page: Page, dashboard: Dashboard) -> None:
    page.goto("/customers/c006312")
    persona = page.locator(".has-persona")
    expect(persona.get_by_role("link", name="Bargain hunters (p3)")).to_have_attribute("href", "/personas/p3")
    expect(persona).to_contain_text("very high coupons, high orders")
    expect(page.locator(".memberships")).not_to_contain_text("ersona")
    # An exit and the entry that belongs to it are one.
    moved = page.locator(".timeline li").filter(has_text="Moved")
    expect(moved).to_have_count(1)
    expect(moved).to_contain_text("Regulars (p2) to Bargain hunters (p3)")
    expect(page.locator(".timeline li")).to_have_count(9)
    dashboard.answers.personas_told.state = "no_version"
    page.reload()
    expect(page.locator(".memberships")).to_be_visible()
    expect(page.locator(".has-persona")).to_have_count(0)


def test_changes_of_personas_are_not_among_those_of_segments(page: Page, dashboard: Dashboard) -> None:
    page.goto("/")
    expect(page.locator(".feed li").first).to_be_visible()
    dashboard.answers.tell("c000001", "persona_p3")
    dashboard.answers.tell("c000002", "lapsed")
    expect(page.locator(".feed li").first).to_contain_text("c000002")
    expect(page.locator(".feed")).not_to_contain_text("Bargain hunters")

    page.goto("/customers")
    feed = page.locator(".feed li").filter(has_text="Bargain hunters (p3)")
    expect(feed.get_by_role("link", name="Bargain hunters (p3)")).to_have_attribute("href", "/personas/p3")
