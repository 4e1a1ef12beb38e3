"""`Client(journal=…, resume=True)`: what is taken over, what must agree, and where readers begin."""

from __future__ import annotations

import asyncio
import logging
import shutil
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from helpers.lives import Life, candles_by_begin, ids, keep_going, kept_ids, real
from krakenwire import Client, Endpoints, Options, RestFailed, RunResumed, Trade, UsageError
from krakenwire.clock import ContinuedClock, ManualClock, SystemClock
from krakenwire.events import Connected, Disconnected, Gap, Loss
from krakenwire.journal.continuing import play_to_end
from krakenwire.journal.files.directory import segments
from krakenwire.journal.files.locking import is_written
from krakenwire.journal.files.segments import read_head
from krakenwire.journal.playing.seeking import place_before
from krakenwire.journal.sealing.sealing import seal
from krakenwire.journal.writing.options import JournalOptions
from krakenwire.protocol.guarded import GuardedCore
from krakenwire.protocol.report import EventLog, state_digest
from krakenwire.protocol.subscriptions import Key
from krakenwire.testing import Simulator, SimulatorThread

BTC, ETH = "BTC/USD", "ETH/USD"
NS = 1_000_000_000
FAST = Options(message_burst=100, rest_per_second=100.0, seed=1)


async def first_life(sim: Simulator, directory: Path, *symbols: str, seconds: float = 10, **options: Any) -> Life:
    """Record trades, a book and candles for a while."""
    life = Life(sim, directory, options=FAST, **options)
    kraken = await life.begin()
    life.read("trades", kraken.trades(*symbols))
    life.read("books", kraken.books(*symbols, on_loss="yield"))
    life.read("candles", kraken.ohlc(*symbols))
    await life.live(seconds)
    return life


# --- what is taken over ----------------------------------------------------------------------------------------------


async def test_the_killed_client_comes_back(tmp_path: Path) -> None:
    async with Simulator([BTC], seed=3, rate=20) as sim:
        await keep_going(sim, BTC)
        before = await first_life(sim, tmp_path / "a", BTC)
        last_n = before.kraken.core.n
        await before.kill(Random(1), tmp_path / "b")
        await sim.advance(30)
        after = Life(sim, tmp_path / "b", options=FAST)
        kraken = await after.begin()
        resumed = kraken.resumed
        assert resumed is not None
        assert resumed.run == 1
        assert last_n - 200 < resumed.last_n <= last_n
        assert resumed.first_n > last_n + 30_000_000, "no number that was used is used again"
        assert resumed.downtime_ns >= 30 * NS
        assert {key[:2] for key in resumed.wanted} == {
            ("instrument", None),
            *((c, BTC) for c in ("trade", "book", "ohlc")),
        }
        await after.live(5)
        events = after.events
        assert isinstance(events[0], RunResumed)
        assert (events[0].last_n, events[0].first_n, events[0].subscriptions) == (resumed.last_n, resumed.first_n, 4)
        lost = next(event for event in events if isinstance(event, Disconnected))
        assert (lost.reason, lost.n) == ("the program ended", resumed.first_n)
        back = next(event for event in events if isinstance(event, Connected))
        assert back.epoch == 1
        assert back.downtime_ns is not None
        assert back.downtime_ns >= 30 * NS
        assert all(event.n >= resumed.first_n for event in events)
        assert back.stamp.received_mono_ns > lost.stamp.received_mono_ns + 30 * NS, "its clock has gone on"
        # Everything is there again though nobody reads, and stays when who read it is gone.
        held = Key("book", BTC, 10)
        assert kraken.core.placements().keys() == set(resumed.wanted)
        async with kraken.book(BTC) as book:
            assert book.is_synced
        assert held in kraken.core.placements()
        await after.end()
    heads = [read_head(segment.path) for segment in segments(tmp_path / "b")]
    runs = {head.run: head for head in reversed(heads)}
    assert (runs[2].resumed, runs[2].is_first, runs[2].went_on_from) == (True, True, resumed.last_n)
    assert runs[2].n == resumed.first_n - 1
    assert runs[2].made == runs[1].made


async def test_only_what_is_behind_the_last_state_is_played(tmp_path: Path) -> None:
    async with Simulator([BTC], seed=3, rate=20) as sim:
        await (await first_life(sim, tmp_path, BTC)).end()
        life = Life(sim, tmp_path, options=FAST)
        await life.begin()
        await life.live(3)
        await life.kill(Random(0), tmp_path / "killed")
    shutil.copytree(tmp_path / "killed", tmp_path / "without")
    found = segments(tmp_path / "killed")
    for segment in found[:-1]:
        seal(tmp_path / "killed", segment)
    place = place_before(tmp_path / "killed", received_ns=1 << 62)
    assert place.segment.number == found[-1].number, "the second run begins with the state at the end of the first"
    assert place.core is not None
    played = []
    for directory in (tmp_path / "killed", tmp_path / "without"):
        left = play_to_end(directory, SystemClock(), lambda: True)
        assert left is not None
        assert left.different == 0
        played.append((left.core.n, left.core.frames, left.stamp, state_digest(left.core)))
    assert played[0] == played[1]


async def test_the_run_before_may_be_removed_where_old_segments_are(tmp_path: Path) -> None:
    journal = JournalOptions(directory=tmp_path, seal=False, keep_seconds=100_000)
    last: dict[str, int] = {}
    async with Simulator([BTC], seed=3, rate=20) as sim:
        for number in range(3):
            life = Life(sim, tmp_path, options=FAST, journal=journal)
            kraken = await life.begin()
            life.read("trades", kraken.trades(BTC))
            await life.live(5)
            if number:
                assert kraken.resumed is not None
                assert kraken.resumed.run == number
                assert ids(life.found["trades"], BTC)[0] == last[BTC] + 1
                (before, *_rest) = segments(tmp_path)
                before.path.unlink()
            await life.end()
            last = kept_ids(tmp_path, [BTC])
        assert kraken.statistics().reconnects == 2, "counted over all three"


async def test_where_nothing_was_recorded_it_begins_anew_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "krakenwire.journal")
    async with Simulator([BTC], seed=3, rate=20) as sim:
        life = await first_life(sim, tmp_path / "new", BTC)
        assert life.kraken.resumed is None
        assert f"{tmp_path / 'new'} holds nothing to go on from: a fresh run begins" in caplog.messages
        assert not [event for event in life.events if isinstance(event, RunResumed)]
        assert len(ids(life.found["trades"], BTC)) > 20
        await life.end()
    assert not read_head(segments(tmp_path / "new")[0].path).resumed


async def test_in_a_thread_of_its_own_the_core_is_guarded(tmp_path: Path) -> None:
    given: list[int] = []
    kept: dict[str, int] = {}
    with SimulatorThread(symbols=[BTC], seed=3, rate=200) as sim:
        for life in range(3):
            journal = JournalOptions(directory=tmp_path, seal=False)
            async with Client(
                Endpoints(public=sim.url, rest=sim.rest_url), io_thread=True, journal=journal, resume=True
            ) as kraken:
                assert (kraken.resumed is not None) == (life > 0)
                assert isinstance(kraken.core, GuardedCore)
                async with kraken.trades(BTC) as trades, kraken.book(BTC) as book:
                    async with asyncio.timeout(20):
                        await book.synced()
                        mine = [await anext(trades) for _ in range(50)]
            if life:
                assert mine[0].trade_id == kept[BTC] + 1
            kept = kept_ids(tmp_path, [BTC])
            given += [trade.trade_id or 0 for trade in mine if (trade.trade_id or 0) <= kept[BTC]]
    assert len(set(given)) == len(given) == 150


async def test_a_clock_that_began_anew_goes_on(tmp_path: Path) -> None:
    """As after the machine was started again."""
    async with Simulator([BTC], seed=3, rate=20) as sim:
        before = await first_life(sim, tmp_path, BTC)
        last = before.events[-1].stamp
        await before.end()
        await sim.advance(20)
        anew = ContinuedClock(sim.clock)
        anew.go_on_from(sim.now_ns, 5)
        events: list[Any] = []
        wishes: dict[str, Any] = {"journal": tmp_path, "options": FAST, "on_events": events.extend}
        kraken = Client(sim.endpoints, clock=anew, connector=sim.connector, rest=sim.rest, resume=True, **wishes)
        await real(kraken.connect())
        await sim.advance(5)
        assert events[0].stamp.received_ns >= last.received_ns + 20 * NS
        assert (
            events[0].stamp.received_mono_ns - last.received_mono_ns == events[0].stamp.received_ns - last.received_ns
        )
        live = [event.stamp.received_mono_ns for event in events if event.stamp.epoch]
        assert live == sorted(live)
        assert kraken.statistics().reconnects == 1
        await real(kraken.close())


async def test_what_another_version_recorded_is_played_as_this_one_understands_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with Simulator([BTC], seed=3, rate=20) as sim:
        with monkeypatch.context() as patch:
            patch.setattr(EventLog, "hexdigest", lambda _: "0" * 64)
            await (await first_life(sim, tmp_path, BTC)).end()
        life = await first_life(sim, tmp_path, BTC)
        assert life.kraken.resumed is not None
        assert life.kraken.resumed.different >= 1
        assert any("it goes on as they come out here" in message for message in caplog.messages)
        await life.end()


# --- what must agree -------------------------------------------------------------------------------------------------


def test_without_a_journal_there_is_nothing_to_go_on_from() -> None:
    with pytest.raises(UsageError, match="resume=True goes on from a journal"):
        Client(resume=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mirror": True}, "mirror was False and is True"),
        ({"book_audit": "rest"}, "book_audit was None and is 'rest'"),
        ({"reconnect_every": timedelta(hours=1)}, "reconnect_every was None and is 3600.0"),
        (
            {"options": Options(message_burst=100, rest_per_second=99.0)},
            "options.rest_per_second was 100.0 and is 99.0",
        ),
    ],
)
async def test_another_kind_of_client_is_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    async with Simulator([BTC], seed=3, rate=20) as sim:
        await (await first_life(sim, tmp_path, BTC, seconds=1)).end()
        count = len(segments(tmp_path))
        other = sim.client(journal=tmp_path, resume=True, **{"options": FAST, **options})
        with pytest.raises(UsageError, match=f"must be like the one before: {words}"):
            await real(other.connect())
        assert len(segments(tmp_path)) == count
        assert not is_written(tmp_path)


async def test_two_programs_do_not_go_on_from_one_journal(tmp_path: Path) -> None:
    async with Simulator([BTC], seed=3, rate=20) as sim:
        life = await first_life(sim, tmp_path, BTC, seconds=1)
        with pytest.raises(UsageError, match="is being written by another recorder"):
            await real(sim.client(journal=tmp_path, resume=True, options=FAST).connect())
        await life.end()


async def test_a_hole_at_the_end_is_refused_and_a_fresh_run_helps(tmp_path: Path) -> None:
    async with Simulator([BTC], seed=3, rate=50) as sim:
        await (await first_life(sim, tmp_path, BTC, seconds=60)).end()
        (*_, damaged, _last) = segments(tmp_path)
        damaged.path.unlink()
        with pytest.raises(UsageError, match=r"the inputs [\d,]+ to [\d,]+ are missing.*start once without resume"):
            await real(sim.client(journal=tmp_path, resume=True, options=FAST).connect())
        async with sim.client(journal=tmp_path, options=FAST) as kraken:
            assert kraken.resumed is None
        await (await first_life(sim, tmp_path, BTC, seconds=1)).end()


async def test_given_up_while_the_journal_is_played_it_lets_go(tmp_path: Path) -> None:
    async with Simulator([BTC], seed=3, rate=20) as sim:
        await (await first_life(sim, tmp_path, BTC, seconds=5)).end()
        kraken = sim.client(journal=tmp_path, resume=True, options=FAST)
        connecting = asyncio.ensure_future(kraken.connect())
        await asyncio.sleep(0)
        connecting.cancel()
        await asyncio.wait([connecting])
        assert connecting.cancelled()
        assert not is_written(tmp_path)
        await (await first_life(sim, tmp_path, BTC, seconds=1)).end()


# --- where readers begin ---------------------------------------------------------------------------------------------


async def test_after_a_clean_end_readers_go_on_too(tmp_path: Path) -> None:
    """What was not subscribed any more has no hole that the core would fill."""
    async with Simulator([BTC, ETH], seed=3, rate=20) as sim:
        await keep_going(sim, BTC, ETH)
        before = Life(sim, tmp_path, options=FAST)
        kraken = await before.begin()
        before.read("trades", kraken.trades(BTC, ETH))
        before.read("candles", kraken.ohlc(BTC))
        await before.live(10)
        given = {name: list(events) for name, events in before.found.items()}
        await before.end()
        kept = kept_ids(tmp_path, [BTC, ETH])
        await sim.advance(100)
        after = Life(sim, tmp_path, options=FAST)
        kraken = await after.begin()
        assert kraken.resumed is not None
        assert [key.channel for key in kraken.resumed.wanted] == ["instrument"]
        await after.live(5)
        after.read("trades", kraken.trades(BTC, ETH))
        after.read("candles", kraken.ohlc(BTC))
        await after.live(20)
        for symbol in (BTC, ETH):
            assert ids(given["trades"], symbol)[-1] <= kept[symbol]
            found = ids(after.found["trades"], symbol)
            assert found == list(range(kept[symbol] + 1, kept[symbol] + 1 + len(found)))
            assert len(found) > 50
        candles = candles_by_begin(after.found["candles"], BTC)
        assert min(candles) <= max(candles_by_begin(given["candles"], BTC)), "the one that ran is told to its end"
        # Each reader begins there, the later ones with what this run has recorded.
        after.read("more", kraken.trades(ETH))
        await after.live(5)
        assert ids(after.found["more"], ETH) == ids(after.found["trades"], ETH)
        # Who wants no past says so.
        after.read("now", kraken.trades(ETH, since=kraken.now_ns()))
        await after.live(5)
        assert ids(after.found["now"], ETH)[0] > found[-1]
        await after.end()


async def test_what_the_client_has_fetched_no_reader_fetches_again(tmp_path: Path) -> None:
    calls: list[str] = []
    async with Simulator([BTC], seed=3, rate=20) as sim:

        async def rest(call: str, params: Any = ()) -> bytes:
            calls.append(call)
            return await sim.rest(call, params)

        await keep_going(sim, BTC)
        before = await first_life(sim, tmp_path / "a", BTC)
        await before.kill(Random(1), tmp_path / "b")
        await sim.advance(100)
        kept = kept_ids(tmp_path / "b", [BTC])[BTC]
        after = Life(sim, tmp_path / "b", options=FAST, rest=rest)
        kraken = await after.begin()
        await after.live(10)
        assert "Trades" in calls, "nobody was there for so long that the snapshot does not reach back"
        calls.clear()
        after.read("trades", kraken.trades(BTC))
        await after.live(5)
        given = ids(after.found["trades"], BTC)
        assert given == list(range(kept + 1, kept + 1 + len(given)))
        assert {trade.source for trade in after.found["trades"]} == {"backfill", "snapshot", "live"}
        assert calls == []
        await after.end()


async def test_since_is_read_from_the_journal_and_by_rest_only_before_it(tmp_path: Path) -> None:
    calls: list[str] = []
    async with Simulator([BTC], seed=3, rate=20) as sim:

        async def rest(call: str, params: Any = ()) -> bytes:
            calls.append(call)
            return await sim.rest(call, params)

        await keep_going(sim, BTC)
        await sim.advance(60)
        life = Life(sim, tmp_path, options=FAST, resume=False, rest=rest)
        kraken = await life.begin()
        life.read("trades", kraken.trades(BTC))
        await life.live(60)
        calls.clear()
        life.read("near", kraken.trades(BTC, since=timedelta(seconds=30)))
        await life.live(5)
        assert calls == [], "the journal has it all"
        near = ids(life.found["near"], BTC)
        assert near == list(range(near[0], near[-1] + 1))
        assert near == ids(life.found["trades"], BTC)[-len(near) :]
        first = next(trade for trade in life.found["near"])
        assert isinstance(first, Trade)
        assert first.source == "live"
        assert sim.now_ns - 36 * NS < (first.exchange_ns or 0) < sim.now_ns - 34 * NS
        life.read("far", kraken.trades(BTC, since=timedelta(seconds=100)))
        await life.live(5)
        assert 1 <= calls.count("Trades") <= 2, "what was before the journal"
        far = ids(life.found["far"], BTC)
        assert far == list(range(far[0], far[-1] + 1))
        assert far[-1] == ids(life.found["trades"], BTC)[-1]
        assert far[0] < ids(life.found["trades"], BTC)[0]
        await life.end()


async def test_a_hole_of_the_journal_is_filled_by_rest(tmp_path: Path) -> None:
    async with Simulator([BTC], seed=3, rate=50) as sim:
        life = Life(sim, tmp_path, options=FAST, resume=False)
        kraken = await life.begin()
        life.read("trades", kraken.trades(BTC))
        await life.live(120)
        found = segments(tmp_path)
        assert len(found) >= 3
        found[1].path.unlink()
        life.read("past", kraken.trades(BTC, since=timedelta(seconds=119)))
        await life.live(10)
        past = ids(life.found["past"], BTC)
        assert past == list(range(past[0], past[-1] + 1))
        assert past[-1] == ids(life.found["trades"], BTC)[-1]
        assert {trade.source for trade in life.found["past"]} >= {"live", "backfill"}
        await life.end()


async def test_what_rest_cannot_give_is_a_loss_and_it_goes_on(tmp_path: Path) -> None:
    async def no_rest(call: str, _params: Any = ()) -> bytes:
        raise RestFailed(call, "there is none", retryable=False)

    async with Simulator([BTC], seed=3, rate=20) as sim:
        await keep_going(sim, BTC)
        await (await first_life(sim, tmp_path, BTC)).end()
        kept = kept_ids(tmp_path, [BTC])[BTC]
        await sim.advance(600)
        life = Life(sim, tmp_path, options=FAST, rest=no_rest)
        kraken = await life.begin()
        life.read("trades", kraken.trades(BTC, on_loss="yield"))
        await life.live(20)
        loss, *trades = life.found["trades"]
        assert isinstance(loss, Loss)
        assert isinstance(loss.cause, Gap)
        given = ids(trades, BTC)
        assert (loss.cause.first, loss.cause.last) == (kept + 1, given[0] - 1)
        assert given == list(range(given[0], given[0] + len(given)))
        assert len(given) > 20
        # Who comes later is given what this run has recorded, behind the same loss.
        life.read("later", kraken.trades(BTC, on_loss="yield"))
        await life.live(5)
        loss, *trades = life.found["later"]
        assert isinstance(loss.cause, Gap)
        assert loss.cause.first == kept + 1
        assert set(ids(trades, BTC)) >= set(given)
        await life.end()


async def test_candles_that_rest_has_no_more_come_from_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = 4
    monkeypatch.setattr("krakenwire.feed.pastcandles.CANDLES_KEPT", kept)
    async with Simulator([BTC], seed=3, rate=5) as sim:

        async def rest(call: str, params: Any = ()) -> bytes:
            """Of candles the last few."""
            answer = msgspec.json.decode(await sim.rest(call, params))
            if call == "OHLC":
                answer["result"] = {k: v[-kept:] if k != "last" else v for k, v in answer["result"].items()}
            return msgspec.json.encode(answer)

        life = Life(sim, tmp_path, options=FAST, resume=False, rest=rest)
        kraken = await life.begin()
        life.read("candles", kraken.ohlc(BTC))
        await life.live(600)
        life.read("past", kraken.ohlc(BTC, since=timedelta(minutes=8)))
        await life.live(30)
        lived, past = candles_by_begin(life.found["candles"], BTC), candles_by_begin(life.found["past"], BTC)
        begins = sorted(lived)[-len(past) :]
        assert sorted(past) == begins
        assert len(past) == 9, "the one that ran eight minutes ago, and those since"
        for begin_ns in begins:
            assert (past[begin_ns].close, past[begin_ns].trades) == (lived[begin_ns].close, lived[begin_ns].trades)
        await life.end()


# --- the clock -------------------------------------------------------------------------------------------------------


async def test_a_continued_clock_goes_on_from_another_and_never_back() -> None:
    inner = ManualClock(now_ns=1000 * NS)
    clock = ContinuedClock(inner)
    assert clock.monotonic_ns() == 0
    clock.go_on_from(990 * NS, 5000 * NS)
    assert clock.monotonic_ns() == 5010 * NS
    fired: list[int] = []
    clock.call_at(5012 * NS, lambda: fired.append(clock.monotonic_ns()))
    await inner.advance(3)
    assert fired == [5012 * NS]
    assert (clock.now_ns(), clock.monotonic_ns()) == (1003 * NS, 5013 * NS)
    clock.go_on_from(2000 * NS, 6000 * NS)
    assert clock.monotonic_ns() == 6000 * NS, "UTC went back: it stood still meanwhile"
