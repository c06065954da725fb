"""Shifts: a persona that is the same, and has moved since it was last told of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from stream.personas.model import Floats, Model, restored

#: In a feature's scale. Centres tremble by a few hundredths, as each sample moves the nearest a little.
_FAR = 0.2


class Shift(msgspec.Struct, frozen=True, tag="shift", tag_field="event"):
    """The centre of persona ``number`` has moved; most of all in ``feature``.

    ``before`` is where it was when it was first or last told of, ``after`` where it is, in the feature's own units.
    """

    number: int
    feature: str
    before: float
    after: float


class ShiftWatch:
    """Where each persona was when it was born, or last told to have moved; after a restart, where it is then."""

    def __init__(self, last: Model | None) -> None:
        self._told: dict[int, Floats] = {}
        if last is not None:
            self.told(last, ())

    def told(self, model: Model, names: Sequence[str]) -> tuple[Shift, ...]:
        """The personas of a new version that have moved, by the features' names; none is told again for that."""
        found = []
        told = {}
        for number, centre in zip(model.numbers.tolist(), model.centres, strict=True):
            before = self._told.get(number, centre)
            apart = np.abs(centre - before) / np.array(model.scales)
            most = int(apart.argmax())
            if apart[most] >= _FAR:
                found.append(Shift(number, names[most], float(restored(before[most])), float(restored(centre[most]))))
                before = centre
            told[number] = before
        self._told = told
        return tuple(found)
