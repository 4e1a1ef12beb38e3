from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.simclients import NaiveBook, WsClient
from krakenwire.errors import UsageError
from krakenwire.sim.feed.feed import Feed, Stream
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market
from krakenwire.sim.playback import Playback, Recording
from krakenwire.sim.server import SimulatorServer

BOOKS = [Stream("book", "BTC/USD", 25), Stream("book", "MINA/GBP", 25)]
OTHERS = [Stream("trade", "BTC/USD"), Stream("ticker", "BTC/USD", "trades"), Stream("ohlc", "BTC/USD", 5)]


def record(steps: int = 300) -> list[bytes]:
    """Frames as a client of two books, trades, a ticker and candles would have kept them."""
    market = Market(select(["BTC/USD", "MINA/GBP"]), seed=4)
    feed = Feed(market)
    frames = [
        b'{"channel":"status","type":"update","data":[{"system":"online"}]}',
        b'{"method":"subscribe","result":{"channel":"book","depth":25,"symbol":"MINA/GBP"},"success":true}',
    ]
    for stream in BOOKS + OTHERS:
        feed.watch(stream)
        frames.append(feed.snapshot(stream))
    for _ in range(steps):
        frames += [frame for _, frame in feed.updates(market.step())]
        frames.append(b'{"channel":"heartbeat"}')
    return frames


FRAMES = record()


def play(playback: Playback[str], *subscriptions: tuple[str, Stream], snapshot: bool = True) -> list[tuple[str, bytes]]:
    for subscriber, stream in subscriptions:
        playback.open(subscriber, stream, snapshot)
    given = []
    while not playback.is_idle:
        given += [(subscriber, frame) for _, (subscriber,), frame in playback.step(None)]
    return given


def test_client_is_given_the_frames_of_its_streams_in_the_order_of_the_file() -> None:
    given = play(Playback(Recording(FRAMES)), *(("a", stream) for stream in BOOKS + OTHERS))
    assert [frame for _, frame in given] == [
        frame for frame in FRAMES if not any(word in frame for word in (b'"status"', b'"heartbeat"', b'"method"'))
    ]


def test_late_subscriber_and_one_who_subscribes_again_begin_at_the_first_frame() -> None:
    playback: Playback[str] = Playback(Recording(FRAMES))
    expected = [frame for frame in FRAMES if frame.startswith(b'{"channel":"book"') and b"BTC/USD" in frame]
    assert play(playback, ("a", BOOKS[0])) == [("a", frame) for frame in expected]
    playback.close("a", BOOKS[0])
    given = play(playback, ("a", BOOKS[0]), ("b", BOOKS[0]))
    for subscriber in "ab":
        assert [frame for who, frame in given if who == subscriber] == expected


def test_closed_subscription_is_given_nothing_more() -> None:
    playback: Playback[str] = Playback(Recording(FRAMES))
    playback.open("a", BOOKS[0], True)
    playback.open("b", BOOKS[1], True)
    playback.close("a", BOOKS[0])
    assert {subscriber for subscriber, _ in play(playback)} == {"b"}


def test_who_wants_no_snapshot_is_given_updates_only() -> None:
    given = play(Playback(Recording(FRAMES)), ("a", BOOKS[0]), snapshot=False)
    assert given
    assert {json.loads(frame)["type"] for _, frame in given} == {"update"}


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (Stream("book", "BTC/USD", 25), None),
        (Stream("trade", "MINA/GBP"), None),
        (Stream("instrument"), None),
        (Stream("book", "BTC/USD", 10), "Subscription depth not supported"),
        (Stream("book", "ETH/USD", 25), "Currency pair not supported ETH/USD"),
    ],
)
def test_only_what_was_recorded_can_be_had(stream: Stream, error: str | None) -> None:
    assert Playback[str](Recording(FRAMES)).refuse(stream) == error


def test_depth_is_taken_from_the_answer_that_was_recorded() -> None:
    ack = b'{"method":"subscribe","result":{"channel":"book","depth":500,"symbol":"MINA/GBP"},"success":true}'
    assert Stream("book", "MINA/GBP", 500) in Recording([FRAMES[0], ack, *FRAMES[2:]]).streams


def test_thin_book_without_an_answer_is_taken_for_the_smallest_depth_that_holds_it() -> None:
    streams = Recording(FRAMES).streams
    assert Stream("book", "BTC/USD", 25) in streams
    assert Stream("book", "MINA/GBP", 10) in Recording(frame for frame in FRAMES if b'"method"' not in frame).streams


def test_objects_around_frames_are_opened_and_their_text_is_kept() -> None:
    frame = b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","qty":0.10000000,"price": 1.0}]}'
    lines = [
        b'{"captured_at":"2026-08-18","tool":"x"}',
        b'{"rx_ns":1,"dir":"tx","frame":' + frame + b"}",
        b'{"rx_ns":2,"frame":' + frame + b"}\n",
        b'{"frame":' + json.dumps(frame.decode()).encode() + b"}",
        b"not json",
        b"[1]",
        b"",
    ]
    assert Recording(lines).streams == {Stream("trade", "BTC/USD"): [(2, frame), (3, frame)]}


def test_file_without_market_data_is_refused() -> None:
    with pytest.raises(UsageError, match="no market data"):
        Recording([b'{"channel":"heartbeat"}'])


def test_reference_data_is_that_of_the_file_or_derived_from_it() -> None:
    (derived,) = Playback[str](Recording(FRAMES)).open("a", Stream("instrument"), True)
    pairs = {pair["symbol"]: pair for pair in json.loads(derived)["data"]["pairs"]}
    assert pairs["BTC/USD"]["price_precision"] == 1
    assert pairs["MINA/GBP"]["price_precision"] == 4
    unlisted = [frame.replace(b"BTC/USD", b"NEW/USD") for frame in FRAMES]
    (derived,) = Playback[str](Recording(unlisted)).open("a", Stream("instrument"), True)
    (new,) = (pair for pair in json.loads(derived)["data"]["pairs"] if pair["symbol"] == "NEW/USD")
    assert (new["base"], new["quote"], new["price_precision"], new["qty_precision"]) == ("NEW", "USD", 1, 8)
    own = b'{"channel":"instrument","type":"snapshot","data":{"assets":[],"pairs":[]}}'
    assert Playback[str](Recording([own, *FRAMES])).open("a", Stream("instrument"), True) == [own]


async def test_file_is_served_over_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    path.write_bytes(b"\n".join(FRAMES))
    async with SimulatorServer(Recording.load(path)) as server:
        assert list(server.env()) == ["KRAKEN_WS_PUBLIC_URL"]
        client = await WsClient.connect(server.url)
        client.subscribe("book", "BTC/USD", depth=25)
        expected = [frame for frame in FRAMES if frame.startswith(b'{"channel":"book"') and b"BTC/USD" in frame]
        book = NaiveBook(25)
        for frame in expected:
            await client.next(lambda message: message.get("channel") == "book")
            assert book.apply(frame)
        assert [frame for frame in client.frames if b'"book","type"' in frame] == expected
        with pytest.raises(UsageError, match="recording"):
            server.truth("BTC/USD", 10)
        await client.hang_up()


async def test_recorded_frames_of_the_real_exchange_are_served_as_they_are(captures: Path) -> None:
    recording = Recording.load(captures / "v2_book10_btcusd_2026.frames.jsonl")
    async with SimulatorServer(recording) as server:
        client = await WsClient.connect(server.url)
        client.subscribe("book", "BTC/USD", depth=10)
        for _ in range(1_254):
            await client.next(lambda message: message.get("channel") == "book")
        book = NaiveBook(10)
        assert all(book.apply(frame) for frame in client.frames if frame.startswith(b'{"channel":"book"'))
        await client.hang_up()
