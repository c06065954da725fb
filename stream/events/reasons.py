"""Why a message is refused: a short stable code to count by, and a sentence a person can act on."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Code(enum.StrEnum):
    """The kinds of refusal. The words are stable: metrics and dead letters carry them."""

    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    LONE_SURROGATE = "lone_surrogate"
    TOO_DEEP = "too_deep"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    WRONG_LENGTH = "wrong_length"
    OUT_OF_RANGE = "out_of_range"
    BAD_VALUE = "bad_value"  # an action or a currency that the contract does not know
    BAD_TIMESTAMP = "bad_timestamp"
    UNKNOWN_KIND = "unknown_kind"
    WRONG_KIND = "wrong_kind"  # `type` contradicts the topic
    MISSING_KEY = "missing_key"
    WRONG_KEY = "wrong_key"
    TOO_FAR_AHEAD = "too_far_ahead"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A code and its sentence, before it is known which message of a batch it is about."""

    code: Code
    reason: str
