"""What PyYAML says about a file that is no YAML, in words that help someone who writes segments."""

from __future__ import annotations

import re

import yaml

_BLOCK_HINT = "write the expression as a block, `enter: |`, on the lines below it, indented"
NO_TAGS = "a `!` begins a YAML tag, and tags are not used here (to deny a condition, write `not`)"
#: The beginnings of PyYAML's texts, and what they mean in a definitions file.
_EXPLANATIONS = {
    "mapping values are not allowed here": (
        f"a `:` cannot stand here: a value that holds `: ` needs quotes (or {_BLOCK_HINT}), "
        "and keys of one level the same indentation"
    ),
    "expected <block end>, but found '<scalar>'": f"text after a closing quote: {_BLOCK_HINT}",
    "expected <block end>, but found '<block mapping start>'": "the indentation differs from that of the keys above",
    "expected <block end>, but found '<block sequence start>'": "the indentation differs from that of the lines above",
    "expected <block end>, but found '-'": "a list item among keys: indent it under its key",
    "expected <block end>, but found '?'": "the indentation differs from that of the keys above",
    "expected <block end>": "the indentation differs from that of the lines above, or a bracket or quote is misplaced",
    "expected ',' or '}'": "`,` or `}` is missing (within braces an expression needs quotes)",
    "expected ',' or ']'": "`,` or `]` is missing",
    "sequence entries are not allowed here": "a `- ` cannot stand here: a list begins on a line of its own",
    "found unknown escape character": "unknown escape in double quotes (a backslash is written `\\\\`)",
    "found unexpected document separator": "`---` within quotes",
    "did not find expected comment or line break": "a line break has to follow `|` or `>`",
    "expected chomping or indentation indicators": "a line break has to follow `|` or `>`",
    "expected a comment or a line break": "a line break has to follow `|` or `>`",
    "expected '<document start>'": "the file is one mapping: this belongs to none of its keys",
    "found duplicate %YAML directive": "a doubled %YAML directive",
}
_CHARACTER = re.compile(r"found character '(.+)' that cannot start any token")


class YamlError(Exception):
    """The text is no definitions file that could be looked into; ``at`` is the place. Caught by the checker."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at
        self.message = message


def explain(error: yaml.YAMLError, text: str) -> YamlError:
    """PyYAML's error as one of ours."""
    if isinstance(error, yaml.reader.ReaderError):
        return YamlError(error.position, f"a character that YAML does not allow (U+{ord(text[error.position]):04X})")
    assert isinstance(error, yaml.MarkedYAMLError), "PyYAML marks every other error"
    problem = str(error.problem)
    mark = error.problem_mark or error.context_mark
    context = str(error.context or "")
    if problem == "found unexpected end of stream" and "quoted scalar" in context:
        return YamlError(_index(error.context_mark), "this quote is never closed")
    if problem.startswith("could not find expected ':'"):
        return YamlError(_index(error.context_mark), "a key needs a `:` after it")
    if "flow" in context and "<stream end>" in problem:
        return YamlError(_index(error.context_mark), "this bracket is never closed")
    if context == "while scanning a tag":
        return YamlError(_index(error.context_mark), NO_TAGS)
    character = _CHARACTER.search(problem)
    if character is not None:
        return YamlError(_index(mark), _bad_start(character[1]))
    for beginning, message in _EXPLANATIONS.items():
        if problem.startswith(beginning):
            return YamlError(_index(mark), message)
    return YamlError(_index(mark), f"this is no YAML: {problem}")


def _bad_start(character: str) -> str:
    if character == "\\t":
        return "a tab cannot indent: use spaces"
    return f"a value cannot begin with `{character}`: put quotes around it"


def _index(mark: yaml.Mark | None) -> int:
    return 0 if mark is None else mark.index
