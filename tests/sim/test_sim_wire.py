from __future__ import annotations

import pytest

from krakenwire.sim.feed.wire import format_number, format_time, format_time_ns, wrap_text


@pytest.mark.parametrize(
    ("units", "precision", "text"),
    [
        (0, 8, "0.00000000"),
        (5100, 8, "0.00005100"),
        (645250, 1, "64525.0"),
        (7, 0, "7"),
        (-17, 5, "-0.00017"),
        (10**21, 8, "10000000000000.00000000"),
    ],
)
def test_numbers_are_padded_to_their_precision(units: int, precision: int, text: str) -> None:
    assert format_number(units, precision) == text


def test_times_are_rfc_3339() -> None:
    assert format_time(1_767_225_600_123_456_789) == "2026-01-01T00:00:00.123456Z"
    assert format_time_ns(1_767_225_600_000_000_001) == "2026-01-01T00:00:00.000000001Z"
    assert format_time(1_767_225_599_999_999_999) == "2025-12-31T23:59:59.999999Z"


@pytest.mark.parametrize(("size", "head"), [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10)])
def test_messages_are_wrapped_with_the_shortest_head(size: int, head: int) -> None:
    message = wrap_text(bytes(size))
    assert len(message) == head + size
    assert message[0] == 0x81
    if head > 2:
        assert int.from_bytes(message[2:head], "big") == size
    else:
        assert message[1] == size
