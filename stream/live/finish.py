"""Whether all partitions, those of other workers too, stand at a fixed clock's instant."""

from __future__ import annotations

from stream.live.reader import LogReader
from stream.worker.records import checkpoint_key, parse_checkpoint

#: An owner that has nothing to do writes a checkpoint and nothing else, so it is among the last records.
_LAST_RECORDS = 64


async def all_stand(reader: LogReader, changelog: str, partitions: int, instant_ms: int) -> bool:
    """Whether the latest checkpoint of each partition says that its stream clock has come to the instant."""
    for partition in range(partitions):
        end = await reader.end(changelog, partition)
        latest = None
        async for records in reader.read(changelog, partition, max(0, end - _LAST_RECORDS), end):
            latest = next((one for one in reversed(records) if one.key == checkpoint_key()), latest)
        if latest is None or parse_checkpoint(latest).stream_ms < instant_ms:
            return False
    return True
