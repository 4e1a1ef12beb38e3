"""Two connections for the same data: who is published, and what readers are told when that changes."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.frames import v2_element, v2_frame
from helpers.wire import Feed, S, Wire, acks, book, instrument, ohlc, refusal, ticker, timestamp, trades
from krakenwire.book import BookState, BookUpdate
from krakenwire.errors import UsageError
from krakenwire.events import (
    BookInvalidated,
    BookResynced,
    Connected,
    Disconnected,
    ExchangeError,
    Gap,
    LeaderChanged,
    Ohlc,
    Reconnected,
    Stalled,
    Subscribed,
    SubscribeRejected,
    SystemStatus,
    Ticker,
    Trade,
    Unsubscribed,
)
from krakenwire.protocol.core import Core
from krakenwire.protocol.options import Options
from krakenwire.protocol.subscriptions import Key

BTC, ETH = "BTC/USD", "ETH/USD"
ONE, TWO = "public", "public~"
BOTH = (ONE, TWO)


class Mirror(Wire):
    """A wire with a mirror; both connections are open."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.core = Core(Options(**options), mirror=True)
        self._answered: dict[str, set[int]] = {}
        self.core.start()
        for connection in BOTH:
            self.connect(connection)

    def ask(self, *keys: Key, connections: tuple[str, ...] = BOTH) -> None:
        """Subscribe, and have it acknowledged."""
        self.subscribe(*keys)
        self.acknowledge(*connections)

    def acknowledge(self, *connections: str) -> None:
        requests = {each: self._requests(each) for each in connections}
        for connection in connections:
            for request in requests[connection]:
                self.receive(*acks(request), connection=connection)

    def _requests(self, connection: str) -> list[Any]:
        read = self._read
        sent = self.sent(connection)
        self._read = read
        return [request for request in sent if request["req_id"] not in self._answered.setdefault(connection, set())]

    def both(self, *frames: bytes) -> list[Any]:
        """Frames as they come over both connections, the first one first."""
        start = len(self.log)
        for frame in frames:
            for connection in BOTH:
                self.receive(frame, connection=connection)
        return self.log[start:]

    def shown(self, symbol: str = BTC, depth: int = 10) -> BookState:
        placement = self.core.subscribe([book(symbol, depth)], self.stamp())[0]
        self.core.unsubscribe([book(symbol, depth)], self.stamp())
        state = self.core.hold_book(placement.session.name, placement.key)
        assert state is not None
        return state

    def back(self, connection: str, *frames: bytes) -> None:
        """A connection that was lost is there again, and is sent `frames` once its subscriptions are acknowledged."""
        self._read = len(self.actions)
        self.connect(connection)
        self.acknowledge(connection)
        self.receive(*frames, connection=connection)


def whats(events: list[Any]) -> list[str]:
    """The events in a word each, those of the lifecycle of connections left out."""
    skipped = (Connected, Disconnected, Subscribed, Unsubscribed, Reconnected)
    return [
        f"{event.type}{' synthesised' if event.synthesised else ''}" if isinstance(event, BookUpdate)
        else type(event).__name__
        for event in events
        if not isinstance(event, skipped)
    ]  # fmt: skip


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def mirror(feed: Feed) -> Mirror:
    """With a book that both connections have."""
    mirror = Mirror()
    mirror.ask(book())
    mirror.both(feed.snapshot(), feed.update())
    mirror.news()
    return mirror


def same(shown: BookState, feed: Feed) -> bool:
    levels = [[tuple(map(str, level)) for level in shown.levels(side)] for side in ("bids", "asks")]
    return levels == [feed.model.best("bids"), feed.model.best("asks")] and shown.status == "synced"


# --- one is published ------------------------------------------------------------------------------------------------


def test_every_connection_is_wanted_twice_with_the_same_subscriptions() -> None:
    mirror = Mirror()
    assert mirror.opened == [ONE, TWO]
    mirror.subscribe(book(), Key("trade", BTC))
    assert [request["params"] for request in mirror.sent(ONE)] == [
        {"channel": "book", "symbol": [BTC], "depth": 10},
        {"channel": "trade", "symbol": [BTC]},
    ]
    mirror._read = 0
    assert [request["params"]["channel"] for request in mirror.sent(TWO)] == ["book", "trade"]
    mirror.subscribe(book(BTC, 100))
    assert mirror.opened == [ONE, TWO, "public-2", "public-2~"]
    assert [session.name for session in mirror.core.sessions] == mirror.opened


def test_every_update_is_told_once(mirror: Mirror, feed: Feed) -> None:
    events = mirror.both(feed.update(), feed.update())
    assert [(event.connection, event.type) for event in events] == [(ONE, "update"), (ONE, "update")]
    assert same(mirror.shown(), feed)
    assert mirror.core.statistics().verified == 8, "but both are proven"


def test_first_connection_that_has_a_book_leads_it(feed: Feed) -> None:
    mirror = Mirror()
    mirror.ask(book())
    first = mirror.receive(feed.snapshot(), connection=TWO)
    assert whats(first) == ["snapshot"]
    update = feed.update()
    assert [event.connection for event in mirror.both(update)] == [TWO]
    assert not mirror.told(LeaderChanged), "there was no other leader before"


def test_without_a_mirror_there_is_one_of_everything(feed: Feed) -> None:
    wire = Wire().start()
    wire.subscribe(book())
    wire.receive(*acks(wire.sent()[0]), feed.snapshot())
    placement = wire.core.subscribe([book()], wire.stamp())[0]
    assert wire.core.hold_book(placement.session.name, placement.key) is wire.state()
    assert wire.core.is_active(placement)
    assert wire.core.main == (ONE,)
    assert wire.core.is_vital(ONE)


# --- failover --------------------------------------------------------------------------------------------------------


def test_follower_that_has_the_same_goes_on_without_a_word(mirror: Mirror, feed: Feed) -> None:
    mirror.both(feed.update())
    mirror.news()
    mirror.disconnect(ONE)
    events = mirror.news()
    assert whats(events) == ["LeaderChanged", "LeaderChanged"]
    assert {(event.symbol, event.leader, event.previous, event.reason) for event in mirror.told(LeaderChanged)} == {
        (None, TWO, ONE, "disconnected"),
        (BTC, TWO, ONE, "disconnected"),
    }
    assert [event.connection for event in mirror.receive(feed.update(), connection=TWO)] == [TWO]
    assert same(mirror.shown(), feed)


def test_what_only_the_follower_had_is_told_in_one_update(mirror: Mirror, feed: Feed) -> None:
    for frame in (feed.update([("98.5", "7.00000000")]), feed.update([("100.0", "0.00000000")])):
        mirror.receive(frame, connection=TWO)
    assert mirror.news() == []
    mirror.now += S
    mirror.disconnect(ONE)
    (update,) = mirror.told(BookUpdate)[-1:]
    assert (update.type, update.synthesised, update.outcome, update.connection) == ("update", True, "verified", TWO)
    assert [tuple(f"{each:f}" for each in level) for level in update.bids] == [
        ("100.0", "0.00000000"),
        ("98.5", "7.00000000"),
    ]
    assert update.checksum == feed.model.checksum()
    assert (update.seq, update.received_mono_ns, update.n) == (mirror.session(TWO).seq, mirror.now, mirror.core.n)
    assert update.best_bid is not None
    assert str(update.best_bid.price) == "99.0"
    assert whats(mirror.news()).count("update synthesised") == 1
    assert same(mirror.shown(), feed)


def test_wrong_message_on_the_leader_is_no_readers_business(mirror: Mirror, feed: Feed) -> None:
    right = feed.update()
    mirror.receive(feed.update(checksum_off=1), connection=ONE)
    assert whats(mirror.news()) == ["LeaderChanged"]
    assert mirror.told(LeaderChanged)[0].reason == "checksum"
    assert mirror.core.statistics().mismatched == 1
    assert len(mirror.told(BookUpdate)) == 2, "the wrong message was never shown"
    mirror.receive(right, connection=TWO)
    assert whats(mirror.news()) == ["update"]
    assert mirror.state(BTC, ONE).status == "unsynced"
    assert mirror.sent(ONE)[-1]["method"] == "unsubscribe", "it is fetched again, quietly"


def test_wrong_message_on_the_follower_is_only_counted(mirror: Mirror, feed: Feed) -> None:
    mirror.receive(v2_frame("update", v2_element(BTC, [("1.0", "1.0")], [], 1, timestamp(9))), connection=TWO)
    assert mirror.news() == []
    assert mirror.core.statistics().mismatched == 1
    assert [event.connection for event in mirror.receive(feed.update())] == [ONE]


def test_follower_that_is_behind_is_waited_for(mirror: Mirror, feed: Feed) -> None:
    first, second = feed.update(), feed.update()
    mirror.receive(first, second, connection=ONE)
    mirror.news()
    mirror.disconnect(ONE)
    assert "BookInvalidated" not in whats(mirror.news())
    mirror.receive(first, connection=TWO)
    assert mirror.news() == [], "readers know more than that"
    mirror.receive(second, connection=TWO)
    assert whats(mirror.news()) == ["LeaderChanged"], "now it is level: there is nothing to tell"
    assert whats(mirror.receive(feed.update(), connection=TWO)) == ["update"]
    mirror.advance(5)
    assert not mirror.told(BookInvalidated)


def test_follower_that_stays_behind_cannot_serve(mirror: Mirror, feed: Feed) -> None:
    missed = feed.update()
    mirror.receive(missed, connection=ONE)
    mirror.now += S
    mirror.disconnect(ONE)
    mirror.news()
    mirror.advance(0.9)
    assert mirror.news() == []
    assert mirror.shown().status == "synced"
    mirror.advance(0.2)
    assert whats(mirror.news()) == ["BookInvalidated"]
    assert mirror.shown().status == "unsynced"
    assert mirror.shown().reason == "disconnected"
    mirror.receive(missed, connection=TWO)
    assert whats(mirror.news()) == ["LeaderChanged", "snapshot synthesised", "BookResynced"]
    assert mirror.told(BookResynced)[0].took_ns == round(0.1 * S)
    assert same(mirror.shown(), feed)


def test_two_states_of_the_same_time_cannot_be_told_apart_at_once(mirror: Mirror) -> None:
    feed = Feed()
    mirror.both(feed.snapshot(), feed.update())
    first = feed.update()
    feed._tick -= 1
    second = feed.update([("99.0", "5.50000000")])
    mirror.receive(first, connection=ONE)
    mirror.receive(first, second, connection=TWO)
    mirror.news()
    mirror.disconnect(ONE)
    assert "update synthesised" not in whats(mirror.news())
    mirror.advance(1.1)
    assert whats(mirror.news()) == ["LeaderChanged", "update synthesised"]
    assert same(mirror.shown(), feed)


def test_leader_that_comes_back_first_goes_on(mirror: Mirror, feed: Feed) -> None:
    mirror.receive(feed.update(), connection=ONE)
    mirror.disconnect(ONE)
    mirror.news()
    mirror.back(ONE, feed.snapshot())
    assert whats(mirror.news()) == ["update synthesised"]
    assert same(mirror.shown(), feed)
    assert not mirror.told(BookInvalidated)


def test_quiet_book_whose_snapshot_was_stamped_later_goes_on_after_a_wait(mirror: Mirror, feed: Feed) -> None:
    """A snapshot may be stamped when it is sent: then the other connection only looks as if it were behind."""
    for connection in BOTH:
        mirror.disconnect(connection)
    levels = feed.model.best("bids"), feed.model.best("asks")
    late = v2_frame("snapshot", v2_element(BTC, *levels, feed.model.checksum(), timestamp(500)))
    mirror.back(TWO, late)
    mirror.back(ONE, feed.snapshot(*levels))
    mirror.news()
    mirror.disconnect(TWO)
    mirror.advance(1.1)
    assert [event.symbol for event in mirror.news() if isinstance(event, LeaderChanged)] == [None, BTC]
    before = feed.update()
    feed._tick = 600
    assert whats(mirror.receive(before, connection=ONE)) == [], "that was before what readers know"
    assert whats(mirror.receive(feed.update(), connection=ONE)) == ["update synthesised"]
    assert same(mirror.shown(), feed)
    assert len(mirror.told(BookInvalidated)) == 1, "when both were gone"


def test_both_lost_is_told_once_and_ended_by_the_first_that_is_back(mirror: Mirror, feed: Feed) -> None:
    mirror.disconnect(ONE)
    mirror.disconnect(TWO)
    assert [event.reason for event in mirror.told(BookInvalidated)] == ["disconnected"]
    mirror.news()
    mirror.now += S
    mirror.back(TWO, feed.snapshot())
    assert whats(mirror.news()) == ["snapshot", "BookResynced"]
    mirror.back(ONE, feed.update())
    assert whats(mirror.news()) == []
    assert mirror.told(BookResynced)[0].attempts == 1


def test_first_snapshots_that_are_both_wrong_are_told(feed: Feed) -> None:
    mirror = Mirror()
    mirror.ask(book())
    mirror.news()
    wrong = v2_frame("snapshot", v2_element(BTC, [("1.0", "1.0")], [], 1, timestamp(1)))
    mirror.receive(wrong, connection=ONE)
    assert mirror.news() == []
    mirror.receive(wrong, connection=TWO)
    assert whats(mirror.news()) == ["BookInvalidated"]
    mirror.receive(feed.snapshot(), connection=ONE)
    assert whats(mirror.news()) == ["LeaderChanged", "snapshot", "BookResynced"]
    assert mirror.told(LeaderChanged)[0].reason == "checksum"


def test_recorded_frames_cannot_be_mirrored() -> None:
    with pytest.raises(UsageError, match="recorded"):
        Core(mirror=True, passive=True)


def test_published_time_never_goes_back(mirror: Mirror, feed: Feed) -> None:
    frames = [feed.update() for _ in range(10)]
    mirror.receive(*frames[:8], connection=ONE)
    mirror.receive(*frames[:3], connection=TWO)
    mirror.disconnect(ONE)
    mirror.receive(*frames[3:], connection=TWO)
    times = [update.exchange_ns or 0 for update in mirror.told(BookUpdate)]
    assert times == sorted(times)
    assert same(mirror.shown(), feed)


# --- everything else -------------------------------------------------------------------------------------------------


def test_ticker_comes_from_the_leader_and_goes_on_from_the_other(mirror: Mirror) -> None:
    mirror.ask(Key("ticker", BTC, "trades"))
    mirror.news()
    assert len(mirror.both(ticker(last=1.0), ticker(last=2.0))) == 2
    mirror.receive(ticker(last=3.0), connection=TWO)
    mirror.news()
    mirror.disconnect(ONE)
    tickers = [event for event in mirror.news() if isinstance(event, Ticker)]
    assert [str(each.last) for each in tickers] == ["3.0"], "what only the follower had"
    assert not mirror.told(Gap)
    mirror.disconnect(TWO)
    assert [event.of for event in mirror.told(Gap)] == ["ticker"]


def test_ticker_that_both_had_is_not_told_again(mirror: Mirror) -> None:
    mirror.ask(Key("ticker", BTC, "trades"))
    mirror.both(ticker(last=1.0))
    mirror.disconnect(ONE)
    assert len(mirror.told(Ticker)) == 1


def test_snapshot_of_a_quiet_ticker_on_the_follower_does_not_put_it_ahead(mirror: Mirror) -> None:
    def told(last: float, tick: int) -> bytes:
        return ticker(last=last).replace(b'"bid":', f'"timestamp":"{timestamp(tick)}","bid":'.encode(), 1)

    mirror.ask(Key("ticker", BTC, "trades"))
    mirror.both(told(1.0, 1))
    mirror.disconnect(TWO)
    mirror.back(TWO, told(1.0, 2))  # stamped when it was sent
    mirror.advance(5)
    mirror.receive(told(2.0, 3), connection=TWO)
    mirror.receive(told(2.0, 3), connection=ONE)
    assert not mirror.told(LeaderChanged)
    assert [str(each.last) for each in mirror.told(Ticker)] == ["1.0", "2.0"]


def test_candles_of_both_are_one_stream(mirror: Mirror) -> None:
    mirror.ask(Key("ohlc", BTC, 1))
    assert len([event for event in mirror.both(ohlc()) if isinstance(event, Ohlc)]) == 1
    mirror.disconnect(ONE)
    mirror.receive(ohlc().replace(b'"trades":3', b'"trades":4'), connection=TWO)
    assert [event.trades for event in mirror.told(Ohlc)] == [3, 4]
    assert not mirror.told(Gap)


def test_trades_of_both_are_one_stream_without_holes(mirror: Mirror) -> None:
    mirror.ask(Key("trade", BTC))
    mirror.both(trades(1))
    mirror.receive(trades(2), trades(4), connection=ONE)
    mirror.receive(trades(2), trades(3), trades(4), trades(5), connection=TWO)
    mirror.disconnect(ONE)
    mirror.receive(trades(6), connection=TWO)
    assert [event.trade_id for event in mirror.told(Trade)] == [1, 2, 3, 4, 5, 6]
    assert not mirror.told(Gap)


def test_refusal_of_one_does_not_give_up_the_trades_that_the_other_has(mirror: Mirror) -> None:
    mirror.ask(Key("trade", BTC))
    mirror.both(trades(1), trades(5))
    mirror.disconnect(TWO)
    mirror._read = len(mirror.actions)
    mirror.connect(TWO)
    (request,) = [each for each in mirror.sent(TWO) if each["params"]["channel"] == "trade"]
    mirror.receive(refusal(request, "Currency pair not supported BTC/USD", BTC), connection=TWO)
    assert not mirror.told(Gap)
    mirror.receive(trades(2, 3, 4), connection=ONE)
    assert [event.trade_id for event in mirror.told(Trade)] == [1, 2, 3, 4, 5]


def test_status_is_told_once_and_of_the_new_leader_if_it_differs(mirror: Mirror) -> None:
    status = b'{"channel":"status","type":"update","data":[{"system":"%s","connection_id":1}]}'
    assert len(mirror.both(status % b"online")) == 1
    mirror.receive(status % b"post_only", connection=TWO)
    mirror.disconnect(ONE)
    assert [event.system for event in mirror.told(SystemStatus)] == ["online", "post_only"]


def test_instruments_are_told_once_and_precisions_known_to_all(mirror: Mirror) -> None:
    mirror.ask(Key("instrument"))
    events = mirror.both(instrument(price_precision=1))
    assert whats(events) == ["Instrument"]
    mirror.both(instrument(price_precision=2))
    assert [event.reason for event in mirror.told(BookInvalidated)] == ["precision"], "both books are fetched again"


def test_what_happens_to_either_connection_is_told_by_its_name() -> None:
    mirror = Mirror()
    mirror.ask(book())
    assert [event.connection for event in mirror.told(Connected)] == [ONE, TWO]
    assert [event.connection for event in mirror.told(Subscribed)] == [ONE, TWO]


# --- subscribing -----------------------------------------------------------------------------------------------------


def test_one_acknowledgement_is_enough() -> None:
    mirror = Mirror()
    placement = mirror.core.subscribe([book()], mirror.stamp())[0]
    mirror._collect()
    assert not mirror.core.is_active(placement)
    mirror.acknowledge(TWO)
    assert mirror.core.is_active(placement)


@pytest.mark.parametrize("order", [(ONE, TWO), (TWO, ONE)])
def test_refusal_is_final_if_both_refuse(order: tuple[str, str]) -> None:
    mirror = Mirror()
    mirror.subscribe(book())
    requests = {each: mirror._requests(each)[0] for each in BOTH}
    mirror.receive(refusal(requests[order[0]], "Currency pair not supported", BTC), connection=order[0])
    assert not mirror.told(SubscribeRejected)
    mirror.receive(refusal(requests[order[1]], "Currency pair not supported", BTC), connection=order[1])
    assert len(mirror.told(SubscribeRejected)) == 1


@pytest.mark.parametrize("is_first", [True, False])
def test_refusal_of_one_is_told_as_an_error_and_asked_again_with_its_next_socket(is_first: bool, feed: Feed) -> None:
    mirror = Mirror()
    mirror.subscribe(book())
    requests = {each: mirror._requests(each)[0] for each in BOTH}
    answers = [(refusal(requests[ONE], "No such depth", BTC), ONE), (acks(requests[TWO])[0], TWO)]
    for answer, connection in answers if is_first else reversed(answers):
        mirror.receive(answer, connection=connection)
    assert not mirror.told(SubscribeRejected)
    assert [(event.error, event.connection) for event in mirror.told(ExchangeError)] == [("No such depth", ONE)]
    assert whats(mirror.receive(feed.snapshot(), connection=TWO)) == ["snapshot"]
    mirror.disconnect(ONE)
    mirror._read = len(mirror.actions)
    mirror.connect(ONE)
    assert [request["params"]["channel"] for request in mirror.sent(ONE)] == ["book"]


def test_what_nobody_wants_is_left_on_both_and_not_shown(mirror: Mirror) -> None:
    mirror._read = len(mirror.actions)
    mirror.unsubscribe(book())
    for connection in BOTH:
        (request,) = mirror._requests(connection)
        assert request["method"] == "unsubscribe"
    mirror.acknowledge(*BOTH)
    pair = mirror.core._mirror.pairs[0]  # type: ignore[union-attr]  # it was made with one
    assert pair.books.symbols == ()
    assert len(pair.books.books) == 0


def test_further_pair_goes_when_nothing_is_wanted_of_it(mirror: Mirror) -> None:
    mirror.subscribe(book(BTC, 100))
    for connection in ("public-2", "public-2~"):
        mirror.connect(connection)
    mirror.unsubscribe(book(BTC, 100))
    assert [close.connection for close in mirror.closed] == ["public-2", "public-2~"]
    for connection in ("public-2", "public-2~"):
        mirror.disconnect(connection, terminal=True)
    assert [session.name for session in mirror.core.sessions] == [ONE, TWO]
    assert not mirror.told(SubscribeRejected)


def test_connection_that_is_given_up_leaves_the_other(mirror: Mirror, feed: Feed) -> None:
    mirror.disconnect(ONE, terminal=True)
    assert not mirror.core.is_vital(ONE)
    assert not mirror.told(SubscribeRejected)
    assert whats(mirror.receive(feed.update(), connection=TWO)) == ["update"]
    mirror.subscribe(book(ETH))
    mirror.disconnect(TWO, terminal=True)
    assert mirror.core.is_vital(TWO)


# --- planned ---------------------------------------------------------------------------------------------------------


def test_planned_reconnect_of_the_leader_moves_the_lead_before(mirror: Mirror, feed: Feed) -> None:
    mirror.receive(feed.update(), connection=TWO)
    mirror.core.reconnect(ONE, "asked for", mirror.stamp())
    mirror._collect()
    assert whats(mirror.news()) == ["LeaderChanged", "update synthesised", "LeaderChanged"]
    assert {event.reason for event in mirror.told(LeaderChanged)} == {"planned"}
    mirror.disconnect(ONE)
    assert whats(mirror.receive(feed.update(), connection=TWO)) == ["update"]


def test_rotation_begins_with_the_follower(mirror: Mirror, feed: Feed) -> None:
    mirror.core.reconnect(None, "asked for", mirror.stamp())
    mirror._collect()
    assert [close.connection for close in mirror.closed] == [TWO]
    mirror.disconnect(TWO)
    mirror.advance(9)
    assert len(mirror.closed) == 1, "the leader waits until the follower has everything back"
    mirror.back(TWO, feed.snapshot())
    mirror.advance(0.1)
    assert [close.connection for close in mirror.closed] == [TWO, ONE]
    assert {(event.leader, event.reason) for event in mirror.told(LeaderChanged)} == {(TWO, "planned")}
    assert not mirror.told(BookInvalidated)


# --- stalls ----------------------------------------------------------------------------------------------------------


def test_leader_of_a_book_that_stalls_is_left(mirror: Mirror, feed: Feed) -> None:
    mirror.receive(feed.update(), connection=TWO)
    stall(mirror)
    assert whats(mirror.news()) == ["Stalled", "LeaderChanged", "update synthesised"]
    assert mirror.told(LeaderChanged)[0].reason == "stalled"


def test_leader_that_stalls_while_the_follower_is_behind_goes_on_until_it_is_level(mirror: Mirror, feed: Feed) -> None:
    first, second = feed.update(), feed.update()
    mirror.receive(first, second, connection=ONE)
    stall(mirror)
    mirror.news()
    mirror.receive(first, connection=TWO)
    assert mirror.news() == []
    mirror.receive(second, connection=TWO)
    assert whats(mirror.news()) == ["LeaderChanged"]


def test_leader_that_is_left_far_behind_is_left(mirror: Mirror, feed: Feed) -> None:
    """It is mute, or much slower; readers are not to wait until that is proven."""
    mirror.receive(feed.update(), connection=TWO)
    mirror.now += S // 2
    mirror.receive(feed.update(), connection=TWO)
    assert mirror.news() == []
    mirror.now += S // 2
    mirror.receive(feed.update(), connection=TWO)
    assert whats(mirror.news()) == ["LeaderChanged", "update synthesised"]
    assert mirror.told(LeaderChanged)[0].reason == "behind"
    assert same(mirror.shown(), feed)


def test_leader_that_is_a_little_behind_goes_on(mirror: Mirror, feed: Feed) -> None:
    for _ in range(20):
        frame = feed.update()
        mirror.receive(frame, connection=TWO)
        mirror.now += S // 2
        mirror.receive(frame, connection=ONE)
    assert not mirror.told(LeaderChanged)


def test_snapshot_of_the_follower_that_is_stamped_later_does_not_put_it_ahead(mirror: Mirror, feed: Feed) -> None:
    mirror.disconnect(TWO)
    mirror.back(TWO, feed.snapshot(feed.model.best("bids"), feed.model.best("asks")))
    mirror.now += 5 * S
    frame = feed.update()
    mirror.receive(frame, connection=TWO)
    mirror.receive(frame, connection=ONE)
    assert not mirror.told(LeaderChanged)


def stall(mirror: Mirror, of: str = "book", connection: str = ONE) -> None:
    """As liveness tells it."""
    event = Stalled(
        of=of, symbol=BTC, silent_ns=1, limit_ns=1, evidence="silence", stamp=mirror.stamp(connection), n=mirror.core.n
    )
    mirror.session(connection)._out.events.append(event)
    mirror.core.handle_deadline(mirror.stamp(""))
    mirror._collect()


def test_leader_of_the_ticker_that_stalls_is_left_unless_the_other_stalls_too(mirror: Mirror) -> None:
    mirror.ask(Key("ticker", BTC, "trades"))
    mirror.news()
    stall(mirror, "ticker", TWO)
    stall(mirror, "ticker", ONE)
    assert whats(mirror.news()) == ["Stalled", "Stalled"]
    mirror.disconnect(TWO)
    mirror.back(TWO)
    stall(mirror, "ticker", ONE)
    assert whats(mirror.news()) == ["Stalled", "LeaderChanged"]


def test_stall_of_a_subscription_that_was_given_up_is_forgotten(mirror: Mirror) -> None:
    key = Key("ticker", BTC, "trades")
    mirror.ask(key)
    stall(mirror, "ticker", TWO)
    mirror.unsubscribe(key)
    mirror.acknowledge(*BOTH)
    mirror.ask(key)
    mirror.news()
    stall(mirror, "ticker", ONE)
    assert whats(mirror.news()) == ["Stalled", "LeaderChanged"]


# --- odd moments ------------------------------------------------------------------------------------------------------


def test_exchange_whose_clock_goes_back_is_believed_after_readers_were_told(mirror: Mirror, feed: Feed) -> None:
    feed._tick = 500
    mirror.receive(feed.update(), connection=ONE)
    mirror.disconnect(ONE)
    feed._tick = 20
    mirror.back(ONE, feed.snapshot([("98.0", "1.00000000")]))
    assert whats(mirror.news()) == ["update", "LeaderChanged"], "readers know of a later time"
    mirror.advance(1.1)
    assert whats(mirror.news()) == ["BookInvalidated", "snapshot synthesised", "BookResynced"]
    assert same(mirror.shown(), feed)


def test_book_of_the_leader_that_is_fetched_again_without_a_word(mirror: Mirror, feed: Feed) -> None:
    mirror.state(BTC, ONE).reset()
    mirror.receive(feed.update(), connection=TWO)
    assert whats(mirror.news()) == ["LeaderChanged", "update synthesised"]
    assert same(mirror.shown(), feed)


def test_book_that_is_subscribed_anew_on_both_is_empty_until_its_snapshot(mirror: Mirror, feed: Feed) -> None:
    mirror._read = len(mirror.actions)
    mirror.unsubscribe(book())
    mirror.subscribe(book())
    mirror.acknowledge(ONE)
    assert mirror.shown().status == "synced", "the other one has it still"
    mirror.acknowledge(TWO)
    assert mirror.shown().status == "empty"
    mirror.receive(feed.snapshot(), connection=ONE)
    assert same(mirror.shown(), feed)
    assert not mirror.told(BookInvalidated)


def test_candles_that_the_other_connection_has_are_not_asked_for(mirror: Mirror) -> None:
    mirror.ask(Key("ohlc", BTC, 1))
    mirror.both(ohlc())
    mirror.disconnect(ONE)
    mirror.receive(ohlc().replace(b"10:00:00", b"10:01:00"), connection=TWO)
    assert len(mirror.told(Ohlc)) == 2
    assert mirror.fetches() == []


def test_precisions_are_those_of_what_is_shown_too(mirror: Mirror) -> None:
    """A checksum that holds only at the instrument's precisions holds for readers as well."""
    mirror.ask(Key("instrument"), book(ETH))
    mirror.both(instrument(ETH, price_precision=2, qty_precision=3))
    right = Feed(ETH).model.apply([("5.10", "2.000")], [], snapshot=True)
    frame = v2_frame("snapshot", v2_element(ETH, [("5.1", "2")], [], right, timestamp(1)))
    mirror.news()
    assert whats(mirror.both(frame)) == ["snapshot"]
    assert [event.normalised for event in mirror.news()] == [True]
