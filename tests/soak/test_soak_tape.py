"""The comparison of trades: what is lost, told, doubled, out of order or not as it was is counted as that."""

from __future__ import annotations

from soak.records import Traded
from soak.tape import TapeVerdict, compare_tape

TAPE = [Traded(number, b"trade%03d" % number) for number in range(1, 11)]


def pick(*numbers: int) -> list[Traded]:
    return [TAPE[number - 1] for number in numbers]


def test_all_from_the_first_given_on_is_wanted_and_nothing_before() -> None:
    assert compare_tape(TAPE, pick(*range(4, 11)), ()) == TapeVerdict(7, 0, 0, 0, 0, 0, 0)


def test_hole_and_missing_end_are_lost_and_what_was_told_is_counted() -> None:
    verdict = compare_tape(TAPE, pick(1, 2, 5, 6, 7, 8), [(3, 4)])
    assert (verdict.lost, verdict.told) == (4, 2)


def test_trade_given_twice_is_doubled() -> None:
    assert compare_tape(TAPE, pick(*range(1, 11), 3), ()).doubled == 1


def test_trade_behind_a_later_one_is_out_of_order() -> None:
    assert compare_tape(TAPE, pick(1, 2, 4, 3, *range(5, 11)), ()).disordered == 1


def test_trade_that_says_something_else_is_different_unless_its_decimals_changed() -> None:
    given = [*pick(*range(1, 10)), Traded(10, b"otherone")]
    assert compare_tape(TAPE, given, ()).different == 1
    assert compare_tape(TAPE, given, (), is_rescaled=True).rounded == 1


def test_client_that_was_given_nothing_has_lost_nothing() -> None:
    assert compare_tape(TAPE, [], ()) == TapeVerdict(0, 0, 0, 0, 0, 0, 0)
