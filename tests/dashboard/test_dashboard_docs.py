"""What the dashboard has is in its page of the docs, and the page names nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from stream.dashboard import app, security
from stream.dashboard.metrics import Metrics
from stream.dashboard.openapi import DOCUMENT
from tests.docs.pages import codes, rows_of, section

DASHBOARD = Path(app.__file__).parent


def test_every_path_is_described() -> None:
    shown = {path.partition("?")[0] for row in rows_of("dashboard", "path") for path in codes(row[0])}
    paths = {path.replace("{name}", "NAME").replace("{id}", "ID") for path in DOCUMENT["paths"]}
    assert shown == paths


def test_every_page_is_described() -> None:
    shown = {path for row in rows_of("dashboard", "page") for path in codes(row[0])}
    pages = {path.replace("{name}", "NAME").replace("{id:[^/]*}", "ID") for path in app.PAGES}
    assert shown == pages - {"/segments", "/customers"}  # lists of nothing: they lead to the first page


def test_every_error_is_described() -> None:
    shown = {code for row in rows_of("dashboard", "status") for code in codes(row[1])}
    sources = [path.read_text(encoding="utf-8") for path in DASHBOARD.glob("*.py")]
    known = {code for text in sources for code in re.findall(r'RefusedError\(\s*\d+,\s*"(\w+)"', text)}
    known |= {"no_such_path", "wrong_method", "too_large"}  # those that aiohttp makes
    assert shown == known


def test_every_event_is_described() -> None:
    shown = {name for row in rows_of("dashboard", "event") for name in codes(row[0])}
    assert shown == {"counts", "change", "trouble", "end"}


def test_every_metric_is_described() -> None:
    shown = {
        codes(row[0])[0]: (row[1], codes(row[2]))
        for row in rows_of("dashboard", "name")
        if row[0].startswith("`segstream")
    }
    found = {}
    for family in Metrics("x").registry.collect():
        if family.name.startswith("segstream_"):
            name = {"counter": f"{family.name}_total", "info": f"{family.name}_info"}.get(family.type, family.name)
            labels = sorted({label for sample in family.samples for label in sample.labels})
            found[name] = family.type
            assert name in shown, name
            assert not labels or labels == sorted(shown[name][1])
    assert {name: kind for name, (kind, _) in shown.items()} == found


def test_the_policy_for_content_is_the_strict_one() -> None:
    assert "strict content security policy" in section("dashboard", "## Security").replace("\n  ", " ")
    assert "unsafe" not in security.CONTENT_SECURITY_POLICY
