"""The check of a draft, in a process of its own: whatever somebody wrote, it costs the worker nothing.

``python -m stream.live.draft_process`` reads the draft and the present file from its input, and writes the outcome.
"""

from __future__ import annotations

import asyncio
import pickle
import resource
import sys

from stream.language.drafts import Draft, check_draft, parts
from stream.language.problems import Problem

#: What a check may take.
CHECKED_WITHIN_S = 10.0
_MEMORY_BYTES_MAX = 2 << 30
#: A shop's file has some hundreds.
PARTS_MAX = 20_000
#: Nobody mends more at once.
_PROBLEMS_MAX = 200
_SOURCE = "draft"


class DraftTooLargeError(Exception):
    """The draft took too long, or too much; ``str()`` is for people."""


async def checked_apart(text: bytes, present: bytes | None) -> Draft:
    """`check_draft` in another process. Raises ``DraftTooLargeError``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(CHECKED_WITHIN_S):
            out, err = await process.communicate(pickle.dumps((text, present)))
    except TimeoutError as error:
        raise DraftTooLargeError(f"the draft could not be checked within {CHECKED_WITHIN_S:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        last = err.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise DraftTooLargeError(f"the draft could not be checked: {last or f'exit code {process.returncode}'}")
    draft: Draft = pickle.loads(out)  # noqa: S301 (our own process wrote it)
    return draft


def _checked(text: bytes, present: bytes | None) -> Draft:
    draft = check_draft(text, _SOURCE, present)
    problems = draft.problems[:_PROBLEMS_MAX]
    if draft.definitions is not None and (count := parts(draft.definitions)) > PARTS_MAX:
        too_many = f"all conditions together have {count:,} parts, features written out: {PARTS_MAX:,} can be previewed"
        return Draft(None, draft.names, [*problems, Problem(_SOURCE, 1, 1, "error", too_many)])
    return Draft(draft.definitions, draft.names, problems)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(CHECKED_WITHIN_S) + 1, int(CHECKED_WITHIN_S) + 1))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES_MAX, _MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    text, present = pickle.load(sys.stdin.buffer)  # noqa: S301 (the worker wrote it)
    pickle.dump(_checked(text, present), sys.stdout.buffer)


if __name__ == "__main__":
    main()
