"""Dead letters: what was refused, with its original bytes, where it came from, and why."""

from __future__ import annotations

from stream.worker.interfaces import Record, StoredRecord
from stream.worker.settings import Limits

#: The refusal that only a worker makes.
WRONG_PARTITION = "wrong_partition"
BAD_ERASURE = "bad_erasure"


def dead_letter(topic: str, partition: int, record: StoredRecord, code: str, reason: str, limits: Limits) -> Record:
    """The letter for a record. A value that is too long for a letter is cut, and the headers say so.

    The same record always gives the same letter; topic, partition and offset tell repeats.
    """
    value = record.value
    headers = [
        ("source_topic", topic.encode()),
        ("source_partition", b"%d" % partition),
        ("source_offset", b"%d" % record.offset),
        ("source_timestamp", b"%d" % record.timestamp_ms),
        ("code", code.encode()),
        ("reason", reason.encode("utf-8", "backslashreplace")),
    ]
    if value is None:
        headers.append(("source_value", b"null"))
    elif len(value) > limits.letter_bytes:
        headers.append(("source_bytes", b"%d" % len(value)))
        value = value[: limits.letter_kept_bytes]
    key = record.key
    if key is not None and len(key) > limits.letter_kept_bytes:
        headers.append(("source_key_bytes", b"%d" % len(key)))
        key = key[: limits.letter_kept_bytes]
    return Record(key, value if value is not None else b"", tuple(headers))
