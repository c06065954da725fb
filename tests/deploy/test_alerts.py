"""Alerts and Grafana's dashboard: Prometheus takes them, and all that they name exists."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.deploy.composed import ALERTS, DEPLOY, alerts, metric_names, needs, panels, queries, run
from tests.docs.pages import DOCS, anchors, section

DESCRIBED = "".join(path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md")))
EXPRESSIONS = [*(alert["expr"] for alert in alerts()), *queries()]


@needs("promtool")
def test_promtool_takes_rules_and_settings() -> None:
    assert (checked := run("promtool", "check", "rules", ALERTS)).returncode == 0, checked.stderr
    settings = run("promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yml")
    assert settings.returncode == 0, settings.stderr


@needs("promtool")
def test_alerts_fire_when_they_should_and_not_otherwise() -> None:
    done = run("promtool", "test", "rules", DEPLOY / "prometheus" / "alerts.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried_both_ways() -> None:
    content = yaml.safe_load((DEPLOY / "prometheus" / "alerts.test.yml").read_text(encoding="utf-8"))
    tried = [one for test in content["tests"] for one in test["alert_rule_test"]]
    names = {alert["alert"] for alert in alerts()}
    assert {one["alertname"] for one in tried if one.get("exp_alerts")} == names
    assert {one["alertname"] for one in tried if not one.get("exp_alerts")} == names


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_leads_to_what_to_do(alert: dict[str, Any]) -> None:
    path, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert path == "docs/operations.md"
    assert anchor in anchors(DOCS / "operations.md")
    assert f"`{alert['alert']}`" in section("operations", "## Alerts")
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"]["summary"]


def test_no_alert_is_described_that_is_not_there() -> None:
    described = set(re.findall(r"`(Segstream\w+)`", section("operations", "## Alerts")))
    assert described == {alert["alert"] for alert in alerts()}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_is_described(expression: str) -> None:
    names = metric_names(expression)
    assert names or "up{" in expression
    for name in names:
        assert name.startswith("process_") or f"`{name}`" in DESCRIBED, name


def test_panels_have_titles_descriptions_and_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())
