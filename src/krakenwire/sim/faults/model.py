"""What a fault is: its parameters, its life from injected to healed, and the record of what it touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from krakenwire.clock import NS_PER_S, Timer
from krakenwire.errors import UnknownSymbol, UsageError

from ..feed.stream import Stream
from .host import Door, Host, Peer

__all__ = ["MAX_SECONDS", "MAX_TOUCHES", "Fault", "Timing", "Touch"]

MAX_SECONDS = 10**9
"""Some thirty years: what a time may be at most."""

MAX_TOUCHES = 256
"""Touches that one fault remembers, the first ones; those beyond are only counted."""


class Timing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a fault works: parameters that every kind has."""

    after: Annotated[float, Meta(ge=0, le=MAX_SECONDS, description="seconds until it begins to work")] = 0.0
    duration: (
        Annotated[float, Meta(gt=0, le=MAX_SECONDS, description="seconds of work after which it heals by itself")]
        | None
    ) = None


class Touch(Struct, kw_only=True, omit_defaults=True):
    """Something a fault did something to.

    Attributes:
        exchange_ns: when, exchange time; the first time if it was done again and again.
        connection_id, door: whose, where it concerns a connection.
        channel, symbol, variant: the stream, where it concerns one; `variant` is the depth of a book.
        what: what it was and what became of it: the checksum of a lost update, the code of a close. Never a token.
        bytes: how much it was, where it is frames; the sum if it was done again and again.
        times: how often.
        last_ns: the last time, where it was more than once.
    """

    exchange_ns: int
    connection_id: int | None = None
    door: Door | None = None
    channel: str | None = None
    symbol: str | None = None
    variant: int | str | None = None
    what: dict[str, object] = msgspec.field(default_factory=dict)
    bytes: int = 0
    times: int = 1
    last_ns: int | None = None


P = TypeVar("P", bound=Timing)


class Fault(Generic[P]):
    """One injected fault. Made by `Faults.inject`; the classes of the kinds derive from it.

    Args:
        number: its number among the faults of its exchange, from 1.
        parameters: how it was asked for.
        host: the exchange.
        seed: of all its chance.
        now_ns: gives the exchange's time, the right one.
        over: tells the owner that the fault wants to be healed.

    Attributes:
        id: its number.
        injected_ns: when it was injected, exchange time.
        begun_ns: when it began to work, or None.
        healed_ns: when it was over, or None.
        touches: what it touched, the first `MAX_TOUCHES`.
        touched: how often it touched anything.
    """

    kind: ClassVar[str]
    parameters_type: ClassVar[type[Timing]]
    is_momentary: ClassVar[bool] = False
    """True for a kind that is over as soon as it was begun."""

    def __init__(
        self,
        number: int,
        parameters: P,
        host: Host,
        seed: str,
        *,
        now_ns: Callable[[], int],
        over: Callable[[Fault[Any]], None],
    ) -> None:
        self.id = number
        self.parameters = parameters
        self.host = host
        self.injected_ns = now_ns()
        self.begun_ns: int | None = None
        self.healed_ns: int | None = None
        self.touches: list[Touch] = []
        self.touched = 0
        self._seed = seed
        self._random: Random | None = None
        self._now_ns = now_ns
        self._over = over
        self._repeated: dict[tuple[object, ...], Touch] = {}
        self._timers: list[Timer] = []

    def __repr__(self) -> str:
        return f"<Fault {self.id} {self.kind} {'healed' if self.is_healed else 'active'}, touched {self.touched}>"

    @property
    def is_healed(self) -> bool:
        """True once it does nothing any more."""
        return self.healed_ns is not None

    @property
    def random(self) -> Random:
        """All its chance; made when it is first needed, as most faults need none."""
        if self._random is None:
            self._random = Random(self._seed)
        return self._random

    def record(self) -> dict[str, object]:
        """The fault as it stands in the log: plain values, ready for JSON."""
        parameters = msgspec.to_builtins(self.parameters)
        return {
            "id": self.id,
            "kind": self.kind,
            "parameters": {name: value for name, value in parameters.items() if value is not None},
            "injected_ns": self.injected_ns,
            "begun_ns": self.begun_ns,
            "healed_ns": self.healed_ns,
            "touched": self.touched,
            "touches": msgspec.to_builtins(self.touches),
        }

    # --- what a kind does: each of these may be overridden ------------------------------------------------

    def check(self) -> None:
        """Refuse what the exchange cannot do.

        Raises:
            UsageError: a parameter names something that is not there.
        """

    def begin(self) -> None:
        """Start to work: `after` has passed."""

    def end(self) -> None:
        """Stop, and put back what can be put back."""

    def refuse_upgrade(self, door: Door) -> tuple[int, str] | None:
        """HTTP status and reason with which to refuse a client, or None."""
        return None

    def connected(self, peer: Peer) -> None:
        """A client is there; it was not sent anything yet."""

    def disconnected(self, peer: Peer) -> None:
        """A client is gone."""

    def outgoing(self, peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes] | None:
        """What is sent instead of a frame, or None if it is left alone."""
        return None

    def incoming(self, peer: Peer, message: bytes) -> bytes | None:
        """The answer to give to a message instead of handling it, b"" for none, or None to handle it."""
        return None

    def rest_instead(self, call: str) -> tuple[int, bytes] | None:
        """HTTP status and body of the answer to a REST call that is not carried out, or None."""
        return None

    def rest_answer(self, call: str, status: int, body: bytes) -> tuple[int, bytes] | None:
        """HTTP status and body that are sent instead of the answer to a REST call, or None if it is left alone."""
        return None

    # --- for the kinds ------------------------------------------------------------------------------------

    def heal(self) -> None:
        """It is over: by itself, or because somebody said so. Harmless when repeated."""
        self._over(self)

    def touch(
        self,
        peer: Peer | None = None,
        stream: Stream | None = None,
        what: Mapping[str, object] | None = None,
        *,
        door: Door | None = None,
        size: int = 0,
        repeats: bool = False,
    ) -> None:
        """Note what was touched just now, once the fault has begun.

        Args:
            peer: whose it was.
            stream: what it was part of.
            what: more about it, plain values.
            door: where it was, if it concerns no peer.
            size: how many bytes.
            repeats: count it in one entry with everything of the same connection, stream and `what`.
        """
        now_ns = self._now_ns()
        self.touched += 1
        more = dict(what or {})
        key = (peer and peer.connection_id, stream, *more.items())
        if repeats and (known := self._repeated.get(key)) is not None:
            known.times += 1
            known.bytes += size
            known.last_ns = now_ns
            return
        if len(self.touches) >= MAX_TOUCHES:
            return
        touch = Touch(exchange_ns=now_ns, door=door, what=more, bytes=size)
        if peer is not None:
            touch.connection_id, touch.door = peer.connection_id, peer.door
        if stream is not None:
            touch.channel, touch.symbol, touch.variant = stream
        self.touches.append(touch)
        if repeats:
            self._repeated[key] = touch

    def check_symbol(self, symbol: str | None) -> None:
        """Refuse a symbol that cannot be subscribed here."""
        if symbol is not None and symbol not in self.host.symbols:
            raise UnknownSymbol(symbol, tuple(each for each in self.host.symbols if each[:3] == symbol[:3])[:5])

    def complain(self, problem: str) -> UsageError:
        """An error about this fault's parameters."""
        return UsageError(f"fault {self.kind}: {problem}")

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call back on the exchange's clock, unless the fault is healed by then."""
        clock = self.host.clock
        self._timers.append(clock.call_at(clock.monotonic_ns() + round(seconds * NS_PER_S), callback))

    def let_go(self) -> None:
        """Call nothing back any more, and hold on to nothing but what the log needs; the owner says so at the end."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._repeated.clear()
        self._random = None
