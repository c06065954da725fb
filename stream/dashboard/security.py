"""What every answer carries and every request must pass, so that pages of others get nothing out of this one."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import web

from stream.dashboard.refusals import RefusedError

#: Nothing runs or loads but what we serve ourselves, and no other site shows our pages within its own.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # With no-referrer, browsers would send our own forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """For ``Application.on_response_prepare``."""
    response.headers.update(HEADERS)


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches that address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class HostCheck:
    """Refuses requests under names that are not ours.

    A page of another site can make its own name lead to this machine (DNS rebinding), and then read whatever is served
    here. It can do so with names only: addresses are let pass.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(name.lower() for name in allowed)
        self._seen: set[str] = set()

    def check(self, request: web.Request) -> None:
        """Raises ``RefusedError``."""
        host = request.headers.get("Host", "")
        if not self._is_ours(host):
            reason = f"{host[:100]!r} is no name of this dashboard: --allow-host adds one"
            raise RefusedError(421, "wrong_host", reason)

    def _is_ours(self, host: str) -> bool:
        if host in self._seen:
            return True
        is_ours = self._is_name_ours(host)
        if is_ours and len(self._seen) < 100:
            self._seen.add(host)
        return is_ours

    def _is_name_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name in self._allowed:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def check_origin(request: web.Request) -> None:
    """Raises ``RefusedError`` for what a page of another site sends. Programs send no ``Origin``."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower():
        raise RefusedError(403, "other_origin", "this was sent by a page of another site")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise RefusedError(403, "other_origin", "this was sent by a page of another site")
