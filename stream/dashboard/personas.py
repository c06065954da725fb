"""The personas: how many have each, what sets it apart, who moved between them, and the versions they come from."""

from __future__ import annotations

import asyncio

import numpy as np

from stream.dashboard import figures
from stream.dashboard.answers import Json
from stream.dashboard.catalogue import Catalogue
from stream.dashboard.kept import Kept
from stream.dashboard.memory import Memory
from stream.dashboard.persona_history import FollowedPersonas, PersonaEvent
from stream.dashboard.refusals import RefusedError
from stream.dashboard.sizes import Now, Sizes, clock
from stream.dashboard.words.personas import amount, apart, happened
from stream.instants import format_instant
from stream.language.persona_names import persona_of, persona_segment
from stream.personas.model import Floats, Model, restored
from stream.personas.model import Persona as Centre
from stream.sinks.redis.keys import DAY_MS, HOUR_MS
from stream.sinks.redis.reading import Move

_WEEK_MS = 7 * DAY_MS
#: The small curves have so many points, of so long each: a week.
_CURVE_STEP_MS, _CURVE_STEPS = 6 * HOUR_MS, 28
_MOVES_S = 5.0
_VERSIONS, _EVENTS = 30, 50
#: As many as a label may have at most; the numbers of all features stand beside them.
_SENTENCES = 4


class Personas:
    """``followed`` has what the broker tells of them, ``sizes`` what Redis does."""

    def __init__(self, memory: Memory, catalogue: Catalogue, sizes: Sizes, followed: FollowedPersonas) -> None:
        self._memory = memory
        self._catalogue = catalogue
        self._sizes = sizes
        self._followed = followed
        self._moves: Kept[tuple[int, int], list[Move]] = Kept(self._ask_moves, _MOVES_S, 100)

    async def _ask_moves(self, asked: tuple[int, int]) -> list[Move]:
        with self._memory.refusing():
            return await self._memory.reader.moves(*asked)

    # --- what is answered ---

    async def all(self) -> Json:
        """``GET /v1/personas``."""
        now = await self._sizes.now()
        model = self._followed.history.in_force(now.clock_ms)
        ids = self._ids(now, model)
        together = self._together(now)
        return {
            "at": format_instant(now.at_ms),
            **clock(now),
            "state": self._state(model),
            "trouble": self._followed.problem,
            "version": None if model is None else model.version,
            "pinned": self._followed.history.pinned,
            "effective_at": None if model is None else model.effective_at,
            "members": together,
            "features": self._features(model),
            "personas": [await self._summary(one, now, model, together) for one in ids],
        }

    async def one(self, id_: str) -> Json:
        """``GET /v1/personas/ID``."""
        now, model = await self._found(id_)
        segment = await self._sizes.one(persona_segment(id_))
        return {
            **await self._summary(id_, now, model, self._together(now)),
            **clock(now),
            "version": None if model is None else model.version,
            "features": self._features(model),
            **{name: segment[name] for name in ("causes", "median_stay_s", "overlap")},
        }

    async def history(self, id_: str, hours: int) -> Json:
        """``GET /v1/personas/ID/history``: as that of a segment, with the share of all who had a persona."""
        now, _ = await self._found(id_)
        names = [name for name in now.counts if persona_of(name)]
        curves = await asyncio.gather(*(self._sizes.curve(name, hours, now) for name in names))
        together = [sum(of_step) for of_step in zip(*map(_sizes_of, curves), strict=True)]
        mine = curves[names.index(persona_segment(id_))]
        points = [
            {**figures.told(point), "share": _share(point.members, all_members)}
            for point, all_members in zip(mine, together, strict=True)
        ]
        return {"points": points}

    async def moves(self, hours: int) -> Json:
        """``GET /v1/personas/moves``: within the last hours of the stream clock."""
        now = await self._sizes.now()
        clock_ms = now.clock_ms or 0
        last = clock_ms // HOUR_MS
        first = max(0, last - hours + 1)
        found = await self._moves.get((first, last))
        known_from = now.meta.history_from_ms
        return {
            "since": None if now.clock_ms is None else format_instant(first * HOUR_MS),
            "known_from": None if known_from is None else format_instant(known_from),
            **clock(now),
            "moves": [{"from": move.left, "to": move.entered, "customers": move.number} for move in found],
        }

    async def versions(self) -> Json:
        """``GET /v1/personas/versions``: the latest first."""
        now = await self._sizes.now()
        history = self._followed.history
        model = history.in_force(now.clock_ms)
        return {
            **clock(now),
            "trouble": self._followed.problem,
            "version": None if model is None else model.version,
            "pinned": history.pinned,
            "versions": [self._version(one, now) for one in history.newest_first()[:_VERSIONS]],
            "events": [self._event(one) for one in history.events()[:_EVENTS]],
        }

    def of_customer(self, id_: str, since_ms: int) -> Json:
        """The persona that a customer has had since then."""
        return {**self._named(id_, self._followed.history.in_force(None)), "since": format_instant(since_ms)}

    # --- parts ---

    def _state(self, model: Model | None) -> str:
        if model is not None:
            return "learned"
        if self._catalogue.definitions is not None and self._catalogue.personas is None:
            return "not_defined"
        if self._followed.history.versions:
            return "other_features"
        return "unknown" if self._followed.problem is not None else "no_version"

    async def _found(self, id_: str) -> tuple[Now, Model | None]:
        now = await self._sizes.now()
        model = self._followed.history.in_force(now.clock_ms)
        if persona_segment(id_) not in now.counts:
            raise RefusedError(404, "unknown_persona", f"there is no persona {id_}")
        return now, model

    def _ids(self, now: Now, model: Model | None) -> list[str]:
        """Those of the version, and those that still have members, in the order of their numbers."""
        having = {id_ for name in now.counts if (id_ := persona_of(name))}
        of_version = set() if model is None else {f"p{one.number}" for one in model.personas}
        return sorted(having | of_version, key=lambda id_: int(id_[1:]))

    def _together(self, now: Now) -> int:
        return sum(count.members for name, count in now.counts.items() if persona_of(name))

    def _named(self, id_: str, model: Model | None) -> Json:
        centre = _centre(id_, model)
        known = (_centre(id_, version) for version in self._versions(model))
        label = next((one.label for one in known if one is not None), None)
        return {
            "id": id_,
            "segment": persona_segment(id_),
            "alias": self._catalogue.aliases.get(id_),
            "label": label,
            "is_in_version": centre is not None,
        }

    def _versions(self, model: Model | None) -> list[Model]:
        """The one in force, then the others: a persona that is gone still has its last label."""
        others = self._followed.history.newest_first()
        return others if model is None else [model, *others]

    async def _summary(self, id_: str, now: Now, model: Model | None, together: int) -> Json:
        name = persona_segment(id_)
        segment = await self._sizes.summary(name, now)
        clock_ms = now.clock_ms or 0
        week = await self._sizes.last_hours(name, clock_ms)
        points = figures.curve(segment["members"], clock_ms, week, _CURVE_STEP_MS, _CURVE_STEPS)
        known_from = now.meta.history_from_ms or 0
        centre = _centre(id_, model)
        values, words = (None, []) if centre is None or model is None else self._apart(centre, model)
        taken = ("members", "held_out", "entered_last_hour", "exited_last_hour", "week_ago")
        return {
            **self._named(id_, model),
            **{key: segment[key] for key in taken},
            "share": _share(segment["members"], together),
            "sparkline": [point.members for point in points if point.at_ms >= known_from],
            "values": values,
            "words": words,
        }

    def _features(self, model: Model | None) -> list[Json]:
        if model is None:
            return []
        usual = restored(_means(model)).tolist()
        found = []
        for text, value in zip(model.features, usual, strict=True):
            feature = self._catalogue.words.persona_feature(text)
            about = {"name": feature.name, "text": text, "words": feature.words, "days": feature.days}
            found.append({**about, "usual": value})
        return found

    def _apart(self, centre: Centre, model: Model) -> tuple[list[Json], list[str]]:
        """For each feature the value at the centre and how many scales it is from all customers'; and words."""
        places = np.array(centre.centre)
        deviations = ((places - _means(model)) / np.array(model.scales)).tolist()
        here, features = restored(places).tolist(), self._features(model)
        said = {}
        for feature, deviation, value in zip(features, deviations, here, strict=True):
            in_days = bool(feature["days"])
            usual = amount(feature["usual"], in_days=in_days)
            what = feature["words"] or feature["name"].replace("_", " ")
            text = apart(what, deviation, amount(value, in_days=in_days), usual)
            if text is not None:
                said[text] = abs(deviation)
        values = [{"value": value, "deviation": round(one, 4)} for value, one in zip(here, deviations, strict=True)]
        return values, sorted(said, key=lambda text: -said[text])[:_SENTENCES]

    def _version(self, model: Model, now: Now) -> Json:
        quality = model.quality
        return {
            "version": model.version,
            "copy_of": model.copy_of,
            "fits": self._followed.history.fits(model),
            "effective_at": model.effective_at,
            "age_s": None if now.clock_ms is None else round((now.clock_ms - model.effective_ms) / 1_000),
            "distance": quality.distance,
            "before": quality.before,
            "silhouette": quality.silhouette,
            "samples": quality.samples,
            "personas": [{"id": f"p{one.number}", "label": one.label, "share": one.share} for one in model.personas],
        }

    def _event(self, event: PersonaEvent) -> Json:
        feature = None if event.feature is None else self._catalogue.words.persona_feature(event.feature)
        before, after = (
            None if one is None else amount(one, in_days=bool(feature and feature.days))
            for one in (event.before, event.after)
        )
        what = None if feature is None else feature.words or feature.name
        return {
            "id": event.id,
            "at": event.at,
            "version": event.version,
            "event": event.event,
            "persona": event.persona,
            "label": event.label,
            "words": happened(event.event, event.share, what, before, after, event.reason),
        }


def _means(model: Model) -> Floats:
    """Of all customers, in transformed units."""
    return np.array(model.training.means)


def _centre(id_: str, model: Model | None) -> Centre | None:
    return None if model is None else next((one for one in model.personas if f"p{one.number}" == id_), None)


def _sizes_of(points: list[figures.Point]) -> list[int]:
    return [point.members for point in points]


def _share(members: int, together: int) -> float | None:
    return round(members / together, 6) if together else None
