from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from krakenwire.errors import UsageError
from krakenwire.sim.faults import Script

SCRIPT = """
seed = 7

[[fault]]
kind = "lose_update"
at = 5.0
symbol = ["BTC/USD", "PEPE/USD"]
count = [1, 2]

[[fault]]
kind = "cut"
code = 1012
at = 1
every = 10
jitter = 2.5
repeat = 3
"""


def test_script_has_its_seed_and_its_plans_in_order() -> None:
    script = Script.read(SCRIPT)
    assert script.seed == 7
    lose, cut = script.plans
    assert (lose.kind, lose.at, lose.every, lose.repeat) == ("lose_update", 5.0, None, 1)
    assert (cut.kind, cut.at, cut.every, cut.jitter, cut.repeat) == ("cut", 1.0, 10.0, 2.5, 3)


def test_list_of_values_is_chosen_from_by_the_seed() -> None:
    lose = Script.read(SCRIPT).plans[0]
    chosen = [lose.parameters(Random(seed)) for seed in range(40)]
    assert {(each.symbol, each.count) for each in chosen} == {  # type: ignore[attr-defined]  # of lose_update
        ("BTC/USD", 1), ("BTC/USD", 2), ("PEPE/USD", 1), ("PEPE/USD", 2)
    }  # fmt: skip
    assert chosen == [lose.parameters(Random(seed)) for seed in range(40)]
    assert len(list(lose.variants())) == 3


def test_repeated_fault_is_due_again_and_again_with_jitter_that_does_not_add_up() -> None:
    cut = Script.read(SCRIPT).plans[1]
    random = Random(1)
    moments = [cut.due(turn, random) for turn in range(4)]
    assert moments[3] is None
    for turn, moment in enumerate(moments[:3]):
        assert moment is not None
        assert 1 + 10 * turn <= moment <= 3.5 + 10 * turn


def test_every_without_repeat_goes_on_without_end() -> None:
    plan = Script.read('[[fault]]\nkind = "cut"\nevery = 2').plans[0]
    assert plan.due(10**6, Random(0)) == 2 * 10**6


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seed = ", "not TOML"),
        ("speed = 3", "unknown key 'speed'; a script has seed and"),
        ('seed = "x"', "seed must be a whole number"),
        ("fault = 3", r"write \[\[fault\]\] above each"),
        ("[[fault]]\nat = 3", r"\[\[fault\]\] 1: kind is missing"),
        (
            '[[fault]]\nkind = "cut"\n[[fault]]\nkind = "cute"',
            r"\[\[fault\]\] 2: unknown fault 'cute' .*did you mean cut",
        ),
        ('[[fault]]\nkind = "cut"\ncode = "1006"', "code='1006' will not do"),
        ('[[fault]]\nkind = "cut"\ncode = [1006, 99]', r"\[\[fault\]\] 1: fault cut: code=99 will not do"),
        ('[[fault]]\nkind = "cut"\ncode = []', "code is an empty list"),
        ('[[fault]]\nkind = "cut"\nat = "5s"', "at must be a number of seconds, at least 0, got '5s'"),
        ('[[fault]]\nkind = "cut"\nat = -1', "at must be a number of seconds"),
        ('[[fault]]\nkind = "cut"\nat = true', "at must be a number of seconds"),
        ('[[fault]]\nkind = "cut"\nat = inf', "at must be a number of seconds"),
        ('[[fault]]\nkind = "thin_book"', "fault thin_book needs symbol: text"),
    ],
)
def test_script_that_is_none_is_refused_before_anything_is_injected(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Script.read(text)


def test_file_is_named_where_it_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    with pytest.raises(UsageError, match=r"cannot read the script .*faults\.toml"):
        Script.load(path)
    path.write_text("[[fault]]\n")
    with pytest.raises(UsageError, match=r"faults\.toml: \[\[fault\]\] 1: kind is missing"):
        Script.load(path)
    path.write_text(SCRIPT)
    assert Script.load(path) == Script.read(SCRIPT)
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="cannot read"):
        Script.load(path)
