"""What became of each fault: found, healed, outside the top ten, or how long it took to get over it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from krakenwire.clock import NS_PER_S

from .books import Believed
from .stage import FaultLine
from .watched import Outcome
from .witness import GREETED, Told

__all__ = ["FaultsVerdict", "Trouble", "altered_windows", "judge_faults", "percentiles"]

GRACE_NS = 2 * NS_PER_S
"""What is still on its way once a fault is over: held back by a burst, say."""

WAKE_NS = 5 * NS_PER_S
"""A trouble that begins so soon after a fault was over may be its wake."""

CLOCKS_NS = NS_PER_S // 1000
"""By which the clocks of two processes may differ."""

FOUND_BY_LOOKING = ("checksum", "crossed", "timestamp")


class Trouble(NamedTuple):
    """A stretch of time in which the client was not whole, as it told it itself.

    Attributes:
        connection, epoch: where; the epoch in which it began.
        symbol: of the book that was withheld; None if the connection was down.
        began_ns, ended_ns: UTC; None if it is not over.
    """

    connection: str
    epoch: int
    symbol: str | None
    began_ns: int
    ended_ns: int | None


class FaultsVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of all faults. Times are seconds.

    Attributes:
        injected, touched: faults, and those that touched anything, by kind.
        outcomes: by kind, how many were `found`, `missed`, `healed`, `outside`, `withheld` (the message did
            not come through, or found the book withheld already), `gone` (the connection ended before the next one).
        missed: each that had to be found at a message, with which the client gave the book out as proven.
        alarms: books withheld at a message for no fault that is known.
        recovered: by kind, of faults that are not about one book: how many the client got over, and noticed.
        unrecovered: each that it did not.
        detection: from the touch to `BookInvalidated`.
        reconnected: from `Disconnected` until everything was back.
        resynced: from `BookInvalidated` to `BookResynced`.
        stalled: from the touch of `mute` to `Stalled`.
    """

    injected: dict[str, int]
    touched: dict[str, int]
    outcomes: dict[str, dict[str, int]]
    missed: list[str]
    alarms: list[str]
    recovered: dict[str, dict[str, int]]
    unrecovered: list[str]
    detection: list[float]
    reconnected: list[float]
    resynced: list[float]
    stalled: list[float]

    @property
    def untouched(self) -> list[str]:
        """Kinds that never touched anything."""
        return [kind for kind in self.injected if not self.touched.get(kind)]


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Median, 90th, 99th and the most; empty for nothing."""
    if not values:
        return {}
    ordered = sorted(values)
    return {
        name: ordered[min(len(ordered) - 1, int(share * len(ordered)))]
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    }


def altered_windows(faults: Iterable[FaultLine]) -> list[tuple[int, int]]:
    """When the times that the exchange told were not its own."""
    far = 1 << 62
    return [
        (each.injected_ns - GRACE_NS, (each.healed_ns or far) + GRACE_NS)
        for each in faults
        if each.kind == "clock_skew"
    ]


def judge_faults(
    faults: Sequence[FaultLine], outcomes: Sequence[Outcome], told: Sequence[Told], believed: Iterable[Believed]
) -> FaultsVerdict:
    """Judge every fault from what the exchange and the client wrote down."""
    return _Judge(faults, outcomes, told, believed).verdict()


class _Judge:
    def __init__(
        self,
        faults: Sequence[FaultLine],
        outcomes: Sequence[Outcome],
        told: Sequence[Told],
        believed: Iterable[Believed],
    ) -> None:
        self._faults = faults
        self._outcomes = outcomes
        self._told = told
        self._believed = {(each.connection, each.symbol, each.frame): each.received_ns for each in believed}
        self._kinds = {each.id: each.kind for each in faults}
        self._where: dict[int, tuple[str, int]] = {}
        self._found: dict[tuple[str, int, str, int], int] = {}
        self._left: dict[tuple[str, int], int] = {}
        for each in told:
            if each.name == GREETED:
                self._where.setdefault(each.fields["connection_id"], (each.connection, each.epoch))
            elif each.name == "BookInvalidated" and each.frame is not None:
                self._found[each.connection, each.epoch, each.fields["symbol"], each.frame] = each.at_ns
            elif each.name == "Disconnected":
                self._left[each.connection, each.epoch] = each.at_ns
        self._troubles = list(_troubles(told))
        self._altered = altered_windows(faults)

    def verdict(self) -> FaultsVerdict:
        injected, touched = Counter(each.kind for each in self._faults), Counter[str]()
        for each in self._faults:
            touched[each.kind] += each.touched > 0
        outcomes, missed, detection = self._about_books()
        recovered, unrecovered = self._about_the_rest()
        down = [each for each in self._troubles if each.symbol is None]
        resynced = [each.fields["took_ns"] / NS_PER_S for each in self._told if each.name == "BookResynced"]
        return FaultsVerdict(
            injected=dict(injected),
            touched=dict(touched),
            outcomes=outcomes,
            missed=missed,
            alarms=list(self._alarms()),
            recovered=recovered,
            unrecovered=unrecovered,
            detection=detection,
            reconnected=[(each.ended_ns - each.began_ns) / NS_PER_S for each in down if each.ended_ns is not None],
            resynced=resynced,
            stalled=list(self._stalls()),
        )

    def _about_books(self) -> tuple[dict[str, dict[str, int]], list[str], list[float]]:
        counted: dict[str, Counter[str]] = defaultdict(Counter)
        missed: list[str] = []
        detection: list[float] = []
        for each in self._outcomes:
            outcome = each.outcome
            if outcome == "found":
                found_ns = self._found_ns(each)
                if found_ns is not None:
                    detection.append((found_ns - each.touched_ns) / NS_PER_S)
                elif self._has_left(each):
                    outcome = "gone"
                elif not self._is_believed(each):
                    outcome = "withheld"
                else:
                    outcome = "missed"
                    kinds = ", ".join(f"{self._kinds.get(number)} {number}" for number in each.faults)
                    missed.append(f"{each.symbol} at depth {each.depth}, {kinds}, sent at {each.decided_ns}")
            for number in each.faults:
                counted[self._kinds.get(number, "?")][outcome] += 1
        return {kind: dict(counts) for kind, counts in counted.items()}, missed, detection

    def _found_ns(self, outcome: Outcome) -> int | None:
        where = self._where.get(outcome.connection_id)
        return None if where is None else self._found.get((*where, outcome.symbol, outcome.frame))

    def _has_left(self, outcome: Outcome) -> bool:
        """Whether the client had left the connection by then: of a half-open one the exchange does not know."""
        where = self._where.get(outcome.connection_id)
        return where is not None and self._left.get(where, outcome.decided_ns) < outcome.decided_ns

    def _is_believed(self, outcome: Outcome) -> bool:
        """Whether the client gave a book out as proven with the message at which it had to find something."""
        connection, _ = self._where.get(outcome.connection_id, ("", 0))
        received_ns = self._believed.get((connection, outcome.symbol, outcome.frame), 0)
        # The same message may have come rightly before: over the other connection of a pair, or the first time.
        return received_ns >= outcome.decided_ns - CLOCKS_NS

    def _alarms(self) -> Iterable[str]:
        known = {
            (*where, each.symbol, each.frame)
            for each in self._outcomes
            if each.outcome == "found" and (where := self._where.get(each.connection_id)) is not None
        }
        for each in self._told:
            if each.name != "BookInvalidated" or each.fields["reason"] not in FOUND_BY_LOOKING:
                continue
            if (each.connection, each.epoch, each.fields["symbol"], each.frame) in known:
                continue
            if any(start <= each.at_ns <= end for start, end in self._altered):
                continue
            yield f"{each.fields['symbol']} on {each.connection}: {each.fields['reason']} at {each.at_ns}"

    def _about_the_rest(self) -> tuple[dict[str, dict[str, int]], list[str]]:
        about_books = {number for each in self._outcomes for number in each.faults}
        counted: dict[str, Counter[str]] = defaultdict(Counter)
        unrecovered: list[str] = []
        for fault in self._faults:
            if fault.id in about_books or fault.touched_ns is None:
                continue
            where = None if fault.connection_id is None else self._where.get(fault.connection_id)
            until_ns = (fault.healed_ns or fault.touched_ns) + WAKE_NS
            wake = [
                each
                for each in self._troubles
                if fault.touched_ns <= each.began_ns <= until_ns and where in (None, (each.connection, each.epoch))
            ]
            if any(each.ended_ns is None for each in wake):
                unrecovered.append(f"{fault.kind} {fault.id}")
            else:
                counted[fault.kind]["recovered"] += 1
            counted[fault.kind]["noticed"] += bool(wake)
        return {kind: dict(counts) for kind, counts in counted.items()}, unrecovered

    def _stalls(self) -> Iterable[float]:
        for fault in self._faults:
            if fault.kind != "mute" or fault.touched_ns is None:
                continue
            for each in self._told:
                if (
                    each.name == "Stalled"
                    and (each.fields["of"], each.fields["symbol"]) == (fault.channel, fault.symbol)
                    and fault.touched_ns <= each.at_ns <= (fault.healed_ns or each.at_ns)
                ):
                    yield (each.at_ns - fault.touched_ns) / NS_PER_S
                    break


def _troubles(told: Iterable[Told]) -> Iterable[Trouble]:
    """The stretches in which something was not whole: books withheld, connections down until all is back."""
    withheld: dict[tuple[str, str, int], Told] = {}
    down: dict[str, Told] = {}
    for each in told:
        fields: dict[str, Any] = each.fields
        if each.name == "BookInvalidated":
            withheld.setdefault((_pair(each), fields["symbol"], fields["depth"]), each)
        elif each.name == "BookResynced":
            began = withheld.pop((_pair(each), fields["symbol"], fields["depth"]), None)
            if began is not None:
                yield Trouble(began.connection, began.epoch, fields["symbol"], began.at_ns, each.at_ns)
        elif each.name == "Disconnected" and not fields["terminal"]:
            down.setdefault(each.connection, each)
        elif each.name == "Reconnected":
            began = down.pop(each.connection, None)
            if began is not None:
                yield Trouble(began.connection, began.epoch, None, began.at_ns, each.at_ns)
    for began in withheld.values():
        yield Trouble(began.connection, began.epoch, began.fields["symbol"], began.at_ns, None)
    for began in down.values():
        yield Trouble(began.connection, began.epoch, None, began.at_ns, None)


def _pair(told: Told) -> str:
    """Of a mirrored pair either connection may bring a book back."""
    return told.connection.partition("~")[0]
