"""Every query of Grafana's dashboard and every alert, by a real Prometheus that scrapes the real parts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.brokers.process import HOST, free_ports
from stream.kafka.sending import connected_sender
from tests.demo.demos import Demo, until
from tests.deploy.composed import ALERTS, alerts, needs, queries

#: What nothing is to be seen of without a second worker.
_EMPTY = {"sum(segstream_standby_lag_records)"}
_RESULT_WITHIN_S = 60.0


class Prometheus:
    """Debian's Prometheus over the parts of a demo."""

    def __init__(self, folder: Path, targets: dict[str, str]) -> None:
        (port,) = free_ports(1)
        self.url = f"http://{HOST}:{port}"
        settings = {
            "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
            ],
        }
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        self.log = folder / "prometheus.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={HOST}:{port}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ask(self, path: str) -> Any:
        """What its API answers; None when it does not."""
        assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)["data"]
        return None

    def query(self, expression: str) -> list[Any]:
        data = self.ask(f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        return list(data["result"]) if data else []

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It scrapes a worker, a sink and a dashboard that have something to tell."""
    folder = tmp_path_factory.mktemp("prometheus")
    with Demo(folder) as demo:
        demo.has_said("Three things to try")
        parts = demo.look()
        targets = {name: _target(parts[name].command) for name in ("worker", "sink", "dashboard")}
        broker = re.search(r"--broker (\S+)", parts["worker"].command)
        assert broker is not None
        asyncio.run(_send_what_is_no_event(broker[1]))
        one = Prometheus(folder, targets)
        try:
            until("Prometheus answers", lambda: one.ask("/api/v1/status/buildinfo"))
            yield one
        finally:
            one.stop()


def _target(command: str) -> str:
    port = re.search(r"--port (\d+)", command)
    assert port is not None, command
    return f"{HOST}:{port[1]}"


async def _send_what_is_no_event(broker: str) -> None:
    async with connected_sender(broker) as sender:
        await sender.send("clicks", 0, [(b"c000001", b"this is no event")])
        await sender.flush()


@needs("prometheus")
@pytest.mark.parametrize("query", [one for one in queries() if one not in _EMPTY])
def test_every_query_has_a_result(query: str, prometheus: Prometheus) -> None:
    until(f"a result of {query}", lambda: prometheus.query(query), _RESULT_WITHIN_S)


@needs("prometheus")
def test_queries_without_a_result_are_right_all_the_same(prometheus: Prometheus) -> None:
    assert set(queries()) >= _EMPTY
    for query in _EMPTY:
        assert prometheus.ask(f"/api/v1/query?{urllib.parse.urlencode({'query': query})}") is not None


@needs("prometheus")
def test_every_alert_is_evaluated_and_what_is_well_raises_none(prometheus: Prometheus) -> None:
    def evaluated() -> list[dict[str, Any]] | None:
        groups = (prometheus.ask("/api/v1/rules") or {}).get("groups", [])
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if rules and all(rule["health"] == "ok" for rule in rules) else None

    rules = until("all rules are evaluated", evaluated, _RESULT_WITHIN_S)
    assert {rule["name"] for rule in rules} == {alert["alert"] for alert in alerts()}
    # The one record that is no event was sent before the first scrape, so it has not increased since.
    firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
    assert firing <= {"SegstreamDeadLetters"}
