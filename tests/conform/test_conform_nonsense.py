"""A server that answers nonsense is reported on, and the suite itself neither fails nor hangs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

import pytest

from helpers.conformance import Answer, Flaw, Tamper, served, try_rules
from krakenwire.conform import RULES
from krakenwire.sim.feed.stream import Stream
from krakenwire.sim.peer import Peer

KEYS = (
    "symbol",
    "price",
    "timestamp",
    "order_id",
    "checksum",
    "bids",
    "asks",
    "exec_type",
    "trade_id",
    "asset",
    "pairs",
)
WHOLE = ("null", "[]", "7", '"x"', "{}", "{", "[" * 1000)


def mangle(random: Random, frame: bytes) -> bytes:
    """A frame that is no more what it was, one time in three."""
    if random.random() > 0.3:
        return frame
    text = frame.decode()
    how = random.randrange(7)
    if how == 0:
        number = random.choice(["1e999999999", '"x"', "null", "-0.0", "0.0", "[]"])
        text = re.sub(r"\d+\.\d+", number, text, count=random.randrange(4))
    elif how == 1:
        data = random.choice(["[]", "null", "{}", "[null]", "[[]]", "7"])
        text = re.sub(r'"data":\[.*\]', f'"data":{data}', text)
    elif how == 2:
        text = re.sub(r'"result":\{[^{}]*\}', f'"result":{random.choice(WHOLE[:5])}', text)
    elif how == 3:
        text = text.replace(f'"{random.choice(KEYS)}"', '"other"', random.randrange(1, 4))
    elif how == 4:
        value = random.choice(["null", "1", "{}", "[]", '""'])
        text = re.sub(r'"(symbol|timestamp|order_id|exec_type|event)":"[^"]*"', rf'"\1":{value}', text, count=1)
    elif how == 5:
        value = random.choice(["-1", "9" * 5000, "true", "1.5"])
        text = re.sub(r'"(\w+)":\d+([,}])', rf'"\1":{value}\2', text, count=1)
    else:
        text = random.choice(WHOLE)
    return text.encode()


def mangled(seed: int) -> Flaw:
    """A server that mangles what it says, but for the listing, without which nothing would be tried."""
    random = Random(seed)

    def make() -> Tamper:
        def tamper(peer: Peer, stream: Stream | None, frame: bytes) -> Sequence[bytes]:
            is_listing = stream is not None and stream.channel == "instrument"
            return (frame if is_listing else mangle(random, frame),)

        return tamper

    def rest(path: str, asked: str, body: bytes, answer: Answer) -> tuple[int, bytes]:
        status, text = answer(asked)
        return status, mangle(random, text)

    return Flaw(tamper=make, rest=rest)


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 40))])
async def test_nonsense_is_reported_and_every_rule_has_a_verdict(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(mangled(seed), monkeypatch) as server:
        outcomes = await try_rules(server, RULES, seconds=2.0, patience=0.05)
    assert set(outcomes) == {rule.id for rule in RULES}
    verdicts = [outcome.verdict for outcome in outcomes.values()]
    assert verdicts.count("broken") > 3
    assert all(len(outcome.note) < 3000 and len(outcome.frame) < 1000 for outcome in outcomes.values())
