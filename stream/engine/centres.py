"""A model of personas as the engine takes it: the centres that customers are assigned to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stream.engine import opcodes as op
from stream.engine.persona_plan import PersonaPlan, others_table, rank_table
from stream.engine.texts import TextPool
from stream.errors import ModelError

Floats = npt.NDArray[np.float64]

_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Centres:
    """One version, which holds from ``effective_ms`` on: of ``k`` personas over ``F`` features.

    ``features`` are canonical texts in the file's order, ``numbers`` (k,) the personas' (p3 has 3), ``scales`` (F,) are
    above 0, ``points`` (k, F): in logarithms that keep the sign, not divided by the scales. ``quantiles`` are those of
    all customers, of what the definitions rank by, by canonical text: `op.RANK_PLACES` numbers (of instants how many
    days before ``effective_ms`` they are), or none at all where nobody has a value. What is missing is not known to the
    model: such ranks are null.
    """

    version: int
    features: tuple[str, ...]
    numbers: tuple[int, ...]
    scales: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]
    quantiles: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    effective_ms: int = 0


def check_fits(centres: Centres, plan: PersonaPlan | None) -> None:
    """Raises ``ModelError`` for a model that is not of the definitions' features, or can't be used."""
    name = f"model version {centres.version}"
    if plan is None:
        raise ModelError(f"{name} is for a file with `personas:`, which this one has not")
    if centres.features != plan.features:
        raise ModelError(
            f"{name} is of the features [{', '.join(centres.features)}], the definitions have "
            f"[{', '.join(plan.features)}]: train a model for these definitions"
        )
    count = len(plan.features)
    sizes = {len(centres.scales), *(len(point) for point in centres.points)}
    if sizes != {count} or not 0 < len(centres.numbers) == len(centres.points) <= op.PERSONAS_MOST:
        raise ModelError(f"{name} has to have 1 to {op.PERSONAS_MOST} centres and a scale, of {count} numbers each")
    if len(set(centres.numbers)) != len(centres.numbers) or min(centres.numbers) < 1:
        raise ModelError(f"{name} has to give its personas numbers from 1 on, each another one")
    if not (np.isfinite(centres.points).all() and np.isfinite(centres.scales).all() and min(centres.scales) > 0.0):
        raise ModelError(f"{name} has a centre or scale that is no number, or a scale that is not above 0")
    for ranked in plan.ranked:
        _check_quantiles(name, ranked, centres.quantiles.get(ranked, ()))


def _check_quantiles(name: str, ranked: str, quantiles: tuple[float, ...]) -> None:
    if len(quantiles) not in (0, op.RANK_PLACES):
        raise ModelError(f"{name} has {len(quantiles)} quantiles of `{ranked}`: it has to be {op.RANK_PLACES} or none")
    if not np.isfinite(quantiles).all() or (np.diff(quantiles) < 0.0).any():
        raise ModelError(f"{name} has quantiles of `{ranked}` that are no numbers, or fall")


def named_personas(features: int, constants: Floats) -> dict[int, int]:
    """The codes of the names that personas have, by their numbers: the model's, and others that customers are in."""
    centres, others = op.K_HEADER + op.M_SCALES + features, others_table(features)
    of_model, of_others = int(constants[op.K_HEADER + op.M_COUNT]), int(constants[op.K_HEADER + op.M_OTHERS])
    places = [centres + (op.M_NAMING + features) * k for k in range(of_model)]
    places += [others + op.M_NAMING * k for k in range(of_others)]
    return {int(constants[at]): int(constants[at + 1]) for at in places}


def name_others(numbers: Iterable[int], plan: PersonaPlan, pool: TextPool, constants: Floats) -> None:
    """Gives names to personas that customers are in, though the model, if there is one, does not have them.

    So it is where rows are restored that a later model has been applied to.
    """
    features = len(plan.features)
    others = others_table(features)
    count = int(constants[op.K_HEADER + op.M_OTHERS])
    known = named_personas(features, constants)
    for number in sorted(set(numbers) - known.keys()):
        if count == op.OTHERS_MOST:
            raise ModelError(f"customers are in more than {op.OTHERS_MOST} personas that the model does not have")
        known[number] = pool.code(plan.name(number))
        at = others + op.M_NAMING * count
        constants[at : at + op.M_NAMING] = number, known[number]
        count += 1
    constants[op.K_HEADER + op.M_OTHERS] = count
    pool.hold(np.array(list(known.values()), dtype=np.int64))


def write_model(centres: Centres, plan: PersonaPlan, pool: TextPool, constants: Floats) -> None:
    """Writes a model that fits into a partition's ``constants``; the names of its personas become texts of the pool."""
    features, count = len(centres.features), len(centres.numbers)
    codes = pool.codes_of([plan.name(number) for number in centres.numbers])
    pool.hold(codes)
    constants[op.K_HEADER + op.M_VERSION] = centres.version
    constants[op.K_HEADER + op.M_COUNT] = count
    constants[op.K_HEADER + op.M_OTHERS] = 0
    scales = op.K_HEADER + op.M_SCALES
    constants[scales : scales + features] = centres.scales
    size = op.M_NAMING + features
    table = constants[scales + features : scales + features + count * size].reshape(count, size)
    table[:, 0], table[:, 1] = centres.numbers, codes
    table[:, op.M_NAMING :] = np.array(centres.points) / constants[scales : scales + features]
    for number, (ranked, is_instant) in enumerate(zip(plan.ranked, plan.ranked_are_instants, strict=True)):
        at = rank_table(features, number)
        quantiles = np.array(centres.quantiles.get(ranked, ()) or np.nan)
        if is_instant:  # turned round, in milliseconds: they are compared with whole ones
            quantiles = np.floor(quantiles * _DAY_MS + 0.5) - centres.effective_ms
        constants[at : at + op.RANK_PLACES] = quantiles
