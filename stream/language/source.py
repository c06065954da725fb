"""A definitions file as YAML nodes that know their places.

Built on PyYAML's events instead of its loader: doubled keys have to be seen, scalars are read by YAML 1.2's rules
(``yes``, ``on``, ``0123`` and ``1:30`` are text), and an error within an expression has to be found in the file, in
whichever of YAML's five ways of writing text it stands.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import yaml

from stream.language.yaml_mistakes import NO_TAGS, YamlError, explain
from stream.language.yaml_scanner import TabScanner

MAX_CHARACTERS: Final = 1_048_576
MAX_NESTING: Final = 30

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
#: An anchor before a value, with what may lie between the two.
_PROPERTIES = re.compile(r"(?:&[^\s,\[\]{}]+(?:\s+|#[^\r\n]*[\r\n])*)?")
_AFTER_PLAIN = re.compile(r"[ \t]*([,#])")
_ESCAPE_LENGTHS = {"x": 2, "u": 4, "U": 8}
#: What YAML may add or take away where it folds lines; line breaks as YAML 1.1 (PyYAML) knows them.
_BLANKS = frozenset(" \t\r\n\x85\u2028\u2029")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text, a number, true, false or null. ``at`` is where it begins in the file (at its quote, or ``|``)."""

    at: int
    text: str
    value: str | int | float | bool | None
    style: str  # "" plain, or one of ' " | >
    raw: str  # as it stands in the file, from ``at``
    cut_by: str = ""  # plain text ends before a `,` within brackets (","), or before a comment ("#")

    def place_of(self, offset: int) -> int:
        """Where in the file the character at ``offset`` of ``text`` stands.

        However YAML folds lines and strips margins, the characters that are no white space keep their order; so they
        are counted, and white space itself is never asked for.
        """
        wanted = sum(1 for character in self.text[:offset] if character not in _BLANKS)
        return next(islice(self._visible_places(), wanted, None), self.at)

    def _visible_places(self) -> Iterator[int]:
        if self.style == '"':
            yield from self._visible_places_of_double_quoted()
            return
        start = 0
        if self.style in ("|", ">"):
            header = _LINE_BREAK.search(self.raw)
            start = header.end() if header else len(self.raw)
        skip_quote = self.style == "'"
        index = start + skip_quote
        while index < len(self.raw):
            character = self.raw[index]
            if character not in _BLANKS:
                yield self.at + index
                if skip_quote and character == "'":
                    index += 1  # of a doubled quote; the closing one ends the loop all the same
            index += 1

    def _visible_places_of_double_quoted(self) -> Iterator[int]:
        index = 1
        high_surrogate = False
        while index < len(self.raw):
            begin = index
            character = self.raw[index]
            index += 1
            if character == "\\" and index < len(self.raw):
                code = self.raw[index]
                length = _ESCAPE_LENGTHS.get(code, 0)
                index += 1 + length
                if length:
                    character = chr(int(self.raw[begin + 2 : index], 16))
                else:
                    character = TabScanner.ESCAPE_REPLACEMENTS.get(code, " ")  # else an escaped line break
            if high_surrogate and "\udc00" <= character <= "\udfff":
                high_surrogate = False
                continue  # the second half of a character that was counted already
            high_surrogate = "\ud800" <= character <= "\udbff"
            if character not in _BLANKS:
                yield self.at + begin


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order of the file; a doubled key is there twice."""

    at: int
    entries: tuple[tuple[Scalar, Node], ...]
    flow: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    at: int
    items: tuple[Node, ...]


Node = Scalar | Mapping | Sequence


class Lines:
    """Turns an index into the text into line and column, both from 1."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in _LINE_BREAK.finditer(text))]

    def position(self, index: int) -> tuple[int, int]:
        line = bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1


def read(text: str) -> Mapping:
    """The root of the YAML (or JSON) document in ``text``.

    Raises:
        YamlError: at the first place that is no YAML, or none of the YAML that a definitions file may be.
    """
    if len(text) > MAX_CHARACTERS:
        raise YamlError(0, f"the file is larger than {MAX_CHARACTERS:,} characters")
    try:
        loader = TabScanner(text)
    except yaml.reader.ReaderError as error:
        raise explain(error, text) from None
    try:
        return _Composer(loader, text).document()
    except yaml.YAMLError as error:
        raise explain(error, text) from None
    except (ValueError, OverflowError):  # an escape such as "\U00110000" names no character
        at = text.rfind("\\", 0, loader.get_mark().index)
        raise YamlError(max(at, 0), "this escape is no character") from None
    finally:
        loader.dispose()


class _Composer:
    """Events → nodes: anchors and aliases resolved, nesting bounded, tags refused."""

    def __init__(self, loader: TabScanner, text: str) -> None:
        self._loader = loader
        self._text = text
        self._anchors: dict[str, Node | None] = {}  # None while the node is being read

    def document(self) -> Mapping:
        self._take()  # the stream begins
        if isinstance(self._peek(), yaml.StreamEndEvent):
            raise YamlError(0, "the file is empty: it needs `version: 1` and `segments:`")
        self._take()  # the document begins
        root = self._node(0)
        self._take()  # the document ends
        if not isinstance(self._peek(), yaml.StreamEndEvent):
            at = _index(self._peek().start_mark)
            raise YamlError(at, "a second document begins here: a definitions file is one document")
        if isinstance(root, Scalar) and root.value is None:
            raise YamlError(0, "the file is empty: it needs `version: 1` and `segments:`")
        if not isinstance(root, Mapping):
            raise YamlError(root.at, "a definitions file is a mapping: `version: 1`, then `segments:` and the like")
        return root

    def _node(self, depth: int) -> Node:
        event = self._take()
        at = _index(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, at)
        if depth > MAX_NESTING:
            raise YamlError(at, f"nested more than {MAX_NESTING} levels deep")
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent), "the parser sees to that"
        if event.tag is not None:
            raise YamlError(at, NO_TAGS)
        anchor = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(at, depth)
        else:
            node = self._mapping(at, depth, bool(event.flow_style))
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _take(self) -> yaml.Event:
        return self._loader.get_event()  # type: ignore[no-untyped-call, no-any-return]

    def _peek(self) -> yaml.Event:
        return self._loader.peek_event()  # type: ignore[no-untyped-call, no-any-return]

    def _alias(self, name: str | None, at: int) -> Node:
        if name is None or name not in self._anchors:
            raise YamlError(at, f"`*{name}` refers to no anchor `&{name}` above it")
        node = self._anchors[name]
        if node is None:
            raise YamlError(at, f"`*{name}` refers to the very value that it is part of")
        return node

    def _sequence(self, at: int, depth: int) -> Sequence:
        items = []
        while not isinstance(self._peek(), yaml.SequenceEndEvent):
            items.append(self._node(depth + 1))
        self._take()
        return Sequence(at, tuple(items))

    def _mapping(self, at: int, depth: int, flow: bool) -> Mapping:
        entries = []
        while not isinstance(self._peek(), yaml.MappingEndEvent):
            key = self._node(depth + 1)
            if not isinstance(key, Scalar):
                raise YamlError(key.at, "a key has to be plain text")
            if key.text == "<<" and key.style == "":
                raise YamlError(key.at, "merge keys (`<<`) are not used here: share expressions through `features:`")
            entries.append((key, self._node(depth + 1)))
        self._take()
        return Mapping(at, tuple(entries), flow)

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        start, end = _index(event.start_mark), _index(event.end_mark)
        if event.anchor is not None:
            properties = _PROPERTIES.match(self._text, start, end)
            start = properties.end() if properties else start
        style = event.style or ""
        text, raw = event.value, self._text[start:end]
        scalar = Scalar(start, text, text, style, raw)
        if style == "":
            return Scalar(start, text, _resolve(text), style, raw, self._cut_by(end))
        return _join_surrogates(scalar) if style == '"' else scalar

    def _cut_by(self, end: int) -> str:
        following = _AFTER_PLAIN.match(self._text, end)
        return following[1] if following else ""


def _index(mark: object) -> int:
    assert isinstance(mark, yaml.Mark), "PyYAML marks every event"
    return mark.index


def _resolve(text: str) -> str | int | float | bool | None:
    """The value of plain text by the core schema of YAML 1.2, without octal and hexadecimal numbers."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _join_surrogates(scalar: Scalar) -> Scalar:
    r"""JSON writes characters beyond U+FFFF as two escapes (``\ud83d\ude00``), which YAML takes for two characters."""
    if not re.search("[\ud800-\udfff]", scalar.text):
        return scalar
    joined = scalar.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if "\ufffd" in joined and "\ufffd" not in scalar.text:
        raise YamlError(scalar.at, "this text holds half a character (a lone surrogate)")
    return Scalar(scalar.at, joined, joined, scalar.style, scalar.raw)
