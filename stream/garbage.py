"""When Python looks for garbage in cycles. Everything else is freed at once, by counting references."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_OBJECTS_UNTIL_LOOKED = 100_000


def collect_rarely() -> None:
    """For a service that has started: all there is stays, and what comes is seldom looked through.

    Records and requests come by the thousand, and next to none is in a cycle. Looking through all of them at every 700
    objects took a fifteenth of a worker's time, and kept requests to a dashboard waiting for 20 to 40 ms now and then.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_UNTIL_LOOKED, 20, 100)


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Nothing is looked through meanwhile: while numba compiles, that takes a tenth of the time for next to nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
