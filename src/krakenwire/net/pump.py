"""The shell around the core: it owns the sockets and the timers, and moves bytes in and events out.

Nothing is decided here but when to dial: what to send, what to believe and what to tell is the core's.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from krakenwire.clock import NS_PER_S, Clock, Timer
from krakenwire.errors import ConnectFailed, ConnectionClosed
from krakenwire.events import Event, Stamp
from krakenwire.net.backoff import Backoff, ConnectBudget, reconnects
from krakenwire.net.transport import Closed, Connector, Transport
from krakenwire.protocol.core import Core
from krakenwire.protocol.outputs import Action, Fetch, Open, Send

__all__ = ["Pump"]

_log = logging.getLogger("krakenwire.net")

_LATE = NS_PER_S // 2
"""A timer this late means that our own loop was busy: sockets are read before silence is judged."""


class Pump:
    """Runs a core on the event loop.

    Args:
        core: what decides.
        url: of a connection by its name.
        connector: opens sockets.
        clock: tells the time.
        publish: called with each batch of events, in order.
        failed: called when a connection will not be tried again, with the reason: `ConnectFailed` if that is the
            network's, and then the core was told; else the connection's task was cancelled or met a defect.
        budget: connection attempts allowed in a window of time.
        backoff: makes the schedule of one connection's attempts.
    """

    def __init__(
        self,
        core: Core,
        *,
        url: Callable[[str], str],
        connector: Connector,
        clock: Clock,
        publish: Callable[[Sequence[Event]], None],
        failed: Callable[[str, BaseException], None],
        budget: ConnectBudget | None = None,
        backoff: Callable[[], Backoff] | None = None,
    ) -> None:
        self.core = core
        self.clock = clock
        self.url = url
        self.connector = connector
        self._publish = publish
        self.failed = failed
        self.budget = budget if budget is not None else ConnectBudget()
        rng = random.Random(core.options.seed)
        self.new_backoff = backoff if backoff is not None else lambda: Backoff(rng)
        self._links: dict[str, _Link] = {}
        self._timer: Timer | None = None
        self._timer_at: int | None = None
        self._is_flushing = False

    def now(self, connection: str = "") -> Stamp:
        """This moment, on `connection`."""
        session = self.core.session(connection)
        epoch = max(session.epoch, 0) if session is not None else 0
        return Stamp(connection, epoch, self.clock.now_ns(), self.clock.monotonic_ns())

    def flush(self) -> None:
        """Publish what the core has to tell and do what it wants done; after every input from outside.

        An input out of the midst of a publication is seen to by the flush that is under way, so that no event is
        published twice or out of order.
        """
        if self._is_flushing:
            return
        self._is_flushing = True
        core = self.core
        try:
            while True:
                if events := core.events.copy():
                    core.events.clear()
                    self._publish(events)
                actions = core.take_actions()
                if not (actions or core.events):
                    break
                for action in actions:
                    self._do(action)
        finally:
            self._is_flushing = False
        self._arm()

    def connected(self, connection: str) -> asyncio.Future[None]:
        """Done at the first success of `connection`, or failed with its first error.

        `ConnectionClosed`, if the connection was closed before it was open.
        """
        return self._links[connection].first

    def drop(self, connection: str) -> None:
        """Cut the socket of `connection` without a word, as a broken network would; it is opened anew."""
        link = self._links.get(connection)
        if link is not None:
            link.abort()

    async def close(self) -> None:
        """End all connections cleanly and wait for it. Cancellation: partial; sockets are dropped at once."""
        self.core.stop("the client was closed")
        self.flush()
        tasks = [link.task for link in self._links.values()]
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            for link in self._links.values():
                link.abort()
                link.task.cancel()
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        self.flush()

    # --- the core's wishes ------------------------------------------------------------------------------------------

    def _do(self, action: Action) -> None:
        if isinstance(action, Fetch):
            return
        link = self._links.get(action.connection)
        if isinstance(action, Open):
            self._links[action.connection] = _Link(self, action.connection)
        elif link is None:
            return
        elif isinstance(action, Send):
            link.send(action.text)
        else:
            link.close(action.reason, retire=action.retire)

    def _arm(self) -> None:
        deadline = self.core.next_deadline()
        if deadline == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = None if deadline is None else self.clock.call_at(deadline, self._deadline_reached)

    def _deadline_reached(self) -> None:
        due, self._timer, self._timer_at = self._timer_at, None, None
        now = self.clock.monotonic_ns()
        if due is not None and now - due > _LATE:
            _log.warning(
                "the event loop was busy for %.1f s; reading the sockets before judging", (now - due) / NS_PER_S
            )
            # Two turns, for some loops (uvloop) begin a turn with the timers: by then the sockets were read.
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._judge)
            return
        self._judge()

    def _judge(self) -> None:
        self.core.handle_deadline(self.now())
        self.flush()

    def ended(self, link: _Link) -> None:
        """`link` is no more; a new one may have its name already."""
        if self._links.get(link.name) is link:
            del self._links[link.name]


class _Link:
    """One wanted connection: dials, listens, dials again. It is the transport's `Listener`."""

    def __init__(self, pump: Pump, name: str) -> None:
        self.name = name
        self._pump = pump
        self._core = pump.core
        self._backoff = pump.new_backoff()
        self._transport: Transport | None = None
        self._stamp: Stamp | None = None
        self._closed: asyncio.Future[Closed] | None = None
        self._retired = False
        loop = asyncio.get_running_loop()
        self.first: asyncio.Future[None] = loop.create_future()
        self.task = loop.create_task(self._run(), name=f"krakenwire {name}")
        self.task.add_done_callback(self._finished)

    # --- Listener ---------------------------------------------------------------------------------------------------

    def receive_frame(self, frame: bytes, last_in_read: bool) -> None:
        stamp = self._stamp
        if stamp is None:
            stamp = self._stamp = self._pump.now(self.name)  # clocks are read once per socket read
            self._backoff.record_data(stamp.received_mono_ns)
        self._core.receive_frame(frame, stamp)
        if last_in_read:
            self.receive_read_end()

    def receive_read_end(self) -> None:
        self._stamp = None
        self._pump.flush()

    def receive_closed(self, closed: Closed) -> None:
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(closed)
        if self._stamp is not None:
            self.receive_read_end()

    # --- the pump's side --------------------------------------------------------------------------------------------

    def send(self, text: bytes) -> None:
        if self._transport is not None:
            self._transport.send_text(text)

    def close(self, reason: str, *, retire: bool) -> None:
        self._retired = self._retired or retire
        if self._transport is not None:
            self._transport.close(1000, reason)
        elif retire:
            self.task.cancel()  # it dials or waits to dial: neither is wanted any more

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _run(self) -> None:
        try:
            while not self._retired:
                await self._wait_for_budget()
                if not await self._serve():
                    return
                if not self._retired:
                    await self._pump.clock.sleep(self._backoff.next_delay(self._pump.clock.monotonic_ns()))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._retired or task is None or task.uncancel():
                raise

    async def _wait_for_budget(self) -> None:
        clock, budget = self._pump.clock, self._pump.budget
        while wait_ns := budget.wait_ns(clock.monotonic_ns()):
            _log.warning("%s: the connect budget is used up; waiting %.0f s", self.name, wait_ns / NS_PER_S)
            await clock.sleep(wait_ns / NS_PER_S)
        budget.record(clock.monotonic_ns())

    async def _serve(self) -> bool:
        """Dial once and serve the socket until it ends; False if it is not to be tried again."""
        pump, clock = self._pump, self._pump.clock
        url = pump.url(self.name)
        self._closed = asyncio.get_running_loop().create_future()
        self._core.connecting(self.name)
        try:
            closed = await self._converse(url)
        except ConnectFailed as failure:
            self._report(failure.reason, failure.status, terminal=not failure.retryable)
            if not self.first.done():
                self.first.set_exception(failure)
            if not failure.retryable:
                pump.failed(self.name, failure)
            self._backoff.record_failure(clock.monotonic_ns(), failure.retry_after)
            return failure.retryable
        except BaseException:  # cancelled, or a defect: the core must not go on believing in the connection
            self._report("given up", None, terminal=True)
            raise
        goes_on = closed.local or reconnects(closed.code)
        self._report(closed.reason or f"closed with {closed.code}", closed.code, terminal=self._retired or not goes_on)
        if not (goes_on or self._retired):
            pump.failed(self.name, ConnectFailed(url, closed.reason, retryable=False))
        self._backoff.record_failure(clock.monotonic_ns())
        return goes_on

    async def _converse(self, url: str) -> Closed:
        """Dial, and let the core talk until the connection ends; how it did."""
        assert self._closed is not None  # noqa: S101  # made for this attempt
        try:
            # Awaited directly: frames may come from the loop's next turn on, and find the session open.
            self._transport = await self._pump.connector(url, self)
            self._core.connected(url, self._pump.now(self.name))
            self._pump.flush()
            if not self.first.done():
                self.first.set_result(None)
            return await self._closed
        except BaseException:
            self.abort()
            raise
        finally:
            self._transport = None

    def _report(self, reason: str, code: int | None, *, terminal: bool) -> None:
        _log.info("%s: disconnected: %s", self.name, reason)
        self._core.disconnected(reason, code, terminal, self._pump.now(self.name))
        self._pump.flush()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._pump.ended(self)
        error: BaseException | None = None
        if task.cancelled():
            if not self._retired:
                error = ConnectionClosed(f"the task of the connection {self.name} was cancelled")
        elif (error := task.exception()) is not None:
            _log.error("%s: the connection's task failed", self.name, exc_info=error)
        if not self.first.done():
            self.first.set_exception(error or ConnectionClosed("the connection was closed before it was open"))
        if not self.first.cancelled():
            self.first.exception()  # seen: whoever waits for the first connect has it by now
        if error is not None:
            self._pump.failed(self.name, error)
