"""What a fault makes of the book of a client that believes everything."""

from __future__ import annotations

import random

import pytest

from krakenwire.sim.feed.feed import Feed, Stream
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market
from soak.shadow import Shadow, sent_checksum, sent_timestamp


class Life:
    """A market of one symbol, and the frames of one depth of it."""

    def __init__(self, depth: int = 10, seed: int = 1) -> None:
        self.market = Market(tuple(select(["BTC/USD"])), seed=seed)
        self.feed = Feed(self.market)
        self.stream = Stream("book", "BTC/USD", depth)
        self.feed.watch(self.stream)
        self.book = self.market.book("BTC/USD")

    def next(self) -> bytes:
        while True:
            for stream, frame in self.feed.updates(self.market.step()):
                if stream == self.stream:
                    return frame

    def shadow(self) -> Shadow:
        return Shadow(self.book, self.stream.number, is_held=True)


def test_nothing_is_found_while_nothing_is_wrong() -> None:
    life = Life()
    shadow = life.shadow()
    assert {shadow.take(life.next()) for _ in range(300)} == {"healed"}


def test_lost_update_is_found_at_the_next_message_or_healed_there() -> None:
    outcomes = set()
    for seed in range(40):
        life = Life(seed=seed)
        shadow = life.shadow()
        life.next()  # lost
        outcomes.add(shadow.take(life.next()))
    assert outcomes == {"found", "healed"}


def test_update_lost_below_the_top_ten_stays_outside() -> None:
    outcomes = set()
    for seed in range(40):
        life = Life(depth=1000, seed=seed)
        shadow = life.shadow()
        life.next()
        outcomes.add(shadow.take(life.next()))
    assert "outside" in outcomes


def test_wrong_checksum_is_found_at_its_own_message() -> None:
    life = Life()
    shadow, frame = life.shadow(), life.next()
    wrong = frame.replace(b'"checksum":%d' % (sent_checksum(frame) or 0), b'"checksum":1')
    assert shadow.take(wrong) == "found"


def test_message_behind_a_later_one_is_found_by_its_time() -> None:
    life = Life()
    shadow = life.shadow()
    first = life.next()
    assert shadow.take(first) == "healed"
    assert shadow.take(life.next()) == "healed"
    assert shadow.take(first) == "found"


def test_time_altered_to_that_of_an_earlier_message_does_not_make_a_right_book_wrong() -> None:
    life = Life()
    shadow = life.shadow()
    first = life.next()
    shadow.note(first)
    assert shadow.take(first) == "healed"
    shadow.note(life.next())  # lost
    snapshot = life.feed.snapshot(life.stream)
    shadow.note(snapshot)
    assert sent_checksum(snapshot) != sent_checksum(first)
    skewed = snapshot.replace(sent_timestamp(snapshot), sent_timestamp(first))
    assert shadow.take(skewed) == "healed"


def test_lost_update_is_found_although_the_time_of_the_next_is_altered_to_that_of_an_earlier_message() -> None:
    outcomes = set()
    for seed in range(40):
        life = Life(seed=seed)
        shadow, first = life.shadow(), life.next()
        shadow.note(first)
        shadow.take(first)
        shadow.note(life.next())  # lost
        later = life.next()
        shadow.note(later)
        outcomes.add(shadow.take(later.replace(sent_timestamp(later), sent_timestamp(first))))
    assert outcomes == {"found", "healed"}


def test_book_that_is_not_held_begins_with_its_snapshot() -> None:
    life = Life()
    shadow = Shadow(life.book, 10, is_held=False)
    assert shadow.take(life.next()) is None
    assert shadow.take(life.feed.snapshot(life.stream)) == "healed"
    assert shadow.take(life.next()) == "healed"


@pytest.mark.parametrize("seed", range(5))
def test_text_that_is_no_book_says_nothing(seed: int) -> None:
    life = Life()
    frame = life.next()
    cut = frame[: random.Random(seed).randrange(1, len(frame) - 1)]
    assert life.shadow().take(cut) is None
