"""Invented personas: who has which, what sets them apart, who moved, and the versions they come from."""

from __future__ import annotations

import math

from stream.dashboard.answers import Json
from stream.dashboard.refusals import RefusedError
from stream.dashboard.words.personas import amount, apart, happened
from stream.instants import format_instant
from tests.dashboard.fake_customer import HOSTILE

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_VERSION = 41
#: Name, text, words, whether in days, what is usual, and by how much of it one scale is more.
_FEATURES: list[tuple[str, str, str | None, bool, float, float]] = [
    ("orders", "count(purchase, 30d)", "the number of orders within 30 days", False, 1.4, 1.1),
    ("spend", "sum(purchase.total, 30d)", "the money spent within 30 days", False, 86.0, 1.5),
    ("recency", "last(purchase)", "the age of the last order", True, 24.0, 0.9),
    (
        "coupons",
        "count(purchase where coupon exists, 30d)",
        "the number of orders with a coupon within 30 days",
        False,
        0.3,
        0.8,
    ),
    ("mail_clicks", 'count(email where action == "clicked", 30d)', None, False, 0.9, 0.9),
]
#: Number, label, size, and how many scales each feature is from the middle of all.
_PERSONAS: list[tuple[int, str, int, tuple[float, ...]]] = [
    (1, "average", 5_210, (0.12, 0.03, -0.21, 0.0, 0.3)),
    (2, "high orders, very low recency", 3_944, (1.32, 0.94, -1.61, -0.32, 0.18)),
    (3, "very high coupons, high orders", 2_407, (0.82, 0.42, -0.61, 2.31, 0.77)),
    (5, "very high mail_clicks", 1_968, (-0.31, -0.4, 0.35, 0.11, 1.94)),
    (8, f"low orders, {HOSTILE}", 3_120, (-1.2, -1.51, 1.22, -0.4, -0.52)),
    (11, "high spend, low coupons", 0, (0.44, 1.88, -0.3, -0.55, -0.9)),
]
ALIASES = {"p2": "regulars", "p3": "bargain_hunters"}
_MOVES: list[tuple[str | None, str | None, int]] = [
    ("p1", "p8", 214),
    (None, "p1", 180),
    ("p8", None, 121),
    ("p2", "p1", 96),
    ("p3", "p2", 52),
    ("p5", "p1", 33),
    ("p1", "p2", 31),
    (None, "p5", 12),
    ("p8", "p3", 4),
    ("p2", "p3", 1),
]


class FakePersonas:
    """Answers about personas; ``state`` is what a test sets it to."""

    def __init__(self) -> None:
        self.state = "learned"
        self.trouble: str | None = None
        self.pinned: int | None = None
        #: Who had them has them still, whatever is known of versions.
        self.is_left = False
        self.sizes = {f"p{number}": size for number, _, size, _ in _PERSONAS}

    def _together(self) -> int:
        return sum(self.sizes.values())

    def _clock(self, now_ms: int) -> Json:
        return {"stream_clock": format_instant(now_ms), "behind_s": 0.0}

    def features(self) -> list[Json]:
        names = ("name", "text", "words", "days", "usual")
        return [dict(zip(names, feature, strict=False)) for feature in _FEATURES]

    def all(self, now_ms: int) -> Json:
        learned = self.state == "learned"
        return {
            "at": format_instant(now_ms),
            **self._clock(now_ms),
            "state": self.state,
            "trouble": self.trouble,
            "version": _VERSION if learned else None,
            "pinned": self.pinned if learned else None,
            "effective_at": format_instant(now_ms - 7 * _HOUR_MS) if learned else None,
            "members": self._together() if learned or self.is_left else 0,
            "features": self.features() if learned else [],
            "personas": [self._summary(*one) for one in _PERSONAS] if learned or self.is_left else [],
        }

    def _named(self, number: int, label: str) -> Json:
        id_ = f"p{number}"
        return {
            "id": id_,
            "segment": f"persona_{id_}",
            "alias": ALIASES.get(id_),
            "label": label,
            "is_in_version": self.state == "learned",
        }

    def _summary(self, number: int, label: str, _: int, deviations: tuple[float, ...]) -> Json:
        members, values, said = self.sizes[f"p{number}"], [], {}
        for (name, _text, words, days, usual, scale), deviation in zip(_FEATURES, deviations, strict=True):
            value = math.expm1(max(0.0, math.log1p(usual) + scale * deviation * 0.6))
            values.append({"value": value, "deviation": deviation})
            text = apart(
                words or name.replace("_", " "), deviation, amount(value, in_days=days), amount(usual, in_days=days)
            )
            if text is not None:
                said[text] = -abs(deviation)
        return {
            **self._named(number, label),
            "members": members,
            "held_out": 0,
            "share": round(members / self._together(), 6),
            "entered_last_hour": members // 300,
            "exited_last_hour": members // 350,
            "week_ago": None if number == 11 else int(members * (0.8 + 0.04 * number)),
            "sparkline": [int(members * (0.9 + 0.1 * math.sin(step / 5 + number))) for step in range(28)],
            "values": values if self.state == "learned" else None,
            "words": sorted(said, key=lambda text: said[text])[:4] if self.state == "learned" else [],
        }

    def _find(self, id_: str) -> tuple[int, str, int, tuple[float, ...]]:
        found = next((one for one in _PERSONAS if f"p{one[0]}" == id_), None)
        if found is None or self.state != "learned":
            raise RefusedError(404, "unknown_persona", f"there is no persona {id_}")
        return found

    def one(self, id_: str, now_ms: int, overlap: list[Json], causes: Json) -> Json:
        return {
            **self._summary(*self._find(id_)),
            **self._clock(now_ms),
            "version": _VERSION,
            "features": self.features(),
            "causes": causes,
            "median_stay_s": 12 * 86_400,
            "overlap": overlap,
        }

    def history(self, id_: str, points: list[Json]) -> Json:
        self._find(id_)
        return {"points": [{**point, "share": round(point["members"] / 20_000, 6)} for point in points]}

    def moves(self, hours: int, now_ms: int) -> Json:
        times = hours // 24
        return {
            **self._clock(now_ms),
            "since": format_instant((now_ms // _HOUR_MS - hours + 1) * _HOUR_MS),
            "known_from": format_instant(now_ms - 30 * _DAY_MS),
            "moves": [{"from": left, "to": entered, "customers": times * many} for left, entered, many in _MOVES],
        }

    def versions(self, now_ms: int) -> Json:
        learned = self.state == "learned"
        events = [
            self._event(now_ms, 41, 7, "drift", "p3", before=0.71, after=0.94),
            self._event(now_ms, 40, 31, "refused", reason=f"the distance is 4 % worse than by version 39 {HOSTILE}"),
            self._event(now_ms, 39, 55, "birth", "p11", share=0.041),
            self._event(now_ms, 39, 55, "death", "p9", share=0.006),
            self._event(now_ms, 30, 260, "shift", "p2", feature=1, before=480.4, after=912.0),
        ]
        versions = [self._version(number, now_ms) for number in range(_VERSION, _VERSION - 12, -1)]
        return {
            **self._clock(now_ms),
            "trouble": self.trouble,
            "version": _VERSION if learned else None,
            "pinned": self.pinned if learned else None,
            "versions": versions if learned else [],
            "events": events if learned else [],
        }

    def _version(self, number: int, now_ms: int) -> Json:
        age_ms = 7 * _HOUR_MS + (_VERSION - number) * _DAY_MS
        return {
            "version": number,
            "copy_of": self.pinned if number == _VERSION else None,
            "fits": number > 30,
            "effective_at": format_instant(now_ms - age_ms),
            "age_s": age_ms // 1_000,
            "distance": round(1.16 + 0.01 * math.sin(number), 4),
            "before": None if number == 30 else round(1.17 + 0.01 * math.sin(number), 4),
            "silhouette": round(0.38 + 0.01 * math.cos(number), 4),
            "samples": 20_000 - number,
            "personas": [
                {"id": f"p{one}", "label": label, "share": round(size / self._together(), 6)}
                for one, label, size, _ in _PERSONAS
                if number > 38 or one != 11
            ],
        }

    def _event(
        self,
        now_ms: int,
        version: int,
        hours_ago: int,
        event: str,
        persona: str | None = None,
        *,
        share: float | None = None,
        feature: int | None = None,
        before: float | None = None,
        after: float | None = None,
        reason: str | None = None,
    ) -> Json:
        told = [None if one is None else amount(one, in_days=False) for one in (before, after)]
        what = None if feature is None else _FEATURES[feature][2]
        at_ms = now_ms - hours_ago * _HOUR_MS
        return {
            "id": f"{version}:{at_ms}:{event}:{persona or ''}",
            "at": format_instant(at_ms),
            "version": version,
            "event": event,
            "persona": persona,
            "label": next((label for number, label, _, _ in _PERSONAS if f"p{number}" == persona), None),
            "words": happened(event, share, what, told[0], told[1], reason),
        }

    def of_customer(self, now_ms: int) -> Json | None:
        if self.state != "learned":
            return None
        return {**self._named(3, _PERSONAS[2][1]), "since": format_instant(now_ms - 5 * _DAY_MS)}
