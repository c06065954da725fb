"""The definitions file as it was written: the text of each segment, for people to read."""

from __future__ import annotations

import textwrap

from stream.language.source import Mapping, read


def sources(text: str) -> dict[str, str]:
    """The lines of each segment in a definitions file that has no error, by its name, without their margin.

    Segments that share lines with others (as in JSON) are left out.
    """
    text = text.removeprefix("\ufeff")
    root = read(text)
    top = root.entries
    found: dict[str, str] = {}
    for place, (key, node) in enumerate(top):
        if key.text == "segments" and isinstance(node, Mapping):
            end = top[place + 1][0].at if place + 1 < len(top) else len(text)
            found = _segments(text, node, end)
    return found


def _segments(text: str, segments: Mapping, end: int) -> dict[str, str]:
    keys = [key for key, _ in segments.entries]
    begins = [text.rfind("\n", 0, key.at) + 1 for key in keys]
    ends = [*begins[1:], text.rfind("\n", 0, end) + 1 if end < len(text) else end]
    return {
        key.text: _trimmed(text[begin:until])
        for key, begin, until in zip(keys, begins, ends, strict=True)
        if begin < until and not text[begin : key.at].strip()
    }


def _trimmed(lines: str) -> str:
    """Without the margin, and without what stands behind the segment: blank lines, and comments on what follows."""
    kept = lines.rstrip().split("\n")
    margin = len(kept[0]) - len(kept[0].lstrip())
    while len(kept) > 1:
        line = kept[-1]
        is_comment = line.lstrip().startswith("#") and len(line) - len(line.lstrip()) <= margin
        if line.strip() and not is_comment:
            break
        kept.pop()
    return textwrap.dedent("\n".join(kept)) + "\n"
