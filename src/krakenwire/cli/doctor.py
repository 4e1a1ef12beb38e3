"""Examine this installation and its way to the exchange: what runs, what is missing, and what to do about it.

Nothing here raises for what it examines: a machine that is offline is a finding, not an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import itertools
import platform
import sys
from collections.abc import Mapping
from typing import Literal

import httpx
import msgspec

from krakenwire._version import __version__
from krakenwire.book import KERNEL, parse_timestamp
from krakenwire.clock import Clock, SystemClock
from krakenwire.errors import ConnectFailed, ConnectionClosed, UsageError
from krakenwire.net.endpoints import REST_SCHEMES, parse_url, shown
from krakenwire.net.transport import Closed
from krakenwire.net.websocket import WebSocketConnector

__all__ = ["Check", "Report", "examine", "run"]

Status = Literal["ok", "warning", "failed"]

NS_PER_MS = 1_000_000
REQUIRED = ("picows", "msgspec", "httpx")
EXTRAS = {"cli": ("typer", "rich"), "numpy": ("numpy",), "fast": ("uvloop",), "sim": ("aiohttp", "trustme")}
COARSE_CLOCK_NS = NS_PER_MS
CLOCK_READS = 10_000
WRONG_CLOCK_NS = 100 * NS_PER_MS
WIDEST_NAME = 12
PING = b'{"method":"ping","req_id":1}'
OFFLINE = "is this machine online? a firewall or a proxy may be in the way"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing examined.

    Attributes:
        name: what was examined, in a word or two.
        status: `failed` will keep the library from working, `warning` from working well.
        found: what was found.
        advice: what to do, empty where nothing is to be done.
    """

    name: str
    status: Status
    found: str
    advice: str = ""


class Report(msgspec.Struct, frozen=True):
    """Everything that was examined, in the order to read it in."""

    checks: tuple[Check, ...]

    @property
    def status(self) -> Status:
        """The worst of all checks."""
        found = {check.status for check in self.checks}
        return "failed" if "failed" in found else "warning" if "warning" in found else "ok"

    def as_dict(self) -> dict[str, object]:
        """For JSON: `{"status": …, "checks": [{"name", "status", "found", "advice"}, …]}`."""
        return {"status": self.status, "checks": msgspec.to_builtins(list(self.checks))}

    def __str__(self) -> str:
        """One line per check, its advice on a line below."""
        lines = []
        for check in self.checks:
            lines.append(f"{check.status:<8} {check.name:<{WIDEST_NAME}} {check.found}")
            if check.advice:
                lines.append(f"{'':<8} {'':<{WIDEST_NAME}} {check.advice}")
        return "\n".join(lines)


# --- this machine -------------------------------------------------------------------------------------------


def examine(clock: Clock) -> list[Check]:
    """What can be found out without a network. Takes a few milliseconds, and does not block longer."""
    return [
        kernel_check(KERNEL),
        python_check(sys.version_info[:3], platform.python_implementation()),
        *package_checks(installed_versions()),
        clock_check(clock),
    ]


def kernel_check(kernel: Literal["compiled", "pure"]) -> Check:
    """Do the books run on the compiled kernel, or on its pure twin, and why?"""
    if kernel == "compiled":
        return Check(name="kernel", status="ok", found="compiled")
    return Check(
        name="kernel",
        status="warning",
        found="pure Python, as KRAKENWIRE_PURE=1 asks for",
        advice="unset KRAKENWIRE_PURE unless you mean it: the compiled kernel is many times faster",
    )


def python_check(version: tuple[int, int, int], implementation: str) -> Check:
    """Is the interpreter one the library supports?"""
    found = f"{implementation} {'.'.join(map(str, version))}"
    if version < (3, 11):
        return Check(name="python", status="failed", found=found, advice="krakenwire needs Python 3.11 or newer")
    return Check(name="python", status="ok", found=found)


def installed_versions() -> dict[str, str | None]:
    """The versions of the packages krakenwire can use, None for one that is not installed."""
    versions: dict[str, str | None] = {}
    for name in (*REQUIRED, *(name for names in EXTRAS.values() for name in names)):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def package_checks(versions: Mapping[str, str | None]) -> list[Check]:
    """One check for what the core needs, one for each extra: an extra that is missing is no fault."""
    missing = [name for name in REQUIRED if versions.get(name) is None]
    core = ", ".join([f"krakenwire {__version__}", *_with_versions(REQUIRED, versions)])
    checks = [
        Check(
            name="packages",
            status="failed",
            found=core,
            advice=f"install them: pip install {' '.join(missing)}",
        )
        if missing
        else Check(name="packages", status="ok", found=core)
    ]
    for extra, names in EXTRAS.items():
        absent = any(versions.get(name) is None for name in names)
        checks.append(
            Check(
                name=f"extra {extra}",
                status="ok",
                found=", ".join(_with_versions(names, versions)),
                advice=f"optional: pip install 'krakenwire[{extra}]'" if absent else "",
            )
        )
    return checks


def _with_versions(names: tuple[str, ...], versions: Mapping[str, str | None]) -> list[str]:
    return [f"{name} {versions.get(name) or 'not installed'}" for name in names]


def clock_check(clock: Clock, reads: int = CLOCK_READS) -> Check:
    """Do both clocks move in small steps, and the monotonic one never backwards?

    Args:
        clock: what to read.
        reads: how often; the smallest step seen is taken for the resolution.
    """
    utc = [clock.now_ns() for _ in range(reads)]
    mono = [clock.monotonic_ns() for _ in range(reads)]
    if any(later < earlier for earlier, later in itertools.pairwise(mono)):
        return Check(
            name="clock",
            status="failed",
            found="the monotonic clock ran backwards",
            advice="delays and latencies cannot be trusted on this machine; look at its clock source",
        )
    steps = {"UTC": _smallest_step(utc), "monotonic": _smallest_step(mono)}
    found = ", ".join(
        f"{name} does not move" if step is None else f"{name} in steps of {step} ns" for name, step in steps.items()
    )
    if any(step is None or step > COARSE_CLOCK_NS for step in steps.values()):
        return Check(name="clock", status="warning", found=found, advice="too coarse to measure latency with")
    return Check(name="clock", status="ok", found=found)


def _smallest_step(times: list[int]) -> int | None:
    return min(
        (later - earlier for earlier, later in itertools.pairwise(times) if later > earlier),
        default=None,
    )


# --- the way to the exchange --------------------------------------------------------------------------------


async def run(endpoint_url: str, timeout: float, *, rest_url: str | None = None, clock: Clock | None = None) -> Report:
    """Examine this machine, then the way to both endpoints, side by side.

    Args:
        endpoint_url: of the WebSocket, `wss://…` or `ws://…`.
        timeout: seconds that each of connecting and answering may take.
        rest_url: of the REST interface; it is left out if None.
        clock: what to read; the machine's by default.

    Cancellation: safe, open connections are dropped.
    """
    clock = clock or SystemClock()
    local = examine(clock)
    if rest_url is None:
        return Report((*local, *await reach_websocket(endpoint_url, timeout, clock)))
    websocket, rest = await asyncio.gather(
        reach_websocket(endpoint_url, timeout, clock), reach_rest(rest_url, timeout, clock)
    )
    return Report((*local, *websocket, rest))


class _Pong(msgspec.Struct):
    """What of a frame tells whether it is a pong, and Kraken's times in it (PROTOCOL 3.3)."""

    method: str = ""
    time_in: str | None = None
    time_out: str | None = None


class _Ears:
    """A `Listener` that waits for one pong."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.pong: asyncio.Future[tuple[_Pong, int]] = asyncio.get_running_loop().create_future()

    def receive_frame(self, frame: bytes, last_in_read: bool) -> None:
        received_ns = self._clock.now_ns()
        try:
            pong = msgspec.json.decode(frame, type=_Pong)
        except msgspec.MsgspecError:
            return
        if pong.method == "pong" and not self.pong.done():
            self.pong.set_result((pong, received_ns))

    def receive_read_end(self) -> None:
        """Nothing waits for the end of a read."""

    def receive_closed(self, closed: Closed) -> None:
        if not self.pong.done():
            self.pong.set_exception(ConnectionClosed(f"it closed the connection ({closed.code} {closed.reason})"))


async def reach_websocket(url: str, timeout: float, clock: Clock) -> list[Check]:
    """Connect as a client does, ask for a pong, and compare the clocks where it tells Kraken's time."""
    ears = _Ears(clock)
    began = clock.monotonic_ns()
    try:
        transport = await WebSocketConnector(clock=clock, open_timeout=timeout)(url, ears)
    except UsageError as error:
        return [Check(name="websocket", status="failed", found=str(error), advice="correct the address")]
    except ConnectFailed as error:
        advice = OFFLINE if error.status is None and error.retryable else ""
        return [_failed("websocket", url, error.reason, advice)]
    connected, sent_ns = clock.monotonic_ns(), clock.now_ns()
    try:
        transport.send_text(PING)
        async with asyncio.timeout(timeout):
            pong, received_ns = await ears.pong
    except (TimeoutError, ConnectionClosed) as error:
        reason = str(error) or f"no answer to a ping within {timeout:g} s"
        return [_failed("websocket", url, f"connected, but {reason}", "does Kraken's v2 answer there?")]
    finally:
        transport.abort()
    took = f"connected in {(connected - began) / NS_PER_MS:.0f} ms"
    answered = f"ping answered in {(clock.monotonic_ns() - connected) / NS_PER_MS:.0f} ms"
    checks = [Check(name="websocket", status="ok", found=f"{shown(url)}: {took}, {answered}")]
    if pong.time_in and pong.time_out:
        with contextlib.suppress(ValueError):  # a time that cannot be read tells nothing of our clock
            time_in_ns, time_out_ns = parse_timestamp(pong.time_in), parse_timestamp(pong.time_out)
            checks.append(offset_check(sent_ns, time_in_ns, time_out_ns, received_ns))
    return checks


def offset_check(sent_ns: int, time_in_ns: int, time_out_ns: int, received_ns: int) -> Check:
    """Compare our UTC with the exchange's, as closely as one ping allows.

    Args:
        sent_ns: our time when the ping went out.
        time_in_ns: the exchange's when it came in.
        time_out_ns: the exchange's when the pong went out.
        received_ns: ours when it came in.
    """
    least, most = sent_ns - time_in_ns, received_ns - time_out_ns  # by how much ours is ahead
    ahead_ms, give_ms = (least + most) / 2 / NS_PER_MS, (most - least) / 2 / NS_PER_MS
    direction = "ahead of" if ahead_ms >= 0 else "behind"
    found = f"{abs(ahead_ms):.1f} ms {direction} the exchange, give or take {give_ms:.1f} ms"
    if least > WRONG_CLOCK_NS or most < -WRONG_CLOCK_NS:
        advice = "set the clock by NTP: latencies reckoned from exchange_ns are off by as much"
        return Check(name="clock offset", status="warning", found=found, advice=advice)
    return Check(name="clock offset", status="ok", found=found)


async def reach_rest(url: str, timeout: float, clock: Clock) -> Check:
    """Ask the REST interface for the exchange's time (PROTOCOL 8.3)."""
    began = clock.monotonic_ns()
    try:
        parse_url(url, REST_SCHEMES)
        async with asyncio.timeout(timeout), httpx.AsyncClient(base_url=url, timeout=timeout) as http:
            response = await http.get("/0/public/Time")
    except UsageError as error:
        return Check(name="rest", status="failed", found=str(error), advice="correct the address")
    except (TimeoutError, httpx.TimeoutException):
        return _failed("rest", url, f"no answer within {timeout:g} s", OFFLINE)
    except (httpx.TransportError, OSError) as error:
        return _failed("rest", url, str(error) or type(error).__name__, OFFLINE)
    if response.status_code in (403, 429, 503):
        return _failed("rest", url, f"refused with status {response.status_code}", "wait ten minutes")
    try:
        msgspec.json.decode(response.content, type=_TimeAnswer)
    except msgspec.MsgspecError:
        answer = f"status {response.status_code}, {response.text[:60]!r}"
        return _failed("rest", url, f"expected the exchange's time, got {answer}", "look at the address, or the proxy")
    answered = f"answered in {(clock.monotonic_ns() - began) / NS_PER_MS:.0f} ms"
    return Check(name="rest", status="ok", found=f"{shown(url)}: {answered}")


class _Time(msgspec.Struct):
    unixtime: int


class _TimeAnswer(msgspec.Struct):
    result: _Time


def _failed(name: str, url: str, reason: str, advice: str) -> Check:
    return Check(name=name, status="failed", found=f"unreachable: {shown(url)}: {reason}", advice=advice)
