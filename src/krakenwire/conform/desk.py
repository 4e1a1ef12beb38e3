"""The account under test: orders placed, what `executions` and `balances` told of them, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from krakenwire.clock import NS_PER_S
from krakenwire.conform.line import NEW, Line
from krakenwire.conform.once import Once
from krakenwire.conform.quote import Quote
from krakenwire.conform.verdict import NotTested
from krakenwire.conform.wire import Frame, Item

if TYPE_CHECKING:
    from krakenwire.conform.subject import Subject

__all__ = ["ENDED", "Desk", "Fill"]

ENDED = ("filled", "canceled", "expired")
"""The `exec_type`s after which an order is no more."""

CLEAN_UP_S = 3.0

DECAY = {"60": 1.0, "125": 2.34, "180": 3.75}
"""By how much the trading counter falls in a second, by the tier's threshold (PROTOCOL 9.5)."""
ADD_AND_CANCEL = 9.0
"""What an order costs that is cancelled within five seconds."""
AMEND = 4.0
"""What an amend costs within five seconds."""
RESERVE = 20.0
"""Room left for what we do not know of."""


class Fill(NamedTuple):
    """A market order that was filled.

    Attributes:
        order_id: its id.
        qty: how much was ordered.
        reports: what `executions` told of it, in order.
        entries: what `balances` told meanwhile, in order.
    """

    order_id: str
    qty: Decimal
    reports: list[Item]
    entries: list[Item]


class Desk:
    """One private connection with `executions` and `balances`, and the orders placed on it.

    Args:
        subject: whose it is.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._opened = Once(self._open)
        self._ticker = Once(self._open_ticker)
        self._filled = Once(self._fill)
        self._line: Line | None = None
        self._orders = 0
        self._tag = f"cf{subject.clock.now_ns() // 1_000_000 % 10**8:08d}"
        self._placed: set[str] = set()
        self._counter = 0.0
        self._counted_ns = 0
        self._is_afforded = False
        self.subscription: dict[str, Frame] = {}

    async def close(self) -> None:
        """Cancel what is still open of the orders placed here. Cancellation: partial."""
        for once in (self._filled, self._ticker, self._opened):
            await once.cancel()
        line = self._line
        if line is None or line.closed is not None:
            return
        remaining = sorted(self._open_orders(line))
        if remaining:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLEAN_UP_S):
                    token = await self._subject.token()
                    await line.ask("cancel_order", {"order_id": remaining, "token": token}, answers=len(remaining))

    async def line(self) -> Line:
        """The private connection, subscribed.

        Raises:
            NotTested: it could not be subscribed.

        Cancellation: safe.
        """
        await self._opened.get()
        if self._line is None or self._line.closed is not None:
            raise NotTested("needs the private connection, which has ended")
        return self._line

    async def request(self, method: str, *, req_id: object = NEW, **params: object) -> Frame:
        """A request with the token that has one answer.

        Raises:
            NotTested, Broken: there is no private connection, no answer.

        Cancellation: partial; the request may have been sent.
        """
        line = await self.line()
        answer = await line.answer(method, params | {"token": await self._subject.token()}, req_id=req_id)
        if method == "amend_order":
            self._counter += AMEND
        if method == "add_order":
            order_id = answer.result.get("order_id")
            if type(order_id) is str and order_id:
                self._placed.add(order_id)
        return answer

    async def requests(self, method: str, answers: int, **params: object) -> list[Frame]:
        """A request with the token that has several answers. Cancellation: partial, as `request`."""
        line = await self.line()
        return await line.ask(method, params | {"token": await self._subject.token()}, answers=answers)

    def new_cl_ord_id(self) -> str:
        """A `cl_ord_id` not used before."""
        self._orders += 1
        return f"{self._tag}-{self._orders}"

    async def add(self, **params: object) -> Frame:
        """Add an order of the symbol; the answer, whatever it is. Cancellation: partial, as `request`."""
        await self.afford()
        self._is_afforded = False
        order: dict[str, object] = {"symbol": self._subject.symbol, "order_type": "limit", "side": "buy"}
        if "order_userref" not in params:
            order["cl_ord_id"] = self.new_cl_ord_id()
        return await self.request("add_order", **(order | params))

    async def rest(self, **params: object) -> str:
        """Add a small buy far below the market; returns its id once `executions` told that it is new.

        Raises:
            NotTested: it was refused.

        Cancellation: partial, as `request`; what rests is cancelled by `close`.
        """
        quote = await self.quote()
        answer = await self.add(**({"order_qty": quote.qty, "limit_price": quote.far} | params))
        if not answer.is_success:
            raise NotTested(f"needs a resting order, which was refused: {answer.error or answer.shortened}")
        order_id = answer.result.text("order_id")
        await self.reports(order_id, "new")
        return order_id

    async def cancel(self, *order_ids: str) -> None:
        """Cancel orders for a rule that is about something else. Cancellation: partial, as `request`."""
        await self.requests("cancel_order", len(order_ids), order_id=list(order_ids))
        for order_id in order_ids:
            await self.reports(order_id, "canceled")

    async def reports(self, order_id: str, until: str, *, since: int = 0) -> list[Item]:
        """What `executions` told of an order, as soon as a report of type `until` is among it.

        Args:
            order_id: of the order.
            until: an `exec_type`; or `ended` for any that ends an order.
            since: index of the first frame to look at.

        Returns:
            All reports so far, if `until` does not come within the patience.

        Cancellation: safe.
        """
        line = await self.line()
        wanted = ENDED if until == "ended" else (until,)

        def tells(frame: Frame) -> bool:
            return any(item.get("exec_type") in wanted for item in _reports(frame, order_id))

        await line.wait(tells, since=since)
        return [item for frame in line.frames[since:] for item in _reports(frame, order_id)]

    async def quote(self) -> Quote:
        """The market now, from the ticker and the instrument.

        Raises:
            NotTested: one of them does not come.

        Cancellation: safe.
        """
        line = await self._ticker.get()
        latest = next(
            (frame.data[0] for frame in reversed(line.frames) if frame.channel == "ticker" and frame.data), None
        )
        if latest is None:
            raise NotTested("needs the ticker, which is empty")
        return Quote.of(latest, await self._subject.pair())

    async def foreign_orders(self) -> int:
        """How many orders are open on the account that were not placed here.

        Raises:
            NotTested: the snapshot of open orders did not come.

        Cancellation: safe.
        """
        line = await self.line()
        snapshot = await line.wait(lambda frame: frame.channel == "executions")
        if snapshot is None or snapshot.kind != "snapshot":
            raise NotTested("needs the snapshot of `executions`, which did not come")
        known: set[str] = set()
        ours: set[str] = set(self._placed)
        for item in _all_reports(line):
            order_id = str(item.get("order_id"))
            if item.get("exec_type") in ENDED:
                known.discard(order_id)
            elif item.get("exec_type") != "trade" or order_id in known:
                known.add(order_id)
            if str(item.get("cl_ord_id")).startswith(self._tag):
                ours.add(order_id)
        return len(known - ours)

    async def filled(self) -> Fill:
        """A market buy of a small quantity, filled; made once for all rules that read it.

        Raises:
            NotTested: it was refused or not filled.

        Cancellation: safe.
        """
        return await self._filled.get()

    async def afford(self) -> None:
        """Wait until one more order is within the account's trading counter, as we reckon it (PROTOCOL 9.5).

        The next order then goes out at once. A server on this machine is not spared.

        Cancellation: safe.
        """
        await self.line()
        if self._is_afforded or self._subject.target.is_loopback:
            return
        self._is_afforded = True
        threshold = str(self.subscription["executions"].result.get("maxratecount"))
        decay = DECAY.get(threshold, 1.0)
        now_ns = self._subject.clock.monotonic_ns()
        fallen = (now_ns - self._counted_ns) / NS_PER_S * decay
        self._counter = max(0.0, self._counter - fallen) + ADD_AND_CANCEL
        self._counted_ns = now_ns
        excess = self._counter + RESERVE - float(threshold if threshold in DECAY else 60)
        if excess > 0:
            await self._subject.clock.sleep(excess / decay)

    # --- inside ------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        line = await self._subject.open("auth")
        token = await self._subject.token()
        self._line = line
        self.subscription["executions"] = await line.subscribed(
            "executions", token=token, snap_orders=True, snap_trades=True
        )
        self.subscription["balances"] = await line.subscribed("balances", token=token)

    async def _open_ticker(self) -> Line:
        line = await self._subject.open()
        await line.subscribed("ticker", self._subject.symbol, event_trigger="bbo")
        if await line.wait(lambda frame: frame.channel == "ticker") is None:
            raise NotTested("needs the ticker's snapshot, which did not come")
        return line

    async def _fill(self) -> Fill:
        line = await self.line()
        quote = await self.quote()
        since = len(line.frames)
        answer = await self.add(order_type="market", order_qty=quote.qty)
        if not answer.is_success:
            raise NotTested(f"needs a market order, which was refused: {answer.error or answer.shortened}")
        order_id = answer.result.text("order_id")
        reports = await self.reports(order_id, "ended", since=since)
        trades = sum(report.get("exec_type") == "trade" for report in reports)
        if not trades:
            raise NotTested("needs a filled market order, of which no trade was told")
        await line.wait(_counts("balances", 2 * trades), since=since)
        entries = [item for frame in line.frames[since:] if frame.channel == "balances" for item in frame.data]
        return Fill(order_id, quote.qty, reports, entries)

    def _open_orders(self, line: Line) -> set[str]:
        """Orders placed here that have not ended, those of which the answer was lost too."""
        remaining = set(self._placed)
        for item in _all_reports(line):
            order_id = str(item.get("order_id"))
            if str(item.get("cl_ord_id")).startswith(self._tag):
                remaining.add(order_id)
            if item.get("exec_type") in ENDED:
                remaining.discard(order_id)
        return remaining


def _all_reports(line: Line) -> list[Item]:
    return [item for frame in line.frames if frame.channel == "executions" for item in frame.data]


def _reports(frame: Frame, order_id: str) -> list[Item]:
    if frame.channel != "executions":
        return []
    return [item for item in frame.data if item.get("order_id") == order_id]


def _counts(channel: str, wanted: int) -> Callable[[Frame], bool]:
    """Whether so many elements of a channel have come."""
    count = 0

    def is_enough(frame: Frame) -> bool:
        nonlocal count
        if frame.channel == channel:
            count += len(frame.data)
        return count >= wanted

    return is_enough
