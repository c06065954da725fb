"""What the examples in the docs really give. ``python -m tests.docs.examples`` writes it into the pages.

Read what it has changed before you keep it: an example that gives something else now may be a mistake in the program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from stream.contract import KINDS, TOPICS
from stream.events.columns import Rejection
from stream.events.decoder import Decoder
from stream.instants import parse_instant
from stream.language.checker import check
from tests.docs.pages import Block, all_blocks, blocks, page_id, pages
from tests.events.making import everything

_TOPICS = {topic: kind for kind, topic in TOPICS.items()}
_UNUSED = "is not used by any segment"
_DEEP = ("[[…]]", "[" * 100 + "]" * 100)


@lru_cache(maxsize=1)
def context() -> str:
    """The definitions file in which the pages' expressions are tried."""
    (block,) = [block for block in all_blocks("yaml", "file") if "context" in block.words]
    return block.text


def problems_of(expression: str, key: str = "segments") -> list[tuple[int, str]]:
    """Column (from 0) and ``severity: message`` of all that is wrong with an expression, within the context.

    ``key``: ``segments`` makes it the ``enter`` of a new segment, ``features`` a feature that nobody uses.
    """
    text = context() + f"  this_one:\n    enter: |\n      {expression}\n"
    line, indent = text.count("\n"), 6
    if key == "features":
        new = f"features:\n  this_one: |\n    {expression}\n"
        text = context().replace("features:\n", new, 1)
        line, indent = text[: text.index(new) + len(new)].count("\n"), 4
    found = [problem for problem in check(text, "segments.yaml").problems if not problem.message.endswith(_UNUSED)]
    assert all(problem.line == line for problem in found), f"{expression}: elsewhere: {found}"
    return [(problem.column - 1 - indent, f"{problem.severity}: {problem.message}") for problem in found]


def wrong(block: Block) -> str:
    """The expressions of a ``text wrong`` block with what is wrong with them."""
    out = []
    for line in block.text.splitlines():
        if line.lstrip().startswith("^ ") or not line.strip():
            continue
        out.append(f"{line}\n")
        out += [" " * at + f"^ {message}\n" for at, message in problems_of(line)]
    return "".join(out)


def refused(block: Block) -> str:
    """The messages of a ``text refused`` block with codes and reasons. Lines with ``#`` tell of the record."""
    out = []
    about = ""
    for line in block.text.splitlines():
        if line.startswith("  ") or not line.strip():
            continue
        out.append(f"{line}\n")
        if line.startswith("#"):
            about = line
            continue
        out += [f"  {rejection.code}: {rejection.reason}\n" for rejection in rejections(line, about)]
        about = ""
    return "".join(out)


def rejections(line: str, about: str) -> list[Rejection]:
    """What the decoder says to one message; ``about`` may name its topic, its key and the time of its record."""
    message = line.replace(*_DEEP).encode().replace(b"\\xff", b"\xff")
    decoder = Decoder(everything())
    facts = {words[0]: words[-1] for part in about.lstrip("# ").split(", ") if (words := part.split())}
    if "topic" not in facts:
        return decoder.decode_mixed([message])[1]
    keys = [facts["key"].encode()] if "key" in facts else [None] if "no" in facts else None
    record_ms = [parse_instant(facts["record"])] if "record" in facts else None
    return decoder.decode(_TOPICS[facts["topic"]], [message], record_ms, keys)[1]


def runs(path: Path) -> Iterator[tuple[Block, str]]:
    """Each ``console run`` and ``console help`` block of a page, and what it should say."""
    own = blocks(path)
    if not any(block.words[:1] == ("console",) and len(block.words) > 1 for block in own):
        return
    with TemporaryDirectory() as folder:
        for block in own:
            if block.is_named:
                (Path(folder) / block.name).write_text(block.text, encoding="utf-8")
            elif block.words in (("console", "run"), ("console", "help")):
                yield block, _run(block, folder)


def _run(block: Block, folder: str) -> str:
    out = []
    for line in block.text.splitlines():
        if not line.startswith("$ "):
            continue
        out.append(f"{line}\n")
        out += [f"{one.rstrip()}\n" for one in printed(line[2:], folder).splitlines()]
    return "".join(out)


def printed(command: str, folder: str) -> str:
    """What a command prints on standard output, and on standard error where its line redirects that.

    Numba's compiler stays off: for a handful of events plain Python is much faster than compiling.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEGSTREAM_")}
    environment |= {
        "NUMBA_DISABLE_JIT": "1",
        "COLUMNS": "100",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")]),
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def write_page(path: Path) -> bool:
    """Writes into a page what its examples give; whether that changed it."""
    before = path.read_text(encoding="utf-8")
    new: dict[int, str] = {block.line: text for block, text in runs(path)}
    for block in blocks(path):
        if block.words == ("text", "wrong"):
            new[block.line] = wrong(block)
        elif block.words == ("text", "refused"):
            new[block.line] = refused(block)
    lines = before.splitlines(keepends=True)
    for block in reversed(blocks(path)):
        if block.line in new:
            lines[block.line : block.line + block.text.count("\n")] = [new[block.line]]
    after = "".join(lines)
    path.write_text(after, encoding="utf-8")
    return after != before


def main() -> None:
    assert set(KINDS.values()) == set(TOPICS), "every kind has a topic"
    for path in pages():
        if write_page(path):
            print(f"{page_id(path)}: examples written anew")


if __name__ == "__main__":
    main()
