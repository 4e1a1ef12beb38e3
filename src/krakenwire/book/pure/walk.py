"""A walk over JSON text: what is valid, and where it breaks."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import NoReturn

from krakenwire.book import reasons
from krakenwire.errors import FrameError

__all__ = ["Walker", "broken"]

_SPACE = re.compile(rb"[ \t\n\r]*").match
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*').match
_DIGITS = re.compile(rb"[0-9]*").match
_HEX = re.compile(rb"[0-9a-fA-F]{4}").match
_ESCAPES = b'"\\/bfnrt'
_LITERALS = {b"t": b"true", b"f": b"false", b"n": b"null"}


def broken(reason: str, at: int) -> NoReturn:
    """The frame breaks at byte `at`."""
    raise FrameError(reason, at)


class Walker:
    """Walks one frame. Every method is given the position where something starts and returns the one after it."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.end = len(frame)

    def space(self, p: int) -> int:
        """White space, or nothing."""
        return _SPACE(self.frame, p).end()  # type: ignore[union-attr]  # it matches nothing, too

    def at(self, p: int) -> bytes:
        """The byte at `p`; empty at the end of the frame."""
        return self.frame[p : p + 1]

    def wrong(self, p: int, reason: str) -> NoReturn:
        """What is at `p` is not what is wanted there, unless the frame has ended."""
        broken(reason if p < self.end else reasons.END, p)

    def value(self, p: int, depth: int) -> int:
        """Any value; a container at `p` is the `depth`th around its content."""
        first = self.at(p)
        if first == b'"':
            return self.string(p)
        if first == b"{":
            return self.object(p, depth, lambda key_at, key_end, value_at: self.value(value_at, depth + 1))
        if first == b"[":
            return self.array(p, depth, lambda index, value_at: self.value(value_at, depth + 1))
        if first.isdigit() or first == b"-":
            return self.number(p, self.end)
        literal = _LITERALS.get(first)
        if literal is None or not self.frame.startswith(literal, p):
            self.wrong(p, reasons.VALUE)
        return p + len(literal)

    def object(self, p: int, depth: int, member: Callable[[int, int, int], int]) -> int:
        """An object; `member(key_at, key_end, value_at)` walks each value."""
        if depth > reasons.MAX_NESTING:
            broken(reasons.NESTING, p)
        p = self.space(p + 1)
        if self.at(p) == b"}":
            return p + 1
        while True:
            if self.at(p) != b'"':
                self.wrong(p, reasons.KEY)
            key_at, key_end = p, self.string(p)
            p = self.space(key_end)
            if self.at(p) != b":":
                self.wrong(p, reasons.COLON)
            p = self.space(member(key_at, key_end, self.space(p + 1)))
            if self.at(p) == b"}":
                return p + 1
            if self.at(p) != b",":
                self.wrong(p, reasons.NEXT_MEMBER)
            p = self.space(p + 1)

    def array(self, p: int, depth: int, element: Callable[[int, int], int]) -> int:
        """An array; `element(index, value_at)` walks each value."""
        if depth > reasons.MAX_NESTING:
            broken(reasons.NESTING, p)
        p = self.space(p + 1)
        if self.at(p) == b"]":
            return p + 1
        for index in itertools.count():
            p = self.space(element(index, p))
            if self.at(p) == b"]":
                break
            if self.at(p) != b",":
                self.wrong(p, reasons.NEXT_ELEMENT)
            p = self.space(p + 1)
        return p + 1

    def number(self, p: int, end: int) -> int:
        """A number that may reach up to `end`."""
        if self.at(p) == b"-":
            p += 1
        if p < end and self.at(p) == b"0":
            p += 1
            if p < end and self.at(p).isdigit():
                broken(reasons.NUMBER, p)
        else:
            p = self.digits(p, end)
        if p < end and self.at(p) == b".":
            p = self.digits(p + 1, end)
        if p < end and self.at(p) in (b"e", b"E"):
            p += 1
            if p < end and self.at(p) in (b"+", b"-"):
                p += 1
            p = self.digits(p, end)
        return p

    def digits(self, p: int, end: int) -> int:
        """At least one digit."""
        after = _DIGITS(self.frame, p, end).end()  # type: ignore[union-attr]  # it matches nothing, too
        if after == p:
            self.wrong(p, reasons.NUMBER)
        return after

    def string(self, p: int) -> int:
        """A string, of valid UTF-8 and without lone surrogates."""
        p += 1
        while True:
            after = _PLAIN(self.frame, p).end()  # type: ignore[union-attr]  # it matches nothing, too
            try:
                self.frame[p:after].decode()
            except UnicodeDecodeError as error:
                broken(reasons.UTF8, p + error.start)
            p = after
            char = self.at(p)
            if char == b'"':
                return p + 1
            if char != b"\\":
                self.wrong(p, reasons.CONTROL)
            p = self.escape(p)

    def escape(self, p: int) -> int:
        """What a backslash at `p` begins: a whole surrogate pair, if it is one."""
        kind = self.at(p + 1)
        if kind != b"u":
            if p + 1 >= self.end:
                broken(reasons.END, self.end)
            if kind not in _ESCAPES:
                broken(reasons.ESCAPE, p)
            return p + 2
        unit = self.unit(p)
        if 0xDC00 <= unit < 0xE000:
            broken(reasons.SURROGATE, p)
        if 0xD800 <= unit < 0xDC00:
            if not self.frame.startswith(b"\\u", p + 6) or not 0xDC00 <= self.unit(p + 6) < 0xE000:
                broken(reasons.SURROGATE, p)
            return p + 12
        return p + 6

    def unit(self, p: int) -> int:
        """The value of the four hexadecimal digits of the escape at `p`."""
        form = _HEX(self.frame, p + 2)
        if form is None:
            broken(reasons.ESCAPE, p)
        return int(form.group(), 16)

    def text(self, p: int, end: int) -> str:
        """The string from `p` to `end`, decoded."""
        raw = self.frame[p:end]
        return str(json.loads(raw)) if b"\\" in raw else raw[1:-1].decode()
