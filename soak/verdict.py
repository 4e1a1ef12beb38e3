"""The verdict: one line for each thing that must hold, with what was measured, and what else is worth knowing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec

from krakenwire.sim.faults import KINDS

from .books import BooksVerdict
from .journal import Recorded, Replayed
from .memory import LifeVerdict
from .memory_use import growth_of
from .outcomes import FaultsVerdict, percentiles
from .plan import Plan
from .tape import TapeVerdict
from .user import Final

__all__ = [
    "Claim",
    "Verdict",
    "claims_of_books",
    "claims_of_faults",
    "claims_of_journal",
    "claims_of_tape",
    "claims_of_user",
    "figures_of",
    "figures_of_journal",
    "memory_claims",
    "memory_figures",
    "render",
    "some",
]

SHOWN = 5
"""Of what went wrong; `--keep` has all."""

JUDGED_SECONDS = 300
"""Samples of the memory below which its growth is told, but not judged: each first backfill of its size leaves a step
in Python's own pools, and in a short run there are few that are not first."""

MOST_GROWTH = 0.05

WITHOUT_REST = ("rest_error", "rewrite_rest")
"""Kinds that need somebody who calls REST."""


class Claim(NamedTuple):
    """Something that must hold.

    Attributes:
        what: must hold.
        measured: what was seen, in words.
        holds: whether it does; None is only told.
    """

    what: str
    measured: str
    holds: bool | None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """All of it.

    Attributes:
        plan: what was run.
        claims: what must hold, by phase.
        figures: what else was measured.
        interrupted: it was ended early.
    """

    plan: Plan
    claims: dict[str, list[Claim]]
    figures: dict[str, Any]
    interrupted: bool

    @property
    def holds(self) -> bool:
        """Whether everything does."""
        return all(claim.holds is not False for claims in self.claims.values() for claim in claims)


def some(wrong: Sequence[object]) -> str:
    """The first of what went wrong, to stand behind a count; empty if nothing did."""
    shown = "; ".join(map(str, wrong[:SHOWN]))
    return f": {shown}{' …' if len(wrong) > SHOWN else ''}" if wrong else ""


def claims_of_books(verdict: BooksVerdict) -> list[Claim]:
    """Of every book that was given out as proven."""
    return [
        Claim(
            "no book with a wrong top ten was given out as synced",
            f"{len(verdict.wrong)} of {verdict.compared:,} wrong"
            f" ({verdict.altered:,} under a time that a fault had altered){some(verdict.wrong)}",
            verdict.compared > 0 and not verdict.wrong,
        )
    ]


def claims_of_faults(verdict: FaultsVerdict, *, is_cut_short: bool, without: Collection[str] = ()) -> list[Claim]:
    """Of the faults."""
    total, touched = sum(verdict.injected.values()), sum(verdict.touched.values())
    wanted = len(KINDS) - len(without)
    never = [kind for kind in KINDS if not verdict.touched.get(kind) and kind not in without]
    found = sum(counts.get("found", 0) for counts in verdict.outcomes.values())
    return [
        Claim(
            "every kind of fault took place",
            f"{total:,} injected, {touched:,} touched something, {wanted - len(never)} of {wanted} kinds"
            + (f"; never: {', '.join(never)}" if never else ""),
            None if is_cut_short or total < 2 * len(KINDS) else not never,
        ),
        Claim(
            "what differed at the next message was found at that message",
            f"{found:,} found, {len(verdict.missed)} missed{some(verdict.missed)}",
            not verdict.missed,
        ),
        Claim(
            "no book was withheld for nothing",
            f"{len(verdict.alarms)} alarms that no fault explains{some(verdict.alarms)}",
            not verdict.alarms,
        ),
        Claim(
            "the client got over every fault",
            f"{len(verdict.unrecovered)} it did not get over{some(verdict.unrecovered)}",
            not verdict.unrecovered,
        ),
    ]


def claims_of_tape(verdict: TapeVerdict) -> list[Claim]:
    """Of the trades."""
    return [
        Claim(
            "no trade was lost",
            f"{verdict.lost} of {verdict.given:,} lost, {verdict.told} of them told",
            not verdict.lost,
        ),
        Claim(
            "each trade was given once, in order, as it was",
            f"{verdict.doubled} doubled, {verdict.disordered} out of order, {verdict.different} different"
            f" ({verdict.rounded} rounded by a change of decimals)",
            not (verdict.doubled or verdict.disordered or verdict.different),
        ),
    ]


def claims_of_user(final: Final, late: Sequence[str], wrong_at_end: Sequence[str]) -> list[Claim]:
    """Of the client's process."""
    inexact = [each for each in final.accounts if not each.is_exact]
    growth = growth_of(final.rss)
    troubles = [*final.troubles, *(each for each in late if each not in final.troubles)]
    grown = "too short to tell"
    if growth is not None:
        grown = f"{growth.share:+.1%}, from {growth.start / 2**20:.1f} to {growth.end / 2**20:.1f} MiB"
    judged = growth is not None and len(final.rss) >= JUDGED_SECONDS
    return [
        Claim(
            "at the end every book is the exchange's",
            f"{len(final.books) - len(wrong_at_end)} of {len(final.books)}, whole after {final.waited:.1f} s"
            + some(wrong_at_end),
            not wrong_at_end,
        ),
        Claim(
            "every reader's account is exact",
            "; ".join(
                f"{each.policy}: {each.delivered:,} delivered + {each.waiting:,} waiting + {each.dropped:,} dropped"
                f" + {each.conflated:,} conflated of {each.published:,}"
                + (f", cut off {each.overruns} times" if each.overruns else "")
                for each in final.accounts
            )
            + some(inexact),
            not inexact,
        ),
        Claim(
            "memory does not grow after the warm-up",
            grown + ("" if judged else f" (judged from {JUDGED_SECONDS} s on)"),
            growth is not None and growth.share < MOST_GROWTH if judged else None,
        ),
        Claim("nothing went wrong unseen", f"{len(troubles)} errors{some(troubles)}", not troubles),
    ]


def figures_of(verdict: FaultsVerdict) -> dict[str, Any]:
    """What is told of the faults beside the claims."""
    return {
        "faults": {
            kind: {
                "injected": verdict.injected.get(kind, 0),
                "touched": verdict.touched.get(kind, 0),
                **verdict.outcomes.get(kind, {}),
                **verdict.recovered.get(kind, {}),
            }
            for kind in KINDS
            if verdict.injected.get(kind)
        },
        "seconds": {
            "detection": percentiles(verdict.detection),
            "resynced": percentiles(verdict.resynced),
            "reconnected": percentiles(verdict.reconnected),
            "stall found": percentiles(verdict.stalled),
        },
    }


def memory_claims(total: LifeVerdict, *, is_cut_short: bool = False) -> list[Claim]:
    """Of all lives in memory."""
    return [
        *claims_of_books(total.books),
        *claims_of_faults(total.faults, is_cut_short=is_cut_short, without=WITHOUT_REST),
        *claims_of_tape(total.tape),
        Claim(
            "at the end every book is synced",
            f"{len(total.unsynced)} were not{some(total.unsynced)}",
            not total.unsynced,
        ),
        Claim("nothing went wrong unseen", f"{len(total.troubles)} errors{some(total.troubles)}", not total.troubles),
    ]


def memory_figures(total: LifeVerdict) -> dict[str, Any]:
    """What is told of them."""
    return {"lives": total.lives, "messages": f"{total.messages:,}", **figures_of(total.faults)}


def claims_of_journal(replayed: Replayed, recorded: Recorded | None, rss: Sequence[int]) -> list[Claim]:
    """What must hold of it.

    Args:
        replayed: what came of playing it.
        recorded: what the client says; None if it did not come to its end.
        rss: bytes of memory that were resident in the client's process, second by second.
    """
    events, books = replayed.compared
    is_same = not replayed.different and events > 0
    live = "not known"
    if recorded is not None and recorded.event_digest is not None:
        is_same = is_same and recorded.event_digest == replayed.event_digest
        is_same = is_same and recorded.state_digest == replayed.state_digest
        live = _digests(recorded)
    lost = _lost(recorded, replayed)
    return [
        Claim(
            "a replay has the same event_digest and state_digest, and no action differs",
            f"live {live}, replayed {_digests(replayed)}; {events:,} digests of events and {books:,} of books on"
            f" the way came out the same; {replayed.different:,} differences{some(replayed.differences)}",
            is_same,
        ),
        Claim(
            "nothing was lost in recording",
            f"{replayed.frames:,} frames; {len(lost)} losses{some(lost)}",
            not lost,
        ),
        Claim("memory does not grow because of it", *_growth(recorded, rss)),
    ]


def figures_of_journal(replayed: Replayed, recorded: Recorded | None) -> dict[str, Any]:
    """What is told of it beside the claims."""
    speed = replayed.frames / max(replayed.seconds, 1e-9)
    figures = {
        "played": f"{replayed.frames:,} frames, {replayed.events:,} events in {replayed.seconds:.1f} s"
        f" ({speed:,.0f} frames a second)"
    }
    if recorded is not None:
        raw, written = recorded.statistics["raw_bytes"], recorded.statistics["written_bytes"]
        figures["written"] = (
            f"{recorded.statistics['segments']} segments, {written / 2**20:.1f} MiB"
            f" of {raw / 2**20:.1f} MiB of text ({raw / max(written, 1):.1f}:1)"
        )
    return figures


def _digests(each: Recorded | Replayed) -> str:
    return f"{(each.event_digest or '')[:12]} {(each.state_digest or '')[:12]}"


def _lost(recorded: Recorded | None, replayed: Replayed) -> list[str]:
    lost = [f"inputs {hole.first:,} to {hole.last:,}: {hole.reason}" for hole in replayed.holes]
    lost += replayed.damage
    if recorded is not None:
        told = ((name, recorded.statistics[name]) for name in ("gaps", "lost", "failures"))
        lost += [f"{name} {count:,}" for name, count in told if count]
    return lost


def _growth(recorded: Recorded | None, rss: Sequence[int]) -> tuple[str, bool | None]:
    growth = growth_of(list(rss))
    waiting = "" if recorded is None else f"; at most {recorded.most_waiting / 2**20:.1f} MiB waited for the disk"
    if growth is None:
        return f"too short to tell{waiting}", None
    is_judged = len(rss) >= JUDGED_SECONDS
    judged = "" if is_judged else f" (judged from {JUDGED_SECONDS} s on)"
    grown = f"{growth.share:+.1%} while it was written, from {growth.start / 2**20:.1f} to {growth.end / 2**20:.1f} MiB"
    return f"{grown}{waiting}{judged}", growth.share < MOST_GROWTH if is_judged else None


COLUMNS = ("injected", "touched", "found", "healed", "outside", "withheld", "gone", "missed", "noticed", "recovered")


def render(verdict: Verdict) -> str:
    """The verdict as text."""
    lines: list[str] = []
    for phase, figures in verdict.figures.items():
        lines += ["", f"== {phase}"]
        lines += [f"  {name}: {value}" for name, value in figures.items() if name not in ("faults", "seconds")]
        if faults := figures.get("faults"):
            lines.append(f"  {'fault':<20}" + "".join(f"{name:>10}" for name in COLUMNS))
            for kind, counts in faults.items():
                lines.append(f"  {kind:<20}" + "".join(f"{counts.get(name, '') or '':>10}" for name in COLUMNS))
        for name, values in figures.get("seconds", {}).items():
            if values:
                text = ", ".join(f"{which} {value:.3f} s" for which, value in values.items())
                lines.append(f"  {name}: {text}")
    lines += ["", "== verdict"]
    for phase, claims in verdict.claims.items():
        for claim in claims:
            word = {True: "holds", False: "FAILS", None: "told"}[claim.holds]
            lines.append(f"  {word}  {phase}: {claim.what}")
            lines.append(f"         {claim.measured}")
    if verdict.interrupted:
        lines.append("  interrupted: this is the verdict so far")
    lines.append(f"  {'all holds' if verdict.holds else 'something is wrong'} (seed {verdict.plan.seed})")
    return "\n".join(lines)
