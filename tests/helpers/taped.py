"""A client that lives through everything in a simulated exchange while a tape runs, and what becomes of it when played.

`python -m helpers.taped live DIRECTORY SECONDS SEED…` and `… play DIRECTORY - SEED…` do so in a process of its own,
under the kernel and the hash seed that its environment says.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from krakenwire import Client, ConnectBudget, KrakenwireError, Options
from krakenwire._version import __version__
from krakenwire.book import KERNEL
from krakenwire.events import CallbackFailed, CallbackSlow, Event, Stamp
from krakenwire.journal.files.directory import segment_name, segments
from krakenwire.journal.files.segments import read_blocks, read_head
from krakenwire.journal.files.zstd import CompressionParameter, ZstdCompressor
from krakenwire.journal.format import BlockWriter, close_block, read_block
from krakenwire.journal.format.lines import Head, Made, encode_action, encode_head, encode_input
from krakenwire.journal.playing.making import made_of
from krakenwire.journal.playing.player import Player
from krakenwire.protocol.core import Core
from krakenwire.protocol.inputs import Input
from krakenwire.protocol.outputs import Action
from krakenwire.protocol.report import EventLog, Report, make_report
from krakenwire.testing import Simulator

__all__ = ["SYMBOLS", "BlockTape", "Lived", "live", "make_head", "play"]

SYMBOLS = ["BTC/USD", "ETH/USD", "PEPE/USD"]
_ONE_FRAME: dict[int, int] = {CompressionParameter.checksum_flag: 1}


def make_head(made: Made, **fields: Any) -> Head:
    """The first line of a journal's first segment, or with `fields` of another one."""
    given: dict[str, Any] = {
        **{"format": 1, "journal": "0" * 32, "segment": 1, "run": 1, "is_first": True, "resumed": False, "n": 0},
        **{"received_ns": 0, "made": made, "endpoints": {}, "krakenwire": __version__, "kernel": KERNEL, "python": ""},
    }
    return Head(**given | fields)


class BlockTape:
    """A core's tape that keeps blocks in memory, and the recorder's log of what was published.

    Attributes:
        core: whose books are digested now and then, if it is set.
    """

    def __init__(self, made: Made, size: int = 20_000) -> None:
        self.head = make_head(made)
        self.log = EventLog()
        self.blocks: list[bytes] = []
        self.core: Core | None = None
        self._size = size
        self._writer = BlockWriter()

    def append_frame(self, frame: bytes, stamp: Stamp) -> None:
        self._writer.frame(frame, stamp)
        self._cut()

    def append_input(self, given: Input, stamp: Stamp | None) -> None:
        self._writer.line(encode_input(given, is_timed=stamp is not None), stamp)

    def append_actions(self, actions: list[Action]) -> None:
        for action in actions:
            self._writer.line(encode_action(action), None, is_input=False)

    def publish(self, events: Sequence[Event]) -> None:
        """Events that were published; those of the hub are no core's."""
        self.log.add([event for event in events if not isinstance(event, CallbackFailed | CallbackSlow)])
        if self.core is not None and not self.core.events and self._writer.size > self._size // 2:
            self._note_end(self.core, "rotated")  # the books are to be compared not only when all are gone
            self._take()

    def end(self, core: Core) -> Report:
        """The run is over."""
        report = self._note_end(core, "closed")
        self._take()
        return report

    def save(self, directory: Path) -> None:
        """Write it as a journal of one segment."""
        directory.mkdir(parents=True, exist_ok=True)
        text = b"\n".join([encode_head(self.head), b"".join(self.blocks)])
        whole = ZstdCompressor(options=_ONE_FRAME).compress(text, ZstdCompressor.FLUSH_FRAME)
        (directory / segment_name(1, 0)).write_bytes(whole)

    def _note_end(self, core: Core, how: str) -> Report:
        report = make_report(core, self.log, 1.0)
        end = {name: getattr(report, name) for name in ("frames", "events", "event_digest", "state_digest")}
        self._note("end", end | {"n": core.n, "closed": how})
        return report

    def _note(self, name: str, value: Any) -> None:
        self._writer.line(f"{name} {msgspec.json.encode(value).decode()}".encode(), None, is_input=False)

    def _cut(self) -> None:
        if self._writer.size > self._size:
            self._note("digest", [self.log.count, self.log.hexdigest()])
            self._take()

    def _take(self) -> None:
        if text := self._writer.take():
            self.blocks.append(close_block(text))


class Lived(msgspec.Struct, frozen=True):
    """What a live run ended with.

    Attributes:
        n: its last input.
        report: its figures.
    """

    n: int
    report: Report


# --- live ----------------------------------------------------------------------------------------------------------


async def live(seed: int, seconds: float) -> tuple[BlockTape, Lived]:
    """A client of a simulated exchange for so long, with faults, users that come and go, and a tape."""
    rng = Random(seed)
    mirror = seed % 2 == 1
    options = Options(
        seed=seed,
        message_burst=rng.choice([4, 100]),
        ack_timeout=5.0,
        idle_ping=rng.choice([3.0, 10.0]),
        ping_timeout=5.0,
        stall_after=5.0,
        probe_after=15.0,
        audit_every=10.0,
        backfill_timeout=20.0,
        resync_attempts=2,
        quarantine=5.0,
        rest_per_second=5.0,
    )
    wishes: dict[str, Any] = {
        "mirror": mirror,
        "book_audit": "mirror" if mirror and seed % 4 == 1 else "rest",
        "reconnect_every": timedelta(seconds=60) if seed % 3 else None,
    }
    tape = BlockTape(made_of(options, **wishes))
    async with Simulator(SYMBOLS, seed=seed, rate=40) as sim:
        kraken = sim.client(
            options=options, on_events=tape.publish, connect_budget=ConnectBudget(limit=10_000), **wishes
        )
        kraken.core.tape, tape.core = tape, kraken.core
        await sim.until(kraken.connect())
        await sim.advance(0.5)
        users = _Users(sim, kraken, rng)
        for _ in range(round(seconds)):
            users.step()
            _do_harm(sim, rng)
            await sim.advance(1.0)
        await users.end()
        await sim.until(kraken.close())
        return tape, Lived(kraken.core.n, tape.end(kraken.core))


class _Users:
    """Readers that are opened, read and closed again, by chance; one of them too slow."""

    def __init__(self, sim: Simulator, kraken: Client, rng: Random) -> None:
        self._sim, self._kraken, self._rng = sim, kraken, rng
        self._tasks: list[asyncio.Task[None]] = []
        for depth in (10, 100):
            self._begin(self._read(kraken.books("BTC/USD", depth=depth, policy="drop_oldest")))

    def step(self) -> None:
        kraken, rng = self._kraken, self._rng
        symbols = rng.sample(SYMBOLS, rng.randint(1, 3))
        chance = rng.random()
        if chance < 0.3:
            since = timedelta(seconds=rng.randint(1, 60)) if rng.random() < 0.4 else None
            self._begin(self._read(kraken.trades(*symbols, since=since)))
        elif chance < 0.5:
            depth = rng.choice([10, 25, 100])
            self._begin(self._read(kraken.books(*symbols, depth=depth, policy="drop_oldest")))
        elif chance < 0.6:
            self._begin(self._hold(symbols[0]))
        elif chance < 0.7:
            self._begin(self._read(kraken.ticker(*symbols, event_trigger=rng.choice(["bbo", "trades"]))))
        elif chance < 0.8:
            self._begin(self._read(kraken.ohlc(*symbols, interval=rng.choice([1, 5]))))
        elif chance < 0.85:
            self._begin(self._read(kraken.books("BTC/USD", capacity=8, policy="block", block_limit=2.0), 1.0))
        elif chance < 0.88:
            kraken.reconnect()
        elif self._tasks:
            rng.choice(self._tasks).cancel()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    async def _read(self, reader: Any, pause: float = 0.0) -> None:
        with suppress(KrakenwireError):
            async with reader:
                async for _ in reader:
                    if pause:
                        await self._kraken.sleep(pause)

    async def _hold(self, symbol: str) -> None:
        with suppress(KrakenwireError):
            async with self._kraken.book(symbol, 25) as book:
                await book.synced()
                await self._kraken.sleep(10.0)


_FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lose_update", {"channel": "book", "count": 2}),
    ("lose_update", {"channel": "trade", "count": 3}),
    ("lose_update", {"channel": "ohlc", "count": 2}),
    ("double_update", {"channel": "trade", "count": 1}),
    ("reorder_update", {"channel": "book", "count": 1}),
    ("corrupt_checksum", {"channel": "book", "count": 1}),
    ("crossed_book", {"count": 1}),
    ("mute", {"channel": "book", "duration": 20.0}),
    ("mute", {"channel": "trade", "duration": 20.0}),
    ("not_json", {}),
    ("cut", {"code": 1006}),
    ("cut", {"code": 1012}),
    ("half_open", {"duration": 8.0}),
    ("burst", {"duration": 1.0}),
    ("delay", {"seconds": 0.01, "up_to": 0.3, "duration": 2.0}),
    ("refuse_connect", {"status": 502, "count": 1, "duration": 5.0}),
    ("rate_limit", {"shape": "any", "method": "subscribe", "count": 1, "duration": 5.0}),
    ("refuse_subscription", {"error": "EService:Busy", "channel": "book", "duration": 3.0}),
    ("lose_reply", {"method": "subscribe", "count": 1, "duration": 5.0}),
    ("rest_error", {"status": 503, "count": 1, "duration": 5.0}),
    ("rewrite_rest", {"pattern": '"error"', "replacement": '"eror', "count": 1, "duration": 5.0}),
    ("maintenance", {"maintenance": 0.5, "cancel_only": 0.3, "post_only": 0.3}),
    ("instrument_status", {"symbol": "ETH/USD", "status": "post_only", "duration": 2.0}),
    ("precision_change", {"symbol": "ETH/USD", "price_precision": 3, "duration": 2.0}),
    ("thin_book", {"symbol": "PEPE/USD", "levels": 3, "duration": 2.0}),
    ("clock_skew", {"seconds": -0.25, "duration": 1.0}),
)


def _do_harm(sim: Simulator, rng: Random) -> None:
    if rng.random() < 0.4:
        kind, parameters = rng.choice(_FAULTS)
        with suppress(KrakenwireError):  # some cannot be twice at a time
            sim.inject(kind, **parameters)


# --- played --------------------------------------------------------------------------------------------------------


def play(directory: Path) -> tuple[Player, Lived]:
    """Play a journal."""
    player = Player()
    for segment in segments(directory):
        player.begin(read_head(segment.path))
        for block in read_blocks(segment.path):
            player.play(read_block(block.text))
    return player, Lived(player.core.n, player.report(1.0))


def main(command: str, directory: str, seconds: str, *seeds: str) -> None:
    """See the module: prints what each run ended with, a line each."""
    for seed in seeds:
        place = Path(directory, seed)
        if command == "live":
            tape, lived = asyncio.run(live(int(seed), float(seconds)))
            tape.save(place)
            _tell(lived)
        else:
            player, lived = play(place)
            _tell({"lived": lived, "different": player.different, "compared": player.compared})


def _tell(found: Any) -> None:
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
