"""An HTTP server on one port, for a process that also does other things."""

from __future__ import annotations

import errno
import socket

from aiohttp import web

from stream.errors import PortInUseError

#: What is served may tell of customers; so whoever wants it to be reached from elsewhere has to ask for it.
DEFAULT_HOST = "127.0.0.1"
#: Whoever is still being answered when the server stops has so long.
_STOPPED_WITHIN_S = 1.0


class WebServer:
    """Serves ``app``. ``port`` 0 takes a free one; ``url`` says which, once it has started."""

    def __init__(self, app: web.Application, port: int, *, host: str = DEFAULT_HOST) -> None:
        self._host = host
        self._port = port
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOPPED_WITHIN_S)

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._runner.addresses, "it has not been started"
        port: int = self._runner.addresses[0][1]
        return port

    @property
    def url(self) -> str:
        """Its address, as it was asked for; without a path."""
        return url_of(self._host, self.port)

    async def start(self) -> None:
        """Returns when it listens. Raises ``PortInUseError`` when it can't."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise PortInUseError(
                    f"{self._host} is no address of this machine: --host names another; 0.0.0.0 stands for all"
                ) from error
            if error.errno == errno.EADDRINUSE:
                reason = "is taken by another process"
            elif error.errno == errno.EACCES:
                reason = "may not be listened at: ports below 1024 are for the administrator"
            else:
                reason = f"can't be listened at: {error.strerror}"
            raise PortInUseError(
                f"port {self._port} at {self._host} {reason}: --port names another, and 0 takes a free one"
            ) from error

    async def stop(self) -> None:
        await self._runner.cleanup()


def url_of(host: str, port: int) -> str:
    """The URL of a host, which may be an address of IPv6.

    >>> url_of("::1", 6066)
    'http://[::1]:6066'
    """
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
