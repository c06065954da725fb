"""The topics, their settings and why they have them; and what is wrong with those that a broker has.

This is the one place that says what a topic must be like: ``segstream topics create`` makes them so, and whoever starts
on them asks `problems` first.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stream.contract import TOPICS, Kind
from stream.errors import TopicsError
from stream.kafka.defaults import APP_ID
from stream.language.tree import Definitions

CUSTOMER_ERASURES = "customer-erasures"
SEGMENT_CHANGES = "segment-changes"
MEMBERSHIPS = "memberships"
DEAD_LETTERS = "dead-letters"
WORKERS = "segstream-workers"
PROFILE_SAMPLES = "profile-samples"
PERSONA_MODELS = "persona-models"
PERSONA_EVENTS = "persona-events"
#: The table whose changelog Faust restores; the changelog is named after it.
PROFILES_TABLE = "profiles"

#: So long a tombstone is there at least, for whoever has read what came before it.
TOMBSTONES_KEPT_MS = 86_400_000
#: What workers have announced is of no use to anybody after so long.
ANNOUNCEMENTS_KEPT_MS = 3_600_000
#: What an event may take: as much as a topic takes unless it is told otherwise.
EVENT_BYTES_MAX = 1_048_588
#: What a row with its outbox, or a dead letter with its event, may take.
RECORD_BYTES_MAX = 4 << 20


class Bound(enum.Enum):
    """How the value that a topic has may differ from the one it is created with."""

    EXACTLY = "exactly"
    AT_LEAST = "at least"
    AT_MOST = "at most"


@dataclass(frozen=True)
class Setting:
    """A setting of a topic, by Kafka's name for it, and what depends on it."""

    name: str
    value: str
    bound: Bound
    reason: str

    def allows(self, value: str) -> bool:
        """Whether a topic may have this value instead.

        >>> Setting("max.message.bytes", "4194304", Bound.AT_LEAST, "").allows("5000000")
        True
        """
        if self.bound is Bound.EXACTLY:
            return sorted(value.split(",")) == sorted(self.value.split(","))
        wanted, actual = float(self.value), float(value)
        return actual >= wanted if self.bound is Bound.AT_LEAST else actual <= wanted


@dataclass(frozen=True)
class Topic:
    """A topic as it has to be.

    Of all that are ``copartitioned`` a customer's partition must have the same number, so they have equally many. One
    with a number of ``partitions`` of its own is made with so many; found with others it does no harm.
    """

    name: str
    purpose: str
    settings: tuple[Setting, ...] = ()
    copartitioned: bool = False
    partitions: int | None = None


@dataclass(frozen=True)
class FoundTopic:
    """A topic as a broker has it. ``settings`` are those that the broker tells; the embedded one tells few."""

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str]


_EVENTS = (Setting("max.message.bytes", str(EVENT_BYTES_MAX), Bound.AT_LEAST, "an event may be that large"),)
_LARGE = Setting("max.message.bytes", str(RECORD_BYTES_MAX), Bound.AT_LEAST, "a record may be that large")
_COMPACTED = Setting("cleanup.policy", "compact", Bound.EXACTLY, "the latest record of each key is what counts")
_CHANGELOG = (
    _COMPACTED,
    Setting("min.compaction.lag.ms", "900000", Bound.AT_LEAST, "owners must first answer a stalled worker's records"),
    Setting("delete.retention.ms", str(TOMBSTONES_KEPT_MS), Bound.AT_LEAST, "snapshots and standbys read on later"),
    Setting("segment.bytes", str(64 << 20), Bound.AT_MOST, "only closed segments are compacted"),
    Setting("min.cleanable.dirty.ratio", "0.1", Bound.AT_MOST, "restoring reads what has not been compacted"),
    _LARGE,
)
_ANNOUNCEMENTS = (
    Setting("cleanup.policy", "compact,delete", Bound.EXACTLY, "the latest record of each worker is what counts"),
    Setting("retention.ms", str(ANNOUNCEMENTS_KEPT_MS), Bound.AT_MOST, "workers that were killed are forgotten"),
    Setting("segment.ms", "600000", Bound.AT_MOST, "only closed segments are compacted"),
)


def changelog_name(app_id: str) -> str:
    """The changelog of the profiles, as Faust names it.

    >>> changelog_name("segstream")
    'segstream-profiles-changelog'
    """
    return f"{app_id}-{PROFILES_TABLE}-changelog"


def changelog(app_id: str = APP_ID) -> Topic:
    """The changelog of the profiles."""
    return Topic(changelog_name(app_id), "the profiles, to restore them from", _CHANGELOG, copartitioned=True)


def workers_topic() -> Topic:
    """Where workers say each second how they are."""
    return Topic(WORKERS, "which workers there are, and how they are", _ANNOUNCEMENTS, partitions=1)


def persona_topics() -> tuple[Topic, ...]:
    """The topics between workers and a trainer, which are there for definitions with personas.

    All are read from partition 0.
    """
    return (
        Topic(PROFILE_SAMPLES, "numbers of customers to learn personas from", (_LARGE,), partitions=1),
        Topic(PERSONA_MODELS, "the versions of the personas", (_COMPACTED, _LARGE), partitions=1),
        Topic(PERSONA_EVENTS, "personas that came, went or moved", partitions=1),
    )


def event_topics() -> tuple[Topic, ...]:
    """The topics that events come in by, in the order of kinds."""
    return tuple(Topic(TOPICS[kind], f"{kind.word} events", _EVENTS, copartitioned=True) for kind in Kind)


def source_topics() -> tuple[Topic, ...]:
    """All topics that workers read."""
    return (*event_topics(), Topic(CUSTOMER_ERASURES, "customers to forget", copartitioned=True))


def all_topics(app_id: str = APP_ID, destinations: Iterable[str] = ()) -> tuple[Topic, ...]:
    """All topics of one app; ``destinations`` are those that its definitions send changes to.

    Raises ``TopicsError`` when a destination is one of the others.
    """
    own = (
        *source_topics(),
        Topic(SEGMENT_CHANGES, "every change"),
        Topic(MEMBERSHIPS, "who is in which segment now", (_COMPACTED,)),
        Topic(DEAD_LETTERS, "messages that are no valid events", (_LARGE,)),
        workers_topic(),
        *persona_topics(),
        changelog(app_id),
    )
    further = sorted(set(destinations))
    taken = {topic.name for topic in own}.intersection(further)
    if taken:
        raise TopicsError([f"`to: {name}`: this topic has another use: name another one" for name in sorted(taken)])
    return (*own, *(Topic(name, "changes of some segments") for name in further))


def destinations(definitions: Definitions) -> tuple[str, ...]:
    """The topics that a definitions file sends changes to besides `SEGMENT_CHANGES`, in order, each once."""
    return tuple(sorted({topic for segment in definitions.segments for topic in segment.to}))


def problems(topics: Iterable[Topic], found: Mapping[str, FoundTopic], partitions: int | None = None) -> list[str]:
    """What is wrong with the topics that are ``found``: a sentence each, with what to do. Empty when all is well.

    With ``partitions`` every topic must have that many. Without, those that belong together must have equally many: as
    many as the first one. A setting that the broker does not tell is taken for right.
    """
    wrong: list[str] = []
    together: FoundTopic | None = None
    for topic in topics:
        has = found.get(topic.name)
        if has is None:
            wrong.append(f"topic {topic.name} is missing: `segstream topics create` makes it")
            continue
        if partitions is not None and topic.partitions is None and has.partitions != partitions:
            wrong.append(
                f"topic {topic.name} has {has.partitions} {_partitions(has.partitions)}, not {partitions}: "
                f"give --partitions {has.partitions}, or delete the topic first"
            )
        elif partitions is None and topic.copartitioned:
            together = together or has
            if has.partitions != together.partitions:
                wrong.append(
                    f"topic {topic.name} has {has.partitions} {_partitions(has.partitions)}, but {together.name} has "
                    f"{together.partitions}: a customer's events would lie apart, so all must have equally many"
                )
        wrong += _wrong_settings(topic, has)
    return wrong


def _wrong_settings(topic: Topic, has: FoundTopic) -> list[str]:
    wrong = []
    for setting in topic.settings:
        value = has.settings.get(setting.name, setting.value)
        if not setting.allows(value):
            bound = "" if setting.bound is Bound.EXACTLY else f"{setting.bound.value} "
            wrong.append(
                f"topic {topic.name} has {setting.name}={value}, and needs {bound}{setting.value} "
                f"({setting.reason}): set it with your broker's tools"
            )
    return wrong


def _partitions(count: int) -> str:
    return "partition" if count == 1 else "partitions"
