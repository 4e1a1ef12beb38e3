"""What a test may ask of a simulated exchange and do there, wherever the exchange runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, TypeVar, get_args

from krakenwire.book.numbers import to_decimal
from krakenwire.errors import UsageError
from krakenwire.sim.accounts.file import Credentials
from krakenwire.sim.engine.engine import Engine
from krakenwire.sim.engine.model import AddOrder, AmendOrder, OrderState, Report, TimeInForce
from krakenwire.sim.exchange import Exchange
from krakenwire.sim.faults import Fault

__all__ = ["ExchangeFace", "Number"]

Side = Literal["buy", "sell"]
Number = Decimal | int | str
T = TypeVar("T")


class ExchangeFace(ABC):
    """Questions and commands to a simulated exchange; all of them take effect at once."""

    @abstractmethod
    def _run(self, work: Callable[[Exchange], T]) -> T:
        """Do something where the exchange runs, and return what it gives."""

    # --- what goes wrong ------------------------------------------------------------------------------------

    def inject(self, kind: str, **parameters: Any) -> Fault[Any]:
        """Let something go wrong, now or `after` so many seconds; docs/faults.md has the kinds.

        Raises:
            UsageError: there is no such kind or parameter; says what there is.
        """
        return self._run(lambda exchange: exchange.faults.inject(kind, **parameters))

    def heal(self, fault: Fault[Any]) -> None:
        """End a fault, and put back what can be put back; harmless if it is over."""
        self._run(lambda exchange: exchange.faults.heal(fault.id))

    @property
    def faults(self) -> tuple[Fault[Any], ...]:
        """What was injected, oldest first: when, and what each fault touched."""
        return self._run(lambda exchange: exchange.faults.log)

    # --- what the exchange knows ----------------------------------------------------------------------------

    def truth(self, symbol: str, depth: int = 10) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """The exchange's own book: (bids, asks), each a list of (price, qty) as on the wire, best first.

        Raises:
            UnknownSymbol: it is not traded here.
        """
        return self._run(lambda exchange: exchange.truth(symbol, depth))

    def orders(self, account: str) -> list[OrderState]:
        """The open orders of an account, oldest first.

        Raises:
            UsageError: there is no such account (so do all calls that name one).
        """
        return self._run(lambda exchange: exchange.market.engine.open_orders(account))

    def order(self, account: str, order_id: str) -> OrderState | None:
        """An order of an account that is open or ended not long ago, or None."""
        return self._run(lambda exchange: exchange.market.engine.order(account, order_id))

    def fills(self, account: str) -> list[Report]:
        """The last fifty fills of an account, oldest first."""
        return self._run(lambda exchange: exchange.market.engine.recent_fills(account))

    def balances(self, account: str) -> dict[str, Decimal]:
        """What an account holds by asset, including what its open orders hold back."""
        return self._run(lambda exchange: exchange.market.engine.balances(account))

    def credentials(self, account: str) -> Credentials:
        """The API key and secret with which a client signs in as `account`."""
        return self._run(lambda exchange: exchange.accounts.credentials(account))

    def token(self, account: str) -> str:
        """A token for `account`, as GetWebSocketsToken gives it (PROTOCOL 8.2)."""
        return self._run(lambda exchange: exchange.accounts.issue_token(account, exchange.exchange_now_ns()))

    # --- acting for an account ------------------------------------------------------------------------------

    def place(
        self,
        account: str,
        symbol: str,
        side: Side,
        qty: Number,
        limit_price: Number | None = None,
        *,
        time_in_force: TimeInForce = "gtc",
        post_only: bool = False,
        cl_ord_id: str | None = None,
    ) -> OrderState:
        """Enter an order for an account, as if it had come over its connection; without a limit price a market order.

        Raises:
            Refusal: the exchange does not take it; its `text` has Kraken's words.
            UsageError: a number is a float or none at all, or `side` or `time_in_force` is no such thing.
        """
        for name, value, known in (("side", side, Side), ("time_in_force", time_in_force, TimeInForce)):
            if value not in get_args(known):
                raise UsageError(f"{name} must be one of {', '.join(get_args(known))}, got {value!r}")
        request = AddOrder(
            symbol=symbol,
            side=side,
            order_type="market" if limit_price is None else "limit",
            order_qty=to_decimal(qty, "qty"),
            limit_price=None if limit_price is None else to_decimal(limit_price, "limit_price"),
            time_in_force=time_in_force,
            post_only=post_only,
            cl_ord_id=cl_ord_id,
        )
        return self._command(lambda engine: engine.add(account, request))

    def amend(
        self, account: str, order_id: str, *, qty: Number | None = None, limit_price: Number | None = None
    ) -> OrderState:
        """Amend an open order in place. Raises as `place`."""
        request = AmendOrder(
            order_id=order_id,
            order_qty=None if qty is None else to_decimal(qty, "qty"),
            limit_price=None if limit_price is None else to_decimal(limit_price, "limit_price"),
        )
        return self._command(lambda engine: engine.amend(account, request)[1])

    def cancel(self, account: str, order_id: str) -> OrderState:
        """Cancel an open order.

        Raises:
            Refusal: there is no such open order.
        """
        return self._command(lambda engine: engine.cancel(account, order_id=order_id))

    def deposit(self, account: str, asset: str, amount: Number) -> None:
        """Give an account money from outside.

        Raises:
            UsageError: the asset is unknown, or the amount is not more than 0.
        """
        exact = to_decimal(amount, "amount")
        self._command(lambda engine: engine.deposit(account, asset, exact))

    def _command(self, command: Callable[[Engine], T]) -> T:
        """Give the engine a command, and hand out what it did."""

        def work(exchange: Exchange) -> T:
            exchange.begin_command()
            result = command(exchange.market.engine)
            exchange.publish()
            return result

        return self._run(work)
