"""The same seed and the same commands give the same output, byte for byte: in this process and in any other."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Literal

import pytest

from helpers.engines import COIN, TOKEN, encode, engine_with, limit, market, quote
from krakenwire.sim.engine.engine import Engine
from krakenwire.sim.engine.model import AmendOrder, Refusal

HERE = Path(__file__).resolve()


def play(seed: int, steps: int) -> str:
    """The digest of all that an engine of that seed says while the same chance does everything to it."""
    engine = engine_with(seed=seed)
    random = Random(0)
    said = sha256()
    for book in engine.books.values():
        book.records_orders = True
    for _ in range(steps):
        try:
            said.update(encode(do_something(engine, random)))
        except Refusal as refusal:
            said.update(refusal.text.encode())
        said.update(encode(*engine.drain(), *(book.move for book in engine.books.values())))
        said.update(encode(*map(engine.balances, engine.accounts()), *map(engine.open_orders, engine.accounts())))
        said.update(encode(engine.totals(), [book.checksum() for book in engine.books.values()]))
    return said.hexdigest()


def do_something(engine: Engine, random: Random) -> object:
    """One command; what it returns."""
    name, symbol = random.choice(engine.accounts()), random.choice((COIN, TOKEN))
    sides: tuple[Literal["buy", "sell"], ...] = ("buy", "sell")
    side = random.choice(sides)
    book = engine.books[symbol]
    qty, price = f"{random.randint(1, 40)}.0", f"{random.randint(95, 105)}.0"
    open_orders = engine.open_orders(name)
    match random.randrange(9):
        case 0:
            is_buy = side == "buy"
            key = int(Decimal(price).scaleb(engine.instrument(symbol).price_precision)) * (-1 if is_buy else 1)
            return book.crosses(is_buy, key) or quote(engine, side, price, qty, symbol).number
        case 1:
            book.begin(engine.now_ns)
            engine.take(book, side == "buy", None, random.randint(1, 2000), True)
        case 2:
            return engine.add(name, market(side, qty, symbol=symbol))
        case 3 if open_orders:
            order = random.choice(open_orders)
            return engine.amend(name, AmendOrder(order_id=order.order_id, limit_price=Decimal(price)))
        case 4 if open_orders:
            return engine.cancel(name, order_id=random.choice(open_orders).order_id)
        case 5:
            engine.advance(engine.now_ns + random.randrange(1000))
        case 6 if random.random() < 0.1:
            engine.change_instrument(symbol, price_precision=random.randint(0, 3))
        case _:
            expire_ns = engine.now_ns + random.randrange(1, 3000)
            request = limit(side, price, qty, symbol=symbol, time_in_force="gtd", expire_ns=expire_ns)
            return engine.add(name, request)
    return None


@pytest.fixture(scope="module")
def digest() -> str:
    """What the engine of seed 7 says here."""
    return play(7, 2000)


def test_output_is_the_same_again(digest: str) -> None:
    assert play(7, 2000) == digest


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_output_is_the_same_in_another_process(digest: str, hash_seed: str) -> None:
    program = f"import runpy; print(runpy.run_path({str(HERE)!r})['play'](7, 2000))"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(HERE.parents[2])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True)
    assert done.stdout.strip() == digest


def test_another_seed_gives_other_ids_and_the_same_trades(digest: str) -> None:
    assert play(8, 2000) != digest
    first, second = engine_with(seed=7), engine_with(seed=8)
    for engine in (first, second):
        quote(engine, "sell", "100.0", "1.00")
    states = [engine.add("alice", market("buy", "1.00")) for engine in (first, second)]
    assert states[0].order_id != states[1].order_id
    assert states[0].avg_price == states[1].avg_price
