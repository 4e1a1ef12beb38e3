"""The matching engine's face: accounts, their commands, what the background takes, and time as it is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from random import Random
from typing import Final, get_args

from krakenwire.errors import UnknownSymbol, UsageError
from krakenwire.sim.instruments import ListedAsset, ListedInstrument, Listing

from .admission import admit, admit_amendment
from .book import OrderBook
from .checks import check_cancel, is_cancellable
from .effects import Effects, Pending
from .ids import IdText
from .ledger import Totals
from .matching import Matching
from .model import Account, AddOrder, AmendOrder, EngineStatus, OrderState, Report
from .orders import Order
from .pair import Pair
from .precision import revise
from .register import Register, check_account, check_amount

__all__ = ["Effects", "Engine"]

USER_REQUESTED: Final = "User requested"
MAX_PRECISION: Final = 18
PAIR_STATUSES = frozenset(
    {"cancel_only", "delisted", "limit_only", "maintenance", "online", "post_only", "reduce_only", "work_in_progress"}
)


class Engine:
    """An exchange's matching engine: it knows no wire and no clock, and all its chance is its seed.

    The same arguments and the same calls give the same output, byte for byte. Commands match at once; what they did is
    kept until `drain`. Prices of the background market are its own care: it uses `books` and `take`.

    Args:
        listings: what is traded.
        assets: reference data of all assets of the listings.
        seed: where the texts of ids and the first trade ids come from.
        start_ns: the exchange time at first.
        accounts: who trades.

    Attributes:
        status: what the engine does now (PROTOCOL 9.6).
        books: the live books by symbol.
        order_text: writes an order's number as its `order_id`, for any order, of an account or of the background.

    Raises:
        UsageError: a listing is traded in an asset that is not among `assets`, or an account cannot be opened.
    """

    def __init__(
        self,
        listings: Sequence[Listing],
        assets: Sequence[ListedAsset],
        *,
        seed: int = 0,
        start_ns: int,
        accounts: Iterable[Account] = (),
    ) -> None:
        self.status: EngineStatus = "online"
        self.order_text = IdText("O", seed, "order")
        self._precisions = {asset.id: asset.precision for asset in assets}
        self._pending = Pending()
        self._matching = Matching(self._pending, seed, start_ns)
        self._pairs = self._matching.pairs
        self._ledger = self._matching.ledger
        self.books = self._matching.books
        self._number = 0
        self._amend_text = IdText("T", seed, "amend")
        self._amend_number = 0
        random = Random(seed)
        for listing in listings:
            instrument = listing.instrument
            for asset in (instrument.base, instrument.quote):
                self._check_asset(asset)
            self._pairs[listing.symbol] = Pair(instrument, self._precisions[instrument.quote])
            self.books[listing.symbol] = OrderBook(listing.symbol, random.randrange(1_000_000, 90_000_000), start_ns)
        for account in accounts:
            self.open_account(account)

    # --- reference data, time and status ---

    @property
    def now_ns(self) -> int:
        """Exchange time; it never runs backwards."""
        return self._matching.now_ns

    def instrument(self, symbol: str) -> ListedInstrument:
        """Reference data of `symbol` as it is now.

        Raises:
            UnknownSymbol: it is not traded here.
        """
        return self._pair(symbol).instrument

    def advance(self, exchange_ns: int) -> None:
        """Let time pass until `exchange_ns`; GTD orders that are due expire, each at its moment."""
        self._matching.expire(exchange_ns)

    def set_status(self, status: EngineStatus) -> None:
        """Let the engine take everything, less, or nothing (PROTOCOL 9.6); open orders stay.

        What the background does meanwhile is its own care: no matching in `post_only` and below.

        Raises:
            UsageError: there is no such status.
        """
        if status not in get_args(EngineStatus):
            raise UsageError(f"no engine status {status!r}; there are: {', '.join(get_args(EngineStatus))}")
        self.status = status

    def change_instrument(
        self,
        symbol: str,
        *,
        status: str | None = None,
        price_precision: int | None = None,
        qty_precision: int | None = None,
    ) -> None:
        """Change an instrument's status or precisions (PROTOCOL 3.9).

        With a precision the whole book changes its scale, and no move tells it: who shows the book takes a snapshot.
        Where the new scale is coarser, background orders go to the next tick away from the touch and lose what is less
        than a lot; account orders that do not fit are cancelled, with a report.

        Raises:
            UnknownSymbol: it is not traded here.
            UsageError: there is no such status, a precision is out of range, or moves of the old scale wait to be
                drained.
        """
        pair = self._pair(symbol)
        if status is not None and status not in PAIR_STATUSES:
            raise UsageError(f"no instrument status {status!r}; there are: {', '.join(sorted(PAIR_STATUSES))}")
        for precision in (price_precision, qty_precision):
            if precision is not None and not 0 <= precision <= MAX_PRECISION:
                raise UsageError(f"a precision is a number of decimals from 0 to {MAX_PRECISION}, not {precision}")
        changed = revise(pair.instrument, status, price_precision, qty_precision)
        new = Pair(changed, self._precisions[changed.quote])
        if (new.price_unit, new.qty_unit) == (pair.price_unit, pair.qty_unit):
            self._pairs[symbol] = new
            return
        if self._pending.moved(symbol):
            raise UsageError(f"moves of {symbol} at its old precision wait; drain() them first")
        self._matching.change_scale(new)

    # --- accounts ---

    def open_account(self, account: Account) -> None:
        """Let somebody trade.

        Raises:
            UsageError: the name is taken, an asset is unknown, or an amount or a fee makes no sense.
        """
        if account.name in self._matching.registers:
            raise UsageError(f"there is an account {account.name!r} already")
        for asset in account.funds:
            self._check_asset(asset)
        check_account(account)
        self._matching.registers[account.name] = Register(account)
        self._ledger.open(account.name, account.funds)

    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts, in the order they were opened."""
        return tuple(self._matching.registers)

    def balances(self, account: str) -> dict[str, Decimal]:
        """What an account holds by asset, including what is held back for open orders.

        Raises:
            UsageError: there is no such account (so do all calls that name one).
        """
        self._register(account)
        return dict(self._ledger.balances(account))

    def available(self, account: str, asset: str) -> Decimal:
        """What an account may spend of an asset: its balance less what its open orders hold back."""
        self._register(account)
        return self._ledger.available(account, asset)

    def deposit(self, account: str, asset: str, amount: Decimal) -> None:
        """Give an account money from outside.

        Raises:
            UsageError: the asset is unknown, or the amount makes no sense or is 0.
        """
        self._register(account)
        self._check_asset(asset)
        check_amount(amount, f"a deposit of {asset}")
        if not amount:
            raise UsageError(f"a deposit of {asset} must be more than 0")
        self._matching.clearing.deposit(account, asset, amount, self.now_ns)

    def totals(self) -> dict[str, Totals]:
        """Where all money is, by asset: with the accounts, the background and the exchange's fees."""
        return self._ledger.totals()

    def open_orders(self, account: str) -> list[OrderState]:
        """The open orders of an account, oldest first."""
        return [order.state(self._pairs[order.symbol]) for order in self._register(account).open.values()]

    def order(self, account: str, order_id: str) -> OrderState | None:
        """An order of an account: open, or ended not long ago (the last two thousand are kept); None else."""
        register = self._register(account)
        order = register.open.get(order_id)
        return register.ended.get(order_id) if order is None else order.state(self._pairs[order.symbol])

    def recent_fills(self, account: str) -> list[Report]:
        """The last fifty `trade` reports of an account, oldest first."""
        return list(self._register(account).fills)

    # --- commands of accounts ---

    def add(self, account: str, request: AddOrder) -> OrderState:
        """Enter an order and match it at once (PROTOCOL 5.1).

        A limit order must be covered at its limit and with the dearer fee, a market order by what it costs against the
        book as it is. What remains of a market, IOC or FOK order is cancelled.

        Returns:
            Its state after that; with `validate` it is only checked, and its `order_id` is empty.

        Raises:
            Refusal: it is not taken, and nothing happened.
        """
        order = admit(self._matching, self.status, self._register(account), request)
        if not request.validate:
            order.resting.number = self.next_number()
            order.order_id = self.order_text(order.resting.number)
            self._matching.enter(order)
        return order.state(self._pairs[order.symbol])

    def amend(self, account: str, request: AmendOrder) -> tuple[str, OrderState]:
        """Change an open order in place (PROTOCOL 5.2).

        It keeps its place if only its quantity goes down; else it goes to the back of the queue of its price. It may
        trade at once, unless the order or the amend is post-only. A quantity that is filled already cancels what
        remains.

        Returns:
            The `amend_id`, and the order's state after it.

        Raises:
            Refusal: it is not amended, and nothing happened.
        """
        order, qty, lots, tick = admit_amendment(self._matching, self.status, self._register(account), request)
        if lots:
            self._matching.change(order, qty, lots, tick)
        else:
            self._matching.end([order], "canceled", USER_REQUESTED)
        self._amend_number += 1
        return self._amend_text(self._amend_number), order.state(self._pairs[order.symbol])

    def cancel(
        self,
        account: str,
        *,
        order_id: str | None = None,
        cl_ord_id: str | None = None,
        reason: str = USER_REQUESTED,
    ) -> OrderState:
        """Cancel an open order, named by exactly one of its ids (PROTOCOL 5.4).

        Raises:
            Refusal: there is no such open order, or it cannot be cancelled now.
        """
        register = self._register(account)
        check_cancel(self.status)
        order = register.find(order_id, cl_ord_id)
        pair = self._pairs[order.symbol]
        check_cancel(pair.instrument.status)
        self._matching.end([order], "canceled", reason)
        return order.state(pair)

    def cancel_by_userref(self, account: str, order_userref: int) -> list[OrderState]:
        """Cancel the open orders that share an `order_userref`, oldest first; what cannot be cancelled now stays.

        Raises:
            Refusal: nothing can be cancelled now.
        """
        return self._cancel([o for o in self._register(account).open.values() if o.order_userref == order_userref])

    def cancel_all(self, account: str) -> int:
        """Cancel all open orders that can be cancelled now, and say how many (PROTOCOL 5.5).

        Raises:
            Refusal: nothing can be cancelled now.
        """
        return len(self._cancel(list(self._register(account).open.values())))

    # --- the background market ---

    def next_number(self) -> int:
        """A number for a new order; the background's orders have theirs from here too."""
        self._number += 1
        return self._number

    def take(self, book: OrderBook, is_buy: bool, limit_key: int | None, lots: int, market: bool) -> None:
        """Let the background trade up to `lots` with the other side, within the move that the caller has begun.

        Args:
            book: where.
            is_buy: the background's side.
            limit_key: the worst level to trade with, as a key of the *other* side; None takes any.
            lots: how much at most.
            market: whether the print says that the taker's order was a market order.
        """
        for fill in book.take(is_buy, limit_key, lots, market):
            if fill.maker.account is not None:
                self._matching.settle(book, fill, None)

    # --- what happened ---

    @property
    def has_effects(self) -> bool:
        """Whether `drain` would give anything."""
        return self._pending.waits

    def drain(self) -> Effects:
        """What commands, expiries and the background's trades with accounts did since the last call."""
        return self._pending.drain()

    # --- within ---

    def _pair(self, symbol: str) -> Pair:
        try:
            return self._pairs[symbol]
        except KeyError:
            raise UnknownSymbol(symbol) from None

    def _register(self, account: str) -> Register:
        registers = self._matching.registers
        try:
            return registers[account]
        except KeyError:
            raise UsageError(f"no account {account!r}; there are: {', '.join(registers) or 'none'}") from None

    def _check_asset(self, asset: str) -> None:
        if asset not in self._precisions:
            raise UsageError(f"unknown asset {asset!r}; there are: {', '.join(self._precisions)}")

    def _cancel(self, orders: list[Order]) -> list[OrderState]:
        check_cancel(self.status)
        orders = [order for order in orders if is_cancellable(self._pairs[order.symbol].instrument.status)]
        self._matching.end(orders, "canceled", USER_REQUESTED)
        return [order.state(self._pairs[order.symbol]) for order in orders]
