"""Rules of the protocol, broken on purpose one at a time: the simulation must find each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import msgspec
import numpy as np
import numpy.typing as npt

from stream.contract import Kind
from stream.engine.centres import Centres
from stream.engine.merging import Merger
from stream.engine.partition import Applied
from stream.engine.unassigned import Unassigned
from stream.kafka.topics import DEAD_LETTERS
from stream.worker import recovery
from stream.worker.definitions_history import NextDefinitions, next_definitions
from stream.worker.erasures import Erasures
from stream.worker.intake import Intake
from stream.worker.interfaces import Batch
from stream.worker.models import Models
from stream.worker.owned_log import OwnedLog
from stream.worker.owner import Owner
from stream.worker.placing import Placer
from stream.worker.reassigning import Reassignment
from stream.worker.recovery import Recovery
from stream.worker.replica import Replica
from stream.worker.restoring import Restorer
from stream.worker.snapshots import Saved
from stream.worker.writing import Writer
from tests.worker.broker import SendError
from tests.worker.watched import WatchedPartition

Mutation = Callable[[], Any]
MUTATIONS: dict[str, Mutation] = {}


def _mutation(what: str) -> Callable[[Callable[[], Iterator[None]]], Mutation]:
    def register(function: Callable[[], Iterator[None]]) -> Mutation:
        MUTATIONS[what] = contextmanager(function)
        return MUTATIONS[what]

    return register


@_mutation("changes are sent before the rows that hold them are in the changelog")
def _order() -> Iterator[None]:
    async def flush(self: Writer, letters: Sequence[Any] = ()) -> None:
        customers = self.outboxes.customers()
        alive = [customer for customer in customers if customer in self.partition.profiles]
        if alive:
            values = self.memberships.values(alive, self.partition.profiles.find_all(alive))
            self.outboxes.set_memberships(alive, values)
        await self.send(letters)
        await self.write_rows(customers, self.partition.profiles.find_all(customers))

    with mock.patch.object(Writer, "flush", flush):
        yield


@_mutation("what a row keeps of unsent changes is not sent again")
def _outbox() -> Iterator[None]:
    take_rows = Recovery._take_rows

    def forget(self: Recovery, sent_to: int) -> None:
        take_rows(self, 1 << 60)

    with mock.patch.object(Recovery, "_take_rows", forget):
        yield


@_mutation("what a row keeps of unsent changes is let go of while the changelog is read")
def _let_go() -> Iterator[None]:
    forget_sent = Placer.forget_sent

    def forget(self: Placer, sent_to: int) -> None:
        assert sent_to < 1 << 60
        forget_sent(self, 1 << 60)

    with mock.patch.object(Placer, "forget_sent", forget):
        yield


@_mutation("a row stays in place though what is read later takes it away")
def _stays() -> Iterator[None]:
    with mock.patch.object(Placer, "_remove", return_value=None):
        yield


@_mutation("an outbox counts as sent before it is")
def _bound() -> Iterator[None]:
    write_rows = Writer.write_rows

    async def early(self: Writer, customers: Any, rows: Any) -> None:
        await write_rows(self, customers, rows)
        if len(self.outboxes):
            self.sent_to = self.changelog.expected - 1
            await self.write_checkpoint(self.last_checkpoint_of_mutant())  # type: ignore[attr-defined]

    def last(self: Writer) -> Any:
        checkpoint = self.mutant_owner._checkpoint  # type: ignore[attr-defined]
        return msgspec.structs.replace(checkpoint, sent_to=self.sent_to)

    init = Owner.__init__

    def make(self: Owner, *arguments: Any, **named: Any) -> None:
        init(self, *arguments, **named)
        self.writer.mutant_owner = self  # type: ignore[attr-defined]

    with (
        mock.patch.object(Writer, "write_rows", early),
        mock.patch.object(Writer, "last_checkpoint_of_mutant", last, create=True),
        mock.patch.object(Owner, "__init__", make),
    ):
        yield


@_mutation("an owner does not look who wrote between its records")
def _fence() -> Iterator[None]:
    with mock.patch.object(OwnedLog, "_judge", return_value=None):
        yield


@_mutation("restoring believes records of any epoch")
def _epochs() -> Iterator[None]:
    def all_of_them(_: Restorer, start: int, stop: int) -> npt.NDArray[np.bool_]:
        return np.ones(stop - start, np.bool_)

    with mock.patch.object(Restorer, "_counts", all_of_them):
        yield


@_mutation("strangers' records in the changelog are not answered")
def _answer() -> Iterator[None]:
    async def nothing(self: Writer) -> None:
        self.changelog.take_strangers()

    async def complete(self: Writer, rewrite: Any) -> None:
        self.is_complete = True
        await self.answer_in_memberships()

    with mock.patch.object(Writer, "answer", nothing), mock.patch.object(Writer, "complete", complete):
        yield


@_mutation("strangers are answered while rows are not in place")
def _early_answer() -> Iterator[None]:
    attach = Writer.attach

    def complete(self: Writer, *arguments: Any) -> None:
        attach(self, *arguments)
        self.is_complete = True

    with mock.patch.object(Writer, "attach", complete):
        yield


@_mutation("copies of fences are not answered")
def _fences() -> Iterator[None]:
    add_fence = Restorer._fence

    def ignore(self: Restorer, key: bytes, offset: int) -> None:
        rewrite = dict(self.rewrite)
        add_fence(self, key, offset)
        self.rewrite = rewrite
        self._last_fence = self._epoch

    with mock.patch.object(Restorer, "_fence", ignore):
        yield


@_mutation("offsets that a row has seen are applied again")
def _skip() -> Iterator[None]:
    apply = WatchedPartition.apply

    def again(self: WatchedPartition, batch: Any, offsets: Any = None) -> Applied:
        for customer in set(batch.customers()) & set(self.profiles):
            self.profiles.row(int(self.profiles.rows([customer])[0]))[3:6] = -1
        return apply(self, batch, offsets)

    with mock.patch.object(WatchedPartition, "apply", again):
        yield


@_mutation("a partition that looks kept is believed to be")
def _keep() -> Iterator[None]:
    write_fence = OwnedLog.write_fence

    async def is_next(self: OwnedLog, *arguments: Any) -> bool:
        await write_fence(self, *arguments)
        return True

    with mock.patch.object(OwnedLog, "write_fence", is_next):
        yield


@_mutation("offsets are committed before the rows are written")
def _commit() -> Iterator[None]:
    write_checkpoint = Owner._write_checkpoint

    async def early(self: Owner) -> None:
        news = {t: o for t, o in self._positions.items() if self._committed[t] != o}
        if news and await self._world.sources.commit(news):
            self._committed.update(news)
        await write_checkpoint(self)

    with mock.patch.object(Owner, "_write_checkpoint", early):
        yield


@_mutation("offsets are committed before the dead letters are written")
def _letters() -> Iterator[None]:
    flush = Writer.flush

    async def never(self: Writer, letters: Sequence[Any] = ()) -> None:
        await flush(self)
        self.held = [*getattr(self, "held", ()), *letters]  # type: ignore[attr-defined]
        if len(self.held) > 1:  # type: ignore[attr-defined]
            await self._world.producer.write([Batch(DEAD_LETTERS, None, self.held)])  # type: ignore[attr-defined]
            self.held = []  # type: ignore[attr-defined]

    with mock.patch.object(Writer, "flush", never):
        yield


@_mutation("after a send that failed the next ones go on")
def _failed() -> Iterator[None]:
    send = Writer.send

    async def go_on(self: Writer, letters: Sequence[Any] = ()) -> None:
        try:
            await send(self, letters)
        except SendError:
            self.memberships_log.expected = self._world.reader._broker.log("memberships").next  # type: ignore[attr-defined]
            self.outboxes.clear()

    with mock.patch.object(Writer, "send", go_on):
        yield


@_mutation("events of a topic do not wait for those of another that is behind")
def _merge() -> Iterator[None]:
    set_behind = Merger.set_behind

    def never(self: Merger, kind: Kind, *, behind: bool) -> None:
        assert isinstance(behind, bool)
        set_behind(self, kind, behind=False)

    with mock.patch.object(Merger, "set_behind", never):
        yield


@_mutation("memberships that a stalled owner writes late are left as they are")
def _memberships() -> Iterator[None]:
    async def nothing(self: Writer) -> None:
        self.memberships_log.take_strangers()

    async def correct(self: Recovery, suspects: Any) -> None:
        assert suspects is not None

    with (
        mock.patch.object(Writer, "answer_in_memberships", nothing),
        mock.patch.object(Recovery, "_correct_memberships", correct),
    ):
        yield


@_mutation("nobody looks behind the memberships while there is nothing to write")
def _look() -> Iterator[None]:
    async def nothing(self: Writer) -> None:
        assert self is not None

    with mock.patch.object(Writer, "look_behind_memberships", nothing):
        yield


@_mutation("a marker goes before its offsets are committed")
def _marker() -> Iterator[None]:
    with mock.patch.object(Erasures, "ripe", lambda self, committed: list(self.markers)):
        yield


@_mutation("a row replaces a marker without leaving a residue")
def _residue() -> Iterator[None]:
    def nothing(self: Erasures) -> list[Any]:
        self._unwritten.clear()
        return []

    with mock.patch.object(Erasures, "unwritten_residues", nothing):
        yield


@_mutation("events from before an erasure count")
def _sift() -> Iterator[None]:
    sift = Erasures.sift

    def all_count(self: Erasures, batch: Any, offsets: Any) -> Any:
        sifted = sift(self, batch, offsets)
        if sifted is None:
            return None
        everyone = dict(enumerate(batch.customers()))
        return type(sifted)(np.ones(len(batch), dtype=np.bool_), everyone)

    with mock.patch.object(Erasures, "sift", all_count):
        yield


@_mutation("a pass under new definitions that was broken off is not done again")
def _pass() -> Iterator[None]:
    following = next_definitions

    def once(checkpoint: Any, *arguments: Any, **named: Any) -> NextDefinitions:
        if checkpoint is not None:
            checkpoint = msgspec.structs.replace(checkpoint, passing=False)
        return following(checkpoint, *arguments, **named)

    restored = Recovery._take_rows

    def same(self: Recovery, sent_to: int) -> None:
        restored(self, sent_to)
        self._has_other_layouts = False

    with mock.patch.object(recovery, "next_definitions", once), mock.patch.object(Recovery, "_take_rows", same):
        yield


@_mutation("an event that is later than the fixed clock is applied")
def _until() -> Iterator[None]:
    give = Intake.give

    def without_limit(self: Intake, until_ms: int | None = None) -> Any:
        return give(self, None if until_ms is None else until_ms + 2_000)

    with mock.patch.object(Intake, "give", without_limit):
        yield


@_mutation("the stream clock is not kept")
def _clock() -> Iterator[None]:
    run = Recovery.run

    async def without(self: Recovery) -> Any:
        recovered = await run(self)
        self._partition.stream_ms = -1
        return recovered

    with mock.patch.object(Recovery, "run", without):
        yield


@_mutation("a snapshot is taken though rows are newer than the changelog")
def _saved_early() -> Iterator[None]:
    step = Owner.step

    async def save_too(self: Owner) -> bool:
        worked = await step(self)
        with mock.patch.object(Owner, "_has_news", return_value=False):
            self.save()
        return worked

    with mock.patch.object(Owner, "step", save_too):
        yield


@_mutation("reading goes on one record behind what a snapshot holds")
def _snapshot_offset() -> Iterator[None]:
    of_snapshot = Replica.of_snapshot

    def further(partition: Any, saved: Saved) -> Replica:
        replica = of_snapshot(partition, saved)
        replica.position += 1
        return replica

    with mock.patch.object(Replica, "of_snapshot", further):
        yield


@_mutation("a checkpoint says nothing of the model")
def _model_forgotten() -> Iterator[None]:
    write_checkpoint = Writer.write_checkpoint

    async def without(self: Writer, checkpoint: Any) -> None:
        await write_checkpoint(self, msgspec.structs.replace(checkpoint, model=0))

    with mock.patch.object(Writer, "write_checkpoint", without):
        yield


@_mutation("a checkpoint counts a model that has not been applied to everybody")
def _model_early() -> Iterator[None]:
    async def later(self: Reassignment) -> None:
        self._writer.partition._unassigned = Unassigned()

    with mock.patch.object(Reassignment, "finish", later):
        yield


@_mutation("a model that was applied is not used after restoring")
def _model_not_used() -> Iterator[None]:
    with mock.patch.object(Models, "at", return_value=None), mock.patch.object(Models, "add", _add_unseen):
        yield


def _add_unseen(self: Models, version: Centres) -> None:
    self._versions.append(version)


@_mutation("a model is applied when the events of the batch have been")
def _model_late() -> Iterator[None]:
    with mock.patch.object(Reassignment, "next_ms", None):
        yield
