"""An exchange made ready for the soak: its truth tapped, its faults watched, a schedule of them at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from krakenwire.sim.exchange import Exchange

from .records import Shelf
from .schedule import Schedule
from .tap import Tap
from .watched import Outcome, WatchedFaults

__all__ = ["FaultLine", "Stage", "rescaled_symbols"]


class FaultLine(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, from the simulator's log.

    Attributes:
        id, kind: which.
        injected_ns, healed_ns: exchange time; None if it is not healed.
        touched: how often it touched anything.
        touched_ns: when it first did, or None.
        connection_id: whose connection it was told to touch, or None.
        channel, symbol: what it was told to touch, or None.
    """

    id: int
    kind: str
    injected_ns: int
    healed_ns: int | None
    touched: int
    touched_ns: int | None
    connection_id: int | None
    channel: str | None
    symbol: str | None


class Stage:
    """An exchange with its truth tapped and its faults watched, whatever carries its frames.

    Args:
        exchange: nobody has connected to it yet.
        seed: of the schedule.
        symbols: that are traded and compared.
        shelf: where the truth is written.
        rest: there is REST, and somebody calls it.
        tell: is told each outcome.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        seed: int,
        symbols: tuple[str, ...],
        shelf: Shelf,
        rest: bool,
        tell: Callable[[Outcome], object],
    ) -> None:
        self.exchange = exchange
        self.faults = WatchedFaults(exchange, seed=seed, tell=tell)
        exchange.faults = self.faults
        self.tap = Tap(exchange, symbols, shelf)
        self.schedule = Schedule(exchange, self.faults, symbols, seed=seed, rest=rest)

    def lines(self) -> list[FaultLine]:
        """The log of all faults."""
        found = []
        for fault in self.faults.log:
            wanted = fault.parameters
            first = fault.touches[0] if fault.touches else None
            found.append(
                FaultLine(
                    id=fault.id,
                    kind=fault.kind,
                    injected_ns=fault.injected_ns,
                    healed_ns=fault.healed_ns,
                    touched=fault.touched,
                    touched_ns=None if first is None else first.exchange_ns,
                    connection_id=getattr(wanted, "connection_id", None),
                    channel=getattr(wanted, "channel", None),
                    symbol=getattr(wanted, "symbol", None),
                )
            )
        return found


def rescaled_symbols(faults: Iterable[FaultLine]) -> set[str]:
    """The symbols whose decimals changed."""
    return {each.symbol for each in faults if each.kind == "precision_change" and each.symbol is not None}
