"""How expressions are written: C's operators with C's precedence, on text that anybody may have typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dynarec.debug.arithmetic import INT, INT_SIZE, LONGEST, UNSIGNED, VOID, AnyType, Integer, MistakeError, Pointer
from dynarec.debug.nodes import (
    Address,
    Binary,
    Cast,
    Choice,
    Dereference,
    Element,
    Literal,
    Logical,
    MemberOf,
    Memory,
    Name,
    Node,
    Unary,
)

MAX_LENGTH = 1000
MAX_TOKENS = 256
MAX_DEPTH = 100
"""Brackets and operators before operands, within each other."""
TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[0-9][0-9A-Za-z_]*) | (?P<name>\$?[A-Za-z_][0-9A-Za-z_]*) |
    (?P<char>'(?:\\(?:x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|[abefnrtv0\\'"?])|[\x20-\x26\x28-\x5b\x5d-\x7e])') |
    (?P<op><<|>>|<=|>=|==|!=|&&|\|\||->|[-+*/%&|^~!<>=?:()\[\].]) | (?P<end>$) )""",
    re.VERBOSE | re.ASCII,
)
NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)([uU]?[lL]{0,2}|[lL]{1,2}[uU])", re.ASCII)
ESCAPES = {"a": 7, "b": 8, "e": 27, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34, "?": 63}
PRECEDENCE = {
    op: level
    for level, ops in enumerate(
        ("||", "&&", "|", "^", "&", "== !=", "< <= > >=", "<< >>", "+ -", "* / %"),
    )
    for op in ops.split()
}
LOGICAL = ("&&", "||")
SHORT = {
    f"{'u' if unsigned else 'i'}{8 * size}": Integer(size, not unsigned) for size in (1, 2, 4) for unsigned in (0, 1)
}
WORDS = frozenset({"void", "_Bool", "bool", "char", "short", "int", "long", "signed", "unsigned", "const", "volatile"})
IGNORED = ("const", "volatile", "int")
WHOLE_NAMES: dict[str, AnyType] = {
    "_Bool": Integer(1, False, True),
    "bool": Integer(1, False, True),
    "size_t": UNSIGNED,
    **SHORT,
    **{
        f"{'u' if unsigned else ''}int{8 * size}_t": Integer(size, not unsigned)
        for size in (1, 2, 4, 8)
        for unsigned in (0, 1)
    },
}
TYPES: dict[str, AnyType] = {
    "": INT, "signed": INT, "unsigned": UNSIGNED, "long": INT, "long signed": INT, "long unsigned": UNSIGNED,
    "char": Integer(1, False), "char unsigned": Integer(1, False), "char signed": Integer(1, True),
    "short": Integer(2, True), "short signed": Integer(2, True), "short unsigned": Integer(2, False),
    "long long": Integer(LONGEST, True), "long long signed": Integer(LONGEST, True),
    "long long unsigned": Integer(LONGEST, False), "void": VOID,
}  # fmt: skip
"""By their words in order, without those that change nothing. `char` is unsigned, as in the RISC-V psABI."""


@dataclass(frozen=True, slots=True)
class Token:
    """kind: number, name, char, op or end."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """`x = 3`"""

    target: Node
    value: Node


def tokens(text: str) -> Iterator[Token]:
    """The words of an expression, and an end. Raises MistakeError."""
    if len(text) > MAX_LENGTH:
        raise MistakeError(f"an expression has at most {MAX_LENGTH} characters", MAX_LENGTH)
    at = 0
    while True:
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            blanks = len(text) - len(text[at:].lstrip())
            raise MistakeError(f"{text[blanks]!r} means nothing here", blanks)
        kind, at = match.lastgroup, match.end()
        yield Token(kind, match[kind], match.start(kind))
        if kind == "end":
            return


def parse_text(text: str) -> Node | Assignment:
    """Raises MistakeError."""
    return _Parser(text).whole()


class _Parser:
    """Takes the words one after the other."""

    def __init__(self, text: str) -> None:
        self._left = list(tokens(text))[::-1]
        if len(self._left) > MAX_TOKENS:
            raise MistakeError(f"an expression has at most {MAX_TOKENS} words", self._left[-MAX_TOKENS].at)
        self._depth = 0

    @property
    def _next(self) -> Token:
        return self._left[-1]

    def whole(self) -> Node | Assignment:
        first = self._expression()
        found = Assignment(first, self._expression()) if self._take("=") else first
        if self._next.kind != "end":
            raise MistakeError(f"{self._next.text!r} is not expected", self._next.at)
        return found

    def _take(self, *ops: str) -> Token | None:
        """The next word, if it is one of these operators."""
        return self._left.pop() if self._next.kind == "op" and self._next.text in ops else None

    def _need(self, op: str) -> None:
        if not self._take(op):
            what = repr(self._next.text) if self._next.text else "the end"
            raise MistakeError(f"{op!r} is expected before {what}", self._next.at)

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        if self._depth == MAX_DEPTH:
            raise MistakeError("it is nested too deeply", self._next.at)
        self._depth += 1
        yield
        self._depth -= 1

    def _expression(self) -> Node:
        with self._deeper():
            condition = self._binary(0)
            question = self._take("?")
            if question is None:
                return condition
            then = self._expression()
            self._need(":")
            return Choice(question.at, condition, then, self._expression())

    def _binary(self, level: int) -> Node:
        """Operators that bind at least so tightly, from left to right."""
        left = self._unary()
        while self._next.kind == "op" and PRECEDENCE.get(self._next.text, -1) >= level:
            token = self._left.pop()
            right = self._binary(PRECEDENCE[token.text] + 1)
            kind = Logical if token.text in LOGICAL else Binary
            left = kind(token.at, token.text, left, right)
        return left

    def _unary(self) -> Node:
        with self._deeper():
            token = self._take("-", "+", "~", "!", "*", "&")
            if token is None:
                return self._cast()
            operand = self._unary()
            if token.text == "*":
                return Dereference(token.at, operand)
            return Address(token.at, operand) if token.text == "&" else Unary(token.at, token.text, operand)

    def _cast(self) -> Node:
        opening = self._take("(")
        if opening is None:
            return self._postfix(self._primary())
        if self._is_type():
            type_ = self._type()
            self._need(")")
            return Cast(opening.at, type_, self._unary())
        inner = self._expression()
        self._need(")")
        return self._postfix(inner)

    def _postfix(self, node: Node) -> Node:
        while token := self._take("[", ".", "->"):
            if token.text == "[":
                node = Element(token.at, node, self._expression())
                self._need("]")
            else:
                node = MemberOf(token.at, node, self._member(), token.text == "->")
        return node

    def _member(self) -> str:
        token = self._left.pop() if self._next.kind == "name" else None
        if token is None:
            raise MistakeError("the name of a member is expected", self._next.at)
        return token.text

    def _primary(self) -> Node:
        token = self._next
        if token.kind == "number":
            return _number(self._left.pop())
        if token.kind == "char":
            return Literal(token.at, _character(self._left.pop().text[1:-1]), INT)
        if token.kind != "name":
            raise MistakeError(
                f"a value is expected before {token.text!r}" if token.text else "it ends too early", token.at
            )
        self._left.pop()
        if token.text not in SHORT or not self._take("["):
            return Name(token.at, token.text)
        address = self._expression()
        self._need("]")
        return Memory(token.at, SHORT[token.text], address)

    def _is_type(self) -> bool:
        """Whether a type is next; `u8[` reads memory."""
        text = self._next.text
        is_memory = text in SHORT and self._left[-2].text == "["
        return self._next.kind == "name" and (text in WORDS or text in WHOLE_NAMES) and not is_memory

    def _type(self) -> AnyType:
        first = self._next
        words = []
        while self._is_type():
            words.append(self._left.pop().text)
        found = _type_of([word for word in words if word not in IGNORED])
        if found is None:
            raise MistakeError(f"{' '.join(words)!r} is no type", first.at)
        while self._take("*"):
            found = Pointer(found)
        return found


def _type_of(words: list[str]) -> AnyType | None:
    if len(words) == 1 and words[0] in WHOLE_NAMES:
        return WHOLE_NAMES[words[0]]
    return TYPES.get(" ".join(sorted(words)))


def _number(token: Token) -> Literal:
    """A number of C; one that fits no int is unsigned, or of 64 bits."""
    match = NUMBER.fullmatch(token.text)
    if match is None:
        raise MistakeError(f"{token.text!r} is no number", token.at)
    digits, suffix = match[1], match[2].lower()
    is_octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    value = int(digits, 8 if is_octal else 0)
    size = INT_SIZE if value >> 32 == 0 and "ll" not in suffix else LONGEST
    if value >> 64:
        raise MistakeError(f"{token.text} has more than 64 bits", token.at)
    return Literal(token.at, value, Integer(size, "u" not in suffix and not value >> (8 * size - 1)))


def _character(text: str) -> int:
    if text[0] != "\\":
        return ord(text)
    if text[1] == "x":
        return int(text[2:], 16)
    return int(text[1:], 8) & 0xFF if text[1].isdigit() else ESCAPES[text[1]]
