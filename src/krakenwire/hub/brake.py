"""The policy `block`: who holds which connections, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from krakenwire.clock import NS_PER_S, Clock, Timer
from krakenwire.errors import UsageError
from krakenwire.hub.interest import Interest
from krakenwire.protocol.mirror.mirror import group_of

if TYPE_CHECKING:
    from krakenwire.hub.inbox import Inbox

__all__ = ["Brake"]


class Brake:
    """Has connections paused while a reader that must not lose anything is full.

    A connection is read again when nobody holds it any more. What is to be done is noted at once and done by `apply`,
    when whoever noted it has finished: it leads back into the core, and from there to the hub.

    Args:
        clock: measures how long.
        pause: has a connection, and the other one of its mirrored pair, read no more, for the reason given.
        resume: has it read again.
        may_block: whether readers may hold up a connection at all.
    """

    def __init__(
        self,
        clock: Clock,
        pause: Callable[[str, str], object],
        resume: Callable[[str], object],
        may_block: Callable[[str], bool] = lambda _connection: True,
    ) -> None:
        self._clock = clock
        self._pause = pause
        self._resume = resume
        self._may_block = may_block
        self._held: dict[Inbox, tuple[str, ...]] = {}
        self._timers: dict[Inbox, Timer] = {}
        self._reasons: dict[str, str] = {}
        self._paused: set[str] = set()
        self._is_applying = False
        self.is_due = False

    @property
    def paused(self) -> frozenset[str]:
        """The connections that are not read now."""
        return frozenset(self._paused)

    def check(self, interest: Interest) -> None:
        """Refuse what no reader may wait for.

        Raises:
            UsageError: the events of `interest` come from no one connection, or from one that must go on.
        """
        if interest.connection is None:
            raise UsageError(
                "policy 'block' needs connections that can be paused; events() and lifecycle() tell of them all, "
                "so choose 'drop_oldest', 'conflate' or 'disconnect'"
            )
        if not self._may_block(interest.connection):
            raise UsageError(
                f"policy 'block' is refused on the connection {interest.connection!r}, whose events must not wait for "
                "a reader; choose 'drop_oldest', 'conflate' or 'disconnect'"
            )

    def hold(self, inbox: Inbox) -> None:
        """`inbox` is full: nothing more is to come on its connections for now."""
        connections = {group_of(interest.connection) for interest in inbox.wanted if interest.connection is not None}
        reason = f"the reader {inbox.name!r} is behind by {inbox.waiting} events"
        self._held[inbox] = tuple(sorted(connections))
        for connection in connections:
            self._reasons.setdefault(connection, reason)
        if inbox not in self._timers:
            deadline = self._clock.monotonic_ns() + round(inbox.block_limit * NS_PER_S)
            self._timers[inbox] = self._clock.call_at(deadline, lambda: self._expired(inbox))
        self.is_due = True

    def let_go(self, inbox: Inbox) -> None:
        """`inbox` holds nothing up any more; harmless if it did not."""
        if self._held.pop(inbox, None) is None:
            return
        timer = self._timers.pop(inbox, None)
        if timer is not None:
            timer.cancel()
        self.is_due = True

    def apply(self) -> None:
        """Pause and resume what should be; what is due out of the midst of that is seen to once it is done."""
        if self._is_applying:
            return
        self._is_applying = True
        try:
            while self.is_due:
                self.is_due = False
                wanted = {connection for held in self._held.values() for connection in held}
                for connection in sorted(wanted - self._paused):
                    self._paused.add(connection)
                    self._pause(connection, self._reasons[connection])
                for connection in sorted(self._paused - wanted):
                    self._paused.discard(connection)
                    self._reasons.pop(connection, None)
                    self._resume(connection)
        finally:
            self._is_applying = False

    def _expired(self, inbox: Inbox) -> None:
        self._timers.pop(inbox, None)
        inbox.time_is_up()
        self.apply()
