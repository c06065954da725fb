"""A model on its way into the engine."""

from __future__ import annotations

from stream.engine.centres import Centres
from stream.personas.model import Model


def centres_of(model: Model) -> Centres:
    """What the engine needs of a model to assign customers by it."""
    return Centres(
        model.version,
        model.features,
        tuple(persona.number for persona in model.personas),
        model.scales,
        tuple(persona.centre for persona in model.personas),
        model.quantiles,
        model.effective_ms,
    )
