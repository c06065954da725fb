"""What holds unless a command is told otherwise."""

from __future__ import annotations

BROKER = "127.0.0.1:9092"
#: Faust's app id, and with it the consumer group.
APP_ID = "segstream"
PARTITIONS = 8
REPLICATION = 1
