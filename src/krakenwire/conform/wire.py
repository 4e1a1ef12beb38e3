"""Frames as they came: JSON whose numbers keep their text, read without the library's own decoders."""

from __future__ import annotations

import calendar
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

__all__ = ["Frame", "Item", "Malformed", "Number", "decode", "encode", "in_words", "parse_time", "shorten"]

LONGEST_SHOWN = 300
"""Characters of a frame that a report shows."""

LARGEST_EXPONENT = 40
"""Powers of ten that a number may have: `1e999999999` is JSON, and written out it fills the memory."""

_TOKEN = re.compile(rb'("token"\s*:\s*")[^"]*"')
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z")


class Number(str):
    """A JSON number as its text on the wire, which tells `62807.0` from `62807`; a JSON string is a plain `str`."""

    __slots__ = ()


class Malformed(Exception):
    """A field that is not what the protocol says; the rule about that field reports it, others cannot be tested."""


def decode(text: bytes | str) -> Any:
    """JSON with every number as a `Number`.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def encode(value: object) -> bytes:
    """JSON text of a request; a `Decimal` becomes a number without exponent, a `Number` its own text."""
    return _encode(value).encode()


def _encode(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(str(name))}:{_encode(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_encode, value)) + "]"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value) if isinstance(value, Number) else json.dumps(value)


def shorten(text: bytes | str) -> str:
    """What a report shows of a frame: its beginning, and how long it is."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    if len(shown) <= LONGEST_SHOWN:
        return shown
    return f"{shown[:LONGEST_SHOWN]}… ({len(shown)} characters)"


def parse_time(text: str) -> tuple[int, int] | None:
    """A time as RFC 3339 in UTC: (nanoseconds since 1970, digits after the second), None if it is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    if hour > 23 or minute > 59 or second > 60:
        return None
    fraction = match[7] or ""
    seconds = calendar.timegm((year, month, day, hour, minute, second))
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")), len(fraction)


def in_words(value: object) -> str:
    """A value as a report shows it: JSON, shortened."""
    return shorten(_encode(value))


class Frame:
    """One text message as it came, decoded when somebody looks.

    Attributes:
        text: the bytes.
        received_ns: monotonic time of its arrival.
    """

    def __init__(self, text: bytes, received_ns: int) -> None:
        self.text = text
        self.received_ns = received_ns

    @cached_property
    def message(self) -> Any:
        """The JSON value; None if it is not JSON."""
        try:
            return decode(self.text)
        except ValueError:
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the object it is; empty if it is none."""
        return self.message if isinstance(self.message, dict) else {}

    @property
    def is_answer(self) -> bool:
        """Whether it is an object that belongs to no channel (PROTOCOL 2.2)."""
        return isinstance(self.message, dict) and "channel" not in self.message

    @property
    def channel(self) -> str | None:
        """The channel, None for an answer."""
        channel = self.fields.get("channel")
        return channel if type(channel) is str else None

    @property
    def kind(self) -> object:
        """What `type` says: snapshot or update."""
        return self.fields.get("type")

    @property
    def item(self) -> Item:
        """The whole message as an item."""
        return Item(self.fields, self)

    @property
    def result(self) -> Item:
        """What an answer has in `result`; empty if that is no object."""
        result = self.fields.get("result")
        return Item(result if isinstance(result, dict) else {}, self)

    @property
    def is_success(self) -> bool:
        """Whether it is an answer that says `"success":true`."""
        return self.fields.get("success") is True

    @property
    def error(self) -> str:
        """What an answer has in `error`, as text; empty if there is none."""
        error = self.fields.get("error", self.fields.get("Error", ""))
        return error if type(error) is str else in_words(error)

    @property
    def said(self) -> str:
        """What an answer said, for a report."""
        return f"the error `{self.error}`" if self.error else "success" if self.is_success else self.shortened

    @property
    def data(self) -> list[Item]:
        """The elements of `data` that are objects; those of `instrument` count as one."""
        data = self.fields.get("data")
        elements = [data] if isinstance(data, dict) else data if isinstance(data, list) else []
        return [Item(element, self) for element in elements if isinstance(element, dict)]

    @property
    def shortened(self) -> str:
        """What a report shows: without a token that it may hold."""
        return shorten(_TOKEN.sub(rb'\1..."', self.text))


class Item:
    """An object inside a frame. Each reader returns a field of that type.

    Raises:
        Malformed: from every reader, if the field is absent or of another type.
    """

    def __init__(self, fields: dict[str, Any], frame: Frame) -> None:
        self.fields = fields
        self.frame = frame

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def get(self, name: str) -> object:
        """The field whatever it is, None if absent."""
        return self.fields.get(name)

    def token(self, name: str) -> Number:
        """The text of a number."""
        value = self.fields.get(name)
        if not isinstance(value, Number):
            raise Malformed(f"{name} is no number in {self.frame.shortened}")
        return value

    def number(self, name: str) -> Decimal:
        """A number of reasonable size."""
        try:
            value = Decimal(self.token(name))
        except InvalidOperation:
            raise Malformed(f"{name} is no number in {self.frame.shortened}") from None
        if value and abs(value.adjusted()) > LARGEST_EXPONENT:
            raise Malformed(f"{name} is out of all proportion in {self.frame.shortened}")
        return value

    def integer(self, name: str) -> int:
        """A number without fraction and exponent, of reasonable size."""
        token = self.token(name)
        if not token.removeprefix("-").isdigit() or len(token) > LARGEST_EXPONENT:
            raise Malformed(f"{name} is no integer in {self.frame.shortened}")
        return int(token)

    def text(self, name: str) -> str:
        """A string."""
        value = self.fields.get(name)
        if type(value) is not str:
            raise Malformed(f"{name} is no string in {self.frame.shortened}")
        return value

    def time_ns(self, name: str) -> int:
        """A time, as nanoseconds since 1970."""
        parsed = parse_time(self.text(name))
        if parsed is None:
            raise Malformed(f"{name} is no time in {self.frame.shortened}")
        return parsed[0]

    def items(self, name: str) -> list[Item]:
        """The objects of an array; an absent array is empty."""
        value = self.fields.get(name, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise Malformed(f"{name} is no array of objects in {self.frame.shortened}")
        return [Item(each, self.frame) for each in value]


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
