"""Where the parser stops, what the person probably meant: messages for text that is no expression."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from stream.language.syntax import ExpressionSyntaxError
from stream.language.words import FUNCTIONS, KEYWORDS, unit_of

_CHARACTERS = {
    "≥": "write `>=`",
    "≤": "write `<=`",
    "≠": "write `!=`",
    "\u00d7": "write `*`",
    "÷": "write `/`",
    "\u2212": "write `-`, the plain minus",
    "\u2013": "write `-`, the plain minus",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or `!=` to compare",
    "%": "write a share as a number, 25 % as `0.25`",
    "$": "an amount is a bare number",
    "€": "an amount is a bare number",
    "£": "an amount is a bare number",
    "#": "a comment cannot stand within an expression",
    "\\": "text has no escapes: text that holds one kind of quote stands in the other, `'say \"hi\"'`",
    "{": "brackets are round, lists square",
    "}": "brackets are round, lists square",
    "^": "there is no power operator",
    "`": "text stands in `\"` or `'`",
}
_CURLY_QUOTES = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2018\u2019\u201a\u201b\u2039\u203a"
_OPENING = {"LPAR": "(", "LSQB": "["}
_CLOSING = {"RPAR": "(", "RSQB": "["}
_OPERANDS = {"QUANTITY", "TEXT", "TRUE", "FALSE", "NAME"}
#: Words that other languages use where ours has another.
_FOREIGN = {
    "is": "write `==`",
    "equals": "write `==`",
    "like": "write `contains`, `starts_with` or `ends_with`",
    "matches": "write `contains`, `starts_with` or `ends_with`",
    "includes": "write `contains`, or `in [...]`",
    "between": "write `X >= 1 and X <= 5`",
    "xor": "write `!=` between two conditions in brackets",
    "mod": "there is no remainder",
    "if": "write the condition alone",
    "when": "write `where`",
    "has": "write `exists`",
    "within": "a window is the last argument, `count(click, 7d)`",
    "over": "a window is the last argument, `count(click, 7d)`",
    "per": "divide with `/`",
}


def unexpected_character(text: str, at: int) -> ExpressionSyntaxError:
    """The error for the character at ``at``, with which no token begins."""
    character = text[at]
    rest = text[at : at + 2]
    if character in "\"'":
        return ExpressionSyntaxError(at, f"this text has no closing `{character}`", is_unfinished=True)
    if rest in ("=>", "=<"):
        message = f"`{rest}` is no comparison: write `{rest[::-1]}`"
    elif character == "=":
        before = text[:at].rstrip()[-2:]
        message = f"`{before}=`: write `{before}`" if before in ("==", "!=") else "`=` is no comparison: write `==`"
    elif character in _CURLY_QUOTES:
        message = f"`{character}` is a curly quote: text stands in straight ones, `\"` or `'`"
    elif character in _CHARACTERS:
        message = f"unexpected `{character}`: {_CHARACTERS[character]}"
    elif not character.isprintable() or character.isspace():
        message = f"an invisible character (U+{ord(character):04X}): replace it with a plain space"
    else:
        message = f"unexpected `{character}`"
    return ExpressionSyntaxError(at, message)


def unexpected_token(text: str, before: Sequence[Token], token: Token | None) -> ExpressionSyntaxError:
    """The error for ``token`` (None: the end of the text), which cannot follow the tokens ``before``."""
    opened = _open_brackets(before)
    previous = before[-1] if before else None
    if token is None:
        return _unexpected_end(before, opened)
    return ExpressionSyntaxError(_start(token), _message(text, token, previous, before, opened))


def _unexpected_end(before: Sequence[Token], opened: Sequence[Token]) -> ExpressionSyntaxError:
    if not before:
        return ExpressionSyntaxError(0, "an expression is missing")
    last = before[-1]
    if opened and _ends_operand(last):
        return ExpressionSyntaxError(_start(opened[-1]), f"this `{opened[-1]}` is never closed", is_unfinished=True)
    return ExpressionSyntaxError(_start(last), f"something is missing after `{last}`", is_unfinished=True)


def _message(text: str, token: Token, previous: Token | None, before: Sequence[Token], opened: Sequence[Token]) -> str:
    bracket = _bracket_message(token, opened)
    if bracket is not None:
        return bracket
    if token.type == "NAME":
        word = _word_message(token, previous)
        if word is not None:
            return word
    if token.type == "WHERE":
        return _where_message(previous, opened)
    if token.type == "PLUS" and (previous is None or not _ends_operand(previous)):
        return "a number stands without `+`"
    if previous is None:
        return f"an expression cannot begin with `{token}`"
    if token.type == "RELATION" and previous.type == "RELATION":
        pair = f"{previous}{token}"
        return f"`{pair}` is no comparison: write `!=`" if pair == "<>" else f"`{pair}` is no comparison"
    if previous.type == "IN":
        return 'a list stands in square brackets: `in ["a", "b"]`'
    if token.type == "NOT" and not _ends_operand(previous):
        return f"put brackets around what is denied: `{previous} (not ...)`"
    if token.type == "COMMA" and not any(one.type == "LPAR" for one in opened) and _ends_operand(previous):
        return "unexpected `,`: it separates arguments within a function's brackets, and the items of a list"
    if _ends_operand(previous) and _begins_operand(token):
        if previous.type == "NAME" and str(previous) in FUNCTIONS:
            return f"`{previous}` needs brackets: `{FUNCTIONS[str(previous)]}`"
        return f"an operator (`and`, `or`, `==`, ...) is missing between `{_last_word(previous)}` and `{token}`"
    if _ends_operand(previous):
        return f"unexpected `{token}` after `{_last_word(previous)}`"
    return f"something is missing between `{previous}` and `{token}`"


def _bracket_message(token: Token, opened: Sequence[Token]) -> str | None:
    if token.type not in _CLOSING:
        return None
    if not opened:
        return f"this `{token}` closes nothing"
    if _OPENING[opened[-1].type] != _CLOSING[token.type]:
        return f"`{token}` cannot close the `{opened[-1]}` opened before it"
    return None


def _word_message(token: Token, previous: Token | None) -> str | None:
    word = str(token)
    if word not in KEYWORDS and word.lower() in KEYWORDS:
        return f"write `{word.lower()}` in small letters"
    if previous is not None and previous.type == "QUANTITY":
        unit = unit_of(word)
        if unit is not None and str(previous).isdigit():
            return f"a duration is written without a space: `{previous}{unit}`"
    if word.lower() in _FOREIGN and previous is not None and _ends_operand(previous):
        return f"unexpected `{word}`: {_FOREIGN[word.lower()]}"
    return None


def _where_message(previous: Token | None, opened: Sequence[Token]) -> str:
    if previous is not None and previous.type == "COMMA":
        return "`where` follows the kind without a comma: `count(click where price > 10)`"
    if not opened:
        return "`where` stands within a function's brackets: `count(click where price > 10)`"
    return "a `where` cannot stand here: a function has one, after its kind; join conditions with `and`"


def _open_brackets(tokens: Sequence[Token]) -> list[Token]:
    opened: list[Token] = []
    for token in tokens:
        if token.type in _OPENING:
            opened.append(token)
        elif token.type in _CLOSING and opened:
            opened.pop()
    return opened


def _ends_operand(token: Token) -> bool:
    return token.type in _OPERANDS or token.type in _CLOSING or token.type == "EXISTS"


def _begins_operand(token: Token) -> bool:
    return token.type in _OPERANDS or token.type in _OPENING or token.type == "EXISTS"


def _last_word(token: Token) -> str:
    return "..." + str(token) if token.type in _CLOSING else str(token)


def _start(token: Token) -> int:
    assert token.start_pos is not None, "the lexer gives every token its place"
    return token.start_pos
