"""How the engine's functions are compiled: on first use, and kept on disk for later starts.

``NUMBA_DISABLE_JIT=1`` runs all of it as plain Python, slowly, for debuggers and coverage.

Counting references to arrays is atomic, and done at every call and view: it took most of the kernel's time. So compiled
code makes no views of arrays in its loops, and the entry points hand on arrays that are not counted (``unowned``).
Doubles in a row of words are read by their bits.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from llvmlite import ir
from numba import config, float64, int64, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

Function = TypeVar("Function", bound=Callable[..., Any])


def _cache_directory() -> str | None:
    """A writable folder for compiled code, named after all the sources it depends on; None when there is none.

    Numba looks only at the file that a function is in. The kernel is spread over several, and knows constants of
    others: without a name of its own, code that is out of date would go on running after an update.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted([*here.glob("*.py"), here.parent / "contract.py"]):
        digest.update(source.read_bytes())
    name = f"kernel-{digest.hexdigest()[:16]}"
    for base in _cache_bases(here):
        try:
            (base / name).mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(base / name, os.W_OK):
            return str(base / name)
    return None


def _cache_bases(here: Path) -> Iterator[Path]:
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR)
    yield here / "__pycache__"
    yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segstream"


_CACHE = None if config.DISABLE_JIT else _cache_directory()


def _decorate(function: Function, **options: Any) -> Function:
    before, config.CACHE_DIR = config.CACHE_DIR, _CACHE or config.CACHE_DIR
    try:
        return njit(cache=_CACHE is not None, nogil=True, **options)(function)
    finally:
        config.CACHE_DIR = before


def compiled(function: Function) -> Function:
    """For functions that Python calls. The GIL is free while they run, so fetching and sending go on meanwhile."""
    return _decorate(function)


def inner(function: Function) -> Function:
    """For functions that only compiled ones call: without the wrappers for Python they compile in half the time."""
    return _decorate(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def inlined(function: Function) -> Function:
    """For functions that are called in one place, or are tiny: a call hands on each array as seven numbers."""
    return _decorate(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)


if config.DISABLE_JIT:

    def as_float(word: int) -> float:
        """The double that has the bits of ``word``."""
        return float(struct.unpack("<d", struct.pack("<q", word))[0])

    def as_word(number: float) -> int:
        """The bits of a double."""
        return int(struct.unpack("<q", struct.pack("<d", number))[0])

    def unowned(array: Any) -> Any:
        """The same array; compiled, one whose references are not counted."""
        return array

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

    @intrinsic
    def unowned(context: Any, array: Any) -> Any:
        """The same array, but its references are not counted. Whoever called must hold the array meanwhile."""
        if not isinstance(array, types.Array):
            raise TypeError(f"not an array: {array}")

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            owned = make_array(array)(context, builder, arguments[0])
            bare = make_array(array)(context, builder)
            cgutils.copy_struct(bare, owned)
            bare.meminfo = cgutils.get_null_value(bare.meminfo.type)
            bare.parent = cgutils.get_null_value(bare.parent.type)
            return bare._getvalue()

        return array(array), generate
