"""Every rule, in the order of PROTOCOL.md's sections."""

from krakenwire.conform.rule import Rule
from krakenwire.conform.rules import (
    amends,
    answers,
    balances,
    book,
    cancels,
    executions,
    frames,
    instrument,
    level3,
    lifecycle,
    ohlc,
    order_refusals,
    orders,
    refusals,
    rest,
    rest_market,
    subscribing,
    ticker,
    tokens,
    trade,
    unconfirmed,
)

__all__ = ["RULES"]

_MODULES = (
    answers,
    frames,
    subscribing,
    lifecycle,
    ticker,
    book,
    level3,
    trade,
    ohlc,
    instrument,
    tokens,
    executions,
    balances,
    order_refusals,
    orders,
    amends,
    cancels,
    rest,
    rest_market,
    refusals,
    unconfirmed,
)
RULES: tuple[Rule, ...] = tuple(
    value for module in _MODULES for value in vars(module).values() if isinstance(value, Rule)
)
"""In the order in which they are tried."""
