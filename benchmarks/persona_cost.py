"""What personas cost a live worker: ``python -m benchmarks.persona_cost``.

The ready definitions with and without the personas of `benchmarks/personas.yaml`, in turn over the same topics of an
Apache Kafka: CPU seconds of the worker for an event, from the first one read until all is committed. With personas a
version a day is applied, which a trainer has learned of the same events before. A shop begins with empty windows, and
as long as these fill customers change their personas; so the days after the first ``--warm-days`` are shown apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks import brokers
from benchmarks.hardware import describe
from benchmarks.report import commit, head, show, spread
from benchmarks.workers import READY, ours, run, until
from stream.kafka.sending import connected_sender
from stream.kafka.topics import PERSONA_MODELS
from stream.personas.messages import model_records
from stream.personas.model import Model, decode
from stream.simulate import DEFAULT_START_MS, Simulation

_DAY_MS = 86_400_000
_OWN = Path(__file__).parent / "personas.yaml"


def _definitions(folder: Path) -> Path:
    """The ready definitions with personas."""
    file: dict[str, Any] = yaml.safe_load(READY.read_text(encoding="utf-8"))
    file["personas"] = yaml.safe_load(_OWN.read_text(encoding="utf-8"))["personas"]
    path = folder / "personas.json"
    path.write_text(json.dumps(file), encoding="utf-8")
    return path


def _trained(definitions: Path, events: Path, folder: Path) -> list[Model]:
    log = folder / "train.log"
    command = [sys.executable, "-m", "stream", "personas", "train", str(definitions), str(events)]
    return [decode(line.encode()) for line in run(command, log).splitlines()]


def _publish(address: str, models: list[Model]) -> None:
    async def send() -> None:
        async with connected_sender(address) as sender:
            for model in models:
                await sender.send(PERSONA_MODELS, 0, model_records(model))
            await sender.flush()

    asyncio.run(send())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=4_000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--warm-days", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--broker", help="one that is empty; without it an Apache Kafka is started")
    options = parser.parse_args()
    if not 0 <= options.warm_days < options.days:
        parser.error(f"--warm-days {options.warm_days}: it has to be less than --days, which is {options.days}")
    brokers.refuse_topics(options.broker)
    print(f"{describe()}\ncommit {commit()}")
    of = f"--customers {options.customers} --days {options.days} --rounds {options.rounds}"
    head("Personas", f"python -m benchmarks.persona_cost {of}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        events = folder / "events.jsonl"
        simulation = Simulation(customers=options.customers, days=options.days, habits="personas")
        events.write_bytes(b"".join(simulation.chunks()))
        with events.open("rb") as lines:
            instants = [json.loads(line)["timestamp"] for line in lines]
        last_ms, warm_ms = max(instants), DEFAULT_START_MS + options.warm_days * _DAY_MS
        warm_after = sum(instant < warm_ms for instant in instants)
        definitions = _definitions(folder)
        models = _trained(definitions, events, folder)
        found: dict[str, tuple[list[float], list[float]]] = {"": ([], []), " when warm": ([], [])}
        with brokers.fresh_broker(options.broker) as address:
            brokers.send(address, events)
            for i in range(options.rounds):
                # In turn which comes first: the machine may become slower or faster meanwhile.
                for is_beside in (False, True) if i % 2 == 0 else (True, False):
                    file = definitions if is_beside else READY
                    brokers.renew_outputs(address)
                    if is_beside:
                        _publish(address, models)
                    warm = ("--warm-after", str(warm_after))
                    measured = ours(file, address, f"cost-{file.stem}-{i}", folder, *until(last_ms), *warm)
                    found[""][is_beside].append(1e6 / measured.rate.a_cpu_second)
                    found[" when warm"][is_beside].append(1e6 * measured.warm_cpu_of_an_event)
                    count = measured.events
    show("events, those after the first days, versions", f"{count:,}, {count - warm_after:,}, {len(models)}")
    for when, (without, beside) in found.items():
        show(f"CPU{when}, microseconds an event, without personas", spread(without, 2))
        show(f"CPU{when}, microseconds an event, with personas", spread(beside, 2))
        ratios = [mine / its for mine, its in zip(beside, without, strict=True)]
        show(f"ratio{when}", spread(ratios, 3))


if __name__ == "__main__":
    main()
