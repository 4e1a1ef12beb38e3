"""What happens to orders once they are taken: they match, rest, change, expire and end."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import Literal

from .book import Fill, Move, OrderBook
from .clearing import Clearing, need_of_limit
from .effects import Pending
from .ledger import Ledger
from .model import ExecType, FeeTier, Report
from .money import ZERO
from .orders import Order
from .pair import Pair
from .precision import refit
from .register import Register

__all__ = ["Matching"]

EndStatus = Literal["filled", "canceled", "expired"]

# PROTOCOL has no words for these ends; a client must take the reason as free text.
NO_LIQUIDITY = "Insufficient liquidity"
NOT_WHOLE = "Fill or kill order could not be filled completely"
NOT_IMMEDIATE = "Immediate or cancel order could not be filled completely"
MISFIT = "Order does not fit the new precision of its instrument"


class Matching:
    """The open orders of all accounts, and all that is done to them. What it is told to do has been checked.

    Args:
        pending: where moves, reports and ledger entries go.
        seed: makes the texts of ids.
        now_ns: exchange time.

    Attributes:
        now_ns: exchange time; it never runs backwards.
        books, pairs: what is traded, by symbol.
        registers: the accounts.
        ledger: their money.
    """

    def __init__(self, pending: Pending, seed: int, now_ns: int) -> None:
        self.now_ns = now_ns
        self.books: dict[str, OrderBook] = {}
        self.pairs: dict[str, Pair] = {}
        self.registers: dict[str, Register] = {}
        self.ledger = Ledger()
        self.clearing = Clearing(self.ledger, pending, seed)
        self._pending = pending
        self._orders: dict[int, Order] = {}
        self._expiries: list[tuple[int, int]] = []

    def enter(self, order: Order) -> None:
        """Let a new order in: match it, then let what remains rest, or end it."""
        pair, book, resting = self.pairs[order.symbol], self.books[order.symbol], order.resting
        self.registers[order.account].add(order)
        self._orders[resting.number] = order
        self._report("pending_new", order, pair)
        order.become("new", self.now_ns)
        self._report("new", order, pair)
        if order.time_in_force == "fok" and not _can_fill(book, order):
            self._end(order, pair, "canceled", NOT_WHOLE)
            return
        move = book.begin(self.now_ns)
        self._match(pair, book, order)
        if resting.lots:
            if order.limit_price is None:
                self._end(order, pair, "canceled", NO_LIQUIDITY)
            elif order.time_in_force == "ioc":
                self._end(order, pair, "canceled", NOT_IMMEDIATE)
            else:
                self._rest(pair, book, order)
                if order.expire_ns is not None:
                    self._expire_at(order.expire_ns, resting.number)
        self._pending.add_move(move)

    def change(self, order: Order, qty: Decimal, lots: int, tick: int) -> None:
        """Amend an open order; what it needs then must be available.

        Args:
            order: which.
            qty: its whole quantity from now on.
            lots: what remains of that, more than 0.
            tick: its limit from now on.
        """
        pair, book, resting = self.pairs[order.symbol], self.books[order.symbol], order.resting
        move = book.begin(self.now_ns)
        stays = tick == resting.tick and lots < resting.lots
        resting.entered_ns = self.now_ns
        if stays:
            book.reduce(resting, lots)
        else:
            book.remove(resting)
            resting.lots = lots
            resting.key = -tick if order.is_buy else tick
            order.limit_price = pair.price(tick)
        order.order_qty, order.amended, order.updated_ns = qty, True, self.now_ns
        self._hold(pair, order)
        self._report("amended", order, pair)
        if not stays:
            self._match(pair, book, order)
            if resting.lots:
                self._rest(pair, book, order)
        self._pending.add_move(move)

    def end(self, orders: Iterable[Order], status: Literal["canceled", "expired"], reason: str | None) -> None:
        """Take open orders out of their books and end them, in one move a book."""
        moves: dict[str, Move] = {}
        for order in orders:
            book = self.books[order.symbol]
            if order.symbol not in moves:
                moves[order.symbol] = book.begin(self.now_ns)
            book.remove(order.resting)
            self._end(order, self.pairs[order.symbol], status, reason)
        for move in moves.values():
            self._pending.add_move(move)

    def expire(self, exchange_ns: int) -> None:
        """Let time pass; orders that are due expire, each at its moment."""
        while self._expiries and self._expiries[0][0] <= exchange_ns:
            due_ns, number = heappop(self._expiries)
            order = self._orders.get(number)
            if order is not None:
                self.now_ns = max(self.now_ns, due_ns)
                self.end([order], "expired", None)
        self.now_ns = max(self.now_ns, exchange_ns)

    def settle(self, book: OrderBook, fill: Fill, taker: Order | None) -> None:
        """Settle a fill; its maker's hold shrinks, or its maker ends. None is the background market."""
        pair = self.pairs[book.symbol]
        maker = None if fill.maker.account is None else self._orders[fill.maker.number]
        self.now_ns = max(self.now_ns, fill.print.exchange_ns)
        reports = self.clearing.settle(
            pair,
            fill,
            None if maker is None else (maker, self._fees(maker)),
            None if taker is None else (taker, self._fees(taker)),
        )
        for report in reports:
            self._pending.add_report(report)
            self.registers[report.order.account].fills.append(report)
        if maker is not None:
            if fill.maker.lots:
                self._hold(pair, maker)
            else:
                self._end(maker, pair, "filled", None)

    def change_scale(self, new: Pair) -> None:
        """Change the precisions of an instrument: its book is refitted, and account orders that do not fit end."""
        old, book = self.pairs[new.symbol], self.books[new.symbol]
        book.begin(self.now_ns)
        for resting in refit(book, old, new):
            self._end(self._orders[resting.number], old, "canceled", MISFIT)
        book.begin(self.now_ns)
        self.pairs[new.symbol] = new
        for order in self._orders.values():
            if order.symbol == new.symbol:
                order.limit_price = new.price(order.resting.tick)

    def _match(self, pair: Pair, book: OrderBook, order: Order) -> None:
        """Trade an order that is not in the book with the other side; it ends if nothing remains of it."""
        resting = order.resting
        is_market = order.limit_price is None
        for fill in book.take(order.is_buy, None if is_market else -resting.key, resting.lots, is_market):
            resting.lots -= fill.lots
            self.settle(book, fill, order)
        if not resting.lots:
            self._end(order, pair, "filled", None)

    def _rest(self, pair: Pair, book: OrderBook, order: Order) -> None:
        book.place(order.resting)
        self._hold(pair, order)

    def _hold(self, pair: Pair, order: Order) -> None:
        """Hold back what an order that rests may still cost."""
        resting = order.resting
        need = need_of_limit(pair, self._fees(order), order.is_buy, resting.tick, resting.lots, order=order)
        self.clearing.hold(order, pair, need)

    def _end(self, order: Order, pair: Pair, status: EndStatus, reason: str | None) -> None:
        """End an order that is not in the book, or no more."""
        self.clearing.hold(order, pair, ZERO)
        order.become(status, self.now_ns, reason)
        self._report(status, order, pair)
        self.registers[order.account].end(order, order.state(pair))
        del self._orders[order.resting.number]

    def _report(self, exec_type: ExecType, order: Order, pair: Pair) -> None:
        self._pending.add_report(Report(exec_type=exec_type, order=order.state(pair), exchange_ns=order.updated_ns))

    def _fees(self, order: Order) -> FeeTier:
        return self.registers[order.account].account.fees

    def _expire_at(self, expire_ns: int, number: int) -> None:
        """Remember when an order expires; when most of what is remembered ended otherwise, that is dropped."""
        if len(self._expiries) > 2 * len(self._orders) + 64:
            self._expiries = [entry for entry in self._expiries if entry[1] in self._orders]
            heapify(self._expiries)
        heappush(self._expiries, (expire_ns, number))


def _can_fill(book: OrderBook, order: Order) -> bool:
    """Whether the other side holds enough within an order's limit."""
    side, missing = book.asks if order.is_buy else book.bids, order.resting.lots
    for key in side.keys:
        if key > -order.resting.key or missing <= 0:
            break
        missing -= side.totals[key]
    return missing <= 0
