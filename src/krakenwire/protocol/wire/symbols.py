"""Symbols: one spelling for each, and the catalogue of those that the exchange lists (PROTOCOL 3.9, 10)."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterator

from krakenwire.errors import UnknownSymbol, UsageError
from krakenwire.events import Instrument

__all__ = ["TRADABLE_STATUSES", "V1_ASSETS", "Catalogue", "Change", "normalise"]

TRADABLE_STATUSES = frozenset({"online", "limit_only", "post_only", "reduce_only"})
"""The statuses of an instrument in which new orders of at least one kind are accepted (PROTOCOL 3.9)."""

_V2_ASSETS = {"XBT": "BTC", "XDG": "DOGE"}

V1_ASSETS = {new: old for old, new in _V2_ASSETS.items()}
"""What v1 and REST call an asset that v2 calls otherwise (PROTOCOL 10)."""

_COMMON_QUOTES = ("USD", "EUR", "USDT", "USDC", "GBP", "BTC")

_MAX_NEAREST = 5

_PRECISIONS = ("price_precision", "qty_precision", "cost_precision", "price_increment", "qty_increment")

_DETAILS = (
    "base",
    "quote",
    "qty_min",
    "cost_min",
    "marginable",
    "has_index",
    "margin_initial",
    "position_limit_long",
    "position_limit_short",
)


def normalise(symbol: str) -> str:
    """A symbol in v2's spelling.

    `XBT` is `BTC` and `XDG` is `DOGE` on either side of the slash. A side that is all lower case is taken in
    upper case; any other is left alone, for some assets have a lower-case letter in their name (`AAPLx`).

    Args:
        symbol: `BASE/QUOTE`.

    Raises:
        UsageError: it is not BASE/QUOTE; white space is not stripped.
    """
    if not isinstance(symbol, str):
        raise UsageError(f"expected a symbol as BASE/QUOTE text, as in 'BTC/USD', got {symbol!r}")
    base, slash, quote = symbol.partition("/")
    if not (base and slash and quote) or "/" in quote or any(letter.isspace() for letter in symbol):
        raise UsageError(f"expected a symbol as BASE/QUOTE, as in 'BTC/USD', got {symbol!r}")
    return f"{_asset(base)}/{_asset(quote)}"


def _asset(name: str) -> str:
    name = name.upper() if name.islower() else name
    return _V2_ASSETS.get(name, name)


class Change(enum.Flag):
    """What `Catalogue.add` found new; falsy if nothing was."""

    NONE = 0
    LISTED = enum.auto()
    """The symbol was not in the catalogue."""
    PRECISION = enum.auto()
    """A precision or an increment changed: its books are to be fetched again (PROTOCOL 3.9)."""
    STATUS = enum.auto()
    """Its status changed."""
    DETAILS = enum.auto()
    """Anything else changed (minima, margin, limits)."""


class Catalogue:
    """The listed instruments, by symbol, as the instrument channel told them last."""

    def __init__(self) -> None:
        self._instruments: dict[str, Instrument] = {}
        self._folded: dict[str, str] = {}

    def add(self, instrument: Instrument) -> Change:
        """Take in an instrument.

        Returns:
            What is new about it. A first listing is `Change.LISTED` alone.
        """
        symbol = instrument.symbol
        before = self._instruments.get(symbol)
        self._instruments[symbol] = instrument
        self._folded[symbol.casefold()] = symbol
        if before is None:
            return Change.LISTED
        change = Change.NONE
        if before.status != instrument.status:
            change |= Change.STATUS
        if _differ(before, instrument, _PRECISIONS):
            change |= Change.PRECISION
        if _differ(before, instrument, _DETAILS):
            change |= Change.DETAILS
        return change

    def get(self, symbol: str) -> Instrument | None:
        """The instrument of exactly this symbol, or None."""
        return self._instruments.get(symbol)

    def resolve(self, symbol: str) -> str:
        """The listed symbol that is meant: normalised, and regardless of case.

        Raises:
            UnknownSymbol: it is not listed (nothing is, before the first instrument); names the nearest.
        """
        try:
            wanted = normalise(symbol)
        except UsageError:
            if not isinstance(symbol, str):
                raise
        else:
            if wanted in self._instruments:
                return wanted
            folded = self._folded.get(wanted.casefold())
            if folded is not None:
                return folded
        raise UnknownSymbol(symbol, self._nearest(symbol))

    def symbols(self, tradable_only: bool = False) -> tuple[str, ...]:
        """The listed symbols, sorted; with `tradable_only` those in one of `TRADABLE_STATUSES`."""
        return tuple(
            sorted(
                symbol
                for symbol, instrument in self._instruments.items()
                if not tradable_only or instrument.status in TRADABLE_STATUSES
            )
        )

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._instruments

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._instruments.values())

    def __len__(self) -> int:
        return len(self._instruments)

    def _nearest(self, symbol: str) -> tuple[str, ...]:
        """Best first: the same letters without the slash, a slip of the pen, the base with other quotes."""
        base, _, quote = symbol.strip().upper().partition("/")
        base, quote = _asset(base.strip()), _asset(quote.strip())
        wanted = f"{base}/{quote}" if quote else base
        letters = "".join(filter(str.isalnum, wanted))
        squashed = {_squash(each): each for each in self.symbols()}
        found = [squashed[spelling] for spelling in _spellings(letters) if spelling in squashed]
        if f"{quote}/{base}" in self._instruments:
            found.append(f"{quote}/{base}")
        found += difflib.get_close_matches(wanted, self._instruments, _MAX_NEAREST, cutoff=0.8)
        found += sorted(
            (each for each, instrument in self._instruments.items() if _asset(instrument.base) == base),
            key=lambda each: (_quote_rank(self._instruments[each].quote), each),
        )
        found += difflib.get_close_matches(wanted, self._instruments, _MAX_NEAREST, cutoff=0.6)
        return tuple(dict.fromkeys(found))[:_MAX_NEAREST]


def _differ(before: Instrument, after: Instrument, fields: tuple[str, ...]) -> bool:
    return any(getattr(before, field) != getattr(after, field) for field in fields)


def _squash(symbol: str) -> str:
    return symbol.replace("/", "").upper()


def _spellings(letters: str) -> Iterator[str]:
    """`letters` as they are, and with v1's names of assets at either end replaced by v2's."""
    yield letters
    for old, new in _V2_ASSETS.items():
        if letters.startswith(old):
            yield new + letters.removeprefix(old)
        if letters.endswith(old):
            yield letters.removesuffix(old) + new


def _quote_rank(quote: str) -> int:
    return _COMMON_QUOTES.index(quote) if quote in _COMMON_QUOTES else len(_COMMON_QUOTES)
