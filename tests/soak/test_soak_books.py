"""The comparison of what was given out with what was: it must be able to find each kind of wrong."""

from __future__ import annotations

import pytest

from soak.books import compare
from soak.records import Served, Truth

A, B, C = b"aaaaaaaa", b"bbbbbbbb", b"cccccccc"
TRUTH = [Truth(1_000, A), Truth(2_000, B), Truth(3_000, A), Truth(4_000, C)]
NAME = "served=BTC_USD=public=10"


def served(exchange_ns: int, digest: bytes, *, snapshot: bool = False, at: int = 0, frame: int = 0) -> Served:
    return Served(exchange_ns, at, digest, snapshot, frame)


def wrongs(*books: Served, altered: tuple[tuple[int, int], ...] = (), exact: bool = True) -> list[str]:
    return [each.why for each in compare(NAME, TRUTH, books, altered, exact=exact).wrong]


def test_books_as_they_were_are_right() -> None:
    verdict = compare(NAME, TRUTH, [served(1_000, A), served(2_000, B), served(4_000, C)], (), exact=True)
    assert (verdict.compared, verdict.altered, verdict.wrong) == (3, 0, [])


def test_snapshot_between_two_changes_is_the_book_of_the_first() -> None:
    assert wrongs(served(2_500, B, snapshot=True)) == []
    assert wrongs(served(2_500, A, snapshot=True)) == ["of another time"]


def test_update_at_depth_10_bears_the_time_of_a_change() -> None:
    assert wrongs(served(2_500, B)) == ["of another time"]
    assert wrongs(served(2_500, B), exact=False) == []


def test_book_that_never_was_is_wrong() -> None:
    assert wrongs(served(2_000, b"otherone")) == ["of no time"]


def test_book_of_another_time_is_wrong() -> None:
    assert wrongs(served(2_000, C)) == ["of another time"]


def test_books_go_forward_only() -> None:
    assert wrongs(served(3_000, A), served(2_000, B)) == ["older than the last"]


def test_time_that_a_fault_altered_is_looked_past_while_it_was_at_work() -> None:
    book = served(999_999, B, at=50)
    assert wrongs(book, altered=((40, 60),)) == []
    assert wrongs(book, altered=((60, 70),)) == ["of another time"]
    assert wrongs(served(999_999, b"otherone", at=50), altered=((40, 60),)) == ["of no time"]


def test_altered_time_does_not_hide_an_older_book() -> None:
    assert wrongs(served(4_000, C), served(999_999, B, at=50), altered=((40, 60),)) == ["of another time"]


def test_book_with_a_message_that_had_to_be_found_out_is_told() -> None:
    verdict = compare(NAME, TRUTH, [served(1_000, A, frame=7), served(2_000, B, frame=8)], (), exact=True, suspect={8})
    assert [(each.connection, each.symbol, each.frame) for each in verdict.believed] == [("public", "BTC/USD", 8)]


@pytest.mark.parametrize("digest", [A, B])
def test_nothing_is_right_before_the_first_truth(digest: bytes) -> None:
    assert wrongs(served(500, digest, snapshot=True)) == ["of another time"]
