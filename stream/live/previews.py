"""Previews over HTTP: what a draft would make of the customers whose partitions this worker has. Nothing is changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from aiohttp import web

from stream.engine.plan import Plan, compile_plan
from stream.engine.preview import SAMPLE, Preview, Size, without_history
from stream.language.problems import Problem
from stream.live.answers import Refusal
from stream.live.draft_process import DraftTooLargeError, checked_apart
from stream.live.fleet import Fleet
from stream.live.questions import NotNowError
from stream.live.runner import Runner
from stream.worker.owner import Owner

#: The path that `Previews.answer` serves.
ROUTE = "/v1/preview"
BODY_BYTES_MAX = 256 << 10
#: Browsers send none of these to another site without asking it first.
CONTENT_TYPES = ("text/yaml", "application/yaml", "application/x-yaml", "text/x-yaml")
WITHIN_S = 60.0
#: A customer's row may take so much under a draft.
ROW_BYTES_MAX = 256 << 10
#: A slice is made as large as can be looked at in so long: a batch waits for one slice at most.
_SLICE_S = 0.02
_SLICE_BYTES_MAX = 16 << 20
_ROWS_MAX = 8_192
#: After a slice one waits as long as it took, and so many times more.
_REST = 1.0
_RETRY_AFTER_S = "2"

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)


class SegmentPreview(msgspec.Struct, frozen=True):
    """One drafted segment; ``before`` is null for a name that is new."""

    name: str
    members: int
    held_out: int
    eligible: int
    before: int | None
    of: int
    sample: list[str]
    without_history: list[str]


class Spot(msgspec.Struct, frozen=True):
    """A problem, as ``segstream check`` tells it."""

    line: int
    column: int
    severity: str
    message: str


class Missing(msgspec.Struct, frozen=True):
    """A partition of this worker that could not be looked at, and why."""

    partition: int
    reason: str


class Answer(msgspec.Struct, frozen=True):
    """``schemas/preview.schema.json`` describes it on the wire. Without segments where the draft has an error."""

    problems: list[Spot]
    segments: list[SegmentPreview]
    partitions: list[int]
    missing: list[Missing]
    took_ms: int


class _RefusedError(Exception):
    """Why there is no preview, as it is answered."""

    def __init__(self, status: int, code: str, reason: str, *, retry: bool = False) -> None:
        self.status = status
        self.code = code
        self.retry = retry
        super().__init__(reason)

    def response(self) -> web.Response:
        return _json(Refusal(self.code, str(self)), self.status, _RETRY_AFTER_S if self.retry else None)


@dataclass
class _Found:
    """What the partitions came to, by name of the drafted segment."""

    sizes: dict[str, Size]
    customers: int
    partitions: list[int]
    missing: list[Missing]


class Previews:
    """Answers one draft after the other, once `open` has said which partitions are here.

    ``source`` is the definitions file as it is written; None where that is not known.
    """

    def __init__(self, plan: Plan, source: bytes | None) -> None:
        self._plan = plan
        self._source = source
        self._fleet: Fleet | None = None
        self._is_busy = False

    def open(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def answer(self, request: web.Request) -> web.Response:
        """The answer to ``POST /v1/preview``."""
        try:
            text = await _body(request)
            with self._one_at_a_time():
                return _json(await self._preview(text))
        except _RefusedError as refusal:
            return refusal.response()
        except Exception as error:  # noqa: BLE001 (whoever asked is told; the worker goes on)
            _log.exception("no preview")
            return _RefusedError(500, "internal", f"{type(error).__name__}; the worker's log says more").response()

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if self._is_busy:
            raise _RefusedError(503, "busy", "another preview is being made: ask again in a moment", retry=True)
        self._is_busy = True
        try:
            yield
        finally:
            self._is_busy = False

    async def _preview(self, text: bytes) -> Answer:
        began_s = time.monotonic()
        if self._fleet is None:
            raise _RefusedError(503, "moving", "the worker is about to join its group", retry=True)
        try:
            draft = await checked_apart(text, self._source)
        except DraftTooLargeError as error:
            raise _RefusedError(422, "too_large", str(error)) from error
        problems = [_spot(problem) for problem in draft.problems]
        if draft.definitions is None:
            return Answer(problems, [], [], [], _ms_since(began_s))
        # It is bounded, and in a thread: the loop gets its turn meanwhile.
        plan = await asyncio.to_thread(compile_plan, draft.definitions)
        if plan.row_bytes > ROW_BYTES_MAX:
            reason = f"a customer would take {plan.row_bytes:,} bytes: {ROW_BYTES_MAX:,} can be previewed"
            raise _RefusedError(422, "too_large", reason)
        try:
            async with asyncio.timeout(WITHIN_S):
                found = await self._look(self._fleet, plan, list(draft.names))
        except TimeoutError as error:
            reason = f"the worker is busy with events: not all customers could be looked at within {WITHIN_S:g} s"
            raise _RefusedError(503, "too_slow", reason, retry=True) from error
        unknown = without_history(plan, self._plan, draft.names)
        segments = [
            SegmentPreview(
                name,
                size.members,
                size.held_out,
                size.eligible,
                size.before,
                found.customers,
                [customer for _, customer in size.sample[:SAMPLE]],
                unknown[name],
            )
            for name, size in found.sizes.items()
        ]
        return Answer(problems, segments, found.partitions, found.missing, _ms_since(began_s))

    async def _look(self, fleet: Fleet, plan: Plan, names: list[str]) -> _Found:
        found = _Found(Preview(plan, self._plan, names).sizes, 0, [], [])
        for partition in sorted(fleet.status.partitions):
            runner = fleet.runner(partition)
            try:
                if runner is None:
                    raise NotNowError("moving", f"partition {partition} is being taken away from this worker")
                preview = await looked_at(runner, Preview(plan, self._plan, names), plan.row_bytes)
            except NotNowError as error:
                found.missing.append(Missing(partition, str(error)))
                continue
            found.partitions.append(partition)
            found.customers += preview.customers
            for name, size in preview.sizes.items():
                found.sizes[name].add(size)
        return found


async def looked_at(runner: Runner, preview: Preview, row_bytes: int) -> Preview:
    """The preview when it has seen the whole partition, slice after slice between the owner's steps.

    Raises ``NotNowError`` where the partition can't be asked, or no longer.
    """
    rows, most = 1, max(1, min(_ROWS_MAX, _SLICE_BYTES_MAX // row_bytes))
    took_s = 0.0

    def look(owner: Owner) -> bool:
        nonlocal took_s
        began_s = time.perf_counter()
        there_are_more = preview.look(owner.partition, rows)
        took_s = time.perf_counter() - began_s
        return there_are_more

    while await runner.ask(look):
        # At most twice as many: a slice of few says little about one of many.
        rows = max(1, min(most, 2 * rows, int(rows * _SLICE_S / max(took_s, 1e-6))))
        await asyncio.sleep(_REST * took_s)  # events come first
    return preview


async def _body(request: web.Request) -> bytes:
    if request.content_type not in CONTENT_TYPES:
        raise _RefusedError(415, "bad_content_type", f"a draft is sent as {CONTENT_TYPES[0]}")
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise _RefusedError(413, "too_large", f"a draft has at most {BODY_BYTES_MAX:,} bytes")
    return bytes(body)


def _spot(problem: Problem) -> Spot:
    return Spot(problem.line, problem.column, problem.severity, problem.message)


def _ms_since(began_s: float) -> int:
    return round(1_000 * (time.monotonic() - began_s))


def _json(body: object, status: int = 200, retry_after: str | None = None) -> web.Response:
    """A response that nobody keeps: it tells of customers, and of now."""
    headers = {"Cache-Control": "no-store", **({} if retry_after is None else {"Retry-After": retry_after})}
    return web.Response(body=_encode(body), status=status, headers=headers, content_type="application/json")
