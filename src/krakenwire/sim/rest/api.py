"""Kraken's REST API, from a request to its answer, without a socket (PROTOCOL 8)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import parse_qsl

import msgspec

from krakenwire.clock import NS_PER_S, Clock
from krakenwire.errors import UsageError

from ..accounts.accounts import MAX_FIELDS, Accounts, read_body
from ..engine.model import EngineStatus, Refusal
from ..market.market import Market
from .fields import INVALID_ARGUMENTS, Fields
from .interest import Interest
from .private import CALLS, private_calls, token_answer
from .public import PUBLIC_CALLS, PublicCalls, status_answer, time_answer

if TYPE_CHECKING:
    from ..faults import Faults

__all__ = ["MAX_BODY", "Request", "RestApi", "RestHost", "encode_error"]

MAX_BODY = 64 * 1024
"""Bytes that a request's body may have; none that Kraken documents comes near it."""

PUBLIC_BURST = 15
"""Public calls that an address may make at once, where these are limited."""

ADDRESSES_KEPT = 4096

PUBLIC, PRIVATE = "/0/public/", "/0/private/"

_log = logging.getLogger("krakenwire.sim")


class Request(NamedTuple):
    """One HTTP request; `path` and `query` are as they were sent."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    address: str

    def __repr__(self) -> str:
        """Without what may be secret."""
        return f"{type(self).__name__}({self.method} {self.path})"


class RestHost(Protocol):
    """What the REST API needs of its exchange."""

    @property
    def clock(self) -> Clock:
        """What calls are counted by."""

    @property
    def accounts(self) -> Accounts:
        """Who may make private calls."""

    @property
    def faults(self) -> Faults:
        """What goes wrong on purpose."""

    @property
    def market(self) -> Market:
        """What is traded; `UsageError` if a recording is played."""

    def exchange_now_ns(self) -> int:
        """The exchange's time."""

    def move_too(self, symbols: Iterable[str]) -> None:
        """Let these symbols move, whoever else listens to them."""


class RestApi:
    """The calls of Kraken's REST API that the simulator has.

    Public: Time, SystemStatus, Assets, AssetPairs, Ticker, Depth, Trades, OHLC and Spread; private:
    GetWebSocketsToken, Balance, BalanceEx and OpenOrders. In maintenance all but the first two are
    `EService:Unavailable`, and so is what needs a market while a recording is played.

    Args:
        host: the exchange.
        public_rate: public calls a second that an address may make in the long run, and `PUBLIC_BURST` at once. None
            does not limit them: Kraken's own limit is not published (PROTOCOL 9.4).

    Raises:
        UsageError: `public_rate` is not more than 0.
    """

    def __init__(self, host: RestHost, *, public_rate: float | None = None) -> None:
        if public_rate is not None and not public_rate > 0:
            raise UsageError(f"public_rate must be more than 0 calls a second, or None for no limit; got {public_rate}")
        self._host = host
        self._public_rate = public_rate
        self._addresses: dict[str, tuple[float, int]] = {}
        try:
            self._market: Market | None = host.market
        except UsageError:
            self._market = None
        interest = Interest(host.clock, host.move_too)
        self._public = PublicCalls(self._market, interest.note) if self._market is not None else None
        self._private = private_calls(self._market, self._public.names) if self._market and self._public else {}

    def handle(
        self,
        method: str,
        path: str,
        query: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        address: str = "",
    ) -> tuple[int, bytes]:
        """Answer one request.

        Args:
            method: of HTTP.
            path: of the URL, `/0/public/Time`.
            query: what follows the question mark.
            headers: `API-Key` and `API-Sign` are read, in whatever case.
            body: form or JSON.
            address: whose public calls are counted, where these are limited.

        Returns:
            The HTTP status and the body. The status is 200 for Kraken's own errors too (PROTOCOL 8).
        """
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        request = Request(method, path, query, lowered, body, address)
        faults = self._host.faults
        return faults.rest(path, lambda: self._answer(request)) if faults.is_active else self._answer(request)

    # --- inside -------------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> tuple[int, bytes]:
        method, path = request.method, request.path
        if method not in ("GET", "HEAD", "POST"):
            return 405, encode_error("EGeneral:Unknown method")
        try:
            if path.startswith(PUBLIC):
                result = self._answer_public(path.removeprefix(PUBLIC), request)
            elif path.startswith(PRIVATE):
                result = self._answer_private(path.removeprefix(PRIVATE), request)
            else:
                return 404, encode_error("EGeneral:Unknown method")
            return 200, msgspec.json.encode({"error": [], "result": result})
        except Refusal as refusal:
            return 200, encode_error(refusal.text)
        except Exception:
            # Neither headers nor body: they may hold what nobody is to see.
            _log.exception("the simulator failed to answer %s", path)
            return 200, encode_error("EGeneral:Internal error")

    def _answer_public(self, name: str, request: Request) -> dict[str, Any]:
        self._charge(request.address)
        now_ns = self._host.exchange_now_ns()
        if name == "Time":
            return time_answer(now_ns)
        if name == "SystemStatus":
            return status_answer(self._status(), now_ns)
        if name not in PUBLIC_CALLS:
            raise Refusal("EGeneral:Unknown method")
        if self._public is None or self._status() == "maintenance":
            raise Refusal("EService:Unavailable")
        try:
            fields: dict[str, Any] = dict(parse_qsl(request.query, keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except ValueError:
            raise Refusal(INVALID_ARGUMENTS) from None
        return self._public.calls[name](Fields({**fields, **read_body(request.body)} if request.body else fields))

    def _answer_private(self, name: str, request: Request) -> dict[str, Any]:
        if name not in CALLS:
            raise Refusal("EGeneral:Unknown method")
        call = CALLS[name]
        accounts, now_ns = self._host.accounts, self._host.exchange_now_ns()
        key, signature = (request.headers.get(header) for header in ("api-key", "api-sign"))
        account = accounts.authorise(request.path, key, signature, request.body, now_ns)
        # Not the exchange's time, which may be simulated, or wrong on purpose.
        accounts.charge(account, 1, self._host.clock.monotonic_ns())
        if not getattr(accounts.permissions(account), call.permission):
            raise Refusal("EGeneral:Permission denied")
        if self._status() == "maintenance" or (call.needs_market and self._market is None):
            raise Refusal("EService:Unavailable")
        if name == "GetWebSocketsToken":
            return token_answer(accounts, account, now_ns)
        return self._private[name](account, Fields(read_body(request.body)))

    def _status(self) -> EngineStatus:
        return "online" if self._market is None else self._market.engine.status

    def _charge(self, address: str) -> None:
        """Count a public call of an address."""
        rate = self._public_rate
        if rate is None:
            return
        now_ns = self._host.clock.monotonic_ns()
        counter, counted_ns = self._addresses.pop(address, (0.0, now_ns))
        counter = max(0.0, counter - (now_ns - counted_ns) / NS_PER_S * rate)
        is_over = counter + 1 > PUBLIC_BURST
        self._addresses[address] = (counter if is_over else counter + 1, now_ns)
        if len(self._addresses) > ADDRESSES_KEPT:
            del self._addresses[next(iter(self._addresses))]  # whoever has been silent for longest
        if is_over:
            raise Refusal("EGeneral:Too many requests")


def encode_error(text: str) -> bytes:
    """An answer that is one error; there is no `result` in it."""
    return msgspec.json.encode({"error": [text]})
