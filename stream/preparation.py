"""Getting compiled code ready: from its cache, or by compiling it, which takes some seconds once a machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stream.compiled import is_kept
from stream.engine.partition import Partition
from stream.engine.plan import Plan
from stream.events.columns import Wanted
from stream.events.decoder import Decoder

#: Two parts of the code take long and need nothing of one another, so two processors share them.
_DECODER_ALONE = f"from {__name__} import prepare_decoder; prepare_decoder()"


def prepare(plan: Plan) -> None:
    """Loads all compiled code, or compiles it where it is not kept yet."""
    with _decoder_being_prepared():
        Partition(plan).prepare()
    prepare_decoder()


def prepare_decoder() -> None:
    """Loads what reads events, which is the same code for any definitions."""
    Decoder(Wanted({})).decode_mixed([])


@contextmanager
def _decoder_being_prepared() -> Iterator[None]:
    """Has another process compile the decoder meanwhile. Should it fail, nothing is kept, and this one compiles it."""
    if is_kept("event_scan.scan") or not sys.executable:
        yield
        return
    command = [sys.executable, "-c", _DECODER_ALONE]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        except BaseException:
            process.kill()
            raise
