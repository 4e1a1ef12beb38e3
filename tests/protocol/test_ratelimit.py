"""The pacer: never more than its burst and its rate, and slower when it is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from krakenwire.protocol.ratelimit import Pacer

S = 1_000_000_000


def send_all(pacer: Pacer, moments: list[int]) -> list[int]:
    """Try at each moment, and at the earliest allowed one after it, in order; when messages went out."""
    sent: list[int] = []
    now = 0
    for moment in moments:
        now = max(now, moment, pacer.ready_at(max(now, moment)))
        assert pacer.ready_at(now) <= now, "what was said to be ready is ready"
        pacer.record(now)
        sent.append(now)
    return sent


@given(
    rate=st.sampled_from([0.5, 1.0, 3.0, 4.0, 50.0]),
    burst=st.integers(1, 8),
    pauses=st.lists(st.integers(0, 3 * S), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_burst_and_rate_allow(rate: float, burst: int, pauses: list[int]) -> None:
    moments = [sum(pauses[: i + 1]) for i in range(len(pauses))]
    sent = send_all(Pacer(rate, burst), moments)
    interval = round(S / rate)
    for i, first in enumerate(sent):
        for j in range(i, len(sent)):
            assert j - i + 1 <= burst + (sent[j] - first) // interval


@given(burst=st.integers(1, 8), pause=st.integers(0, 20 * S))
def test_nothing_waits_longer_than_it_must(burst: int, pause: int) -> None:
    pacer = Pacer(2.0, burst)
    sent = send_all(pacer, [pause] * (burst + 3))
    assert sent == [pause] * burst + [pause + (i + 1) * S // 2 for i in range(3)]


def test_pause_fills_the_bucket_but_never_beyond_the_burst() -> None:
    pacer = Pacer(4.0, 2)
    send_all(pacer, [0, 0])
    assert send_all(pacer, [1000 * S] * 3) == [1000 * S, 1000 * S, 1000 * S + S // 4]


def test_slowing_down_takes_the_credit_and_halves_the_rate() -> None:
    pacer = Pacer(4.0, 4)
    pacer.record(0)
    pacer.slow_down(0)
    assert send_all(pacer, [0, 0, 0]) == [S // 2, S, 3 * S // 2]


def test_many_refusals_of_one_message_slow_down_once() -> None:
    pacer = Pacer(4.0, 4)
    pacer.record(0)
    for _ in range(100):
        pacer.slow_down(0)
    assert pacer.ready_at(0) == S // 2


def test_rate_falls_to_an_eighth_and_no_further() -> None:
    pacer = Pacer(4.0, 1)
    waits = []
    for moment in range(0, 500 * S, 50 * S):
        pacer.record(moment)
        pacer.slow_down(moment)
        waits.append(pacer.ready_at(moment) - moment)
    assert waits[:4] == [S // 2, S, 2 * S, 2 * S]
    assert set(waits[2:]) == {2 * S}


def test_rate_is_the_normal_one_again_a_minute_after_the_last_complaint() -> None:
    pacer = Pacer(4.0, 1)
    pacer.record(0)
    pacer.slow_down(0)
    pacer.record(30 * S)
    assert pacer.ready_at(30 * S) == 30 * S + S // 2
    pacer.record(60 * S)
    assert pacer.ready_at(60 * S) == 60 * S + S // 4


def test_reset_gives_the_full_bucket_at_the_normal_rate() -> None:
    pacer = Pacer(4.0, 3)
    send_all(pacer, [0, 0, 0])
    pacer.slow_down(0)
    pacer.reset()
    assert send_all(pacer, [0, 0, 0, 0]) == [0, 0, 0, S // 4]
