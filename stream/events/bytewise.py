"""Bytes of a batch's text, read eight at a time by compiled code. As plain Python it does the same, slowly.

A text here is a place and a size in an array of bytes that has `PADDING` bytes more at its end.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xxhash
from llvmlite import ir
from numba import float64, int64, uint64, void
from numba.core import cgutils
from numba.extending import intrinsic

from stream.compiled import config, inner

Bytes = npt.NDArray[np.uint8]

#: What may be read behind the end of a text.
PADDING: Final = 16

QUOTE: Final = 0x22
BACKSLASH: Final = 0x5C

#: `short_hash` knows texts of so many bytes at most.
SHORT: Final = 128


def frozen(data: Bytes) -> Bytes:
    """The array, which nobody writes to any more: compiled code is made for such arrays, or once more for both."""
    data.flags.writeable = False
    return data


if config.DISABLE_JIT:

    def copy_bytes(source: Bytes, start: int, size: int, target: Bytes, at: int) -> None:
        """Copies so many bytes from ``start`` to ``at`` of another array."""
        target[at : at + size] = source[start : start + size]

    def put_word(word: int, target: Bytes, at: int) -> None:
        """Writes the eight bytes of a signed integer, the lowest one first."""
        target[at : at + 8] = np.frombuffer(int(word).to_bytes(8, "little", signed=True), np.uint8)

    def byte_at(data: Bytes, at: int) -> int:
        """The byte at ``at``."""
        return int(data[at])

    def word_at(data: Bytes, at: int) -> int:
        """The eight bytes from ``at``, the first one lowest, as a signed integer."""
        return int.from_bytes(data[at : at + 8].tobytes(), "little", signed=True)

    def next_mark(data: Bytes, at: int) -> int:
        """The first place from ``at`` on with a quote, a backslash or a control character."""
        while data[at] >= 0x20 and data[at] != QUOTE and data[at] != BACKSLASH:
            at += 1
        return at

    def parsed_double(data: Bytes, at: int) -> float:
        """The JSON number at ``at``, correctly rounded; infinity where no double is large enough."""
        end = at
        while chr(data[end]) in "+-.eE0123456789":
            end += 1
        return float(data[at:end].tobytes())

    def short_hash(data: Bytes, at: int, size: int) -> int:
        """XXH3 (64 bits, seed 0) of a text of at most `SHORT` bytes, as a signed integer."""
        return ctypes.c_int64(xxhash.xxh3_64_intdigest(data[at : at + size].tobytes())).value

else:
    as_intrinsic: Any = intrinsic

    def _pointer(context: Any, builder: Any, type_: Any, arguments: Any) -> Any:
        """The place in an array of bytes of this type that two arguments say: the array and the index."""
        array = context.make_array(type_)(context, builder, arguments[0])
        return builder.gep(array.data, [arguments[1]])

    def _unaligned(context: Any, builder: Any, signature: Any, arguments: Any, bits: int) -> Any:
        pointer = _pointer(context, builder, signature.args[0], arguments)
        return builder.load(builder.bitcast(pointer, ir.IntType(bits).as_pointer()), align=1)

    @as_intrinsic
    def copy_bytes(context: Any, source: Any, start: Any, size: Any, target: Any, at: Any) -> Any:
        """Copies so many bytes from ``start`` to ``at`` of another array."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            source = _pointer(context, builder, signature.args[0], arguments[:2])
            target = _pointer(context, builder, signature.args[3], arguments[3:])
            cgutils.raw_memcpy(builder, target, source, arguments[2], 1)  # type: ignore[no-untyped-call]
            return context.get_dummy_value()

        return void(source, int64, int64, target, int64), generate

    @as_intrinsic
    def put_word(context: Any, word: Any, target: Any, at: Any) -> Any:
        """Writes the eight bytes of a signed integer, the lowest one first."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = _pointer(context, builder, signature.args[1], arguments[1:])
            builder.store(arguments[0], builder.bitcast(pointer, ir.IntType(64).as_pointer()), align=1)
            return context.get_dummy_value()

        return void(int64, target, int64), generate

    @as_intrinsic
    def _load64(context: Any, data: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _unaligned(context, builder, signature, arguments, 64)

        return uint64(data, int64), generate

    @as_intrinsic
    def byte_at(context: Any, data: Any, at: Any) -> Any:
        """The byte at ``at``: as ``data[at]``, without asking whether ``at`` counts from the end."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.zext(_unaligned(context, builder, signature, arguments, 8), ir.IntType(64))

        return int64(data, int64), generate

    @as_intrinsic
    def _load32(context: Any, data: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.zext(_unaligned(context, builder, signature, arguments, 32), ir.IntType(64))

        return uint64(data, int64), generate

    @as_intrinsic
    def _zeros_below(context: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.cttz(arguments[0], cgutils.true_bit)

        return int64(uint64), generate

    @as_intrinsic
    def _folded_product(context: Any, a: Any, b: Any) -> Any:
        """Both halves of the 128 bits of ``a * b``, combined by XOR."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            wide = ir.IntType(128)
            product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
            low = builder.trunc(product, ir.IntType(64))
            return builder.xor(low, builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64)))

        return uint64(uint64, uint64), generate

    @as_intrinsic
    def _swapped(context: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bswap(arguments[0])

        return uint64(uint64), generate

    @as_intrinsic
    def _strtod(context: Any, data: Any, at: Any) -> Any:
        """The C library's reading of a decimal number. What stands behind a JSON number ends it."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            byte = ir.IntType(8).as_pointer()
            function: Any = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
                builder.module, ir.FunctionType(ir.DoubleType(), [byte, byte.as_pointer()]), "strtod"
            )
            text = _pointer(context, builder, signature.args[0], arguments)
            return builder.call(function, [text, byte.as_pointer()(None)])

        return float64(data, int64), generate

    _ONES = np.uint64(0x0101010101010101)
    _HIGH = np.uint64(0x8080808080808080)
    _QUOTES = np.uint64(QUOTE * 0x0101010101010101)
    _BACKSLASHES = np.uint64(BACKSLASH * 0x0101010101010101)
    _SPACES = np.uint64(0x20 * 0x0101010101010101)

    @inner
    def word_at(data: Bytes, at: int) -> int:
        """The eight bytes from ``at``, the first one lowest, as a signed integer."""
        return np.int64(_load64(data, at))

    @inner
    def next_mark(data: Bytes, at: int) -> int:
        """The first place from ``at`` on with a quote, a backslash or a control character."""
        while True:
            word = _load64(data, at)
            quotes, backslashes = word ^ _QUOTES, word ^ _BACKSLASHES
            # A byte's high bit is set where it is 0 (of the first two) or below a space, and by a borrow at most
            # above such a place; bytes of 128 and more are none of these.
            found = ((quotes - _ONES) | (backslashes - _ONES) | (word - _SPACES)) & ~word & _HIGH
            if found != 0:
                return at + (_zeros_below(found) >> 3)
            at += 8

    @inner
    def parsed_double(data: Bytes, at: int) -> float:
        """The JSON number at ``at``, correctly rounded; infinity where no double is large enough."""
        return _strtod(data, at)

    _PRIME64_1 = np.uint64(0x9E3779B185EBCA87)
    _PRIME64_2 = np.uint64(0xC2B2AE3D27D4EB4F)
    _PRIME64_3 = np.uint64(0x165667B19E3779F9)
    _PRIME_MX1 = np.uint64(0x165667919E3779F9)
    _PRIME_MX2 = np.uint64(0x9FB21C651E98DF25)
    _KEY = np.frombuffer(
        bytes.fromhex(
            "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
            "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
            "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
            "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
        ),
        "<u8",
    )

    @inner
    def _mixed(data: Bytes, at: int, key: int) -> np.uint64:
        return _folded_product(_load64(data, at) ^ _KEY[key], _load64(data, at + 8) ^ _KEY[key + 1])

    @inner
    def short_hash(data: Bytes, at: int, size: int) -> int:
        """XXH3 (64 bits, seed 0) of a text of at most `SHORT` bytes, as a signed integer.

        After the specification in the xxHash project's doc/xxhash_spec.md.
        """
        length = np.uint64(size)
        if size > 16:
            h = length * _PRIME64_1
            for part in range((size - 1) // 32, -1, -1):
                h += _mixed(data, at + 16 * part, 4 * part)
                h += _mixed(data, at + size - 16 * (part + 1), 4 * part + 2)
            h ^= h >> np.uint64(37)
            h *= _PRIME_MX1
        elif size > 8:
            low = _load64(data, at) ^ (_KEY[3] ^ _KEY[4])
            high = _load64(data, at + size - 8) ^ (_KEY[5] ^ _KEY[6])
            h = length + _swapped(low) + high + _folded_product(low, high)
            h ^= h >> np.uint64(37)
            h *= _PRIME_MX1
        elif size > 3:
            h = (_load32(data, at + size - 4) + (_load32(data, at) << np.uint64(32))) ^ (_KEY[1] ^ _KEY[2])
            h ^= (h << np.uint64(49) | h >> np.uint64(15)) ^ (h << np.uint64(24) | h >> np.uint64(40))
            h *= _PRIME_MX2
            h ^= (h >> np.uint64(35)) + length
            h *= _PRIME_MX2
            return np.int64(h ^ h >> np.uint64(28))
        else:
            if size > 0:
                h = np.uint64(data[at]) << np.uint64(16) | np.uint64(data[at + (size >> 1)]) << np.uint64(24)
                h |= np.uint64(data[at + size - 1]) | length << np.uint64(8)
                h ^= (_KEY[0] ^ _KEY[0] >> np.uint64(32)) & np.uint64(0xFFFFFFFF)
            else:
                h = _KEY[7] ^ _KEY[8]
            h ^= h >> np.uint64(33)
            h *= _PRIME64_2
            h ^= h >> np.uint64(29)
            h *= _PRIME64_3
        return np.int64(h ^ h >> np.uint64(32))
