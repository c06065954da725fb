"""A dashboard over invented data that moves, to build and look at pages with: ``python -m tests.dashboard.fake``.

All endpoints are there, with answers of the shapes that the real ones have, and with names that are hostile to a page
that does not escape them. The customer ``away`` has no worker; ``nobody`` is not known.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import math
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import Random

import msgspec
from aiohttp import web

from stream.dashboard.answers import Answers, Json, Member, sort_of
from stream.dashboard.app import STATIC, Access, make_app
from stream.dashboard.refusals import RefusedError
from stream.instants import format_instant
from stream.language.canonical import text
from stream.language.checker import load
from stream.language.drafts import check_draft
from stream.language.tree import Segment
from tests.dashboard.fake_customer import HOSTILE, portrait
from tests.dashboard.fake_personas import ALIASES, FakePersonas
from tests.dashboard.fake_pipeline import pipeline, worker

__all__ = ["CUSTOMERS", "HOSTILE", "FakeAnswers"]

CUSTOMERS = ("c000001", "c006312", HOSTILE, "a/b", "..", "ünï 🛒", "=1+1", '"quoted" & <b>bold</b>', "x" * 200)
_FILE = Path(__file__).parents[2] / "stream" / "segments.yaml"
_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000
_CAUSES = ("event", "timer", "definitions", "erasure", "model")
#: The shop's clock runs so many times faster than ours.
_SPEED = 60

_NO_PREVIEW: Json = {"segments": None, "workers": 0, "partitions": [], "took_ms": None, "preview_error": None}


@functools.cache
def _segments() -> dict[str, Segment]:
    return {segment.name: segment for segment in load(_FILE.read_bytes(), _FILE.name).segments}


class FakeAnswers(Answers):
    """A shop whose segments swell and shrink with the time of day."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)
        self._started = time.time()
        self._segments = _segments()
        self._sizes = {name: self._random.randint(20, 4_000) for name in self._segments}
        self._sizes["do_not_email"] = 0
        self._held_out = {name: int(self._sizes[name] * one.holdout) for name, one in self._segments.items()}
        self._feed: list[tuple[int, Json]] = []
        self._sequence = 0
        self.personas_told = FakePersonas()
        self._moved_at = self._now_ms()
        for _ in range(60):
            self._move(self._now_ms())
        #: What is out of order, for tests of pages: "redis", "workers".
        self.away: set[str] = set()

    def _now_ms(self) -> int:
        return int((self._started + (time.time() - self._started) * _SPEED) * 1_000)

    def _check(self) -> None:
        if "redis" in self.away:
            raise RefusedError(503, "redis_unreachable", "Redis at redis://127.0.0.1:6379/0 does not answer")

    def _find(self, name: str) -> Segment:
        self._check()
        if name not in self._segments:
            raise RefusedError(404, "unknown_segment", f"there is no segment {name}")
        return self._segments[name]

    def _move(self, now_ms: int) -> None:
        name = self._random.choice(list(self._segments))
        entered = self._random.random() < 0.55 or self._sizes[name] == 0
        self._sizes[name] += 1 if entered else -1
        if self._segments[name].holdout and self._random.random() < 0.1:
            self._held_out[name] = min(self._sizes[name], self._held_out[name] + 1)
        self._sequence += 1
        self._feed.append((self._sequence, self._change(name, now_ms, self._sequence, entered)))
        del self._feed[:-1_000]

    def _catch_up(self) -> None:
        now_ms = self._now_ms()
        while self._moved_at < now_ms:
            self._moved_at += self._random.randint(2_000, 40_000)
            self._move(min(self._moved_at, now_ms))

    def _change(self, name: str, at_ms: int, sequence: int, entered: bool, customer: str | None = None) -> Json:
        customer = customer or self._random.choice([*CUSTOMERS, f"c{self._random.randint(1, 20_000):06}"])
        cause = self._random.choice(("event", "event", "timer"))
        return {
            "id": f"{customer}:{sequence}",
            "customer_id": customer,
            "segment": name,
            "change": "entered" if entered else "exited",
            "at": format_instant(at_ms),
            "sequence": sequence,
            "cause": cause,
            "event_id": f"e{sequence:08}" if cause == "event" else None,
            "values": {
                'last(click where action == "add_to_cart")': format_instant(at_ms - 30 * _MINUTE_MS),
                "count(purchase)": 3,
                "last(click.product_id)": HOSTILE,
                "last(purchase)": None,
            },
            "holdout": self._random.random() < 0.05,
            "quiet": False,
            "definitions": "9771060ed6667186",
            "words": f"put something into the cart 30 minutes ago; has never bought; last looked at “{HOSTILE}”"
            if entered
            else "bought 2 minutes ago, 3 orders",
        }

    # --- answers ---

    async def settings(self) -> Json:
        settings = {"time_zone": "Europe/Berlin", "version": "0.1.0", "definitions": "9771060ed6667186"}
        return {**settings, "aliases": ALIASES}

    async def segments(self) -> Json:
        self._check()
        self._catch_up()
        now_ms = self._now_ms()
        behind_s = round(max(0.0, time.time() - now_ms / 1_000), 1)
        return {
            "at": format_instant(int(time.time() * 1_000)),
            "stream_clock": format_instant(now_ms),
            "behind_s": behind_s,
            "customers": None if "workers" in self.away else 20_000,
            "segments": [self._summary(segment) for segment in self._segments.values()],
        }

    def _summary(self, segment: Segment) -> Json:
        name, members = segment.name, self._sizes[segment.name]
        alerts = []
        if name == "in_checkout":
            alerts.append({"kind": "moved", "message": "grew by 41 % within 24 hours (from 320 to 451 members)"})
        if name == "win_back":
            alerts.append(
                {"kind": "below_min_size", "message": f"{members:,} members, fewer than its min_size of 5,000"}
            )
        if name == "email_tired":
            alerts.append({"kind": "review_due", "message": "was to be reviewed by 2026-01-31"})
        return {
            "name": name,
            "description": f"Made up, {HOSTILE}" if name == "shopper_abroad" else segment.description,
            "tags": list(segment.tags) + ([HOSTILE] if name == "shopper_abroad" else []),
            "owner": ("crm", "growth", None)[len(name) % 3],
            "goal": segment.goal,
            "review_by": "2026-01-31" if name == "email_tired" else None,
            "min_size": 5_000 if name == "win_back" else None,
            "members": members,
            "held_out": self._held_out[name],
            "share": None if "workers" in self.away else min(1.0, members / 20_000),
            "entered_last_hour": (members * 7) // 90,
            "exited_last_hour": (members * 5) // 90,
            "week_ago": None if name == "new_visitor" else int(members * 0.93),
            "sparkline": [point["members"] for point in self._points(name, 24)[3::4]],
            "alerts": alerts,
        }

    def _points(self, name: str, hours: int) -> list[Json]:
        step_ms = 15 * _MINUTE_MS if hours == 24 else _HOUR_MS if hours == 168 else 6 * _HOUR_MS
        now_ms, size = self._now_ms(), self._size(name)
        count = hours * _HOUR_MS // step_ms
        points = []
        for index in range(count):
            at_ms = now_ms - (count - 1 - index) * step_ms
            wave = 1 + 0.15 * math.sin(at_ms / _DAY_MS * 2 * math.pi) - 0.15 * math.sin(now_ms / _DAY_MS * 2 * math.pi)
            members = size if index == count - 1 else max(0, int(size * wave * (0.8 + 0.2 * index / count)))
            flow = max(0, int(size * 0.02 * (1.2 + math.sin(at_ms / _DAY_MS * 2 * math.pi))))
            points.append({"at": format_instant(at_ms), "members": members, "entered": flow, "exited": flow * 9 // 10})
        return points

    async def segment(self, name: str) -> Json:
        segment = self._find(name)
        self._catch_up()
        size = self._sizes[name]
        return {
            **self._summary(segment),
            "source": f"{name}:\n  description: {segment.description}\n  enter: {text(segment.enter)}\n",
            "enter": text(segment.enter),
            "exit": text(segment.exit),
            "words": [
                "Enters when the customer put something into the cart after the last purchase, "
                "and that was 30 minutes ago or longer.",
                "Leaves when the customer buys, or has not clicked for 7 days.",
                "Not earlier than 12 hours after leaving.",
                "5 % are held out.",
            ],
            "causes": _causes(size),
            "median_stay_s": None if size == 0 else 5_400,
            "overlap": self._overlap(name, size),
        }

    def _overlap(self, name: str, size: int) -> list[Json]:
        others = [other for other in self._segments if other != name][:6]
        personas = [] if name.startswith("persona_") else ["persona_p2", "persona_p1"]
        return [
            {"name": other, "members": size // (i + 2), "share": round(1 / (i + 2), 4)}
            for i, other in enumerate([*others, *personas])
        ]

    async def personas(self) -> Json:
        self._check()
        return self.personas_told.all(self._now_ms())

    async def persona(self, id_: str) -> Json:
        self._check()
        size = self.personas_told.sizes.get(id_, 0)
        overlap = self._overlap(f"persona_{id_}", size)
        return self.personas_told.one(id_, self._now_ms(), overlap, _causes(size))

    async def persona_history(self, id_: str, hours: int) -> Json:
        self._check()
        return self.personas_told.history(id_, self._points(id_, hours))

    async def persona_moves(self, hours: int) -> Json:
        self._check()
        return self.personas_told.moves(hours, self._now_ms())

    async def persona_versions(self) -> Json:
        self._check()
        return self.personas_told.versions(self._now_ms())

    async def history(self, name: str, hours: int) -> Json:
        self._find(name)
        return {"points": self._points(name, hours)}

    def _size(self, name: str) -> int:
        return self.personas_told.sizes[name] if name in self.personas_told.sizes else self._sizes[name]

    def _members(self, name: str) -> list[Member]:
        since = format_instant(self._now_ms() - 5 * _HOUR_MS)
        ids = [*CUSTOMERS, *(f"c{number:06}" for number in range(1, 20_000))][
            : self._size(name.removeprefix("persona_"))
        ]
        return [Member(one, since, holdout=index % 20 == 0) for index, one in enumerate(ids)]

    async def members(self, name: str, limit: int, cursor: str) -> Json:
        if name.removeprefix("persona_") not in self.personas_told.sizes:
            self._find(name)
        found = self._members(name)
        try:
            begin = int(cursor or 0)
        except ValueError:
            raise RefusedError(400, "bad_cursor", "`cursor` is what an earlier answer gave") from None
        end = begin + limit
        shown = [msgspec.to_builtins(one) for one in found[begin:end]]
        return {"members": shown, "cursor": str(end) if end < len(found) else None}

    async def all_members(self, name: str) -> AsyncIterator[Sequence[Member]]:
        if name.removeprefix("persona_") not in self.personas_told.sizes:
            self._find(name)
        found = self._members(name)
        for begin in range(0, len(found), 500):
            yield found[begin : begin + 500]

    def _memberships(self, *, with_holdout: bool) -> Json:
        since = format_instant(self._now_ms() - 3 * _HOUR_MS)
        found = {
            "cart_abandoner": {"since": since, "holdout": True},
            "big_spender": {"since": since, "holdout": False},
            "mobile_shopper": {"since": since, "holdout": False},
        }
        return {name: one for name, one in found.items() if with_holdout or not one["holdout"]}

    def _known(self, customer: str) -> None:
        self._check()
        if customer == "nobody":
            raise RefusedError(404, "unknown_customer", "nothing is known of such a customer")

    async def lookup(self, customer: str, *, with_holdout: bool) -> bytes:
        self._known(customer)
        memberships = self._memberships(with_holdout=with_holdout)
        return msgspec.json.encode({"customer_id": customer, "sequence": 12, "segments": memberships})

    async def customer(self, customer: str) -> Json:
        self._known(customer)
        now_ms = self._now_ms()
        changes = [
            self._change(name, now_ms - number * 7 * _HOUR_MS, 12 - number, number % 2 == 0, customer)
            for number, name in enumerate(list(self._segments)[:10])
        ]
        persona = self.personas_told.of_customer(now_ms)
        if persona is not None:
            names, at_ms = enumerate(("persona_p3", "persona_p2")), now_ms - 5 * _DAY_MS
            changes[8:] = [self._change(name, at_ms, 4 - place, not place, customer) for place, name in names]
        is_away = customer == "away" or "workers" in self.away
        return {
            "customer_id": customer,
            "persona": persona,
            "segments": self._memberships(with_holdout=True),
            "changes": changes,
            "worker": None if is_away else portrait(customer, now_ms, self._memberships(with_holdout=True)),
            "worker_error": "no worker answers: none has told its address lately" if is_away else None,
        }

    async def pipeline(self) -> Json:
        self._catch_up()
        now_ms = self._now_ms()
        count = 0 if "workers" in self.away else 2
        return pipeline([worker(number, now_ms, self._sizes, self._random) for number in range(count)], now_ms)

    async def changes(self, limit: int, sort: str) -> Json:
        self._check()
        self._catch_up()
        found = [change for _, change in reversed(self._feed) if sort in ("all", sort_of(change))]
        return {"changes": found[:limit]}

    async def counts(self) -> Json:
        self._check()
        self._catch_up()
        return {
            "stream_clock": format_instant(self._now_ms()),
            "behind_s": 0.0,
            "counts": {
                **{name: [size, self._held_out[name]] for name, size in self._sizes.items()},
                **{f"persona_{id_}": [size, 0] for id_, size in self.personas_told.sizes.items()},
            },
        }

    async def feed(self, after: str | None) -> tuple[str | None, list[Json]]:
        latest = str(self._feed[-1][0])
        if after is None:
            return latest, []
        return latest, [change for number, change in self._feed if number > int(after)]

    async def draft(self, text: bytes) -> Json:
        checked = check_draft(text, "draft", _FILE.read_bytes())
        problems = [
            {"line": one.line, "column": one.column, "severity": one.severity, "message": one.message}
            for one in checked.problems
        ]
        if checked.definitions is None:
            return {**_NO_PREVIEW, "problems": problems}
        if "workers" in self.away:
            error = "no worker has announced itself lately: is one running?"
            return {**_NO_PREVIEW, "problems": problems, "preview_error": error}
        segments = [
            {
                "name": segment.name,
                "members": 1_234,
                "held_out": int(1_234 * segment.holdout),
                "eligible": 12 if segment.for_ms else 0,
                "before": self._sizes.get(segment.name),
                "of": 20_000,
                "sample": list(CUSTOMERS),
                "without_history": ['count(click where action == "new", 7d)'] if "new" in segment.name else [],
            }
            for segment in checked.definitions.segments
            if segment.name in checked.names
        ]
        found = {"segments": segments, "workers": 2, "partitions": list(range(8)), "took_ms": 41}
        return {**_NO_PREVIEW, "problems": problems, **found}


def _causes(size: int) -> Json:
    return {
        "in": {cause: size // (5 * (i + 1)) if i < 3 else 0 for i, cause in enumerate(_CAUSES)},
        "out": {cause: size // (7 * (i + 1)) if i < 3 else 0 for i, cause in enumerate(_CAUSES)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a dashboard over invented data.")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--static", type=Path, default=STATIC, help="the folder of the pages")
    parser.add_argument("--token", help="what to log in with")
    parser.add_argument("--away", choices=("redis", "workers"), action="append", default=[], help="out of order")
    arguments = parser.parse_args()
    answers = FakeAnswers()
    answers.away.update(arguments.away)
    app = make_app(answers, Access(arguments.token), static=arguments.static)
    print(f"http://127.0.0.1:{arguments.port}/")
    asyncio.run(_serve(app, arguments.port))


async def _serve(app: web.Application, port: int) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    main()
