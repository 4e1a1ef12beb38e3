"""REST calls on behalf of the core: paced, tried again with backoff, answered once. The shell makes the calls."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from krakenwire.events import Stamp
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Fetch, Outputs
from krakenwire.protocol.ratelimit import Pacer
from krakenwire.protocol.wire.rest import DECODE_ERRORS, RestTrouble, classify_rest, decode_envelope

__all__ = ["Answer", "Fetcher", "Params", "Then"]

Params = tuple[tuple[str, str], ...]
"""Name and value of each parameter of a query, in order."""

MOST_IN_FLIGHT = 8
"""Calls that wait for an answer at once: a server that answers none is not sent more and more."""

_NS = 1_000_000_000
_FIRST_BACKOFF = _NS // 2
_LONGEST_BACKOFF = 30 * _NS
_RATE_BACKOFF = 5 * _NS
"""Everything waits at least so long after the exchange said that there were too many calls."""
_LONGEST_BAN = 900.0
"""Seconds; a ban lasts ten minutes (PROTOCOL 9.1), and no header is to silence us for ever."""


class Answer(NamedTuple):
    """What came of a call in the end.

    Attributes:
        result: JSON, the value of `result`; None if there is none.
        error: why not: Kraken's words or the network's.
        trouble: what the error means; None with a result.
    """

    result: bytes | None
    error: str | None = None
    trouble: RestTrouble | None = None


Then = Callable[[Answer, Stamp, int], None]
"""Called once with the answer, the time, and the number of the input it came with."""


class _Question:
    """One call that somebody waits for."""

    __slots__ = ("attempts", "call", "not_before", "number", "params", "then", "urgent")

    def __init__(self, number: int, call: str, params: Params, then: Then, *, not_before: int, urgent: bool) -> None:
        self.number = number
        self.call = call
        self.params = params
        self.then = then
        self.not_before = not_before
        self.urgent = urgent
        self.attempts = 0


class Fetcher:
    """All REST calls of a client, in the order they were asked for, urgent ones first.

    Args:
        options: how many a second, and how often one is tried.
        out: where the calls go.
        rng: source of jitter.

    Attributes:
        dirty: there may be something to send: `flush` is wanted.
        calls: calls made so far.
        failures: how many of them brought no answer that was any good.
    """

    def __init__(self, options: Options, out: Outputs, rng: random.Random) -> None:
        self._attempts = options.backfill_attempts
        self._out = out
        self._rng = rng
        self._pacer = Pacer(options.rest_per_second, 1)
        self._next_number = 1
        self._waiting: dict[int, _Question] = {}
        self._in_flight: dict[int, _Question] = {}
        self._blocked_until = 0
        self._deadline: int | None = None
        self.dirty = False
        self.calls = 0
        self.failures = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._in_flight)

    def ask(self, call: str, params: Params, then: Then, *, not_before: int = 0, urgent: bool = False) -> int:
        """Make a call as soon as the pace allows it, and not before `not_before` (monotonic ns); its number."""
        number = self._next_number
        self._next_number += 1
        self._waiting[number] = _Question(number, call, params, then, not_before=not_before, urgent=urgent)
        self.dirty = True
        return number

    def cancel(self, number: int) -> None:
        """Nobody waits for it any more; an answer on its way is ignored."""
        if self._waiting.pop(number, None) or self._in_flight.pop(number, None):
            self.dirty = True

    def stop(self) -> None:
        """Nothing is asked any more, and no answer is waited for."""
        self._waiting.clear()
        self._in_flight.clear()
        self._deadline = None
        self.dirty = False

    def restart(self) -> None:
        """The answers on their way went to a program that is no more: they are asked for again."""
        self._waiting = self._in_flight | self._waiting
        self._in_flight = {}
        self.dirty = True

    def receive(
        self,
        number: int,
        body: bytes | None,
        error: str | None,
        now: Stamp,
        n: int,
        *,
        retryable: bool,
        retry_after: float | None,
    ) -> None:
        """What came of a call; whoever asked is told, unless it is tried again."""
        question = self._in_flight.pop(number, None)
        if question is None:
            return  # nobody waits for it any more
        self.dirty = True
        answer = _read(body, error, retryable=retryable)
        if answer.trouble is None:
            question.then(answer, now, n)
            return
        self.failures += 1
        mono_ns = now.received_mono_ns
        self._slow_down(answer.trouble, mono_ns, retry_after)
        question.attempts += 1
        if answer.trouble not in (RestTrouble.RATE, RestTrouble.LATER) or question.attempts >= self._attempts:
            question.then(answer, now, n)
            return
        question.not_before = mono_ns + self.backoff(question.attempts)
        self._waiting[number] = question

    def backoff(self, attempts: int) -> int:
        """How long to wait after so many attempts that failed, nanoseconds: doubling, with full jitter."""
        bound = min(_FIRST_BACKOFF << min(attempts, 16), _LONGEST_BACKOFF)
        return round(self._rng.uniform(0.0, bound))

    def flush(self, now: int) -> None:
        """Make the calls that the pace allows."""
        self.dirty = False
        self._deadline = None
        while self._waiting and len(self._in_flight) < MOST_IN_FLIGHT:
            question = self._due(now)
            if question is None:
                self._deadline = min(each.not_before for each in self._waiting.values())
                return
            ready_at = max(self._pacer.ready_at(now), self._blocked_until)
            if ready_at > now:
                self._deadline = ready_at
                return
            self._pacer.record(now)
            self.calls += 1
            del self._waiting[question.number]
            self._in_flight[question.number] = question
            self._out.actions.append(Fetch(question.number, question.call, question.params))

    def next_deadline(self) -> int | None:
        """When `flush` has something to do, if nothing comes before (monotonic ns)."""
        return 0 if self.dirty and self._waiting else self._deadline

    def is_due(self, now: int) -> bool:
        """Whether `next_deadline` is reached."""
        return self._deadline is not None and self._deadline <= now

    def _due(self, now: int) -> _Question | None:
        due = [each for each in self._waiting.values() if each.not_before <= now]
        return next((each for each in due if each.urgent), due[0] if due else None)

    def _slow_down(self, trouble: RestTrouble, now: int, retry_after: float | None) -> None:
        """Calls are counted by address (PROTOCOL 9.4): what one is told holds for all."""
        wait = round(min(max(retry_after or 0.0, 0.0), _LONGEST_BAN) * _NS)
        if trouble is RestTrouble.RATE:
            self._pacer.slow_down(now)
            wait = max(wait, _RATE_BACKOFF)
        self._blocked_until = max(self._blocked_until, now + wait)


def _read(body: bytes | None, error: str | None, *, retryable: bool) -> Answer:
    if body is None:
        return Answer(None, error or "no answer", RestTrouble.LATER if retryable else RestTrouble.FINAL)
    try:
        result, refusal = decode_envelope(body)
    except DECODE_ERRORS as reason:
        # Infrastructure between us and Kraken answers in pages of its own, and cuts answers short.
        return Answer(None, f"not an answer of Kraken's: {str(reason)[:200]}", RestTrouble.LATER)
    if refusal is not None:
        return Answer(None, refusal, classify_rest(refusal))
    return Answer(result)
