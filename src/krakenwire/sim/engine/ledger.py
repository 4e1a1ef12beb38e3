"""What every account holds of every asset, what its open orders hold back, and where the rest of the money is."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from .money import EXACT, ZERO

__all__ = ["Ledger", "Totals"]


class Totals(NamedTuple):
    """Where all of one asset is: `accounts + background + fees == deposited`, always and exactly.

    The background market brings what it sells from nowhere, so its part may be negative.
    """

    accounts: Decimal
    background: Decimal
    fees: Decimal
    deposited: Decimal


class Ledger:
    """Balances by account and asset.

    Attributes:
        background: what the background market gained of each asset.
        fees: what the exchange took of each asset.
    """

    __slots__ = ("_balances", "_deposited", "_held", "background", "fees")

    def __init__(self) -> None:
        self._balances: dict[str, dict[str, Decimal]] = {}
        self._held: dict[str, dict[str, Decimal]] = {}
        self._deposited: dict[str, Decimal] = {}
        self.background: dict[str, Decimal] = {}
        self.fees: dict[str, Decimal] = {}

    def open(self, account: str, funds: Mapping[str, Decimal]) -> None:
        """Open an account that holds `funds`."""
        self._balances[account] = {}
        self._held[account] = {}
        for asset, amount in funds.items():
            self.deposit(account, asset, amount)

    def balances(self, account: str) -> Mapping[str, Decimal]:
        """All of one account, live."""
        return self._balances[account]

    def available(self, account: str, asset: str) -> Decimal:
        """What an account may spend of an asset."""
        held = self._held[account].get(asset, ZERO)
        return EXACT.subtract(self._balances[account].get(asset, ZERO), held)

    def deposit(self, account: str, asset: str, amount: Decimal) -> Decimal:
        """Bring in money from outside; returns the balance after it."""
        self._deposited[asset] = EXACT.add(self._deposited.get(asset, ZERO), amount)
        return self.change(account, asset, amount)

    def change(self, account: str, asset: str, amount: Decimal) -> Decimal:
        """Add a signed amount to a balance; returns the balance after it. The other end of it is the caller's care."""
        balances = self._balances[account]
        balance = balances[asset] = EXACT.add(balances.get(asset, ZERO), amount)
        return balance

    def change_background(self, asset: str, amount: Decimal) -> None:
        """Add a signed amount to what the background market gained."""
        self.background[asset] = EXACT.add(self.background.get(asset, ZERO), amount)

    def take_fee(self, asset: str, amount: Decimal) -> None:
        """Book a fee that an account has paid."""
        self.fees[asset] = EXACT.add(self.fees.get(asset, ZERO), amount)

    def hold(self, account: str, asset: str, amount: Decimal) -> None:
        """Hold back a signed amount more for open orders."""
        held = self._held[account]
        held[asset] = EXACT.add(held.get(asset, ZERO), amount)

    def totals(self) -> dict[str, Totals]:
        """Where all money is, by asset."""
        assets = sorted(
            {*self._deposited, *self.background, *self.fees, *(a for b in self._balances.values() for a in b)}
        )
        totals = {}
        for asset in assets:
            accounts = ZERO
            for balances in self._balances.values():
                accounts = EXACT.add(accounts, balances.get(asset, ZERO))
            totals[asset] = Totals(
                accounts,
                self.background.get(asset, ZERO),
                self.fees.get(asset, ZERO),
                self._deposited.get(asset, ZERO),
            )
        return totals
