"""Faults of requests: refused for their rate, answered by nobody, or with a token that expired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..feed.stream import Stream
from ..sessions.requests import Refused, encode_refusal
from .filters import Count, PeerFault, PeerFilter
from .host import Peer
from .model import Fault, Timing
from .subscriptions import decode

__all__ = ["ExpireToken", "LoseReply", "RateLimit"]

EXCEEDED = "Exceeded msg rate"


class RateFilter(PeerFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `rate_limit`."""

    shape: Annotated[
        Literal["bare", "event", "ack", "any"],
        Meta(description="`bare`: an object with `Error`; `event`: v1's; `ack`: a failed answer; `any`: by the seed"),
    ] = "bare"
    method: Annotated[str, Meta(description="only requests of this method")] | None = None
    count: Count = 1


class RateLimit(PeerFault[RateFilter]):
    """Requests that are not handled, and answered with `Exceeded msg rate` (PROTOCOL 9.3)."""

    kind = "rate_limit"
    parameters_type = RateFilter
    done = 0

    def incoming(self, peer: Peer, message: bytes) -> bytes | None:
        """Refuse the request, in the shape that was asked for."""
        request = decode(message)
        method, req_id = request.get("method"), request.get("req_id")
        if not isinstance(method, str) or self.parameters.method not in (None, method) or not self.takes(peer):
            return None
        shape = self.parameters.shape
        if shape == "any":
            shape = self.random.choice(("bare", "event", "ack"))
        self.touch(peer, what={"method": method, "shape": shape})
        self.done += 1
        if self.done == self.parameters.count:
            self.heal()
        known_id = req_id if isinstance(req_id, int) else None
        if shape == "bare":
            return msgspec.json.encode({"Error": EXCEEDED})
        if shape == "event":
            event: dict[str, object] = {"errorMessage": EXCEEDED, "event": "error"}
            return msgspec.json.encode(event if known_id is None else event | {"reqid": known_id})
        now_ns = self.host.exchange_now_ns()
        return encode_refusal(Refused(EXCEEDED, method, known_id), None, now_ns, now_ns)


class ReplyFilter(PeerFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `lose_reply`."""

    method: Annotated[str, Meta(description="only answers to this method; `any` for all")] = "add_order"
    only_success: Annotated[bool, Meta(description="only answers that say that it was done")] = True
    cut: Annotated[bool, Meta(description="the connection is cut (1006) right where the answer is lost")] = False
    count: Count = 1


class LoseReply(PeerFault[ReplyFilter]):
    """Requests that are carried out, and whose answer is lost."""

    kind = "lose_reply"
    parameters_type = ReplyFilter
    done = 0

    def outgoing(self, peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes] | None:
        """Nothing, where the answer is to be lost."""
        if stream is not None or (self.parameters.count and self.done >= self.parameters.count):
            return None
        answer = decode(frame)
        method = answer.get("method")
        if method is None or self.parameters.method not in ("any", method):
            return None
        if (self.parameters.only_success and answer.get("success") is not True) or not self.takes(peer):
            return None
        what = {"method": method, "req_id": answer.get("req_id"), "success": answer.get("success")}
        self.touch(peer, what={name: value for name, value in what.items() if value is not None})
        self.done += 1
        if self.parameters.cut:
            # Not within the delivery that this frame is part of.
            self.host.clock.call_at(self.host.clock.monotonic_ns(), peer.abort)
        if self.done == self.parameters.count:
            self.heal()
        return ()


class TokenFilter(Timing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `expire_token`."""

    account: Annotated[str, Meta(description="whose tokens; of all accounts if not given")] | None = None


class ExpireToken(Fault[TokenFilter]):
    """Tokens that are no longer good, before their time; connections stay open (PROTOCOL 8.2)."""

    kind = "expire_token"
    parameters_type = TokenFilter
    is_momentary = True

    def check(self) -> None:
        """Refuse an account that is not there."""
        names = self.host.accounts.names
        if self.parameters.account is not None and self.parameters.account not in names:
            raise self.complain(f"there is no account {self.parameters.account!r}; there are {', '.join(names)}")

    def begin(self) -> None:
        """Expire them."""
        account = self.parameters.account
        self.touch(what={"tokens": self.host.accounts.expire_tokens(account), "account": account or "all"})
