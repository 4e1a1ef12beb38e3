"""The exchange's clock, estimated from its answers: within the bound it gives, whatever the way was like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from helpers.wire import S, Wire, ack, book
from krakenwire.book import format_timestamp
from krakenwire.events import Stamp
from krakenwire.protocol.clockoffset import MAX_PENDING, WINDOW_NS, ClockOffset

START = 1_700_000_000_000_000_000
MS = 1_000_000


def ask(
    clock: ClockOffset, *, at: int, ahead: int, there: int, work: int = 0, back: int, utc: int = START, digits: int = 9
) -> Stamp:
    """A request at monotonic `at` to an exchange `ahead` of our UTC, which is at `utc` when monotonic time is 0."""
    clock.sent(at, at)
    time_in = utc + at + there + ahead
    stamp = Stamp("public", 0, utc + at + there + work + back, at + there + work + back)
    clock.answered(at, format_timestamp(time_in, digits), format_timestamp(time_in + work, digits), stamp)
    return stamp


@given(
    st.integers(-(10**12), 10**12),
    st.lists(st.tuples(*[st.integers(0, 500 * MS)] * 3), min_size=1, max_size=20),
)
def test_the_true_offset_is_within_the_bound(ahead: int, requests: list[tuple[int, int, int]]) -> None:
    clock = ClockOffset()
    for number, (there, work, back) in enumerate(requests):
        now = ask(clock, at=number * 1000 * MS, ahead=ahead, there=there, work=work, back=back)
    found = clock.estimate(now)
    assert found is not None
    assert abs(found.offset_ns - ahead) <= found.uncertainty_ns + 1
    drift = 20 * 1000 * MS * 15 // 1_000_000
    assert found.uncertainty_ns <= min(there + back for there, _, back in requests) // 2 + 1 + drift


def test_the_quickest_answer_is_believed() -> None:
    clock = ClockOffset()
    ask(clock, at=0, ahead=7 * MS, there=1 * MS, back=1 * MS)
    now = ask(clock, at=1000 * MS, ahead=7 * MS, there=90 * MS, back=0)
    found = clock.estimate(now)
    assert found is not None
    assert found.offset_ns == 7 * MS
    assert 1 * MS <= found.uncertainty_ns < 1.1 * MS


def test_an_old_answer_is_worth_less_and_then_nothing() -> None:
    clock = ClockOffset()
    now = ask(clock, at=0, ahead=0, there=0, back=0)
    later = Stamp("public", 0, START + WINDOW_NS, WINDOW_NS)
    assert clock.estimate(now) == (0, 0)
    assert clock.estimate(later) == (0, WINDOW_NS * 15 // 1_000_000)
    assert clock.estimate(Stamp("public", 0, START + WINDOW_NS + 1, WINDOW_NS + 1)) is None


def test_when_our_clock_is_set_the_offset_follows_at_once() -> None:
    clock = ClockOffset()
    now = ask(clock, at=0, ahead=5 * MS, there=MS, back=MS)
    moved = Stamp("public", 0, now.received_ns + 300 * MS, now.received_mono_ns)
    found = clock.estimate(moved)
    assert found is not None
    assert found.offset_ns == 5 * MS - 300 * MS


def test_when_the_clock_of_the_exchange_is_set_the_next_answer_tells() -> None:
    clock = ClockOffset()
    ask(clock, at=0, ahead=5 * MS, there=0, back=0)
    now = ask(clock, at=1000 * MS, ahead=-2000 * MS, there=30 * MS, back=30 * MS)
    assert clock.estimate(now) == (-2000 * MS, 30 * MS)


def test_only_the_first_answer_to_a_request_counts() -> None:
    clock = ClockOffset()
    clock.sent(1, 0)
    times = format_timestamp(START, 9), format_timestamp(START, 9)
    clock.answered(1, *times, Stamp("public", 0, START, 0))
    clock.answered(1, *times, Stamp("public", 0, START + 1000 * MS, 1000 * MS))
    clock.answered(2, *times, Stamp("public", 0, START, 0))
    clock.answered(None, *times, Stamp("public", 0, START, 0))
    assert clock.estimate(Stamp("public", 0, START, 0)) == (0, 0)


def test_answers_without_usable_times_are_passed_over() -> None:
    clock = ClockOffset()
    now = Stamp("public", 0, START, MS)
    good = format_timestamp(START, 9)
    for number, times in enumerate(
        [
            (None, good),
            (good, None),
            ("yesterday", good),
            (format_timestamp(START + 1, 9), good),  # answered before it was received
            (good, format_timestamp(START + 2 * MS, 9)),  # took longer than all of it
        ]
    ):
        clock.sent(number, 0)
        clock.answered(number, *times, now)
    assert clock.estimate(now) is None


def test_nothing_is_kept_for_requests_that_are_never_answered() -> None:
    clock = ClockOffset()
    for number in range(3 * MAX_PENDING):
        clock.sent(number, number)
    assert len(clock._sent) == MAX_PENDING
    clock.disconnected()
    assert not clock._sent


# --- where answers come in -------------------------------------------------------------------------------------------


def under_way(wire: Wire, seconds: float) -> dict[str, str]:
    """Time passes, half of it there and half back; the times of an exchange whose clock is two seconds ahead."""
    half = round(seconds * S) // 2
    wire.now += half
    time = format_timestamp(wire.stamp().received_ns + 2 * S, 9)
    wire.now += half
    return {"time_in": time, "time_out": time}


def test_the_answer_to_a_subscribe_tells_the_offset() -> None:
    wire = Wire().start()
    assert wire.core.clock_offset(wire.stamp()) is None
    wire.subscribe(book())
    (request,) = wire.sent()
    wire.receive(ack(request, "BTC/USD", **under_way(wire, 0.05)))
    assert wire.core.clock_offset(wire.stamp()) == (2 * S, 0.025 * S)


def test_the_answer_to_a_ping_tells_the_offset() -> None:
    wire = Wire(idle_ping=10.0, ping_timeout=10.0).start()
    wire.advance(10)
    (ping,) = wire.sent()
    wire.receive({"method": "pong", "req_id": ping["req_id"], **under_way(wire, 0.5)})
    assert wire.core.clock_offset(wire.stamp()) == (2 * S, 0.25 * S)


def test_what_was_asked_on_a_connection_that_ended_is_not_awaited() -> None:
    wire = Wire().start()
    wire.subscribe(book())
    (request,) = wire.sent()
    wire.disconnect()
    wire.connect()
    wire.receive(ack(request, "BTC/USD", **under_way(wire, 0.05)))
    assert wire.core.clock_offset(wire.stamp()) is None


def test_the_connection_that_knows_best_is_believed() -> None:
    wire = Wire().start()
    wire.subscribe(book())
    (request,) = wire.sent()
    wire.receive(ack(request, "BTC/USD", **under_way(wire, 0.5)))
    wire.subscribe(book(depth=100))
    wire.connect("public-2")
    (request,) = wire.sent("public-2")
    wire.receive(ack(request, "BTC/USD", **under_way(wire, 0.1)), connection="public-2")
    assert wire.core.clock_offset(wire.stamp()) == (2 * S, 0.05 * S)
