"""What is asked of a partition while its owner works: answered between two steps, when its rows stand still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from stream.worker.owner import Owner

T = TypeVar("T")


class NotNowError(Exception):
    """The partition can't be asked now; ``code`` says why to programs, ``str()`` to people."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(reason)


class Questions:
    """Those of one partition that wait for the end of a step."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[Owner], Any], asyncio.Future[Any]]] = []

    def put(self, question: Callable[[Owner], T]) -> asyncio.Future[T]:
        """What ``question`` will give. It must change nothing, and be quick."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        return answer

    def answer(self, owner: Owner) -> None:
        """Answers all that wait; nobody may be in the middle of a step."""
        for question, answer in self._taken():
            try:
                answer.set_result(question(owner))
            except Exception as error:  # noqa: BLE001 (it is for whoever asked)
                answer.set_exception(error)

    def refuse(self, code: str, reason: str) -> None:
        """Says no to all that wait."""
        for _, answer in self._taken():
            answer.set_exception(NotNowError(code, reason))

    def _taken(self) -> list[tuple[Callable[[Owner], Any], asyncio.Future[Any]]]:
        """Those that wait; who has lost patience has cancelled the answer."""
        waiting, self._waiting = self._waiting, []
        return [one for one in waiting if not one[1].done()]
