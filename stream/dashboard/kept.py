"""Answers that many ask for at once, and that may be a moment old."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """What ``make`` gives for each key, made again when it is older than ``for_s``; a failure is not kept.

    Who asks while it is being made waits for the same one.
    """

    def __init__(
        self,
        make: Callable[[K], Awaitable[V]],
        for_s: float,
        at_most: int = 1_000,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._for_s = for_s
        self._at_most = at_most
        self._now = now
        self._made: OrderedDict[K, tuple[float, asyncio.Task[V]]] = OrderedDict()

    async def get(self, key: K) -> V:
        """Raises what ``make`` raises."""
        found = self._made.get(key)
        if found is None or found[0] + self._for_s < self._now() or _has_failed(found[1]):
            task = asyncio.ensure_future(self._make(key))
            found = self._now(), task
            self._made[key] = found
            self._made.move_to_end(key)
            while len(self._made) > self._at_most:
                self._made.popitem(last=False)
        # Whoever leaves takes the answer from nobody else.
        return await asyncio.shield(found[1])


def _has_failed(task: asyncio.Task[V]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
