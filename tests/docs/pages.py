"""The README and the pages under ``docs/`` taken apart: fenced blocks, tables, words in code, links.

A fenced block says on its fence what it is, and the tests hold it to that:

* ``yaml file [NAME]``: a whole definitions file in which ``check`` finds nothing at all; with ``context`` behind the
  name it is also the file in which the page's expressions are tried.
* ``yaml wrong NAME``: a definitions file with errors.
* ``json events NAME``: valid events, one a line. ``json lines NAME``: lines, valid or not.
* ``json click``, ``json purchase``, ``json email``: one event of a topic, in any layout.
* ``json change``, ``json rejected``: one record as its schema says.
* ``text wrong``: expressions, each followed by what ``check`` says, with ``^`` at the place.
* ``text refused``: messages, each followed by the code and the reason of their refusal.
* ``console run``: commands behind ``$``, each followed by what it prints on standard output. They run in one folder,
  where the page's named blocks above are files.
* ``console help``: the same, for the help of a command.

In tables the head of the first column says what is under it: ``expression`` and ``condition`` are tried, ``written``
must have the canonical text beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"(`{3,})(.*)")
_CODE = re.compile(r"(`+) ?(.+?) ?\1(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_RULE = re.compile(r"\|(?: *:?-+:? *\|)+")


@dataclass(frozen=True)
class Block:
    """A fenced block: ``line`` (from 1) is that of its fence, ``words`` what stands on the fence."""

    page: Path
    line: int
    words: tuple[str, ...]
    text: str

    @property
    def is_named(self) -> bool:
        """Whether it is a file that commands further down may read."""
        kinds = (("yaml", "file"), ("yaml", "wrong"), ("json", "events"), ("json", "lines"))
        return self.words[:2] in kinds and len(self.words) > 2

    @property
    def name(self) -> str:
        return self.words[2] if self.is_named else "segments.yaml"

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True)
class Table:
    """A table: its head, and its rows of cells, as they are written."""

    page: Path
    line: int
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def pages() -> list[Path]:
    """The README, and every page under ``docs/``."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def page_id(path: Path) -> str:
    """How a test is called that is about one page."""
    return path.relative_to(ROOT).as_posix()


def page(name: str) -> str:
    """The text of ``docs/NAME.md``."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """A section of ``docs/NAME.md``, from its heading to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    _, found, rest = page(name).partition(f"\n{heading}\n")
    assert found, f"{name}.md has no section {heading!r}"
    return re.split(rf"\n#{{1,{level}}} ", rest)[0]


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    fence = ""
    start = 0
    inside: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = _FENCE.fullmatch(line)
        if not fence and match:
            fence, start, inside = line, number, []
        elif fence and match and match[1] == fence[: len(match[1])] and not match[2]:
            words = tuple(fence.strip("`").split())
            found.append(Block(path, start, words, "".join(f"{one}\n" for one in inside)))
            fence = ""
        elif fence:
            inside.append(line)
    assert not fence, f"{path.name}:{start}: this block is never closed"
    return found


def all_blocks(*words: str) -> list[Block]:
    """The blocks of all pages whose fences begin with ``words``."""
    return [block for path in pages() for block in blocks(path) if block.words[: len(words)] == words]


def prose(path: Path) -> str:
    """A page without its fenced blocks; their lines are left empty."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for block in blocks(path):
        count = block.text.count("\n") + 2
        lines[block.line - 1 : block.line - 1 + count] = [""] * count
    return "\n".join(lines)


def tables(path: Path) -> list[Table]:
    """The tables of a page, in order."""
    found: list[Table] = []
    lines = prose(path).splitlines()
    for at in range(1, len(lines)):
        if not _RULE.fullmatch(lines[at]):
            continue
        rows = []
        for line in lines[at + 1 :]:
            if not line.startswith("|"):
                break
            rows.append(_cells(line))
        found.append(Table(path, at, _cells(lines[at - 1]), tuple(rows)))
    return found


def first_column(text: str) -> list[str]:
    """What stands in code in the first cells of all tables in a piece of a page, in order."""
    return [word for line in text.splitlines() if line.startswith("| `") for word in codes(_cells(line)[0])]


def all_tables(first: str) -> list[Table]:
    """The tables of all pages with this head of the first column."""
    return [table for path in pages() for table in tables(path) if table.head[0] == first]


def rows_of(page_name: str, first: str) -> list[tuple[str, ...]]:
    """The rows of all tables of ``docs/NAME.md`` with this head of the first column."""
    found = [table.rows for table in tables(DOCS / f"{page_name}.md") if table.head[0] == first]
    assert found, f"{page_name}.md has no table whose first column is called {first!r}"
    return [row for rows in found for row in rows]


def codes(text: str) -> list[str]:
    """The words set in code, in order."""
    return [match[2] for match in _CODE.finditer(text)]


def code(cell: str) -> str:
    """The first word set in code."""
    found = codes(cell)
    assert found, f"nothing in code in {cell!r}"
    return found[0]


def links(path: Path) -> Iterator[str]:
    """Where the links of a page lead."""
    without_code = _CODE.sub("", prose(path))
    for match in _LINK.finditer(without_code):
        yield match[1]


def anchors(path: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    found = set()
    for line in prose(path).splitlines():
        if line.startswith("#"):
            heading = line.lstrip("#").strip().lower()
            found.add(re.sub(r"[^\w\- ]", "", heading).replace(" ", "-"))
    return found


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
