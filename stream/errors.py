"""Every exception of ours: one class a condition. The library raises them, the CLI prints them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.language.problems import Problem


class SegstreamError(Exception):
    """The base of all errors that this package raises on purpose."""


class DefinitionsError(SegstreamError):
    """A definitions file has errors; nothing starts with it.

    ``problems`` holds all that was found, warnings included, in the order of the file. ``str()`` of the error is those
    problems, one a line: ``FILE:LINE:COLUMN: error: MESSAGE``.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SnapshotError(SegstreamError):
    """A snapshot can't be read: a row is cut off or damaged, or its layout is missing."""


class InputError(SegstreamError):
    """A file of events can't be opened or read to its end."""


class SortSpaceError(SegstreamError):
    """Sorting on disk finds no room: the folder for temporary files is full, missing, or can't be written to.

    ``folder`` is that folder, or None where no folder will do.
    """

    def __init__(self, folder: str | None, reason: str) -> None:
        self.folder = folder
        super().__init__(
            f"can't sort on disk: {folder or 'the temporary folder'}: {reason} "
            "(the environment variable TMPDIR names another)"
        )


class BrokerStartError(SegstreamError):
    """A broker of our own has not started: what it needs is not installed, or it ended at once."""


class PartEndedError(SegstreamError):
    """A part of the demo has ended by itself: a process that crashed, or that somebody killed."""


class DemoTopicsError(SegstreamError):
    """The demo's broker has events already, which the demo would mix its own with."""


class BrokerUnreachableError(SegstreamError):
    """No broker answers at the given address, or one that did answers no longer, for longer than we wait."""


class TopicsError(SegstreamError):
    """Topics are missing, or are not as they have to be.

    ``problems`` are sentences, one for each thing that is wrong. ``str()`` of the error is those, one a line.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class GroupInUseError(SegstreamError):
    """Workers, or somebody else, are in a consumer group that must be empty for what is asked."""


class PortInUseError(SegstreamError):
    """The port for probes and metrics belongs to another process, or may not be listened at."""


class WorkerUnreachableError(SegstreamError):
    """No worker answers at the given address, or none that can say what it was asked for now."""


class CustomerUnknownError(SegstreamError):
    """Nothing is known of a customer: there was no event, or the customer was erased."""


class ClockAheadError(SegstreamError):
    """A fixed clock lies far ahead of the records: a stream clock never goes back."""


class SnapshotFolderError(SegstreamError):
    """The folder for snapshots can't be used: it is not writable, or another worker uses it."""


class RedisUnreachableError(SegstreamError):
    """No Redis answers at the given address, for longer than we wait."""


class RedisSettingError(SegstreamError):
    """Redis is not as it has to be: too old, a cluster, set to throw keys away, or it does not let us in."""


class SinkStateError(SegstreamError):
    """What a sink has written before comes of other topics than those that are there now."""


class ModelError(SegstreamError):
    """A model of personas can't be read, or it does not hold together."""


class SamplesError(SegstreamError):
    """Samples for personas are not numbers of the features: a column more or less, or a number that is not finite."""
