"""The client on a network in memory, against the simulator's exchange, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from helpers.bench import Bench, drain, open_reader
from helpers.exchange import MemoryExchange
from krakenwire import (
    Asset,
    BookInvalidated,
    BookResynced,
    BookUnsynced,
    BookUpdate,
    Client,
    ConnectBudget,
    Connected,
    ConnectFailed,
    ConnectionClosed,
    Disconnected,
    Endpoints,
    Instrument,
    Loss,
    Options,
    ReaderClosed,
    Subscribed,
    SubscribeRejected,
    SubscriptionRejected,
    SubscriptionTimeout,
    Ticker,
    Trade,
    UnknownSymbol,
    UsageError,
)

THREE = ["BTC/USD", "ETH/USD", "MINA/GBP"]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench(MemoryExchange())
    await bench.run(bench.client.connect())
    await bench.exchange.settle()
    yield bench
    await bench.run(bench.client.close())


# --- life -----------------------------------------------------------------------------------------------------------


async def test_connect_fails_at_once_when_the_first_attempt_fails() -> None:
    exchange = MemoryExchange()
    exchange.network.refuse_next(ConnectFailed("wss://ws.kraken.com/v2", "refused", retryable=True))
    bench = Bench(exchange)
    with pytest.raises(ConnectFailed, match="refused"):
        await bench.run(bench.client.connect())
    with pytest.raises(ConnectionClosed, match="make a new one"):
        await bench.client.connect()


async def test_close_is_harmless_when_repeated_and_ends_readers(bench: Bench) -> None:
    reader = await open_reader(bench, bench.client.trades("BTC/USD"))
    waiting = asyncio.ensure_future(anext(reader))
    await bench.exchange.settle()
    await bench.run(bench.client.close())
    await bench.run(bench.client.close())
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_a_client_that_is_not_connected_says_how_to_connect() -> None:
    client = Client(Endpoints(), connector=MemoryExchange().network.connector)
    with pytest.raises(UsageError, match="connect first"):
        await anext(client.trades("BTC/USD"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"endpoints": "ws://127.0.0.1:1/v2"}, r"Client\(Endpoints\(public=url\)\)"),
        ({"options": {"stall_after": 5.0}}, "Options"),
        ({"subscribe_timeout": 0}, "greater than 0"),
    ],
)
def test_arguments_that_cannot_work_are_refused_with_what_can(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Client(**arguments)


def test_a_book_that_is_not_entered_says_what_it_is() -> None:
    assert repr(Client().book("BTC/USD", depth=100)) == "<BookHandle BTC/USD depth=100>"


async def test_statistics_count_what_the_client_met(bench: Bench) -> None:
    reader = bench.client.stream("book", "trade", symbols=THREE, on_loss="yield", policy="drop_oldest")
    async with await open_reader(bench, reader):
        await bench.exchange.trade(50)
        bench.exchange.peers[0].send_text(b'{"channel":"weather","data":[]}')
        bench.exchange.peers[0].send_text(b"CloudFlare WebSocket proxy restarting")
        await bench.exchange.cut()
        await bench.exchange.advance(3)
        found = bench.client.statistics()
    assert (found.raw, found.undecodable, found.reconnects, found.resyncs) == (1, 1, 1, 3)
    assert found.verified == len(bench.told(BookUpdate))
    assert (found.mismatched, found.symbols) == (0, 3)
    assert found.instruments == len({event.symbol for event in bench.told(Instrument)})


async def test_the_accounts_of_all_readers_are_those_of_each(bench: Bench) -> None:
    first = await open_reader(bench, bench.client.trades("BTC/USD", name="first"))
    second = await open_reader(bench, bench.client.events(name="second"))
    await bench.exchange.trade(100)
    await anext(first)
    assert bench.client.readers() == (first.statistics(), second.statistics())
    assert [(each.name, each.delivered) for each in bench.client.readers()] == [("first", 1), ("second", 0)]
    await first.aclose()
    assert [each.name for each in bench.client.readers()] == ["second"]
    await second.aclose()


async def test_close_while_the_network_is_down_does_not_wait_for_it(bench: Bench) -> None:
    for _ in range(20):
        bench.exchange.network.refuse_next(ConnectFailed("wss://x", "down", retryable=True, retry_after=600.0))
    await bench.exchange.cut()
    await bench.exchange.advance(30)
    await bench.run(bench.client.close())
    assert bench.exchange.clock.monotonic_ns() < 60 * 10**9


# --- streams --------------------------------------------------------------------------------------------------------


async def test_trades_are_given_as_the_exchange_made_them(bench: Bench) -> None:
    async with await open_reader(bench, bench.client.trades("XBT/USD")) as reader:
        await bench.exchange.trade(200)
        trades = await drain(reader)
    assert trades
    assert all(isinstance(trade, Trade) and trade.symbol == "BTC/USD" for trade in trades)
    ids = [trade.trade_id for trade in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert isinstance(trades[0].price, Decimal)
    assert trades[0].received_ns == bench.exchange.clock.now_ns() or trades[0].received_ns > 0


async def test_many_symbols_go_out_in_one_message(bench: Bench) -> None:
    async with await open_reader(bench, bench.client.books(*THREE, depth=25)):
        assert [params["symbol"] for params in bench.requests("subscribe", "book")] == [THREE]


async def test_books_of_every_symbol_equal_the_exchanges_own(bench: Bench) -> None:
    async with await open_reader(bench, bench.client.books(*THREE, depth=100)):
        await bench.exchange.trade(400)
        (session,) = bench.client.core.sessions
        for symbol in THREE:
            state = session.books.get(symbol)
            assert state is not None
            bids, asks = bench.exchange.truth(symbol, 100)
            assert [(str(price), str(qty)) for price, qty in state.levels("bids")] == bids
            assert [(str(price), str(qty)) for price, qty in state.levels("asks")] == asks


async def test_one_stream_of_several_channels_keeps_the_order_of_arrival(bench: Bench) -> None:
    reader = bench.client.stream("trade", "book", "ticker", symbols=THREE, policy="drop_oldest")
    async with await open_reader(bench, reader):
        await bench.exchange.trade(100)
        events = await drain(reader)
    assert {type(event) for event in events} == {Trade, BookUpdate, Ticker}
    assert [event.n for event in events] == sorted(event.n for event in events)


async def test_two_readers_share_one_subscription_until_the_last_leaves(bench: Bench) -> None:
    first = await open_reader(bench, bench.client.trades("BTC/USD"))
    second = await open_reader(bench, bench.client.trades("BTC/USD"))
    assert len(bench.requests("subscribe", "trade")) == 1
    await first.aclose()
    await bench.exchange.advance(2)
    assert bench.requests("unsubscribe", "trade") == []
    await bench.exchange.trade(100)
    assert await drain(second)
    await second.aclose()
    await bench.exchange.advance(2)
    assert len(bench.requests("unsubscribe", "trade")) == 1
    assert ("trade", "BTC/USD") not in bench.held()


async def test_a_smaller_depth_is_served_from_a_larger_one(bench: Bench) -> None:
    async with await open_reader(bench, bench.client.books("BTC/USD", depth=100)):
        async with await open_reader(bench, bench.client.books("BTC/USD", depth=10)) as small:
            await bench.exchange.trade(50)
            assert {event.depth for event in await drain(small)} == {100}
    assert [params["depth"] for params in bench.requests("subscribe", "book")] == [100]


async def test_a_larger_depth_comes_over_a_further_connection_that_is_closed_after_use(bench: Bench) -> None:
    async with await open_reader(bench, bench.client.books("BTC/USD", depth=10, policy="drop_oldest")) as small:
        large = await open_reader(bench, bench.client.books("BTC/USD", depth=100, policy="drop_oldest"))
        await bench.exchange.trade(50)
        assert {event.connection for event in await drain(large)} == {"public-2"}
        assert {(event.connection, event.depth) for event in await drain(small)} == {("public", 10)}
        await large.aclose()
        await bench.exchange.advance(2)
        assert [session.name for session in bench.client.core.sessions] == ["public"]
        await bench.exchange.trade(50)
        assert await drain(small)
        again = await open_reader(bench, bench.client.books("BTC/USD", depth=500))
        assert [session.name for session in bench.client.core.sessions] == ["public", "public-2"]
        await again.aclose()


async def test_all_symbols_are_followed_and_so_is_a_new_listing(bench: Bench) -> None:
    async with await open_reader(bench, bench.client.stream("trade", symbols="all")):
        listed = {instrument.symbol for instrument in bench.told(Instrument)}
        asked = {symbol for params in bench.requests("subscribe", "trade") for symbol in params["symbol"]}
        assert asked == listed
        listing = (
            b'{"channel":"instrument","type":"update","data":{"assets":[],"pairs":[{"symbol":"NEW/USD","base":"NEW",'
            b'"quote":"USD","status":"online","qty_precision":8,"qty_increment":1e-08,"price_precision":1,'
            b'"cost_precision":5,"price_increment":0.1,"qty_min":1}]}}'
        )
        bench.exchange.peers[0].send_text(listing)
        await bench.exchange.advance(2)
        assert bench.requests("subscribe", "trade")[-1]["symbol"] == ["NEW/USD"]


async def test_instruments_gives_all_that_are_known_and_then_changes(bench: Bench) -> None:
    async with await open_reader(bench, bench.client.instruments()) as reader:
        known = await drain(reader)
    assert {event.symbol for event in known if isinstance(event, Instrument)} >= set(THREE)
    assert {event.id for event in known if isinstance(event, Asset)} >= {"BTC", "USD"}


async def test_a_client_that_is_closed_says_that_it_does_not_come_back() -> None:
    bench = Bench(MemoryExchange())
    await bench.run(bench.client.connect())
    await bench.run(bench.client.close())
    assert [event.terminal for event in bench.told(Disconnected)] == [True]


async def test_lifecycle_and_events_tell_what_happens(bench: Bench) -> None:
    async with (
        await open_reader(bench, bench.client.lifecycle()) as lifecycle,
        await open_reader(bench, bench.client.events()) as everything,
        await open_reader(bench, bench.client.ticker("BTC/USD")),
    ):
        assert [type(event) for event in await drain(lifecycle)] == [Subscribed]
        assert [type(event) for event in await drain(everything)] == [Subscribed, Ticker]


async def test_an_abandoned_reader_is_released_with_a_warning(bench: Bench) -> None:
    readers = [await open_reader(bench, bench.client.trades("BTC/USD"))]
    with pytest.warns(ResourceWarning, match="unclosed"):
        readers.clear()
    await bench.exchange.advance(2)
    assert ("trade", "BTC/USD") not in bench.held()


async def test_a_closed_reader_cannot_be_entered_again(bench: Bench) -> None:
    reader = await open_reader(bench, bench.client.trades("BTC/USD"))
    await reader.aclose()
    with pytest.raises(ReaderClosed):
        await reader.__aenter__()


# --- refusals -------------------------------------------------------------------------------------------------------


async def test_an_unknown_symbol_is_refused_with_the_nearest_right_ones(bench: Bench) -> None:
    with pytest.raises(UnknownSymbol, match="BTC/USD") as caught:
        await open_reader(bench, bench.client.trades("BTC/UDS"))
    assert "BTC/USD" in caught.value.nearest
    assert bench.requests("subscribe", "trade") == []


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda k: k.books("BTC/USD", depth=42), "10, 25, 100, 500, 1000"),
        (lambda k: k.ohlc("BTC/USD", interval=2), "1, 5, 15"),
        (lambda k: k.ticker("BTC/USD", event_trigger="never"), "trades, bbo"),
        (lambda k: k.stream("depth", symbols=["BTC/USD"]), "book, trade, ticker"),
        (lambda k: k.stream(symbols=["BTC/USD"]), "at least one channel"),
        (lambda k: k.trades(), "at least one symbol"),
        (lambda k: k.stream("trade", symbols="BTC/USD"), r"\['BTC/USD'\]"),
        (lambda k: k.trades(["BTC/USD", "ETH/USD"]), r"text, as in 'BTC/USD', not \['BTC/USD', 'ETH/USD'\]"),
        (lambda k: k.trades("BTC/USD", policy="newest"), "drop_oldest"),
        (lambda k: k.trades("BTC/USD", capacity=0), "at least 1"),
        (lambda k: k.trades("BTC/USD", on_loss="ignore"), "raise"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused_before_anything_is_sent(
    bench: Bench, ask: Callable[[Client], Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        ask(bench.client)


async def test_a_refusal_by_the_exchange_raises_with_its_text(bench: Bench) -> None:
    bench.exchange.edit = lambda frame: (
        b'{"error":"Subscription depth not supported","method":"subscribe","req_id":2,"success":false}'
        if b'"channel":"book"' in frame and b'"req_id":2' in frame
        else frame
    )
    with pytest.raises(SubscriptionRejected, match="Subscription depth not supported") as caught:
        await open_reader(bench, bench.client.books("BTC/USD"))
    assert caught.value.symbol == "BTC/USD"
    assert bench.told(SubscribeRejected)
    assert bench.client.core.sessions[0].books.get("BTC/USD") is None


async def test_an_exchange_that_does_not_answer_is_a_timeout_and_is_reconnected(bench: Bench) -> None:
    bench.exchange.answers = False
    opening = asyncio.ensure_future(bench.client.trades("BTC/USD").__aenter__())
    await bench.exchange.advance(31)
    with pytest.raises(SubscriptionTimeout, match="did not answer 1 of 1"):
        await opening
    bench.exchange.answers = True
    await bench.exchange.advance(15)
    assert bench.held() == {("instrument", None)}


async def test_requests_that_stay_unanswered_open_the_connection_anew() -> None:
    bench = Bench(MemoryExchange(), subscribe_timeout=120.0)
    await bench.run(bench.client.connect())
    bench.exchange.answers = False
    opening = asyncio.ensure_future(bench.client.trades("BTC/USD").__aenter__())
    await bench.exchange.advance(35)
    assert any("were not answered" in event.reason for event in bench.told(Disconnected))
    bench.exchange.answers = True
    await bench.exchange.advance(15)
    reader = await opening
    await reader.aclose()
    await bench.run(bench.client.close())


async def test_cancelling_the_entry_releases_the_subscription(bench: Bench) -> None:
    bench.exchange.answers = False
    opening = asyncio.ensure_future(bench.client.trades("BTC/USD").__aenter__())
    await bench.exchange.settle()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert [key.channel for key in bench.client.core._placing._placed] == ["instrument"]


# --- trouble --------------------------------------------------------------------------------------------------------


async def test_a_cut_socket_is_told_and_everything_is_restored(bench: Bench) -> None:
    reader = bench.client.stream("book", "trade", "ticker", symbols=THREE, on_loss="yield", policy="drop_oldest")
    async with await open_reader(bench, reader):
        await bench.exchange.trade(100)
        await drain(reader)
        bench.log.clear()
        await bench.exchange.cut()
        assert {type(event) for event in bench.log} >= {Disconnected, BookInvalidated}
        assert any(isinstance(event, Loss) and event.of == "book" for event in await drain(reader))
        await bench.exchange.advance(3)
        assert bench.told(Connected)
        assert {event.symbol for event in bench.told(BookResynced)} == set(THREE)
        await bench.exchange.trade(100)
        (session,) = bench.client.core.sessions
        assert {session.books.get(symbol).status for symbol in THREE} == {"synced"}  # type: ignore[union-attr]  # held
        assert session.books.mismatched == 0
        assert session.epoch == 1


async def test_trades_missed_while_away_are_a_gap_or_come_with_the_snapshot_each_once(bench: Bench) -> None:
    reader = bench.client.trades("BTC/USD", on_loss="yield")
    async with await open_reader(bench, reader):
        await bench.exchange.trade(300)
        before = [event.trade_id for event in await drain(reader)]
        await bench.exchange.cut()
        await bench.exchange.advance(3)
        await bench.exchange.trade(300)
        after = await drain(reader)
    ids = before + [event.trade_id for event in after if isinstance(event, Trade)]
    missing = sum(event.count for event in after if isinstance(event, Loss) and event.count)
    assert len(ids) == len(set(ids))
    assert ids == sorted(ids)
    assert len(ids) + missing == ids[-1] - ids[0] + 1


async def test_a_wrong_checksum_resyncs_one_book_and_leaves_the_others_alone(bench: Bench) -> None:
    reader = bench.client.books(*THREE, policy="drop_oldest", on_loss="yield")
    async with await open_reader(bench, reader):
        await bench.exchange.trade(50)
        bench.log.clear()
        corrupted: list[bytes] = []

        def corrupt(frame: bytes) -> bytes:
            if corrupted or b'"type":"update"' not in frame or b"ETH/USD" not in frame or b'"book"' not in frame:
                return frame
            corrupted.append(frame)
            head, _, tail = frame.partition(b'"checksum":')
            return head + b'"checksum":1' + tail[tail.index(b",") :]

        bench.exchange.edit = corrupt
        await bench.exchange.trade(200)
        await bench.exchange.advance(3)
        await bench.exchange.trade(50)
        (invalidated,) = bench.told(BookInvalidated)
        assert (invalidated.symbol, invalidated.reason, invalidated.expected) == ("ETH/USD", "checksum", 1)
        assert invalidated.computed is not None
        assert invalidated.text.isdigit()
        assert [event.symbol for event in bench.told(BookResynced)] == ["ETH/USD"]
        assert [params["symbol"] for params in bench.requests("unsubscribe", "book")] == [["ETH/USD"]]
        (session,) = bench.client.core.sessions
        assert {session.books.get(symbol).status for symbol in THREE} == {"synced"}  # type: ignore[union-attr]  # held


async def test_a_terminal_close_ends_every_reader_with_its_reason(bench: Bench) -> None:
    reader = await open_reader(bench, bench.client.trades("BTC/USD"))
    bench.exchange.peers[0].close(1008, "policy violation")
    await bench.exchange.settle()
    with pytest.raises(ConnectFailed, match="policy violation"):
        await anext(reader)
    assert bench.told(Disconnected)[-1].terminal
    with pytest.raises(ConnectFailed, match="policy violation"):
        await open_reader(bench, bench.client.trades("ETH/USD"))


async def test_the_connect_budget_holds_a_reconnect_back() -> None:
    bench = Bench(MemoryExchange(), connect_budget=ConnectBudget(limit=2, window=100.0))
    await bench.run(bench.client.connect())
    await bench.exchange.cut()
    await bench.exchange.advance(5)
    assert len(bench.exchange.network.urls) == 2
    await bench.exchange.cut()
    await bench.exchange.advance(90)
    assert len(bench.exchange.network.urls) == 2
    await bench.exchange.advance(10)
    assert len(bench.exchange.network.urls) == 3
    await bench.run(bench.client.close())


async def test_drop_connections_recovers() -> None:
    bench = Bench(MemoryExchange())
    await bench.run(bench.client.connect())
    bench.client.drop_connections()
    await bench.exchange.advance(2)
    assert [type(event) for event in bench.log if isinstance(event, Connected | Disconnected)] == [
        Connected,
        Disconnected,
        Connected,
    ]
    await bench.run(bench.client.close())


async def test_a_silent_connection_is_pinged_and_then_opened_anew(bench: Bench) -> None:
    bench.exchange.answers = False
    await bench.exchange.clock.advance(10.5)
    await bench.exchange.settle()
    assert any(json.loads(text)["method"] == "ping" for text in bench.exchange.requests)
    await bench.exchange.clock.advance(10)
    await bench.exchange.settle()
    assert "no answer to a ping" in bench.told(Disconnected)[-1].reason
    bench.exchange.answers = True
    await bench.exchange.advance(2)
    assert len(bench.exchange.peers) == 1


# --- one book -------------------------------------------------------------------------------------------------------


async def test_a_book_is_live_proven_and_withheld_when_it_is_not(bench: Bench) -> None:
    handle = bench.client.book("BTC/USD", depth=25)
    book = await bench.run(handle.__aenter__())
    await bench.run(book.synced())
    await bench.exchange.trade(100)
    bids, asks = bench.exchange.truth("BTC/USD", 25)
    assert [(str(price), str(qty)) for price, qty in book.bids] == bids
    assert [(str(price), str(qty)) for price, qty in book.asks] == asks
    assert book.best_bid is not None
    assert book.proven_levels == 10
    changed = asyncio.ensure_future(book.changed())
    await bench.exchange.settle()
    await bench.exchange.trade(20)
    await changed
    await bench.exchange.cut()
    with pytest.raises(BookUnsynced, match="disconnected"):
        _ = book.best_bid
    assert book.stale.bids
    await bench.exchange.advance(3)
    await bench.run(book.synced())
    assert book.best_ask is not None
    await handle.__aexit__(None, None, None)
    with pytest.raises(ConnectionClosed):
        await book.changed()
    await bench.exchange.advance(2)
    assert ("book", "BTC/USD") not in bench.held()


async def test_a_small_book_is_a_view_of_a_larger_one(bench: Bench) -> None:
    large, small = bench.client.book("BTC/USD", depth=100), bench.client.book("BTC/USD", depth=10)
    deep = await bench.run(large.__aenter__())
    view = await bench.run(small.__aenter__())
    await bench.run(deep.synced())
    assert len(deep.bids) > 10
    assert view.bids == deep.bids[:10]
    await small.__aexit__(None, None, None)
    await large.__aexit__(None, None, None)


async def test_options_pace_what_is_sent() -> None:
    bench = Bench(MemoryExchange(), options=Options(messages_per_second=1.0, message_burst=1, symbols_per_message=1))
    await bench.run(bench.client.connect())
    opening = asyncio.ensure_future(bench.client.trades(*THREE).__aenter__())
    await bench.exchange.advance(0.5)
    assert len(bench.exchange.requests) <= 2
    await bench.exchange.advance(4)
    assert [params["symbol"] for params in bench.requests("subscribe", "trade")] == [[symbol] for symbol in THREE]
    await (await opening).aclose()
    await bench.run(bench.client.close())
