"""Fuzz the core with whole lives of a client.

The property: **whatever inputs come, in whatever order the table of states allows, the core never raises, every book
that says it is synced has the checksum of its top ten equal to the last message's, and the same inputs give the same
events, actions and digests.**

    python fuzz/fuzz_core.py --seconds 60 [--seed N]

A string of bytes is decoded into inputs: subscriptions come and go, connections open and are cut, time passes, an
exchange answers, refuses or lies, frames are right, wrong, wounded or noise. A failing string is cut down, written to
fuzz/crashes/, and the exit status is 1; `python fuzz/fuzz_core.py FILE...` runs such files again.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
import traceback
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE.parent / "tests")]

from helpers.frames import token, v1_snapshot, v1_update  # noqa: E402  # the path is set above
from helpers.wire import (  # noqa: E402  # the path is set above
    Exchange,
    Feed,
    Request,
    Wire,
    acks,
    book,
    instrument,
    ohlc,
    refusal,
    ticker,
    trades,
)
from krakenwire.book import BookState, BookUpdate  # noqa: E402  # the path is set above
from krakenwire.protocol.outputs import Action, Fetch, Open, Send  # noqa: E402  # the path is set above
from krakenwire.protocol.report import EventLog, make_report  # noqa: E402  # the path is set above
from krakenwire.protocol.state import ConnectionState  # noqa: E402  # the path is set above
from krakenwire.protocol.subscriptions import Key  # noqa: E402  # the path is set above

CRASHES = HERE / "crashes"
SYMBOLS = ("BTC/USD", "ETH/USD", "XBT/USD")
KEYS = (
    *(book("BTC/USD", 10), book("BTC/USD", 25), book("ETH/USD", 10), book("ETH/USD", 1000)),
    *(Key("trade", "BTC/USD"), Key("trade", "ETH/USD"), Key("ticker", "BTC/USD", "trades")),
    *(Key("ticker", "BTC/USD", "bbo"), Key("ohlc", "BTC/USD", 1), Key("ohlc", "BTC/USD", 5), Key("instrument")),
)
ERRORS = (
    *("Already subscribed", "Exceeded msg rate", "EService:Busy", "Subscription depth not supported"),
    *("Currency pair not supported BTC/USD", "Subscription Not Found", ""),
)
NOISE = (
    *(b"", b"null", b"[]", b"{}", b"\xff", b"[" * 200, b'{"a":' * 200, b'{"channel":"heartbeat"}'),
    *(b'{"channel":"book"}', b'{"Error":"Exceeded msg rate"}', b'{"method":"pong","req_id":1}', b'{"channel":"new"}'),
    b'{"method":"subscribe","success":true,"req_id":1,"result":{"channel":"book","depth":5000,"symbol":"BTC/USD"}}',
    b'{"method":"subscribe","success":true,"result":{"channel":"book","depth":25,"symbol":"A B"}}',
    b'{"method":"unsubscribe","success":true,"result":{"channel":"book","symbol":"BTC/USD"}}',
    b'{"event":"subscriptionStatus","status":"subscribed","pair":"XBT/USD","subscription":{"name":"book","depth":25}}',
    b'{"event":"subscriptionStatus","status":"unsubscribed","pair":"XBT/USD","subscription":{"name":"book"}}',
    b'{"deep":' + b"[" * 70 + b"]" * 70 + b',"channel":"book","type":"update","data":[]}',
    b'{"channel":"book","type":"snapshot","data":[{"symbol":"ETH/USD","bids":[],"asks":[],"checksum":0}]}',
    b'{"channel":"status","type":"update","data":[{"system":"online","connection_id":99999999999999999999}]}',
)
LEVELS = [("100.00000", "1.00000000")], [("101.00000", "2.00000000")]
MAX_STEPS = 400
PATIENCE = 20
"""Seconds after which a life, which takes some milliseconds, counts as endless."""


class Choices:
    """Decisions read from a string of bytes; all are 0 at its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> bool:
        """Whether there are bytes yet to be read."""
        return self._at < len(self._data)

    def below(self, limit: int) -> int:
        """An integer from 0 to `limit`, which is not reached."""
        self._at += 1
        return self._data[self._at - 1] % limit if self._at <= len(self._data) else 0

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes as they are, or as many as there are."""
        self._at += count
        return self._data[self._at - count : self._at]


class Life:
    """One client and its exchange, for as long as the bytes last."""

    def __init__(self, data: bytes) -> None:
        self.choices = Choices(data)
        self.passive = self.choices.below(4) == 0
        self.wire = Wire(
            passive=self.passive,
            seed=self.choices.below(256),
            symbols_per_message=1 + self.choices.below(3),
            messages_per_second=4.0,
            ack_timeout=3.0,
            resync_attempts=1 + self.choices.below(2),
            quarantine=4.0,
            quarantine_limit=10.0,
            stable=5.0,
        )
        self.wanted: list[Key] = []
        self.exchanges: dict[str, Exchange] = {}
        self.requests: dict[str, list[Request]] = {}
        self.links: set[str] = set()
        """Connections that the shell opens again and again, since the core wants them."""
        self.ending: set[str] = set()
        self.last: dict[tuple[str, str], BookUpdate] = {}
        self.trade_id = 0
        self._actions_seen = self._events_seen = 0

    def run(self) -> tuple[str, str, list[Action]]:
        """Live, checking after each input; digests of events and state, and all actions."""
        if not self.passive:
            self.wire.start()
            self._check()
        for _ in range(MAX_STEPS):
            if not self.choices.left:
                break
            self._step()
            self._check()
        log = EventLog()
        log.add(self.wire.log)
        report = make_report(self.wire.core, log, 1.0)
        return report.event_digest, report.state_digest, self.wire.actions

    def _step(self) -> None:
        choose = self.choices.below
        kind = choose(20)
        if kind < 5:
            self._receive(self._market())
        elif kind < 7:
            self._receive(self._wounded(self._market()))
        elif kind == 7:
            self._receive(NOISE[choose(len(NOISE))])
        elif kind == 8:
            self._receive(self.choices.bytes(choose(24)))
        elif kind == 9:
            self.wire.advance((0.01, 0.3, 1.0, 4.0, 11.0, 40.0)[choose(6)])
        elif self.passive:
            self._receive(self._v1())
        elif kind < 14:
            self.wanted.append(KEYS[choose(len(KEYS))])
            self.wire.subscribe(self.wanted[-1])
        elif kind == 14 and self.wanted:
            self.wire.unsubscribe(self.wanted.pop(choose(len(self.wanted))))
        elif kind < 17:
            self._change_connection()
        else:
            self._answer()

    def _receive(self, frame: bytes) -> None:
        names = [session.name for session in self.wire.core.sessions]
        if names:
            self.wire.receive(frame, connection=names[self.choices.below(len(names))])

    def _market(self) -> bytes:
        """A message as the exchange would send it, or nearly."""
        choose = self.choices.below
        exchanges = list(self.exchanges.values())
        feeds = exchanges[choose(len(exchanges))].feeds if exchanges else {}
        kind = choose(16)
        if kind < 10:
            symbol = SYMBOLS[choose(len(SYMBOLS))]
            feed = feeds.get(symbol) or Feed(symbol)
            return self._book(feed, kind)
        if kind == 10:
            return instrument(SYMBOLS[choose(2)], price_precision=choose(22), qty_precision=8)
        if kind == 11:
            return ticker()
        if kind == 12:
            return ohlc()
        self.trade_id += choose(4) - 1
        return trades(self.trade_id, self.trade_id + choose(3), kind=("update", "snapshot")[kind == 15])

    def _book(self, feed: Feed, kind: int) -> bytes:
        choose = self.choices.below
        if kind < 2:
            return feed.snapshot()
        if kind == 2:
            return feed.backwards()
        if kind == 3:
            return feed.update(checksum_off=1 + choose(255))
        bids = [(f"{95 + choose(8)}.{choose(10)}", f"{choose(3)}.{choose(10)}0") for _ in range(choose(4))]
        asks = [(f"{100 + choose(8)}.0", f"{choose(3)}.50000000") for _ in range(choose(3))]
        return feed.update(bids, asks)

    def _v1(self) -> bytes:
        choose = self.choices.below
        if choose(3):
            return v1_snapshot(SYMBOLS[choose(3)], (0, 10, 25, 5000)[choose(4)], *LEVELS)
        return v1_update(SYMBOLS[choose(3)], 10, *LEVELS, (None, 5, 2**32)[choose(3)])

    def _wounded(self, frame: bytes) -> bytes:
        choose = self.choices.below
        at = (choose(256) << 8 | choose(256)) % (len(frame) + 1)
        patch = self.choices.bytes(choose(4))
        return frame[:at] + patch + frame[at + choose(8) :]

    def _change_connection(self) -> None:
        """Any of the moves that the table has for the state."""
        choose = self.choices.below
        sessions = self.wire.core.sessions
        if not sessions:
            return
        closed = [session for session in sessions if session.state is ConnectionState.CLOSED]
        session = closed[0] if closed and choose(4) else sessions[choose(len(sessions))]
        name = session.name
        if session.state is ConnectionState.CLOSED:
            if choose(4) == 0:
                self.wire.core.connecting(name)
            else:
                self._connected(name)
        elif session.state is ConnectionState.CONNECTING and choose(2):
            self.wire.core.connected("wss://exchange", self.wire.stamp(name))
            self.exchanges[name] = Exchange()
        else:
            terminal = name != "public" and choose(8) == 0
            self.wire.disconnect(name, reason="cut", terminal=terminal)
            self.exchanges.pop(name, None)
            self.requests.pop(name, None)
            if terminal or name in self.ending:
                self.links.discard(name)
                self.ending.discard(name)

    def _connected(self, name: str) -> None:
        self.wire.connect(name)
        self.exchanges[name] = Exchange()

    def _answer(self) -> None:
        """Some of what was asked is answered: truly, with a bare yes, or with an error."""
        choose = self.choices.below
        for name in list(self.requests):
            for request in self.requests.pop(name):
                for frame in self._answers(request, name, choose(10)):
                    self.wire.receive(frame, connection=name)

    def _answers(self, request: Request, name: str, kind: int) -> list[bytes]:
        if self.wire.core.session(name) is None or kind == 9:
            return []
        if kind < 7 or request["method"] == "ping":
            return self.exchanges.setdefault(name, Exchange()).answer([request])
        if kind == 7:
            return acks(request)
        error = ERRORS[self.choices.below(len(ERRORS))]
        return [refusal(request, error, (None, "BTC/USD", "ETH/USD")[self.choices.below(3)])]

    def _check(self) -> None:
        """What holds after every input."""
        wire = self.wire
        for action in wire.actions[self._actions_seen :]:
            self._act(action)
        self._actions_seen = len(wire.actions)
        for event in wire.log[self._events_seen :]:
            if isinstance(event, BookUpdate):
                self.last[event.connection, event.symbol] = event
        self._events_seen = len(wire.log)
        assert self.passive or self.links == {session.name for session in wire.core.sessions}
        for session in wire.core.sessions:
            for symbol in session.books:
                state = session.books.get(symbol)
                if state is not None and state.status == "synced":
                    assert matches(state, self.last[session.name, symbol]), f"{state} is not what was last sent"

    def _act(self, action: Action) -> None:
        """What the shell does."""
        if isinstance(action, Fetch):
            return
        name = action.connection
        if isinstance(action, Send):
            self.requests.setdefault(name, []).append(json.loads(action.text))
        elif isinstance(action, Open):
            assert name not in self.links, f"{name} is there already"
            self.links.add(name)
        elif action.retire and self.wire.core.session(name) is None:
            self.links.discard(name)
        elif action.retire:
            self.ending.add(name)


def matches(state: BookState, update: BookUpdate) -> bool:
    """Whether the top ten of a book has the checksum of its last message, by our own arithmetic."""
    if update.checksum is None:
        return True
    if update.normalised:
        text = state.checksum_text(normalised=True) or ""
    else:
        text = "".join(
            token(plain(level.price)) + token(plain(level.qty))
            for side in (state.levels("asks", 10), state.levels("bids", 10))
            for level in side
        )
    return zlib.crc32(text.encode()) == update.checksum


def plain(number: Decimal) -> str:
    """A number without an exponent, with all its zeros."""
    return format(number, "f")


def live(data: bytes) -> None:
    """The property, for one string.

    Raises:
        Exception: it does not hold.
    """
    first, second = Life(data).run(), Life(data).run()
    assert first == second, "the same inputs gave another outcome"


def failure(data: bytes) -> str | None:
    """The trace of what went wrong, None if nothing did; a life that does not end is wrong, too."""
    signal.alarm(PATIENCE)
    try:
        live(data)
    except Exception:
        return traceback.format_exc()
    finally:
        signal.alarm(0)
    return None


def give_up(_signal: int, _frame: object) -> None:
    """A life takes too long.

    Raises:
        TimeoutError: always.
    """
    raise TimeoutError(f"no end after {PATIENCE} s")


def cut_down(data: bytes) -> bytes:
    """A shorter string that fails too."""
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data):
            shorter = data[:at] + data[at + size :]
            if failure(shorter) is None:
                at += size
            else:
                data = shorter
        size //= 2
    return data


def offspring(rng: random.Random, parents: list[bytes]) -> bytes:
    """New bytes, or what two lives and some chance make."""
    if len(parents) < 8 or rng.random() < 0.4:
        return rng.randbytes(rng.randrange(4, 1000))
    mother, father = rng.choice(parents), rng.choice(parents)
    child = bytearray(mother[: rng.randrange(len(mother))] + father[rng.randrange(len(father)) :])
    for _ in range(rng.randrange(6)):
        if child:
            child[rng.randrange(len(child))] = rng.randrange(256)
    return bytes(child[:1500]) or b"\0"


def fuzz(seconds: float, seed: int) -> int:
    """Try strings until the time is over or one fails; the exit status."""
    signal.signal(signal.SIGALRM, give_up)
    rng = random.Random(seed)
    deadline = time.monotonic() + seconds
    parents: list[bytes] = []
    executions = 0
    while time.monotonic() < deadline:
        data = offspring(rng, parents)
        if failure(data) is not None:
            data = cut_down(data)
            CRASHES.mkdir(exist_ok=True)
            path = CRASHES / f"core-seed-{seed}-execution-{executions}.bin"
            path.write_bytes(data)
            print(f"{failure(data)}\nrun again: python fuzz/fuzz_core.py {path}")
            return 1
        executions += 1
        if len(parents) < 200:
            parents.append(data)
        else:
            parents[rng.randrange(len(parents))] = data
    print(f"{executions} executions in {seconds:g} s, seed {seed}: the property held")
    return 0


def main() -> int:
    """What the command line asks for; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("files", nargs="*", type=Path)
    arguments: Any = parser.parse_args()
    if arguments.files:
        for path in arguments.files:
            live(path.read_bytes())
            print(f"{path}: the property holds")
        return 0
    seed = random.SystemRandom().randrange(1 << 31) if arguments.seed is None else arguments.seed
    return fuzz(arguments.seconds, seed)


if __name__ == "__main__":
    sys.exit(main())
