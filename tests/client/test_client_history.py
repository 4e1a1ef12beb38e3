"""Trades and candles without a gap, and from the past into the present without a seam, on a simulator in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from krakenwire import Client, DataLost, Endpoints, Ohlc, RestFailed, Trade, UsageError
from krakenwire.events import Backfilled, Gap, Loss
from krakenwire.feed.history import PastCandles, PastTrades
from krakenwire.protocol.options import Options
from krakenwire.sim.server import SimulatorServer
from krakenwire.testing import Simulator

pytestmark = pytest.mark.any_kernel

BTC, ETH = "BTC/USD", "ETH/USD"
NS = 1_000_000_000
MINUTE_NS = 60 * NS
FAST = Options(message_burst=100, rest_per_second=100.0, seed=1)


def truth(sim: Simulator, symbol: str, first: int, last: int) -> list[tuple[int, int, bool]]:
    """The trades as the exchange has them: id, time, whether the taker buys."""
    trades = sim.exchange.market.recent_trades(symbol)
    return [(t.trade_id, t.exchange_ns, t.buys) for t in trades if first <= t.trade_id <= last]


def seen(trades: list[Any], symbol: str = BTC) -> list[tuple[Any, Any, bool]]:
    return [(t.trade_id, t.exchange_ns, t.side == "buy") for t in trades if isinstance(t, Trade) and t.symbol == symbol]


def check(sim: Simulator, trades: list[Any], symbol: str = BTC) -> None:
    """What was given is the exchange's sequence, without a hole, a double or a change."""
    given = seen(trades, symbol)
    assert given, symbol
    expected = truth(sim, symbol, given[0][0], given[-1][0])
    assert [row[0] for row in given] == [row[0] for row in expected]
    # The WebSocket tells microseconds, REST a tenth of one.
    assert all(abs(a[1] - b[1]) < 2000 and a[2] == b[2] for a, b in zip(given, expected, strict=True))


async def drain(reader: Any, into: list[Any]) -> None:
    async for event in reader:
        into.append(event)  # noqa: PERF401  # seen while it goes on


async def collect(kraken: Client, sim: Simulator, seconds: float, open_reader: Callable[[Client], Any]) -> list[Any]:
    """What a reader gives while so much time goes by."""
    found: list[Any] = []
    async with open_reader(kraken) as reader:
        task = asyncio.create_task(drain(reader, found))
        await sim.advance(seconds)
        task.cancel()
        await asyncio.wait([task])
    return found


# --- gap-free --------------------------------------------------------------------------------------------------------


async def test_lost_trade_frames_are_fetched_and_given_in_order() -> None:
    events: list[Any] = []
    async with (
        Simulator([BTC, ETH], seed=3, rate=40) as sim,
        sim.client(options=FAST, on_events=events.extend) as kraken,
    ):
        for after in (3, 6, 9, 12):
            sim.inject("lose_update", channel="trade", symbol=BTC, after=after, count=3)
        found = await collect(kraken, sim, 40, lambda client: client.trades(BTC, ETH))
        check(sim, found)
        check(sim, found, ETH)
        assert not [event for event in events if isinstance(event, Gap)]
        filled = [event for event in events if isinstance(event, Backfilled)]
        assert filled
        assert {event.how for event in filled} == {"rest"}
        assert kraken.statistics().backfilled == sum(event.count for event in filled)
        assert len([trade for trade in found if trade.source == "backfill"]) > 0


@pytest.mark.parametrize(("seconds", "rate", "how"), [(3, 1, "snapshot"), (120, 4, "rest"), (3600, 1, "rest")])
async def test_disconnect_of_any_length_loses_no_trade(seconds: float, rate: float, how: str) -> None:
    events: list[Any] = []
    async with (
        Simulator([BTC], seed=5, rate=rate) as sim,
        sim.client(options=FAST, on_events=events.extend) as kraken,
        Watcher(sim),
    ):
        found: list[Any] = []
        async with kraken.trades(BTC) as reader:
            task = asyncio.create_task(drain(reader, found))
            await sim.advance(20)
            sim.inject("refuse_connect", status=500, duration=seconds)
            kraken.drop_connections()
            await sim.advance(seconds + 60)
            task.cancel()
            await asyncio.wait([task])
        check(sim, found)
        assert not [event for event in events if isinstance(event, Gap) and event.of == "trade"]
        filled = [event for event in events if isinstance(event, Backfilled)]
        assert filled[0].how == how
        if seconds == 3600:
            assert sum(event.count for event in filled) > 1000


class Watcher:
    """Somebody else who listens to the trades, so that the market goes on."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def __aenter__(self) -> None:
        connection = await self._sim.connect()
        connection.send({"method": "subscribe", "params": {"channel": "trade", "symbol": [BTC]}})
        self._connection = connection

    async def __aexit__(self, *_: object) -> None:
        self._connection.close()


async def test_mirror_fills_from_its_other_connection_and_asks_nobody() -> None:
    events: list[Any] = []
    async with (
        Simulator([BTC], seed=3, rate=20) as sim,
        sim.client(options=FAST, mirror=True, on_events=events.extend) as kraken,
    ):
        for after in (3, 5, 7):
            sim.inject("lose_update", channel="trade", after=after, count=1)
        found = await collect(kraken, sim, 20, lambda client: client.trades(BTC, since=timedelta(seconds=5)))
        check(sim, found)
        assert not [event for event in events if isinstance(event, Gap)]
        assert {event.how for event in events if isinstance(event, Backfilled)} <= {"mirror"}
        assert kraken.core.fetcher.calls == 1, "for `since` alone"


async def test_rest_that_fails_ends_in_a_gap_and_the_stream_goes_on() -> None:
    async with Simulator([BTC], seed=3, rate=20) as sim:
        options = Options(message_burst=100, rest_per_second=100.0, backfill_timeout=10.0)
        sim.inject("rest_error", status=503, count=1000)
        async with sim.client(options=options) as kraken:
            sim.inject("lose_update", channel="trade", after=3, count=1)
            found = await collect(kraken, sim, 40, lambda client: client.trades(BTC, on_loss="yield"))
        losses = [event for event in found if isinstance(event, Loss)]
        assert len(losses) == 1
        gap = losses[0].cause
        assert isinstance(gap, Gap)
        assert gap.first is not None
        assert gap.last is not None
        assert gap.count == losses[0].count == gap.last - gap.first + 1
        ids = [row[0] for row in seen(found)]
        assert sorted([*ids, *range(gap.first, gap.last + 1)]) == list(range(ids[0], ids[-1] + 1))


async def test_candles_missed_while_disconnected_are_given_finished_and_in_order() -> None:
    events: list[Any] = []
    async with (
        Simulator([BTC], seed=5, rate=2) as sim,
        sim.client(options=FAST, on_events=events.extend) as kraken,
        Watcher(sim),
    ):
        found: list[Any] = []
        async with kraken.ohlc(BTC) as reader:
            task = asyncio.create_task(drain(reader, found))
            await sim.advance(30)
            before = found[-1]
            sim.inject("refuse_connect", status=500, duration=400)
            kraken.drop_connections()
            await sim.advance(520)
            task.cancel()
            await asyncio.wait([task])
        after = found[found.index(before) + 1 :]
        begins = [candle.interval_begin_ns for candle in after]
        assert begins == sorted(begins)
        assert set(begins) == set(range(before.interval_begin_ns, begins[-1] + 1, MINUTE_NS))
        kept = {c.begin_ns: c for c in sim.exchange.market.stats(BTC).candles(1).kept}
        for begin in sorted(set(begins))[:-1]:
            last = next(candle for candle in reversed(after) if candle.interval_begin_ns == begin)
            assert last.trades == kept[begin].trades, "as it was when it was finished"
        assert not [event for event in events if isinstance(event, Gap)]
        filled = [event for event in events if isinstance(event, Backfilled)]
        assert [event.of for event in filled] == ["ohlc"]


# --- since -----------------------------------------------------------------------------------------------------------


async def test_history_goes_over_into_live_without_a_seam() -> None:
    async with Simulator([BTC, ETH], seed=7, rate=20) as sim, sim.client(options=FAST) as kraken:
        async with kraken.trades(BTC, ETH):
            await sim.advance(60)  # something to look back at
        since_ns = kraken.now_ns() - 30 * NS
        found = await collect(
            kraken, sim, 20, lambda client: client.trades(BTC, ETH, since=timedelta(seconds=30), name="past")
        )
        for symbol in (BTC, ETH):
            check(sim, found, symbol)
            first = seen(found, symbol)[0]
            (older,) = truth(sim, symbol, first[0] - 1, first[0] - 1)
            assert older[1] < since_ns <= first[1] + 2000
        assert {trade.source for trade in found} == {"backfill", "live"}
        past = [trade.exchange_ns for trade in found if trade.source == "backfill"]
        assert past == sorted(past), "merged by time"
        assert found[-1].exchange_ns > since_ns + 45 * NS


async def test_history_of_many_pages_is_read_page_by_page() -> None:
    calls: list[str] = []
    async with Simulator([BTC], seed=7, rate=60) as sim:

        async def rest(call: str, params: tuple[tuple[str, str], ...]) -> bytes:
            calls.append(call)
            return await sim.rest(call, params)

        async with sim.client(options=FAST, rest=rest) as kraken:
            async with kraken.trades(BTC):
                await sim.advance(90)
            reader = kraken.trades(BTC, since=timedelta(hours=1))
            async with reader:
                first = await sim.until(anext(reader))
                assert len(calls) == 1, "no page is fetched before it is read"
                assert first.source == "backfill"
                found = [first]
                task = asyncio.create_task(drain(reader, found))
                await sim.advance(10)
                task.cancel()
                await asyncio.wait([task])
            assert len(calls) > 3
            check(sim, found)
            assert len(found) > 3000


async def test_other_readers_of_the_symbol_see_only_what_is_live() -> None:
    async with Simulator([BTC], seed=7, rate=20) as sim, sim.client(options=FAST) as kraken:
        live: list[Any] = []
        async with kraken.trades(BTC) as reader:
            task = asyncio.create_task(drain(reader, live))
            await sim.advance(5)
            found = await collect(kraken, sim, 10, lambda client: client.trades(BTC, since=timedelta(minutes=5)))
            task.cancel()
            await asyncio.wait([task])
        check(sim, live)
        assert {trade.source for trade in live} == {"live"}
        assert len(found) > len(live)


async def test_what_a_full_reader_dropped_meanwhile_is_fetched_too() -> None:
    async with Simulator([BTC], seed=7, rate=40) as sim, sim.client(options=FAST) as kraken:
        async with kraken.trades(BTC, since=timedelta(seconds=50), capacity=5) as reader:
            found = [await sim.until(anext(reader))]
            await sim.advance(30)  # nobody reads, and five events are not many
            assert reader.statistics().dropped > 0
            task = asyncio.create_task(drain(reader, found))
            await sim.advance(0.2)
            task.cancel()
            await asyncio.wait([task])
        check(sim, found)


async def test_what_was_dropped_of_a_symbol_without_a_past_is_told() -> None:
    async with Simulator([BTC], seed=7, rate=40) as sim, sim.client(options=FAST) as kraken:
        async with kraken.trades(BTC, since=timedelta(microseconds=1), capacity=5, on_loss="yield") as reader:
            empty = asyncio.ensure_future(anext(reader))
            await sim.settle()
            empty.cancel()
            await asyncio.wait([empty])
            await sim.advance(10)
            found: list[Any] = []
            task = asyncio.create_task(drain(reader, found))
            await sim.settle()
            task.cancel()
            await asyncio.wait([task])
            dropped = reader.statistics().dropped
        assert dropped > 0
        assert isinstance(found[0], Loss)
        assert found[0].count == dropped


async def test_history_in_batches_and_by_callback() -> None:
    async with Simulator([BTC], seed=7, rate=20) as sim, sim.client(options=FAST) as kraken:
        async with kraken.trades(BTC, since=timedelta(seconds=50)) as reader:
            batches = reader.batches(max_events=100)
            found = list(await sim.until(anext(batches)))
            assert 0 < len(found) <= 100
            task = asyncio.create_task(reader.run(found.append))
            await sim.advance(10)
            task.cancel()
            await asyncio.wait([task])
        check(sim, found)
        assert found[-1].source == "live"


async def test_cancelled_step_loses_nothing() -> None:
    async with Simulator([BTC], seed=7, rate=20) as sim, sim.client(options=FAST) as kraken:
        found: list[Any] = []
        async with kraken.trades(BTC, since=timedelta(seconds=50)) as reader:
            for turns in [*range(60), *range(60)]:
                step = asyncio.ensure_future(anext(reader))
                for _ in range(turns):
                    await asyncio.sleep(0)
                if not step.done():
                    step.cancel()
                await asyncio.wait([step])
                if not step.cancelled():
                    found.append(step.result())
                await sim.advance(0.05)
            task = asyncio.create_task(drain(reader, found))
            await sim.advance(5)
            task.cancel()
            await asyncio.wait([task])
        check(sim, found)


async def test_step_that_is_asked_for_again_gives_the_same() -> None:
    """Who is cancelled in the moment in which a step ended in another thread asks for it again."""
    async with Simulator([BTC], seed=7, rate=20) as sim, sim.client(options=FAST) as kraken:
        past = PastTrades(kraken._feed, (BTC,), kraken.now_ns() - 50 * NS)
        first = await sim.until(past.more(0))
        assert first.events
        assert await past.more(0) is first
        second = await sim.until(past.more(1))
        assert second.events == []
        assert not second.again
        live_id = first.events[-1].trade_id + 1
        trade = msgspec.structs.replace(first.events[-1], trade_id=live_id, source="live")
        joined = await past.join(trade, 2)
        assert joined.events == [trade]
        assert await past.join(trade, 2) is joined
        candles = PastCandles(kraken._feed, (BTC,), 1, kraken.now_ns() - 3600 * NS)
        first = await sim.until(candles.more(0))
        assert len(first.events) >= 60
        assert await candles.more(0) is first


async def test_call_that_fails_raises_and_iterating_again_asks_again() -> None:
    async with Simulator([BTC], seed=7, rate=20) as sim, sim.client(options=FAST) as kraken:
        sim.inject("rest_error", error="EGeneral:Invalid arguments", count=1)
        async with kraken.trades(BTC, since=timedelta(seconds=50)) as reader:
            with pytest.raises(RestFailed, match="Invalid arguments") as caught:
                await sim.until(anext(reader))
            assert not caught.value.retryable
            found = [await sim.until(anext(reader))]
            task = asyncio.create_task(drain(reader, found))
            await sim.advance(5)
            task.cancel()
            await asyncio.wait([task])
        check(sim, found)


async def test_trades_that_rest_does_not_have_are_a_loss_in_their_place() -> None:
    async with Simulator([BTC], seed=7, rate=20) as sim:
        newest = sim.exchange.market.recent_trades(BTC, 1)[0].trade_id

        async def rest(call: str, params: tuple[tuple[str, str], ...]) -> bytes:
            answer = msgspec.json.decode(await sim.rest(call, params))
            for name, rows in answer["result"].items():
                if name != "last":
                    answer["result"][name] = [row for row in rows if not newest - 20 < row[6] <= newest - 15]
            return msgspec.json.encode(answer)

        async with sim.client(options=FAST, rest=rest) as kraken:
            reader = kraken.trades(BTC, since=timedelta(minutes=2))
            found: list[Any] = []
            async with reader:
                with pytest.raises(DataLost) as caught:  # noqa: PT012  # where it is raised is what matters
                    while True:
                        found.append(await sim.until(anext(reader)))
                assert (caught.value.loss.count, caught.value.loss.of) == (5, "trade")  # type: ignore[attr-defined]  # a Loss
                assert found[-1].trade_id == newest - 20
                assert (await sim.until(anext(reader))).trade_id == newest - 14


async def test_closing_the_client_ends_the_reader() -> None:
    async with Simulator([BTC], seed=7, rate=20) as sim:
        kraken = await sim.client(options=Options(rest_per_second=0.001)).connect()
        reader = kraken.trades(BTC, since=timedelta(seconds=50))
        await sim.until(reader.__aenter__())
        assert (await sim.until(anext(reader))).symbol == BTC
        blocked: asyncio.Task[Any] = asyncio.ensure_future(drain(reader, []))
        await sim.advance(1)
        await kraken.close()
        await asyncio.wait([blocked], timeout=5)
        assert blocked.done()
        assert blocked.exception() is None
        await reader.aclose()


async def test_candles_since() -> None:
    async with Simulator([BTC], seed=7, rate=5) as sim, sim.client(options=FAST) as kraken:
        found = await collect(
            kraken, sim, 130, lambda client: client.ohlc(BTC, interval=1, since=timedelta(minutes=30))
        )
        begins = [candle.interval_begin_ns for candle in found if isinstance(candle, Ohlc)]
        assert begins == sorted(begins)
        assert set(begins) == set(range(begins[0], begins[-1] + 1, MINUTE_NS))
        assert 31 <= len(set(begins)) <= 34
        assert found[0].source == "backfill"
        assert found[-1].source == "live"


async def test_candles_older_than_the_exchange_has_are_a_loss() -> None:
    async with Simulator([BTC], seed=7, rate=5) as sim, sim.client(options=FAST) as kraken:
        since = datetime.fromtimestamp(kraken.now_ns() // NS - 3600 * 30, UTC)
        found = await collect(kraken, sim, 2, lambda client: client.ohlc(BTC, since=since, on_loss="yield"))
        loss, first, *_ = found
        assert isinstance(loss, Loss)
        assert isinstance(loss.cause, Gap)
        assert loss.cause.last == first.interval_begin_ns - MINUTE_NS


@pytest.mark.parametrize(
    ("since", "message"),
    [
        (timedelta(hours=-1), "how long ago"),
        (timedelta(0), "how long ago"),
        (datetime(2025, 12, 31), "time zone"),  # noqa: DTZ001  # what is refused
        (datetime(2030, 1, 1, tzinfo=UTC), "in the future"),
        (datetime(1969, 1, 1, tzinfo=UTC), "before 1970"),
        (1_700_000_000, "nanoseconds"),
        (1.5, "timedelta"),
        (True, "timedelta"),
        ("yesterday", "timedelta"),
    ],
)
async def test_moment_that_is_none_is_refused_with_what_is_accepted(since: Any, message: str) -> None:
    async with Simulator([BTC]) as sim, sim.client() as kraken:
        for ask in (kraken.trades, kraken.ohlc):
            with pytest.raises(UsageError, match=message):
                ask(BTC, since=since)


async def test_since_is_for_what_has_a_history() -> None:
    async with Simulator([BTC]) as sim, sim.client() as kraken:
        hour = timedelta(hours=1)
        with pytest.raises(UsageError, match="trade alone"):
            kraken.stream("trade", "book", symbols=[BTC], since=hour)
        with pytest.raises(UsageError, match="trade alone"):
            kraken.stream("trade", symbols="all", since=hour)
        with pytest.raises(UsageError, match="conflate"):
            kraken.trades(BTC, since=hour, policy="conflate")


async def test_client_without_rest_says_so() -> None:
    async with Simulator([BTC], rate=20) as sim:
        kraken = Client(sim.endpoints, clock=sim.clock, connector=sim.connector)
        async with kraken, kraken.trades(BTC, since=timedelta(seconds=30)) as reader:
            with pytest.raises(RestFailed, match="no REST API is configured"):
                await sim.until(anext(reader))


async def test_rest_that_is_behind_is_waited_for_at_the_seam() -> None:
    async with Simulator([BTC], seed=7, rate=20) as sim:
        behind = 40

        async def rest(call: str, params: tuple[tuple[str, str], ...]) -> bytes:
            answer = msgspec.json.decode(await sim.rest(call, params))
            newest = sim.exchange.market.recent_trades(BTC, 1)[0].trade_id
            for name, rows in answer["result"].items():
                if name != "last":
                    answer["result"][name] = kept = [row for row in rows if row[6] <= newest - behind]
                    if len(kept) < len(rows):
                        answer["result"]["last"] = str(int(kept[-1][2] * 1e6) * 1000) if kept else dict(params)["since"]
            return msgspec.json.encode(answer)

        async with sim.client(options=FAST, rest=rest) as kraken:
            found = await collect(kraken, sim, 30, lambda client: client.trades(BTC, since=timedelta(seconds=50)))
        check(sim, found)
        assert found[-1].source == "live"


# --- REST calls and the client's life --------------------------------------------------------------------------------


async def test_call_that_is_under_way_is_cancelled_when_the_client_is_closed() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def rest(_call: str, _params: tuple[tuple[str, str], ...]) -> bytes:
        started.set()
        try:
            return await asyncio.Future()
        finally:
            ended.set()

    async with Simulator([BTC], seed=7, rate=20) as sim:
        async with sim.client(options=FAST, rest=rest) as kraken, kraken.trades(BTC):
            sim.inject("lose_update", channel="trade", after=1, count=1)
            await sim.until(started.wait())
        assert ended.is_set()


async def test_rest_caller_with_a_defect_harms_nothing_but_its_own_gap(caplog: pytest.LogCaptureFixture) -> None:
    async def rest(_call: str, _params: tuple[tuple[str, str], ...]) -> bytes:
        raise RuntimeError("secret")

    async with Simulator([BTC], seed=7, rate=20) as sim, sim.client(options=FAST, rest=rest) as kraken:
        sim.inject("lose_update", channel="trade", after=1, count=1)
        found = await collect(kraken, sim, 10, lambda client: client.trades(BTC, on_loss="yield"))
    losses = [event for event in found if isinstance(event, Loss)]
    assert len(losses) == 1
    assert "RuntimeError" in losses[0].reason
    assert "secret" not in losses[0].reason
    assert "could not be made" in caplog.text
    assert isinstance(found[-1], Trade)


# --- over sockets, and with the feed in another thread ---------------------------------------------------------------


@pytest.mark.parametrize("io_thread", [False, True])
async def test_over_sockets_history_joins_live_and_what_is_lost_is_fetched(io_thread: bool) -> None:
    events: list[Any] = []
    async with SimulatorServer(symbols=[BTC], rest_port=0, rate=200, seed=9) as server:
        endpoints = Endpoints(public=server.url, rest=server.rest_url)
        options = Options(message_burst=100, rest_per_second=50.0)
        async with (
            Client(endpoints, options=options, io_thread=io_thread, on_events=events.extend) as kraken,
            kraken.trades(BTC, since=timedelta(minutes=1)) as reader,
        ):
            found: list[Any] = []
            cut = lost = False
            async with asyncio.timeout(40):
                async for trade in reader:
                    found.append(trade)
                    is_live = trade.source == "live"
                    if is_live and not lost:
                        lost = True
                        server.exchange.faults.inject("lose_update", channel="trade", count=2)
                    if is_live and lost and not cut and any(isinstance(each, Backfilled) for each in events):
                        cut = True
                        kraken.drop_connections()
                    if is_live and cut and len([e for e in events if isinstance(e, Backfilled)]) > 1:
                        break
        ids = [trade.trade_id for trade in found]
        assert ids == list(range(ids[0], ids[-1] + 1))
        assert not [event for event in events if isinstance(event, Gap)]
        kept = {t.trade_id: t for t in server.exchange.market.recent_trades(BTC)}
        assert all(kept[t.trade_id].buys is (t.side == "buy") for t in found)


@pytest.mark.parametrize(
    ("answer", "text"),
    [("{}", "as bytes, not as str"), (None, "not as NoneType"), (asyncio.CancelledError(), "itself")],
)
async def test_rest_of_the_users_that_errs_is_told_and_nobody_waits_for_ever(answer: Any, text: str) -> None:
    async def rest(_call: str, _params: tuple[tuple[str, str], ...]) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async with Simulator([BTC], seed=3, rate=10) as sim, sim.client(options=FAST, rest=rest) as kraken:
        async with kraken.trades(BTC, since=timedelta(seconds=1)) as reader:
            first = asyncio.ensure_future(anext(reader))
            await sim.advance(10)
            assert first.done()
            with pytest.raises(RestFailed, match=text):
                await first
