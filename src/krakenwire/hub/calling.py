"""A callback that is called with a reader's events: what it raises, and how long it takes, stays its own affair."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from krakenwire.clock import NS_PER_S
from krakenwire.events import CallbackFailed, CallbackSlow, Event, Stamp
from krakenwire.hub.inbox import Inbox

__all__ = ["Calling"]

_log = logging.getLogger("krakenwire.hub")

_SLOW_NS = NS_PER_S // 20
_REPORT_EVERY_NS = NS_PER_S


class Calling:
    """Calls one callback with the events of one reader.

    The clock is read once for a burst of at most `BURST` events, for that is how long the callback keeps the loop from
    everything else; a failure is told at most once a second, with how many there were by then.
    """

    BURST: ClassVar[int] = 64

    def __init__(self, inbox: Inbox, callback: Callable[[Any], object]) -> None:
        self._inbox = inbox
        self._callback = callback
        self._told_at: int | None = None

    def hand_over(self, events: list[Any]) -> bool:
        """Call it with each of `events`; whether that took too long."""
        inbox, callback = self._inbox, self._callback
        hub = inbox.hub
        clock = hub.clock if hub is not None else None
        started = clock.monotonic_ns() if clock is not None else 0
        rest = iter(events)
        try:
            for event in rest:
                try:
                    callback(event)
                except Exception as error:  # whatever it is, it is the callback's
                    self._failed(error)
        except BaseException:  # the program is being stopped, say: the rest was not given to anybody
            inbox.give_back(list(rest))
            raise
        if clock is None:
            return False
        took = clock.monotonic_ns() - started
        if took <= _SLOW_NS:
            return False
        inbox.slow += 1
        _log.warning("the callback of %s kept the event loop for %.3f s", inbox.name, took / NS_PER_S)
        self._report(CallbackSlow(reader=inbox.name, took_ns=took, slow=inbox.slow, stamp=self._stamp()))
        return True

    def _failed(self, error: Exception) -> None:
        inbox = self._inbox
        inbox.failures += 1
        if inbox.hub is None:
            return
        now = inbox.hub.clock.monotonic_ns()
        if self._told_at is not None and now - self._told_at < _REPORT_EVERY_NS:
            return
        self._told_at = now
        what = _describe(error)
        _log.warning("the callback of %s failed, %d times by now: %s", inbox.name, inbox.failures, what)
        self._report(CallbackFailed(reader=inbox.name, error=what, failures=inbox.failures, stamp=self._stamp()))

    def _report(self, event: Event) -> None:
        if self._inbox.hub is not None:
            self._inbox.hub.report(event)

    def _stamp(self) -> Stamp:
        hub = self._inbox.hub
        assert hub is not None  # noqa: S101  # nothing is reported without one
        return Stamp("", 0, hub.clock.now_ns(), hub.clock.monotonic_ns())


def _describe(error: Exception) -> str:
    """The kind of `error` and where it was raised; never its text, which might hold a secret."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    kind = type(error).__qualname__
    if trace is None:
        return kind
    code = trace.tb_frame.f_code
    return f"{kind} at {Path(code.co_filename).name}:{trace.tb_lineno} in {code.co_qualname}"
