"""What REST calls assets and pairs: `XXBT`, `ZUSD`, `XXBTZUSD`, `XBTUSD`, `XBT/USD` (PROTOCOL 10)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["AssetNames", "PairName", "PairNames", "asset_id", "asset_name"]

_V1: Final = {"BTC": "XBT", "DOGE": "XDG"}

_LEGACY: Final = {
    **{name: f"X{name}" for name in ("ETC", "ETH", "LTC", "MLN", "REP", "XBT", "XDG", "XLM", "XMR", "XRP", "ZEC")},
    **{name: f"Z{name}" for name in ("AUD", "CAD", "EUR", "GBP", "JPY", "USD")},
}
"""The assets of the first years have an id of four letters; all others are called what they are."""

_PAIR_IDS: Final = {"XDGUSD": "XDGUSD", "XDGEUR": "XDGEUR", "EURGBP": "EURGBP", "USDTUSD": "USDTZUSD"}
"""Pairs whose id does not follow from those of their assets, by altname."""


def asset_name(name: str) -> str:
    """REST's `altname` of an asset of WebSocket v2: `XBT` for `BTC`."""
    return _V1.get(name, name)


def asset_id(name: str) -> str:
    """REST's id of an asset of WebSocket v2: `XXBT` for `BTC`, `SOL` for `SOL`."""
    return _LEGACY.get(asset_name(name), asset_name(name))


class PairName(NamedTuple):
    """The names of one pair; `symbol` is WebSocket v2's, `wsname` v1's."""

    symbol: str
    id: str
    altname: str
    wsname: str


class AssetNames:
    """Finds assets by any spelling that REST takes."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {spelling: name for name in names for spelling in (name, asset_name(name), asset_id(name))}

    def find(self, spelling: str) -> str | None:
        """WebSocket v2's name of the asset, or None."""
        return self._names.get(spelling.upper())


class PairNames:
    """Finds pairs by any spelling that REST takes: `BTC/USD`, `XBT/USD`, `XBTUSD`, `BTCUSD` or `XXBTZUSD`."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self.all = tuple(_named(symbol) for symbol in symbols)
        self._pairs: dict[str, PairName] = {}
        for pair in self.all:
            for spelling in (pair.symbol, pair.symbol.replace("/", ""), pair.wsname, pair.altname, pair.id):
                self._pairs[spelling.upper()] = pair

    def find(self, spelling: str) -> PairName | None:
        """The pair, or None."""
        return self._pairs.get(spelling.upper())


def _named(symbol: str) -> PairName:
    base, quote = symbol.split("/")
    altname = asset_name(base) + asset_name(quote)
    is_legacy = asset_name(base) in _LEGACY and asset_name(quote) in _LEGACY
    pair_id = _PAIR_IDS.get(altname, asset_id(base) + asset_id(quote) if is_legacy else altname)
    return PairName(symbol, pair_id, altname, f"{asset_name(base)}/{asset_name(quote)}")
