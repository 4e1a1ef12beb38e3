"""Faults of subscriptions: acknowledged and then silent, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ..feed.stream import Stream
from ..sessions.requests import Refused, encode_refusal
from .filters import Count, StreamFault, StreamFilter
from .host import Peer

__all__ = ["Mute", "RefuseSubscription", "decode"]


def decode(message: bytes) -> dict[str, Any]:
    """A message as an object; empty if it is not one."""
    try:
        decoded = msgspec.json.decode(message)
    except (ValueError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


class MuteFilter(StreamFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `mute`."""

    which: Annotated[
        Literal["existing", "next", "both"],
        Meta(description="subscriptions that exist when it begins, those acknowledged later, or both"),
    ] = "existing"
    cure: Annotated[
        Literal["resubscribe", "reconnect", "none"],
        Meta(description="what the client can do about it: `none` leaves it mute on every connection until it heals"),
    ] = "resubscribe"
    snapshot: Annotated[bool, Meta(description="the snapshot after the ack still comes")] = False
    count: Annotated[int, Meta(ge=0, le=10**9, description="so many subscriptions fall mute; 0: all that match")] = 1


Key = tuple[str, str | None]
"""Channel and symbol of a subscription."""


class Mute(StreamFault[MuteFilter]):
    """Subscriptions that are acknowledged, and then silent; heartbeats go on."""

    kind = "mute"
    parameters_type = MuteFilter

    def begin(self) -> None:
        """Nothing is mute yet; a stream that is heard without an ack since then is one that existed."""
        super().begin()
        self._muted: dict[Peer, set[Key]] = {}
        self._acked: dict[Peer, set[Key]] = {}
        self._used = 0
        self._used_keys: set[Key] = set()

    def outgoing(self, peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes] | None:
        """Nothing, on a stream that is mute."""
        if stream is None:
            if b'subscribe"' in frame:
                self._notice(peer, decode(frame))
            return None
        key = stream.channel, stream.symbol
        if key[0] in ("status", "heartbeat") or not self.covers(*key):
            return None
        muted = self._muted.get(peer, ())
        if key not in muted:
            if not self._falls_mute_unasked(peer, key):
                return None
            self._fall_mute(peer, key)
        elif self.parameters.snapshot and b'"type":"snapshot"' in frame[:64]:
            return None
        self.touch(peer, stream, size=len(frame), repeats=True)
        return ()

    def disconnected(self, peer: Peer) -> None:
        """Forget its subscriptions; where a new connection cures, they are no longer mute."""
        muted = self._muted.pop(peer, None)
        self._acked.pop(peer, None)
        super().disconnected(peer)
        if muted:
            self._heal_if_cured()

    def end(self) -> None:
        """Let everything be heard again."""
        self._muted.clear()
        self._acked.clear()

    def _notice(self, peer: Peer, answer: dict[str, Any]) -> None:
        """Follow the acks: an unsubscribe may cure, a subscribe may fall mute."""
        result = answer.get("result")
        if answer.get("success") is not True or not isinstance(result, dict):
            return
        key = str(result.get("channel")), result.get("symbol")
        if not self.covers(*key):
            return
        wanted = self.parameters
        if answer.get("method") == "unsubscribe":
            if wanted.cure == "resubscribe" and key in self._muted.get(peer, ()):
                self._muted[peer].discard(key)
                self._acked.setdefault(peer, set()).add(key)
                self._heal_if_cured()
        elif key not in self._acked.get(peer, ()) and self._falls_mute_at_ack(peer, key):
            self._fall_mute(peer, key)
            self.touch(peer, Stream(*key), {"acked": True})
        else:
            self._acked.setdefault(peer, set()).add(key)

    def _falls_mute_at_ack(self, peer: Peer, key: Key) -> bool:
        """Whether a subscription that is acknowledged just now is to be mute."""
        if self.parameters.cure == "none" and key in self._used_keys:
            return self.takes(peer)
        return self.parameters.which != "existing" and self._has_more() and self.takes(peer)

    def _falls_mute_unasked(self, peer: Peer, key: Key) -> bool:
        """Whether a stream that is heard existed when the fault began, and is to be mute."""
        return (
            self.parameters.which != "next"
            and key not in self._acked.get(peer, ())
            and self._has_more()
            and self.takes(peer)
        )

    def _fall_mute(self, peer: Peer, key: Key) -> None:
        self._muted.setdefault(peer, set()).add(key)
        if self.parameters.cure != "none" or key not in self._used_keys:
            self._used += 1
        self._used_keys.add(key)

    def _has_more(self) -> bool:
        return not self.parameters.count or self._used < self.parameters.count

    def _heal_if_cured(self) -> None:
        if self.parameters.cure != "none" and not self._has_more() and not any(self._muted.values()):
            self.heal()


class RefusalFilter(StreamFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `refuse_subscription`."""

    error: Annotated[str, Meta(min_length=1, description="Kraken's words for it (PROTOCOL 9.7)")] = (
        "EGeneral:Internal error"
    )
    count: Count = 1


class RefuseSubscription(StreamFault[RefusalFilter]):
    """Subscribe requests that are refused, symbol by symbol."""

    kind = "refuse_subscription"
    parameters_type = RefusalFilter
    done = 0
    _is_passing = False

    def incoming(self, peer: Peer, message: bytes) -> bytes | None:
        """Refuse the symbols that are meant; what is left of the request is handled as ever."""
        if self._is_passing or b"subscribe" not in message:
            return None
        request = decode(message)
        params = request.get("params")
        if request.get("method") != "subscribe" or not isinstance(params, dict) or not self.takes(peer):
            return None
        channel, symbols = params.get("channel"), params.get("symbol", [None])
        if not isinstance(channel, str) or not isinstance(symbols, list):
            return None
        spared: list[object] = []
        for symbol in symbols:
            if self._has_more() and isinstance(symbol, str | None) and self.covers(channel, symbol):
                self._refuse(peer, request, channel, symbol)
            else:
                spared.append(symbol)
        if len(spared) == len(symbols):
            return None
        peer.flush()
        if spared:
            self._is_passing = True
            try:
                peer.receive(msgspec.json.encode(request | {"params": params | {"symbol": spared}}))
            finally:
                self._is_passing = False
        if not self._has_more():
            self.heal()
        return b""

    def _refuse(self, peer: Peer, request: dict[str, Any], channel: str, symbol: str | None) -> None:
        req_id = request.get("req_id")
        refused = Refused(self.parameters.error, "subscribe", req_id if isinstance(req_id, int) else None)
        now_ns = self.host.exchange_now_ns()
        peer.queue(None, encode_refusal(refused, symbol, now_ns, now_ns))
        self.done += 1
        self.touch(peer, Stream(channel, symbol), {"error": self.parameters.error})

    def _has_more(self) -> bool:
        return not self.parameters.count or self.done < self.parameters.count
