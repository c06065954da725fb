"""The paths under ``/v1``: what is asked for is taken from the request, and answered as JSON."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterable

import msgspec
from aiohttp import web

from stream.dashboard.answers import Answers, Json, Member
from stream.dashboard.login import Login
from stream.dashboard.openapi import DOCUMENT
from stream.dashboard.refusals import RefusedError
from stream.dashboard.security import check_origin
from stream.dashboard.streams import Streams
from stream.language.words import NAME, PERSONA_ID
from stream.live.paths import CUSTOMERS, checked, customer_of

_SEGMENTS = "/v1/segments/{name:[^/]*}"
_PERSONA = "/v1/personas/{id:[^/]*}"
_CUSTOMER = CUSTOMERS + "{id:[^/]*}"
#: Browsers can't send the ids `.` and `..` in a path, whatever they are written as.
_BY_QUERY = CUSTOMERS.rstrip("/")
_HOURS = (24, 168, 2_160)
_LIMIT_MAX = 1_000
_SORTS = ("all", "segments", "personas")
#: As OpenAPI, curl and people write the content type of YAML.
_YAML = ("text/yaml", "application/yaml", "application/x-yaml", "text/x-yaml")
#: A text that begins so is a formula for a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_WHOLE = re.compile(r"[0-9]{1,9}")

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class Api:
    """Handlers of all paths under ``/v1``."""

    def __init__(self, answers: Answers, streams: Streams, login: Login) -> None:
        self._answers = answers
        self._streams = streams
        self._login = login

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/settings", self._settings),
            web.get("/v1/segments", self._segments),
            web.get(_SEGMENTS, self._segment),
            web.get(f"{_SEGMENTS}/history", self._history),
            web.get(f"{_SEGMENTS}/members", self._members),
            web.get(f"{_SEGMENTS}/members.csv", self._members_csv),
            web.get(f"{_CUSTOMER}/segments", self._lookup),
            web.get(_CUSTOMER, self._customer),
            web.get(_BY_QUERY, self._customer_by_query),
            web.get("/v1/personas", self._personas),
            web.get("/v1/personas/moves", self._persona_moves),
            web.get("/v1/personas/versions", self._persona_versions),
            web.get(_PERSONA, self._persona),
            web.get(f"{_PERSONA}/history", self._persona_history),
            web.get("/v1/pipeline", self._pipeline),
            web.get("/v1/changes", self._changes),
            web.get("/v1/stream", self._streams.serve),
            web.post("/v1/drafts", self._draft),
            web.get("/v1/openapi.json", self._document),
        ]

    async def _document(self, _: web.Request) -> web.Response:
        return _json(DOCUMENT)

    async def _settings(self, _: web.Request) -> web.Response:
        return _json({**await self._answers.settings(), "login": self._login.is_needed})

    async def _segments(self, _: web.Request) -> web.Response:
        return _json(await self._answers.segments())

    async def _segment(self, request: web.Request) -> web.Response:
        return _json(await self._answers.segment(_name(request)))

    async def _history(self, request: web.Request) -> web.Response:
        return _json(await self._answers.history(_name(request), _hours(request)))

    async def _members(self, request: web.Request) -> web.Response:
        limit = _number(request, "limit", 50, _LIMIT_MAX)
        return _json(await self._answers.members(_name(request), limit, request.query.get("cursor", "")))

    async def _members_csv(self, request: web.Request) -> web.StreamResponse:
        name = _name(request)
        pieces = aiter(self._answers.all_members(name))
        first = await anext(pieces, None)  # what may be refused is, before an answer begins
        headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}.csv"'}
        response = web.StreamResponse(headers=headers)
        response.content_type = "text/csv"
        response.charset = "utf-8"
        await response.prepare(request)
        await response.write(_rows([("customer_id", "since", "held_out")]))
        if first is not None:
            await response.write(_rows(map(_row, first)))
        try:
            async for piece in pieces:
                await response.write(_rows(map(_row, piece)))
        except RefusedError as refusal:
            # A file that only seems to be whole is worse than none: whoever loads it sees that it was cut off.
            _log.warning("the members of %s were not sent to their end: %s", name, refusal)
            if request.transport is not None:
                request.transport.abort()
            return response
        await response.write_eof()
        return response

    async def _lookup(self, request: web.Request) -> web.Response:
        include = request.query_string
        if include not in ("", "include=holdout"):
            raise RefusedError(400, "bad_parameter", "the only parameter here is `include=holdout`")
        customer = _customer(request.rel_url.raw_path.removesuffix("/segments"))
        body = await self._answers.lookup(customer, with_holdout=bool(include))
        return web.Response(body=body, headers={"Cache-Control": "no-store"}, content_type="application/json")

    async def _customer(self, request: web.Request) -> web.Response:
        return _json(await self._answers.customer(_customer(request.rel_url.raw_path)))

    async def _customer_by_query(self, request: web.Request) -> web.Response:
        try:
            customer = checked(request.query.get("id", ""))
        except ValueError as error:
            raise RefusedError(400, "bad_id", str(error)) from error
        return _json(await self._answers.customer(customer))

    async def _pipeline(self, _: web.Request) -> web.Response:
        return _json(await self._answers.pipeline())

    async def _changes(self, request: web.Request) -> web.Response:
        sort = request.query.get("of", "all")
        if sort not in _SORTS:
            raise RefusedError(400, "bad_parameter", "`of` is all, segments or personas")
        return _json(await self._answers.changes(_number(request, "limit", 50, _LIMIT_MAX), sort))

    async def _personas(self, _: web.Request) -> web.Response:
        return _json(await self._answers.personas())

    async def _persona_moves(self, request: web.Request) -> web.Response:
        return _json(await self._answers.persona_moves(_hours(request)))

    async def _persona_versions(self, _: web.Request) -> web.Response:
        return _json(await self._answers.persona_versions())

    async def _persona(self, request: web.Request) -> web.Response:
        return _json(await self._answers.persona(_persona_id(request)))

    async def _persona_history(self, request: web.Request) -> web.Response:
        return _json(await self._answers.persona_history(_persona_id(request), _hours(request)))

    async def _draft(self, request: web.Request) -> web.Response:
        check_origin(request)
        if request.content_type not in _YAML:
            raise RefusedError(415, "wrong_type", "send the definition as text/yaml")
        return _json(await self._answers.draft(await request.read()))


def _json(body: Json) -> web.Response:
    """A response that nobody keeps: it tells of customers, and of now."""
    return web.Response(body=_encode(body), headers={"Cache-Control": "no-store"}, content_type="application/json")


def _name(request: web.Request) -> str:
    name = request.match_info["name"]
    if not NAME.fullmatch(name):
        raise RefusedError(404, "unknown_segment", "there is no such segment")
    return name


def _persona_id(request: web.Request) -> str:
    id_ = request.match_info["id"]
    if not PERSONA_ID.fullmatch(id_):
        raise RefusedError(404, "unknown_persona", "there is no such persona")
    return id_


def _hours(request: web.Request) -> int:
    hours = _number(request, "hours", 24, max(_HOURS))
    if hours not in _HOURS:
        raise RefusedError(400, "bad_parameter", "`hours` is 24, 168 or 2160")
    return hours


def _customer(raw_path: str) -> str:
    try:
        return customer_of(raw_path)
    except ValueError as error:
        raise RefusedError(400, "bad_id", str(error)) from error


def _number(request: web.Request, name: str, default: int, largest: int) -> int:
    text = request.query.get(name, str(default))
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= largest:
        raise RefusedError(400, "bad_parameter", f"`{name}` is a whole number from 1 to {largest:,}")
    return int(text)


def _row(member: Member) -> tuple[str, str, str]:
    return unlike_a_formula(member.customer_id), member.since or "", "yes" if member.holdout else ""


def unlike_a_formula(text: str) -> str:
    """The text, with a ``'`` before what a spreadsheet would run.

    >>> unlike_a_formula("=1+1"), unlike_a_formula("c1")
    ("'=1+1", 'c1')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _rows(rows: Iterable[tuple[str, str, str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue().encode("utf-8", "replace")
