"""A seeded market of several symbols: books, trades and statistics. It reads no clock and does no I/O."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from math import log
from random import Random

from krakenwire.errors import UnknownSymbol, UsageError

from .candles import MINUTE_NS, Candle, DayStats, make_history
from .flow import Flow, Move, Print
from .instruments import ListedAsset, ListedInstrument, Listing, default_assets, default_listings
from .ladder import DEPTHS, Change, LadderBook
from .wire import format_number

__all__ = ["DEPTHS", "SIMULATED_START_NS", "Change", "Market", "Move", "Print"]

SIMULATED_START_NS = 1_767_225_600 * 1_000_000_000
"""Where simulated time begins unless told otherwise: 2026-01-01T00:00:00Z."""

RECENT_TRADES = 50
"""Trades in a snapshot of the trade channel (PROTOCOL 3.7)."""

MEAN_STEP_NS = 1_000_000


class Market:
    """Everything the simulator's exchange knows of its public side.

    The same seed, listings and sequence of calls give the same market, byte for byte.

    Args:
        listings: what is traded; the default listing if None.
        seed: where all chance comes from.
        start_ns: the exchange time before the first step, UTC nanoseconds.
        assets: reference data of the traded assets.

    Attributes:
        now_ns: the exchange time of the last step; it never runs backwards.

    Raises:
        UsageError: there is nothing to trade.
    """

    def __init__(
        self,
        listings: Sequence[Listing] | None = None,
        *,
        seed: int = 0,
        start_ns: int = SIMULATED_START_NS,
        assets: Sequence[ListedAsset] | None = None,
    ) -> None:
        chosen = default_listings() if listings is None else tuple(listings)
        if not chosen:
            raise UsageError("a market needs at least one listing, got none")
        traded = {name for each in chosen for name in (each.instrument.base, each.instrument.quote)}
        known_assets = default_assets() if assets is None else assets
        self.assets = tuple(asset for asset in known_assets if asset.id in traded)
        self.seed = seed
        self.now_ns = start_ns
        self._random = Random(seed)
        self._listings = {listing.symbol: listing for listing in chosen}
        self._flows: dict[str, Flow] = {}
        self._stats: dict[str, DayStats] = {}
        self._recent: dict[str, deque[Print]] = {}
        for listing in chosen:
            self._open(listing, start_ns)
        self.move_only(self._listings)

    @property
    def symbols(self) -> tuple[str, ...]:
        """What is traded."""
        return tuple(self._listings)

    @property
    def instruments(self) -> tuple[ListedInstrument, ...]:
        """Reference data of what is traded."""
        return tuple(listing.instrument for listing in self._listings.values())

    def instrument(self, symbol: str) -> ListedInstrument:
        """Reference data of `symbol`.

        Raises:
            UnknownSymbol: it is not traded here.
        """
        try:
            return self._listings[symbol].instrument
        except KeyError:
            raise UnknownSymbol(symbol) from None

    def book(self, symbol: str) -> LadderBook:
        """The whole book of `symbol`, live."""
        return self._flows[symbol].book

    def stats(self, symbol: str) -> DayStats:
        """The last 24 hours of `symbol`, live."""
        return self._stats[symbol]

    def recent_trades(self, symbol: str) -> Iterable[Print]:
        """The last trades of `symbol`, oldest first; at most fifty."""
        return self._recent[symbol]

    def truth(self, symbol: str, depth: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """What a correct client holds: (bids, asks), each a list of (price, qty) as on the wire, best first.

        Raises:
            UnknownSymbol: it is not traded here.
        """
        instrument = self.instrument(symbol)
        book = self._flows[symbol].book
        bids, asks = (
            [
                (
                    format_number(tick, instrument.price_precision),
                    format_number(lots, instrument.qty_precision),
                )
                for tick, lots in side.top(depth)
            ]
            for side in (book.bids, book.asks)
        )
        return bids, asks

    def checksum(self, symbol: str) -> int:
        """Kraken's checksum of the book of `symbol`, the same at every depth (PROTOCOL 6.1)."""
        return self._flows[symbol].book.checksum()

    def move_only(self, symbols: Iterable[str]) -> None:
        """From now on let only these symbols move; the order they are given in does not matter."""
        wanted = set(symbols)
        self._moving = [self._flows[symbol] for symbol in self._listings if symbol in wanted]
        self._weights = list(itertools.accumulate(flow.listing.weight for flow in self._moving))

    def step(self, exchange_ns: int | None = None) -> Move:
        """Let one thing happen on one of the moving symbols, and say what changed.

        Args:
            exchange_ns: the exchange time of it; a time that does not come after the last step is taken as a
                microsecond after it. None lets about a millisecond pass, as the seed has it.

        Raises:
            UsageError: no symbol moves.
        """
        if not self._moving:
            raise UsageError("no symbol moves; name some with move_only()")
        random = self._random.random
        if exchange_ns is None:
            exchange_ns = self.now_ns + 1000 * (1 + int(-log(1.0 - random()) * (MEAN_STEP_NS // 1000)))
        self.now_ns = exchange_ns = max(exchange_ns, self.now_ns + 1000)
        weights = self._weights
        move = self._moving[bisect_right(weights, int(random() * weights[-1]))].move(exchange_ns)
        if move.trades:
            stats, recent = self._stats[move.symbol], self._recent[move.symbol]
            for trade in move.trades:
                stats.add(trade)
                recent.append(trade)
        return move

    def _open(self, listing: Listing, start_ns: int) -> None:
        """Make the book of a symbol, the day before it, and its last trades."""
        random = self._random
        instrument = listing.instrument
        price = int(listing.price.scaleb(instrument.price_precision))
        size = int(listing.size.scaleb(instrument.qty_precision))
        first_trade_id = random.randrange(1_000_000, 90_000_000)
        history: list[Candle] = make_history(price, size, random, start_ns - MINUTE_NS)
        stats = DayStats(history)
        recent: deque[Print] = deque(maxlen=RECENT_TRADES)
        times = sorted(random.randrange(1, 60_000_000) * 1000 for _ in range(RECENT_TRADES))
        for number, ago_ns in enumerate(reversed(times)):
            trade = Print(
                first_trade_id + number,
                random.random() < 0.5,
                price + random.randrange(-listing.gap, listing.gap + 1),
                1 + int(size * random.random()),
                random.random() < 0.45,
                start_ns - ago_ns,
            )
            recent.append(trade)
            stats.add(trade)
        self._stats[listing.symbol] = stats
        self._recent[listing.symbol] = recent
        self._flows[listing.symbol] = Flow(listing, random, start_ns, first_trade_id + RECENT_TRADES)
