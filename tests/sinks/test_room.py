"""What sinks know of the rest, and that docs/ describes all that they say."""

from __future__ import annotations

import json
import subprocess
import sys

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from stream.probes import metrics_page
from stream.sinks.redis.script import Applied
from stream.sinks.redis.status import SinkStatus
from tests.cli.commands import environment
from tests.docs.pages import code, codes, rows_of


def test_sinks_know_the_change_record_and_not_the_engine() -> None:
    script = "import json, sys, stream.sinks.redis.sink; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment())
    loaded = json.loads(result.stdout)
    assert "stream.sinks.redis.script" in loaded
    assert not [name for name in loaded if name.startswith(("numba", "faust", "stream.engine", "stream.events"))]


def test_every_metric_of_the_sink_is_described() -> None:
    status = SinkStatus(CollectorRegistry())
    status.lags(0, 3)
    status.count(Applied(1, 0, 0, 0, 0, 0), 0.01)
    page = metrics_page(status.registry)[0].decode()
    found = {
        f"{one.name}_total" if one.type == "counter" else one.name: (
            "info" if one.name.endswith("_info") else one.type,
            sorted({label for sample in one.samples for label in sample.labels} - {"le"}),
        )
        for one in text_string_to_metric_families(page)
        if one.name.startswith("segstream_")
    }
    described = {
        code(metric): (kind, sorted(codes(labels)))
        for metric, kind, labels, _ in rows_of("metrics", "metric of the sink")
    }
    assert described == found
    assert 'segstream_sink_changes_total{change="entered"} 1.0\n' in page


def test_every_check_of_the_sink_is_described() -> None:
    described = [code(row[0]) for row in rows_of("metrics", "check of the sink")]
    assert described == ["redis", "filled", "staying"]
