"""Moves that learning online cannot make: one persona more, one fewer, or one taken away and put elsewhere."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np

from stream.personas.centres import cut, grown, inertia, settled, shares, shrunk, started
from stream.personas.model import Floats

#: A persona more has to bring as much as so many cuts through the middle of one that is there.
_CUTS = 2.45
#: By this share of that a persona more, or one fewer, has to be better than that.
_RELUCTANCE = 0.08
#: An exchange has to take away this share of the error.
_EXCHANGE = 0.03
#: So often k-means++ begins anew, as scikit-learn does it; fewer times to find out how many personas there are.
_STARTS = 10
_STARTS_EACH = 4
#: So often the number is looked for, each time with the cut that the one before has left.
_LOOKS = 2


class Move(enum.StrEnum):
    """What a version could do beside following its customers."""

    MORE = "more"
    FEWER = "fewer"
    EXCHANGE = "exchange"


@dataclass(frozen=True)
class Candidate:
    """Centres that a move leads to, scaled."""

    move: Move
    centres: Floats


def error_for(samples: Floats, centres: Floats, one_cut: float) -> float:
    """How badly centres fit, their number considered: log of the inertia + what cuts would bring; less is better.

    A cut through the middle of one of k groups takes away about ``one_cut`` / k of the error, although there is no gap.
    Groups of counts have more than one middle and lie unevenly, so it takes more than a cut to call a part a persona.
    """
    return math.log(max(inertia(samples, centres), 1e-300)) + _CUTS * one_cut * math.log(len(centres))


def better_moves(
    samples: Floats,
    held: Floats,
    present: Floats,
    bounds: tuple[int, int],
    min_share: float,
    random: np.random.Generator,
) -> list[Candidate]:
    """The moves that beat the present centres on the samples held back.

    ``bounds`` are the least and the largest number of personas. All candidates are made from ``samples``, and so are
    the present centres before they are compared. More may be one or two more.
    """
    k = len(present)
    here = settled(samples, present)
    more = grown(samples, here, random, min_share)
    one_cut = cut(samples, here if more is None else more)
    others: list[tuple[Move, Floats]] = []
    if more is not None and k < bounds[1]:
        others.append((Move.MORE, more))
        # Where groups lie in pairs the first of them brings little as long as the second has no centre.
        two_more = grown(samples, more, random, min_share) if k + 1 < bounds[1] else None
        if two_more is not None:
            others.append((Move.MORE, two_more))
    if k > bounds[0]:
        others.append((Move.FEWER, shrunk(samples, here)))
    found = []
    errors = [error_for(held, centres, one_cut) for _, centres in others]
    wanted = error_for(held, here, one_cut) - _RELUCTANCE * _CUTS * one_cut * math.log(1 + 1 / k)
    if errors and min(errors) < wanted:
        found.append(Candidate(*others[int(np.argmin(errors))]))
    if more is not None and k > 1:
        other = shrunk(samples, more)
        if inertia(held, other) < (1 - _EXCHANGE) * inertia(held, here):
            found.append(Candidate(Move.EXCHANGE, other))
    return found


def best_start(
    samples: Floats, held: Floats, bounds: tuple[int, int], min_share: float, random: np.random.Generator
) -> Floats:
    """The centres to begin with; as few within the bounds as fit the samples held back about as well as any number."""
    least, most = bounds
    found = {k: started(samples, k, random, _STARTS if least == most else _STARTS_EACH) for k in range(least, most + 1)}
    best = most
    for _ in range(_LOOKS if least < most else 0):
        one_cut = cut(samples, found[best])
        errors = {k: error_for(held, centres, one_cut) for k, centres in found.items()}
        enough = min(errors.values()) + _RELUCTANCE * _CUTS * one_cut / most
        best = min(k for k, error in errors.items() if error <= enough)
    centres = found[best] if least == most else started(samples, best, random, _STARTS)
    for _ in range(best):
        if (shares(samples, centres) >= min_share).all():
            break
        other = without_smallest(samples, centres, random, min_share)
        if other is None:
            break
        centres = other
    return centres


def without_smallest(samples: Floats, centres: Floats, random: np.random.Generator, min_share: float) -> Floats | None:
    """As many centres: the one with the fewest samples is put where it takes away most of the error.

    None where that would leave one too small again: then there is no better place for it.
    """
    smallest = shares(samples, centres).argmin()
    fewer = settled(samples, np.delete(centres, smallest, axis=0))
    if len(fewer) == 0:
        return None
    return grown(samples, fewer, random, min_share)
