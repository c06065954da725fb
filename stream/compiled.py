"""How the engine's functions are compiled: on first use, and kept on disk for later starts.

``NUMBA_DISABLE_JIT=1`` runs all of it as plain Python, slowly, for debuggers and coverage.

References to arrays are not counted (``_nrt``): the counts are atomic, there is one at every call and view, and they
took most of the kernel's time. The price: compiled code makes no arrays, and whoever calls it holds those it is given.
Each array is handed on as seven numbers, so functions take few of them: a plan, a row and the working memory are one
array of words each, and doubles in them are read by their bits.

The compiler works at its second level: it takes a function through all its steps again with each that calls it, and
what the third level makes of that is slower.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import config as numba_config
from numba import float64, int64, njit, void
from numba.core import cgutils
from numba.extending import intrinsic

config: Any = numba_config
config.OPT = type(config.OPT)(2)
Function = TypeVar("Function", bound=Callable[..., Any])


@functools.cache
def sources_digest() -> str:
    """A hash of all the sources that compiled code, and the rows it works on, depend on."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted([*here.glob("*.py"), *here.glob("engine/*.py"), *here.glob("events/*.py")]):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _cache_directory() -> str | None:
    """A writable folder for compiled code, named after all the sources it depends on; None when there is none.

    Numba looks only at the file that a function is in. The kernel is spread over several, and knows constants of
    others: without a name of its own, code that is out of date would go on running after an update.
    """
    name = f"kernel-{sources_digest()}"
    for base in _cache_bases(Path(__file__).parent):
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
        # With the errors of NumPy a division is not checked; the kernel divides by sizes, or asks first.
        decorator: Any = njit
        made: Function = decorator(cache=_CACHE is not None, nogil=True, error_model="numpy", _nrt=False, **options)(
            function
        )
    finally:
        config.CACHE_DIR = before
    return made


def compiled(function: Function) -> Function:
    """For functions that Python calls. The GIL is free while they run, so fetching and sending go on meanwhile."""
    return _decorate(function)


def inner(function: Function) -> Function:
    """For functions that only compiled ones call: without the wrappers for Python they compile in half the time."""
    return _decorate(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def pasted(function: Function) -> Function:
    """For functions that are called in one place, or are tiny: their code stands in the caller's before it is compiled.

    The compiler takes each function through all its steps again with all that it calls, so fewer functions are quicker.
    """
    return _decorate(function, inline="always")


def fused(function: Function) -> Function:
    """For large functions on the hottest way: compiled by themselves, and then made a part of each caller."""
    return _decorate(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)


if config.DISABLE_JIT:

    def as_float(word: int) -> float:
        """The double that has the bits of ``word``."""
        return float(struct.unpack("<d", struct.pack("<q", word))[0])

    def as_word(number: float) -> int:
        """The bits of a double."""
        return int(struct.unpack("<q", struct.pack("<d", number))[0])

    def power(base: float, exponent: float) -> float:
        """``base ** exponent`` of positive doubles; infinity where no double is large enough."""
        try:
            return math.pow(base, exponent)
        except OverflowError:
            return math.inf

    def prefetch(words: npt.NDArray[np.int64], at: int) -> None:
        """Begins to fetch the line of memory with ``words[at]``, which is going to be read or written."""

else:
    as_intrinsic: Any = intrinsic

    @as_intrinsic
    def _as_float(context: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], ir.DoubleType())

        return float64(int64), generate

    @as_intrinsic
    def _as_word(context: Any, number: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], ir.IntType(64))

        return int64(float64), generate

    @as_intrinsic
    def prefetch(context: Any, words: Any, at: Any) -> Any:
        """Begins to fetch the line of memory with ``words[at]``, which is going to be read or written."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
            type_ = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
            function: Any = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
                builder.module, type_, "llvm.prefetch.p0"
            )
            place = builder.bitcast(builder.gep(array.data, [arguments[1]]), byte)
            # To be written, to stay in all caches, data.
            builder.call(function, [place, number(1), number(3), number(1)])
            return context.get_dummy_value()

        return void(words, int64), generate

    @inner
    def as_float(word: int) -> float:
        """The double that has the bits of ``word``."""
        return _as_float(word)

    @inner
    def as_word(number: float) -> int:
        """The bits of a double."""
        return _as_word(number)

    @pasted
    def power(base: float, exponent: float) -> float:
        """``base ** exponent`` of positive doubles; infinity where no double is large enough."""
        return math.pow(base, exponent)
