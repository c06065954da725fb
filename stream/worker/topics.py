"""The topics that an owner reads."""

from __future__ import annotations

from stream.contract import TOPICS
from stream.kafka.topics import CUSTOMER_ERASURES

#: All with the same number of partitions.
SOURCES = (*TOPICS.values(), CUSTOMER_ERASURES)
