"""What became of faults, judged from what both sides wrote down."""

from __future__ import annotations

from typing import Any

from soak.books import Believed
from soak.outcomes import FaultsVerdict, judge_faults, percentiles
from soak.stage import FaultLine
from soak.watched import Outcome
from soak.witness import GREETED, Told

S = 1_000_000_000
PEER = 77


def fault(number: int, kind: str = "lose_update", *, touched_s: int | None = 10, **more: Any) -> FaultLine:
    given: dict[str, Any] = {
        "injected_ns": 9 * S,
        "healed_ns": 11 * S,
        "touched": int(touched_s is not None),
        "touched_ns": None if touched_s is None else touched_s * S,
        "connection_id": PEER,
        "channel": "book",
        "symbol": "BTC/USD",
    }
    return FaultLine(id=number, kind=kind, **{**given, **more})


def outcome(name: str, *numbers: int, frame: int = 5) -> Outcome:
    return Outcome(
        faults=numbers,
        connection_id=PEER,
        symbol="BTC/USD",
        depth=10,
        outcome=name,
        frame=frame,
        touched_ns=10 * S,
        decided_ns=11 * S,
    )


def told(name: str, at_s: float, *, epoch: int = 0, frame: int | None = None, **fields: Any) -> Told:
    return Told(name=name, connection="public", epoch=epoch, at_ns=round(at_s * S), frame=frame, fields=fields)


def invalidated(at_s: float, frame: int | None, reason: str = "checksum") -> Told:
    return told("BookInvalidated", at_s, frame=frame, symbol="BTC/USD", depth=10, reason=reason)


HELLO = told(GREETED, 1, connection_id=PEER)
RESYNCED = told("BookResynced", 12, symbol="BTC/USD", depth=10, took_ns=S // 2)


def judge(faults: list[FaultLine], outcomes: list[Outcome], *events: Told, believed: Any = ()) -> FaultsVerdict:
    return judge_faults(faults, outcomes, [HELLO, *events], believed)


def test_difference_that_was_found_at_its_message_is_found() -> None:
    verdict = judge([fault(1)], [outcome("found", 1)], invalidated(11.5, 5), RESYNCED)
    assert verdict.outcomes == {"lose_update": {"found": 1}}
    assert (verdict.missed, verdict.alarms, verdict.detection) == ([], [], [1.5])
    assert verdict.resynced == [0.5]


def test_message_that_was_believed_although_something_differed_is_missed() -> None:
    believed = [Believed("public", "BTC/USD", 5, 11 * S)]
    verdict = judge([fault(1)], [outcome("found", 1)], believed=believed)
    assert verdict.outcomes == {"lose_update": {"missed": 1}}
    assert "BTC/USD at depth 10, lose_update 1" in verdict.missed[0]


def test_same_message_that_came_rightly_before_is_not_missed() -> None:
    believed = [Believed("public", "BTC/USD", 5, 8 * S)]
    assert judge([fault(1)], [outcome("found", 1)], believed=believed).missed == []


def test_message_that_met_no_book_is_withheld_and_others_are_counted_as_told() -> None:
    outcomes = [outcome("found", 1), outcome("healed", 2), outcome("outside", 3), outcome("gone", 4)]
    verdict = judge([fault(number) for number in (1, 2, 3, 4)], outcomes)
    assert verdict.outcomes == {"lose_update": {"withheld": 1, "healed": 1, "outside": 1, "gone": 1}}


def test_book_that_was_withheld_for_nothing_is_an_alarm() -> None:
    assert len(judge([fault(1)], [], invalidated(11.5, 6), RESYNCED).alarms) == 1
    assert judge([fault(1)], [], invalidated(11.5, None, "disconnected"), RESYNCED).alarms == []
    assert judge([fault(1, "clock_skew")], [], invalidated(11.5, 6, "timestamp"), RESYNCED).alarms == []


def test_connection_that_came_back_was_recovered_from() -> None:
    ends = told("Disconnected", 10.5, terminal=False), told("Reconnected", 13)
    verdict = judge([fault(1, "cut", symbol=None, channel=None)], [], *ends)
    assert verdict.recovered == {"cut": {"recovered": 1, "noticed": 1}}
    assert (verdict.reconnected, verdict.unrecovered) == ([2.5], [])


def test_connection_or_book_that_did_not_come_back_was_not() -> None:
    down = told("Disconnected", 10.5, terminal=False)
    assert judge([fault(1, "cut")], [], down).unrecovered == ["cut 1"]
    assert judge([fault(2, "thin_book")], [], invalidated(10.5, 5)).unrecovered == ["thin_book 2"]


def test_stall_is_timed_from_the_first_silence() -> None:
    stalled = told("Stalled", 10.75, of="book", symbol="BTC/USD")
    assert judge([fault(1, "mute")], [], stalled).stalled == [0.75]


def test_kind_that_touched_nothing_is_told() -> None:
    assert judge([fault(1, "delay", touched_s=None)], []).untouched == ["delay"]


def test_percentiles_of_nothing_are_none() -> None:
    assert percentiles([]) == {}
    assert percentiles([3.0, 1.0, 2.0]) == {"p50": 2.0, "p90": 3.0, "p99": 3.0, "max": 3.0}


def test_connection_that_the_client_had_left_finds_nothing_though_the_exchange_goes_on_with_it() -> None:
    # The same message came rightly over the connection that took its place.
    believed = [Believed("public", "BTC/USD", 5, 11 * S)]
    left = told("Disconnected", 10.5, terminal=False, reason="no frame for 4 s")
    verdict = judge([fault(1)], [outcome("found", 1)], left, told("Reconnected", 10.8), believed=believed)
    assert verdict.outcomes == {"lose_update": {"gone": 1}}
    assert verdict.missed == []
