from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.sim.engine.ids import IdText

SHAPE = re.compile(r"O[A-Z2-7]{5}-[A-Z2-7]{5}-[A-Z2-7]{6}")


@given(st.integers(0, 2**64), st.lists(st.integers(0, 2**80 - 1), unique=True, max_size=50))
def test_no_two_numbers_have_the_same_id(seed: int, numbers: list[int]) -> None:
    text = IdText("O", seed, "order")
    assert len({text(number) for number in numbers}) == len(numbers)


def test_ids_look_like_krakens() -> None:
    text = IdText("O", 1, "order")
    assert all(SHAPE.fullmatch(text(number)) for number in range(1000))


def test_consecutive_numbers_share_no_beginning() -> None:
    text = IdText("O", 1, "order")
    assert len({text(number)[:6] for number in range(1000)}) > 990
    assert len({text(number)[-6:] for number in range(1000)}) > 990


@pytest.mark.parametrize(("seed", "kind"), [(2, "order"), (1, "exec")])
def test_seed_and_kind_change_the_ids(seed: int, kind: str) -> None:
    assert IdText("T", seed, kind)(5) != IdText("T", 1, "order")(5)


def test_ids_are_the_same_in_every_run() -> None:
    assert IdText("O", 0, "order")(1) == "OVRIHI-A6DB7-4EMZDI"
