"""Continuity of trades: `trade_id` counts up by one per symbol, so a jump is a known loss and a repeat is dropped."""

from __future__ import annotations

from krakenwire.events import Gap, Trade

__all__ = ["TradeContinuity"]


class TradeContinuity:
    """Watches the trade_ids of every symbol (PROTOCOL 3.7).

    Attributes:
        repeated: trades dropped because they had been given before (the overlap of a snapshot).
    """

    __slots__ = ("_last", "repeated")

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] = {}
        self.repeated = 0

    def last(self, symbol: str) -> int | None:
        """The last trade_id given, or None."""
        seen = self._last.get(symbol)
        return None if seen is None else seen[0]

    def check(self, trade: Trade) -> tuple[bool, Gap | None]:
        """Whether to pass `trade` on, and the gap before it, if there is one.

        v1 has no trade_id: such trades always pass. A live trade of a later epoch whose id went back can be no
        overlap (only snapshots repeat), so the exchange began to count anew: that is a gap of unknown size. The
        last trade itself, repeated in a later epoch, shows that the count goes on.
        """
        trade_id = trade.trade_id
        if trade_id is None:
            return True, None
        epoch = trade.stamp.epoch
        seen = self._last.get(trade.symbol)
        if seen is None:
            self._last[trade.symbol] = (trade_id, epoch)
            return True, None
        last, last_epoch = seen
        if trade_id == last + 1:
            self._last[trade.symbol] = (trade_id, epoch)
            return True, None
        if trade_id > last:
            self._last[trade.symbol] = (trade_id, epoch)
            return True, self._gap(trade, "trade_id jumped", last + 1, trade_id - 1)
        if trade_id == last:
            self._last[trade.symbol] = (last, epoch)
        elif trade.source == "live" and epoch != last_epoch:
            self._last[trade.symbol] = (trade_id, epoch)
            return True, self._gap(trade, f"trade_id went back from {last} to {trade_id}", None, None)
        self.repeated += 1
        return False, None

    def forget(self, symbol: str) -> None:
        """The stream was ended on purpose: what comes after it continues nothing."""
        self._last.pop(symbol, None)

    @staticmethod
    def _gap(trade: Trade, reason: str, first: int | None, last: int | None) -> Gap:
        count = None if first is None or last is None else last - first + 1
        return Gap(
            of="trade",
            symbol=trade.symbol,
            reason=reason,
            first=first,
            last=last,
            count=count,
            stamp=trade.stamp,
            n=trade.n,
            seq=trade.seq,
        )
