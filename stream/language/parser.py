"""The text of one expression → its syntax tree with places.

The parser is LALR and builds nodes as it reduces, so neither long nor deep text makes it recurse.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from stream.language.mistakes import unexpected_character, unexpected_token
from stream.language.syntax import (
    Argument,
    Arithmetic,
    Call,
    Conjunction,
    Disjunction,
    Dotted,
    Existence,
    ExpressionSyntaxError,
    Inclusion,
    Minus,
    Name,
    Negation,
    Node,
    Quantity,
    Relation,
    Text,
    Truth,
)

if TYPE_CHECKING:
    _Nodes = Transformer[Token, Node]
else:
    _Nodes = Transformer


def parse(text: str) -> Node:
    """The syntax tree of ``text``.

    Raises:
        ExpressionSyntaxError: at the first place where the text stops being an expression.
    """
    parser = _parser()
    try:
        return parser.parse(text)  # type: ignore[return-value]  # the transformer leaves a Node in the tree's place
    except UnexpectedCharacters as error:
        raise unexpected_character(text, error.pos_in_stream or 0) from None
    except UnexpectedToken as error:
        token = error.token
        tokens = list(_tokens_before(parser, text, token))
        raise unexpected_token(text, tokens, None if token.type == "$END" else token) from None


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = files("stream.language").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", transformer=_Builder())


def _tokens_before(parser: Lark, text: str, stop: Token) -> list[Token]:
    tokens: list[Token] = []
    for token in parser.lex(text):
        if stop.type != "$END" and token.start_pos == stop.start_pos:
            break
        tokens.append(token)
    return tokens


class _Tail(NamedTuple):
    """What follows the left side of a comparison."""

    op: str
    op_at: int
    right: Node | tuple[Node, ...] | None


class _Arguments(NamedTuple):
    items: tuple[Argument, ...]


def _at(token: Token) -> int:
    assert token.start_pos is not None, "the lexer gives every token its place"
    return token.start_pos


@v_args(inline=True)
class _Builder(_Nodes):
    def disjunction(self, *operands: Node) -> Node:
        return operands[0] if len(operands) == 1 else Disjunction(operands[0].at, operands)

    def conjunction(self, *operands: Node) -> Node:
        return operands[0] if len(operands) == 1 else Conjunction(operands[0].at, operands)

    def negation(self, word: Token, operand: Node) -> Node:
        return Negation(_at(word), operand)

    def comparison(self, left: Node, *tails: _Tail) -> Node:
        if not tails:
            return left
        if len(tails) > 1:
            raise ExpressionSyntaxError(
                tails[1].op_at, "comparisons do not chain: join two of them with `and`, or put one in brackets"
            )
        op, op_at, right = tails[0]
        if right is None:
            return Existence(left.at, left)
        if isinstance(right, tuple):
            return Inclusion(left.at, left, right, op == "not in", op_at)
        return Relation(left.at, op, op_at, left, right)

    def relation(self, op: Token, right: Node) -> _Tail:
        return _Tail(str(op), _at(op), right)

    def inclusion(self, word: Token, items: tuple[Node, ...]) -> _Tail:
        return _Tail("in", _at(word), items)

    def exclusion(self, negation: Token, _: Token, items: tuple[Node, ...]) -> _Tail:
        return _Tail("not in", _at(negation), items)

    def existence(self, word: Token) -> _Tail:
        return _Tail("exists", _at(word), None)

    def list(self, *items: Node | None) -> tuple[Node, ...]:
        return tuple(item for item in items if item is not None)

    def arithmetic(self, left: Node, op: Token, right: Node) -> Node:
        return Arithmetic(left.at, str(op), _at(op), left, right)

    def minus(self, sign: Token, operand: Node) -> Node:
        if isinstance(operand, Quantity) and not operand.negative:
            return Quantity(_at(sign), operand.text, negative=True)
        return Minus(_at(sign), operand)

    def quantity(self, token: Token) -> Node:
        return Quantity(_at(token), str(token))

    def text(self, token: Token) -> Node:
        return Text(_at(token), str(token[1:-1]))

    def truth(self, token: Token) -> Node:
        return Truth(_at(token), token == "true")

    def name(self, token: Token) -> Node:
        return Name(_at(token), str(token))

    def dotted(self, name: Token, field: Token) -> Node:
        return Dotted(_at(name), str(name), str(field), _at(field))

    def call(self, name: Token, arguments: _Arguments | None) -> Node:
        return Call(_at(name), str(name), () if arguments is None else arguments.items)

    def arguments(self, *items: Argument) -> _Arguments:
        return _Arguments(items)

    def argument(self, value: Node, word: Token | None, where: Node | None) -> Argument:
        return Argument(value, where, -1 if word is None else _at(word))
