"""Why an owner gives up its partition, or does not take it."""

from __future__ import annotations

from stream.errors import SegstreamError


class FencedError(SegstreamError):
    """Another owner has taken the partition: this one drops it and says nothing more."""


class ChangelogError(SegstreamError):
    """A record of the changelog can't be read: damaged, or written by a later version."""


class EarlierDefinitionsError(SegstreamError):
    """The partition has gone on to other definitions; going back must be asked for."""


class SourceTruncatedError(SegstreamError):
    """A source topic ends before what has been read of it: it was truncated, or made anew."""
