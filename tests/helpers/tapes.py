"""Journals as small as can be, written by hand: for tests of what plays them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from krakenwire import Client
from krakenwire.events import Stamp
from krakenwire.journal.files.directory import segment_name
from krakenwire.journal.files.zstd import ZstdCompressor
from krakenwire.journal.format import BlockWriter, close_block
from krakenwire.journal.format.lines import FORMAT, Head, encode_action, encode_head, encode_input
from krakenwire.journal.playing.making import made_of
from krakenwire.protocol.inputs import Input
from krakenwire.protocol.outputs import Action
from krakenwire.sim.market.market import SIMULATED_START_NS
from krakenwire.testing import Simulator

__all__ = ["TapeWriter", "record", "tape_of"]

BLOCK_BYTES = 4096
"""Small, so that there are many blocks."""


class TapeWriter:
    """A `Tape` that keeps blocks in memory until it is closed.

    Args:
        directory: made if it is not there; a further segment of the journal that is in it.
        head: the first line.
    """

    def __init__(self, directory: Path, head: Head) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / segment_name(head.segment, head.received_ns)
        self.texts = [encode_head(head) + b"\n"]
        self.frames = 0
        self._writer = BlockWriter(head.n)
        self._is_closed = False

    def append_frame(self, frame: bytes, stamp: Stamp) -> None:
        self.frames += 1
        self._writer.frame(bytes(frame), stamp)
        self._flush(BLOCK_BYTES)

    def append_input(self, given: Input, stamp: Stamp | None) -> None:
        self._writer.line(encode_input(given, is_timed=stamp is not None), stamp)
        self._flush(BLOCK_BYTES)

    def append_actions(self, actions: Iterable[Action]) -> None:
        for action in actions:
            self._writer.line(encode_action(action), None, is_input=False)

    def append_note(self, line: bytes) -> None:
        self._writer.line(line, None, is_input=False)

    def close(self) -> None:
        """Write the file; harmless if done before."""
        if not self._is_closed:
            self._is_closed = True
            self._flush(1)
            self.path.write_bytes(b"".join(map(_compressed, self.texts)))

    def _flush(self, size: int) -> None:
        if self._writer.size >= size:
            self.texts.append(close_block(self._writer.take()))


def record(client: Client, directory: Path, *, run: int = 1, segment: int = 1) -> TapeWriter:
    """Record what `client` does from now on; it is not connected yet."""
    settings = client._feed.settings
    head = Head(
        format=FORMAT,
        journal="0" * 32,
        segment=segment,
        run=run,
        is_first=True,
        resumed=False,
        n=0,
        received_ns=settings.clock.now_ns(),
        made=made_of(
            settings.options,
            mirror=settings.mirror,
            book_audit=settings.book_audit,
            reconnect_every=settings.reconnect_every,
        ),
        endpoints={},
        krakenwire="0",
        kernel="pure",
        python="3",
    )
    tape = TapeWriter(directory, head)
    client.core.tape = tape
    return tape


def _compressed(text: bytes) -> bytes:
    compressor = ZstdCompressor(level=1)
    return compressor.compress(text, ZstdCompressor.FLUSH_FRAME)


async def tape_of(
    directory: Path,
    *,
    seconds: float = 6.0,
    seed: int = 7,
    rate: float = 40.0,
    symbols: Iterable[str] = ("BTC/USD", "ETH/USD"),
    faults: Iterable[str] = (),
    depth: int = 10,
    run: int = 1,
    segment: int = 1,
    start_ns: int = SIMULATED_START_NS,
    **options: Any,
) -> list[Any]:
    """Record a simulated market: trades, books, tickers and candles of `symbols`; all events that there were."""
    symbols = list(symbols)
    seen: list[Any] = []
    async with Simulator(symbols=symbols, seed=seed, rate=rate, faults=list(faults), start_ns=start_ns) as sim:
        client = sim.client(on_events=seen.extend, **options)
        tape = record(client, directory, run=run, segment=segment)
        async with client as kraken, AsyncExitStack() as stack:
            stream = kraken.stream("trade", "book", "ticker", "ohlc", symbols=symbols, depth=depth, on_loss="yield")
            await sim.until(stack.enter_async_context(stream))
            await sim.advance(seconds)
    tape.close()
    return seen
