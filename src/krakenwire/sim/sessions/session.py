"""One client as the exchange sees it: what it has subscribed, and what it is answered. No I/O, no clock."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import ClassVar, Generic, Protocol, TypeVar

from ..accounts.accounts import Accounts
from ..engine.model import Refusal
from ..feed.stream import Stream
from ..source import Source
from .requests import (
    Message,
    Refused,
    Request,
    encode_ack,
    encode_pong,
    encode_refusal,
    read_message,
    read_request,
)

__all__ = [
    "HEARTBEAT",
    "Allowance",
    "ClientSession",
    "DoorSession",
    "Level3Session",
    "Reply",
    "Session",
    "encode_status",
]

HEARTBEAT = b'{"channel":"heartbeat"}'
EXCEEDED_RATE = b'{"Error":"Exceeded msg rate"}'
NS_PER_S = 1_000_000_000

MAX_L3_SYMBOLS = 200
"""Symbols of level3 on one connection (PROTOCOL 3.6)."""

L3_COSTS = {10: 5, 100: 25, 1000: 100}
"""What a symbol costs at each depth (PROTOCOL 3.6)."""

Subscriber = TypeVar("Subscriber", bound=Hashable)

Reply = tuple[Stream | None, bytes]
"""A frame to send, and the stream it belongs to; None for an answer."""


class Session(Protocol):
    """Protocol state of one client, whatever door it came in by."""

    @property
    def has_subscriptions(self) -> bool:
        """True if anything is subscribed: from then on there are heartbeats."""

    @property
    def account(self) -> str | None:
        """Whose token it showed last; None if it never showed a good one."""

    def receive(self, frame: bytes, monotonic_ns: int) -> list[Reply]:
        """Take one message of the client; returns what to send, in order."""

    def close(self) -> None:
        """End all subscriptions: the client is gone."""


def encode_status(connection_id: int, system: str = "online") -> bytes:
    """The frame that greets a client (PROTOCOL 3.1)."""
    return (
        f'{{"channel":"status","type":"update","data":[{{"version":"2.0.10","system":"{system}",'
        f'"api_version":"v2","connection_id":{connection_id}}}]}}'
    ).encode()


class Allowance:
    """A bucket of so much, that refills at a rate: what may be done now, and in the long run.

    Args:
        rate: what comes back a second.
        most: what it holds, and holds at first.
    """

    def __init__(self, rate: float, most: float) -> None:
        self._rate = rate
        self._most = most
        self._left = most
        self._looked_ns: int | None = None

    def take(self, monotonic_ns: int, cost: float = 1.0) -> bool:
        """Take `cost` out, if there is so much."""
        if self._looked_ns is not None:
            earned = (monotonic_ns - self._looked_ns) * self._rate / NS_PER_S
            self._left = min(self._most, self._left + earned)
        self._looked_ns = monotonic_ns
        if self._left < cost:
            return False
        self._left -= cost
        return True


class DoorSession(ABC):
    """What is the same at every door: the rate of messages, ping, and that a wrong request is refused.

    Args:
        now_ns: gives the time that answers carry.
        message_rate: messages a second that the client may send in the long run; twice as many at once.
    """

    methods: ClassVar[tuple[str, ...]] = ("subscribe", "unsubscribe")

    def __init__(self, now_ns: Callable[[], int], message_rate: float) -> None:
        self._now_ns = now_ns
        self._allowance = Allowance(message_rate, 2.0 * message_rate)
        self.account: str | None = None

    def receive(self, frame: bytes, monotonic_ns: int) -> list[Reply]:
        """Take one message of the client; returns what to send, in order."""
        time_in = self._now_ns()
        if not self._allowance.take(monotonic_ns):
            return [(None, EXCEEDED_RATE)]
        try:
            message = read_message(frame, self.methods)
            if message.method == "ping":
                return [(None, encode_pong(message.req_id, time_in, self._now_ns()))]
            return self._handle(message, time_in, monotonic_ns)
        except Refused as refused:
            return [(None, encode_refusal(refused, None, time_in, self._now_ns()))]

    @abstractmethod
    def _handle(self, message: Message, time_in: int, monotonic_ns: int) -> list[Reply]:
        """Do what a message asks; raises Refused."""


class ClientSession(DoorSession, Generic[Subscriber]):
    """Protocol state of one client of the public door.

    Args:
        source: where streams come from.
        subscriber: who this client is to the source.
        now_ns: gives the time that answers carry.
        message_rate: messages a second that the client may send in the long run; twice as many at once.
    """

    channels: ClassVar[tuple[str, ...]] = ("book", "ticker", "trade", "ohlc", "instrument")

    def __init__(
        self,
        source: Source[Subscriber],
        subscriber: Subscriber,
        now_ns: Callable[[], int],
        *,
        message_rate: float = 100.0,
    ) -> None:
        super().__init__(now_ns, message_rate)
        self._source = source
        self._subscriber = subscriber
        # One depth or trigger a symbol, but any number of intervals (PROTOCOL 2.4).
        self._streams: dict[Stream, Stream] = {}

    @property
    def has_subscriptions(self) -> bool:
        """True if anything is subscribed: from then on there are heartbeats."""
        return bool(self._streams)

    def close(self) -> None:
        """End all subscriptions: the client is gone."""
        for stream in self._streams.values():
            self._source.close(self._subscriber, stream)
        self._streams.clear()

    def _handle(self, message: Message, time_in: int, monotonic_ns: int) -> list[Reply]:
        return self._do(read_request(message, self.channels), time_in, monotonic_ns)

    def _do(self, request: Request, time_in: int, monotonic_ns: int) -> list[Reply]:
        replies: list[Reply] = []
        for stream in request.streams:
            if request.method == "subscribe":
                replies += self._subscribe(request, stream, time_in, monotonic_ns)
            else:
                replies.append((None, self._unsubscribe(request, stream, time_in)))
        return replies

    def _subscribe(self, request: Request, stream: Stream, time_in: int, monotonic_ns: int) -> list[Reply]:
        error = self._source.refuse(stream)
        identity = _identity(stream)
        if error is None and identity in self._streams:
            error = "Already subscribed"
        if error is None:
            error = self._limit(stream, monotonic_ns)
        if error is not None:
            return [(None, self._refuse(error, request, stream, time_in))]
        self._streams[identity] = stream
        opening = self._source.open(self._subscriber, stream, request.snapshot)
        replies: list[Reply] = [(None, encode_ack(request, stream, time_in, self._now_ns()))]
        replies += [(stream, frame) for frame in opening]
        return replies

    def _limit(self, stream: Stream, monotonic_ns: int) -> str | None:
        """Kraken's words if this subscription is more than the client may have now."""
        return None

    def _unsubscribe(self, request: Request, stream: Stream, time_in: int) -> bytes:
        identity = _identity(stream)
        error = self._source.refuse(stream)
        if error is None and self._streams.get(identity) != stream:
            error = "Subscription Not Found"
        if error is not None:
            return self._refuse(error, request, stream, time_in)
        del self._streams[identity]
        self._source.close(self._subscriber, stream)
        return encode_ack(request, stream, time_in, self._now_ns())

    def _refuse(self, error: str, request: Request, stream: Stream, time_in: int) -> bytes:
        refused = Refused(error, request.method, request.req_id)
        return encode_refusal(refused, stream.symbol, time_in, self._now_ns())


class Level3Session(ClientSession[Subscriber]):
    """Protocol state of one client of the level3 door (PROTOCOL 3.6): every request needs a token.

    Args:
        source, subscriber, now_ns, message_rate: as `ClientSession` has them.
        accounts: who may hold a token.
    """

    channels = ("level3",)

    def __init__(
        self,
        source: Source[Subscriber],
        subscriber: Subscriber,
        now_ns: Callable[[], int],
        accounts: Accounts,
        *,
        message_rate: float = 100.0,
    ) -> None:
        super().__init__(source, subscriber, now_ns, message_rate=message_rate)
        self._accounts = accounts
        self._costs: dict[str, Allowance] = {}
        self._budget = Allowance(0.0, 0.0)

    def close(self) -> None:
        """End all subscriptions: the client is gone."""
        super().close()
        self._accounts.release(self._subscriber)

    def _handle(self, message: Message, time_in: int, monotonic_ns: int) -> list[Reply]:
        request = read_request(message, self.channels)
        token = message.params.get("token")
        if not isinstance(token, str):
            raise Refused("Token(s) not found", message.method, message.req_id)
        try:
            account = self._accounts.account_of(token, self._now_ns(), self._subscriber)
        except Refusal as refusal:
            raise Refused(refusal.text, message.method, message.req_id) from None
        self.account = account
        if account not in self._costs:
            rate = 500.0 if self._accounts.tier(account).name == "pro" else 200.0
            self._costs[account] = Allowance(rate, rate)
        self._budget = self._costs[account]
        replies = self._do(request, time_in, monotonic_ns)
        if self._streams:
            self._accounts.hold(token, self._subscriber)
        else:
            self._accounts.release(self._subscriber)
        return replies

    def _limit(self, stream: Stream, monotonic_ns: int) -> str | None:
        """At most 200 symbols, and so many points a second, 500 for the tier `pro`; depth makes a symbol dearer."""
        if len(self._streams) >= MAX_L3_SYMBOLS:
            return "Exceeded maximum number of symbols"
        return None if self._budget.take(monotonic_ns, L3_COSTS[stream.number]) else "Exceeded msg rate"


def _identity(stream: Stream) -> Stream:
    return stream if stream.channel == "ohlc" else Stream(stream.channel, stream.symbol)
