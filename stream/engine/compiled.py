"""How the engine's functions are compiled: on first use, and kept on disk for later starts.

``NUMBA_DISABLE_JIT=1`` runs all of it as plain Python, slowly, for debuggers and coverage.

Compiled code takes plain arrays and numbers, and makes no views of arrays: each view costs two atomic counts of
references, which is more than most of what is done with it. Doubles in a row of words are read by their bits.
"""

from __future__ import annotations

import struct
from typing import Any

from llvmlite import ir
from numba import config, float64, int64, njit
from numba.extending import intrinsic

#: For functions that Python calls. The GIL is free while they run, so fetching and sending go on meanwhile.
compiled = njit(cache=True, nogil=True)

#: For functions that only compiled ones call: without the wrappers for Python they compile in half the time.
inner = njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)

if config.DISABLE_JIT:

    def as_float(word: int) -> float:
        """The double that has the bits of ``word``."""
        return float(struct.unpack("<d", struct.pack("<q", word))[0])

    def as_word(number: float) -> int:
        """The bits of a double."""
        return int(struct.unpack("<q", struct.pack("<d", number))[0])

else:

    @intrinsic
    def _as_float(context: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], ir.DoubleType())

        return float64(int64), generate

    @intrinsic
    def _as_word(context: Any, number: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], ir.IntType(64))

        return int64(float64), generate

    @inner
    def as_float(word: int) -> float:
        """The double that has the bits of ``word``."""
        return _as_float(word)

    @inner
    def as_word(number: float) -> int:
        """The bits of a double."""
        return _as_word(number)
