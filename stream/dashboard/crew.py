"""The workers as the dashboard asks them: for a customer, and what a draft would come to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from yarl import URL

from stream.dashboard.answers import Json
from stream.kafka.workers import Announcement
from stream.live.paths import path_of

_CONNECTED_WITHIN_S = 2.0
#: A worker that has to ask another one says within that whether it can.
_CUSTOMER_WITHIN_S = 10.0
#: A preview looks at all profiles, in slices between the worker's batches.
_PREVIEW_WITHIN_S = 60.0
_ANSWER_BYTES_MAX = 8 << 20
#: So many workers are asked for a customer, one after the other, until one answers.
_TRIED = 3
_SAMPLE = 20
#: What of a segment's preview is added up over the workers.
_ADDED = ("members", "held_out", "eligible", "of")

Present = Callable[[], Sequence[Announcement]]


class NobodyAnswersError(Exception):
    """Why no worker has answered, for people."""


class Crew:
    """Asks workers over HTTP while it is entered (``async with``); ``present`` says which there are."""

    def __init__(self, present: Present) -> None:
        self._present = present

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    def addresses(self) -> list[str]:
        """Of those that serve a port."""
        return [one.url for one in self._present() if one.url is not None]

    async def customer(self, customer: str) -> Json | None:
        """What the owning worker says of a customer; None when it knows nobody of that id.

        Raises ``NobodyAnswersError``.
        """
        addresses, why = self._some_addresses(), ""
        for address in addresses[:_TRIED]:
            try:
                status, answer = await self._ask("GET", address + path_of(customer), _CUSTOMER_WITHIN_S)
            except NobodyAnswersError as error:
                why = str(error)
                continue
            if status == 200:
                return answer
            if status == 404 and answer.get("error") in ("unknown_customer", "erased_customer"):
                return None
            why = str(answer.get("message", f"{address} answers with status {status}"))
        raise NobodyAnswersError(why)

    async def preview(self, text: bytes) -> tuple[list[Json], list[str]]:
        """What each worker says of a draft, and why some do not. Raises ``NobodyAnswersError`` where none does."""
        asked = [
            self._ask("POST", f"{address}/v1/preview", _PREVIEW_WITHIN_S, text) for address in self._some_addresses()
        ]
        found: list[Json] = []
        wrong: list[str] = []
        for one in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(one, NobodyAnswersError):
                wrong.append(str(one))
            elif isinstance(one, BaseException):
                raise one
            elif one[0] == 200:
                found.append(one[1])
            else:
                wrong.append(str(one[1].get("message", f"a worker answers with status {one[0]}")))
        without_port = sum(one.url is None for one in self._present())
        if without_port:
            wrong.append(f"{without_port} of the workers run without --port, and can't be asked")
        if not found:
            raise NobodyAnswersError("; ".join(wrong))
        return found, wrong

    def _some_addresses(self) -> list[str]:
        addresses = self.addresses()
        if addresses:
            return addresses
        if self._present():
            raise NobodyAnswersError("all workers run without --port: there is nobody to ask")
        raise NobodyAnswersError("no worker has announced itself lately: is one running?")

    async def _ask(self, method: str, url: str, within_s: float, body: bytes | None = None) -> tuple[int, Json]:
        timeout = aiohttp.ClientTimeout(total=within_s, sock_connect=_CONNECTED_WITHIN_S)
        headers = {} if body is None else {"Content-Type": "text/yaml; charset=utf-8"}
        request = self._session.request(
            method, URL(url, encoded=True), data=body, headers=headers, timeout=timeout, allow_redirects=False
        )
        try:
            async with request as answer:
                found: Any = msgspec.json.decode(await _all(answer))
        except TimeoutError as error:
            raise NobodyAnswersError(f"the worker at {_origin(url)} has not answered within {within_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NobodyAnswersError(f"the worker at {_origin(url)} can't be asked: {error}") from error
        if not isinstance(found, dict):
            raise NobodyAnswersError(f"what answers at {_origin(url)} is no worker")
        return answer.status, found


async def _all(answer: aiohttp.ClientResponse) -> bytes:
    """The body; ``ValueError`` when it is larger than any answer of a worker."""
    parts, size = [], 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > _ANSWER_BYTES_MAX:
            raise ValueError("the answer is too large")
        parts.append(part)
    return b"".join(parts)


def _origin(url: str) -> str:
    return str(URL(url, encoded=True).origin())


def added_up(previews: Sequence[Json]) -> list[Json]:
    """The segments of a draft over all workers. ``before`` is null for a name that is new."""
    found: dict[str, Json] = {}
    for preview in previews:
        for one in preview["segments"]:
            into = found.setdefault(one["name"], {**one, **dict.fromkeys(_ADDED, 0), "before": None, "sample": []})
            for name in _ADDED:
                into[name] += one[name]
            if one["before"] is not None:
                into["before"] = (into["before"] or 0) + one["before"]
            into["sample"] = (into["sample"] + one["sample"])[:_SAMPLE]
            into["without_history"] = sorted({*into["without_history"], *one["without_history"]})
    return list(found.values())
