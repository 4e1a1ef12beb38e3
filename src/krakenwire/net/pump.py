"""The shell around the core: it owns the sockets and the timers, and moves bytes in and events out.

Nothing is decided here but when to dial: what to send, what to believe and what to tell is the core's.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from math import isnan

from krakenwire.clock import NS_PER_S, Clock, Timer
from krakenwire.errors import ConnectFailed, ConnectionClosed, RestFailed, UsageError
from krakenwire.events import Event, Stamp
from krakenwire.latency import StageTimings
from krakenwire.net.backoff import Backoff, ConnectBudget, reconnects
from krakenwire.net.endpoints import shown
from krakenwire.net.loopwatch import LoopWatch
from krakenwire.net.rest import RestCaller
from krakenwire.net.transport import Closed, Connector, Transport
from krakenwire.protocol.core import Core
from krakenwire.protocol.mirror.mirror import group_of
from krakenwire.protocol.outputs import Action, Fetch, Open, Send

__all__ = ["Pump"]

_log = logging.getLogger("krakenwire.net")

_LONGEST_S = 1e9
"""Seconds; more is as good as for ever."""


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
        rest: makes public REST calls; None if there is nobody to ask.
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
        rest: RestCaller | None = None,
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
        self.timings: StageTimings | None = None
        """How long each stage takes; measured while it is set."""
        self.paused: dict[str, str] = {}
        """Why each connection that is not read is not, by the name of its pair."""
        self._links: dict[str, _Link] = {}
        self._rest = rest
        self._calls: set[asyncio.Task[None]] = set()
        self._timer: Timer | None = None
        self._timer_at: int | None = None
        self._timer_due = 0
        self.watch = LoopWatch(clock, round(core.options.loop_stall_after * NS_PER_S), self._drained)
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

    def pause(self, connection: str, reason: str) -> None:
        """Read `connection` no more until `resume`, nor the other one of its pair; what was read already still comes.

        It stays paused when it is opened anew.
        """
        self.paused[connection] = reason
        for link in self._links.values():
            if group_of(link.name) == connection:
                link.pause(reason)
        self.flush()

    def resume(self, connection: str) -> None:
        """Read `connection` again, and the other one of its pair; harmless if it was not paused."""
        if self.paused.pop(connection, None) is None:
            return
        for link in self._links.values():
            if group_of(link.name) == connection:
                link.resume()
        self.flush()

    async def close(self) -> None:
        """End all connections cleanly and wait for it. Cancellation: partial; sockets are dropped at once."""
        self.core.stop("the client was closed")
        for call in self._calls:
            call.cancel()
        self.flush()
        tasks = [*self._calls, *(link.task for link in self._links.values())]
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            for link in self._links.values():
                link.abort()
                link.task.cancel()
            raise
        finally:
            self.watch.stop()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        self.flush()

    # --- the core's wishes ------------------------------------------------------------------------------------------

    def _do(self, action: Action) -> None:
        if isinstance(action, Fetch):
            task = asyncio.get_running_loop().create_task(self._call(action), name=f"krakenwire REST {action.call}")
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
            return
        link = self._links.get(action.connection)
        if isinstance(action, Open):
            self._links[action.connection] = _Link(self, action.connection)
            self.watch.start()
        elif link is None:
            return
        elif isinstance(action, Send):
            link.send(action.text)
        else:
            link.close(action.reason, retire=action.retire, is_dead=action.is_dead)

    async def _call(self, fetch: Fetch) -> None:
        """Make a REST call and give the core what comes of it."""
        body: bytes | None = None
        error: str | None = None
        retryable, retry_after = False, None
        try:
            if self._rest is None:
                error = "no REST API is configured: KRAKEN_SPOT_URL or Endpoints(rest=...) tells where it is"
            else:
                answer: object = await self._rest(fetch.call, fetch.params)  # the user's, perhaps
                if isinstance(answer, bytes):
                    body = answer
                else:
                    error = f"rest= must give the body as bytes, not as {type(answer).__name__}"
        except RestFailed as failure:
            error, retryable, retry_after = str(failure.text), bool(failure.retryable), _seconds(failure.retry_after)
        except UsageError as failure:
            error = str(failure)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            error = "it cancelled itself"  # whoever waits for it is told
        except Exception as defect:
            _log.exception("REST %s could not be made", fetch.call)
            error = type(defect).__name__
        self.core.receive_answer(fetch.number, body, error, self.now(), retryable=retryable, retry_after=retry_after)
        self.flush()

    def _arm(self) -> None:
        if self.watch.is_draining:
            return  # nothing is judged now; it is armed again afterwards
        deadline = self.core.next_deadline()
        if deadline == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        if deadline is None:
            self._timer = None
            return
        self._timer_due = max(deadline, self.clock.monotonic_ns())
        self._timer = self.clock.call_at(deadline, self._deadline_reached)

    def _deadline_reached(self) -> None:
        self._timer = self._timer_at = None
        if not (self.watch.look(self._timer_due) or self.watch.is_draining):
            self._judge()

    def _drained(self, stalled_ns: int) -> None:
        """The loop stood still, and what came meanwhile was read: now silence means something again."""
        self.core.loop_stalled(stalled_ns, self.now())
        self._judge()

    def _judge(self) -> None:
        self.core.handle_deadline(self.now())
        self.flush()

    def ended(self, link: _Link) -> None:
        """`link` is no more; a new one may have its name already."""
        if self._links.get(link.name) is link:
            del self._links[link.name]
            if not self._links:
                self.watch.stop()


def _seconds(given: object) -> float | None:
    """What a caller of the user's says, perhaps, as a number that a core can reckon with and a journal can hold."""
    try:
        seconds = float(given)  # type: ignore[arg-type]  # whatever it is
    except (TypeError, ValueError, OverflowError):
        return None
    return None if isnan(seconds) else min(max(seconds, 0.0), _LONGEST_S)


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
        stamp, self._stamp = self._stamp, None
        pump = self._pump
        pump.watch.reads += 1
        timings = pump.timings
        if timings is None or stamp is None or not timings.is_due():
            pump.flush()
            return
        session = self._core.session(self.name)
        offset = None if session is None else session.clock_offset.estimate(stamp)
        timings.decoded(stamp, self._core.events, None if offset is None else offset.offset_ns)
        pump.flush()
        timings.published(stamp)

    def receive_closed(self, closed: Closed) -> None:
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(closed)
        if self._stamp is not None:
            self.receive_read_end()

    # --- the pump's side --------------------------------------------------------------------------------------------

    def send(self, text: bytes) -> None:
        if self._transport is not None:
            self._transport.send_text(text)

    def close(self, reason: str, *, retire: bool, is_dead: bool) -> None:
        self._retired = self._retired or retire
        if self._transport is not None and is_dead:
            self._transport.abort(reason)
        elif self._transport is not None:
            self._transport.close(1000, reason)
        elif retire:
            self.task.cancel()  # it dials or waits to dial: neither is wanted any more

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def pause(self, reason: str) -> None:
        if self._transport is not None:
            self._transport.pause_reading()
            self._core.paused(self.name, reason, self._pump.now(self.name))

    def resume(self) -> None:
        if self._transport is not None:
            self._core.resumed(self.name, self._pump.now(self.name))
            self._transport.resume_reading()

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
            self._core.connected(shown(url), self._pump.now(self.name))  # a secret in it is nobody's to see
            reason = self._pump.paused.get(group_of(self.name))
            if reason is not None:
                self.pause(reason)
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
