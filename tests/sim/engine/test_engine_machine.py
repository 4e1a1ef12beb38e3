"""The engine against a naive exchange, in every order of everything that can happen to it.

After each step the two agree on every queue (so priority is kept), every balance and every hold, all money is
somewhere, each report follows legally on the last, and moves and ledger entries tell what became of books and
balances.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from helpers.engines import ASSETS, COIN, TOKEN, engine_with, limit
from helpers.naive import Ask, NaiveExchange, NaiveOrder, NaiveTrade
from krakenwire.sim.engine.book import Move, OrderBook, Resting, Side
from krakenwire.sim.engine.model import (
    Account,
    AddOrder,
    AmendOrder,
    EngineStatus,
    FeeTier,
    LedgerEntry,
    OrderState,
    Refusal,
    Report,
)

NAMES = ("alice", "bob")
MAX_OPEN = 6
MAKER, TAKER = Decimal("0.0025"), Decimal("0.004")
CENTRES = {COIN: Decimal(100), TOKEN: Decimal("2.50")}

FOLLOWS: dict[str | None, set[str]] = {
    None: {"pending_new"},
    "pending_new": {"new"},
    "new": {"trade", "amended", "canceled", "expired"},
    "trade": {"trade", "amended", "filled", "canceled", "expired"},
    "amended": {"trade", "amended", "canceled", "expired"},
    "filled": set(),
    "canceled": set(),
    "expired": set(),
}
STATUSES = {
    "pending_new": {"pending_new"},
    "new": {"new"},
    "trade": {"partially_filled"},
    "amended": {"new", "partially_filled"},
    "filled": {"filled"},
    "canceled": {"canceled"},
    "expired": {"expired"},
}

symbols = st.sampled_from((COIN, COIN, COIN, TOKEN))
names = st.sampled_from(NAMES)
offsets = st.integers(-4, 4)
sizes = st.integers(1, 60)
rarely = st.integers(0, 5).map(lambda number: number == 5)
sides = st.booleans()


class Exchanges(RuleBasedStateMachine):
    """The engine, the naive exchange, and what reports, moves and entries have told so far."""

    def __init__(self) -> None:
        super().__init__()
        funds = {"USD": Decimal("250"), "COIN": Decimal("1.5"), "TOKEN": Decimal(20)}
        fees = FeeTier(maker=MAKER, taker=TAKER)
        self.engine = engine_with(
            Account(name=name, funds=funds, fees=fees, max_open_orders=MAX_OPEN) for name in NAMES
        )
        self.naive = NaiveExchange(Fraction(MAKER), Fraction(TAKER), Fraction(1, 100), MAX_OPEN)
        self.naive.balances = {(name, asset): Fraction(amount) for name in NAMES for asset, amount in funds.items()}
        self.deposited = {asset: 2 * Fraction(amount) for asset, amount in funds.items()}
        self.number = 0
        self.background: dict[int, Resting] = {}
        self.numbers: dict[str, int] = {}
        # As the drained effects tell it.
        self.told: dict[str, Report] = {}
        self.levels: dict[str, dict[tuple[bool, int], int]] = {COIN: {}, TOKEN: {}}
        self.entered = {(name, asset.id): funds[asset.id] for name in NAMES for asset in ASSETS}
        self.last_trade_id = {symbol: book.next_trade_id - 1 for symbol, book in self.engine.books.items()}
        for symbol in CENTRES:
            for offset in (1, 2, 3):
                self.quote(symbol, is_buy=False, offset=offset, size=15 * offset)
                self.quote(symbol, is_buy=True, offset=-offset, size=15 * offset)

    # --- the background ---

    @rule(symbol=symbols, is_buy=sides, offset=offsets, size=sizes)
    def background_places(self, symbol: str, is_buy: bool, offset: int, size: int) -> None:
        self.quote(symbol, is_buy, offset, size)

    def quote(self, symbol: str, is_buy: bool, offset: int, size: int) -> None:
        price, qty = self.price(symbol, offset), self.qty(symbol, size)
        if price <= 0 or self.naive.crosses(symbol, is_buy, Fraction(price)):
            return
        self.number += 1
        assert self.engine.next_number() == self.number
        tick, lots = self.tick(symbol, price), self.lots(symbol, qty)
        key = -tick if is_buy else tick
        resting = Resting(self.number, None, is_buy, key, lots, self.engine.now_ns)
        book = self.engine.books[symbol]
        move = book.begin(self.engine.now_ns)
        book.place(resting)
        self.background[self.number] = resting
        self.naive.resting.append(NaiveOrder(self.number, None, symbol, is_buy, Fraction(price), Fraction(qty)))
        self.listen(move, [])

    @precondition(lambda self: self.background_orders())
    @rule(pick=st.integers(0, 100), removes=st.booleans())
    def background_cancels(self, pick: int, removes: bool) -> None:
        orders = self.background_orders()
        order = orders[pick % len(orders)]
        book, resting = self.engine.books[order.symbol], self.background[order.number]
        move = book.begin(self.engine.now_ns)
        if removes or resting.lots == 1:
            book.remove(resting)
            self.naive.resting.remove(order)
        else:
            book.reduce(resting, resting.lots - 1)
            order.left -= self.units(order.symbol)[1]
        self.listen(move, [])

    @rule(symbol=symbols, is_buy=sides, offset=st.none() | offsets, size=sizes)
    def background_takes(self, symbol: str, is_buy: bool, offset: int | None, size: int) -> None:
        price, qty = (None if offset is None else self.price(symbol, offset)), self.qty(symbol, size)
        limit_key = None if price is None else (1 if is_buy else -1) * self.tick(symbol, price)
        book = self.engine.books[symbol]
        move = book.begin(self.engine.now_ns)
        self.engine.take(book, is_buy, limit_key, self.lots(symbol, qty), price is None)
        taker = NaiveOrder(0, None, symbol, is_buy, None if price is None else Fraction(price), Fraction(qty))
        self.listen(move, self.naive.trade(taker), prints_market=price is None)

    # --- the accounts ---

    @rule(
        name=names,
        symbol=symbols,
        is_buy=sides,
        offset=offsets,
        size=sizes,
        time_in_force=st.sampled_from(("gtc", "gtc", "gtc", "gtd", "gtd", "ioc", "fok")),
        post_only=st.booleans(),
        userref=st.none() | st.integers(1, 2),
        validate=st.sampled_from((False, False, False, True)),
        lives_ns=st.integers(1, 50),
    )
    def account_adds_limit(  # noqa: PLR0917  # hypothesis passes them by name
        self,
        name: str,
        symbol: str,
        is_buy: bool,
        offset: int,
        size: int,
        time_in_force: Literal["gtc", "gtd", "ioc", "fok"],
        post_only: bool,
        userref: int | None,
        validate: bool,
        lives_ns: int,
    ) -> None:
        price = self.price(symbol, offset)
        if price <= 0:
            return
        may_rest = time_in_force in {"gtc", "gtd"}
        self.add(
            name,
            AddOrder(
                symbol=symbol,
                side="buy" if is_buy else "sell",
                order_type="limit",
                order_qty=self.qty(symbol, size),
                limit_price=price,
                time_in_force=time_in_force,
                expire_ns=self.engine.now_ns + lives_ns if time_in_force == "gtd" else None,
                post_only=post_only and may_rest,
                order_userref=userref,
                validate=validate,
            ),
        )

    @rule(name=names, symbol=symbols, is_buy=sides, beyond=st.integers(0, 2), size=sizes)
    def account_crosses(self, name: str, symbol: str, is_buy: bool, beyond: int, size: int) -> None:
        others = self.naive.queue(symbol, not is_buy)
        if others and others[0].price is not None:
            unit = self.units(symbol)[0]
            side: Literal["buy", "sell"] = "buy" if is_buy else "sell"
            ticks = others[0].price / unit + (beyond if is_buy else -beyond)
            if ticks > 0:
                price = Decimal(int(ticks)).scaleb(-self.engine.instrument(symbol).price_precision)
                self.add(name, limit(side, str(price), str(self.qty(symbol, size)), symbol=symbol))

    @rule(name=names, symbol=symbols, is_buy=sides, size=sizes)
    def account_adds_market(self, name: str, symbol: str, is_buy: bool, size: int) -> None:
        self.add(
            name,
            AddOrder(
                symbol=symbol,
                side="buy" if is_buy else "sell",
                order_type="market",
                order_qty=self.qty(symbol, size),
            ),
        )

    def add(self, name: str, request: AddOrder) -> None:
        symbol, is_buy, qty = request.symbol, request.side == "buy", Fraction(request.order_qty)
        price = None if request.limit_price is None else Fraction(request.limit_price)
        may_rest = price is not None and request.time_in_force in {"gtc", "gtd"}
        expected = self.forbidden(symbol, is_market=price is None, post_only=request.post_only)
        expected = expected or self.too_small(symbol, is_buy, qty, price)
        expected = expected or self.naive.why_not(Ask(name, symbol, is_buy, price, qty, request.post_only, may_rest))
        state = attempt(lambda: self.engine.add(name, request))
        if isinstance(state, Refusal):
            assert state.text == expected
            assert not self.engine.has_effects
            return
        assert expected is None
        if request.validate:
            assert state.order_id == ""
            assert not self.engine.has_effects
            return
        self.number += 1
        assert state.order_id == self.engine.order_text(self.number)
        self.numbers[state.order_id] = self.number
        taker = NaiveOrder(
            self.number,
            name,
            symbol,
            is_buy,
            price,
            qty,
            qty=qty,
            expire_ns=request.expire_ns,
            post_only=request.post_only,
        )
        trades = []
        if request.time_in_force != "fok" or self.naive.fillable(taker) >= qty:
            trades = self.naive.trade(taker)
        if may_rest and taker.left:
            self.naive.resting.append(taker)
        self.listen(None, trades, prints_market=price is None)
        assert state == self.engine.order(name, state.order_id) == self.told[state.order_id].order
        ends = "filled" if not taker.left else "canceled"
        rests = "partially_filled" if taker.filled else "new"
        assert state.status == (rests if may_rest and taker.left else ends)
        assert (state.reason is None) is (state.status != "canceled")
        assert Fraction(state.cum_qty) == taker.filled
        assert Fraction(state.fee) == taker.fee

    @precondition(lambda self: self.account_orders())
    @rule(pick=st.integers(0, 100), offset=offsets, size=st.none() | sizes, post_only=st.booleans())
    def account_reprices(self, pick: int, offset: int, size: int | None, post_only: bool) -> None:
        order = self.pick(pick)
        price = self.price(order.symbol, offset)
        if price > 0:
            self.amend(order, price, None if size is None else self.qty(order.symbol, size), post_only)

    @precondition(lambda self: self.account_orders())
    @rule(pick=st.integers(0, 100), percent=st.sampled_from((5, 30, 50, 90, 100, 110, 200)))
    def account_resizes(self, pick: int, percent: int) -> None:
        order = self.pick(pick)
        size = int(order.qty * percent / 100 / self.units(order.symbol)[1])
        if size > 0:
            self.amend(order, None, self.qty(order.symbol, size), post_only=False)

    def amend(self, order: NaiveOrder, price: Decimal | None, qty: Decimal | None, post_only: bool) -> None:
        symbol, name = order.symbol, str(order.account)
        order_id = self.engine.order_text(order.number)
        new_price = order.price if price is None else Fraction(price)
        new_qty = order.qty if qty is None else Fraction(qty)
        new_left = order.left if qty is None else max(Fraction(0), new_qty - order.filled)
        passive = post_only or order.post_only
        before = self.naive.need(order)
        changed = NaiveOrder(
            order.number,
            name,
            symbol,
            order.is_buy,
            new_price,
            new_left,
            qty=new_qty,
            filled=order.filled,
            due_fee=order.due_fee,
            fee=order.fee,
            expire_ns=order.expire_ns,
            post_only=order.post_only,
        )
        base, quote = symbol.split("/")
        free = self.naive.available(name, quote if order.is_buy else base)
        assert new_price is not None
        expected = self.forbidden(symbol, is_market=False, post_only=passive)
        if expected is None and (new_left / self.units(symbol)[1]).denominator != 1:
            # What was filled at a finer precision can leave no whole number of lots.
            expected = "EGeneral:Invalid arguments:volume"
        if expected is None and (new_price, new_left) == (order.price, order.left):
            expected = "EOrder:No amendable parameters"
        if expected is None and new_left:
            expected = self.too_small(symbol, order.is_buy, new_qty, new_price)
            if expected is None and self.naive.need(changed) - before > free:
                expected = "EOrder:Insufficient funds"
            if expected is None and passive and self.naive.crosses(symbol, order.is_buy, new_price):
                expected = "EOrder:Post only order"
        request = AmendOrder(order_id=order_id, order_qty=qty, limit_price=price, post_only=post_only)
        amended = attempt(lambda: self.engine.amend(name, request))
        if isinstance(amended, Refusal):
            assert amended.text == expected
            assert not self.engine.has_effects
            return
        assert expected is None
        _, state = amended
        trades: list[NaiveTrade] = []
        place = next(index for index, each in enumerate(self.naive.resting) if each is order)
        if new_left and new_price == order.price and new_left < order.left:
            self.naive.resting[place] = changed
        else:
            del self.naive.resting[place]
            if new_left:
                trades = self.naive.trade(changed)
                if changed.left:
                    self.naive.resting.append(changed)
        self.listen(None, trades)
        assert state == self.engine.order(name, order_id)
        assert (state.status == "canceled") is (new_left == 0)
        assert (state.status == "filled") is (new_left > 0 and changed.left == 0)
        assert Fraction(state.fee) == changed.fee

    @precondition(lambda self: self.account_orders())
    @rule(pick=st.integers(0, 100))
    def account_cancels(self, pick: int) -> None:
        order = self.pick(pick)
        order_id = self.engine.order_text(order.number)
        state = attempt(lambda: self.engine.cancel(str(order.account), order_id=order_id))
        assert isinstance(state, Refusal) is not self.cancellable(order)
        if isinstance(state, Refusal):
            assert state.text == "EService:Unavailable"
            return
        self.naive.resting.remove(order)
        self.listen(None, [])
        assert self.told[order_id].order == state

    @rule(name=names, userref=st.none() | st.integers(1, 2), happens=rarely)
    def account_cancels_many(self, name: str, userref: int | None, happens: bool) -> None:
        if not happens:
            return
        mine = [
            order
            for order in self.account_orders()
            if order.account == name
            and self.cancellable(order)
            and userref in {None, self.told[self.engine.order_text(order.number)].order.order_userref}
        ]
        if userref is None:
            cancelled = attempt(lambda: self.engine.cancel_all(name))
        else:
            states = attempt(lambda: self.engine.cancel_by_userref(name, userref))
            cancelled = states if isinstance(states, Refusal) else len(states)
        assert isinstance(cancelled, Refusal) is (self.engine.status == "maintenance")
        if isinstance(cancelled, Refusal):
            assert cancelled.text == "EService:Unavailable"
            return
        assert cancelled == len(mine)
        for order in mine:
            self.naive.resting.remove(order)
        self.listen(None, [])

    @rule(name=names, asset=st.sampled_from(ASSETS), cents=st.integers(1, 10_000))
    def account_deposits(self, name: str, asset: Any, cents: int) -> None:
        amount = Decimal(cents).scaleb(-2)
        self.engine.deposit(name, asset.id, amount)
        self.naive.balances[name, asset.id] += Fraction(amount)
        self.deposited[asset.id] += Fraction(amount)
        self.listen(None, [])

    # --- time, status, precision ---

    @rule(passed_ns=st.integers(0, 40))
    def time_passes(self, passed_ns: int) -> None:
        now_ns = self.engine.now_ns + passed_ns
        self.engine.advance(now_ns)
        assert self.engine.now_ns == now_ns
        self.naive.resting = [
            order for order in self.naive.resting if order.expire_ns is None or order.expire_ns > now_ns
        ]
        self.listen(None, [])

    @rule(
        status=st.sampled_from(("post_only", "cancel_only", "maintenance")),
        pair_status=st.sampled_from(("limit_only", "post_only", "cancel_only", "maintenance")),
        symbol=symbols,
        which=st.integers(0, 7),
    )
    def status_changes(self, status: EngineStatus, pair_status: str, symbol: str, which: int) -> None:
        self.engine.set_status(status if which == 6 else "online")
        self.engine.change_instrument(symbol, status=pair_status if which == 7 else "online")

    @rule(symbol=symbols, price_precision=st.integers(0, 2), qty_precision=st.integers(1, 3), happens=rarely)
    def precision_changes(self, symbol: str, price_precision: int, qty_precision: int, happens: bool) -> None:
        if not happens:
            return
        self.engine.change_instrument(symbol, price_precision=price_precision, qty_precision=qty_precision)
        price_unit, qty_unit = self.units(symbol)
        misfits = self.naive.rescale(symbol, price_unit, qty_unit)
        book = self.engine.books[symbol]
        self.levels[symbol] = {
            (side is book.bids, key): total for side in (book.bids, book.asks) for key, total in side.totals.items()
        }
        self.listen(None, [])
        for order in misfits:
            assert self.told[self.engine.order_text(order.number)].exec_type == "canceled"

    # --- what was told ---

    def listen(self, own: Move | None, trades: list[NaiveTrade], *, prints_market: bool = False) -> None:
        """Take what the engine tells, beside the background's own move, and hold it against what should be told."""
        moves, reports, entries = self.engine.drain()
        moves = [*moves, *([own] if own is not None else [])]
        for report in reports:
            self.hear_report(report)
        for entry in entries:
            self.hear_entry(entry)
        for move in moves:
            self.hear_move(move, prints_market)
        prints = [(Fraction(self.at(m.symbol, p.tick, p.lots)[0]), p.lots) for m in moves for p in m.trades]
        assert prints == [(each.price, self.lots(self.symbol_of(each), each.qty)) for each in trades]
        told = [
            (report.order.order_id, report.execution.is_maker, Fraction(report.execution.qty))
            for report in reports
            if report.execution is not None
        ]
        expected = [
            (self.engine.order_text(order.number), order is trade.maker, trade.qty)
            for trade in trades
            for order in (trade.maker, trade.taker)
            if order is not None and order.account is not None
        ]
        assert told == expected
        assert [entry.kind for entry in entries if entry.kind == "trade"] == ["trade"] * 2 * len(told)

    def hear_report(self, report: Report) -> None:
        order = report.order
        last = self.told.get(order.order_id)
        assert report.exec_type in FOLLOWS[None if last is None else last.exec_type]
        assert order.status in STATUSES[report.exec_type]
        assert (report.execution is not None) is (report.exec_type == "trade")
        assert report.exchange_ns == order.updated_ns <= self.engine.now_ns
        if last is not None:
            assert report.exchange_ns >= last.exchange_ns
            assert order.amended >= last.order.amended
            grown = Decimal(0) if report.execution is None else report.execution.qty
            assert order.cum_qty == last.order.cum_qty + grown
            spent = Decimal(0) if report.execution is None else report.execution.cost
            assert order.cum_cost == last.order.cum_cost + spent
            taken = Decimal(0) if report.execution is None else report.execution.fee
            assert order.fee == last.order.fee + taken
        if report.exec_type == "filled":
            assert order.cum_qty == order.order_qty
        if order.status == "new":
            assert order.cum_qty == 0
        assert (order.reason is not None) is (report.exec_type == "canceled")
        self.told[order.order_id] = report

    def hear_entry(self, entry: LedgerEntry) -> None:
        self.entered[entry.account, entry.asset] += entry.amount - entry.fee
        assert entry.balance == self.entered[entry.account, entry.asset]
        assert entry.fee >= 0

    def hear_move(self, move: Move, prints_market: bool) -> None:
        levels = self.levels[move.symbol]
        for is_bid, changes in ((True, move.bids), (False, move.asks)):
            for key, total in changes.items():
                levels[is_bid, key] = total
        self.levels[move.symbol] = {level: total for level, total in levels.items() if total}
        for trade in move.trades:
            self.last_trade_id[move.symbol] += 1
            assert trade.trade_id == self.last_trade_id[move.symbol]
            assert trade.market == prints_market
            assert trade.exchange_ns == move.exchange_ns

    # --- what holds always ---

    @invariant()
    def books_are_what_the_naive_exchange_says(self) -> None:
        for symbol, book in self.engine.books.items():
            for side, is_buy in ((book.bids, True), (book.asks, False)):
                queue = [
                    (resting.number, resting.account, *map(Fraction, self.at(symbol, resting.tick, resting.lots)))
                    for key in side.keys
                    for resting in side.queues[key].values()
                ]
                assert queue == [
                    (order.number, order.account, order.price, order.left) for order in self.naive.queue(symbol, is_buy)
                ]
                check_side(side, is_buy)
            assert not book.bids.keys or not book.asks.keys or book.spread > 0
            assert book.checksum() == naive_checksum(book)
            assert self.levels[symbol] == {
                (side is book.bids, key): total for side in (book.bids, book.asks) for key, total in side.totals.items()
            }

    @invariant()
    def money_is_conserved_and_covered(self) -> None:
        for asset, totals in self.engine.totals().items():
            assert totals.accounts + totals.background + totals.fees == totals.deposited
            assert Fraction(totals.deposited) == self.deposited[asset]
        for name in NAMES:
            balances = self.engine.balances(name)
            for asset, amount in balances.items():
                assert amount == self.entered[name, asset]
                assert Fraction(amount) == self.naive.balances[name, asset]
                available = self.engine.available(name, asset)
                assert Fraction(available) == self.naive.available(name, asset)
                assert available >= 0

    @invariant()
    def open_orders_are_those_that_rest(self) -> None:
        open_orders: dict[int, OrderState] = {}
        for name in NAMES:
            states = self.engine.open_orders(name)
            opened = [self.numbers[state.order_id] for state in states]
            assert opened == sorted(opened)
            open_orders.update(zip(opened, states, strict=True))
        assert open_orders.keys() == {order.number for order in self.account_orders()}
        for order in self.account_orders():
            state = open_orders[order.number]
            assert Fraction(state.order_qty - state.cum_qty) == order.left
            assert Fraction(state.order_qty) == order.qty
            assert None if state.limit_price is None else Fraction(state.limit_price) == order.price
            assert Fraction(state.fee) == order.fee
            assert state.status in {"new", "partially_filled"}
        for order_id, report in self.told.items():
            assert (report.exec_type in {"filled", "canceled", "expired"}) is (
                self.numbers[order_id] not in open_orders
            )
            kept = self.engine.order(report.order.account, order_id)
            assert kept is not None
            assert kept.status == report.order.status

    # --- numbers ---

    def units(self, symbol: str) -> tuple[Fraction, Fraction]:
        """One tick and one lot."""
        instrument = self.engine.instrument(symbol)
        return Fraction(1, 10**instrument.price_precision), Fraction(1, 10**instrument.qty_precision)

    def price(self, symbol: str, offset: int) -> Decimal:
        precision = self.engine.instrument(symbol).price_precision
        return Decimal(int(CENTRES[symbol].scaleb(precision)) + offset).scaleb(-precision)

    def qty(self, symbol: str, size: int) -> Decimal:
        return Decimal(size).scaleb(-self.engine.instrument(symbol).qty_precision)

    def tick(self, symbol: str, price: Decimal) -> int:
        return int(Fraction(price) / self.units(symbol)[0])

    def lots(self, symbol: str, qty: Decimal | Fraction) -> int:
        lots = Fraction(qty) / self.units(symbol)[1]
        assert lots.denominator == 1
        return lots.numerator

    def at(self, symbol: str, tick: int, lots: int) -> tuple[Fraction, Fraction]:
        price_unit, qty_unit = self.units(symbol)
        return tick * price_unit, lots * qty_unit

    def symbol_of(self, trade: NaiveTrade) -> str:
        return trade.maker.symbol

    def background_orders(self) -> list[NaiveOrder]:
        return [order for order in self.naive.resting if order.account is None]

    def pick(self, number: int) -> NaiveOrder:
        """One of the accounts' orders."""
        orders = self.account_orders()
        return orders[number % len(orders)]

    def account_orders(self) -> list[NaiveOrder]:
        return [order for order in self.naive.resting if order.account is not None]

    # --- what is refused ---

    def cancellable(self, order: NaiveOrder) -> bool:
        return "maintenance" not in {self.engine.status, self.engine.instrument(order.symbol).status}

    def forbidden(self, symbol: str, *, is_market: bool, post_only: bool) -> str | None:
        """Why the status of engine or instrument does not allow an order."""
        for status in (self.engine.status, self.engine.instrument(symbol).status):
            if status == "maintenance":
                return "EService:Unavailable"
            if status == "cancel_only" or (status == "post_only" and not post_only):
                return f"EService:Market in {status} mode"
            if status == "limit_only" and is_market:
                return "EService:Market in limit_only mode"
        return None

    def too_small(self, symbol: str, is_buy: bool, qty: Fraction, price: Fraction | None) -> str | None:
        """Why an order's size is not enough."""
        instrument = self.engine.instrument(symbol)
        if qty < Fraction(instrument.qty_min):
            return "EOrder:Order minimum not met"
        others = self.naive.queue(symbol, not is_buy)
        if price is None and others:
            price = others[0].price
        if price is not None and price * qty < Fraction(instrument.cost_min):
            return "EOrder:Cost minimum not met"
        return None


Result = TypeVar("Result")


def attempt(command: Callable[[], Result]) -> Result | Refusal:
    """What a command returns, or why it was refused."""
    try:
        return command()
    except Refusal as refusal:
        return refusal


def check_side(side: Side, is_buy: bool) -> None:
    """A side's sums and its order are those of its queues."""
    assert side.sign == (-1 if is_buy else 1)
    assert side.keys == sorted(side.queues)
    assert side.totals == {key: sum(order.lots for order in queue.values()) for key, queue in side.queues.items()}
    assert all(side.totals.values())
    resting = [order for queue in side.queues.values() for order in queue.values()]
    assert side.held == sum(order.account is not None for order in resting)


def naive_checksum(book: OrderBook) -> int:
    """PROTOCOL 6.1: asks, then bids, best first, ten a side, as price and quantity without point and leading zeros."""
    text = ""
    for is_buy in (False, True):
        side = book.bids if is_buy else book.asks
        lots: dict[int, int] = {}
        for queue in side.queues.values():
            for order in queue.values():
                lots[order.tick] = lots.get(order.tick, 0) + order.lots
        text += "".join(f"{tick}{lots[tick]}" for tick in sorted(lots, reverse=is_buy)[:10])
    return zlib.crc32(text.encode())


TestExchanges = Exchanges.TestCase
TestExchanges.settings = settings(max_examples=max(50, settings().max_examples // 2), stateful_step_count=50)
