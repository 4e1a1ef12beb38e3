"""A journal whose figures lie is played to its end, or refused in a sentence; it never hangs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helpers.played import SmallRun, edited, played
from helpers.taped import BlockTape
from krakenwire.errors import UsageError
from krakenwire.journal.format import read_block
from krakenwire.journal.playing.player import Player


@pytest.fixture(scope="module")
def tape() -> BlockTape:
    run = SmallRun()
    run.begin()
    run.go_on()
    run.lose()
    return run.end()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("last", [-1, (1 << 62) - 1, (1 << 63) - 1, 1 << 63, 10**30])
def test_gap_to_a_number_that_nobody_counts_to(tape: BlockTape, last: int) -> None:
    gap = b'gap {"first":3,"last":%d,"reason":"a lie"}' % last
    player = played(tape, edited(tape.blocks, lambda lines: [gap, *lines]))
    assert player.different or player.holes
    assert player.report(1.0).frames > 0


@pytest.mark.timeout(20)
@pytest.mark.parametrize("n", [-7, (1 << 63) - 1, 1 << 63, 10**30])
def test_segment_that_begins_at_such_a_number(tape: BlockTape, n: int) -> None:
    player = Player()
    player.begin(msgspec.structs.replace(tape.head, n=n, is_first=False))
    for text in tape.blocks:
        player.play(read_block(text))
    assert player.holes


@pytest.mark.timeout(20)
@pytest.mark.parametrize("n", [(1 << 63) - 1, 1 << 63, 10**30])
def test_frames_that_no_core_can_take_are_each_told_and_passed_over(tape: BlockTape, n: int) -> None:
    player = Player()
    player.begin(tape.head)
    for text in tape.blocks[:2]:
        player.play(read_block(text))
    player.core.n = n
    block = read_block(tape.blocks[2])
    player.play(block._replace(n=n))
    assert player.core.n - n == block.last_n - block.n
    assert player.different


@pytest.mark.parametrize(
    "lie",
    [
        {"options": {"seed": [1]}},
        {"reconnect_every": 1e308},
        {"reconnect_every": 1e15},
        {"reconnect_every": "25:00"},
        {"reconnect_every": -1.0},
        {"book_audit": "by hand"},
        {"mirror": True, "passive": True},
    ],
)
def test_client_that_there_cannot_be_is_refused_in_a_sentence(tape: BlockTape, lie: dict[str, Any]) -> None:
    player = Player()
    made = msgspec.structs.replace(tape.head.made, **lie)
    with pytest.raises(UsageError, match="first line tells of a client that there cannot be"):
        player.begin(msgspec.structs.replace(tape.head, made=made))
