from __future__ import annotations

import gc
import json
import logging
import weakref
from typing import Any

import pytest

from helpers.desks import Desk, limit
from helpers.memoryclient import MemoryClient
from helpers.simclients import NaiveBook, NaiveLevel3
from krakenwire.clock import ManualClock
from krakenwire.errors import UsageError
from krakenwire.sim.accounts.accounts import Accounts
from krakenwire.sim.engine.book import Move
from krakenwire.sim.engine.model import Refusal
from krakenwire.sim.exchange import Exchange
from krakenwire.sim.feed.stream import Stream
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market
from krakenwire.sim.peer import DOORS
from krakenwire.sim.playback import Recording

HEARTBEAT = b'{"channel":"heartbeat"}'
TRADE = b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","qty":0.10000000,"price":1.0}]}'


@pytest.fixture
async def desk() -> Desk:
    return Desk()


class Stubborn(MemoryClient):
    """Its wire fails at the first frame of a kind."""

    trouble = b'"book"'

    def write(self, frames: list[bytes]) -> int:
        if any(self.trouble in frame for frame in frames):
            raise RuntimeError("the wire is broken")
        return super().write(frames)


# --- an exchange without sockets --------------------------------------------------------------------------------------


async def test_every_door_greets_with_the_status_of_the_engine(desk: Desk) -> None:
    desk.exchange.set_status("post_only")
    ids = set()
    for door in DOORS:
        (status,) = MemoryClient.connect(desk.exchange, door).news()
        assert status["channel"] == "status"
        assert status["data"][0]["system"] == "post_only"
        ids.add(status["data"][0]["connection_id"])
    assert len(ids) == 3
    assert min(ids) > 2**63


async def test_same_seed_and_requests_give_the_same_bytes_at_every_door() -> None:
    async def play() -> list[bytes]:
        exchange = Exchange(symbols=["BTC/USD", "ETH/USD"], seed=3, hold=True)
        clients = [MemoryClient.connect(exchange, door) for door in DOORS]
        public, auth, l3 = clients
        await exchange.start()
        token = exchange.accounts.issue_token("alice", exchange.exchange_now_ns())
        public.ask("subscribe", channel="book", symbol=["BTC/USD"])
        l3.ask("subscribe", channel="level3", symbol=["ETH/USD"], depth=100, token=token)
        for channel in ("executions", "balances"):
            auth.ask("subscribe", channel=channel, token=token)
        auth.ask("add_order", **limit(token, "sell", "2", exchange.truth("BTC/USD", 1)[0][0][0]))
        exchange.release(3000)
        await exchange.finished()
        auth.ask("cancel_all", token=token)
        await exchange.close()
        assert [client.ended for client in clients] == [1001] * 3
        return [b"\n".join(client.frames) for client in clients]

    one, two = await play(), await play()
    assert one == two
    assert one[0].count(b'"book","type":"update"') > 500
    assert one[1].count(b'"exec_type":"trade"') >= 1
    assert HEARTBEAT in one[2]


async def test_books_and_orders_of_clients_stay_true_while_accounts_trade() -> None:
    clock = ManualClock()
    exchange = Exchange(symbols=["BTC/USD"], clock=clock, rate=2000, seed=5)
    await exchange.start()
    token = exchange.accounts.issue_token("alice", clock.now_ns())
    public, auth, l3 = (MemoryClient.connect(exchange, door) for door in DOORS)
    public.ask("subscribe", channel="book", symbol=["BTC/USD"], depth=25)
    l3.ask("subscribe", channel="level3", symbol=["BTC/USD"], depth=10, token=token)
    auth.ask("subscribe", channel="executions", token=token)
    for step in range(20):
        bids, asks = exchange.truth("BTC/USD", 3)
        side, price = ("buy", asks[step % 3][0]) if step % 2 else ("sell", bids[step % 3][0])
        auth.ask("add_order", **limit(token, side, "0.4", price, cl_ord_id=f"order{step}"))
        await clock.advance(0.3)
        auth.ask("cancel_order", token=token, cl_ord_id=[f"order{step}"])
    book, level3 = NaiveBook(25), NaiveLevel3(10)
    assert all(book.apply(frame) for frame in public.frames if b'"book","type"' in frame)
    assert all(level3.apply(frame) for frame in l3.frames if b'"level3","type"' in frame)
    assert (book.levels("bids"), book.levels("asks")) == exchange.truth("BTC/USD", 25)
    await exchange.close()


async def test_order_that_expires_within_a_step_is_told_to_books_too() -> None:
    exchange = Exchange(symbols=["BTC/USD"], hold=True)
    public, auth = (MemoryClient.connect(exchange, door) for door in DOORS[:2])
    public.ask("subscribe", channel="book", symbol=["BTC/USD"], depth=1000)
    token = exchange.accounts.issue_token("alice", exchange.exchange_now_ns())
    auth.ask("subscribe", channel="executions", token=token)
    times = {"time_in_force": "gtd", "expire_time": "2026-01-01T00:00:00.100Z"}
    for rank in range(10):
        price = exchange.truth("BTC/USD", 10)[0][rank][0]
        auth.ask("add_order", **limit(token, "buy", "1", price, **times))
    await exchange.start()
    book, seen = NaiveBook(1000), 0
    for _ in range(100):
        exchange.release(20)
        await exchange.finished()
        frames, seen = public.frames[seen:], len(public.frames)
        assert all(book.apply(frame) for frame in frames if b'"book","type"' in frame)
        assert (book.levels("bids"), book.levels("asks")) == exchange.truth("BTC/USD", 1000)
    ended = [report["exec_type"] for each in auth.messages("executions") for report in each["data"]]
    assert ended.count("expired") + ended.count("filled") == 10
    assert ended.count("expired") >= 5
    await exchange.close()


async def test_symbol_moves_while_an_account_has_an_open_order_in_it_though_nobody_listens(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    market, moves = desk.exchange.market, []
    step = market.step

    def noted(exchange_ns: int | None = None) -> Move:
        moves.append(step(exchange_ns))
        return moves[-1]

    monkeypatch.setattr(market, "step", noted)
    await desk.exchange.start()
    await desk.clock.advance(1)
    assert moves == []
    client, token = desk.subscribed()
    client.ask("add_order", **limit(token, "buy", "0.01", "30000"))
    await desk.clock.advance(1)
    assert {move.symbol for move in moves} == {"BTC/USD"}
    assert 90 <= len(moves) <= 100  # the rate, though no frame is made
    client.ask("cancel_all", token=token)
    moves.clear()
    await desk.clock.advance(1)
    assert moves == []
    await desk.exchange.close()


async def test_change_of_an_instrument_reaches_its_subscribers_and_books_begin_anew(desk: Desk) -> None:
    client, other = MemoryClient.connect(desk.exchange), MemoryClient.connect(desk.exchange)
    client.ask("subscribe", channel="instrument")
    client.ask("subscribe", channel="book", symbol=["BTC/USD"])
    other.news()
    desk.exchange.market.change_instrument("BTC/USD", price_precision=2)
    desk.exchange.publish()
    update, snapshot = client.news()
    assert (update["channel"], update["type"], update["data"]["assets"]) == ("instrument", "update", [])
    assert [(pair["symbol"], pair["price_precision"]) for pair in update["data"]["pairs"]] == [("BTC/USD", 2)]
    assert (snapshot["channel"], snapshot["type"]) == ("book", "snapshot")
    assert other.news() == []


async def test_recording_has_only_the_public_door_and_no_market() -> None:
    exchange = Exchange(Recording([TRADE]))
    MemoryClient.connect(exchange, "public")
    for door in ("auth", "l3"):
        with pytest.raises(UsageError, match="recording"):
            exchange.connect(door, MemoryClient())
    with pytest.raises(UsageError, match="recording"):
        exchange.market  # noqa: B018  # the property itself raises
    exchange.publish()
    await exchange.drop_connections()


async def test_market_is_given_the_accounts_that_its_engine_does_not_know() -> None:
    accounts = Accounts.default()
    market = Market(select(["ADA/EUR"]), accounts=accounts.engine_accounts({"EUR"})[:1])
    assert Exchange(market, accounts=accounts).market.engine.accounts() == ("alice", "bob", "carol")
    assert "BTC" not in market.engine.balances("bob")


async def test_exchange_is_started_once_and_can_be_closed_unstarted() -> None:
    async with Exchange(rate=1, clock=ManualClock()) as exchange:
        with pytest.raises(UsageError, match="started before"):
            await exchange.start()
    await Exchange(rate=1, clock=ManualClock()).close()


# --- one client's trouble is nobody else's ----------------------------------------------------------------------------


async def test_client_whose_message_cannot_be_handled_is_closed_and_others_go_on(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.exchange.start()
    good = MemoryClient.connect(desk.exchange)
    good.ask("subscribe", channel="book", symbol=["BTC/USD"])
    bad, token = desk.subscribed("executions")

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug in the engine")

    desk.exchange.market.engine.cancel_all = fail  # type: ignore[assignment,method-assign]  # the bug
    bad.ask("cancel_all", token=token)
    assert bad.ended == 1011
    assert "could not be handled" in caplog.text
    assert token not in caplog.text
    await desk.clock.advance(1)
    assert good.ended is None
    assert len(good.messages("book")) > 50
    await desk.exchange.close()


async def test_client_whose_wire_fails_is_cut_off_and_others_go_on(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.exchange.start()
    bad, good = Stubborn.connect(desk.exchange), MemoryClient.connect(desk.exchange)
    for client in (bad, good):
        client.ask("subscribe", channel="book", symbol=["BTC/USD"], snapshot=False)
    await desk.clock.advance(1)
    assert (bad.ended, good.ended) == (1006, None)
    assert len(good.messages("book")) > 50
    assert "could not be sent" in caplog.text
    await desk.exchange.close()


async def test_fault_that_fails_ends_one_connection(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        is_active = True
        skew_ns = 0

        def outgoing(self, peer: object, stream: Stream | None, frame: bytes) -> list[bytes]:
            if peer is bad.peer and stream is not None:
                raise RuntimeError("a bug in a fault")
            return [frame, frame]

        def incoming(self, peer: object, message: bytes) -> bytes | None:
            return b"" if b"swallow" in message else b'{"instead":1}' if b"instead" in message else None

        def disconnected(self, peer: object) -> None:
            gone.append(peer)

    gone: list[object] = []
    bad, good = MemoryClient.connect(desk.exchange), MemoryClient.connect(desk.exchange)
    good.news()
    desk.exchange.faults = Broken()  # type: ignore[assignment]  # stands for faults of any kind
    assert good.ask("swallow") == []
    assert good.ask("instead") == [{"instead": 1}] * 2
    for client in (bad, good):
        client.ask("subscribe", channel="instrument")
    assert (bad.ended, good.ended) == (1011, None)
    assert len(good.messages("instrument")) == 2
    assert gone == [bad.peer]
    assert "could not be tampered with" in caplog.text


async def test_client_for_which_too_much_waits_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(max_buffer=1000)
    slow, good = MemoryClient.connect(desk.exchange), MemoryClient.connect(desk.exchange)
    slow.waiting = 1000
    slow.ask("ping")
    assert list(desk.exchange.peers) == [slow.peer, good.peer]
    slow.waiting = 1001
    with caplog.at_level(logging.WARNING, logger="krakenwire.sim"):
        slow.ask("ping")
    assert (slow.ended, good.ended) == (1006, None)
    assert desk.exchange.slow_clients_dropped == 1
    assert "slow client dropped: 1001 bytes wait for it, at most 1000 may" in caplog.text
    assert list(desk.exchange.peers) == [good.peer]


async def test_client_that_does_not_take_its_goodbye_is_cut_off_after_five_seconds(desk: Desk) -> None:
    class Deaf(MemoryClient):
        def close(self, code: int, reason: str) -> None:
            """Say nothing, and stay."""

    deaf = Deaf.connect(desk.exchange)
    deaf.peer.close(1000, "")
    await desk.clock.advance(4.9)
    assert deaf.ended is None
    await desk.clock.advance(0.2)
    assert deaf.ended == 1006


async def test_client_that_is_gone_leaves_nothing_behind(desk: Desk) -> None:
    l3 = MemoryClient.connect(desk.exchange, "l3")
    auth, token = desk.subscribed("executions", "balances")
    l3.ask("subscribe", channel="level3", symbol=["BTC/USD"], token=token)
    auth.ask("add_order", **limit(token, "buy", "1", "50000"))
    for client in (auth, l3):
        client.abort()
        frames = len(client.frames)
        client.peer.receive(b'{"method":"ping"}')
        client.peer.disconnected()
        assert len(client.frames) == frames
    assert not desk.exchange.peers
    assert desk.exchange.source.is_unheard
    other, others_token = desk.subscribed()
    other.ask("cancel_all", token=others_token)
    await desk.clock.advance(901)
    for client in (auth, l3):
        with pytest.raises(Refusal, match="Invalid session"):
            desk.exchange.accounts.account_of(token, desk.clock.now_ns(), client.peer)
    peers = [weakref.ref(client.peer) for client in (auth, l3)]
    del auth, l3, client
    gc.collect()
    assert [peer() for peer in peers] == [None, None]


async def test_silent_private_client_without_subscription_is_closed_and_a_subscribed_one_kept(desk: Desk) -> None:
    silent = desk.client()
    subscribed, token = desk.subscribed("balances")
    l3 = MemoryClient.connect(desk.exchange, "l3")
    await desk.clock.advance(61)
    assert (silent.ended, subscribed.ended, l3.ended) == (1000, None, 1000)
    assert subscribed.frames.count(HEARTBEAT) == 61
    subscribed.ask("unsubscribe", channel="balances", token=token)
    await desk.clock.advance(125)
    assert subscribed.ended == 1000


async def test_status_frame_is_told_to_all_once_a_change(desk: Desk) -> None:
    clients = [MemoryClient.connect(desk.exchange, door) for door in DOORS]
    for status in ("maintenance", "maintenance", "online"):
        desk.exchange.set_status(status)
    for client in clients:
        told = [json.loads(frame)["data"][0] for frame in client.frames]
        assert [each["system"] for each in told] == ["online", "maintenance", "online"]
        assert len({each["connection_id"] for each in told}) == 1


# --- a market that stands still in real time --------------------------------------------------------------------------


async def test_market_in_real_time_stands_still_and_goes_on_while_clients_are_answered() -> None:
    clock = ManualClock()
    async with Exchange(symbols=["BTC/USD"], clock=clock, rate=100, seed=1) as exchange:
        client = MemoryClient.connect(exchange, "public")
        client.ask("subscribe", channel="book", symbol=["BTC/USD"])
        exchange.keep_still(True)
        await clock.advance(1.0)
        assert [frame["channel"] for frame in client.news() if frame["channel"] == "book"] == []
        (answer,) = client.ask("unsubscribe", channel="trade", symbol=["BTC/USD"])
        assert answer["method"] == "unsubscribe"
        exchange.keep_still(False)
        await clock.advance(1.0)
        assert [frame for frame in client.news() if frame["channel"] == "book"]


async def test_held_market_is_not_for_keep_still() -> None:
    async with Exchange(symbols=["BTC/USD"], hold=True) as exchange:
        with pytest.raises(UsageError, match="release"):
            exchange.keep_still(True)
