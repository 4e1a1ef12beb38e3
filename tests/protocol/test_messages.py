"""The public channels of v2 become events: exact, whole or not at all."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from krakenwire.events import (
    Asset,
    Heartbeat,
    Instrument,
    Message,
    Ohlc,
    Raw,
    Stamp,
    SystemStatus,
    Ticker,
    Trade,
    Undecodable,
)
from krakenwire.protocol.wire.codec import decode
from krakenwire.protocol.wire.messages import CHANNEL_DECODERS

STAMP = Stamp("public", 2, 1_700_000_000_000_000_000, 5)

TRADE = {
    "symbol": "MATIC/USD",
    "side": "sell",
    "price": 0.5117,
    "qty": 40.0,
    "ord_type": "market",
    "trade_id": 4665906,
    "timestamp": "2023-09-25T07:49:37.708706Z",
}
PAIR = (
    b'{"symbol":"BTC/USD","base":"BTC","quote":"USD","status":"online","qty_precision":8,"qty_increment":1e-08,'
    b'"price_precision":1,"cost_precision":5,"marginable":true,"has_index":true,"cost_min":0.5,'
    b'"margin_initial":0.2,"position_limit_long":250,"position_limit_short":200,"tick_size":0.1,'
    b'"price_increment":0.1,"qty_min":5e-05,"ws_display_price_precision":1}'
)


def trade_frame(*elements: dict[str, object], type: str = "update") -> bytes:  # noqa: A002  # Kraken's word
    return json.dumps({"channel": "trade", "type": type, "data": elements}).encode()


def one(frame: bytes) -> object:
    decoded = decode(frame, stamp=STAMP, n=7, seq=3)
    assert len(decoded) == 1
    return decoded[0]


def refusal(frame: bytes) -> Undecodable:
    event = one(frame)
    assert isinstance(event, Undecodable), event
    assert event.frame == frame
    assert (event.stamp, event.n, event.seq) == (STAMP, 7, 3)
    return event


def test_trade_has_exact_numbers_and_its_origin() -> None:
    frame = (
        b'{"channel":"trade","type":"update","data":[{"symbol":"MATIC/USD","side":"sell","price":0.5117,"qty":40.0,'
        b'"ord_type":"market","trade_id":4665906,"timestamp":"2023-09-25T07:49:37.708706Z"}]}'
    )
    trade = one(frame)
    assert trade == Trade(
        stamp=STAMP,
        n=7,
        seq=3,
        symbol="MATIC/USD",
        side="sell",
        price=Decimal("0.5117"),
        qty=Decimal("40.0"),
        ord_type="market",
        trade_id=4665906,
        exchange_ns=1_695_628_177_708_706_000,
        source="live",
    )
    assert isinstance(trade, Trade)
    assert str(trade.qty) == "40.0"


@pytest.mark.parametrize(
    ("wire", "exact"),
    [
        ("0.00005100", "0.00005100"),
        ("62807.0", "62807.0"),
        ("0.00000000", "0.00000000"),
        ("5.1e-05", "0.000051"),
        ("1E+2", "100"),
        ("12", "12"),
        ('"0.00005100"', "0.00005100"),
        ("123456789012345678901234567890.123456789", "123456789012345678901234567890.123456789"),
    ],
)
def test_number_is_exact_with_its_zeros_however_it_is_written(wire: str, exact: str) -> None:
    trade = one(trade_frame(TRADE).replace(b"40.0", wire.encode()))
    assert isinstance(trade, Trade)
    assert trade.qty == Decimal(exact)
    assert f"{trade.qty:f}" == exact


@pytest.mark.parametrize("number", ["1e65", "1e-65", '"NaN"', '"sNaN"', '"Infinity"', '"-inf"', "1e99999999", '""'])
@pytest.mark.parametrize("field", ["price", "qty"])
def test_number_that_is_no_finite_quantity_is_refused(field: str, number: str) -> None:
    refusal(trade_frame({**TRADE, field: "@"}).replace(b'"@"', number.encode()))


def test_trades_of_a_snapshot_say_so_and_keep_their_order() -> None:
    elements = [{**TRADE, "trade_id": trade_id} for trade_id in (70635251, 70635252, 70635253)]
    trades = decode(trade_frame(*elements, type="snapshot"), stamp=STAMP, n=7, seq=3)
    assert [(e.trade_id, e.source) for e in trades if isinstance(e, Trade)] == [
        (70635251, "snapshot"),
        (70635252, "snapshot"),
        (70635253, "snapshot"),
    ]


@pytest.mark.parametrize(
    "flaw",
    [
        {"side": "hold"},
        {"price": None},
        {"qty": "much"},
        {"trade_id": 1.5},
        {"timestamp": "yesterday"},
        {"timestamp": 1695628177},
        {"symbol": 5},
    ],
)
def test_one_broken_trade_refuses_the_whole_frame(flaw: dict[str, object]) -> None:
    event = refusal(trade_frame(TRADE, {**TRADE, **flaw}, TRADE))
    assert event.offset is None


def test_refusal_names_the_field_that_is_missing() -> None:
    without_qty = {name: value for name, value in TRADE.items() if name != "qty"}
    assert "`qty`" in refusal(trade_frame(without_qty)).reason


def test_frame_without_elements_is_no_event() -> None:
    assert decode(trade_frame()) == []


def test_trade_of_an_unknown_type_is_refused() -> None:
    assert "type" in refusal(trade_frame(TRADE, type="correction")).reason


def test_ticker_tells_every_statistic() -> None:
    frame = (
        b'{"channel":"ticker","type":"snapshot","data":[{"symbol":"ALGO/USD","bid":0.10025,"bid_qty":740.0,'
        b'"ask":0.10036,"ask_qty":1361.44813783,"last":0.10035,"volume":997038.98383185,"vwap":0.10148,'
        b'"low":0.09979,"high":0.10285,"change":-0.00017,"change_pct":-0.17,'
        b'"timestamp":"2023-09-25T09:04:31.742648Z"}]}'
    )
    assert one(frame) == Ticker(
        stamp=STAMP,
        n=7,
        seq=3,
        symbol="ALGO/USD",
        type="snapshot",
        bid=Decimal("0.10025"),
        bid_qty=Decimal("740.0"),
        ask=Decimal("0.10036"),
        ask_qty=Decimal("1361.44813783"),
        last=Decimal("0.10035"),
        volume=Decimal("997038.98383185"),
        vwap=Decimal("0.10148"),
        low=Decimal("0.09979"),
        high=Decimal("0.10285"),
        change=Decimal("-0.00017"),
        change_pct=Decimal("-0.17"),
        exchange_ns=1_695_632_671_742_648_000,
    )


TICKER = (
    b'{"channel":"ticker","type":"update","data":[{"symbol":"A/USD","bid":1,"bid_qty":2,"ask":3,"ask_qty":4,'
    b'"last":null,"change_pct":null}]}'
)


def test_ticker_of_a_pair_that_did_not_trade_has_no_statistics() -> None:
    ticker = one(TICKER)
    assert isinstance(ticker, Ticker)
    assert (ticker.bid, ticker.ask_qty, ticker.type) == (Decimal(1), Decimal(4), "update")
    assert {ticker.last, ticker.volume, ticker.vwap, ticker.low, ticker.high, ticker.change} == {None}
    assert ticker.change_pct is None
    assert ticker.exchange_ns is None


@pytest.mark.parametrize("name", [*["bid", "ask", "last", "volume", "change_pct"]])
def test_ticker_with_a_number_that_is_not_finite_is_refused(name: str) -> None:
    data = {"symbol": "A/USD", "bid": 1, "bid_qty": 2, "ask": 3, "ask_qty": 4, name: "NaN"}
    assert "NaN" in refusal(json.dumps({"channel": "ticker", "type": "update", "data": [data]}).encode()).reason


OHLC = (
    b'{"channel":"ohlc","type":"update","timestamp":"2023-10-04T16:26:30.524394914Z","data":[{"symbol":"MATIC/USD",'
    b'"open":0.5624,"high":0.5628,"low":0.5622,"close":0.5627,"trades":12,"volume":30927.68066226,"vwap":0.5626,'
    b'"interval_begin":"2023-10-04T16:25:00.000000000Z","interval":5,"timestamp":"2023-10-04T16:30:00.000000Z"}]}'
)


def test_candle_begins_at_interval_begin_and_is_stamped_by_the_frame() -> None:
    assert one(OHLC) == Ohlc(
        stamp=STAMP,
        n=7,
        seq=3,
        symbol="MATIC/USD",
        type="update",
        interval=5,
        interval_begin_ns=1_696_436_700_000_000_000,
        open=Decimal("0.5624"),
        high=Decimal("0.5628"),
        low=Decimal("0.5622"),
        close=Decimal("0.5627"),
        vwap=Decimal("0.5626"),
        volume=Decimal("30927.68066226"),
        trades=12,
        exchange_ns=1_696_436_790_524_394_914,
    )


@pytest.mark.parametrize(("wire", "trades"), [(b"12.0", 12), (b'"12"', 12), (b"1.2e1", 12), (b"0", 0)])
def test_count_of_trades_may_be_written_as_a_fraction(wire: bytes, trades: int) -> None:
    candle = one(OHLC.replace(b'"trades":12', b'"trades":' + wire))
    assert isinstance(candle, Ohlc)
    assert candle.trades == trades
    assert type(candle.trades) is int


@pytest.mark.parametrize("wire", [b"12.5", b"1e30", b'"NaN"', b"null", b"1e999999"])
def test_count_of_trades_that_is_no_count_is_refused(wire: bytes) -> None:
    refusal(OHLC.replace(b'"trades":12', b'"trades":' + wire))


def test_candle_frame_without_its_timestamp_has_no_exchange_time() -> None:
    candle = one(OHLC.replace(b'"timestamp":"2023-10-04T16:26:30.524394914Z",', b""))
    assert isinstance(candle, Ohlc)
    assert candle.exchange_ns is None


def instrument_frame(pair: bytes = PAIR, asset: bytes = b"") -> bytes:
    return b'{"channel":"instrument","type":"snapshot","data":{"assets":[%s],"pairs":[%s]}}' % (asset, pair)


def test_instrument_has_precisions_increments_and_limits() -> None:
    assert one(instrument_frame()) == Instrument(
        stamp=STAMP,
        n=7,
        seq=3,
        symbol="BTC/USD",
        type="snapshot",
        base="BTC",
        quote="USD",
        status="online",
        price_precision=1,
        qty_precision=8,
        cost_precision=5,
        price_increment=Decimal("0.1"),
        qty_increment=Decimal("0.00000001"),
        qty_min=Decimal("0.00005"),
        cost_min=Decimal("0.5"),
        marginable=True,
        has_index=True,
        margin_initial=Decimal("0.2"),
        position_limit_long=250,
        position_limit_short=200,
    )


def test_instrument_takes_what_changes_type() -> None:
    pair = PAIR.replace(b'"cost_min":0.5', b'"cost_min":"0.50"').replace(b":250", b":250.0")
    instrument = one(instrument_frame(pair))
    assert isinstance(instrument, Instrument)
    assert str(instrument.cost_min) == "0.50"
    assert instrument.position_limit_long == 250


def test_instrument_without_price_increment_takes_the_deprecated_tick_size() -> None:
    instrument = one(instrument_frame(PAIR.replace(b'"price_increment":0.1,', b"")))
    assert isinstance(instrument, Instrument)
    assert instrument.price_increment == Decimal("0.1")
    neither = PAIR.replace(b'"price_increment":0.1,', b"").replace(b'"tick_size":0.1,', b"")
    assert refusal(instrument_frame(neither)).reason == "expected a price_increment for BTC/USD, got none"


@pytest.mark.parametrize("precision", [b"-1", b"65", b"1.5", b"1000000000"])
def test_instrument_with_an_absurd_precision_is_refused(precision: bytes) -> None:
    refusal(instrument_frame(PAIR.replace(b'"price_precision":1', b'"price_precision":' + precision)))


def test_assets_come_before_instruments() -> None:
    asset = (
        b'{"id":"BTC","status":"enabled","precision":10,"precision_display":5,"borrowable":true,'
        b'"collateral_value":1.0,"margin_rate":0.01,"class":"currency"}'
    )
    events = decode(instrument_frame(asset=asset), stamp=STAMP, n=7, seq=3)
    assert events[0] == Asset(
        stamp=STAMP,
        n=7,
        seq=3,
        id="BTC",
        type="snapshot",
        status="enabled",
        precision=10,
        precision_display=5,
        borrowable=True,
        collateral_value=Decimal("1.0"),
        margin_rate=Decimal("0.01"),
    )
    assert isinstance(events[1], Instrument)


def test_instrument_update_may_lack_either_list() -> None:
    assert decode(b'{"channel":"instrument","type":"update","data":{"assets":[]}}') == []
    frame = b'{"channel":"instrument","type":"update","data":{"pairs":[' + PAIR + b"]}}"
    assert [type(event) for event in decode(frame)] == [Instrument]


@pytest.mark.parametrize(
    ("wire", "connection_id"),
    [
        (b"15113583034416118705", 15113583034416118705),
        (b'"<REDACTED>"', "<REDACTED>"),
        (b"null", None),
        (b"1.5", None),
        (b"{}", None),
    ],
)
def test_status_takes_any_connection_id(wire: bytes, connection_id: int | str | None) -> None:
    frame = (
        b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2",'
        b'"connection_id":' + wire + b"}]}"
    )
    assert one(frame) == SystemStatus(
        stamp=STAMP,
        n=7,
        seq=3,
        system="online",
        api_version="v2",
        version="2.0.10",
        connection_id=connection_id,
    )


def test_status_need_only_tell_the_system() -> None:
    status = one(b'{"channel":"status","type":"update","data":[{"system":"something_new"}]}')
    assert isinstance(status, SystemStatus)
    assert (status.system, status.connection_id) == ("something_new", None)


@pytest.mark.parametrize("frame", [b'{"channel":"heartbeat"}', b' { "channel" : "heartbeat" } \n'])
def test_heartbeat_is_known_however_it_is_written(frame: bytes) -> None:
    assert one(frame) == Heartbeat(stamp=STAMP, n=7, seq=3)


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        (trade_frame({**TRADE, "new": {"deep": [1]}}), "new"),
        (trade_frame(TRADE).replace(b'{"channel', b'{"new":[],"channel'), "new"),
        (TICKER.replace(b'"bid":', b'"mid":1.5,"bid":'), "mid"),
        (OHLC.replace(b'"open":', b'"turnover":"1","open":'), "turnover"),
        (instrument_frame().replace(b'"qty_min":', b'"maker_only":true,"qty_min":'), "maker_only"),
        (b'{"channel":"status","type":"update","data":[{"system":"online","until":null}]}', "until"),
        (b' { "x" : 1 , "channel" : "heartbeat" } ', "x"),
    ],
)
def test_unknown_field_harms_nothing_and_is_passed_on_with_its_frame(frame: bytes, field: str) -> None:
    *events, raw = decode(frame, stamp=STAMP, n=7, seq=3)
    assert events
    assert not any(isinstance(event, Raw | Undecodable) for event in events)
    assert isinstance(raw, Raw)
    assert (raw.stamp, raw.n, raw.seq, raw.frame) == (STAMP, 7, 3, frame)
    assert raw.name == json.loads(frame)["channel"]
    assert raw.reason.startswith(f"unknown field `{field}`")


def test_broken_frame_with_an_unknown_field_gives_nothing_else() -> None:
    assert "price" in refusal(trade_frame({"new": 1, **TRADE, "price": []})).reason


@pytest.mark.parametrize("channel", sorted(CHANNEL_DECODERS))
def test_event_of_a_channel_has_its_name(channel: str) -> None:
    frames = {
        "trade": trade_frame(TRADE),
        "ticker": TICKER,
        "ohlc": OHLC,
        "instrument": instrument_frame(),
        "status": b'{"channel":"status","data":[{"system":"online"}]}',
        "heartbeat": b'{"channel":"heartbeat"}',
    }
    event = one(frames[channel])
    assert isinstance(event, Message)
    assert event.channel == channel


def test_recorded_instrument_snapshot_gives_all_683_pairs(captures: Path) -> None:
    events = decode((captures / "v2_instrument_snapshot.json").read_bytes())
    instruments = [event for event in events if isinstance(event, Instrument)]
    assets = [event for event in events if isinstance(event, Asset)]
    assert (len(instruments), len(assets), len(events)) == (683, 296, 979)
    bitcoin = next(event for event in instruments if event.symbol == "BTC/USD")
    assert (bitcoin.price_precision, bitcoin.qty_precision, bitcoin.qty_increment) == (1, 8, Decimal("1e-8"))
    assert len({event.symbol for event in instruments}) == 683
