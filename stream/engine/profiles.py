"""The customers of one partition: a row of words each, in blocks that never move, and their timers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from stream.engine import opcodes as op
from stream.engine.kernel import FIRST_BLOCK, place_of
from stream.engine.plan import Plan
from stream.engine.texts import TextPool

Ints = npt.NDArray[np.int64]
_BLOCKS = 24  # FIRST_BLOCK * (2 ** 24 - 1) rows: more than any machine's memory holds


class _Rows(dict[str, int]):
    """Rows by customer; asking for a customer who is not there makes a row."""

    def __init__(self, add: Callable[[str], int]) -> None:
        super().__init__()
        self._make = add

    def __missing__(self, customer: str) -> int:
        return self._make(customer)


class Profiles:
    """Rows by customer id.

    Block ``b`` has ``FIRST_BLOCK << b`` rows, so growing adds memory and copies none of what is there; the operating
    system gives a block's pages only as rows are written to. ``due`` (capacity,) int64 is the next instant at which
    time alone may change something for a row, FOREVER where nothing will.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        words = len(plan.template)
        self._empty = np.zeros((0, words), dtype=np.int64)
        self.blocks: tuple[Ints, ...] = (self._empty,) * _BLOCKS
        self.due: Ints = np.zeros(0, dtype=np.int64)
        self.texts = TextPool(plan.pool_texts, plan.pool_tests)
        self._rows = _Rows(self._add)
        self._customers: list[str | None] = []
        self._free: list[int] = []
        parts = plan.layout.parts
        self._trait_words = [part.at for part in parts if part.key.startswith("trait ")]
        self._text_words = [p.at + p.text_at for p in parts if p.text_at >= 0 and not p.key.startswith("trait ")]

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, customer: str) -> bool:
        return customer in self._rows

    def __iter__(self) -> Iterator[str]:
        """The customers, in the order in which their rows were given."""
        return iter(self._rows)

    @property
    def nbytes(self) -> int:
        """Bytes of rows and timers that are in use (ids and their index come on top)."""
        return len(self._customers) * self.plan.row_bytes

    def find(self, customer: str) -> int | None:
        """The customer's row, or None."""
        return self._rows.get(customer)

    def customer(self, row: int) -> str:
        """The id of the customer that has ``row``."""
        customer = self._customers[row]
        assert customer is not None, f"row {row} is free"
        return customer

    def customers(self, rows: Sequence[int]) -> list[str]:
        """The ids of the customers that have ``rows``."""
        names = self._customers
        return [names[row] for row in rows]  # type: ignore[misc]  # a row that the engine knows is not free

    def rows(self, customers: Sequence[str]) -> Ints:
        """The rows of ``customers`` (n,), made where they are new."""
        return np.fromiter(map(self._rows.__getitem__, customers), dtype=np.int64, count=len(customers))

    def _add(self, customer: str) -> int:
        if self._free:
            row = self._free.pop()
            self._customers[row] = customer
        else:
            row = len(self._customers)
            self._customers.append(customer)
            if row == len(self.due):
                self._grow()
        self._rows[customer] = row
        self.row(row)[:] = self.plan.template
        self.due[row] = op.FOREVER
        return row

    def _grow(self) -> None:
        """Adds a block. Only the 8 bytes a row of the timers are copied."""
        block, _ = place_of(len(self.due))
        size = FIRST_BLOCK << block
        blocks = list(self.blocks)
        blocks[block] = np.zeros((size, len(self.plan.template)), dtype=np.int64)
        self.blocks = tuple(blocks)
        self.due = np.concatenate([self.due, np.full(size, op.FOREVER, dtype=np.int64)])

    def row(self, row: int) -> Ints:
        """A view of one row's words."""
        block, place = place_of(row)
        words: Ints = self.blocks[block][place]
        return words

    def remove(self, customer: str) -> bool:
        """Forgets a customer; False when there is none of that id."""
        row = self._rows.pop(customer, None)
        if row is None:
            return False
        self._customers[row] = None
        self.row(row)[:] = self.plan.template
        self.due[row] = op.FOREVER
        self._free.append(row)
        return True

    def due_by(self, to_ms: int) -> Ints:
        """The rows with a timer at or before ``to_ms``: one scan over the timers."""
        return np.flatnonzero(self.due[: len(self._customers)] <= to_ms)

    def every_row(self) -> Ints:
        """The rows in use."""
        return np.fromiter(self._rows.values(), dtype=np.int64, count=len(self._rows))

    def gather(self, rows: Ints) -> Ints:
        """Copies of ``rows``: (n, words)."""
        out = np.empty((len(rows), len(self.plan.template)), dtype=np.int64)
        for block, wanted, places in self._by_block(rows):
            out[wanted] = block[places]
        return out

    def scatter(self, rows: Ints, words: Ints) -> None:
        """Writes (n, words) back into ``rows``."""
        for block, wanted, places in self._by_block(rows):
            block[places] = words[wanted]

    def column(self, word: int, rows: Ints | None = None) -> Ints:
        """One word of every row ever given (or of ``rows``): (n,) int64."""
        rows = np.arange(len(self._customers)) if rows is None else rows
        out = np.empty(len(rows), dtype=np.int64)
        for block, wanted, places in self._by_block(rows):
            out[wanted] = block[places, word]
        return out

    def _by_block(self, rows: Ints) -> Iterable[tuple[Ints, npt.NDArray[np.bool_], Ints]]:
        """For each block with some of ``rows``: the block, which of them lie in it, and their places there."""
        start = 0
        for block in self.blocks:
            size = len(block)
            wanted = (rows >= start) & (rows < start + size)
            if wanted.any():
                yield block, wanted, rows[wanted] - start
            start += size

    def sweep_texts(self) -> None:
        """Forgets texts that no row holds any more, once there are many."""
        if len(self.texts) < self.texts.sweep_at:
            return
        live = [self.column(word) for word in self._text_words]
        for word in self._trait_words:
            codes, types = self.column(word + 2), self.column(word + 1)
            live.append(codes[types == op.T_TEXT])
        self.texts.sweep(np.concatenate(live) if live else np.zeros(0, dtype=np.int64))
