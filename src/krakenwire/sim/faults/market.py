"""Faults of the exchange itself: maintenance, instruments that change, and thin books."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from ..engine.model import EngineStatus
from ..feed.stream import Stream
from .model import MAX_SECONDS, Fault, Timing

__all__ = ["InstrumentStatus", "Maintenance", "PrecisionChange", "ThinBook"]


class MaintenanceStages(Timing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `maintenance`."""

    maintenance: Annotated[
        float, Meta(ge=0, le=MAX_SECONDS, description="seconds in which the engine does nothing; 0 skips this")
    ] = 5.0
    cancel_only: Annotated[
        float, Meta(ge=0, le=MAX_SECONDS, description="seconds in which it only cancels; 0 skips this")
    ] = 5.0
    post_only: Annotated[float, Meta(ge=0, le=MAX_SECONDS, description="seconds of post-only orders; 0 skips this")] = (
        5.0
    )


class Maintenance(Fault[MaintenanceStages]):
    """The engine goes down, and returns through cancel_only and post_only (PROTOCOL 9.6)."""

    kind = "maintenance"
    parameters_type = MaintenanceStages

    def check(self) -> None:
        """Refuse a recording, which has no engine."""
        _ = self.host.market

    def begin(self) -> None:
        """Go into the first stage."""
        wanted = self.parameters
        stages: list[tuple[EngineStatus, float]] = [
            ("maintenance", wanted.maintenance),
            ("cancel_only", wanted.cancel_only),
            ("post_only", wanted.post_only),
        ]
        self._stages = [stage for stage in stages if stage[1] > 0]
        self._next()

    def end(self) -> None:
        """Be online."""
        self._set("online")

    def _next(self) -> None:
        if not self._stages:
            self.heal()
            return
        status, seconds = self._stages.pop(0)
        self._set(status)
        self.call_later(seconds, self._next)

    def _set(self, status: EngineStatus) -> None:
        self.touch(what={"status": status})
        self.host.set_status(status)


class Symbol(Timing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A symbol, which has to be given."""

    symbol: Annotated[str, Meta(description="which one, as in `BTC/USD`")]


class Precisions(Symbol, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `precision_change`."""

    price_precision: Annotated[int, Meta(ge=0, le=16, description="decimals of a price")] | None = None
    qty_precision: Annotated[int, Meta(ge=0, le=16, description="decimals of a quantity")] | None = None


class PrecisionChange(Fault[Precisions]):
    """The decimals of a symbol change, as an instrument update says; healing changes them back."""

    kind = "precision_change"
    parameters_type = Precisions

    def check(self) -> None:
        """Refuse a change of nothing."""
        _ = self.host.market
        self.check_symbol(self.parameters.symbol)
        if self.parameters.price_precision is None and self.parameters.qty_precision is None:
            raise self.complain("nothing changes; give price_precision=, qty_precision= or both")

    def begin(self) -> None:
        """Change."""
        instrument = self.host.market.instrument(self.parameters.symbol)
        self._before = instrument.price_precision, instrument.qty_precision
        self._change(self.parameters.price_precision, self.parameters.qty_precision)

    def end(self) -> None:
        """Change back."""
        self._change(*self._before)

    def _change(self, price: int | None, qty: int | None) -> None:
        symbol = self.parameters.symbol
        self.host.market.change_instrument(symbol, price_precision=price, qty_precision=qty)
        now = self.host.market.instrument(symbol)
        stream = Stream("instrument", symbol)
        what = {"price_precision": now.price_precision, "qty_precision": now.qty_precision}
        self.touch(None, stream, what)
        self.host.publish()


class StatusOfSymbol(Symbol, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `instrument_status`."""

    status: Annotated[
        Literal["cancel_only", "limit_only", "maintenance", "online", "post_only", "reduce_only", "work_in_progress"],
        Meta(description="what the pair is from now on (PROTOCOL 3.9)"),
    ] = "cancel_only"


class InstrumentStatus(Fault[StatusOfSymbol]):
    """One symbol cannot be traded as usual: an instrument update says so, and orders are refused."""

    kind = "instrument_status"
    parameters_type = StatusOfSymbol

    def check(self) -> None:
        """Refuse a symbol that is not traded."""
        _ = self.host.market
        self.check_symbol(self.parameters.symbol)

    def begin(self) -> None:
        """Change."""
        self._before = self.host.market.instrument(self.parameters.symbol).status
        self._change(self.parameters.status)

    def end(self) -> None:
        """Change back."""
        self._change(self._before)

    def _change(self, status: str) -> None:
        self.host.market.change_instrument(self.parameters.symbol, status=status)
        self.touch(None, Stream("instrument", self.parameters.symbol), {"status": status})
        self.host.publish()


class ThinLevels(Symbol, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `thin_book`."""

    levels: Annotated[int, Meta(ge=1, le=1000, description="levels a side that are left")] = 3


class ThinBook(Fault[ThinLevels]):
    """A book with few levels: by updates that remove the others, and for as long as it lasts no more come in."""

    kind = "thin_book"
    parameters_type = ThinLevels

    def check(self) -> None:
        """Refuse a symbol that is not traded."""
        _ = self.host.market
        self.check_symbol(self.parameters.symbol)

    def begin(self) -> None:
        """Keep the background market to a few levels."""
        self._thin(self.parameters.levels)

    def end(self) -> None:
        """Let it grow again."""
        self._thin(None)

    def _thin(self, levels: int | None) -> None:
        symbol = self.parameters.symbol
        self.host.market.thin(symbol, levels)
        self.touch(None, Stream("book", symbol), {"levels": "as ever" if levels is None else levels})
        self.host.publish()
