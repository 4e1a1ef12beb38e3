"""Options: what can be chosen, and what is refused at once."""

from __future__ import annotations

import math
from typing import Any

import pytest

from krakenwire.errors import UsageError
from krakenwire.protocol.options import Options

WHOLE = ("symbols_per_message", "message_burst", "ack_attempts", "resync_attempts")
TIMES = (
    *("messages_per_second", "ack_timeout", "idle_ping", "ping_timeout", "keepalive"),
    *("quarantine", "quarantine_limit", "stable"),
)


def test_defaults_are_accepted_and_stay_as_they_are() -> None:
    options = Options()
    assert (options.symbols_per_message, options.messages_per_second, options.message_burst) == (100, 4.0, 4)
    with pytest.raises(AttributeError):
        options.seed = 1  # type: ignore[misc]  # that it is frozen is the test


@pytest.mark.parametrize("name", [*WHOLE, *TIMES])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_number_that_cannot_work_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name):
        Options(**{name: value})


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("value", [1.5, True])
def test_count_must_be_an_integer(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{name} must be an integer"):
        Options(**{name: value})


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_backoff_may_be_nothing_but_not_negative(value: float) -> None:
    assert Options(resync_backoff=0.0).resync_backoff == 0
    with pytest.raises(UsageError, match="resync_backoff"):
        Options(resync_backoff=value)
