"""Which topic and which partition a line belongs to."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stream.contract import TOPICS, Kind
from stream.events.columns import KindColumns, Wanted
from stream.events.decoder import Decoder
from stream.kafka.partitioning import partition_of

#: Only what it takes to tell whether an event is valid.
WANTED = Wanted({kind: KindColumns() for kind in Kind}, event_ids=False, order_ids=False)

#: A longer line would not fit into its topic together with its key and what Kafka puts around it.
LINE_BYTES_MAX = 1_000_000
_KEY_LENGTH_MAX = 4_096
#: So many customers' partitions are remembered.
_CUSTOMERS_KEPT = 1 << 17

#: What msgspec raises for bytes: its own errors, text that is not UTF-8, nesting beyond Python's stack.
_REFUSED = (msgspec.MsgspecError, ValueError, RecursionError)

#: Of each topic's partitions, keys and values in the order of the lines.
Groups = dict[tuple[str, int], list[tuple[bytes, bytes]]]


@dataclass(frozen=True, slots=True)
class Unroutable:
    """A line, by its index, that has no place to go to, and why."""

    index: int
    reason: str


class Router:
    """Finds a line's topic by its ``type``, and its key and partition by its ``customer_id``.

    It does not ask whether the event is valid otherwise: that is for those who read the topics.
    """

    def __init__(self, partitions: int) -> None:
        self._decoder = Decoder(WANTED)

        @lru_cache(maxsize=_CUSTOMERS_KEPT)
        def place(topic: str, customer: str) -> tuple[bytes, tuple[str, int]]:
            key = customer.encode()
            return key, (topic, partition_of(key, partitions))

        self._place = place

    def route(self, lines: Sequence[bytes]) -> tuple[Groups, list[Unroutable]]:
        """The lines by where they go, and those that can't go anywhere."""
        unroutable: list[Unroutable] = []
        try:
            events: list[Any] = list(map(_decode, lines))
        except _REFUSED:
            events = [self._event(index, line, unroutable) for index, line in enumerate(lines)]
        groups: Groups = defaultdict(list)
        place = self._place
        for index, (line, event) in enumerate(zip(lines, events, strict=True)):
            if event is None:
                continue
            if len(line) > LINE_BYTES_MAX:
                reason = f"longer than {LINE_BYTES_MAX:,} bytes, which is all that a topic takes"
                unroutable.append(Unroutable(index, reason))
                continue
            key, where = place(event.topic, event.customer_id)
            groups[where].append((key, line))
        unroutable.sort(key=lambda one: one.index)
        return groups, unroutable

    def _event(self, index: int, line: bytes, unroutable: list[Unroutable]) -> Any:
        """What a single line says about its place; None, and the reason why, where it says nothing."""
        try:
            return _decode(line)
        except _REFUSED:
            pass
        # The contract lets more pass than this, such as a `type` given twice, and says better what is wrong.
        events, rejections = self._decoder.decode_mixed([line])
        if rejections:
            unroutable.append(Unroutable(index, rejections[0].reason))
            return None
        return _STRUCTS[Kind(int(events.kind[0]))](customer_id=json.loads(line)["customer_id"])


_STRUCTS: dict[Kind, type[msgspec.Struct]] = {
    kind: msgspec.defstruct(
        kind.name.title(),
        [("customer_id", Annotated[str, Meta(min_length=1, max_length=_KEY_LENGTH_MAX)])],
        tag_field="type",
        tag=kind.word,
        namespace={"topic": TOPICS[kind], "__annotations__": {}},
        gc=False,
        eq=False,
    )
    for kind in Kind
}
_decode = msgspec.json.Decoder(reduce(or_, _STRUCTS.values())).decode
