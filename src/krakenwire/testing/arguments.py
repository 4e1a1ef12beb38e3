"""What a test finds easy to write, turned into what an exchange takes: accounts, faults, a rate."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from krakenwire.book.numbers import to_decimal
from krakenwire.errors import UsageError
from krakenwire.sim.accounts.accounts import Accounts
from krakenwire.sim.accounts.file import AccountDefinition, Credentials
from krakenwire.sim.faults import Script, read_fault

__all__ = ["AccountsGiven", "FaultsGiven", "Funds", "check_rate", "make_accounts", "make_script"]

Funds = Mapping[str, Decimal | int | str]
"""Amounts by asset as WebSocket v2 spells it, `{"USD": "10000", "BTC": 1}`."""

AccountsGiven = Accounts | str | Path | Mapping[str, Funds] | None
"""Accounts, the path of their TOML file, the funds of each, or None for the built-in ones."""

FaultsGiven = Script | str | Path | Iterable[str]
"""A script, the path of its TOML file, or faults as on the command line, `["lose_update:symbol=BTC/USD@5s"]`."""

STILL = 1e-9
"""Frames a second of a market that stands still: one in thirty years."""


def make_accounts(given: AccountsGiven) -> Accounts:
    """The accounts that a test asked for.

    Raises:
        UsageError: the file says something that cannot be, an amount is a float or no number, or nobody is named.
    """
    if isinstance(given, Accounts):
        return given
    if given is None:
        return Accounts.default()
    if isinstance(given, str | Path):
        return Accounts.load(given)
    return Accounts(_definition(name, funds) for name, funds in given.items())


def make_script(given: FaultsGiven, seed: int) -> Script:
    """The faults that a test asked for; `seed` is of those that bring none of their own.

    Raises:
        UsageError: it cannot be read, or there is no such kind or parameter.
    """
    if isinstance(given, Script):
        return given
    if isinstance(given, str | Path):
        return Script.load(given)
    return Script(tuple(map(read_fault, given)), seed)


def check_rate(rate: float) -> float:
    """The rate that an exchange takes for what a test asked for.

    Raises:
        UsageError: it is less than 0, or without end.
    """
    if not 0 <= rate < math.inf:
        raise UsageError(f"rate must be frames a second, or 0 for a market that stands still; got {rate!r}")
    return rate or STILL


def _definition(name: str, funds: Funds) -> AccountDefinition:
    """An account with a key of its own, readable, so that nobody takes it for a real one."""
    secret = base64.b64encode(f"krakenwire simulator, the throw-away secret of {name}".encode()).decode()
    return AccountDefinition(
        name=name,
        credentials=Credentials(key=f"krakenwire/simulator/key+of/{name}", secret=secret),
        funds={asset: to_decimal(amount, f"the {asset} of {name}") for asset, amount in funds.items()},
    )
