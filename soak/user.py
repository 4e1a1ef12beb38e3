"""The client's process: everything a user would hold, read by readers of every policy, and a witness beside it.

    python -m soak.user DIRECTORY URL REST_URL < commands

Commands on its input, a line each: `begin` counts from here; `finish` waits until everything is whole again, and says
what came of it; `end` closes the client.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec

from krakenwire import Client, Endpoints
from krakenwire.book import Book
from krakenwire.events import CallbackFailed, CallbackSlow, Event
from krakenwire.protocol.report import EventLog, state_digest

from .complaints import keep_errors
from .digest import digest_of, texts_of
from .files import Lines
from .journal import Recorded, options_of
from .memory_use import give_back, resident_bytes
from .plan import DEPTH, SYMBOLS, Plan, deep_books
from .process import commands, say
from .readers import Account, Readers
from .records import Shelf
from .witness import Told, Witness

__all__ = ["Final", "UserState"]

WHOLE_S = 60.0
"""By which everything must be whole again once the faults are over."""

QUIET_S = 1.0
"""Without an event, once the market stands still, after which all of them have come."""


class UserState(msgspec.Struct, frozen=True, kw_only=True):
    """How the client stands.

    Attributes:
        did: the command that was done, or nothing.
        messages: of market data, given out so far.
        verified: books proven so far.
        synced, books: books that are synced now, of how many.
        rss: bytes of memory resident now.
        troubles: what was logged as an error, or reached the loop's handler.
    """

    did: str
    messages: int
    verified: int
    synced: int
    books: int
    rss: int
    troubles: int


class Final(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it, on the client's side.

    Attributes:
        accounts: of each reader.
        books: symbol, depth, whether synced, and the digest of the top ten of each book held, at the end.
        by_name: events, by name.
        statistics: of the client.
        troubles: what was logged as an error, reached the loop's handler, or ended a reader.
        rss: bytes resident, second by second.
        waited: seconds until everything was whole again after the last fault.
        recorded: of its journal, if there is one.
    """

    accounts: list[Account]
    books: list[tuple[str, int, bool, bytes]]
    by_name: dict[str, int]
    statistics: dict[str, Any]
    troubles: list[str]
    rss: list[int]
    waited: float
    recorded: Recorded | None


class _User:
    """The client and all that is read of it."""

    def __init__(self, plan: Plan, directory: Path, url: str, rest_url: str) -> None:
        self.troubles: list[str] = []
        self.rss: list[int] = []
        self.shelf = Shelf(directory / "client")
        self.told = Lines(directory / "told")
        self.log = EventLog()
        self.most_waiting = 0
        self.is_recorded = plan.journal
        self.is_alone = not plan.io_thread
        """Nothing comes while we look."""
        self.kraken = Client(
            Endpoints(public=url, rest=rest_url),
            options=plan.options,
            connect_budget=plan.budget,
            mirror=plan.mirror,
            io_thread=plan.io_thread,
            journal=options_of(directory, plan.seconds) if plan.journal else None,
            on_events=self._see,
        )
        self.witness = Witness(self.kraken.core, self.shelf, self._tell)
        self.readers = Readers(self.kraken, SYMBOLS)
        self.books: list[Book] = []
        self.is_over = False
        self._stack = AsyncExitStack()
        keep_errors(self.troubles)
        asyncio.get_running_loop().set_exception_handler(self._handle)

    async def open(self) -> None:
        """Connect, and hold all there is to hold."""
        await self._stack.enter_async_context(self.kraken)
        await self.readers.open()
        wanted = [(symbol, DEPTH) for symbol in SYMBOLS]
        wanted += [(symbol, depth) for depth in (100, 1000) for symbol in deep_books(depth)]
        for symbol, depth in wanted:
            self.books.append(await self._stack.enter_async_context(self.kraken.book(symbol, depth)))
        for book in self.books:
            await book.synced(timeout=30)

    async def close(self) -> None:
        """End everything."""
        await self.readers.close()
        await self._stack.aclose()
        self.shelf.close()
        self.told.close()

    def state(self, did: str) -> UserState:
        """How it stands."""
        return UserState(
            did=did,
            messages=self.witness.messages,
            verified=self.witness.verified,
            synced=sum(book.is_synced for book in self.books),
            books=len(self.books),
            rss=resident_bytes(),
            troubles=len(self.troubles),
        )

    def tick(self) -> None:
        """A second has passed."""
        give_back()
        self.rss.append(resident_bytes())
        if (journal := self.kraken.recording()) is not None:
            self.most_waiting = max(self.most_waiting, journal.backlog_bytes)
        say(self.state(""))

    async def quiet(self) -> None:
        """Wait until no more events come."""
        before = -1
        while before != self.witness.by_name.total() - self.witness.by_name["Heartbeat"]:
            before = self.witness.by_name.total() - self.witness.by_name["Heartbeat"]
            await asyncio.sleep(QUIET_S)

    async def whole(self, last: dict[str, int]) -> float:
        """Wait until all is quiet, every book synced and every trade there, but not for ever; how long it took.

        Args:
            last: number of the exchange's last trade of each symbol.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        with suppress(TimeoutError):
            async with asyncio.timeout(WHOLE_S):
                is_whole = False
                while not is_whole:
                    for book in self.books:
                        await book.synced()
                    for symbol, number in last.items():
                        await self._given(symbol, number)
                    whole_at = loop.time()
                    await self.quiet()
                    is_whole = all(book.is_synced for book in self.books)
                return whole_at - began
        return WHOLE_S

    async def _given(self, symbol: str, number: int) -> None:
        """Wait until that trade was given out."""
        async with self.kraken.trades(symbol, on_loss="yield") as trades:
            while self.witness.last.get(symbol, 0) < number:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await anext(trades)

    def final(self, waited: float) -> Final:
        """What came of it."""
        return Final(
            accounts=self.readers.accounts(),
            books=[(book.symbol, book.depth, book.is_synced, _digest(book)) for book in self.books],
            by_name=dict(self.witness.by_name),
            statistics=msgspec.to_builtins(self.kraken.statistics()),
            troubles=[*self.troubles, *(f"a reader ended with {error!r}" for error in self.readers.failures)],
            rss=self.rss,
            waited=waited,
            recorded=self.end_recording(),
        )

    def end_recording(self) -> Recorded | None:
        """End the journal; what a replay of it must come to."""
        statistics = self.kraken.recording()
        if statistics is None:
            return None
        self.kraken.end_recording()
        return Recorded(
            statistics=msgspec.to_builtins(statistics),
            most_waiting=self.most_waiting,
            event_digest=self.log.hexdigest() if self.is_alone else None,
            state_digest=state_digest(self.kraken.core) if self.is_alone else None,
        )

    def _tell(self, told: Told) -> None:
        if not self.is_over:  # its own end is no trouble
            self.told.write(told)

    def _see(self, events: Sequence[Event]) -> None:
        self.witness.see(events)
        if self.is_recorded and self.is_alone:
            self.log.add([event for event in events if not isinstance(event, CallbackFailed | CallbackSlow)])

    def _handle(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.troubles.append(f"loop: {context.get('message')}: {context.get('exception')!r}")


def _digest(book: Book) -> bytes:
    last = book.stale
    return digest_of(*(map(",".join, texts_of(side[:DEPTH])) for side in (last.bids, last.asks)))


async def use(plan: Plan, directory: Path, url: str, rest_url: str) -> None:
    """Use the client until told to end. Cancellation: safe."""
    user = _User(plan, directory, url, rest_url)
    async with commands(user.tick) as told:
        try:
            await user.open()
            say(user.state("ready"))
            async for command in told:
                if command == "begin":
                    await user.quiet()
                    user.readers.begin()
                elif command == "finish":
                    last = msgspec.json.decode((directory / "last").read_bytes(), type=dict[str, int])
                    waited = await user.whole(last)
                    (directory / "final").write_bytes(msgspec.json.encode(user.final(waited)))
                    user.is_over = True
                say(user.state(command))
                if command == "end":
                    break
        finally:
            await user.close()
    # What is said when a task is destroyed comes by the log or the loop's handler: late, but not too late.
    (directory / "late").write_bytes(msgspec.json.encode(user.troubles))


def main() -> None:
    """Use a client as the file `plan` in the directory says."""
    directory = Path(sys.argv[1])
    plan = msgspec.json.decode((directory / "plan").read_bytes(), type=Plan)
    asyncio.run(use(plan, directory, sys.argv[2], sys.argv[3]))


if __name__ == "__main__":
    main()
