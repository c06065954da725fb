"""A model: one version of the personas, as it stands in JSON, and how customers are assigned by it."""

from __future__ import annotations

import math
from functools import cached_property
from itertools import pairwise
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.engine.opcodes import RANK_PLACES
from stream.errors import ModelError
from stream.instants import parse_instant

Floats = NDArray[np.float64]

#: The number of a customer who has no persona.
NOBODY = 0

#: Quantiles that are known of what customers are ranked by: those of the shares 0, 1/200, ..., 1.
QUANTILES = RANK_PLACES


def transformed(raw: Floats) -> Floats:
    """``sign(x) * log1p(|x|)`` of each number: sums and counts of few large customers do not drown all others.

    >>> transformed(np.array([0.0, -1.0])).tolist()
    [0.0, -0.6931471805599453]
    """
    return cast("Floats", np.sign(raw) * np.log1p(np.abs(raw)))


def restored(places: Floats) -> Floats:
    """The numbers whose `transformed` ones these are.

    >>> restored(np.array([0.0, -0.6931471805599453])).tolist()
    [0.0, -1.0]
    """
    return cast("Floats", np.sign(places) * np.expm1(np.abs(places)))


class Persona(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One persona of a version; ``centre`` is in transformed units, unscaled."""

    number: int
    centre: tuple[float, ...]
    share: float
    label: str


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was found on samples that were held back: the distance to the nearest centre, the root of the mean square.

    ``before`` is that of the last version, on the same samples and scales (null for the first), ``silhouette`` the
    simplified one: the mean of 1 - nearest / second nearest.
    """

    distance: float
    before: float | None
    silhouette: float
    samples: int


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the trainer goes on with from a model.

    ``means`` and ``variances`` are the population's in transformed units, ``seen`` how many samples they stand on,
    ``counted`` how many the shares stand on; ``wins`` counts, for each kind of move, the versions in a row in which it
    was better; ``below`` those in which a persona was too small, by its number. ``ranked``: how many values the
    quantiles of what is ranked stand on, by its text. ``since_ms`` is when the first version of these features took
    effect; ``been``: where each persona was over the last weeks, by its
    number, as deviations from the population in scales; one that is not there was always where it is.
    """

    means: tuple[float, ...]
    variances: tuple[float, ...]
    seen: int
    counted: float
    wins: dict[str, int]
    below: dict[int, int]
    ranked: dict[str, float] = {}
    since_ms: int = 0
    been: dict[int, tuple[float, ...]] = {}


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A version of the personas. It makes sure of itself: whatever is built or decoded is consistent.

    ``features`` are canonical texts; ``scales`` and the personas' centres are in their order. ``offset`` is where
    training stood in its samples. ``quantiles`` are of what customers are ranked by, by its canonical text: for each of
    the shares 0, 1/200, ..., 1 the least number that so many active customers are not above, of those for whom there is
    one; none at all where that is nobody. Those of instants are how many days before ``effective_at`` they are.
    ``copy_of`` is the earlier version that somebody went back to with this one.
    """

    version: int
    effective_at: str
    features: tuple[str, ...]
    scales: tuple[float, ...]
    personas: tuple[Persona, ...]
    quality: Quality
    offset: int
    next_number: int
    training: Training
    quantiles: dict[str, tuple[float, ...]] = {}
    copy_of: int | None = None

    def __post_init__(self) -> None:
        width = len(self.features)
        numbers = [persona.number for persona in self.personas]
        parse_instant(self.effective_at)
        if self.version < 1:
            raise ValueError(f"versions begin with 1, this is {self.version}")
        if not width or not numbers:
            raise ValueError("there has to be a feature and a persona")
        if len(self.scales) != width or not all(0 < scale < math.inf for scale in self.scales):
            raise ValueError(f"expected {width} scales above 0, one a feature")
        if any(len(persona.centre) != width for persona in self.personas):
            raise ValueError(f"a centre needs {width} coordinates, one a feature")
        if not all(math.isfinite(place) for persona in self.personas for place in persona.centre):
            raise ValueError("a centre's coordinates have to be finite")
        if not all(0 <= persona.share <= 1 for persona in self.personas):
            raise ValueError("shares lie between 0 and 1")
        if len(set(numbers)) < len(numbers) or min(numbers) < 1 or max(numbers) >= self.next_number:
            raise ValueError(f"personas' numbers have to differ and lie between 1 and {self.next_number - 1}")
        if len(self.training.means) != width or len(self.training.variances) != width:
            raise ValueError(f"expected {width} means and variances, one a feature")
        if not set(self.training.been) <= set(numbers):
            raise ValueError("where personas have been is said of others than those that there are")
        if any(len(place) != width or not all(map(math.isfinite, place)) for place in self.training.been.values()):
            raise ValueError(f"where a persona has been needs {width} finite coordinates, one a feature")
        for text, quantiles in self.quantiles.items():
            if len(quantiles) not in (0, QUANTILES):
                raise ValueError(f"expected {QUANTILES} quantiles of `{text}` or none, these are {len(quantiles)}")
            if not all(map(math.isfinite, quantiles)) or any(a > b for a, b in pairwise(quantiles)):
                raise ValueError(f"the quantiles of `{text}` have to be finite, and not to fall")

    @cached_property
    def effective_ms(self) -> int:
        """The instant from which the version holds, in milliseconds since the epoch."""
        return parse_instant(self.effective_at)

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """The personas' numbers, in their order."""
        return np.array([persona.number for persona in self.personas], np.int64)

    @cached_property
    def centres(self) -> Floats:
        """The personas' centres (k, F), in transformed units, unscaled."""
        return np.array([persona.centre for persona in self.personas], np.float64)

    def distances(self, raw: Floats) -> Floats:
        """The distances (n, k) of raw vectors (n, F) from each centre."""
        scales = np.array(self.scales)
        places = transformed(raw)
        found = np.empty((len(raw), len(self.personas)))
        for i, centre in enumerate(self.centres):
            found[:, i] = np.sqrt((((places - centre) / scales) ** 2).sum(axis=1))
        return found

    def nearest(self, raw: Floats) -> NDArray[np.int64]:
        """The number (n) of the persona whose centre is nearest to each raw vector; of equal ones the first."""
        return cast("NDArray[np.int64]", self.numbers[self.distances(raw).argmin(axis=1)])

    def reassign(self, present: NDArray[np.int64], raw: Floats, margin: float) -> NDArray[np.int64]:
        """The numbers (n) that customers have under this version who had ``present`` (n) so far.

        They keep their persona unless another is nearer by ``margin``: d_new < (1 - margin) * d_present. Those whose
        persona is gone, or who had none (`NOBODY`), get the nearest.
        """
        distances = self.distances(raw)
        nearest = distances.argmin(axis=1)
        rows = np.arange(len(raw))
        held = present[:, None] == self.numbers
        with np.errstate(invalid="ignore"):
            there = np.where(held.any(axis=1), distances[rows, held.argmax(axis=1)], np.inf)
        moves = distances[rows, nearest] < (1 - margin) * there
        return np.where(moves, self.numbers[nearest], present)


def encode(model: Model) -> bytes:
    """A model as JSON."""
    return msgspec.json.encode(model)


_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Model)


def decode(data: bytes) -> Model:
    """The model that JSON holds. Raises `ModelError`, which says what is wrong where, for anything else."""
    try:
        return cast("Model", _decoder.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"not a model of personas: {error}") from None
