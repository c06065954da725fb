"""Who may ask: programs with the token in each request, people with a session that the login page gives them."""

from __future__ import annotations

import hashlib
import hmac
import html
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import quote

from aiohttp import web

from stream.dashboard.refusals import RefusedError
from stream.dashboard.security import check_origin

COOKIE = "segstream_session"
_SESSION_S = 12 * 3_600
_SESSIONS_MAX = 10_000
#: So many wrong tokens from one address within so long; then it has to wait.
_ATTEMPTS_MAX = 10
_ATTEMPTS_WITHIN_S = 300
_ADDRESSES_MAX = 10_000

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in - segstream</title>
<link rel="stylesheet" href="/static/login.css">
</head>
<body>
<main>
<h1>segstream</h1>
<form method="post" action="/login">
{message}<input type="hidden" name="next" value="{next}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Log in</button>
</form>
</main>
</body>
</html>
"""


class Sessions:
    """Those who are logged in, in memory: a restart logs everybody out. The oldest go when there are too many."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._ends: OrderedDict[str, float] = OrderedDict()

    def begin(self) -> str:
        """A new session: what its cookie holds."""
        session = secrets.token_urlsafe(32)
        self._ends[_key(session)] = self._now() + _SESSION_S
        while len(self._ends) > _SESSIONS_MAX:
            self._ends.popitem(last=False)
        return session

    def is_open(self, session: str) -> bool:
        ends = self._ends.get(_key(session))
        return ends is not None and ends > self._now()

    def end(self, session: str) -> None:
        self._ends.pop(_key(session), None)


def _key(session: str) -> str:
    """Looked up by its hash, so that the time that takes says nothing of the sessions there are."""
    return hashlib.sha256(session.encode("utf-8", "replace")).hexdigest()


class Attempts:
    """How often each address has been wrong lately."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """So long the address has to wait; 0: not at all."""
        recent = self._recent(address)
        return 0 if len(recent) < _ATTEMPTS_MAX else int(recent[0] + _ATTEMPTS_WITHIN_S - self._now()) + 1

    def was_wrong(self, address: str) -> None:
        self._wrong[address] = [*self._recent(address), self._now()]
        self._wrong.move_to_end(address)
        while len(self._wrong) > _ADDRESSES_MAX:
            self._wrong.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since = self._now() - _ATTEMPTS_WITHIN_S
        return [at for at in self._wrong.get(address, ()) if at > since]


class Login:
    """The token's keeper. Without a token everybody may ask."""

    def __init__(self, token: str | None) -> None:
        self._digest = None if token is None else _digest(token)
        self._sessions = Sessions()
        self._attempts = Attempts()

    @property
    def is_needed(self) -> bool:
        return self._digest is not None

    def admits(self, request: web.Request) -> bool:
        if self._digest is None:
            return True
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_right(token.strip()):
            return True
        session = request.cookies.get(COOKIE)
        return session is not None and self._sessions.is_open(session)

    async def page(self, request: web.Request) -> web.Response:
        """``GET /login``."""
        following = _within(request.query.get("next", "/"))
        if self.admits(request):
            raise web.HTTPSeeOther(following)
        return _page(following)

    async def log_in(self, request: web.Request) -> web.Response:
        """``POST /login``: the form."""
        check_origin(request)
        form = await request.post()
        following = _within(str(form.get("next", "/")))
        address = request.remote or ""
        wait_s = self._attempts.wait_s(address)
        if wait_s:
            return _page(following, f"Too many attempts. Try again in {wait_s} s.", 429, wait_s)
        if not self._is_right(str(form.get("token", "")).strip()):
            self._attempts.was_wrong(address)
            return _page(following, "This is not the token.", 403)
        answer = web.HTTPSeeOther(following)
        is_secure = request.secure or request.headers.get("X-Forwarded-Proto") == "https"
        answer.set_cookie(
            COOKIE, self._sessions.begin(), max_age=_SESSION_S, httponly=True, samesite="Strict", secure=is_secure
        )
        raise answer

    async def log_out(self, request: web.Request) -> web.Response:
        """``POST /logout``."""
        check_origin(request)
        self._sessions.end(request.cookies.get(COOKIE, ""))
        answer = web.HTTPSeeOther("/login")
        answer.del_cookie(COOKIE)
        raise answer

    def refuse(self, request: web.Request) -> web.Response:
        """The answer to whoever is not admitted: pages lead to the login."""
        if request.path.startswith("/v1/"):
            response = RefusedError(401, "token_needed", "send the token as `Authorization: Bearer TOKEN`").response()
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        return web.Response(status=303, headers={"Location": f"/login?next={quote(request.raw_path, safe='')}"})

    def _is_right(self, token: str) -> bool:
        return self._digest is None or hmac.compare_digest(_digest(token), self._digest)


def _digest(token: str) -> bytes:
    """Of equal length for all tokens, so that comparing takes the same time whatever was sent."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _within(path: str) -> str:
    """The path if it leads nowhere but to this server, else the start.

    >>> _within("/segments/lapsed"), _within("//evil.example"), _within("https://evil.example")
    ('/segments/lapsed', '/', '/')
    """
    is_ours = path.isascii() and path.isprintable() and path[:1] == "/" and path[1:2] not in ("/", "\\")
    return path if is_ours else "/"


def _page(following: str, message: str = "", status: int = 200, retry_after_s: int = 0) -> web.Response:
    shown = f'<p role="alert">{html.escape(message)}</p>\n' if message else ""
    headers = {"Cache-Control": "no-store", **({"Retry-After": str(retry_after_s)} if retry_after_s else {})}
    text = _PAGE.format(message=shown, next=html.escape(following))
    return web.Response(text=text, status=status, headers=headers, content_type="text/html")
