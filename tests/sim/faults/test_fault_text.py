from __future__ import annotations

import pytest

from krakenwire.errors import UsageError
from krakenwire.sim.faults import read_fault
from krakenwire.sim.faults.text import read_seconds


def test_kind_alone_is_a_fault_now() -> None:
    plan = read_fault("cut")
    assert (plan.kind, plan.choices, plan.at, plan.every, plan.repeat) == ("cut", {}, 0.0, None, 1)


def test_parameters_are_read_as_the_types_of_their_kind() -> None:
    plan = read_fault("lose_update:symbol=BTC/USD,count=3,chance=0.5,channel=book@5s")
    assert plan.choices == {"symbol": ("BTC/USD",), "count": (3,), "chance": (0.5,), "channel": ("book",)}
    assert plan.at == 5.0
    assert read_fault("lose_reply:cut=true").choices == {"cut": (True,)}


def test_times_have_units_and_negative_numbers_are_numbers() -> None:
    plan = read_fault("delay:seconds=20ms,up_to=1s,duration=2m,every=1h,repeat=3,jitter=0.5@1.5s")
    assert plan.choices == {"seconds": (0.02,), "up_to": (1.0,), "duration": (120.0,)}
    assert (plan.at, plan.every, plan.repeat, plan.jitter) == (1.5, 3600.0, 3, 0.5)
    assert read_fault("clock_skew:seconds=-300ms").choices == {"seconds": (-0.3,)}


def test_quotes_protect_what_separates() -> None:
    plan = read_fault(r'rewrite : pattern="\"symbol\":\"(\w+),\d@" , replacement = "a,b" @ 2')
    assert plan.choices == {"pattern": (r'"symbol":"(\w+),\d@',), "replacement": ("a,b",)}
    assert plan.at == 2.0
    assert read_fault('rewrite:pattern="5s",replacement=').choices == {"pattern": ("5s",), "replacement": ("",)}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "breaks off at ''"),
        ("lose_updat", "did you mean lose_update"),
        ("lose_update:", "breaks off at ''"),
        ("lose_update:count", "breaks off at 'count'"),
        ("lose_update:count=1,", "breaks off at ''"),
        ('lose_update:symbol="BTC', "breaks off at 'symbol=\"BTC'"),
        ("lose_update count=1", "breaks off at 'count=1'"),
        ("lose_update:count=1,count=2", "count stands twice"),
        ("lose_update:at=3@5s", "the time stands twice"),
        ("lose_update:levels=3", "no parameter 'levels'.* it has .*, symbol, type"),
        ("lose_update:count=many", "count='many' will not do; expected a whole number, at least 0"),
        ("lose_update:chance=2", "expected a number, more than 0 and at most 1"),
        ("cut:code=12", "expected one of 1000, 1001, .*1006"),
        ("cut@", "at='' will not do; expected a number, as in"),
        ("cut@soon", "at='soon' will not do"),
        ("cut@5s@6s", "at='5s@6s' will not do"),
        ("cut:repeat=3", "repeat=3 needs every="),
        ("cut:every=0", "every must be at least 0.001 seconds"),
        ("cut:every=0.0009", "every must be at least 0.001 seconds"),
        ("cut:every=1,repeat=1.5", "repeat must be a whole number"),
        ("cut:duration=3", "no parameter 'duration'"),
        ("rewrite:replacement=x", "fault rewrite needs pattern: text"),
    ],
)
def test_what_cannot_be_read_is_refused_and_the_message_says_what_can(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        read_fault(text)


@pytest.mark.parametrize("text", ["", "s", "5 apples", "1e3", "--1", "inf", "nan"])
def test_text_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="duration"):
        read_seconds(text, "duration")
