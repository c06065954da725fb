"""Why a request gets no answer, as it is said: a code for programs, a reason for people."""

from __future__ import annotations

import msgspec
from aiohttp import web


class RefusedError(Exception):
    """There is no answer; ``status`` is that of HTTP."""

    def __init__(self, status: int, code: str, reason: str, *, retry_after_s: int | None = None) -> None:
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s
        super().__init__(reason)

    def response(self) -> web.Response:
        headers = {"Cache-Control": "no-store"}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        body = msgspec.json.encode({"error": self.code, "message": str(self)})
        return web.Response(body=body, status=self.status, headers=headers, content_type="application/json")
