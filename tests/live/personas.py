"""Customers with habits, definitions with personas, and models that were made of them beforehand."""

from __future__ import annotations

from pathlib import Path

from stream.kafka.sending import connected_sender
from stream.kafka.topics import PERSONA_MODELS
from stream.personas.messages import model_records
from stream.personas.model import Model
from stream.personas.publication import Publication
from stream.replay.run import Outlets, replay
from stream.replay.training import Training
from tests.live.workers import prepared_plan

DEFINITIONS = """\
version: 1
personas:
  features:
    orders: count(purchase, 30d)
    spend: sum(purchase.total, 30d)
    views: count(click where action == "product_view", 30d)
    recency: last(purchase)
  k: 4
  min_share: 0
  active_within: 20d
  aliases: {p2: fans}
segments:
  likes: {enter: 'persona == "fans"', to: [fans-topic]}
  top: {enter: 'rank(sum(purchase.total, 30d)) >= 0.9', for: 1h}
  buyer: {enter: 'count(purchase, 30d) >= 1'}
"""


def definitions(folder: Path) -> Path:
    """The file."""
    path = folder / "personas.yaml"
    path.write_text(DEFINITIONS)
    return path


def trained(file: Path, events: Path) -> list[Model]:
    """A version a day of the events."""
    plan = prepared_plan(file)
    models: list[Model] = []

    def published(publication: Publication) -> None:
        if publication.model is not None:
            models.append(publication.model)

    training = Training(plan, 0, published)
    replay(plan, [str(events)], Outlets(changes=lambda _: None), sort=True, versions=training)
    assert len(models) > 5
    return models


async def publish(address: str, models: list[Model]) -> None:
    """Puts versions into their topic."""
    async with connected_sender(address) as sender:
        for model in models:
            await sender.send(PERSONA_MODELS, 0, model_records(model))
        await sender.flush()
