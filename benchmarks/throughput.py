"""How fast the live worker is: on the common work beside the yardstick, with the ready definitions, and plain Faust."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import brokers, plain_faust, traffic
from benchmarks.report import head, show, spread
from benchmarks.setting import Setting
from benchmarks.workers import READY, Measured, Rate, last_line, ours, start, until, yardstick
from stream.simulate import DEFAULT_START_MS

_YARDSTICK_TOPIC = "plain-changes"


def common(setting: Setting) -> None:
    """The common work: the yardstick and the worker in turn, over the same topics."""
    size = setting.sizes.common_events
    head("The common work", f"python -m benchmarks.live --only common --common-events {size}")
    if setting.yardstick is None:
        show("left out: its events, its definitions and the yardstick are not there", "")
        return
    plain: list[Rate] = []
    own: list[Rate] = []
    events = traffic.common(setting.folder, setting.yardstick, size)
    with brokers.fresh_broker(setting.broker) as address:
        brokers.send(address, events.path)
        for i in range(setting.rounds):
            brokers.renew_outputs(address, _YARDSTICK_TOPIC)
            log = setting.folder / f"yardstick-{i}.log"
            plain.append(yardstick(setting.yardstick, address, events.events, log))
            definitions = setting.yardstick / "same_work.yaml"
            options = until(events.last_ms)
            own.append(ours(definitions, address, f"common-{i}", setting.folder, *options).rate)
    show("events, changes of the yardstick, changes of the worker", _counts(events.events, plain, own))
    _show_rates("the yardstick: confluent-kafka and dictionaries", plain)
    _show_rates("segstream worker, one process", own)
    ratios = [mine.a_cpu_second / its.a_cpu_second for mine, its in zip(own, plain, strict=True)]
    show("ratio by CPU second, worker to yardstick", spread(ratios, 2))


def _counts(events: int, *rates: Sequence[Rate]) -> str:
    changes = [sorted({rate.changes for rate in some}) for some in rates]
    return ", ".join([f"{events:,}", *("/".join(f"{count:,}" for count in counts) for counts in changes)])


def _show_rates(what: str, rates: Sequence[Rate]) -> None:
    show(f"{what}: events/s", spread(rate.a_second for rate in rates))
    show(f"{what}: events per CPU second", spread(rate.a_cpu_second for rate in rates))


def ready(setting: Setting) -> None:
    """The ready definitions, for some customers and for very many; and the memory that these take."""
    sizes = setting.sizes
    command = "python -m benchmarks.live --only ready"
    few = f" --ready-events {sizes.ready_events} --ready-customers {sizes.ready_customers}"
    many = f" --million-events {sizes.million_events} --million-customers {sizes.million_customers}"
    head("The ready definitions", command + few + many)
    _ready(setting, "few", traffic.simulated(setting.folder, sizes.ready_events, sizes.ready_customers))
    _ready(setting, "many", million(setting))


def million(setting: Setting) -> traffic.Traffic:
    """So many customers that each has a profile: all of them come once before the simulation begins."""
    sizes = setting.sizes
    simulated = max(1, sizes.million_events - sizes.million_customers)
    return traffic.simulated(setting.folder, simulated, sizes.million_customers, all_come=True)


def _ready(setting: Setting, name: str, events: traffic.Traffic) -> None:
    found: list[Measured] = []
    with brokers.fresh_broker(setting.broker) as address:
        brokers.send(address, events.path)
        for i in range(setting.rounds):
            brokers.renew_outputs(address)
            app_id = f"ready-{name}-{i}"
            if events.all_came_ms is not None:  # that is not measured; the next worker takes over from this one
                ours(READY, address, app_id, setting.folder, *until(DEFAULT_START_MS - 1))
            found.append(ours(READY, address, app_id, setting.folder, *until(events.last_ms)))
    events.path.unlink()
    counts = f"{found[0].events:,} events, {found[0].changes:,} changes, {found[0].profiles:,} profiles"
    show(events.source, counts)
    _show_rates("segstream worker, one process", [one.rate for one in found])
    show_memory(found)


def show_memory(found: Sequence[Measured]) -> None:
    """What the process holds, and what of it is for profiles."""
    show("resident memory at the end, MiB", spread(one.resident_bytes / 2**20 for one in found))
    show("the most it had, MiB", spread(one.peak_bytes / 2**20 for one in found))
    show("more than at the start, bytes a customer", spread(one.bytes_a_profile for one in found))


def faust(setting: Setting) -> None:
    """Plain Faust, over the common work's events: an agent that does nothing, and one with a table."""
    sizes = setting.sizes
    command = f"--only faust --faust-events {sizes.faust_events} --table-events {sizes.table_events}"
    head("Plain Faust", f"python -m benchmarks.live {command}")
    most = max(sizes.faust_events, sizes.table_events)
    events = traffic.common(setting.folder, setting.yardstick, most)
    rates: dict[str, list[Rate]] = {mode: [] for mode in plain_faust.MODES}
    with brokers.fresh_broker(setting.broker) as address:
        brokers.send(address, events.path)
        there = sum(brokers.records_in(address, topic) for topic in plain_faust.TOPICS)
        for i in range(setting.rounds):
            for mode, most in zip(plain_faust.MODES, (sizes.faust_events, sizes.table_events), strict=True):
                size = min(most, there)
                brokers.renew_outputs(address, plain_faust.CHANGES)
                rates[mode].append(_plain_faust(setting, address, f"faust-{mode}-{i}", mode, size))
    show("events", events.source)
    _show_rates("an agent that does nothing", rates["nothing"])
    _show_rates("an agent with a table, three segments", rates["table"])


def _plain_faust(setting: Setting, address: str, app_id: str, mode: str, events: int) -> Rate:
    arguments = ("benchmarks.plain_faust", mode, address, app_id, str(setting.folder / app_id), str(events))
    found = last_line(start(*arguments, log=setting.folder / f"{app_id}.log"))
    return Rate(events, found["changes"], events / found["wall"], events / found["cpu"])
