from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.clock import NS_PER_S
from krakenwire.errors import UsageError
from krakenwire.net.backoff import Backoff, ConnectBudget, reconnects

SECONDS = st.integers(0, 10_000)


def make(seed: int = 7, *, initial: float = 0.5, fast_attempts: int = 2) -> Backoff:
    return Backoff(random.Random(seed), initial=initial, fast_attempts=fast_attempts)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1005, 1006, 1007, 1009, 1011, 1012, 1013, 4000])
def test_every_close_code_but_1008_reconnects(code: int) -> None:
    assert reconnects(code)


def test_policy_violation_is_terminal() -> None:
    assert not reconnects(1008)


def test_nothing_has_failed_so_there_is_no_delay() -> None:
    assert make().next_delay(123) == 0.0


@given(seed=st.integers(), failures=st.integers(1, 200))
def test_delays_stay_within_their_bounds(seed: int, failures: int) -> None:
    backoff = make(seed)
    for count in range(1, failures + 1):
        backoff.record_failure(0)
        delay = backoff.next_delay(0)
        bound = 0.1 if count <= 2 else min(0.5 * 2.0 ** (count - 3), 30.0)
        assert 0.0 <= delay <= bound


def test_jitter_is_full_so_the_bound_and_almost_zero_are_both_approached() -> None:
    delays = []
    for seed in range(400):
        backoff = make(seed, fast_attempts=0, initial=8.0)
        backoff.record_failure(0)
        delays.append(backoff.next_delay(0))
    assert min(delays) < 0.5
    assert max(delays) > 7.5


def test_the_same_seed_draws_the_same_delays() -> None:
    def delays() -> list[float]:
        backoff, drawn = make(42), []
        for i in range(10):
            backoff.record_failure(i)
            drawn.append(backoff.next_delay(i))
        return drawn

    assert delays() == delays()


def test_delay_runs_down_with_time_and_asking_draws_nothing() -> None:
    backoff = make(fast_attempts=0, initial=10.0)
    backoff.record_failure(0)
    delay = backoff.next_delay(0)
    assert backoff.next_delay(0) == delay
    assert backoff.next_delay(NS_PER_S // 10) == pytest.approx(delay - 0.1)
    assert backoff.next_delay(11 * NS_PER_S) == 0.0


def test_failures_are_forgotten_after_thirty_seconds_of_data() -> None:
    backoff = make()
    for _ in range(5):
        backoff.record_failure(0)
    backoff.record_data(100 * NS_PER_S)
    backoff.record_data(130 * NS_PER_S - 1)
    assert backoff.failures == 5
    backoff.record_data(130 * NS_PER_S)
    assert backoff.failures == 0
    assert backoff.next_delay(130 * NS_PER_S) == 0.0


def test_a_failure_between_starts_the_thirty_seconds_anew() -> None:
    backoff = make()
    backoff.record_failure(0)
    backoff.record_data(1 * NS_PER_S)
    backoff.record_failure(20 * NS_PER_S)
    backoff.record_data(21 * NS_PER_S)
    backoff.record_data(50 * NS_PER_S)
    assert backoff.failures == 2
    backoff.record_data(51 * NS_PER_S)
    assert backoff.failures == 0


@given(gaps=st.lists(st.integers(0, 29 * NS_PER_S), max_size=50))
def test_connections_shorter_than_the_stable_time_never_reset_the_count(gaps: list[int]) -> None:
    backoff, now = make(), 0
    for count, gap in enumerate(gaps, 1):
        backoff.record_data(now)
        now += gap
        backoff.record_data(now)
        backoff.record_failure(now)
        assert backoff.failures == count


@given(retry_after=st.floats(0, 3600), failures=st.integers(1, 20))
def test_ban_window_is_always_waited_for(retry_after: float, failures: int) -> None:
    backoff = make()
    for _ in range(failures):
        backoff.record_failure(0, retry_after)
    assert retry_after - 1e-6 <= backoff.next_delay(0) <= retry_after + 30.0


@pytest.mark.parametrize(
    "options", [{"initial": 0}, {"initial": 5, "maximum": 1}, {"fast_attempts": -1}, {"stable_seconds": -1}]
)
def test_contradictory_bounds_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected 0 < initial"):
        Backoff(random.Random(7), **options)  # type: ignore[arg-type]  # fast_attempts is given an int


@given(
    limit=st.integers(1, 8),
    window=st.integers(1, 50),
    pauses=st.lists(st.integers(0, 40 * NS_PER_S), max_size=80),
)
def test_budget_is_never_exceeded_in_any_window(limit: int, window: int, pauses: list[int]) -> None:
    budget, now, attempts = ConnectBudget(limit, window), 0, list[int]()
    for pause in pauses:
        now += pause
        now += budget.wait_ns(now)
        assert budget.wait_ns(now) == 0
        budget.record(now)
        attempts.append(now)
    for first, beyond in zip(attempts, attempts[limit:], strict=False):
        assert beyond - first >= window * NS_PER_S


@given(limit=st.integers(1, 5), times=st.lists(SECONDS, min_size=1, max_size=30).map(sorted))
def test_budget_makes_nobody_wait_who_stays_below_it(limit: int, times: list[int]) -> None:
    budget, recorded = ConnectBudget(limit, 600.0), list[int]()
    for second in times:
        recent = [t for t in recorded if t > second - 600]
        wait = budget.wait_ns(second * NS_PER_S)
        assert (wait == 0) == (len(recent) < limit)
        if wait == 0:
            budget.record(second * NS_PER_S)
            recorded.append(second)


def test_budget_frees_one_attempt_as_the_oldest_leaves_the_window() -> None:
    budget = ConnectBudget(limit=120, window=600.0)
    for second in range(120):
        assert budget.wait_ns(second * NS_PER_S) == 0
        budget.record(second * NS_PER_S)
    assert budget.wait_ns(120 * NS_PER_S) == 480 * NS_PER_S
    assert budget.wait_ns(600 * NS_PER_S - 1) == 1
    assert budget.wait_ns(600 * NS_PER_S) == 0
    budget.record(600 * NS_PER_S)
    assert budget.wait_ns(600 * NS_PER_S) == 1 * NS_PER_S


def test_a_storm_of_failures_is_spread_by_backoff_and_budget_together() -> None:
    backoff, budget, now, attempts = make(), ConnectBudget(), 0, list[int]()
    while now < 3600 * NS_PER_S:
        now += max(round(backoff.next_delay(now) * NS_PER_S), budget.wait_ns(now))
        budget.record(now)
        attempts.append(now)
        backoff.record_failure(now)
    assert all(b - a <= 30 * NS_PER_S for a, b in pairwise(attempts))
    assert len(attempts) < 6 * 120


@pytest.mark.parametrize(("limit", "window"), [(0, 600.0), (120, 0.0)])
def test_a_budget_of_nothing_is_refused(limit: int, window: float) -> None:
    with pytest.raises(UsageError, match="expected limit >= 1"):
        ConnectBudget(limit, window)
