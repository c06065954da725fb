"""The machine's own Chromium, for tests and screenshots; Playwright drives it, and downloads none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

#: Names that browsers of this family have on PATH.
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SETTING = "SEGSTREAM_CHROMIUM"
HOW_TO_GET_IT = (
    f"no Chromium here: install one (Debian, Ubuntu: `apt-get install chromium`), or say where it is with {SETTING}"
)


def find_chromium() -> str | None:
    """The path of the browser; None where there is none."""
    named = os.environ.get(SETTING)
    if named:
        return named if Path(named).is_file() else None
    return next((found for found in map(shutil.which, _NAMES) if found), None)


def launch_arguments() -> list[str]:
    """Root has no sandbox, and containers have little shared memory."""
    return ["--no-sandbox", "--disable-dev-shm-usage"] if os.geteuid() == 0 else ["--disable-dev-shm-usage"]
