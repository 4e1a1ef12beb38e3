"""The fault of a clock that is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta

from krakenwire.clock import NS_PER_S

from ..feed.stream import Stream
from .host import Peer
from .model import Fault, Timing

__all__ = ["ClockSkew"]

_TIME = re.compile(rb'("(?:timestamp|time_in|time_out)":")(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z"')


class Skew(Timing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `clock_skew`."""

    seconds: Annotated[
        float, Meta(ge=-1_000_000, le=1_000_000, description="the exchange's clock is ahead by; behind if negative")
    ] = 0.0
    drift: Annotated[float, Meta(ge=-1, le=1, description="seconds that are added to that in each second")] = 0.0


class ClockSkew(Fault[Skew]):
    """All times that the exchange tells are wrong by as much; what it does, it does at the right time."""

    kind = "clock_skew"
    parameters_type = Skew

    def check(self) -> None:
        """Refuse a skew of nothing."""
        if not self.parameters.seconds and not self.parameters.drift:
            raise self.complain("nothing is skewed; give seconds=, drift= or both")

    def begin(self) -> None:
        """Note the moment, from which on the clock drifts."""
        self._begun_mono_ns = self.host.clock.monotonic_ns()

    @property
    def skew_ns(self) -> int:
        """How far the clock is ahead now."""
        elapsed_ns = self.host.clock.monotonic_ns() - self._begun_mono_ns
        # Whole microseconds, as most times are told in them.
        return round((self.parameters.seconds * NS_PER_S + self.parameters.drift * elapsed_ns) / 1000) * 1000

    def outgoing(self, peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes] | None:
        """The frame with other times."""
        skew_ns = self.skew_ns
        # Answers carry the time of `Exchange.exchange_now_ns`, which is skewed already.
        if stream is None or skew_ns == 0:
            return None
        # Candles begin and end on the exchange's minutes; only the message's own time is a clock's.
        most = 1 if stream.channel == "ohlc" else 0
        skewed, changes = _TIME.subn(lambda match: _shift(match, skew_ns), frame, most)
        if not changes:
            return None
        self.touch(peer, stream, size=len(frame), repeats=True)
        return (skewed,)


def _shift(match: re.Match[bytes], skew_ns: int) -> bytes:
    """The time of a match, moved, with as many digits as it had."""
    digits = (match[3] or b"")[1:].decode()
    ns = int(digits.ljust(9, "0") or "0") + skew_ns
    moment = datetime.fromisoformat(match[2].decode()).replace(tzinfo=UTC) + timedelta(seconds=ns // NS_PER_S)
    fraction = f".{f'{ns % NS_PER_S:09d}'[: len(digits)]}" if digits else ""
    return b'%b%b%bZ"' % (match[1], f"{moment:%Y-%m-%dT%H:%M:%S}".encode(), fraction.encode())
