"""Where the workers of a group answer: what each tells the others, by way of the group's assignments.

Faust hands each member's URL to all others, with the partitions it has. Two workers may tell the same URL, by mistake
or because they stand behind one address, so a token goes with it that nobody else has.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stream.web_server import url_of

#: Faust takes nothing but a URL; one under ``invalid`` never leads anywhere (RFC 2606).
_NOWHERE = "http://no-port.invalid"

#: A server that listens here does so at all addresses of its machine.
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104

#: What the assignor knows: by URL, the partitions of each topic.
Distribution = Mapping[str, Mapping[str, Sequence[int]]]


@dataclass(frozen=True)
class Address:
    """Of one worker. ``url`` has no slash at its end; None: it serves no port."""

    url: str | None
    token: str

    def __str__(self) -> str:
        """As it is told.

        >>> str(Address("http://10.0.0.7:6066", "t1")), str(Address(None, "t2"))
        ('http://10.0.0.7:6066/#t1', 'http://no-port.invalid/#t2')
        """
        return f"{self.url or _NOWHERE}/#{self.token}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """What another worker tells.

        >>> Address.parse("http://10.0.0.7:6066/#t1")
        Address(url='http://10.0.0.7:6066', token='t1')
        """
        url, _, token = text.partition("#")
        url = url.rstrip("/")
        return cls(None if url == _NOWHERE else url, token)


def owner_of(distribution: Distribution, topic: str, partition: int) -> Address | None:
    """The worker to which the group has given a partition of a topic; None where nobody is known to have it."""
    for text, topics in distribution.items():
        if partition in topics.get(topic, ()):
            return Address.parse(text)
    return None


def told_url(host: str, port: int) -> str:
    """The URL of a server for other machines: one that listens at all addresses is found by the machine's name."""
    return url_of(socket.gethostname() if host in _EVERYWHERE else host, port)
