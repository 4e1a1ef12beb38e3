"""Metrics over HTTP, of clients on the simulator: they are what the client counted, and the right ones move."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import urllib.error
from collections.abc import AsyncIterator

import pytest

from helpers.scrape import Scrape, fetch, scrape
from krakenwire import Client, Endpoints, UsageError
from krakenwire.metrics import ClientCollector, MetricsServer, start_metrics
from krakenwire.metrics import collector as collecting
from krakenwire.sim.market.market import Market
from krakenwire.sim.server import SimulatorServer
from krakenwire.testing import Simulator

SYMBOLS = ["BTC/USD", "ETH/USD"]


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(symbols=SYMBOLS, seed=7, rate=100) as sim:
        yield sim


async def test_counters_are_what_the_client_counted(sim: Simulator) -> None:
    async with (
        sim.client() as kraken,
        start_metrics(kraken, 0) as server,
        kraken.stream("book", "trade", symbols=SYMBOLS, on_loss="yield") as reader,
    ):
        sim.inject("lose_update", symbol="BTC/USD", after=1.0)
        await sim.advance(20)
        seen = await scrape(server.url)
        counted = kraken.statistics()
        assert counted.mismatched == 1
        for name, expected in {
            "frames_total": counted.frames,
            "book_verified_total": counted.verified,
            "book_mismatched_total": counted.mismatched,
            "book_crossed_total": counted.crossed,
            "book_backwards_total": counted.backwards,
            "book_ignored_total": counted.ignored,
            "book_unproven_total": counted.unproven,
            "book_normalised_total": counted.normalised,
            "resyncs_total": counted.resyncs,
            "undecodable_total": counted.undecodable,
            "raw_total": counted.raw,
            "reconnects_total": counted.reconnects,
            "trades_repeated_total": counted.repeated,
            "probes_total": counted.probes,
            "instruments": counted.instruments,
            "books": counted.symbols,
        }.items():
            assert seen.total(name) == expected, name
        assert seen.value("reader_lag_events", reader=reader.name.partition(" #")[0], policy="drop_oldest") == len(
            reader._inbox
        )


async def test_a_lost_update_moves_mismatches_and_resyncs(sim: Simulator) -> None:
    async with sim.client() as kraken, start_metrics(kraken, 0) as server, kraken.book("BTC/USD"):
        await sim.advance(5)
        before = await scrape(server.url)
        sim.inject("lose_update", symbol="BTC/USD")
        await sim.advance(10)
        after = await scrape(server.url)
    assert before.value("book_invalidated_total", reason="checksum") == 0
    assert after.value("book_invalidated_total", reason="checksum") == 1
    assert after.value("book_mismatched_total", connection="public") == 1
    assert after.value("resync_seconds_count") == after.value("resyncs_total", connection="public") == 1
    assert after.value("books_synced", connection="public") == after.value("books", connection="public") == 1
    assert after.value("reconnects_total", connection="public") == 0


async def test_a_cut_moves_disconnects_and_recovery_and_counters_go_on(sim: Simulator) -> None:
    async with sim.client() as kraken, start_metrics(kraken, 0) as server, kraken.book("BTC/USD"):
        await sim.advance(5)
        before = await scrape(server.url)
        kraken.drop_connections()
        await sim.advance(30)
        after = await scrape(server.url)
    assert before.value("disconnects_total", connection="public") == 0
    assert after.value("disconnects_total", connection="public") == 1
    assert after.value("reconnects_total", connection="public") == 1
    assert after.value("connection_epoch", connection="public") == 1
    assert after.value("connection_up", connection="public") == 1
    assert after.value("recovery_seconds_count", connection="public") == 1
    assert after.value("recovery_seconds_sum", connection="public") > 0
    assert after.value("frames_total", connection="public") > before.value("frames_total", connection="public")
    assert after.value("events_total", channel="book") > before.value("events_total", channel="book") > 0


async def test_a_connection_that_is_down_is_told(sim: Simulator) -> None:
    async with sim.client() as kraken, start_metrics(kraken, 0) as server, kraken.book("BTC/USD"):
        await sim.advance(5)
        sim.inject("refuse_connect", duration=600)
        kraken.drop_connections()
        await sim.advance(5)
        seen = await scrape(server.url)
    assert seen.value("connection_up", connection="public") == 0
    assert seen.value("books_synced", connection="public") == 0
    assert seen.value("books", connection="public") == 1
    assert seen.value("up") == 1


async def test_a_mirror_tells_both_connections_and_that_the_lead_moved(sim: Simulator) -> None:
    async with (
        sim.client(mirror=True) as kraken,
        start_metrics(kraken, 0) as server,
        kraken.books("BTC/USD", on_loss="yield"),
    ):
        await sim.advance(5)
        before = await scrape(server.url)
        kraken.drop_connections()
        await sim.advance(20)
        after = await scrape(server.url)
    for connection in ("public", "public~"):
        assert before.value("books_synced", connection=connection) == 1
        assert after.value("disconnects_total", connection=connection) == 1
        assert after.value("connection_up", connection=connection) == 1
    assert after.total("leader_changes_total") >= 1
    assert after.total("book_verified_total") > after.value("events_total", channel="book")  # each of both, once told


async def test_what_a_connection_counted_stays_when_it_is_no_more(sim: Simulator) -> None:
    async with sim.client() as kraken, start_metrics(kraken, 0) as server:
        async with kraken.book("BTC/USD", 10), kraken.book("BTC/USD", 100):
            await sim.advance(5)
            before = await scrape(server.url)
        await sim.advance(5)
        after = await scrape(server.url)
        assert after.total("frames_total") == kraken.statistics().frames
    assert before.value("connection_up", connection="public-2") == 1
    assert after.value("frames_total", connection="public-2") >= before.value("frames_total", connection="public-2") > 0
    with pytest.raises(KeyError):
        after.value("connection_up", connection="public-2")


async def test_stages_and_the_clock_of_the_exchange_are_measured(sim: Simulator) -> None:
    async with sim.client() as kraken, MetricsServer(0) as server:
        server.collector.add(kraken, every=1)
        async with kraken.trades("BTC/USD") as trades:
            task = asyncio.create_task(anext(trades))
            await sim.advance(20)
            await task
            seen = await scrape(server.url)
    for stage in ("decode", "publish", "consumer"):
        assert seen.value("stage_seconds_count", stage=stage) > 0
        assert seen.value("stage_seconds_bucket", stage=stage, le="+Inf") > 0
    assert seen.value("exchange_latency_seconds_count") > 0
    assert abs(seen.value("exchange_clock_offset_seconds")) <= seen.value("exchange_clock_uncertainty_seconds") < 0.01


async def test_a_clock_that_is_wrong_is_seen() -> None:
    async with (
        Simulator(symbols=["BTC/USD"], rate=0) as sim,
        sim.client() as kraken,
        start_metrics(kraken, 0) as server,
    ):
        assert kraken.clock_offset() == (0, 0)
        sim.inject("clock_skew", seconds=-2.5)
        await sim.advance(40)  # a ping is answered
        seen = await scrape(server.url)
        told = kraken.clock_offset()
    assert told is not None
    assert seen.value("exchange_clock_offset_seconds") == pytest.approx(-2.5, abs=0.1)
    assert seen.value("exchange_clock_offset_seconds") == told[0] / 1e9
    assert seen.value("exchange_clock_uncertainty_seconds") == told[1] / 1e9


async def test_each_client_has_a_name(sim: Simulator) -> None:
    async with sim.client() as one, sim.client() as other, MetricsServer(0) as server:
        server.collector.add(one, "one")
        server.collector.add(other, "other")
        with pytest.raises(UsageError, match="'one' already; give each client a name of its own"):
            server.collector.add(other, "one")
        async with one.book("BTC/USD"):
            await sim.advance(5)
            seen = await scrape(server.url)
        assert seen.value("books", client="one", connection="public") == 1
        assert seen.value("books", client="other", connection="public") == 0
        server.collector.remove("other")
        server.collector.remove("other")
        assert 'client="other"' not in (await scrape(server.url)).text


async def test_accounts_of_readers_add_up_by_kind_and_stay_when_they_go(sim: Simulator) -> None:
    async with sim.client() as kraken, start_metrics(kraken, 0) as server:
        async with (
            kraken.trades("BTC/USD", capacity=5) as one,
            kraken.trades("BTC/USD", capacity=5) as other,
            kraken.trades("BTC/USD", name="mine", policy="disconnect", capacity=5) as mine,
        ):
            await sim.advance(10)
            during = await scrape(server.url)
            accounts = [reader.statistics() for reader in (one, other, mine)]
        after = await scrape(server.url)
    labels = {"reader": "trade BTC/USD", "policy": "drop_oldest"}
    dropped = accounts[0].dropped + accounts[1].dropped
    assert (
        during.value("reader_dropped_total", **labels) == after.value("reader_dropped_total", **labels) == dropped > 0
    )
    assert during.value("reader_lag_events", **labels) == 10
    assert after.total("reader_lag_events") == 0
    assert (during.value("readers"), after.value("readers")) == (2, 0)
    cut = {"reader": "mine", "policy": "disconnect"}
    assert during.value("reader_overruns_total", **cut) == after.value("reader_overruns_total", **cut) == 1
    assert after.value("reader_overruns_total", **labels) == 0


async def test_names_of_readers_are_bounded(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "MAX_READERS", 2)
    async with sim.client() as kraken, start_metrics(kraken, 0) as server, contextlib.AsyncExitStack() as stack:
        for number in range(5):
            await stack.enter_async_context(kraken.trades("BTC/USD", name=f"name {number}"))
        await sim.advance(5)
        seen = await scrape(server.url)
        waiting = sum(account.waiting for account in kraken.readers())
    names = set(re.findall(r'reader_lag_events\{.*reader="([^"]*)"', seen.text))
    assert names == {"name 0", "name 1", "others"}
    assert seen.total("reader_lag_events") == waiting > 0


async def test_symbols_are_told_where_that_is_asked_for(sim: Simulator) -> None:
    async with sim.client() as kraken, start_metrics(kraken, 0, per_symbol=True) as server, kraken.book("BTC/USD"):
        sim.inject("lose_update", symbol="BTC/USD", after=1.0)
        await sim.advance(10)
        seen = await scrape(server.url)
    assert seen.value("symbol_book_invalidated_total", symbol="BTC/USD", reason="checksum") == 1


async def test_closing_frees_the_port_and_leaves_nothing_behind(sim: Simulator) -> None:
    threads = threading.active_count()
    async with sim.client() as kraken:
        async with start_metrics(kraken, 0) as server:
            with pytest.raises(UsageError, match=f"port {server.port}: Address already in use; port 0 has the system"):
                MetricsServer(server.port)
        with pytest.raises(urllib.error.URLError):
            await scrape(server.url)
        again = start_metrics(kraken, server.port)
        again.close()
        again.close()
        feed = kraken._feed
        assert (feed.taps, feed.timings, feed.hub.timings) == ((), None, None)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert threading.active_count() == threads


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError, match="within 0 to 65535, not 65536"):
        MetricsServer(65536)
    with pytest.raises(UsageError, match=r"cannot be served on 192\.0\.2\.1 port 0"):
        MetricsServer(0, "192.0.2.1")
    with pytest.raises(UsageError, match="every must be at least 1"):
        ClientCollector().add(Client(Endpoints()), every=0)


async def test_a_client_can_be_scraped_before_and_after_its_life(sim: Simulator) -> None:
    kraken = sim.client()
    async with start_metrics(kraken, 0) as server:
        before = await scrape(server.url)
        async with kraken:
            await sim.advance(5)
        after = await scrape(server.url)
    assert before.total("frames_total") == 0
    assert after.total("frames_total") == kraken.statistics().frames > 0


async def test_a_feed_that_does_not_answer_is_told_with_what_it_last_said(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sim.client() as kraken, start_metrics(kraken, 0) as server:
        await sim.advance(5)
        first = await scrape(server.url)
        monkeypatch.setattr(collecting, "TIMEOUT_S", 0.05)
        scraped: list[str] = []
        thread = threading.Thread(target=lambda: scraped.append(fetch(server.url)))
        thread.start()
        thread.join()  # the event loop stands still meanwhile
        stale = Scrape(scraped[0])
    assert (first.value("up"), stale.value("up")) == (1, 0)
    assert stale.value("loop_delay_seconds") >= 0
    assert stale.total("frames_total") == first.total("frames_total") > 0


@pytest.mark.parametrize("io_thread", [False, True])
async def test_over_real_sockets_in_either_home_of_the_feed(io_thread: bool) -> None:
    async with (
        SimulatorServer(Market(seed=1), rate=500, seed=1) as simulator,
        Client(Endpoints(public=simulator.url), io_thread=io_thread) as kraken,
        MetricsServer(0) as server,
    ):
        server.collector.add(kraken, every=1)
        async with kraken.trades("BTC/USD") as trades:
            await anext(trades)
            seen = await scrape(server.url)
    assert seen.value("up") == 1
    assert seen.total("frames_total") > 0
    assert seen.value("stage_seconds_count", stage="publish") > 0
    assert seen.value("stage_seconds_count", stage="consumer") > 0
    assert 0 < seen.value("stage_seconds_sum", stage="decode") < 60


async def test_scraping_goes_on_while_readers_and_connections_come_and_go(sim: Simulator) -> None:
    """Whatever changes does so between two answers of the loop, and never under them."""
    async with sim.client() as kraken, start_metrics(kraken, 0) as server:
        done = asyncio.Event()

        async def keep_scraping() -> int:
            count = 0
            while not done.is_set():
                seen = await scrape(server.url)
                assert seen.value("up") == 1
                count += 1
            return count

        task = asyncio.create_task(keep_scraping())
        for depth in (10, 25, 100, 500):
            async with contextlib.AsyncExitStack() as stack:
                for symbol in SYMBOLS:
                    await stack.enter_async_context(kraken.book(symbol, depth))
                    await stack.enter_async_context(kraken.trades(symbol))
                await sim.advance(2)
        done.set()
        assert await task > 0
