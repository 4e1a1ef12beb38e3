"""What watching over subscriptions comes to: what a session is to do and to tell."""

from __future__ import annotations

from typing import NamedTuple

from krakenwire.protocol.subscriptions import Key

__all__ = ["Ask", "Finding", "Inquire", "Levels", "News", "Reconnect", "Revived", "Stall"]

Levels = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]
"""The bids and the asks of a book, best first: price and quantity as its checksum takes them."""


class Ask(NamedTuple):
    """Subscribe anew: a probe, or another attempt to bring a stalled stream back."""

    key: Key


class Stall(NamedTuple):
    """A stream is mute; `is_over`: and a probe has brought it back already. `renew`: it is to be subscribed anew."""

    key: Key
    silent_ns: int
    limit_ns: int
    evidence: str
    is_over: bool = False
    renew: bool = False


class Revived(NamedTuple):
    """A stream that was mute speaks again, after `silent_ns` of silence."""

    key: Key
    silent_ns: int
    by: str


class Reconnect(NamedTuple):
    """Subscribing anew did not bring a stream back: the connection is to be opened anew."""

    key: Key


class Inquire(NamedTuple):
    """Ask REST what a probe could not tell: whether something happened of which a stream should have told.

    Attributes:
        key: the stream.
        after_ns: until when all is known to be told (Kraken's ns).
        before_ns: what happened earlier than that should have come before the stream was left.
        silent_ns: for how long nothing had come.
        is_unusual: the silence is longer than any that was seen, which has to do for a proof if REST does not answer.
        content: of a book, what was held of it.
    """

    key: Key
    after_ns: int
    before_ns: int
    silent_ns: int
    is_unusual: bool
    content: Levels | None = None


Finding = Ask | Stall | Revived | Reconnect | Inquire


class News(NamedTuple):
    """Whether a snapshot tells what was not told before, and by when that had happened (Kraken's ns, None: unknown)."""

    is_new: bool
    exchange_ns: int | None = None
