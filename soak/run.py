"""The course of a soak: start both processes, let faults come, let all of it become whole again, and judge."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from krakenwire.errors import KrakenwireError

from .books import compare_all
from .caller import Caller
from .files import read_lines
from .journal import replay
from .market import MarketState
from .memory import LifeVerdict, MemoryState
from .outcomes import altered_windows, judge_faults
from .plan import Plan
from .process import Child, ChildDied
from .records import Shelf, read_true
from .stage import FaultLine, rescaled_symbols
from .tape import compare_tapes
from .user import Final, UserState
from .verdict import (
    Claim,
    Verdict,
    claims_of_books,
    claims_of_faults,
    claims_of_journal,
    claims_of_tape,
    claims_of_user,
    figures_of,
    figures_of_journal,
    memory_claims,
    memory_figures,
    some,
)
from .watched import Outcome, frames_of
from .witness import Told, gaps_of

__all__ = ["Run"]

COOL_DOWN_S = 3.0
"""For which the market goes on without faults, so that every stream shows what it lacks."""

TELL_EVERY_S = 10.0
"""Between two lines of progress where there is no terminal."""

SOCKETS, JOURNAL, MEMORY = "sockets", "journal", "memory"


class Run:
    """One soak.

    Args:
        plan: what is run.
        directory: where everything is written down; empty.
        quiet: print no progress.

    Attributes:
        verdict: when it is over, None if it could not start.
        failure: why it could not.
        is_interrupted: it is to end early.
    """

    def __init__(self, plan: Plan, directory: Path, *, quiet: bool) -> None:
        self.verdict: Verdict | None = None
        self.failure = ""
        self._plan = plan
        self._directory = directory
        self._quiet = quiet
        self._interrupted = asyncio.Event()
        self._printed = -TELL_EVERY_S
        self._claims: dict[str, list[Claim]] = {}
        self._figures: dict[str, dict[str, object]] = {}

    @property
    def is_interrupted(self) -> bool:
        """Whether it is to end early."""
        return self._interrupted.is_set()

    def interrupt(self) -> None:
        """End it early, with the verdict so far."""
        self._interrupted.set()

    async def go(self) -> None:
        """Do all of it. Cancellation: safe, all processes are ended."""
        plan = self._plan
        (self._directory / "plan").write_bytes(msgspec.json.encode(plan))
        self._print(
            f"soak: {plan.seconds:g} s on sockets with {plan.faults_per_second:g} faults a second, seed {plan.seed}"
        )
        self._print(f"relaxed (default): {plan.relaxed}")
        self._print("left out: close code 1008 and the statuses 429 and 503, after which a client must stay away")
        market = Child("soak.market", self._directory, MarketState)
        user = Child("soak.user", self._directory, UserState)
        try:
            try:
                at = await market.start()
                await user.start(at.last.url, at.last.rest_url)
                await user.do("begin")
            except (ChildDied, TimeoutError, OSError) as error:
                self.failure = str(error) or type(error).__name__
                return
            broken = await self._on_sockets(market, user)
        finally:
            await market.kill()
            await user.kill()
        await asyncio.to_thread(self._judge, broken)
        if plan.journal:
            self._print("the journal is replayed")
            await asyncio.to_thread(self._judge_journal)
        if plan.memory_faults and not self.is_interrupted:
            await self._in_memory()
        self.verdict = Verdict(plan=plan, claims=self._claims, figures=self._figures, interrupted=self.is_interrupted)

    # --- on sockets -------------------------------------------------------------------------------------------------

    async def _on_sockets(self, market: Child, user: Child) -> list[str]:
        """Faults for as long as planned, then none; what broke in the soak itself."""
        try:
            await market.do("go")
            async with Caller(market.last.rest_url):
                await self._watch(market, user)
            self._print("no more faults; everything is to become whole again")
            await market.do("heal")
            await asyncio.sleep(COOL_DOWN_S)
            await market.do("still")
            await user.do("finish", timeout=120)
            await user.do("end")
            await user.ended()
            await market.do("end")
            await market.ended()
        except (ChildDied, TimeoutError) as error:
            return [str(error) or "a process of the soak did not answer in time"]
        return []

    async def _watch(self, market: Child, user: Child) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while (elapsed := loop.time() - began) < self._plan.seconds and not self.is_interrupted:
            try:
                async with asyncio.timeout(min(1.0, self._plan.seconds - elapsed)):
                    await self._interrupted.wait()
            except TimeoutError:
                pass
            for child in (market, user):
                if not child.is_alive:
                    raise ChildDied(f"{child.name} ended in the midst of the soak")
            self._progress(loop.time() - began, market.last, user.last)

    def _progress(self, elapsed: float, market: MarketState, user: UserState) -> None:
        whole = f"{user.synced}/{user.books} books synced"
        self._print(
            f"{elapsed:6.0f} s  {user.messages:>10,} messages  {market.faults:>5} faults  {whole:<22}"
            f"  {user.rss / 2**20:6.1f} MiB  {user.troubles} errors",
            is_passing=True,
        )

    def _judge(self, broken: list[str]) -> None:
        directory = self._directory
        exchange, client = Shelf(directory / "exchange"), Shelf(directory / "client")
        faults = list(read_lines(directory / "faults", FaultLine))
        outcomes: list[Outcome] = list(read_lines(directory / "outcomes", Outcome))
        told: list[Told] = list(read_lines(directory / "told", Told))
        books = compare_all(
            exchange, client, altered_windows(faults), frames_of(outcomes), is_mirrored=self._plan.mirror
        )
        verdict = judge_faults(faults, outcomes, told, books.believed)
        claims = [
            *claims_of_books(books),
            *claims_of_faults(verdict, is_cut_short=self.is_interrupted),
            *claims_of_tape(compare_tapes(exchange, client, gaps_of(told), rescaled_symbols(faults))),
        ]
        figures: dict[str, object] = {}
        final_path = directory / "final"
        if final_path.exists():
            final = msgspec.json.decode(final_path.read_bytes(), type=Final)
            late_path = directory / "late"
            late = msgspec.json.decode(late_path.read_bytes(), type=list[str]) if late_path.exists() else []
            claims += claims_of_user(final, late, _wrong_at_end(exchange, final))
            figures = self._figures_of(final)
        errors_path = directory / "errors"
        errors = msgspec.json.decode(errors_path.read_bytes(), type=list[str]) if errors_path.exists() else []
        claims.append(
            Claim("the soak itself is sound", f"{len(errors)} errors of the exchange{some(errors)}", not errors)
        )
        claims.append(Claim("both processes came to their end", "; ".join(broken) or "they did", not broken))
        self._claims[SOCKETS] = claims
        self._figures[SOCKETS] = {**figures, **figures_of(verdict)}

    def _judge_journal(self) -> None:
        path = self._directory / "final"
        final = msgspec.json.decode(path.read_bytes(), type=Final) if path.exists() else None
        recorded = None if final is None else final.recorded
        try:
            replayed = replay(self._directory / "journal")
        except KrakenwireError as error:
            self._claims[JOURNAL] = [Claim("it can be played", str(error), False)]
            return
        self._claims[JOURNAL] = claims_of_journal(replayed, recorded, [] if final is None else final.rss)
        self._figures[JOURNAL] = figures_of_journal(replayed, recorded)

    def _figures_of(self, final: Final) -> dict[str, object]:
        messages = sum(final.by_name.get(name, 0) for name in ("BookUpdate", "Trade", "Ticker", "Ohlc"))
        told = {name: count for name, count in sorted(final.by_name.items()) if name[0] in "BCDGLRS" and count}
        return {
            "messages": f"{messages:,}, {messages / max(len(final.rss), 1):,.0f} a second",
            "events": ", ".join(f"{name} {count:,}" for name, count in told.items()),
            "statistics": ", ".join(f"{name} {value:,}" for name, value in final.statistics.items() if value),
        }

    # --- in memory --------------------------------------------------------------------------------------------------

    async def _in_memory(self) -> None:
        self._print(f"in memory: {self._plan.memory_faults:,} faults on a manual clock")
        memory = Child("soak.memory", self._directory, MemoryState)
        broken = ""
        try:
            await memory.start()
            while memory.is_alive and not self.is_interrupted:
                await asyncio.sleep(0.2)
                if memory.last is not None:
                    self._print(
                        f"in memory: {memory.last.faults:,} faults, {memory.last.messages:,} messages", is_passing=True
                    )
            if not self.is_interrupted:
                await memory.ended()
        except ChildDied as error:
            broken = str(error)
        finally:
            await memory.kill()
        path = self._directory / "memory"
        if path.exists():
            total = msgspec.json.decode(path.read_bytes(), type=LifeVerdict)
            self._claims[MEMORY] = memory_claims(total, is_cut_short=self.is_interrupted)
            self._figures[MEMORY] = memory_figures(total)
        if broken or not path.exists():
            self._claims.setdefault(MEMORY, []).append(
                Claim("the process came to its end", broken or "it wrote nothing", self.is_interrupted)
            )

    def _print(self, text: str, *, is_passing: bool = False) -> None:
        if self._quiet:
            return
        if not is_passing:
            print(text, flush=True)
        elif sys.stdout.isatty():
            print(f"\r{text}\033[K", end="", flush=True)
        elif (now := asyncio.get_running_loop().time()) - self._printed >= TELL_EVERY_S:
            self._printed = now
            print(text, flush=True)


def _wrong_at_end(exchange: Shelf, final: Final) -> list[str]:
    """The books that are not the exchange's when all is over."""
    wrong = []
    for symbol, depth, is_synced, digest in final.books:
        true = read_true(exchange.data(f"true={symbol.replace('/', '_')}"))
        if not is_synced or not true or true[-1].digest != digest:
            wrong.append(f"{symbol} at depth {depth}{'' if is_synced else ', not synced'}")
    return wrong
