"""A small recorded run of a core, without any exchange, and journals made of it by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from helpers.taped import BlockTape
from helpers.wire import Feed, Wire, acks, book, instrument, trades
from krakenwire.journal.format import close_block, read_block
from krakenwire.journal.playing.making import made_of
from krakenwire.journal.playing.player import Player
from krakenwire.journal.states.state import load_core
from krakenwire.protocol.subscriptions import Key

__all__ = ["SmallRun", "edited", "played"]


class SmallRun:
    """A core with a tape: a book, trades, a further connection, a loss.

    Attributes:
        wire: drives the core.
        tape: of it; `blocks` are complete only after `end`.
    """

    def __init__(self) -> None:
        self.wire = Wire()
        self.tape = BlockTape(made_of(self.wire.core.options), size=400)
        self.wire.core.tape = self.tape
        self.feed = Feed()
        self._told = 0

    def begin(self) -> None:
        wire = self.wire
        wire.start()
        wire.subscribe(Key("instrument"), Key("trade", "BTC/USD"), book())
        self.answer()
        wire.receive(instrument(), trades(1, 2, kind="snapshot"), self.feed.snapshot())
        self.publish()

    def go_on(self) -> None:
        wire = self.wire
        for price in ("100.1", "100.2", "100.3"):
            wire.receive(self.feed.update(bids=[(price, "1.5")]))
            wire.receive(trades(3), trades(4), b"no frame of Kraken's")
            wire.advance(3)
            self.publish()
        wire.subscribe(book(depth=100))
        wire.connect("public-2")
        self.answer("public-2")
        self.publish()

    def lose(self) -> None:
        wire = self.wire
        wire.disconnect(code=1006)
        wire.advance(1)
        wire.connect()
        self.answer()
        wire.receive(self.feed.snapshot())
        wire.receive(self.feed.update(bids=[("100.1", "2.5")]))
        self.publish()

    def answer(self, connection: str = "public") -> None:
        for request in self.wire.sent(connection):
            self.wire.receive(*(acks(request) if request["method"] == "subscribe" else ()), connection=connection)

    def publish(self) -> None:
        self.tape.publish(self.wire.log[self._told :])
        self._told = len(self.wire.log)

    def end(self) -> BlockTape:
        self.publish()
        self.wire.core.tape = None
        self.tape.end(self.wire.core)
        return self.tape


def edited(blocks: Iterable[bytes], edit: Callable[[list[bytes]], list[bytes]]) -> list[bytes]:
    """The blocks with their lines (without first, `at` and `crc`) edited, and proven again."""
    made = []
    for text in blocks:
        first, at, *lines = text.split(b"\n")[:-2]
        made.append(close_block(b"\n".join([first, at, *edit(lines), b""])))
    return made


def played(tape: BlockTape, blocks: Iterable[bytes] | None = None) -> Player:
    """Play what was recorded, or `blocks` instead."""
    player = Player(load=load_core)
    player.begin(tape.head)
    for text in tape.blocks if blocks is None else blocks:
        player.play(read_block(text))
    return player
