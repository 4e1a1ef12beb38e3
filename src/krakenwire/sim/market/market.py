"""A seeded market of several symbols: an engine, agents that keep it alive, and its statistics. No clock, no I/O."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import log
from random import Random

import msgspec

from krakenwire.errors import UnknownSymbol, UsageError

from ..engine.book import Move, OrderBook, Print
from ..engine.engine import Effects, Engine
from ..engine.model import Account, EngineStatus
from ..feed.wire import format_number
from ..instruments import ListedAsset, ListedInstrument, Listing, default_assets, default_listings
from .agents import Agents, Conduct
from .candles import History, shifted
from .tape import TRADES_KEPT, Spread, Tape

__all__ = ["SIMULATED_START_NS", "Market"]

SIMULATED_START_NS = 1_767_225_600 * 1_000_000_000
"""Where simulated time begins unless told otherwise: 2026-01-01T00:00:00Z."""

STEP_NS = 1000
"""Simulated time goes by in microseconds."""

MEAN_STEPS = 1000
"""How many of those pass from one move to the next, on average."""

_CONDUCTS: dict[str, Conduct] = {
    "online": "all",
    "limit_only": "limits",
    "reduce_only": "all",
    "post_only": "quotes",
    "cancel_only": "withdrawals",
}
"""What agents do under a status of the engine or of an instrument; under any other they stand still."""

_CAUTION: tuple[Conduct, ...] = ("all", "limits", "quotes", "withdrawals", "nothing")


class Market:
    """A simulated exchange's books, accounts and statistics.

    The same seed, listings, accounts and sequence of calls give the same market, byte for byte.

    Accounts' commands go to `engine`. What they did, and what became of accounts' orders in a step, waits in `drain`:
    drain after each command and after each step that leaves `has_effects`, before anything else happens.

    Args:
        listings: what is traded; the default listing if None.
        seed: where all chance comes from.
        start_ns: the exchange time before the first step, UTC nanoseconds.
        assets: reference data of the assets; those of the default listing if None.
        accounts: who can trade besides the agents.

    Attributes:
        engine: the matching engine.
        assets: reference data of the traded assets.
        seed: as given.

    Raises:
        UsageError: there is nothing to trade, or an account holds what is no asset.
    """

    def __init__(
        self,
        listings: Sequence[Listing] | None = None,
        *,
        seed: int = 0,
        start_ns: int = SIMULATED_START_NS,
        assets: Sequence[ListedAsset] | None = None,
        accounts: Iterable[Account] = (),
    ) -> None:
        chosen = default_listings() if listings is None else tuple(listings)
        if not chosen:
            raise UsageError("a market needs at least one listing, got none")
        known_assets = default_assets() if assets is None else tuple(assets)
        traded = {name for each in chosen for name in (each.instrument.base, each.instrument.quote)}
        self.engine = Engine(chosen, known_assets, seed=seed, start_ns=start_ns, accounts=accounts)
        self.assets = tuple(asset for asset in known_assets if asset.id in traded)
        self.seed = seed
        self._start_ns = start_ns
        self._random = Random(seed)
        self._agents = {
            listing.symbol: Agents(
                listing, self.engine.books[listing.symbol], self.engine, Random(f"{seed} agents of {listing.symbol}")
            )
            for listing in chosen
        }
        self._first_trade_ids = {symbol: book.next_trade_id for symbol, book in self.engine.books.items()}
        self._tapes: dict[str, Tape] = {}
        self._waiting = Effects([], [], [])
        self._wanted = set(self._agents)
        self._choose_moving()

    # --- what there is --------------------------------------------------------------------------------------

    @property
    def symbols(self) -> tuple[str, ...]:
        """What is traded."""
        return tuple(self._agents)

    @property
    def instruments(self) -> tuple[ListedInstrument, ...]:
        """Reference data of what is traded, as of now."""
        return tuple(map(self.engine.instrument, self._agents))

    def instrument(self, symbol: str) -> ListedInstrument:
        """Reference data of `symbol`, as of now.

        Raises:
            UnknownSymbol: it is not traded here.
        """
        if symbol not in self._agents:
            raise UnknownSymbol(symbol)
        return self.engine.instrument(symbol)

    @property
    def now_ns(self) -> int:
        """The exchange time of the last step or command; it never runs backwards."""
        return self.engine.now_ns

    @property
    def can_move(self) -> bool:
        """Whether a step can do anything: some symbol moves, and neither its status nor the engine's forbids it."""
        return bool(self._moving)

    def book(self, symbol: str) -> OrderBook:
        """The whole book of `symbol`, live."""
        return self.engine.books[symbol]

    def stats(self, symbol: str) -> History:
        """The candles and the last 24 hours of `symbol`, live."""
        return self._tape(symbol).stats

    def recent_trades(self, symbol: str, count: int = TRADES_KEPT) -> list[Print]:
        """The last trades of `symbol`, oldest first; at most `count`, and at most as many as are kept."""
        return self._tape(symbol).last_trades(count)

    def newest_trades(self, symbol: str, count: int) -> list[tuple[int, Print]]:
        """The last `count` trades, oldest first, each with its cursor: see `Tape.trades_after`."""
        return self._tape(symbol).newest(count)

    def trades_after(self, symbol: str, cursor: int, count: int) -> list[tuple[int, Print]]:
        """The first `count` trades after a cursor, oldest first, each with its own: see `Tape.trades_after`."""
        return self._tape(symbol).trades_after(cursor, count)

    def recent_spreads(self, symbol: str) -> list[Spread]:
        """Best bid and ask after each of the last two hundred moves that traded, oldest first."""
        return list(self._tape(symbol).spreads)

    def truth(self, symbol: str, depth: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """What a correct client holds: (bids, asks), each a list of (price, qty) as on the wire, best first.

        Raises:
            UnknownSymbol: it is not traded here.
        """
        instrument = self.instrument(symbol)
        book = self.engine.books[symbol]
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
        return self.engine.books[symbol].checksum()

    # --- what happens ---------------------------------------------------------------------------------------

    def move_only(self, symbols: Iterable[str]) -> None:
        """From now on let only these symbols move; the order they are given in does not matter."""
        self._wanted = set(symbols)
        self._choose_moving()

    def step(self, exchange_ns: int | None = None) -> Move:
        """Let one thing happen on one of the moving symbols, and say what changed.

        Args:
            exchange_ns: the exchange time of it; a time that does not come after the last step is taken as a
                microsecond after it. None lets about a millisecond pass, as the seed has it.

        Raises:
            UsageError: no symbol moves.
        """
        moving = self._moving
        if not moving:
            raise UsageError("no symbol moves; name some with move_only(), or let the engine be online")
        random = self._random.random
        engine = self.engine
        now_ns = engine.now_ns
        if exchange_ns is None:
            exchange_ns = now_ns + STEP_NS * (1 + int(-log(1.0 - random()) * MEAN_STEPS))
        elif exchange_ns <= now_ns:
            exchange_ns = now_ns + STEP_NS
        engine.advance(exchange_ns)
        weights = self._weights
        move = moving[bisect_right(weights, int(random() * weights[-1]))].move(exchange_ns)
        if move.trades:
            self._tape(move.symbol).note(move, self.engine.books[move.symbol])
        return move

    @property
    def has_effects(self) -> bool:
        """Whether `drain` would give anything."""
        return self.engine.has_effects or bool(self._waiting.moves)

    def drain(self) -> Effects:
        """What accounts' commands, expiries and the agents' trades with accounts did since the last drain.

        Its moves are to be told before that of a step which came since.
        """
        effects = self.engine.drain()
        for move in effects.moves:
            if move.trades:
                self._tape(move.symbol).note(move, self.engine.books[move.symbol])
        if self._waiting.moves:
            moves, reports, entries = self._waiting
            self._waiting = Effects([], [], [])
            effects = Effects(moves + effects.moves, reports + effects.reports, entries + effects.entries)
        return effects

    def thin(self, symbol: str, levels: int | None) -> None:
        """Let the agents keep at most `levels` a side, from now on; None lets them have as many as listed again.

        Raises:
            UnknownSymbol: it is not traded here.
            UsageError: `levels` is negative.
        """
        if levels is not None and levels < 0:
            raise UsageError(f"levels must be 0 or more, or None for as many as listed; got {levels}")
        self.instrument(symbol)
        self._waiting = self.drain()
        self._waiting.moves.append(self._agents[symbol].keep(levels, self.engine.now_ns))

    def set_status(self, status: EngineStatus) -> None:
        """Let the engine be online, in maintenance or between them; agents keep to it like everybody."""
        self.engine.set_status(status)
        self._choose_moving()

    def change_instrument(
        self,
        symbol: str,
        *,
        status: str | None = None,
        price_precision: int | None = None,
        qty_precision: int | None = None,
    ) -> None:
        """Change reference data of `symbol`; what is None stays. Statistics and book count in the new units at once.

        Raises:
            UnknownSymbol: it is not traded here.
            UsageError: the engine does not allow it, or moves of the old precision wait to be drained.
        """
        before = self.instrument(symbol)
        if (price_precision, qty_precision) != (None, None) and any(m.symbol == symbol for m in self._waiting.moves):
            raise UsageError(f"moves of {symbol} at its old precision wait; drain() them first")
        self.engine.change_instrument(
            symbol, status=status, price_precision=price_precision, qty_precision=qty_precision
        )
        after = self.engine.instrument(symbol)
        shifts = after.price_precision - before.price_precision, after.qty_precision - before.qty_precision
        if shifts != (0, 0):
            self._rescale(symbol, after, *shifts)
        self._choose_moving()

    # --- inside ---------------------------------------------------------------------------------------------

    def _choose_moving(self) -> None:
        for symbol, agents in self._agents.items():
            statuses = self.engine.status, self.engine.instrument(symbol).status
            agents.conduct = max((_CONDUCTS.get(status, "nothing") for status in statuses), key=_CAUTION.index)
        self._moving = [
            agents for symbol, agents in self._agents.items() if symbol in self._wanted and agents.conduct != "nothing"
        ]
        self._weights = list(itertools.accumulate(agents.listing.weight for agents in self._moving))

    def _tape(self, symbol: str) -> Tape:
        """What traded in a symbol; made when it is first wanted, which takes a while."""
        tape = self._tapes.get(symbol)
        if tape is None:
            random = Random(f"{self.seed} past of {symbol}")
            listing = self._agents[symbol].listing
            tape = self._tapes[symbol] = Tape(listing, self._first_trade_ids[symbol], self._start_ns, random)
        return tape

    def _rescale(self, symbol: str, instrument: ListedInstrument, price_shift: int, qty_shift: int) -> None:
        """Count in the ticks and lots of `instrument` from now on."""
        agents = self._agents[symbol]
        listing = msgspec.structs.replace(
            agents.listing, instrument=instrument, gap=max(1, shifted(agents.listing.gap, price_shift))
        )
        agents.rescale(listing)
        if symbol in self._tapes:
            self._tapes[symbol].rescale(price_shift, qty_shift)
