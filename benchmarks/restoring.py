"""How fast a worker takes over what others have left: from the changelog alone, and with its own snapshots."""

from __future__ import annotations

from benchmarks import brokers, throughput
from benchmarks.report import head, show, spread
from benchmarks.setting import Setting
from benchmarks.workers import READY, Measured, ours, until, worker_options
from stream.kafka.topics import changelog_name
from stream.worker.records import KeyType, key_type

_ID = "restore"
_SAMPLED_OF_EACH = 500
_SNAPSHOTS = "--snapshots"
_JUST_START = ("--clock", "event", "--stop-when-running")


def restore(setting: Setting) -> None:
    """The changelog of very many customers: read by a worker that knows nothing, then by one that has snapshots."""
    sizes = setting.sizes
    size = f"--million-events {sizes.million_events} --million-customers {sizes.million_customers}"
    head("Restoring", f"python -m benchmarks.live --only restore {size}")
    events = throughput.million(setting)
    with brokers.fresh_broker(setting.broker) as address:
        brokers.send(address, events.path)
        events.path.unlink()
        built = ours(READY, address, _ID, setting.folder, *until(events.last_ms))
        records = brokers.records_in(address, changelog_name(_ID))
        what = f"{built.profiles:,} profiles, {records:,} records, rows with outboxes of {_row_bytes(address):,} bytes"
        show("the changelog", what)

        found = [ours(READY, address, _ID, setting.folder, *_JUST_START) for _ in range(setting.rounds)]
        _check(found, built)
        spans = [one.span("wall", "assigned", "running") for one in found]
        _show_seconds("from the assignment to all partitions running, s", spans)
        show("records/s", spread(records / span for span in spans))
        show("profiles/s", spread(built.profiles / span for span in spans))
        show(
            "profiles per CPU second", spread(built.profiles / one.span("cpu", "assigned", "running") for one in found)
        )
        _show_seconds("from the start of the process to all partitions running, s", _starts(found))
        throughput.show_memory(found)

        if _SNAPSHOTS not in worker_options():
            show(f"with {_SNAPSHOTS}: this version has no such option", "")
            return
        options = (*_JUST_START, _SNAPSHOTS, str(setting.folder / "snapshots"))
        ours(READY, address, _ID, setting.folder, *options)  # it leaves them when it stops
        found = [ours(READY, address, _ID, setting.folder, *options) for _ in range(setting.rounds)]
        _check(found, built)
        spans = [one.span("wall", "assigned", "running") for one in found]
        _show_seconds(f"with {_SNAPSHOTS}, fresh ones: from the assignment, s", spans)
        _show_seconds(f"with {_SNAPSHOTS}, fresh ones: from the start of the process, s", _starts(found))


def _starts(found: list[Measured]) -> list[float]:
    """From the start of the process, the interpreter's included."""
    return [one.moments["running"]["at"] - one.started_at for one in found]


def _check(found: list[Measured], built: Measured) -> None:
    """A worker that has restored less would have been faster."""
    if any(one.profiles != built.profiles for one in found):
        raise RuntimeError(f"restored {[one.profiles for one in found]} of {built.profiles} profiles")


def _show_seconds(what: str, seconds: list[float]) -> None:
    show(what, spread(seconds, digits=2))


def _row_bytes(address: str) -> int:
    """How large a row is in the changelog, key and value, in the mean of some."""
    some = brokers.records_of(address, changelog_name(_ID), _SAMPLED_OF_EACH)
    sizes = [
        len(one.key) + len(one.value)
        for one in some
        if one.key and one.value and key_type(one.key, one.offset) is KeyType.ROW
    ]
    return round(sum(sizes) / len(sizes))
