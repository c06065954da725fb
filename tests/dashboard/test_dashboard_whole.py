"""``segstream dashboard`` beside a real worker and a real sink, on the embedded broker; and what it refuses."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.redis_server import RedisServer
from stream.simulate import Simulation
from tests.cli.commands import COMMAND, environment, invoke, usage_error
from tests.dashboard.judging import judge
from tests.dashboard.shops import Asked
from tests.kafka.kafka_records import put
from tests.live.workers import SEGMENTS, Expected, Worker, last_ms, send

WITHIN_S = 90.0
DAY_MS = 86_400_000


class Process:
    """One of our commands in a process."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("wb") as file:
            self.popen = subprocess.Popen([*COMMAND, *arguments], stdout=file, stderr=file, env=environment())

    def says(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def url(self) -> str:
        """Waits until a dashboard listens."""
        said = "the dashboard is at "
        until(lambda: said in self.says() or self.popen.poll() is not None, self.says)
        assert said in self.says(), self.says()
        return self.says().partition(said)[2].split()[0]

    def stop(self) -> int:
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(20)


@contextlib.contextmanager
def running(log: Path, *arguments: str) -> Iterator[Process]:
    process = Process(log, *arguments)
    try:
        yield process
    finally:
        process.popen.kill()
        process.popen.wait()


def until(holds: Callable[[], bool], said: Callable[[], object] = str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, said()
        time.sleep(0.05)


def get(url: str, headers: dict[str, str] | None = None, data: bytes | None = None) -> Asked:
    request = urllib.request.Request(url, data, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Asked(answer.status, answer.headers, answer.read().decode())
    except urllib.error.HTTPError as error:
        return Asked(error.code, error.headers, error.read().decode())


def test_worker_sink_and_dashboard_together(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"".join(Simulation(events=1_500, customers=80, days=30, seed=3).chunks()))
    customers = len({json.loads(line)["customer_id"] for line in events.read_bytes().splitlines()})
    until_ms = last_ms(events) + 3 * DAY_MS
    expected = Expected(events, until_ms)
    with EmbeddedBroker() as broker, RedisServer() as redis, contextlib.ExitStack() as stack:
        send(broker.address, events)
        put(broker.address, "clicks", [(0, [(b"x", b'{"<img src=x onerror=alert(1)>"')])])
        options = ("--clock", str(until_ms), "--port", "0")
        stack.enter_context(Worker(broker.address, tmp_path / "worker.log", *options))
        places = ("--broker", broker.address, "--redis", redis.url)
        stack.enter_context(running(tmp_path / "sink.log", "sink", "redis", *places))
        shown = ("dashboard", str(SEGMENTS), *places, "--port", "0", "--time-zone", "Europe/Berlin")
        dashboard = stack.enter_context(running(tmp_path / "dashboard.log", *shown))
        url = dashboard.url()
        assert get(f"{url}/readyz").status == 200

        members: dict[str, int] = {}
        for record in expected.members.values():
            for name in record["segments"]:
                members[name] = members.get(name, 0) + 1
        assert sum(members.values()) > 100

        def counts() -> dict[str, int]:
            found = get(f"{url}/v1/segments").json["segments"]
            return {one["name"]: one["members"] for one in found if one["members"]}

        until(lambda: counts() == members, lambda: (counts(), members))
        pipeline: dict[str, Any] = {}

        def is_told() -> bool:
            pipeline.update(get(f"{url}/v1/pipeline").json)
            letters = pipeline["dead_letters"]
            return bool(
                pipeline["workers"]
                and letters
                and letters["latest"]
                and pipeline["sink"]["lag_records"] == 0
                and len(pipeline["workers"][0]["partitions"]) == 8
            )

        until(is_told, lambda: pipeline)
        judge("/v1/pipeline", "get", get(f"{url}/v1/pipeline"))
        assert pipeline["broker_error"] is None
        assert pipeline["dead_letters"]["total"] == 1
        (letter,) = pipeline["dead_letters"]["latest"]
        assert (letter["source_topic"], letter["partition"]) == ("clicks", 0)
        assert "onerror" in letter["value"]
        until(lambda: get(f"{url}/v1/segments").json["customers"] == customers)

        # One customer, with what the owning worker says.
        customer = next(iter(expected.members))
        answer = get(f"{url}/v1/customers/{customer}")
        judge("/v1/customers/{id}", "get", answer)
        assert answer.json["worker_error"] is None
        segments = {name: one["since"] for name, one in answer.json["segments"].items()}
        assert segments == {name: one["since"] for name, one in answer.json["worker"]["memberships"].items()}
        assert len(answer.json["worker"]["why"]) == 21
        told = json.dumps(answer.json["worker"]["why"])
        assert "put something into the cart" in told
        assert answer.json["worker"]["features_in_words"]
        unknown = get(f"{url}/v1/customers/nobody")
        assert (unknown.status, unknown.json["error"]) == (404, "unknown_customer")

        # A draft, over all that the worker has.
        drafted = b"buyers:\n  enter: bought exists\n"
        preview = get(f"{url}/v1/drafts", {"Content-Type": "text/yaml"}, drafted)
        judge("/v1/drafts", "post", preview)
        (buyers,) = preview.json["segments"]
        assert preview.json["problems"] == []
        assert (preview.json["workers"], preview.json["partitions"]) == (1, list(range(8)))
        assert (buyers["of"], buyers["name"], buyers["before"]) == (customers, "buyers", None)
        assert 0 < buyers["members"] < customers
        wrong = get(f"{url}/v1/drafts", {"Content-Type": "text/yaml"}, b"buyers:\n  enter: bougth exists\n").json
        assert wrong["segments"] is None
        assert [(one["line"], one["column"], one["severity"]) for one in wrong["problems"]] == [(2, 10, "error")]
        assert dashboard.stop() == 0, dashboard.says()
        assert "Traceback" not in dashboard.says()


# --- the command ------------------------------------------------------------------------------------------------------


def test_a_dashboard_starts_without_anything_and_says_so(tmp_path: Path) -> None:
    options = ("--redis", "redis://:secret@127.0.0.1:9/0", "--broker", "127.0.0.1:9", "--port", "0")
    token = tmp_path / "token"
    token.write_text("a-long-and-secret-token\n")
    with running(tmp_path / "log", "dashboard", *options, "--token-file", str(token)) as process:
        url = process.url()
        assert get(f"{url}/livez").status == 200
        assert get(f"{url}/readyz").status == 503
        assert get(f"{url}/v1/segments").status == 401
        answer = get(f"{url}/v1/segments", {"Authorization": "Bearer a-long-and-secret-token"})
        assert (answer.status, answer.json["error"]) == (503, "redis_unreachable")
        assert process.stop() == 0, process.says()
        assert "secret" not in process.says().replace("a-long-and-secret", "")
        assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "--token"),
        (["--host", "10.0.0.1"], "--open"),
        (["--redis", "http://127.0.0.1"], "redis://"),
        (["--time-zone", "Mars/Olympus"], "time zone"),
        (["--time-zone", "../../etc/passwd"], "time zone"),
        (["--alert-share", "7"], "share"),
        (["--token", "a-long-and-secret-token", "--token-file", "README.md"], "exclude"),
        (["nowhere.yaml"], "does not exist"),
    ],
)
def test_wrong_options(options: Sequence[str], said: str) -> None:
    assert said in usage_error("dashboard", *options)


def test_what_has_to_be_put_right_first(tmp_path: Path) -> None:
    short = invoke("dashboard", "--token", "short")
    assert (short.exit_code, "16" in short.stderr) == (64, True)
    file = tmp_path / "segments.yaml"
    file.write_text("version: 1\nsegments:\n  one:\n    enter: nix\n")
    wrong = invoke("dashboard", str(file))
    assert wrong.exit_code == 64
    assert f"{file}:4:12: error:" in wrong.stderr


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = invoke(
            "dashboard",
            "--port",
            str(taken.getsockname()[1]),
            "--broker",
            "127.0.0.1:9",
            "--redis",
            "redis://127.0.0.1:9",
        )
    assert (result.exit_code, "is taken" in result.stderr) == (64, True)


def test_the_token_is_no_part_of_the_printed_settings() -> None:
    shown = invoke("config", env={"SEGSTREAM_TOKEN": "a-long-and-secret-token"})
    assert "SEGSTREAM_TOKEN" in shown.stdout
    assert "a-long-and-secret-token" not in shown.stdout
