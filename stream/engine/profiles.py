"""The customers of one partition: a row of words each, in blocks that never move, and their timers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from stream.compiled import compiled
from stream.engine import opcodes as op
from stream.engine.image import TextImage
from stream.engine.kernel import FIRST_BLOCK, place_of
from stream.engine.plan import Plan
from stream.engine.text_index import TextIndex
from stream.engine.texts import TextPool
from stream.events.bytestrings import Bytestrings
from stream.events.bytewise import Bytes
from stream.events.spans import make_spans

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
_BLOCKS = 24  # FIRST_BLOCK * (2 ** 24 - 1) rows: more than any machine's memory holds


def are_members(states: Ints) -> npt.NDArray[np.bool_]:
    """Which of segments' words of state, of any shape, say that the customer is a member."""
    found: npt.NDArray[np.bool_] = (states >= 0) & (states & 1 == 1)
    return found


@compiled
def _gather(blocks: tuple[Ints, ...], rows: Ints, words: Ints, room: int, out: Ints) -> None:
    """Fills ``out`` (n, room + w), but for its first columns, with words of rows."""
    for i in range(rows.shape[0]):
        block, place = place_of(rows[i])
        row = blocks[block][place]
        for k in range(words.shape[0]):
            out[i, room + k] = row[words[k]]


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
        self._customers = TextIndex()
        parts = plan.layout.parts
        self._trait_words = [part.at for part in parts if part.key.startswith("trait ")]
        self._text_words = [p.at + p.text_at for p in parts if p.text_at >= 0 and not p.key.startswith("trait ")]

    def __len__(self) -> int:
        return len(self._customers)

    def __contains__(self, customer: str) -> bool:
        return self.find(customer) is not None

    def __iter__(self) -> Iterator[str]:
        """The customers, in the order of their rows."""
        return iter(self.customers(self.every_row()))

    @property
    def end(self) -> int:
        """One more than the largest row ever given."""
        return self._customers.end

    @property
    def nbytes(self) -> int:
        """Bytes of rows and timers that are in use (ids and their index come on top)."""
        return self._customers.end * self.plan.row_bytes

    def find(self, customer: str) -> int | None:
        """The customer's row, or None."""
        return self._customers.find(customer)

    def find_all(self, customers: Sequence[str]) -> Ints:
        """The rows of ``customers`` (n,), -1 for one who is not known."""
        return self._customers.find_texts(customers)

    def customer(self, row: int) -> str:
        """The id of the customer that has ``row``."""
        return self._customers.text(row)

    def customers(self, rows: Sequence[int] | Ints) -> list[str]:
        """The ids of the customers that have ``rows``."""
        return self._customers.texts(rows)

    def encoded_customers(self, rows: Ints) -> Bytestrings:
        """The ids of the customers that have ``rows``, in UTF-8."""
        return self._customers.encoded(rows)

    def rows(self, customers: Sequence[str]) -> Ints:
        """The rows of ``customers`` (n,), made where they are new."""
        return self.rows_of(*make_spans(customers))

    def rows_of(self, data: Bytes, spans: Ints, hashes: Hashes) -> Ints:
        """`rows` of ids given by their spans (n,) and hashes (n,)."""
        rows, new = self._customers.take(data, spans, hashes)
        if len(new):
            while self._customers.end > len(self.due):
                self._grow()
            self._empty_rows(new)
        return rows

    def _empty_rows(self, rows: Ints) -> None:
        for block, _, places in self._by_block(rows):
            block[places] = self.plan.template
        self.due[rows] = op.FOREVER

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
        row = self._customers.remove(customer)
        if row is None:
            return False
        self._empty_rows(np.array([row]))
        return True

    def due_by(self, to_ms: int) -> Ints:
        """The rows with a timer at or before ``to_ms``: one scan over the timers."""
        return np.flatnonzero(self.due[: self._customers.end] <= to_ms)

    def every_row(self) -> Ints:
        """The rows in use."""
        return self._customers.numbers()

    def rows_by_hash(self) -> Ints:
        """The rows in use by the hash64 of their customers' ids: an order that has nothing to do with how they came."""
        rows = self._customers.numbers()
        by_hash: Ints = rows[np.argsort(self._customers.hashes(rows), kind="stable")]
        return by_hash

    def gather(self, rows: Ints, words: Ints | None = None, room: int = 0) -> Ints:
        """Copies of ``rows``, or of their ``words`` (w,): (n, room + w); nothing is in the first columns yet."""
        words = np.arange(len(self.plan.template)) if words is None else words
        out = np.empty((len(rows), room + len(words)), dtype=np.int64)
        _gather(self.blocks, rows, words, room, out)
        return out

    def scatter(self, rows: Ints, words: Ints) -> None:
        """Writes (n, words) back into ``rows``."""
        for block, wanted, places in self._by_block(rows):
            block[places] = words[wanted]

    def column(self, word: int, rows: Ints | None = None) -> Ints:
        """One word of every row ever given (or of ``rows``): (n,) int64."""
        rows = np.arange(self._customers.end) if rows is None else rows
        return self.gather(rows, np.array([word])).reshape(-1)

    def blocks_in_use(self) -> Iterator[Ints]:
        """Of each block the rows that were ever given: views, (n, words)."""
        left = self._customers.end
        for block in self.blocks:
            if left <= 0:
                return
            yield block[:left]
            left -= len(block)

    def image_of_customers(self) -> TextImage:
        """Who has which row, copied."""
        return self._customers.image()

    def place(self, customers: TextImage, texts: TextImage, blocks: Iterable[Ints], due: Ints) -> None:
        """Takes over images and copies of blocks, as above, in the place of what is here."""
        self._customers.place(customers)
        self.texts.place(texts)
        while self._customers.end > len(self.due):
            self._grow()
        self.due[: self._customers.end] = due
        for mine, given in zip(self.blocks_in_use(), blocks, strict=True):
            mine[:] = given

    def _by_block(self, rows: Ints) -> Iterable[tuple[Ints, npt.NDArray[np.bool_], Ints]]:
        """For each block with some of ``rows``: the block, which of them lie in it, and their places there."""
        start = 0
        for block in self.blocks:
            size = len(block)
            if not size:
                return
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
