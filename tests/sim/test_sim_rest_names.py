"""What REST calls assets and pairs."""

from __future__ import annotations

import pytest

from krakenwire.protocol.wire.symbols import normalise
from krakenwire.sim.instruments import default_listings
from krakenwire.sim.rest.names import AssetNames, PairNames, asset_id, asset_name


@pytest.mark.parametrize(
    ("name", "altname", "own_id"),
    [
        ("BTC", "XBT", "XXBT"),
        ("DOGE", "XDG", "XXDG"),
        ("ETH", "ETH", "XETH"),
        ("USD", "USD", "ZUSD"),
        ("XRP", "XRP", "XXRP"),
        ("SOL", "SOL", "SOL"),
        ("XTZ", "XTZ", "XTZ"),
        ("ZRX", "ZRX", "ZRX"),
        ("USDT", "USDT", "USDT"),
    ],
)
def test_old_assets_have_an_id_of_four_letters_and_new_ones_their_name(name: str, altname: str, own_id: str) -> None:
    assert (asset_name(name), asset_id(name)) == (altname, own_id)


@pytest.mark.parametrize(
    ("symbol", "own_id", "altname", "wsname"),
    [
        ("BTC/USD", "XXBTZUSD", "XBTUSD", "XBT/USD"),
        ("ETH/BTC", "XETHXXBT", "ETHXBT", "ETH/XBT"),
        ("DOGE/USD", "XDGUSD", "XDGUSD", "XDG/USD"),
        ("SOL/USD", "SOLUSD", "SOLUSD", "SOL/USD"),
        ("SOL/BTC", "SOLXBT", "SOLXBT", "SOL/XBT"),
        ("BTC/USDT", "XBTUSDT", "XBTUSDT", "XBT/USDT"),
        ("USDT/USD", "USDTZUSD", "USDTUSD", "USDT/USD"),
        ("EUR/USD", "ZEURZUSD", "EURUSD", "EUR/USD"),
    ],
)
def test_pair_of_two_old_assets_has_both_ids_in_its_own(symbol: str, own_id: str, altname: str, wsname: str) -> None:
    (pair,) = PairNames([symbol]).all
    assert pair == (symbol, own_id, altname, wsname)


@pytest.mark.parametrize("spelling", ["BTC/USD", "XBT/USD", "XBTUSD", "BTCUSD", "XXBTZUSD", "xbtusd", "btc/usd"])
def test_every_spelling_is_understood(spelling: str) -> None:
    pair = PairNames(["ETH/USD", "BTC/USD"]).find(spelling)
    assert pair is not None
    assert pair.symbol == "BTC/USD"


@pytest.mark.parametrize("spelling", ["", "XBT", "USD/BTC", "BTC-USD", "XXBTZEUR"])
def test_what_is_no_spelling_of_a_pair_is_not_found(spelling: str) -> None:
    assert PairNames(["BTC/USD"]).find(spelling) is None


def test_all_that_is_listed_can_be_told_apart() -> None:
    symbols = [listing.symbol for listing in default_listings()]
    pairs = PairNames(symbols)
    assert len({pair.id for pair in pairs.all}) == len({pair.altname for pair in pairs.all}) == len(symbols)
    for pair in pairs.all:
        assert normalise(pair.wsname) == pair.symbol
        assert [pairs.find(each) for each in pair] == [pair] * 4


def test_assets_are_found_by_each_name_too() -> None:
    names = AssetNames(["BTC", "SOL"])
    assert [names.find(each) for each in ("BTC", "XBT", "XXBT", "sol", "USD")] == ["BTC", "BTC", "BTC", "SOL", None]
