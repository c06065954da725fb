"""The versions of the personas that a worker knows: each is an input to every partition, like an event."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable

from stream.engine.centres import Centres

#: Whoever has not used the turn for so long has lost it.
_TURN_MS = 100


class Models:
    """The versions that fit the definitions, by their numbers. Whoever follows the topic adds them as they come.

    Owners that share them take turns in applying one to their customers, so that events wait for one of them only.
    """

    def __init__(self, versions: Iterable[Centres] = ()) -> None:
        self._versions: list[Centres] = []
        self._turn: tuple[object, int] | None = None
        for version in versions:
            self.add(version)

    def add(self, version: Centres) -> None:
        """Takes a version; one of that number that is there already stays."""
        last = self.at(version.version)
        if last is None or last.version < version.version:
            insort(self._versions, version, key=_number)

    def at(self, number: int) -> Centres | None:
        """The latest one up to this number: what rows that have seen it are assigned by."""
        place = bisect_right(self._versions, number, key=_number)
        return self._versions[place - 1] if place else None

    def after(self, number: int) -> Centres | None:
        """The next one after this number."""
        place = bisect_right(self._versions, number, key=_number)
        return self._versions[place] if place < len(self._versions) else None

    def take_turn(self, who: object, now_ms: int) -> bool:
        """Whether it is somebody's turn, by a clock that goes on steadily."""
        if self._turn is not None and self._turn[0] is not who and now_ms < self._turn[1]:
            return False
        self._turn = who, now_ms + _TURN_MS
        return True

    def end_turn(self, who: object) -> None:
        """It is anybody's turn, if it was theirs."""
        if self._turn is not None and self._turn[0] is who:
            self._turn = None


def _number(model: Centres) -> int:
    return model.version
