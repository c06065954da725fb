"""``segstream dashboard``: pages for people and an API for programs, over Redis and what the workers tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from stream.cli import EXIT_CONFIG, Failure
from stream.commands.broker_options import broker_option, run
from stream.commands.definitions import checked_file, meant
from stream.commands.parameter_types import Share
from stream.commands.redis_options import redis_option, redis_prefix_option
from stream.commands.service import log_to_stderr

if TYPE_CHECKING:
    from stream.dashboard.catalogue import Catalogue

#: Shorter ones can be guessed.
_TOKEN_MIN = 16


class TimeZone(click.ParamType):
    """A zone of the IANA's data base."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        if isinstance(value, ZoneInfo):
            return value
        try:
            return ZoneInfo(value)
        except (ValueError, OSError, LookupError):
            self.fail(f"{value!r} is not a time zone such as Europe/Berlin or UTC", param, ctx)


@click.command()
@click.argument("definitions", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@broker_option
@redis_option
@redis_prefix_option
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    metavar="N",
    default=8080,
    show_default=True,
    show_envvar=True,
    help="Where it listens; 0 takes a free port.",
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    show_envvar=True,
    help="The address it listens at; 0.0.0.0 stands for all. Others than this machine's own need a token.",
)
@click.option(
    "--token",
    metavar="TEXT",
    hide_input=True,
    envvar="SEGSTREAM_TOKEN",
    show_envvar=True,
    help="Who asks must know it. Default: nobody has to know anything.",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    envvar="SEGSTREAM_TOKEN_FILE",
    show_envvar=True,
    help="A file that holds the token.",
)
@click.option(
    "--open",
    "is_open",
    is_flag=True,
    envvar="SEGSTREAM_DASHBOARD_OPEN",
    show_envvar=True,
    help="Let others than this machine ask without token.",
)
@click.option(
    "--allow-host",
    metavar="NAME",
    multiple=True,
    show_envvar=True,
    help="A further name under which browsers find it, as behind a proxy. May be repeated.",
)
@click.option(
    "--time-zone",
    type=TimeZone(),
    metavar="ZONE",
    default="UTC",
    show_default=True,
    show_envvar=True,
    help="The shop's time zone: pages show times in it.",
)
@click.option(
    "--alert-share",
    type=Share(),
    metavar="SHARE",
    default="30%",
    show_default=True,
    show_envvar=True,
    help="Mark segments whose size changed by more within 24 hours.",
)
def dashboard(
    *,
    definitions: Path | None,
    broker: str,
    redis_url: str,
    redis_prefix: str,
    port: int,
    host: str,
    token: str | None,
    token_file: Path | None,
    is_open: bool,
    allow_host: tuple[str, ...],
    time_zone: ZoneInfo,
    alert_share: float,
) -> None:
    """Serve pages that show segments live, and an API for programs.

    It reads Redis, which `segstream sink redis` fills, and listens to the workers; it changes nothing. DEFINITIONS is
    the file that the workers have; without it segments have no words. SIGTERM or Ctrl-C ends it. Exit 64 for what has
    to be put right first.
    """
    from stream.dashboard.app import Access
    from stream.dashboard.security import is_loopback
    from stream.dashboard.server import Options
    from stream.dashboard.server import run as serve

    token = _token(token, token_file)
    if token is None and not is_open and not is_loopback(host):
        raise click.UsageError(
            f"--host {host} lets others than this machine ask: give a --token (or --token-file), or --open"
        )
    catalogue = _catalogue(definitions, time_zone)
    log_to_stderr()
    options = Options(
        broker=broker,
        redis=redis_url,
        prefix=redis_prefix,
        port=port,
        access=Access(token, host, allow_host),
        alert_share=alert_share,
    )
    run(serve(catalogue, options, lambda url: click.echo(f"the dashboard is at {url}")))


def _token(token: str | None, file: Path | None) -> str | None:
    if token is not None and file is not None:
        raise click.UsageError("--token and --token-file exclude each other")
    if file is not None:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Failure(f"{file}: can't be read: {error}", EXIT_CONFIG) from error
    if token is None:
        return None
    if len(token) < _TOKEN_MIN:
        raise Failure(
            f"the token has {len(token)} characters, and needs {_TOKEN_MIN} or more: "
            "`python -c 'import secrets; print(secrets.token_urlsafe())'` makes one",
            EXIT_CONFIG,
        )
    return token


def _catalogue(definitions: Path | None, zone: ZoneInfo) -> Catalogue:
    from stream.dashboard.catalogue import Catalogue

    if definitions is None:
        return Catalogue.of(None, "", zone)
    return Catalogue.of(meant(checked_file(definitions)), definitions.read_text(encoding="utf-8"), zone)
