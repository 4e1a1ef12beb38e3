"""One client as the exchange sees it: what it has subscribed, and what it is answered. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from .feed import Stream
from .requests import Refused, Request, encode_ack, encode_pong, encode_refusal, read_request
from .source import Source

__all__ = ["HEARTBEAT", "ClientSession", "encode_status"]

HEARTBEAT = b'{"channel":"heartbeat"}'
EXCEEDED_RATE = b'{"Error":"Exceeded msg rate"}'
NS_PER_S = 1_000_000_000

Subscriber = TypeVar("Subscriber")


def encode_status(connection_id: int, system: str = "online") -> bytes:
    """The frame that greets a client (PROTOCOL 3.1)."""
    return (
        f'{{"channel":"status","type":"update","data":[{{"version":"2.0.10","system":"{system}",'
        f'"api_version":"v2","connection_id":{connection_id}}}]}}'
    ).encode()


class ClientSession(Generic[Subscriber]):
    """Protocol state of one client.

    Args:
        source: where streams come from.
        subscriber: who this client is to the source.
        now_ns: gives the time that answers carry.
        message_rate: messages a second that the client may send in the long run; twice as many at once.
    """

    def __init__(
        self,
        source: Source[Subscriber],
        subscriber: Subscriber,
        now_ns: Callable[[], int],
        *,
        message_rate: float = 100.0,
    ) -> None:
        self._source = source
        self._subscriber = subscriber
        self._now_ns = now_ns
        self._message_rate = message_rate
        self._allowance = 2.0 * message_rate
        self._allowance_ns: int | None = None
        # One depth or trigger a symbol, but any number of intervals (PROTOCOL 2.4).
        self._streams: dict[Stream, Stream] = {}

    @property
    def has_subscriptions(self) -> bool:
        """True if anything is subscribed: from then on there are heartbeats."""
        return bool(self._streams)

    def receive(self, frame: bytes, monotonic_ns: int) -> list[bytes]:
        """Take one message of the client; returns what to send, in order."""
        time_in = self._now_ns()
        if not self._allow(monotonic_ns):
            return [EXCEEDED_RATE]
        try:
            request = read_request(frame)
        except Refused as refused:
            return [encode_refusal(refused, None, time_in, self._now_ns())]
        if request.method == "ping":
            return [encode_pong(request.req_id, time_in, self._now_ns())]
        frames: list[bytes] = []
        for stream in request.streams:
            if request.method == "subscribe":
                frames += self._subscribe(request, stream, time_in)
            else:
                frames.append(self._unsubscribe(request, stream, time_in))
        return frames

    def close(self) -> None:
        """End all subscriptions: the client is gone."""
        for stream in self._streams.values():
            self._source.close(self._subscriber, stream)
        self._streams.clear()

    def _subscribe(self, request: Request, stream: Stream, time_in: int) -> list[bytes]:
        error = self._source.refuse(stream)
        identity = _identity(stream)
        if error is None and identity in self._streams:
            error = "Already subscribed"
        if error is not None:
            return [self._refuse(error, request, stream, time_in)]
        self._streams[identity] = stream
        opening = self._source.open(self._subscriber, stream, request.snapshot)
        return [encode_ack(request, stream, time_in, self._now_ns()), *opening]

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

    def _allow(self, monotonic_ns: int) -> bool:
        """Take one message from the allowance, a bucket that refills at `message_rate`."""
        if self._allowance_ns is not None:
            earned = (monotonic_ns - self._allowance_ns) * self._message_rate / NS_PER_S
            self._allowance = min(2.0 * self._message_rate, self._allowance + earned)
        self._allowance_ns = monotonic_ns
        if self._allowance < 1.0:
            return False
        self._allowance -= 1.0
        return True


def _identity(stream: Stream) -> Stream:
    return stream if stream.channel == "ohlc" else Stream(stream.channel, stream.symbol)
