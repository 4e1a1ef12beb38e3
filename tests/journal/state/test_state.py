"""The state of a core: what goes on from it cannot be told from what never stopped, and no bytes do any harm."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from helpers.stated import Ended
from helpers.taped import live
from krakenwire.events import Stamp
from krakenwire.journal.states import rebuilding, state
from krakenwire.journal.states.rebuilding import make
from krakenwire.journal.states.state import StateUnusable, dump_core, load_core
from krakenwire.protocol.continuity.fetching import Answer
from krakenwire.protocol.core import MAIN, Core
from krakenwire.protocol.guarded import GuardedCore
from krakenwire.protocol.subscriptions import Key

TESTS = Path(__file__).resolve().parents[2]
KERNELS = ("compiled", "pure")
AT_ONCE = 10


def run(kernel: str, *arguments: object) -> list[Ended]:
    """What `helpers.stated` prints, in a process of its own."""
    env = {name: value for name, value in os.environ.items() if name != "KRAKENWIRE_PURE"}
    env |= {"PYTHONPATH": str(TESTS)} | ({"KRAKENWIRE_PURE": "1"} if kernel == "pure" else {})
    command = [sys.executable, "-m", "helpers.stated", *map(str, arguments)]
    out = subprocess.run(command, env=env, stdout=subprocess.PIPE, cwd=TESTS, timeout=600, check=True).stdout
    return [msgspec.json.decode(line, type=Ended) for line in out.splitlines()]


# --- it goes on -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("seeds", "seconds"),
    [(range(4), 15), pytest.param(range(200), 40, marks=[pytest.mark.long, pytest.mark.timeout(3600)])],
    ids=["4", "200"],
)
def test_core_goes_on_as_if_it_had_never_been_put_away(tmp_path: Path, kernel: str, seeds: range, seconds: int) -> None:
    """Faults, mirrors, REST, audits, users that come and go; a break about every fiftieth input."""
    breaks = 0
    for start in seeds[::AT_ONCE]:
        batch = seeds[start : start + AT_ONCE]
        ended = run(kernel, "breaks", tmp_path, seconds, *batch)
        assert [each.differences for each in ended] == [[]] * len(batch)
        breaks += sum(each.breaks for each in ended)
    assert breaks > 10 * len(seeds)


@pytest.mark.parametrize("seeds", [[1, 2], pytest.param(range(20), marks=pytest.mark.long)], ids=["2", "20"])
@pytest.mark.parametrize(("first", "second"), [KERNELS, KERNELS[::-1]])
def test_one_kernel_goes_on_where_the_other_left_off(tmp_path: Path, first: str, second: str, seeds: list[int]) -> None:
    for seed in seeds:
        tape, lived = asyncio.run(live(seed, 15))
        tape.save(tmp_path / str(seed))
        assert run(first, "hand-over", tmp_path / str(seed), tmp_path / "half") == []
        (ended,) = run(second, "take-over", tmp_path / str(seed), tmp_path / "half")
        assert ended.differences == []
        assert ended.report == lived.report


# --- what is no part of it --------------------------------------------------------------------------------------------


NOW = Stamp(MAIN, 0, 10**18, 10**9)


@pytest.fixture
def busy() -> Core:
    """A core in the midst of something: connected, with subscriptions, a question of a user's, and one of its own."""
    core = Core(book_audit="rest")
    core.start()
    core.connecting(MAIN)
    core.connected("wss://somewhere", NOW)
    core.subscribe([Key("book", "BTC/USD", 100), Key("trade", "BTC/USD")], NOW)
    return core


def test_nobody_is_called_of_who_is_not_there_any_more(busy: Core) -> None:
    told: list[Answer] = []
    number = busy.fetch("Time", (), lambda answer, _stamp, _n: told.append(answer), NOW)
    core = load_core(dump_core(busy))
    for each in (core, busy):
        each.receive_answer(number, b'{"error":[],"result":1}', None, NOW)
    assert len(told) == 1
    assert core.fetcher.calls == busy.fetcher.calls
    assert len(core.fetcher) == len(busy.fetcher)


def test_tape_and_lock_are_left_out(busy: Core) -> None:
    class Recording:
        def __getattr__(self, name: str) -> Any:
            return lambda *_: None

    class Lock:
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    busy.tape = Recording()
    core = load_core(dump_core(busy))
    assert core.tape is None
    guarded = GuardedCore(Lock(), book_audit="rest")
    assert type(load_core(dump_core(guarded))) is Core


def test_what_has_no_place_in_a_state_is_said_when_it_is_written(busy: Core) -> None:
    busy.catalogue._instruments["x"] = object()  # type: ignore[assignment]  # what is tested
    with pytest.raises(TypeError, match=r"builtins\.object has no place"):
        dump_core(busy)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_other_version_is_refused_in_words(busy: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dump_core(busy)
    monkeypatch.setattr(state, "_sources", lambda: "another")
    with pytest.raises(StateUnusable, match=r"of krakenwire \S+ .* is of no use to krakenwire .*code another"):
        load_core(data)


def test_damage_is_found_wherever_it_is(busy: Core) -> None:
    data = dump_core(busy)
    rng = Random(1)
    for at in [*range(60), *rng.sample(range(len(data)), 200)]:
        damaged = bytearray(data)
        damaged[at] ^= 1 << rng.randrange(8)
        with pytest.raises(StateUnusable):
            load_core(bytes(damaged))
    for size in [*range(0, len(data), 97), len(data) - 1]:
        with pytest.raises(StateUnusable):
            load_core(data[:size])


def sealed(content: bytes) -> bytes:
    """What claims to be a state, with all that proves it."""
    real, state._Pickler = state._Pickler, _Given  # type: ignore[misc,assignment]  # what is pickled is chosen here
    _Given.content = content
    try:
        return dump_core(Core())
    finally:
        state._Pickler = real  # type: ignore[misc]  # as it was


class _Given:
    content = b""

    def __init__(self, file: Any, protocol: int) -> None:
        self._file = file

    def dump(self, _core: Core) -> None:
        self._file.write(self.content)


class Call:
    """Pickles to a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.called = function, arguments

    def __reduce__(self) -> Any:
        return self.called


MAKE = f"c{rebuilding.__name__}\nmake\n".encode()


TRACES: list[str] = []


def leave_trace() -> None:
    TRACES.append("it ran")


def _hostile() -> Iterator[tuple[str, bytes]]:
    yield "a function of the system's", pickle.dumps(Call(os.putenv, "KRAKENWIRE_WAS_HERE", "1"))
    yield "a function of anybody's", pickle.dumps(Call(leave_trace))
    yield "getattr", pickle.dumps(Call(getattr, make, "__class__"))
    yield "eval", pickle.dumps(Call(eval, "1"))
    yield "a class by its name", pickle.dumps(Core)
    yield "a function of ours", pickle.dumps(Call(load_core, b""))
    yield "make's own module", f"c{rebuilding.__name__}\n_make_random\n.".encode()
    yield "through make", f"c{rebuilding.__name__}\nmake.__class__\n.".encode()
    yield "an unknown kind", pickle.dumps(Call(make, "os.system", "x"))
    yield "a name from outside", b"Vname\nQ."
    yield "an extension", b"\x82\x01."
    yield "an old class", b"(ios\nsystem\n."
    yield "what is put into make", MAKE + b"(Vx\nVy\ndb."
    yield "what is put into make's slots", MAKE + b"N}Vx\nVy\ns\x86b."
    yield "a new object of make's", MAKE + b")\x81."
    yield "plain data", pickle.dumps({"events": []})
    yield "another of ours", pickle.dumps(Call(make, "protocol.outputs.Outputs"))
    yield "a core with nothing in it", pickle.dumps(Call(make, "protocol.core.Core"))
    yield "a method that is none", pickle.dumps(Call(make, "method", [], "append"))
    yield "a method of python's", pickle.dumps(Call(make, "method", Call(make, "protocol.core.Core"), "__init__"))
    yield "a call of something else", pickle.dumps(Call(make, "partial", Call(make, "counter")))
    yield "outputs around nothing", pickle.dumps(Call(make, "protocol.mirror.mirror._Aside", 1))
    yield "no dice", pickle.dumps(Call(make, "random", (3, (1, 2), None)))
    yield "no book", pickle.dumps(Call(make, "book", ()))
    yield "an exception", pickle.dumps(Call(make, "protocol.wire.rest.RestTrouble", "no such"))
    yield "nothing", b""
    yield "noise", Random(3).randbytes(500)


@pytest.mark.parametrize(("content"), [pytest.param(content, id=name) for name, content in _hostile()])
def test_hostile_bytes_do_nothing(content: bytes) -> None:
    before = {name: dict(vars(kind)) for name, kind in rebuilding._classes().items()}
    with pytest.raises(StateUnusable):
        load_core(sealed(content))
    assert TRACES == []
    assert {name: dict(vars(kind)) for name, kind in rebuilding._classes().items()} == before


def test_more_than_it_says_is_not_unpacked() -> None:
    data = sealed(bytes(10_000_000))
    head, _, packed = data.partition(b"\n")
    small = head.replace(b'"size":10000000', b'"size":1000')
    assert small != head
    with pytest.raises(StateUnusable, match="not of the size"):
        load_core(small + b"\n" + packed)
    huge = head.replace(b'"size":10000000', b'"size":2000000000')
    with pytest.raises(StateUnusable, match="at most"):
        load_core(huge + b"\n" + packed)


def test_stamp_and_numbers_come_back_as_they_were(busy: Core) -> None:
    core = load_core(dump_core(busy))
    assert core._rng.getstate() == busy._rng.getstate()
    assert core.options == busy.options
    for each in (core, busy):
        assert each.take_actions()
        assert each.n == busy.n
    assert core.next_deadline() == busy.next_deadline()
    assert core.statistics() == busy.statistics()
