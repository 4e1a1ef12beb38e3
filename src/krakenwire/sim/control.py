"""The control endpoint: faults by HTTP, for tests that are not written in Python, on a loopback port of its own."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from krakenwire.errors import UsageError

from .faults import KINDS, Plan, Script, describe
from .faults.script import PLAN_KEYS
from .web import JsonServer, Request

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ["ControlApi", "ControlServer"]

CALLS = {
    "GET /faults": "the log: every fault, and what it touched; ?since=ID leaves out those up to that one",
    "POST /faults": 'inject one: {"kind": "cut", "code": 1012}; with at, every, jitter, repeat and seed as in a script',
    "GET /faults/kinds": "what can be injected, with parameters",
    "GET /faults/ID": "one fault",
    "DELETE /faults/ID": "heal one",
    "DELETE /faults": "heal all, and end what is planned",
    "GET /state": "status, time, symbols, and who is connected",
    "GET /truth?symbol=BTC/USD&depth=10": "the exchange's own book",
    "POST /release": 'let a held market move: {"messages": 100}, or {} without end',
}


class _Failed(Exception):
    """A request that cannot be done: the HTTP status, and what was expected."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


class ControlApi:
    """From a request to its answer, without a socket.

    Requests that a web page of somewhere else makes a browser send are refused: by their `Host`, which has to be a
    loopback name, and by their `Origin`.

    Args:
        exchange: which is controlled.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def handle(self, request: Request) -> tuple[int, bytes]:
        """Answer one request: HTTP status and JSON."""
        try:
            _refuse_foreign(request)
            status, answer = self._answer(request)
        except _Failed as failed:
            status, answer = failed.status, {"error": str(failed)}
        except UsageError as error:
            status, answer = 400, {"error": str(error)}
        return status, msgspec.json.encode(answer)

    def _answer(self, request: Request) -> tuple[int, object]:
        method, path = request.method, request.path.rstrip("/") or "/"
        faults = self._exchange.faults
        query = dict(parse_qsl(request.query))
        one = re.fullmatch(r"/faults/(\d{1,18})", path)
        match (method, path):
            case ("GET", "/"):
                return 200, {"calls": CALLS}
            case ("GET", "/faults"):
                since = _whole(query.get("since", "0"), "since")
                return 200, {"faults": [fault.record() for fault in faults.log if fault.id > since]}
            case ("POST", "/faults"):
                return self._inject(_read_object(request.body))
            case ("DELETE", "/faults"):
                faults.heal_all()
                return 200, {"faults": [fault.record() for fault in faults.log]}
            case ("GET", "/faults/kinds"):
                return 200, {"kinds": {kind: _describe(kind) for kind in KINDS}}
            case ("GET", "/state"):
                return 200, self._state()
            case ("GET", "/truth"):
                return 200, self._truth(query)
            case ("POST", "/release"):
                return 200, self._release(_read_object(request.body))
            case ("GET" | "DELETE", _) if one:
                return 200, self._find(int(one[1]), heal=method == "DELETE")
        raise _Failed(404, f"no {method} {path} here; there are {', '.join(CALLS)}")

    def _inject(self, given: dict[str, Any]) -> tuple[int, object]:
        kind = given.pop("kind", None)
        if not isinstance(kind, str):
            raise _Failed(400, 'kind is missing; as in {"kind": "lose_update"}; there are ' + ", ".join(sorted(KINDS)))
        faults = self._exchange.faults
        if not given.keys().isdisjoint(PLAN_KEYS):
            seed = given.pop("seed", 0)
            if type(seed) is not int:
                raise _Failed(400, f"seed must be a whole number, got {seed!r}")
            plan = Plan.read(kind, given)
            faults.play(Script((plan,), seed))
            return 202, {"planned": msgspec.to_builtins(plan)}
        return 201, faults.inject(kind, **given).record()

    def _find(self, number: int, *, heal: bool) -> dict[str, object]:
        faults = self._exchange.faults
        try:
            return (faults.heal(number) if heal else faults.find(number)).record()
        except UsageError as error:
            raise _Failed(404, str(error)) from None

    def _state(self) -> dict[str, object]:
        exchange = self._exchange
        try:
            status: str | None = exchange.market.engine.status
        except UsageError:
            status = None
        return {
            "status": status,
            "exchange_ns": exchange.exchange_now_ns(),
            "symbols": exchange.symbols,
            "rate": exchange.rate,
            "slow_clients_dropped": exchange.slow_clients_dropped,
            "peers": [
                {"connection_id": peer.connection_id, "door": peer.door, "account": peer.session.account}
                for peer in exchange.peers
            ],
            "faults_active": [fault.id for fault in exchange.faults.log if not fault.is_healed],
        }

    def _truth(self, query: dict[str, str]) -> dict[str, object]:
        symbol = query.get("symbol")
        if symbol is None:
            raise _Failed(400, "symbol is missing; as in /truth?symbol=BTC/USD&depth=10")
        bids, asks = self._exchange.truth(symbol, _whole(query.get("depth", "10"), "depth"))
        return {"symbol": symbol, "bids": bids, "asks": asks}

    def _release(self, given: dict[str, Any]) -> dict[str, object]:
        messages = given.get("messages")
        if given.keys() - {"messages"} or not (messages is None or (type(messages) is int and messages >= 0)):
            raise _Failed(400, 'expected {"messages": 100} with a whole number of at least 0, or {}')
        self._exchange.release(messages)
        return {"released": messages}


class ControlServer(JsonServer):
    """Serves the control endpoint of an exchange; on loopback, and nowhere else.

    Args:
        exchange: which is controlled.
        port: 0 lets the system choose.

    Raises:
        UsageError: aiohttp is not installed (the extra `sim`).
    """

    def __init__(self, exchange: Exchange, port: int = 0) -> None:
        super().__init__(ControlApi(exchange).handle, "127.0.0.1", port)


def _refuse_foreign(request: Request) -> None:
    """Refuse what a web page may have sent: names that are not ours, and other pages' origins."""
    host = request.headers.get("Host", "")
    if not _is_loopback(host):
        raise _Failed(403, f"Host {host!r} is refused; expected 127.0.0.1, [::1] or localhost")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{host}":
        raise _Failed(403, f"Origin {origin!r} is refused; expected none, or http://{host}")
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise _Failed(403, "a request from another site is refused")


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise _Failed(400, f"the body must be a JSON object: {error}") from None
    if not isinstance(decoded, dict):
        raise _Failed(400, f"the body must be a JSON object, got {type(decoded).__name__}")
    return decoded


def _whole(text: str, name: str) -> int:
    if not re.fullmatch(r"\d{1,18}", text):
        raise _Failed(400, f"{name} must be a whole number of at least 0, got {text!r}")
    return int(text)


def _describe(kind: str) -> dict[str, object]:
    return {
        "what": (KINDS[kind].__doc__ or "").partition("\n")[0],
        "parameters": {
            each.name: {
                "expected": each.expected,
                "required": each.is_required,
                "default": each.default,
                "meaning": each.meaning,
            }
            for each in describe(kind)
        },
    }
