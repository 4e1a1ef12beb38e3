"""The fields of a REST request, and the numbers of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ..engine.model import Refusal
from ..feed.wire import format_number

__all__ = ["INVALID_ARGUMENTS", "Fields", "format_plain", "format_rescaled", "seconds"]

INVALID_ARGUMENTS = "EGeneral:Invalid arguments"


class Fields:
    """The fields of one request, from a query, a form or JSON: a number may come as text.

    Every method raises `Refusal` (`EGeneral:Invalid arguments`) for a field that is not what it should be.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def text(self, name: str) -> str | None:
        """A field as text, None if it is missing or empty."""
        value = self._fields.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Refusal(INVALID_ARGUMENTS)
        return str(value)

    def need_text(self, name: str) -> str:
        """A field that must be there."""
        text = self.text(name)
        if text is None:
            raise Refusal(INVALID_ARGUMENTS)
        return text

    def names(self, name: str) -> list[str] | None:
        """A list with commas, None if the field is missing or empty."""
        text = self.text(name)
        return None if text is None else [part.strip() for part in text.split(",")]

    def integer(self, name: str, *, least: int, most: int) -> int | None:
        """A whole number from `least` to `most`, None if the field is missing or empty."""
        text = self.text(name)
        if text is None:
            return None
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 20) or not least <= int(text) <= most:
            raise Refusal(INVALID_ARGUMENTS)
        return int(text)

    def flag(self, name: str) -> bool:
        """A truth, False if the field is missing."""
        value = self._fields.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        text = str(self.text(name)).lower()
        if text not in ("true", "false", "1", "0", "none"):
            raise Refusal(INVALID_ARGUMENTS)
        return text in ("true", "1")


def format_rescaled(units: int, precision: int, decimals: int) -> str:
    """A number of ticks or lots of `precision` decimals, printed with `decimals`: padded, or rounded half up."""
    if decimals >= precision:
        return format_number(units * 10 ** (decimals - precision), decimals)
    factor = 10 ** (precision - decimals)
    return format_number((units + factor // 2) // factor, decimals)


def format_plain(number: Decimal, decimals: int | None = None) -> str:
    """A decimal without an exponent: padded to `decimals`, or in its shortest form."""
    if decimals is not None and -int(number.as_tuple().exponent) < decimals:
        return f"{number:.{decimals}f}"
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if decimals is None and "." in text else text


def seconds(exchange_ns: int, decimals: int) -> float:
    """Nanoseconds as a number of seconds, cut to `decimals`, at most 9."""
    return exchange_ns // int(10 ** (9 - decimals)) / int(10**decimals)
