"""The text of frames: padded numbers, timestamps, and JSON frames wrapped for the socket."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

__all__ = ["format_number", "format_reference", "format_time", "format_time_ns", "wrap_text", "wrap_texts"]

NS_PER_S = 1_000_000_000

SECONDS_KEPT = 4096


def format_number(units: int, precision: int) -> str:
    """A number of ticks or lots as Kraken prints it: padded to `precision` decimals (PROTOCOL 0.1)."""
    if units < 0:
        return "-" + format_number(-units, precision)
    if precision == 0:
        return str(units)
    digits = str(units)
    if len(digits) <= precision:
        digits = digits.zfill(precision + 1)
    return f"{digits[:-precision]}.{digits[-precision:]}"


def format_reference(number: Decimal) -> str:
    """A number as the instrument channel prints it: shortest form, `1e-08` and `0.5` (PROTOCOL 3.9)."""
    return repr(float(number))


class _Seconds(dict[int, str]):
    """The text of seconds since the epoch, as far as their point; of those asked for, a few thousand are kept."""

    def __missing__(self, seconds: int) -> str:
        if len(self) == SECONDS_KEPT:
            self.clear()
        text = self[seconds] = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}."
        return text


_seconds = _Seconds()


def format_time(exchange_ns: int) -> str:
    """UTC nanoseconds as RFC 3339 with microseconds."""
    seconds, ns = divmod(exchange_ns, NS_PER_S)
    return f"{_seconds[seconds]}{ns // 1000:06d}Z"


def format_time_ns(exchange_ns: int) -> str:
    """UTC nanoseconds as RFC 3339 with nanoseconds (ohlc and level3)."""
    seconds, ns = divmod(exchange_ns, NS_PER_S)
    return f"{_seconds[seconds]}{ns:09d}Z"


class _Heads(dict[int, bytes]):
    """The head of an unmasked, unfragmented text message of RFC 6455, by the size of what follows it."""

    def __missing__(self, size: int) -> bytes:
        if size < 126:
            head = bytes((0x81, size))
        elif size < 65536:
            head = b"\x81\x7e" + size.to_bytes(2, "big")
        else:
            return b"\x81\x7f" + size.to_bytes(8, "big")
        self[size] = head
        return head


_heads = _Heads()


def wrap_text(frame: bytes) -> bytes:
    """`frame` as one text message of RFC 6455, ready for any client's socket."""
    return _heads[len(frame)] + frame


def wrap_texts(frames: list[bytes]) -> bytes:
    """`frames` as text messages one behind the other, ready for one write."""
    heads = _heads
    return b"".join([part for frame in frames for part in (heads[len(frame)], frame)])
