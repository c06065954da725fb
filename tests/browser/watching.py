"""What a page must never do: errors in the console, breaches of its security policy, dialogs, requests elsewhere."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Dialog, Error, Page, Request

_OWN_HOST = "127.0.0.1"


class Watch:
    """Follows pages, and fails when one of them complained about anything that was not allowed."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self._allowed: list[str] = []

    def allow(self, pattern: str) -> None:
        """Complaints in which this is found are part of what the test does."""
        self._allowed.append(pattern)

    def follow(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", self._error)
        page.on("dialog", self._dialog)
        page.on("request", self._request)

    def check(self) -> None:
        found = [one for one in self.complaints if not any(re.search(pattern, one) for pattern in self._allowed)]
        assert not found, found

    def _console(self, message: ConsoleMessage) -> None:
        # Breaches of the security policy are told here too.
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text}")

    def _error(self, error: Error) -> None:
        self.complaints.append(f"error: {error}")

    def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data" and parts.hostname != _OWN_HOST:
            self.complaints.append(f"request: {request.url}")
