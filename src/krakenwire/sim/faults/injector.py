"""The faults of one exchange: injected, healed, and called from where its frames pass."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from krakenwire.errors import UsageError

from ..feed.stream import Stream
from .host import Door, Host, Peer
from .kinds import KINDS, read_parameters
from .model import Fault, Timing
from .play import Playing
from .script import Script
from .skew import ClockSkew

__all__ = ["MAX_LOG", "Faults"]

_log = logging.getLogger("krakenwire.sim")

MAX_LOG = 20_000
"""Faults that the log remembers; the oldest are forgotten first, if they are healed."""

MAX_UNHEALED = 1000
"""Faults that may work, or wait to begin, at a time: each costs something with every frame."""

MAX_PLANS = 1000
"""Plans of scripts that may be under way at a time."""


class Faults:
    """The faults of one exchange.

    The exchange calls the hooks (`refuse_upgrade`, `connected`, `disconnected`, `outgoing`, `incoming`, `rest`) where
    its clients come, go and talk; while `is_active` is False nothing of that is needed.

    Args:
        host: the exchange.
        seed: of whatever the faults choose.

    Attributes:
        is_active: whether any fault works now.
    """

    def __init__(self, host: Host, *, seed: int = 0) -> None:
        self.is_active = False
        self._host = host
        self._seed = seed
        self._count = 0
        self._log: deque[Fault[Any]] = deque()
        self._by_id: dict[int, Fault[Any]] = {}
        self._unhealed: set[int] = set()
        self._active: tuple[Fault[Any], ...] = ()
        self._frame_faults: tuple[Fault[Any], ...] = ()
        self._message_faults: tuple[Fault[Any], ...] = ()
        self._playing: list[Playing] = []

    # --- what a user calls --------------------------------------------------------------------------------

    def inject(self, kind: str, /, **parameters: object) -> Fault[Any]:
        """Inject a fault; what it does now is done when this returns.

        Args:
            kind: its name, `lose_update` for one; docs/faults.md has them all.
            parameters: of the kind.

        Returns:
            The fault, which goes on telling what it touches.

        Raises:
            UsageError: there is no such kind or parameter, this exchange cannot do it, or too many are not healed;
                the message says what there is.
        """
        return self._inject(kind, read_parameters(kind, parameters), f"{self._seed}/{self._count + 1}/{kind}")

    def play(self, script: Script) -> None:
        """Inject what a script says, when it says it, counted from now.

        What cannot be done when its time has come is told by the log of the program.

        Raises:
            UsageError: this exchange cannot do one of the faults, or too much is planned already; none of them is
                injected then.
        """
        for plan in script.plans:
            for parameters in plan.variants():
                self._make(plan.kind, parameters, "").check()
        self._playing = [each for each in self._playing if not each.is_over]
        if len(self._playing) + len(script.plans) > MAX_PLANS:
            raise UsageError(f"at most {MAX_PLANS} plans can be under way; DELETE /faults or heal_all() ends them")
        for number, plan in enumerate(script.plans):
            self._playing.append(Playing(plan, f"{script.seed}/{number}", self._host.clock, self._inject))

    def heal(self, fault_id: int) -> Fault[Any]:
        """End a fault, and put back what can be put back; harmless if it is healed already.

        Raises:
            UsageError: there is no such fault.
        """
        fault = self.find(fault_id)
        self._heal(fault)
        return fault

    def find(self, fault_id: int) -> Fault[Any]:
        """A fault by its number.

        Raises:
            UsageError: there is no such fault.
        """
        fault = self._by_id.get(fault_id)
        if fault is None:
            raise UsageError(f"no fault {fault_id}; {self._count} were injected, and the log has {len(self._log)}")
        return fault

    def heal_all(self) -> None:
        """End every fault, also those that wait to begin, and every script."""
        for playing in self._playing:
            playing.stop()
        self._playing.clear()
        for fault in list(self._log):
            self._heal(fault)

    @property
    def log(self) -> tuple[Fault[Any], ...]:
        """What was injected, oldest first: each fault says when, and what it touched."""
        return tuple(self._log)

    def log_lines(self) -> Iterator[bytes]:
        """The log as JSON, one line a fault."""
        for fault in list(self._log):
            yield msgspec.json.encode(fault.record())

    @property
    def skew_ns(self) -> int:
        """How far the exchange's clock is ahead, in what it tells; it keeps the right time itself."""
        return sum(fault.skew_ns for fault in self._active if isinstance(fault, ClockSkew))

    # --- what the exchange calls --------------------------------------------------------------------------

    def refuse_upgrade(self, door: Door) -> tuple[int, str] | None:
        """HTTP status and reason with which to refuse a client that comes in here, or None."""
        for fault in self._active:
            refusal = fault.refuse_upgrade(door)
            if refusal is not None:
                return refusal
        return None

    def connected(self, peer: Peer) -> None:
        """A client is there, and was not sent anything yet; its wire may be another one afterwards."""
        for fault in self._active:
            fault.connected(peer)

    def disconnected(self, peer: Peer) -> None:
        """A client is gone."""
        for fault in self._active:
            fault.disconnected(peer)

    def outgoing(self, peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
        """What is sent instead of a frame."""
        frames: Sequence[bytes] = (frame,)
        for fault in self._frame_faults:
            if len(frames) == 1:
                instead = fault.outgoing(peer, stream, frames[0])
                if instead is not None:
                    frames = instead
            elif frames:
                before, frames = frames, []
                for each in before:
                    # The first of them may have healed it.
                    instead = None if fault.is_healed else fault.outgoing(peer, stream, each)
                    frames += (each,) if instead is None else instead
        return frames

    def incoming(self, peer: Peer, message: bytes) -> bytes | None:
        """The answer to a message, b"" for none, or None if it is to be handled."""
        for fault in self._message_faults:
            instead = fault.incoming(peer, message)
            if instead is not None:
                return instead
        return None

    def rest(self, path: str, answer: Callable[[], tuple[int, bytes]]) -> tuple[int, bytes]:
        """The answer to a REST call.

        Args:
            path: of the URL, `/0/public/Time`.
            answer: carries the call out; not called where a fault refuses it.
        """
        call = path.rpartition("/")[2]
        for fault in self._active:
            instead = fault.rest_instead(call)
            if instead is not None:
                return instead
        answered = answer()
        for fault in self._active:
            answered = fault.rest_answer(call, *answered) or answered
        return answered

    # --- inside -------------------------------------------------------------------------------------------

    def _make(self, kind: str, parameters: Timing, seed: str) -> Fault[Any]:
        return KINDS[kind](self._count + 1, parameters, self._host, seed, now_ns=self._now_ns, over=self._heal)

    def _inject(self, kind: str, parameters: Timing, seed: str) -> Fault[Any]:
        fault = self._make(kind, parameters, seed)
        fault.check()
        if len(self._unhealed) >= MAX_UNHEALED:
            raise UsageError(f"{MAX_UNHEALED} faults are not healed, which is all that can be; heal some of them first")
        self._count = number = fault.id
        self._by_id[number] = fault
        self._unhealed.add(number)
        self._log.append(fault)
        if len(self._log) > MAX_LOG:
            self._forget_one()
        if parameters.after > 0:
            fault.call_later(parameters.after, lambda: self._begin_late(fault))
        else:
            self._begin(fault)
        return fault

    def _now_ns(self) -> int:
        """The exchange's time, as it is and not as it tells it."""
        return self._host.exchange_now_ns() - self.skew_ns

    def _begin_late(self, fault: Fault[Any]) -> None:
        try:
            fault.check()
        except UsageError as error:
            _log.warning("a fault that waited cannot begin: %s", error)
            self._heal(fault)
        else:
            self._begin(fault)

    def _begin(self, fault: Fault[Any]) -> None:
        fault.begun_ns = self._now_ns()
        if fault.is_momentary:
            fault.begin()
            fault.healed_ns = fault.begun_ns
            self._unhealed.discard(fault.id)
            fault.let_go()
            return
        self._set_active((*self._active, fault))
        if fault.parameters.duration is not None:
            fault.call_later(fault.parameters.duration, fault.heal)
        fault.begin()

    def _heal(self, fault: Fault[Any]) -> None:
        if fault.is_healed:
            return
        fault.healed_ns = self._now_ns()
        self._unhealed.discard(fault.id)
        if fault in self._active:
            self._set_active(tuple(each for each in self._active if each is not fault))
            fault.end()
        fault.let_go()

    def _set_active(self, active: tuple[Fault[Any], ...]) -> None:
        self._active = active
        self._frame_faults = tuple(each for each in active if type(each).outgoing is not Fault.outgoing)
        self._message_faults = tuple(each for each in active if type(each).incoming is not Fault.incoming)
        self.is_active = bool(active)

    def _forget_one(self) -> None:
        oldest = next((each for each in self._log if each.is_healed), self._log[0])
        self._heal(oldest)
        self._log.remove(oldest)
        del self._by_id[oldest.id]
