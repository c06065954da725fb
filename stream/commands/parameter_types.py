"""What options take besides texts, numbers and paths: instants, counts, shares and addresses."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import click


class Instant(click.ParamType):
    """An instant: RFC 3339 text, or milliseconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from stream.instants import parse_time

        if isinstance(value, int):
            return value
        try:
            return parse_time(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class Count(click.ParamType):
    """A whole number above zero; 1k, 20M and 1_000 pass too."""

    name = "n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = value.replace("_", "").replace(",", "")
        scale = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower(), 1)
        digits = text[:-1] if scale > 1 else text
        # No count has as many digits as int() refuses in another way.
        if not digits.isascii() or not digits.isdigit() or len(digits) > 100 or int(digits) == 0:
            self.fail(f"{value!r} is not a whole number above zero (such as 5000, 20k or 1M)", param, ctx)
        return int(digits) * scale


class Share(click.ParamType):
    """A share from 0 to 1; 5% passes too."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        share = -1.0
        with contextlib.suppress(ValueError):
            share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is not a share from 0 to 1 (such as 0.05 or 5%)", param, ctx)
        return share


class HttpUrl(click.ParamType):
    """The address of a server: scheme, host, mostly a port, and maybe a path that all others begin with."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from urllib.parse import urlsplit

        is_url = False
        with contextlib.suppress(ValueError):  # of a port, or an address of IPv6, that is none
            parts = urlsplit(value)
            is_plain = value.isascii() and value.isprintable() and not re.search(r"[ ?#@\\]", value)
            is_url = is_plain and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        if not is_url:
            self.fail(f"{value!r} is not an address such as http://10.0.0.7:6066", param, ctx)
        return str(value.rstrip("/"))


class Codec(click.ParamType):
    """A way to compress batches of records."""

    name = "codec"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from stream.kafka.compression import CODECS, is_available

        if value not in CODECS:
            self.fail(f"{value!r} is none of {', '.join(CODECS)}", param, ctx)
        if not is_available(value):
            self.fail(f"{value} takes the package cramjam: pip install cramjam", param, ctx)
        return str(value)
