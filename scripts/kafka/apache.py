"""Apache Kafka itself, one node in KRaft mode, for tests and benchmarks. It takes a JDK and Maven.

``python -m scripts.kafka.apache`` runs one until Ctrl-C. Its jars come through Maven, with Maven's own settings, the
first time; they are kept in ``$SEGSTREAM_KAFKA_CACHE``, which is ``segstream/kafka`` in the user's cache folder by
default.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import string
import subprocess
import sys
import tempfile
from pathlib import Path

from stream.brokers.process import HOST, BrokerProcess, serve
from stream.errors import BrokerStartError

_HERE = Path(__file__).parent
_JAVA_OPTIONS = ("-Xms256m", "-Xmx512m", "-XX:+UseG1GC")


class ApacheKafka(BrokerProcess):
    """A broker that keeps its data in its directory: after `kill` and `start` all that it acknowledged is there."""

    ports_needed = 2  # the broker's and the controller's

    def prepare(self, ports: tuple[int, ...]) -> None:
        data = self.directory / "data"
        shutil.rmtree(data, ignore_errors=True)
        broker_port, controller_port = ports
        template = string.Template((_HERE / "server.properties").read_text(encoding="utf-8"))
        settings = template.substitute(
            host=HOST, broker_port=broker_port, controller_port=controller_port, directory=data
        )
        self._settings.write_text(settings, encoding="utf-8")
        tool = ["kafka.tools.StorageTool", "format", "--standalone", "-t", self.cluster_id]
        done = subprocess.run([*_java(), *tool, "-c", str(self._settings)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BrokerStartError(f"Apache Kafka can't prepare {self.directory}:\n{done.stdout}{done.stderr}")

    def command(self, ports: tuple[int, ...]) -> list[str]:  # noqa: ARG002 (they stand in the settings)
        return [*_java(), *_JAVA_OPTIONS, "kafka.Kafka", str(self._settings)]

    @property
    def _settings(self) -> Path:
        return self.directory / "server.properties"


def missing_programs() -> list[str]:
    """What it needs and is not installed."""
    return [program for program in ("java", "mvn") if shutil.which(program) is None]


def jars() -> Path:
    """The folder with Kafka's jars; they are fetched when they are not there yet."""
    pom = _HERE / "pom.xml"
    folder = _cache() / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Whoever fetches them at the same time does so in a folder of his own; the last step can't be seen half done.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as temporary:
        fetched = Path(temporary) / "jars"
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"]
        done = subprocess.run(["mvn", "-q", "-B", "-f", str(pom), *goal], capture_output=True, text=True, check=False)
        if done.returncode or not fetched.is_dir():
            raise BrokerStartError(f"Maven can't fetch Apache Kafka:\n{done.stdout}{done.stderr}")
        try:
            fetched.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    return folder


def _cache() -> Path:
    own = os.environ.get("SEGSTREAM_KAFKA_CACHE")
    if own:
        return Path(own)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "segstream" / "kafka"


def _java() -> list[str]:
    log_settings = f"-Dlog4j2.configurationFile={_HERE / 'log4j2.properties'}"
    return ["java", "-server", log_settings, "-cp", str(jars() / "*")]


if __name__ == "__main__":
    if missing := missing_programs():
        sys.exit(f"not installed: {' and '.join(missing)}")
    serve(ApacheKafka())
