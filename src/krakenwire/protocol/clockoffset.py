"""How far the exchange's clock is from ours, from the times in its answers (PROTOCOL 2.2, 3.3).

As NTP does it: of a request we know when it was sent and when its answer was received, by our clock, and when it was
received and answered, by the exchange's. The exchange's clock is ahead by the middle of what both ways allow, and at
most half of the time on the way is wrong with it: that is a bound, not a guess, as long as clocks run evenly. The
sample with the smallest bound is believed, until one contradicts it: then a clock was set.

Everything is held against the monotonic clock, which is not set: when our UTC clock is, the offset follows at once.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple

from krakenwire.book import parse_timestamp
from krakenwire.events import Stamp

__all__ = ["ClockOffset", "Offset"]

_NS = 1_000_000_000
WINDOW_NS = 600 * _NS
"""Older samples are not looked at: who has none that is younger does not know."""
DRIFT_PPM = 15
"""How much two clocks are taken to drift apart, as NTP does (RFC 5905): it makes an old sample worth less."""
MAX_SAMPLES = 64
MAX_PENDING = 256


class Offset(NamedTuple):
    """The exchange's clock less ours, and by how much that may be wrong either way; nanoseconds."""

    offset_ns: int
    uncertainty_ns: int


class _Sample(NamedTuple):
    taken_at: int
    ahead_of_mono: int
    bound: int

    def bound_at(self, now: int) -> int:
        """How wrong it can be by now."""
        return self.bound + (now - self.taken_at) * DRIFT_PPM // 1_000_000

    def contradicts(self, newer: _Sample, now: int) -> bool:
        """They cannot both be true of clocks that run on."""
        return abs(self.ahead_of_mono - newer.ahead_of_mono) > self.bound_at(now) + newer.bound + 1


class ClockOffset:
    """Estimates the clock of the exchange at the other end of one connection."""

    def __init__(self) -> None:
        self._sent: OrderedDict[int, int] = OrderedDict()
        self._samples: deque[_Sample] = deque(maxlen=MAX_SAMPLES)
        """Those that are or may become the best: each is worse than the one before it, and younger."""

    def sent(self, req_id: int, now: int) -> None:
        """A request is sent, at monotonic `now`."""
        self._sent[req_id] = now
        if len(self._sent) > MAX_PENDING:
            self._sent.popitem(last=False)

    def disconnected(self) -> None:
        """What is unanswered will not be answered; what was learned stays."""
        self._sent.clear()

    def answered(self, req_id: int | None, time_in: str | None, time_out: str | None, stamp: Stamp) -> None:
        """An answer came. Only the first to a request counts, and only one with both times in their order."""
        sent_at = None if req_id is None else self._sent.pop(req_id, None)
        if sent_at is None or time_in is None or time_out is None:
            return
        try:
            received, answered = parse_timestamp(time_in), parse_timestamp(time_out)
        except ValueError:
            return
        now = stamp.received_mono_ns
        on_the_way = (now - sent_at) - (answered - received)
        if answered < received or on_the_way < 0:
            return  # its clock was set meanwhile, or it is nobody's clock
        ahead = ((received - sent_at) + (answered - now)) // 2
        sample = _Sample(now, ahead, (on_the_way + 1) // 2)
        samples = self._samples
        if any(each.contradicts(sample, now) for each in samples):
            samples.clear()  # a clock was set: what was learned before says nothing of it
        while samples and samples[-1].bound_at(now) >= sample.bound:
            samples.pop()  # it will never be the better one again
        if samples and now - samples[0].taken_at > WINDOW_NS:
            samples.popleft()
        samples.append(sample)

    def estimate(self, now: Stamp) -> Offset | None:
        """The offset at `now`, from the best sample of the last ten minutes; None if there is none."""
        mono = now.received_mono_ns
        for sample in self._samples:  # from the best to the worst, and from the oldest to the newest
            if mono - sample.taken_at <= WINDOW_NS:
                return Offset(sample.ahead_of_mono - (now.received_ns - mono), sample.bound_at(mono))
        return None
