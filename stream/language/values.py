"""The plain values of a definitions file: each read as what its key asks for, or reported."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import date

from stream.language.literals import LiteralError, complaint, read_duration, read_number
from stream.language.scope import Report
from stream.language.source import Mapping, Node, Scalar, Sequence
from stream.language.suggest import did_you_mean, nearest
from stream.language.words import NAME, PERSONA_PREFIX, RESERVED

_TRUE_WORDS = ("yes", "on", "y")
_FALSE_WORDS = ("no", "off", "n")


class Entries(dict[str, tuple[Scalar, Node]]):
    """Key → key and value of a mapping; ``meant`` are the keys that misspelled ones probably stand for."""

    def __init__(self) -> None:
        super().__init__()
        self.meant: set[str] = set()

    def lacks(self, name: str) -> bool:
        """Whether ``name`` is missing, and no misspelling of it was reported."""
        return name not in self and name not in self.meant


class Values:
    """Reads values; each method returns None when the value is wrong, after reporting it."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def entries(self, node: Mapping, known: Iterable[str] | None, what: str) -> Entries:
        """Key → key and value, the first of doubled ones; unknown keys (where ``known`` are given) are left out."""
        names = None if known is None else list(known)
        found = Entries()
        for key, value in node.entries:
            if names is not None and key.text not in names:
                free = [name for name in names if name not in found]
                found.meant.add(nearest(key.text, free) or "")
                self._report.error(key.at, f"unknown key `{key.text}` {what}{did_you_mean(key.text, free)}")
            elif key.text in found:
                line = self._report.line(found[key.text][0].at)
                self._report.error(key.at, f"doubled key `{key.text}`: it stands in line {line} already")
            else:
                found[key.text] = (key, value)
        return found

    def is_empty(self, key: Scalar, node: Node, hint: str = "give it a value, or leave the key out") -> bool:
        """Whether the value is empty, which is reported: at the value, or at its key when there is nothing at all."""
        if not isinstance(node, Scalar) or (node.text.strip() and node.value is not None):
            return False
        at = key.at if not node.raw else node.at
        self._report.error(at, f"`{key.text}` is empty: {hint}")
        return True

    def check_name(self, key: Scalar, what: str) -> None:
        """Report a name that no ``what`` (segment, feature) may have."""
        name = key.text
        if name in RESERVED:
            self._report.error(key.at, f"`{name}` is a word of the language: a {what} cannot be called so")
        elif not NAME.fullmatch(name):
            better = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
            fits = NAME.fullmatch(better) and better not in RESERVED
            hint = f" (`{better}`?)" if fits else ""
            rule = "is called by small letters, digits and `_`, beginning with a letter, at most 64"
            self._report.error(key.at, f"a {what} {rule}{hint}")
        elif what == "segment" and name.startswith(PERSONA_PREFIX):
            self._report.error(
                key.at, f"names that begin with `{PERSONA_PREFIX}` are kept for the segments of clustering"
            )

    def mapping(self, key: Scalar, node: Node, example: str, *, is_required: bool = False) -> Mapping | None:
        if self.is_empty(key, node, *([f"it needs {example}"] if is_required else [])):
            return None
        if isinstance(node, Mapping):
            return node
        self._report.error(node.at, f"`{key.text}` is a mapping: {example}")
        return None

    def expression(self, key: Scalar, node: Node) -> Scalar | None:
        """A scalar that holds an expression, whatever YAML takes it for (``true``, ``5``)."""
        if self.is_empty(key, node, *(["a condition is needed"] if key.text == "enter" else [])):
            return None
        if isinstance(node, Scalar):
            return node
        what = "a list" if isinstance(node, Sequence) else "a mapping"
        hint = " (in `{...}` an expression needs quotes)" if isinstance(node, Mapping) and node.flow else ""
        self._report.error(node.at, f"`{key.text}` is an expression, not {what}{hint}")
        return None

    def text(self, key: Scalar, node: Node) -> str | None:
        if self.is_empty(key, node):
            return None
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node.value
        hint = f': put it in quotes, `"{node.text}"`' if isinstance(node, Scalar) else ""
        self._report.error(node.at, f"`{key.text}` is text{hint}")
        return None

    def truth(self, key: Scalar, node: Node) -> bool | None:
        if self.is_empty(key, node):
            return None
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        word = node.text.lower() if isinstance(node, Scalar) else ""
        meant = "true" if word in (*_TRUE_WORDS, "true") else "false" if word in (*_FALSE_WORDS, "false") else None
        hint = f" (did you mean `{meant}`?)" if meant else ""
        self._report.error(node.at, f"`{key.text}` is `true` or `false`{hint}")
        return None

    def whole(self, key: Scalar, node: Node, low: int, high: int | None) -> int | None:
        """A whole number from ``low`` to ``high``, both included."""
        if self.is_empty(key, node):
            return None
        value = node.value if isinstance(node, Scalar) else None
        span = f"from {low} to {high}" if high is not None else f"of at least {low}"
        if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
            self._report.error(node.at, f"`{key.text}` is a whole number {span}")
            return None
        return value

    def number(self, key: Scalar, node: Node, accepts: Callable[[float], bool], what: str) -> float | None:
        if self.is_empty(key, node):
            return None
        value = node.value if isinstance(node, Scalar) else None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
            or not accepts(value)
        ):
            self._report.error(node.at, f"`{key.text}` is {what}")
            return None
        return float(value)

    def duration(self, key: Scalar, node: Node) -> int | None:
        """Milliseconds of a duration; a bare ``0`` needs no unit."""
        if self.is_empty(key, node):
            return None
        if not isinstance(node, Scalar) or isinstance(node.value, bool):
            self._report.error(node.at, f"`{key.text}` is a duration, such as `30m`")
            return None
        text = node.text.strip()
        try:
            duration = read_duration(text)
            number = read_number(text) if duration is None else None
        except LiteralError as error:
            self._report.error(node.place_of(0), str(error))
            return None
        if duration is not None or number == 0:
            return duration or 0
        if number is not None:
            message = f"`{key.text}` needs a unit: `{text}` of what? (`{text}m`, `{text}h`, `{text}d`, ...)"
        elif text[:1].isdigit() or text[:1] == ".":
            message = complaint(text)
        else:
            message = f"`{key.text}` is a duration, such as `30m`"
        self._report.error(node.place_of(0), message)
        return None

    def texts(self, key: Scalar, node: Node) -> list[tuple[int, str]] | None:
        """A list of text, each item with its place."""
        if self.is_empty(key, node):
            return None
        if not isinstance(node, Sequence):
            hint = f": `{key.text}: [{node.text}]`" if isinstance(node, Scalar) and len(node.text) < 60 else ""
            self._report.error(node.at, f"`{key.text}` is a list{hint}")
            return None
        found: list[tuple[int, str]] = []
        for item in node.items:
            if isinstance(item, Scalar) and isinstance(item.value, str) and item.value.strip():
                found.append((item.at, item.value))
            elif isinstance(item, Scalar) and item.value is not None and item.value != "":
                self._report.error(item.at, f'`{key.text}` is a list of text: put this in quotes, `"{item.text}"`')
            else:
                empty = isinstance(item, Scalar)
                at = item.at
                self._report.error(at, f"`{key.text}` is a list of text, and this is {'empty' if empty else 'none'}")
        return found if len(found) == len(node.items) else None

    def day(self, key: Scalar, node: Node) -> str | None:
        """A date as ``2025-12-31``."""
        if self.is_empty(key, node):
            return None
        text = node.value if isinstance(node, Scalar) else None
        try:
            if isinstance(text, str) and len(text) == 10:
                return date.fromisoformat(text).isoformat()
        except ValueError:
            pass
        self._report.error(node.at, f"`{key.text}` is a date such as `2026-01-31`")
        return None

    def choice(self, key: Scalar, node: Node, choices: Iterable[str]) -> str | None:
        if self.is_empty(key, node):
            return None
        options = list(choices)
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, str) and value in options:
            return value
        guess = nearest(value, options) if isinstance(value, str) else None
        hint = f" (did you mean `{guess}`?)" if guess else ""
        listed = ", ".join(f"`{option}`" for option in options[:-1]) + f" or `{options[-1]}`"
        self._report.error(node.at, f"`{key.text}` is {listed}{hint}")
        return None
