"""What at-least-once costs plain Faust: events that are counted twice after one join and one kill."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable

from benchmarks import brokers, plain_faust, traffic
from benchmarks.report import head, show
from benchmarks.setting import Setting
from benchmarks.workers import start

_POLL_S = 0.2
_HAPPENS_WITHIN_S = 600.0


def double(setting: Setting) -> None:
    """Plain Faust's table: a second worker joins after a third of the events, the first is killed after two thirds."""
    size = setting.sizes.double_events
    head("Plain Faust, counting", f"python -m benchmarks.live --only double --double-events {size}")
    events = traffic.common(setting.folder, setting.yardstick, size)
    true = _true_counts(events)
    doubled: list[int] = []
    lost: list[int] = []
    for i in range(setting.rounds):
        with brokers.fresh_broker(setting.broker) as address:
            brokers.renew_outputs(address, plain_faust.CHANGES)
            brokers.send(address, events.path)
            more = _counts(setting, address, f"double-{i}", true.total())
        more.subtract(true)
        doubled.append(sum(count for count in more.values() if count > 0))
        lost.append(-sum(count for count in more.values() if count < 0))
    show("events", f"{true.total():,}, {events.source}")
    show("counted twice after a clean join and a kill -9", ", ".join(f"{count:,}" for count in doubled))
    show("not counted", ", ".join(f"{count:,}" for count in lost))


def _counts(setting: Setting, address: str, app_id: str, size: int) -> Counter[str]:
    """Lets two workers do it with their accidents; the events of each customer by the table's changelog."""
    changelog = f"{app_id}-{plain_faust.TABLE}-changelog"
    arguments = ("benchmarks.plain_faust", "table", address, app_id)
    folders = [str(setting.folder / f"{app_id}-{name}") for name in ("first", "second")]
    first = start(*arguments, folders[0], log=setting.folder / f"{app_id}-first.log")
    second = None
    try:
        _until(lambda: brokers.records_in(address, changelog) >= size // 3)
        second = start(*arguments, folders[1], log=setting.folder / f"{app_id}-second.log")
        _until(lambda: brokers.records_in(address, changelog) >= 2 * size // 3)
        first.kill()
        _until(lambda: brokers.committed(address, app_id) >= size)
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.communicate()
    profiles = {one.key: one.value for one in brokers.records_of(address, changelog) if one.key and one.value}
    return Counter({json.loads(key): json.loads(value)["events"] for key, value in profiles.items()})


def _true_counts(events: traffic.Traffic) -> Counter[str]:
    with events.path.open("rb") as file:
        return Counter(one["customer_id"] for one in map(json.loads, file) if one["type"] != "email")


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _HAPPENS_WITHIN_S
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"plain Faust has not come further within {_HAPPENS_WITHIN_S:g} s")
        time.sleep(_POLL_S)
