"""Who pays what: the money behind each fill, the fees, and what open orders hold back.

Every rounding is here. The value of a fill is price times quantity, exactly. What moves between the accounts is that
value rounded *down* to the ledger's unit of the quote asset, once, so that one side pays what the other gets; its
`cost` is the value rounded half up to the pair's cost precision; fees are rounded half up over the whole order. The
base asset moves exactly as traded. A hold is rounded up. So an order can never cost more than is held for it, in
however many parts it fills.
"""

from __future__ import annotations

from decimal import Decimal

from .book import Fill, OrderBook
from .effects import Pending
from .ids import IdText
from .ledger import Ledger
from .model import Execution, FeeTier, LedgerEntry, Report
from .money import EXACT, ZERO, round_down, round_half_up, round_up
from .orders import Order
from .pair import Pair

__all__ = ["Clearing", "need_of_limit", "need_of_market"]


def need_of_limit(
    pair: Pair, fees: FeeTier, is_buy: bool, tick: int, lots: int, *, order: Order | None = None
) -> Decimal:
    """What `lots` at `tick` or better may still cost: of the quote asset with fees if bought, else of the base asset.

    Args:
        pair: the numbers of the instrument.
        fees: what the account pays; the dearer of its fees counts.
        is_buy: the side.
        tick: the limit.
        lots: what may still fill.
        order: the order whose rest that is, for what rounding of its fees is left; None for a new one.
    """
    if not is_buy:
        return pair.qty(lots)
    value = pair.value(tick, lots)
    fee = EXACT.multiply(value, max(fees.maker, fees.taker))
    if order is not None:
        fee = EXACT.subtract(round_up(EXACT.add(order.due_fee, fee), pair.money_unit), order.fee)
    return EXACT.add(round_up(value, pair.money_unit), round_up(fee, pair.money_unit))


def need_of_market(pair: Pair, fees: FeeTier, book: OrderBook, is_buy: bool, lots: int) -> Decimal:
    """What a market order would cost if it traded now: it is matched at once, so this is the worst case.

    Args:
        pair: the numbers of the instrument.
        fees: what the account pays.
        book: what it would trade with.
        is_buy: the side.
        lots: how much; what the book does not hold costs nothing.
    """
    if not is_buy:
        return pair.qty(lots)
    ticks = 0
    for key in book.asks.keys:
        part = min(lots, book.asks.totals[key])
        ticks += key * part
        lots -= part
        if not lots:
            break
    value = pair.value(1, ticks)
    return EXACT.add(
        round_up(value, pair.money_unit),
        round_up(EXACT.multiply(value, fees.taker), pair.money_unit),
    )


class Clearing:
    """Settles fills between orders of accounts and the background market.

    Args:
        ledger: where the money is.
        pending: where reports and ledger entries go.
        seed: makes the texts of ids.
    """

    def __init__(self, ledger: Ledger, pending: Pending, seed: int) -> None:
        self._ledger = ledger
        self._pending = pending
        self._exec_text = IdText("T", seed, "exec")
        self._ledger_text = IdText("L", seed, "ledger")
        self._exec_number = 0
        self._ledger_number = 0

    def hold(self, order: Order, pair: Pair, amount: Decimal) -> None:
        """Hold back `amount` for an order from now on, instead of what was held for it."""
        asset = pair.quote if order.is_buy else pair.base
        self._ledger.hold(order.account, asset, EXACT.subtract(amount, order.held))
        order.held = amount

    def settle(
        self, pair: Pair, fill: Fill, maker: tuple[Order, FeeTier] | None, taker: tuple[Order, FeeTier] | None
    ) -> list[Report]:
        """Move the assets of a fill.

        Args:
            pair: the numbers of the instrument.
            fill: what was traded.
            maker: the order that rested and what its account pays; None for the background market's.
            taker: the other one, likewise.

        Returns:
            The `trade` reports, the maker's first.
        """
        reports = []
        sold = fill.print
        price, qty, value = pair.price(sold.tick), pair.qty(fill.lots), pair.value(sold.tick, fill.lots)
        amount, cost = round_down(value, pair.money_unit), round_half_up(value, pair.cost_unit)
        for party, is_maker in ((maker, True), (taker, False)):
            buys = sold.buys is not is_maker
            base, quote = (qty, EXACT.minus(amount)) if buys else (EXACT.minus(qty), amount)
            if party is None:
                self._ledger.change_background(pair.base, base)
                self._ledger.change_background(pair.quote, quote)
                continue
            order, fees = party
            order.become("partially_filled", sold.exchange_ns)
            fee = order.fill(
                qty=qty,
                value=value,
                cost=cost,
                rate=fees.maker if is_maker else fees.taker,
                unit=pair.money_unit,
                # A seller's fee comes out of what it gets, so it cannot be more.
                most=None if buys else amount,
            )
            self._exec_number += 1
            exec_id = self._exec_text(self._exec_number)
            self._change(order.account, pair.base, base, fee=ZERO, exec_id=exec_id, exchange_ns=sold.exchange_ns)
            self._change(order.account, pair.quote, quote, fee=fee, exec_id=exec_id, exchange_ns=sold.exchange_ns)
            self._ledger.take_fee(pair.quote, fee)
            execution = Execution(
                exec_id=exec_id,
                trade_id=sold.trade_id,
                price=price,
                qty=qty,
                cost=cost,
                fee=fee,
                fee_asset=pair.quote,
                is_maker=is_maker,
            )
            reports.append(
                Report(
                    exec_type="trade",
                    order=order.state(pair),
                    exchange_ns=sold.exchange_ns,
                    execution=execution,
                )
            )
        return reports

    def deposit(self, account: str, asset: str, amount: Decimal, exchange_ns: int) -> None:
        """Bring in money from outside, and say so."""
        balance = self._ledger.deposit(account, asset, amount)
        ledger_id = self._next_ledger_id()
        self._pending.add_entry(
            LedgerEntry(
                account=account,
                ledger_id=ledger_id,
                ref_id=ledger_id,
                asset=asset,
                amount=amount,
                fee=ZERO,
                balance=balance,
                kind="deposit",
                exchange_ns=exchange_ns,
            )
        )

    def _change(
        self, account: str, asset: str, amount: Decimal, *, fee: Decimal, exec_id: str, exchange_ns: int
    ) -> None:
        balance = self._ledger.change(account, asset, EXACT.subtract(amount, fee))
        self._pending.add_entry(
            LedgerEntry(
                account=account,
                ledger_id=self._next_ledger_id(),
                ref_id=exec_id,
                asset=asset,
                amount=amount,
                fee=fee,
                balance=balance,
                kind="trade",
                exchange_ns=exchange_ns,
            )
        )

    def _next_ledger_id(self) -> str:
        self._ledger_number += 1
        return self._ledger_text(self._ledger_number)
