"""RFC 3339 text and integer nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from krakenwire.book.timestamps import format_timestamp
from krakenwire.errors import UsageError

LAST = (1 << 63) - 1

# The fixture is a module, which no example changes.
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-07-19T17:54:39.614696Z", 1_784_483_679_614_696_000),
        ("2026-07-19T17:54:39Z", 1_784_483_679_000_000_000),
        ("2026-07-19T17:54:39.6Z", 1_784_483_679_600_000_000),
        ("2026-07-19T17:54:39.614696123Z", 1_784_483_679_614_696_123),
        ("2000-02-29T23:59:59.999999999Z", 951_868_799_999_999_999),
        ("2261-12-31T23:59:59.999999999Z", 9_214_646_399_999_999_999),
    ],
)
def test_timestamps_are_nanoseconds_since_the_epoch(impl: Any, text: str, ns: int) -> None:
    assert impl.parse_timestamp(text) == ns


WRONG = [
    *("", "Z", "x", "2026-07-19", "2026-07-19T17:54:39", "2026-07-19T17:54:39+00:00", "2026-07-19T17:54:39.Z"),
    *("2026-07-19T17:54:39.1234567890Z", "2026-07-19T17:54:39,5Z", "2026-07-19 17:54:39Z", "2026-07-19t17:54:39Z"),
    *("2026-07-19T17:54:39z", "2026-00-19T17:54:39Z", "2026-13-19T17:54:39Z", "2026-07-00T17:54:39Z"),
    *("2026-07-32T17:54:39Z", "2026-06-31T17:54:39Z", "2026-02-29T17:54:39Z", "2100-02-29T17:54:39Z"),
    *("2026-07-19T24:00:00Z", "2026-07-19T17:60:39Z", "2026-07-19T17:54:60Z", "1969-12-31T23:59:59Z"),
    *("2262-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "2026-07-19T17:54:3 Z", "2026-07-19T17:54:39.5 Z"),
    *(
        "+026-07-19T17:54:39Z",
        "2026/07/19T17:54:39Z",
        "2026-07-19T17-54-39Z",
        "٢٠٢٦-07-19T17:54:39Z",
        " 026-07-19T17:54:39Z",
    ),
    *(
        "2026-07-19T17:54:39.²Z",
        "2026-07-19T17:54:39.+1Z",
        "2026-07-19T17:54:39.-1Z",
        "2026-07-19T17:54:39.1_1Z",
        "\0" * 20,
    ),
]


@pytest.mark.parametrize("text", WRONG)
def test_anything_else_is_refused(impl: Any, text: str) -> None:
    with pytest.raises(ValueError, match="expected an RFC 3339 time in UTC such as"):
        impl.parse_timestamp(text)


def test_only_text_is_parsed(impl: Any) -> None:
    with pytest.raises(TypeError):
        impl.parse_timestamp(None)


@shared
@given(ns=st.integers(0, 9_214_646_399_999_999_999))
def test_parse_undoes_format(impl: Any, ns: int) -> None:
    assert impl.parse_timestamp(format_timestamp(ns, 9)) == ns
    assert impl.parse_timestamp(format_timestamp(ns)) == ns // 1000 * 1000
    assert impl.parse_timestamp(format_timestamp(ns, 0)) == ns // 10**9 * 10**9


@shared
@given(days=st.integers(0, 106_650))
def test_every_day_is_the_calendars(impl: Any, days: int) -> None:
    day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)
    assert impl.parse_timestamp(f"{day:%Y-%m-%d}T00:00:00Z") == days * 86_400 * 10**9


@shared
@given(text=st.one_of(st.text(max_size=32), st.text("0123456789-:TZ.", min_size=19, max_size=31)))
def test_no_text_crashes_it(impl: Any, text: str) -> None:
    try:
        assert 0 <= impl.parse_timestamp(text) <= LAST
    except ValueError as error:
        assert repr(text) in str(error)  # noqa: PT017  # either outcome is fine


def test_format_writes_as_many_digits_as_asked_for_and_never_rounds_up() -> None:
    ns = 1_784_483_679_999_999_999
    assert format_timestamp(ns) == "2026-07-19T17:54:39.999999Z"
    assert format_timestamp(ns, 9) == "2026-07-19T17:54:39.999999999Z"
    assert format_timestamp(ns, 1) == "2026-07-19T17:54:39.9Z"
    assert format_timestamp(ns, 0) == "2026-07-19T17:54:39Z"
    assert format_timestamp(253_402_300_799 * 10**9) == "9999-12-31T23:59:59.000000Z"


@pytest.mark.parametrize(("ns", "digits"), [(-1, 6), (253_402_300_800 * 10**9, 6), (0, -1), (0, 10)])
def test_format_refuses_what_it_cannot_write(ns: int, digits: int) -> None:
    with pytest.raises(UsageError):
        format_timestamp(ns, digits)
