"""Snapshots on disk: a file a partition, written beside the work and read as it lies there."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash

from stream.engine.image import Image, TextImage
from stream.errors import SnapshotFolderError
from stream.worker.snapshots import Head, Saved

#: The file: these bytes, the length and the hash64 of the contents, the contents, then the arrays one after the other.
_MAGIC = b"segstream snapshot 1\n"
_LENGTHS = struct.Struct("<QQ")
_ALIGNED = 64
_FILE_SUFFIX = ".snapshot"

_log = logging.getLogger(__name__)


class _Array(msgspec.Struct, frozen=True):
    """One array: its type, its shape, and the hash64 of its bytes."""

    dtype: str
    shape: tuple[int, ...]
    hash: int


class _Contents(msgspec.Struct, frozen=True):
    """All but the arrays' bytes. The arrays are the timers, customers, texts, then the blocks of rows."""

    head: Head
    fingerprint: int
    stream_ms: int
    latest_ms: int
    arrays: list[_Array]


_decode = msgspec.msgpack.Decoder(_Contents).decode


class SnapshotFolder:
    """The snapshots of one worker: those of one cluster lie in a folder of their own.

    ``lock`` it first: no other worker may use it at the same time.
    """

    def __init__(self, folder: Path, cluster: str) -> None:
        self._folder = folder
        self._files = folder / _as_name(cluster)
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Locks it; raises ``SnapshotFolderError`` when it can't be written to, or is another worker's."""
        try:
            self._files.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise SnapshotFolderError(f"--snapshots {self._folder}: {error.strerror}: it must be writable") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise SnapshotFolderError(
                f"--snapshots {self._folder}: another worker uses it: give each worker a folder of its own"
            ) from error
        for left in self._files.glob("*.part"):
            left.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def of(self, topic: str, partition: int) -> PartitionSnapshots:
        """Where those of one partition are kept."""
        return PartitionSnapshots(self._files / f"{_as_name(topic)}-{partition}{_FILE_SUFFIX}")


class PartitionSnapshots:
    """`stream.worker.snapshots.Snapshots` as one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        return self._writing is not None and not self._writing.done()

    def keep(self, saved: Saved) -> None:
        assert not self.is_busy, "the one before is still being written"
        self._writing = asyncio.create_task(self._keep(saved), name=f"snapshot {self.path.name}")

    async def kept(self) -> None:
        """Returns when the last one has been written."""
        if self._writing is not None:
            await self._writing

    async def _keep(self, saved: Saved) -> None:
        try:
            await asyncio.to_thread(write_snapshot, self.path, saved)
        except OSError as error:
            _log.warning("%s: not written (%s); the next start reads more of the changelog", self.path, error)
        else:
            _log.info("partition %d: snapshot at offset %d", saved.head.partition, saved.head.offset)

    async def load(self) -> Saved | None:
        if not self.path.exists():
            return None
        try:
            return await asyncio.to_thread(read_snapshot, self.path)
        except (OSError, ValueError, msgspec.DecodeError) as error:
            self.passed_over(f"it can't be read: {error}")
            return None

    def begun_with(self, saved: Saved) -> None:
        _log.info("partition %d: begins with the snapshot at offset %d", saved.head.partition, saved.head.offset)

    def passed_over(self, why: str) -> None:
        _log.warning("%s is passed over: %s", self.path, why)


def write_snapshot(path: Path, saved: Saved) -> None:
    """Writes a snapshot in the place of the one before; a crash leaves one or the other."""
    image = saved.image
    arrays = [
        np.ascontiguousarray(array)
        for array in (image.due, *image.customers.arrays, *image.texts.arrays, *image.blocks)
    ]
    described = [_Array(array.dtype.str, array.shape, _hash(array)) for array in arrays]
    contents = msgspec.msgpack.encode(
        _Contents(saved.head, image.fingerprint, image.stream_ms, image.latest_ms, described)
    )
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(_MAGIC + _LENGTHS.pack(len(contents), xxhash.xxh3_64_intdigest(contents)))
        file.write(contents)
        for array in arrays:
            file.write(bytes(-file.tell() % _ALIGNED))
            file.write(_bytes_of(array))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_snapshot(path: Path) -> Saved:
    """A snapshot whose arrays are views of the file; raises ``ValueError`` where it is damaged, and ``OSError``."""
    with path.open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    start = len(_MAGIC) + _LENGTHS.size
    if view[: len(_MAGIC)] != _MAGIC or len(view) < start:
        raise ValueError("it is no snapshot of this version")
    length, wanted = _LENGTHS.unpack_from(view, len(_MAGIC))
    packed = view[start : start + length]
    if len(packed) < length or xxhash.xxh3_64_intdigest(packed) != wanted:
        raise ValueError("its contents are damaged")
    contents = _decode(packed)
    due, *others = list(_arrays(view, start + length, contents.arrays))
    image = Image(
        contents.fingerprint,
        contents.stream_ms,
        contents.latest_ms,
        tuple(others[8:]),
        due,
        TextImage(*others[:4]),
        TextImage(*others[4:8]),
    )
    return Saved(contents.head, image)


def _arrays(view: memoryview, at: int, described: list[_Array]) -> Iterator[npt.NDArray[Any]]:
    for number, one in enumerate(described):
        at += -at % _ALIGNED
        dtype = np.dtype(one.dtype)
        count = int(np.prod(one.shape))
        if len(view) < at + count * dtype.itemsize:
            raise ValueError("it is cut off")
        array = np.frombuffer(view, dtype=dtype, count=count, offset=at).reshape(one.shape)
        if _hash(array) != one.hash:
            raise ValueError(f"its array {number} is damaged")
        yield array
        at += array.nbytes


def _hash(array: npt.NDArray[Any]) -> int:
    return xxhash.xxh3_64_intdigest(_bytes_of(array))


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    """An array's memory as bytes; an empty one can't be cast."""
    return memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]  # an array is a buffer


def _as_name(text: str) -> str:
    """A text as the name of a file: ids of clusters may hold anything."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text) or "_"
