"""The rules of the matching engine in the plainest words: one list of orders, fractions, and no shortcuts."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

__all__ = ["Ask", "NaiveExchange", "NaiveOrder", "NaiveTrade"]


@dataclass
class NaiveOrder:
    """An order; `number` is what both sides call it, `account` None if it is the background's."""

    number: int
    account: str | None
    symbol: str
    is_buy: bool
    price: Fraction | None
    left: Fraction
    qty: Fraction = Fraction(0)
    filled: Fraction = Fraction(0)
    due_fee: Fraction = Fraction(0)
    fee: Fraction = Fraction(0)
    expire_ns: int | None = None
    post_only: bool = False


@dataclass
class NaiveTrade:
    """One trade."""

    maker: NaiveOrder
    taker: NaiveOrder | None
    price: Fraction
    qty: Fraction


@dataclass
class Ask:
    """What `NaiveExchange.why_not` is asked: an order that might be entered."""

    account: str
    symbol: str
    is_buy: bool
    price: Fraction | None
    qty: Fraction
    post_only: bool
    may_rest: bool


@dataclass
class NaiveExchange:
    """Books as lists in which the order of arrival is the order of the list; balances as fractions."""

    maker_rate: Fraction
    taker_rate: Fraction
    cent: Fraction
    max_open: int
    resting: list[NaiveOrder] = field(default_factory=list)
    balances: dict[tuple[str, str], Fraction] = field(default_factory=dict)

    # --- what can be asked ---

    def queue(self, symbol: str, is_buy: bool) -> list[NaiveOrder]:
        """One side of a book in the order in which it would be traded."""
        side = [order for order in self.resting if order.symbol == symbol and order.is_buy is is_buy]
        # sort() keeps the order of arrival within a price.
        return sorted(side, key=lambda order: -_price(order) if is_buy else _price(order))

    def need(self, order: NaiveOrder) -> Fraction:
        """What an order must hold back."""
        if not order.is_buy:
            return order.left
        value = _price(order) * order.left
        due = order.due_fee + value * max(self.maker_rate, self.taker_rate)
        return self._up(value) + self._up(due) - order.fee

    def held(self, account: str, asset: str) -> Fraction:
        """What an account's open orders hold back of an asset."""
        return sum(
            (
                self.need(order)
                for order in self.resting
                if order.account == account and order.symbol.split("/")[order.is_buy] == asset
            ),
            Fraction(0),
        )

    def available(self, account: str, asset: str) -> Fraction:
        """What an account may spend."""
        return self.balances.get((account, asset), Fraction(0)) - self.held(account, asset)

    def crosses(self, symbol: str, is_buy: bool, price: Fraction) -> bool:
        """Whether an order would trade."""
        others = self.queue(symbol, not is_buy)
        return bool(others) and (_price(others[0]) <= price if is_buy else _price(others[0]) >= price)

    def why_not(self, ask: Ask) -> str | None:
        """Why a well-formed order would be refused, None if it would be taken."""
        mine = [order for order in self.resting if order.account == ask.account and order.symbol == ask.symbol]
        if ask.may_rest and len(mine) >= self.max_open:
            return "EOrder:Orders limit exceeded"
        base, quote = ask.symbol.split("/")
        if not ask.is_buy:
            short = ask.qty > self.available(ask.account, base)
        elif ask.price is not None:
            value = ask.price * ask.qty
            cost = self._up(value) + self._up(value * max(self.maker_rate, self.taker_rate))
            short = cost > self.available(ask.account, quote)
        else:
            value, left = Fraction(0), ask.qty
            for order in self.queue(ask.symbol, False):
                value += min(left, order.left) * _price(order)
                left -= min(left, order.left)
            short = self._up(value) + self._up(value * self.taker_rate) > self.available(ask.account, quote)
        if short:
            return "EOrder:Insufficient funds"
        if ask.post_only and ask.price is not None and self.crosses(ask.symbol, ask.is_buy, ask.price):
            return "EOrder:Post only order"
        return None

    # --- what can be done ---

    def trade(self, taker: NaiveOrder) -> list[NaiveTrade]:
        """Let an order that does not rest trade what it can; its `left` shrinks."""
        trades = []
        for maker in self.queue(taker.symbol, not taker.is_buy):
            price = _price(maker)
            if taker.price is not None and (price > taker.price if taker.is_buy else price < taker.price):
                break
            if not taker.left:
                break
            qty = min(maker.left, taker.left)
            self._settle(maker, price, qty, self.maker_rate)
            self._settle(taker, price, qty, self.taker_rate)
            trades.append(NaiveTrade(maker, taker, price, qty))
            if not maker.left:
                self.resting.remove(maker)
        return trades

    def fillable(self, taker: NaiveOrder) -> Fraction:
        """How much an order could trade at once."""
        total = Fraction(0)
        for maker in self.queue(taker.symbol, not taker.is_buy):
            if taker.price is None or (_price(maker) <= taker.price if taker.is_buy else _price(maker) >= taker.price):
                total += maker.left
        return total

    def rescale(self, symbol: str, price_unit: Fraction, qty_unit: Fraction) -> list[NaiveOrder]:
        """Change the precision of a book; returns the accounts' orders that do not fit, which are gone."""
        misfits = []
        kept = [order for order in self.resting if order.symbol != symbol]
        for is_buy in (True, False):
            for order in self.queue(symbol, is_buy):
                price = (floor if is_buy else ceil)(_price(order) / price_unit) * price_unit
                left = floor(order.left / qty_unit) * qty_unit
                if order.account is not None and (price, left) != (order.price, order.left):
                    misfits.append(order)
                elif price and left:
                    order.price, order.left = price, left
                    kept.append(order)
        self.resting = kept
        return misfits

    def _settle(self, order: NaiveOrder, price: Fraction, qty: Fraction, rate: Fraction) -> None:
        order.left -= qty
        order.filled += qty
        if order.account is None:
            return
        value = price * qty
        moved = floor(value / self.cent) * self.cent
        order.due_fee += value * rate
        fee = floor(order.due_fee / self.cent + Fraction(1, 2)) * self.cent - order.fee
        if not order.is_buy:
            fee = min(fee, moved)
        order.fee += fee
        base, quote = order.symbol.split("/")
        sign = 1 if order.is_buy else -1
        self.balances[order.account, base] = self.balances.get((order.account, base), Fraction(0)) + sign * qty
        self.balances[order.account, quote] = (
            self.balances.get((order.account, quote), Fraction(0)) - sign * moved - fee
        )

    def _up(self, amount: Fraction) -> Fraction:
        return ceil(amount / self.cent) * self.cent


def _price(order: NaiveOrder) -> Fraction:
    assert order.price is not None
    return order.price
