"""The trainer: it learns from samples of customers and publishes versions of their personas."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from stream.engine.plan import Plan
from stream.errors import SamplesError
from stream.instants import format_instant
from stream.personas.centres import grown, inertia, settled, shares, shrunk, squares
from stream.personas.drift import Drift, DriftWatch
from stream.personas.identity import matched, strayed
from stream.personas.labels import labels
from stream.personas.memory import been, remembered
from stream.personas.model import Floats, Model, Persona, Quality, Training, transformed
from stream.personas.moves import Candidate, best_start, better_moves, without_smallest
from stream.personas.online import OnlineKMeans
from stream.personas.publication import Publication, births_and_deaths
from stream.personas.quantiles import Distributions
from stream.personas.scaling import Scaling
from stream.personas.shift import ShiftWatch

#: So many samples are waited for before centres are looked for; fewer have to do if a version is asked for.
_FIRST = 2_000
#: From so many of the most recent samples centres are looked for anew, and moves are made.
_LOOKED_AT = 8_000
#: By so many their number may differ then from what the first samples said.
_FEWER_OR_MORE = 3
#: Samples a persona without which there is no version.
_NEEDED_EACH = 20
#: What is held back from learning, to judge by.
_HELD_BACK = 0.2
#: The most recent samples that are kept, of those learned and of those held back together.
_RECENT = 25_000
#: Moves are compared on so many held-back samples or not at all.
_COMPARED_ON = 100
#: So often in a row a move has to win, and a persona to be too small.
_IN_A_ROW = 3
#: Shares stand on about so many samples, older versions' included if there are too few new ones.
_SHARES_ON = 5_000
#: What a version's distance may be worse than the last one's, beside what chance explains.
_WORSE = 0.01


@dataclass(frozen=True)
class Settings:
    """What personas are made of: features by name and by canonical text, and how many there may be (least, most).

    ``rate`` is the share of the way to a sample that its persona's centre goes. ``ranked`` are the canonical texts of
    what customers are ranked by besides; those that are ``instants`` too are instants.
    """

    names: tuple[str, ...]
    features: tuple[str, ...]
    k: tuple[int, int]
    min_share: float = 0.01
    rate: float = 0.002
    seed: int = 0
    ranked: tuple[str, ...] = ()
    instants: frozenset[str] = frozenset()

    @classmethod
    def of(cls, plan: Plan, seed: int = 0) -> Settings:
        """What a definitions file with personas says."""
        section, personas = plan.definitions.personas, plan.personas
        assert section is not None, "the file has personas"
        assert personas is not None, "so its plan has them too"
        names = tuple(name for name, _ in section.features)
        k = (section.k_min, section.k_max)
        kinds = zip(personas.ranked, personas.ranked_are_instants, strict=True)
        return cls(
            names,
            personas.features,
            k,
            section.min_share,
            seed=seed,
            ranked=personas.ranked,
            instants=frozenset(text for text, is_instant in kinds if is_instant),
        )


@dataclass(frozen=True)
class _Draft:
    """Centres on their way to a version: ``who`` has for each the index of the persona that it continues.

    ``moved`` is whether they are where a move leads to.
    """

    centres: Floats
    who: list[int | None]
    shares: Floats
    counted: float
    moved: bool = False


@dataclass
class _Row:
    """How often in a row each move has won, and each persona (by its number) was too small."""

    wins: dict[str, int] = field(default_factory=dict)
    below: dict[int, int] = field(default_factory=dict)


class Trainer:
    """Learns from samples; each version goes on from the one before.

    What it knows is the last model and the samples since, so a trainer that starts with that model and gets the same
    samples from ``offset`` on publishes the same, to the last bit; only `DriftWatch` and `ShiftWatch` begin afresh, and
    what moves won in versions that were refused is lost. Neither how samples are cut into batches nor hashes nor other
    users of random numbers play a part.
    """

    def __init__(self, settings: Settings, last: Model | None = None) -> None:
        self._settings = settings
        self._last = last
        self._watch = DriftWatch()
        self._drifts: list[Drift] = []
        self._shifts = ShiftWatch(last)
        self._go_on()

    @property
    def last(self) -> Model | None:
        """The last model, published here or given."""
        return self._last

    def _go_on(self) -> None:
        """Begins the next version from the last one: also where nothing was interrupted, so that both are the same."""
        last = self._last
        version = last.version if last else 0
        self._known = last if last and last.features == self._settings.features else None
        self._recent: deque[Floats] = deque(maxlen=int(_RECENT * (1 - _HELD_BACK)))
        self._held: deque[Floats] = deque(maxlen=int(_RECENT * _HELD_BACK))
        self._drawn = np.random.default_rng((self._settings.seed, version))
        self._online: OnlineKMeans | None = None
        self._distributions = Distributions(self._settings.ranked, self._settings.instants, last)
        if self._known is None:
            self._scaling = Scaling.empty(len(self._settings.features))
            self._row = _Row()
            return
        training = self._known.training
        self._scaling = Scaling(np.array(training.means), np.array(training.variances), training.seen)
        self._row = _Row(dict(training.wins), dict(training.below))
        self._begin(self._known.centres / self._known.scales, np.array(self._known.scales))

    def _begin(self, centres: Floats, scales: Floats) -> None:
        self._scales = scales
        self._online = OnlineKMeans(centres, self._settings.rate)

    def learn(self, raw: Floats, at_ms: int | None = None) -> None:
        """Takes samples (n, F + R), in the order of the features and of what is ranked.

        What is ranked may be NaN, where a customer has nothing. Raises `SamplesError` for anything else. ``at_ms`` is
        when they were drawn; without it that is when the next version holds from.
        """
        width, ranked = len(self._settings.features), len(self._settings.ranked)
        if raw.ndim != 2 or raw.shape[1] != width + ranked:
            behind = f" and {ranked} numbers to rank" if ranked else ""
            raise SamplesError(f"expected samples of {width} features{behind}, got an array of {raw.shape}")
        if not np.isfinite(raw[:, :width]).all() or np.isinf(raw[:, width:]).any():
            raise SamplesError("samples have to be finite numbers (a feature that is not there is 0)")
        self._distributions.learn(raw[:, width:], at_ms)
        places = transformed(raw[:, :width])
        self._look_for_drift(places)
        for place, draw in zip(places, self._drawn.random(len(places)).tolist(), strict=True):
            self._scaling.learn(place)
            held_back = draw < _HELD_BACK
            (self._held if held_back else self._recent).append(place)
            if self._online is None:
                if len(self._held) + len(self._recent) == _FIRST:
                    self._start()
            elif not held_back:
                self._online.learn((place / self._scales).tolist())

    def _look_for_drift(self, places: Floats) -> None:
        if self._known is None or not len(places):
            return
        found = squares(places / self._scales, self._known.centres / self._scales)
        numbers = self._known.numbers[found.argmin(axis=1)].tolist()
        for number, distance in zip(numbers, np.sqrt(found.min(axis=1)).tolist(), strict=True):
            drift = self._watch.learn(number, distance)
            if drift is not None:
                self._drifts.append(drift)

    def _start(self) -> None:
        """Looks for the first centres."""
        scales = self._scaling.scales
        recent, held = self._samples(scales)
        random = np.random.default_rng((self._settings.seed, 0, 1))
        self._begin(best_start(recent, held, self._settings.k, self._settings.min_share, random), scales)

    def _samples(self, scales: Floats) -> tuple[Floats, Floats]:
        """The recent samples in these scales: those learned, and those held back."""
        recent = np.array(self._recent) / scales
        return recent, np.array(self._held) / scales if self._held else recent

    def publish(self, at_ms: int, offset: int) -> Publication:
        """The version that holds from ``at_ms`` on, of all samples before ``offset``."""
        drifts, self._drifts = tuple(self._drifts), []
        there, needed = len(self._recent) + len(self._held), _NEEDED_EACH * self._settings.k[1]
        if there < needed:
            return Publication(None, f"only {there} samples since the last version, {needed} are needed", drifts)
        if self._online is None:
            self._start()
        assert self._online is not None
        scales = self._scaling.scales
        recent, held = self._samples(scales)
        draft = self._moved(self._online.centres * self._scales / scales, recent, held, scales)
        before = None if self._known is None else self._known.centres / scales
        quality, reason = _judged(held, draft.centres, before)
        if reason is not None:
            return Publication(None, reason, drifts)
        model = self._model(draft, scales, quality, at_ms, offset)
        events = (*births_and_deaths(self._last, model), *self._shifts.told(model, self._settings.names))
        self._last = model
        self._watch.keep(persona.number for persona in model.personas)
        self._go_on()
        return Publication(model, None, drifts + events)

    def _draft(self, centres: Floats, recent: Floats, scales: Floats) -> _Draft:
        """Who the centres are, and how large. Shares go on from the last ones while nobody was born or has died."""
        found = shares(recent, centres)
        if self._known is None:
            return _Draft(centres, [None] * len(centres), found, float(len(recent)))
        who = matched(self._known.centres / scales, centres)
        who = strayed(been(self._known), centres - self._scaling.means / scales, who)
        counted = float(len(recent))
        if (
            sorted(index for index in who if index is not None)
            == list(range(len(self._known.personas)))
            == sorted(range(len(centres)))
        ):
            past = max(0.0, min(self._known.training.counted, _SHARES_ON - counted))
            old = np.array([self._known.personas[index].share for index in who if index is not None])
            found = (found * counted + old * past) / (counted + past)
            counted += past
        return _Draft(centres, who, found, counted)

    def _moved(self, present: Floats, recent: Floats, held: Floats, scales: Floats) -> _Draft:
        """The present centres, or where one of the moves leads to, if it is time."""
        draft = self._draft(present, recent, scales)
        random = np.random.default_rng((self._settings.seed, self._last.version if self._last else 0, 2))
        least, most = self._settings.k
        centres = self._resized(present, recent, random) if not least <= len(present) <= most else None
        if centres is None and self._known is None:
            centres = self._begun_anew(present, recent, held, random)
        elif centres is None:
            centres = self._without_small(draft, recent, random)
        if centres is None and self._known is not None and len(held) >= _COMPARED_ON:
            samples, settings = recent[-_LOOKED_AT:], self._settings
            centres = self._third_win(better_moves(samples, held, present, settings.k, settings.min_share, random))
        if centres is None:
            return draft
        self._row = _Row()
        return replace(self._draft(centres, recent, scales), moved=True)

    def _begun_anew(self, present: Floats, recent: Floats, held: Floats, random: np.random.Generator) -> Floats | None:
        """Nobody knows the personas before the first version: now there are more samples to look for centres."""
        k, (least, most) = len(present), self._settings.k
        bounds = (max(least, k - _FEWER_OR_MORE), min(most, k + _FEWER_OR_MORE))
        anew = best_start(recent[-_LOOKED_AT:], held, bounds, self._settings.min_share, random)
        return anew if len(anew) != k or inertia(held, anew) < inertia(held, present) else None

    def _resized(self, centres: Floats, recent: Floats, random: np.random.Generator) -> Floats | None:
        """Brings the number of centres within the bounds, which others may have set than those of the last version."""
        least, most = self._settings.k
        while len(centres) > most:
            centres = shrunk(recent, centres)
        while len(centres) < least:
            more = grown(recent, centres, random, 0.0)
            if more is None:
                break
            centres = more
        return centres

    def _without_small(self, draft: _Draft, recent: Floats, random: np.random.Generator) -> Floats | None:
        """The centres without one that was too small for too long; there may be another in its place."""
        known = self._known
        assert known is not None
        below = {
            known.personas[index].number: share
            for index, share in zip(draft.who, draft.shares.tolist(), strict=True)
            if index is not None and share < self._settings.min_share
        }
        self._row.below = {number: self._row.below.get(number, 0) + 1 for number in below}
        if not any(times >= _IN_A_ROW for times in self._row.below.values()):
            return None
        if len(draft.centres) > self._settings.k[0]:
            return settled(recent, np.delete(draft.centres, draft.shares.argmin(), axis=0))
        return without_smallest(recent, draft.centres, random, self._settings.min_share)

    def _third_win(self, found: list[Candidate]) -> Floats | None:
        wins = {candidate.move.value: self._row.wins.get(candidate.move.value, 0) + 1 for candidate in found}
        self._row.wins = wins
        for candidate in found:
            if wins[candidate.move.value] >= _IN_A_ROW:
                return candidate.centres
        return None

    def _model(self, draft: _Draft, scales: Floats, quality: Quality, at_ms: int, offset: int) -> Model:
        last, known = self._last, self._known
        next_number = last.next_number if last else 1
        numbers = []
        for index in draft.who:
            if index is not None and known is not None:
                numbers.append(known.personas[index].number)
            else:
                numbers.append(next_number)
                next_number += 1
        places = draft.centres - self._scaling.means / scales
        texts = labels(self._settings.names, places)
        # A move parts some and joins others, so all have another neighbourhood.
        places_been = remembered(None if draft.moved else known, draft.who, places, at_ms)
        centres = (draft.centres * scales).tolist()
        personas = [
            Persona(number, tuple(centre), share, text)
            for number, centre, share, text in zip(numbers, centres, draft.shares.tolist(), texts, strict=True)
        ]
        quantiles, counted = self._distributions.quantiles(at_ms)
        training = Training(
            means=tuple(self._scaling.means.tolist()),
            variances=tuple(self._scaling.variances.tolist()),
            seen=self._scaling.seen,
            counted=draft.counted,
            wins=self._row.wins,
            below=self._row.below,
            ranked=counted,
            since_ms=known.training.since_ms if known else at_ms,
            been={number: tuple(place) for number, place in zip(numbers, places_been.tolist(), strict=True)},
        )
        return Model(
            version=last.version + 1 if last else 1,
            effective_at=format_instant(at_ms),
            features=self._settings.features,
            scales=tuple(scales.tolist()),
            personas=tuple(sorted(personas, key=lambda persona: persona.number)),
            quality=quality,
            offset=offset,
            next_number=next_number,
            training=training,
            quantiles=quantiles,
        )


def _judged(held: Floats, centres: Floats, before: Floats | None) -> tuple[Quality, str | None]:
    """How good centres are on samples held back, and why they are not good enough, if so.

    Squares are compared, as they are what centres are learned by: on the way to a new habit the plain mean may rise.
    With fewer personas than before the distances are larger by that alone: then the move has been judged already.
    """
    nearest = np.sort(squares(held, centres), axis=1)
    found = nearest[:, 0]
    second = nearest[:, min(1, len(centres) - 1)]
    silhouette = float((1 - np.sqrt(found / np.where(second > 0, second, 1))).mean())
    quality = Quality(float(np.sqrt(found.mean())), None, silhouette, len(held))
    if before is None:
        return quality, None
    old = squares(held, before).min(axis=1)
    quality = msgspec.structs.replace(quality, before=float(np.sqrt(old.mean())))
    chance = 2 * float((found - old).std()) / len(held) ** 0.5
    if len(centres) >= len(before) and found.mean() > (1 + _WORSE) ** 2 * old.mean() + chance:
        worse = f"{quality.distance:.4g} instead of {quality.before:.4g}"
        return quality, f"customers would lie further from the centres: {worse}, on {len(held)} samples held back"
    return quality, None
