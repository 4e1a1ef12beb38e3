"""When a wrong book is fetched again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.protocol.books.resync import Recovered, ResyncPolicy, Retry
from krakenwire.protocol.options import Options

S = 1_000_000_000
X = "BTC/USD"


def policy(seed: int = 0, **options: float) -> ResyncPolicy:
    return ResyncPolicy(Options(**options), random.Random(seed))  # type: ignore[arg-type]  # some are whole


def test_first_failure_is_answered_at_once() -> None:
    assert policy().failed(X, 100 * S) == Retry(100 * S, 1, quarantined=False)


@given(seed=st.integers(0, 2**32), backoff=st.sampled_from([0.0, 0.5, 1.0, 3.0]))
def test_later_failures_wait_within_a_window_that_doubles(seed: int, backoff: float) -> None:
    books = policy(seed, resync_backoff=backoff, resync_attempts=6)
    now = 100 * S
    books.failed(X, now)
    for number in range(2, 7):
        retry = books.failed(X, now)
        assert retry.attempts == number
        assert not retry.quarantined
        assert now <= retry.not_before <= now + backoff * 2.0 ** (number - 2) * S
        now += S


def test_jitter_uses_the_whole_window() -> None:
    waits = []
    for seed in range(200):
        books = policy(seed, resync_backoff=8.0)
        books.failed(X, 100 * S)
        waits.append(books.failed(X, 100 * S).not_before - 100 * S)
    assert min(waits) < S
    assert max(waits) > 7 * S


def test_book_is_quarantined_after_all_attempts_and_longer_each_time_up_to_the_limit() -> None:
    books = policy(resync_attempts=2, quarantine=60.0, quarantine_limit=200.0)
    now = 1000 * S
    for expected in (60, 120, 200, 200):
        assert [books.failed(X, now).quarantined for _ in range(2)] == [False, False]
        retry = books.failed(X, now)
        assert retry == Retry(now + expected * S, 3, quarantined=True)
        now = retry.not_before


def test_book_that_never_recovers_is_handled_for_ever() -> None:
    books = policy(resync_attempts=1)
    for _ in range(5000):
        retry = books.failed(X, 100 * S)
    assert retry.not_before <= 1000 * S
    patient = policy(resync_attempts=5000, resync_backoff=1e-9)
    for _ in range(3000):
        retry = patient.failed(X, 100 * S)
    assert not retry.quarantined


def test_book_that_is_still_tried_waits_no_longer_than_one_in_quarantine() -> None:
    waits = []
    for seed in range(50):
        books = policy(seed, resync_attempts=40, resync_backoff=0.2, quarantine=2.0)
        waits += [books.failed(X, 100 * S).not_before - 100 * S for _ in range(40)]
    assert S < max(waits) <= 2 * S


def test_recovery_tells_how_long_it_took_and_how_many_snapshots() -> None:
    books = policy()
    for moment in (100, 101, 103):
        books.failed(X, moment * S)
    assert books.synced(X, 110 * S) == Recovered(10 * S, 3)
    assert books.synced(X, 111 * S) is None


def test_first_snapshot_of_a_book_is_no_recovery() -> None:
    assert policy().synced(X, 100 * S) is None


def test_loss_without_fault_counts_an_attempt_but_no_failure() -> None:
    books = policy()
    books.synced(X, 100 * S)
    books.lost(X, 101 * S)
    assert books.failed(X, 105 * S) == Retry(105 * S, 1, quarantined=False)
    assert books.synced(X, 106 * S) == Recovered(5 * S, 2)


@pytest.mark.parametrize("how", ["failed", "lost"])
def test_stable_book_has_its_failures_forgotten(how: str) -> None:
    books = policy(stable=30.0, resync_backoff=4.0)
    for _ in range(3):
        books.failed(X, 100 * S)
    books.synced(X, 101 * S)
    if how == "lost":
        books.lost(X, 131 * S)
    assert books.failed(X, 131 * S) == Retry(131 * S, 1, quarantined=False)


def test_book_that_fails_again_soon_keeps_its_failures() -> None:
    books = policy(stable=30.0)
    for _ in range(3):
        books.failed(X, 100 * S)
    books.synced(X, 101 * S)
    assert books.failed(X, 130 * S).attempts == 4


def test_forgotten_book_begins_anew_and_others_are_not_touched() -> None:
    books = policy()
    for _ in range(3):
        books.failed(X, 100 * S)
        books.failed("ETH/USD", 100 * S)
    books.forget(X)
    books.forget("XRP/USD")
    assert books.failed(X, 100 * S).attempts == 1
    assert books.failed("ETH/USD", 100 * S).attempts == 4
