"""What a mirrored pair shows of everything but books and trades: the leader's, and after a handover the other's.

Both connections send the same; which of them is ahead changes from moment to moment. What the follower has sent and the
leader has not yet is kept, so that nothing is missing when the follower has to go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from krakenwire.events import Asset, Message, Ohlc

__all__ = ["Handover"]

_KEPT = 64
"""Of one stream; a follower that is ahead by more gives up the oldest: all of these are states, the next one counts."""

_Key = tuple[str, str | None, int | None]


class _Stream:
    """One stream of states: a ticker, the candles of an interval, an instrument."""

    __slots__ = ("at", "last", "waiting")

    def __init__(self) -> None:
        self.at: tuple[int, int] | None = None
        """The time of what was shown last, None if it has none."""
        self.last: Message | None = None
        self.waiting: deque[Message] = deque(maxlen=_KEPT)
        """What only the follower has sent."""


class Handover:
    """Merges the streams of two connections into one.

    Args:
        give: shows an event.
    """

    def __init__(self, give: Callable[[Message], None]) -> None:
        self._show = give
        self._streams: dict[_Key, _Stream] = {}

    def show(self, event: Message) -> None:
        """The leader sent `event`: it is shown, unless readers know a later one."""
        stream = self._stream(event)
        at = _time(event)
        if at is not None and stream.at is not None and at <= stream.at and (at < stream.at or self._is_known(event)):
            return
        self._give(stream, event)
        waiting = stream.waiting
        while waiting and _is_covered(waiting[0], event):
            waiting.popleft()

    def keep(self, event: Message) -> int:
        """The follower sent `event`: it is shown only if the leader ends before it sends the same.

        Returns:
            For how long the leader has not sent what the follower had, nanoseconds.
        """
        stream = self._stream(event)
        at = _time(event)
        if at is None:
            stream.waiting.clear()  # a state without a time replaces the one before it
        elif stream.at is not None and at <= stream.at:
            return 0
        waiting = stream.waiting
        waiting.append(event)
        while len(waiting) > 1 and self._is_known(waiting[0]):
            waiting.popleft()  # a snapshot that told nothing new: the leader had nothing to send
        return event.received_mono_ns - waiting[0].received_mono_ns

    def change(self) -> None:
        """The follower leads: what it had sent and readers do not know is shown."""
        missing: list[tuple[_Stream, Message]] = []
        for stream in self._streams.values():
            missing += ((stream, event) for event in stream.waiting if not self._is_known(event))
            stream.waiting.clear()
        for stream, event in sorted(missing, key=lambda each: (each[1].n, each[1].seq)):
            self._give(stream, event)

    def forget(self, channel: str, symbol: str | None, interval: int | None) -> None:
        """The stream ended on purpose."""
        self._streams.pop((channel, symbol, interval), None)

    def _stream(self, event: Message) -> _Stream:
        key = _key(event)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream()
        return stream

    def _give(self, stream: _Stream, event: Message) -> None:
        stream.at = _time(event)
        stream.last = event
        self._show(event)

    def _is_known(self, event: Message) -> bool:
        last = self._stream(event).last
        return last is not None and _content(last) == _content(event)


def _key(event: Message) -> _Key:
    symbol = event.id if isinstance(event, Asset) else getattr(event, "symbol", None)
    return event.channel, symbol, getattr(event, "interval", None)


def _time(event: Message) -> tuple[int, int] | None:
    exchange_ns: int | None = getattr(event, "exchange_ns", None)
    if exchange_ns is None:
        return None
    return (event.interval_begin_ns, exchange_ns) if isinstance(event, Ohlc) else (0, exchange_ns)


def _is_covered(waiting: Message, shown: Message) -> bool:
    """Whether who knows `shown` needs `waiting` no more."""
    before, at = _time(waiting), _time(shown)
    return before is None or at is None or before <= at


def _content(event: Message) -> tuple[object, ...]:
    """What it says, but not whence and when it came."""
    fields = msgspec.structs.asdict(event)
    return tuple(value for name, value in fields.items() if name not in _WHENCE)


_WHENCE = frozenset({"stamp", "n", "seq", "type", "source", "connection_id", "exchange_ns"})
