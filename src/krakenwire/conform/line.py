"""One WebSocket to the server under test: every frame is kept, questions are asked and answers awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from krakenwire.clock import NS_PER_S, Clock
from krakenwire.conform.verdict import NotTested, broken
from krakenwire.conform.wire import Frame, encode, in_words
from krakenwire.net.transport import Closed, Connector, Transport

__all__ = ["NEW", "Line"]

NEW: Final = object()
"""Stands for a request id not used before."""

MOST_FRAMES = 200_000
"""Data frames kept of one connection; a server that sends faster than is worth looking at fills no memory."""


class Line:
    """One connection.

    Args:
        clock: what times are taken from.
        patience: seconds within which an answer counts as one.
        pace: seconds between two messages of ours.

    Attributes:
        frames: what came, in order.
        closed: how it ended, None while it is open.
        opened_ns: monotonic time at which it was open.
    """

    def __init__(self, clock: Clock, *, patience: float, pace: float = 0.0) -> None:
        self.frames: list[Frame] = []
        self.closed: Closed | None = None
        self.opened_ns = 0
        self.patience = patience
        self._clock = clock
        self._pace_ns = round(pace * NS_PER_S)
        self._free_ns = 0
        self._req_id = 0
        self._transport: Transport | None = None
        self._arrived = asyncio.Event()
        # What the server acknowledged: (channel, symbol, interval) to the params that unsubscribe it.
        self._subscribed: dict[tuple[str, str | None, object], dict[str, object]] = {}

    async def open(self, connector: Connector, url: str) -> None:
        """Connect.

        Raises:
            ConnectFailed: it cannot be opened.

        Cancellation: safe, the attempt is abandoned.
        """
        self._transport = await connector(url, self)
        self.opened_ns = self._clock.monotonic_ns()

    async def close(self) -> None:
        """End it, and wait until it has ended. Cancellation: partial; the connection ends nevertheless."""
        if self._transport is None or self.closed is not None:
            return
        self._transport.abort()
        while self.closed is None:
            await self._arrival()

    # --- the listener ------------------------------------------------------------------------------------------

    def receive_frame(self, frame: bytes, last_in_read: bool) -> None:
        """Keep a frame."""
        if len(self.frames) < MOST_FRAMES or b'"method"' in frame:
            self.frames.append(Frame(frame, self._clock.monotonic_ns()))
        self._arrived.set()

    def receive_read_end(self) -> None:
        """Nothing waits for the end of a read."""

    def receive_closed(self, closed: Closed) -> None:
        """Remember how it ended."""
        self.closed = closed
        self._arrived.set()

    # --- what rules do -----------------------------------------------------------------------------------------

    async def send(self, message: object) -> None:
        """Send an object as JSON, or bytes as they are; not faster than the pace allows.

        Cancellation: safe, nothing was sent.
        """
        wait_ns = self._free_ns - self._clock.monotonic_ns()
        if wait_ns > 0:
            await self._clock.sleep(wait_ns / NS_PER_S)
        self._free_ns = self._clock.monotonic_ns() + self._pace_ns
        if self._transport is not None:
            self._transport.send_text(message if isinstance(message, bytes) else encode(message))

    async def wait(
        self, match: Callable[[Frame], object], *, since: int = 0, within: float | None = None
    ) -> Frame | None:
        """The first frame from index `since` on that matches.

        Returns:
            None if none came `within` seconds (the line's patience by default), or the connection ended.

        Cancellation: safe, no effect.
        """
        try:
            async with asyncio.timeout(self.patience if within is None else within):
                while True:
                    while since < len(self.frames):
                        since += 1
                        if match(self.frames[since - 1]):
                            return self.frames[since - 1]
                    if self.closed is not None:
                        return None
                    await self._arrival()
        except TimeoutError:
            return None

    async def ask(
        self, method: str, params: Mapping[str, object] | None = None, *, answers: int = 1, req_id: object = NEW
    ) -> list[Frame]:
        """Send a request and collect answers: whatever comes that belongs to no channel.

        Answers are not matched by `req_id`: whether that is echoed is a rule of its own. One question is asked at
        a time.

        Args:
            method: the request's.
            params: its parameters.
            answers: how many to wait for.
            req_id: of the message, a new number by default; None leaves it out.

        Returns:
            As many answers as came within the patience, at most `answers`.

        Cancellation: partial; the request may have been sent.
        """
        message: dict[str, object] = {"method": method}
        if params is not None:
            message["params"] = params
        if req_id is not None:
            self._req_id += 1
            message["req_id"] = self._req_id if req_id is NEW else req_id
        since = len(self.frames)
        await self.send(message)
        found: list[Frame] = []
        while len(found) < answers:
            answer = await self.wait(lambda frame: frame.is_answer, since=since)
            if answer is None:
                break
            found.append(answer)
            since = self.frames.index(answer, since) + 1
        self._remember(method, params or {}, found)
        return found

    async def answer(self, method: str, params: Mapping[str, object] | None = None, *, req_id: object = NEW) -> Frame:
        """Send a request that has one answer.

        Raises:
            Broken: no answer came.
        """
        found = await self.ask(method, params, req_id=req_id)
        if not found:
            broken(f"an answer to {in_words({'method': method, 'params': _public(params)})}", self._silence())
        return found[0]

    async def subscribed(self, channel: str, symbol: str | None = None, **params: object) -> Frame:
        """Subscribe for a rule that is about something else; returns the ack.

        Raises:
            NotTested: it was not acknowledged.
        """
        wanted: dict[str, object] = {"channel": channel} | params
        if symbol is not None:
            wanted["symbol"] = [symbol]
        found = await self.ask("subscribe", wanted)
        if not found or not found[0].is_success:
            said = found[0].error or found[0].shortened if found else self._silence()
            raise NotTested(f"needs {channel}{f' of {symbol}' if symbol else ''}, which was not subscribed: {said}")
        return found[0]

    async def is_alive(self) -> bool:
        """Whether a ping is answered, however."""
        return bool(await self.ask("ping"))

    async def settle(self) -> bool:
        """Unsubscribe what is subscribed; whether the line is as good as new."""
        for key, params in list(self._subscribed.items()):
            symbol = key[1]
            await self.ask("unsubscribe", params | ({} if symbol is None else {"symbol": [symbol]}))
            if key in self._subscribed:
                return False
        return self.closed is None and await self.is_alive()

    def _silence(self) -> str:
        if self.closed is not None:
            return f"the end of the connection ({self.closed.code} {self.closed.reason})".replace(" )", ")")
        return f"none within {self.patience:g} s"

    def _remember(self, method: str, params: Mapping[str, object], answers: list[Frame]) -> None:
        """Keep account of what is subscribed, so that `settle` can undo it."""
        channel = params.get("channel")
        if method not in ("subscribe", "unsubscribe") or not isinstance(channel, str):
            return
        symbols = params.get("symbol")
        known = [each for each in symbols if isinstance(each, str)] if isinstance(symbols, list) else [None]
        succeeded = any(answer.is_success for answer in answers)
        if not succeeded:
            return
        for symbol in known:
            if method == "subscribe":
                kept = {name: params[name] for name in _IDENTIFYING if name in params}
                self._subscribed[channel, symbol, params.get("interval")] = kept
            else:
                self._subscribed.pop((channel, symbol, params.get("interval")), None)

    async def _arrival(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()


_IDENTIFYING = ("channel", "depth", "interval", "event_trigger", "token")
"""What an unsubscribe has to repeat (PROTOCOL 2.4)."""


def _public(params: Mapping[str, object] | None) -> dict[str, Any]:
    """Parameters as a report may show them: without the token."""
    return {name: value for name, value in (params or {}).items() if name != "token"}
