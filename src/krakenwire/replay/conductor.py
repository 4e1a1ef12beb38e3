"""Who plays the tape, and when: on it goes only when everybody who was given something has asked for more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any, Protocol
from weakref import WeakSet

from krakenwire.clock import NS_PER_S, Clock, SystemClock, Timer
from krakenwire.events import Event
from krakenwire.replay.tapeclock import TapeClock
from krakenwire.replay.tasks import is_alone, waits_for, where

__all__ = ["Conductor", "Reels"]

_log = logging.getLogger("krakenwire.replay")

_SERVED_AT_ONCE = 32
_PLAYED_AT_ONCE = 1024
"""So often somebody is served, so many inputs are played, without a turn for the event loop. They are counted rather
than timed, for who is served first depends on who plays, and that must be the same on every run."""
_SLICE_NS = 5_000_000
"""At a speed: for so long."""
_QUIET_TURNS = 8
"""Turns of an event loop that does not show what is ready to run, after which nothing is: a chain of awaits takes one
turn a link."""
_MOST_TURNS = 50
"""Turns after which who is still ready to run does nothing that matters here, unless it was given something."""
_POLL_S = (0.001, 0.05)
"""How soon it is looked again whether somebody who is busy with the world has come back: at first, and at most."""

_Task = asyncio.Task[Any]


class Reels(Protocol):
    """What is played."""

    @property
    def next_ns(self) -> int | None:
        """UTC nanoseconds of the next input; None at the end."""

    def play(self) -> Sequence[Event]:
        """Play one input; its events."""


class Conductor:
    """Drives one tape for the tasks of one event loop.

    A task that waits for something of the replay tells so (`asks`), and is the one that plays on, there and then, until
    it is served (`serve`): so a single consumer needs no turn of the event loop for an event. It may not while another
    task is ready to run, or was given something and is busy with it. Then it waits, and the conductor's own turn, which
    comes when the others had theirs, plays on.

    Who is busy with the world (a socket, a thread, a timer) is waited for. Who waits for other tasks is not, since
    these may wait for the replay. Where one cannot tell, patience decides, in real time.

    Args:
        reels: what is played.
        publish: is given the events of each input.
        ended: called once when nothing more will come, with an error if that is why.
        real: the real time.
        patience: seconds of real time that a task may be busy with nobody knows what; None: for ever.

    Attributes:
        clock: the tape's time.
        end_ns: where the tape ends, if that is not at its last input.
        played: inputs played.
        is_over: nothing more will come.
    """

    def __init__(
        self,
        reels: Reels,
        publish: Callable[[Sequence[Event]], None],
        ended: Callable[[BaseException | None], None],
        *,
        real: Clock,
        patience: float | None,
    ) -> None:
        self.reels = reels
        self.clock = TapeClock()
        self.end_ns: int | None = None
        self.played = 0
        self.is_over = False
        self._publish = publish
        self._ended = ended
        self._real = real
        self._wall = SystemClock()
        self._patience_ns = None if patience is None else round(patience * NS_PER_S)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: Sequence[Any] | None = None
        """What the event loop will run next, where it shows that."""
        self._busy: dict[_Task, int] = {}
        """Who was given something, and the `id` of what gave it, for it is not to be kept by that."""
        self._waiting: dict[_Task, asyncio.Future[Any]] = {}
        """Who waits to be served, and on what."""
        self._excused: dict[_Task, asyncio.Future[Any]] = {}
        """Who is busy, but waits for other tasks, and on what."""
        self._not_waited_for: WeakSet[_Task] = WeakSet()
        self._handle: asyncio.Handle | None = None
        self._is_soon = False
        self._timer: Timer | None = None
        self._poll_s = _POLL_S[0]
        self._held_since: int | None = None
        self._serves_left = 0
        self._turns = self._quiet_turns = self._stirs = self._seen_stirs = 0
        self._speed: float | None = None
        self._origin: tuple[int, int] | None = None
        """At a speed: a moment of real time, and the tape's that belongs to it."""
        self._is_paused = False
        self._is_stopped = True
        self._steps = 0
        self._stepped: asyncio.Future[None] | None = None

    # --- life -------------------------------------------------------------------------------------------------------

    def open(self, speed: float | None) -> None:
        """From now on who waits is served."""
        loop = self._loop = asyncio.get_running_loop()
        self._ready = getattr(loop, "_ready", None)
        self._is_stopped = False
        self._speed = speed

    def stop(self) -> None:
        """Play nothing, for it is closed or wound elsewhere."""
        self._is_stopped = True
        self._unschedule()

    def go_on(self) -> None:
        """After `stop`; the tape may be at another place."""
        self._is_stopped = False
        self._origin = None
        self._schedule()

    @property
    def speed(self) -> float | None:
        """How many times as fast as it was; None: as fast as it is asked for."""
        return self._speed

    @speed.setter
    def speed(self, speed: float | None) -> None:
        self._stay()  # where it has come to at the speed there was
        self._speed = speed
        self._schedule()

    @property
    def is_stepping(self) -> bool:
        """Whether a task waits for `step`."""
        return self._stepped is not None

    def pause(self) -> None:
        """Stand still."""
        self._stay()
        self._is_paused = True

    def resume(self) -> None:
        """Go on."""
        self._is_paused = False
        self._stay()
        self._schedule()

    async def step(self, count: int) -> int:
        """Play until somebody was given something and is done with it, `count` times; how many times it was.

        Cancellation: partial, it stands where it came to.
        """
        task = self.asks()
        self._is_paused = True
        self._steps = count
        self._stepped = asyncio.get_running_loop().create_future()
        self.waits(task, self._stepped)
        try:
            await self._stepped
            return count - self._steps
        finally:
            self._steps, self._stepped = 0, None
            self.waits_no_more(task)

    # --- for who waits ----------------------------------------------------------------------------------------------

    def asks(self) -> _Task:
        """The task at hand is done with what it was given."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine of ours runs in a task
        if self._busy:
            self._busy.pop(task, None)
        self._excused.pop(task, None)
        self._stirs += 1
        return task

    def gives(self, task: _Task, what: object) -> None:
        """`task` was given something by `what`, and is busy with it."""
        self._busy[task] = id(what)

    def takes_back(self, what: object) -> None:
        """`what` is closed: nobody is busy with what it gave."""
        for task in [task for task, giver in self._busy.items() if giver == id(what)]:
            del self._busy[task]

    def serve(self, is_served: Callable[[], bool]) -> bool:
        """Play on, here and now, until `is_served`; False if others are to have their turn first.

        Raises nothing: what goes wrong ends everything there is to wait for.
        """
        ready = self._ready
        if ready is None or len(ready) > self._is_soon or self._busy or self._speed is not None:
            return False
        if self._is_stopped or self._is_paused or self.is_over or not self._serves_left:
            return False
        self._serves_left -= 1
        self._play(is_served)
        return is_served()

    def waits(self, task: _Task, future: asyncio.Future[Any]) -> None:
        """`task` waits on `future`, which only playing on brings about."""
        self._waiting[task] = future
        self._schedule()

    def waits_no_more(self, task: _Task) -> None:
        """It was served, or cancelled."""
        self._waiting.pop(task, None)

    # --- whose turn it is -------------------------------------------------------------------------------------------

    def _schedule(self, seconds: float | None = None) -> None:
        """See to it that the conductor has its turn: after everybody who is ready to run, or in `seconds`."""
        if self._is_soon or self._loop is None or self._is_stopped:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._is_soon = seconds is None
        if seconds is None:
            self._handle = self._loop.call_soon(self._turn)
        else:
            self._handle = self._loop.call_later(seconds, self._turn)

    def _unschedule(self) -> None:
        self._is_soon = False
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        self._handle, self._is_soon = None, False
        self._serves_left = _SERVED_AT_ONCE
        if self._is_stopped or self.is_over:
            self._end_step()
            return
        if self._speed is not None and self._stepped is None:
            if not self._is_paused:
                self._keep_pace()
            return
        if not self._waiting:
            return  # who asks next sees to it
        self._turns += 1
        is_quiet = self._is_quiet()
        if not is_quiet and self._turns < _MOST_TURNS:
            self._schedule()
            return
        if self._is_held_up(is_quiet=is_quiet):
            self._schedule(self._poll_s)
            self._poll_s = min(self._poll_s * 2, _POLL_S[1])
            return
        self._held_since, self._poll_s = None, _POLL_S[0]
        if self._stepped is not None and not self._steps:
            self._end_step()
        elif self._stepped is not None or not self._is_paused:
            if self._play(_never) and self._stepped is not None:
                self._steps -= 1
            self._schedule()

    def _end_step(self) -> None:
        if self._stepped is not None and not self._stepped.done():
            self._stepped.set_result(None)

    def _is_quiet(self) -> bool:
        """Whether no task is ready to run."""
        if self._ready is not None:
            return not self._ready
        if self._stirs != self._seen_stirs:
            self._seen_stirs, self._quiet_turns = self._stirs, 0
        self._quiet_turns += 1
        if self._quiet_turns < _QUIET_TURNS:
            return False
        self._quiet_turns = 0
        return True

    def _is_held_up(self, *, is_quiet: bool) -> bool:
        """Whether somebody who was given something is busy with it."""
        for task in [task for task in self._busy if task.done()]:
            del self._busy[task]
        if not self._busy or self._loop is None:
            return False
        nothing_comes = is_quiet and is_alone(self._loop)
        for task in list(self._busy) if is_quiet else ():  # else what it waits for may just be coming
            kind = waits_for(task, self._waiting)
            if kind == "runs":
                continue
            is_for_tasks = kind == "tasks" and not self._is_world_at_work(task)
            if kind == "replay" or nothing_comes or is_for_tasks or task in self._not_waited_for:
                self._excuse(task)
        if not self._busy:
            return False
        return not self._is_out_of_patience(", ".join(map(where, self._busy)))

    def _is_world_at_work(self, task: _Task) -> bool:
        """Whether a task that does not wait for the replay has something to do: `task` may wait for that one."""
        return any(
            waits_for(other, self._waiting) in ("world", "runs")
            for other in asyncio.all_tasks(self._loop)
            if other is not task
        )

    def _excuse(self, task: _Task) -> None:
        """`task` is not waited for as long as it waits as it does now."""
        what = self._busy.pop(task)
        future = getattr(task, "_fut_waiter", None)
        if future is None:
            return
        self._excused[task] = future

        def is_back(_: object) -> None:
            if self._excused.get(task) is future:
                del self._excused[task]
                if not task.done():
                    self._busy[task] = what

        future.add_done_callback(is_back)

    def _is_out_of_patience(self, what: str) -> bool:
        now = self._wall.monotonic_ns()
        if self._held_since is None:
            self._held_since = now
        if self._patience_ns is None or now - self._held_since < self._patience_ns:
            return False
        _log.warning(
            "the replay waited %.3g s for %s and goes on without: a consumer should wait by what the replay has "
            "(readers, books, sleep); patience=None waits for ever",
            (now - self._held_since) / NS_PER_S,
            what,
        )
        for task in list(self._busy):
            self._not_waited_for.add(task)
            self._excuse(task)
        return True

    # --- playing ----------------------------------------------------------------------------------------------------

    def _play(self, is_served: Callable[[], bool]) -> bool:
        """Play until `is_served`, or somebody else is, or the event loop is to have a turn; True for the first two."""
        reels, clock, publish, end_ns = self.reels, self.clock, self._publish, self.end_ns
        ready = self._ready
        others = 0 if ready is None else len(ready)
        left = _PLAYED_AT_ONCE
        self._turns = 0
        try:
            while True:
                at, due = reels.next_ns, clock.next_ns
                if at is None or (end_ns is not None and at >= end_ns):
                    if due is None or due > (clock.now_ns() if end_ns is None else end_ns):
                        self._end(None)
                        return False
                    clock.fire()
                elif due is not None and due <= at:
                    clock.fire()
                else:
                    clock.move_to(at)
                    events = reels.play()
                    self.played += 1
                    if events:
                        publish(events)
                    elif left:
                        left -= 1
                        continue
                if is_served() or (self._is_anybody_woken() if ready is None else len(ready) > others):
                    self._stirs += 1
                    return True
                left -= 1
                if left <= 0:
                    return False
        except Exception as error:  # a damaged or vanished file, a defect: whoever waits is to be told, not left alone
            self._end(error)
            return False

    def _is_anybody_woken(self) -> bool:
        return any(future.done() for future in self._waiting.values())

    def _end(self, error: BaseException | None) -> None:
        self.is_over = True
        if self.end_ns is not None and error is None:
            self.clock.move_to(max(self.clock.now_ns(), self.end_ns))
        self._ended(error)
        self._end_step()

    # --- at a speed -------------------------------------------------------------------------------------------------

    def _keep_pace(self) -> None:
        """Play what is due by now, and be there when the next is."""
        assert self._speed is not None  # noqa: S101  # looked at by who calls
        if self._origin is None:
            at = self.reels.next_ns
            began = self.clock.now_ns() or at or 0
            self._origin = self._real.monotonic_ns(), began
            self.clock.flow = self._flow
        goal = self._goal()
        ends = self._wall.monotonic_ns() + _SLICE_NS
        try:
            while not self.is_over:
                at, due = self.reels.next_ns, self.clock.next_ns
                end = self.end_ns if at is None or (self.end_ns is not None and at >= self.end_ns) else None
                if at is not None and end is not None:
                    at = None
                moments = [moment for moment in (due, at, end) if moment is not None]
                if at is None and end is None:
                    self._end(None)
                    return
                moment = min(moments)
                if moment > goal:
                    self._wait_for(moment)
                    return
                if due is not None and due == moment:
                    self.clock.fire()
                elif at is not None:
                    self.clock.move_to(at)
                    events = self.reels.play()
                    self.played += 1
                    if events:
                        self._publish(events)
                else:
                    self._end(None)
                    return
                if self._wall.monotonic_ns() >= ends:
                    self._schedule()
                    return
        except Exception as error:  # as in `_play`
            self._end(error)

    def _wait_for(self, moment_ns: int) -> None:
        assert self._origin is not None and self._speed is not None  # noqa: S101, PT018  # set by who calls
        real_ns, tape_ns = self._origin
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._real.call_at(real_ns + ceil((moment_ns - tape_ns) / self._speed), self._schedule)

    def _goal(self) -> int:
        """Where the tape should be by now."""
        assert self._origin is not None and self._speed is not None  # noqa: S101, PT018  # set by who calls
        real_ns, tape_ns = self._origin
        return tape_ns + round((self._real.monotonic_ns() - real_ns) * self._speed)

    def _flow(self) -> int:
        """The time between two inputs: never past one that was not played yet."""
        goal, at = self._goal(), self.reels.next_ns
        return goal if at is None else min(goal, at)

    def _stay(self) -> None:
        """The pace is taken up anew from where the tape is now."""
        now = self.clock.now_ns()
        if self.clock.flow is not None:
            self.clock.flow = None
            self.clock.move_to(now)
        self._origin = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _never() -> bool:
    return False
