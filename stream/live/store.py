"""The table's store as Faust sees it: the rows are the owners', who restore them themselves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from faust.stores import STORES
from faust.stores.base import Store
from faust.types import TP, EventT

URL = "profiles://local"
#: Beyond any changelog's end: Faust has nothing left to read.
_ALL = 1 << 60


class ProfileStore(Store[Any, Any]):
    """Makes the changelog part of the assignment; holds nothing.

    An owner reads its changelog up to its own fence, so all of it counts as persisted for Faust, and Faust reads none.
    """

    logger = logging.getLogger("faust")

    def persisted_offset(self, tp: TP) -> int | None:  # noqa: ARG002
        return _ALL

    def reset_state(self) -> None:
        """There is no state."""

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]], *_: Callable[[Any], Any]) -> None:
        assert not list(batch), "Faust restores nothing"

    async def backup_partition(self, tp: TP | int, *args: Any, **options: Any) -> None:
        raise NotImplementedError("there is nothing on disk")

    def restore_backup(self, tp: TP | int, *args: Any, **options: Any) -> None:
        raise NotImplementedError("there is nothing on disk")


STORES.aliases["profiles"] = "stream.live.store:ProfileStore"
