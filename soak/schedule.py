"""A seeded schedule of every kind of fault: each kind once, in a shuffled order, then by weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from krakenwire.errors import UsageError
from krakenwire.sim.exchange import Exchange
from krakenwire.sim.faults import KINDS, Fault
from krakenwire.sim.peer import Peer

from .watched import WatchedFaults

__all__ = ["WEIGHTS", "Schedule"]

WEIGHTS = {
    **{"lose_update": 20, "double_update": 8, "reorder_update": 12, "corrupt_checksum": 12, "crossed_book": 8},
    **{"rewrite": 6, "not_json": 4, "thin_book": 3, "precision_change": 2, "instrument_status": 2, "clock_skew": 1},
    **{"refuse_subscription": 3, "rate_limit": 2, "lose_reply": 2, "mute": 3, "burst": 3, "delay": 3, "slow_drip": 2},
    **{"cut": 3, "refuse_connect": 1, "half_open": 1, "giant_frame": 1, "maintenance": 1, "expire_token": 2},
    **{"rest_error": 2, "rewrite_rest": 2},
}
"""How often each kind comes, beside the others: many that touch a book, few that take a connection down."""

CODES = (1000, 1001, 1002, 1006, 1006, 1006, 1011, 1012, 1013)
"""Of `cut`. 1008 is left out: a policy violation is final, and the client would rightly stay away."""

REFUSALS = (500, 502, 504)
"""Of `refuse_connect`. 429 and 503 are left out: they ask for ten minutes of peace, which the client rightly gives."""

NOTHING_LEFT = r"^.*$"

LIES = (
    ("book", r'"qty":0\.', '"qty":1.'),
    ("book", r'"qty":(\d+)\.(\d)', r'"qty":\1\2.0'),
    ("book", r'"checksum":', '"checksum'),
    ("book", NOTHING_LEFT, ""),
    ("trade", r'"data":', '"data'),
    ("heartbeat", "heartbeat", "hearbeat"),
    ("ticker", r'"last":', '"last"'),
)
"""Of `rewrite`: quantities that are not so, and frames that are no JSON, of no known channel, or gone."""

WAY_OUT_S = 6.0
"""After which a fault that waits for something to touch is healed."""


class Schedule:
    """Injects one fault after the other.

    Args:
        exchange: where; its faults are watched.
        faults: these.
        symbols: that clients have subscribed to.
        seed: of all choices.
        rest: the exchange has a REST API that somebody calls.

    Attributes:
        injected: how many faults it injected on purpose; those that only help another one to its effect included.
    """

    def __init__(
        self, exchange: Exchange, faults: WatchedFaults, symbols: Sequence[str], *, seed: int, rest: bool
    ) -> None:
        self.injected = 0
        self._exchange = exchange
        self._faults = faults
        self._symbols = tuple(symbols)
        self._random = random = Random(seed)
        self._kinds = [kind for kind in KINDS if rest or not issubclass_of_rest(kind)]
        self._first = list(self._kinds)
        random.shuffle(self._first)
        # What takes longest is not to come last.
        self._first.sort(key=lambda kind: kind not in ("mute", "half_open"))
        self._missing: dict[str, Fault[Any] | None] = dict.fromkeys(self._kinds)
        """Kinds that have touched nothing yet, with the fault that may still do so."""
        self._makers: dict[str, Callable[[Peer, str], None]] = {
            "rewrite": self._rewrite,
            "mute": self._mute,
            "cut": self._cut,
            "refuse_connect": self._refuse_connect,
            "refuse_subscription": self._refuse_subscription,
            "rate_limit": self._rate_limit,
            "lose_reply": self._lose_reply,
            "precision_change": self._precision_change,
        }

    def step(self) -> None:
        """Inject the next fault; nothing happens while nobody is connected."""
        peers = [peer for peer in self._exchange.peers if peer.door == "public" and peer.has_subscriptions]
        if not peers:
            return
        random = self._random
        kind = self._first.pop(0) if self._first else self._choose()
        peer = random.choice(peers)
        symbols = sorted({stream.symbol for stream in self._faults.streams(peer) if stream.symbol in self._symbols})
        symbol = random.choice(symbols) if symbols else random.choice(self._symbols)
        maker = self._makers.get(kind)
        try:
            if maker is not None:
                maker(peer, symbol)
            else:
                self._plain(kind, peer, symbol)
        except UsageError:
            if kind not in ("instrument_status", "precision_change", "thin_book"):
                raise  # those may be at work on that symbol already

    # --- inside -----------------------------------------------------------------------------------------------------

    def _choose(self) -> str:
        """By weight; but one that came to nothing so far comes again."""
        for kind, fault in list(self._missing.items()):
            if fault is not None and fault.touched:
                del self._missing[kind]
            elif fault is not None and fault.is_healed:
                return kind
        return self._random.choices(self._kinds, [WEIGHTS[kind] for kind in self._kinds])[0]

    def _inject(self, kind: str, **parameters: object) -> Fault[Any]:
        self.injected += 1
        fault = self._faults.inject(kind, **parameters)
        if kind in self._missing and ((known := self._missing[kind]) is None or not known.touched):
            self._missing[kind] = fault
        return fault

    def _on_book(self, kind: str, peer: Peer, symbol: str, **parameters: object) -> Fault[Any]:
        """Inject what touches the book that this client has of that symbol, and follow what becomes of it."""
        fault = self._inject(kind, connection_id=peer.connection_id, symbol=symbol, **parameters)
        self._faults.watch(fault, peer, symbol)
        return fault

    def _on_frames(self, kind: str, peer: Peer, symbol: str, channels: Sequence[str], **parameters: object) -> None:
        channel = self._random.choice(channels)
        parameters = {"duration": WAY_OUT_S, "count": self._random.choice((1, 1, 1, 2, 3)), **parameters}
        if channel == "book":
            self._on_book(kind, peer, symbol, channel="book", **parameters)
        else:
            self._inject(kind, connection_id=peer.connection_id, symbol=symbol, channel=channel, **parameters)

    def _plain(self, kind: str, peer: Peer, symbol: str) -> None:
        random, only = self._random, {"connection_id": peer.connection_id}
        if kind in ("lose_update", "double_update"):
            self._on_frames(kind, peer, symbol, ("book", "book", "book", "book", "trade", "trade", "ticker", "ohlc"))
        elif kind == "reorder_update":
            self._on_frames(kind, peer, symbol, ("book", "book", "trade"), distance=random.choice((1, 1, 2, 5)))
        elif kind == "corrupt_checksum":
            self._on_frames(kind, peer, symbol, ("book",), count=1)
        elif kind == "crossed_book":
            choices = {"side": random.choice(("bids", "asks")), "ticks": random.choice((0, 1, 5))}
            choices["checksum"] = random.choice(("crossed", "true", "wrong"))
            self._on_frames(kind, peer, symbol, ("book",), count=1, **choices)
        elif kind == "not_json":
            self._inject(kind, **only)
        elif kind == "giant_frame":
            self._inject(kind, size=random.choice((100_000, 1_000_000, 17 * 1024 * 1024)), **only)
        elif kind == "half_open":
            self._inject(kind, duration=random.uniform(6, 12), **only)
        elif kind == "slow_drip":
            self._inject(kind, bytes_per_second=random.choice((20e3, 200e3)), duration=random.uniform(0.3, 1.5), **only)
        elif kind == "burst":
            self._inject(kind, duration=random.uniform(0.2, 1.5), **only)
        elif kind == "delay":
            self._inject(kind, seconds=0.01, up_to=random.uniform(0.02, 0.3), duration=random.uniform(0.5, 3), **only)
        elif kind == "maintenance":
            self._inject(kind, maintenance=0.3, cancel_only=0.3, post_only=0.3)
        elif kind == "instrument_status":
            status = random.choice(("cancel_only", "post_only", "limit_only"))
            self._inject(kind, symbol=symbol, status=status, duration=random.uniform(0.5, 2))
        elif kind == "thin_book":
            self._inject(kind, symbol=symbol, levels=random.choice((1, 3, 9, 12)), duration=random.uniform(0.5, 2))
        elif kind == "clock_skew":
            self._inject(kind, seconds=random.choice((-2.0, -0.25, 0.25, 2.0)), duration=random.uniform(0.3, 1))
        elif kind == "rest_error":
            self._inject(
                kind, status=random.choice((200, 200, 502, 503)), count=random.choice((1, 2)), duration=WAY_OUT_S
            )
        elif kind == "rewrite_rest":
            self._inject(kind, pattern='"error"', replacement='"eror', count=1, duration=WAY_OUT_S)
        else:
            self._inject(kind)  # expire_token: of every account

    def _rewrite(self, peer: Peer, symbol: str) -> None:
        channel, pattern, replacement = self._random.choice(LIES)
        more = {"pattern": pattern, "replacement": replacement, "count": 1, "duration": WAY_OUT_S}
        if channel == "book":
            self._on_book("rewrite", peer, symbol, channel=channel, **more)
        elif channel == "heartbeat":
            self._inject("rewrite", connection_id=peer.connection_id, channel=channel, **more)
        else:
            self._inject("rewrite", connection_id=peer.connection_id, channel=channel, symbol=symbol, **more)

    def _mute(self, peer: Peer, symbol: str) -> None:
        channel = self._random.choice(("book", "book", "trade", "ticker"))
        more = {"channel": channel, "cure": self._random.choice(("resubscribe", "reconnect")), "duration": 30.0}
        if channel == "book":
            self._on_book("mute", peer, symbol, **more)
        else:
            self._inject("mute", connection_id=peer.connection_id, symbol=symbol, **more)

    def _cut(self, peer: Peer, _symbol: str) -> None:
        self._inject("cut", connection_id=peer.connection_id, code=self._random.choice(CODES), reason="soak")

    def _refuse_connect(self, peer: Peer, symbol: str) -> None:
        status, count = self._random.choice(REFUSALS), self._random.choice((1, 2))
        self._inject("refuse_connect", door="public", status=status, count=count, duration=WAY_OUT_S)
        self._cut(peer, symbol)

    def _refuse_subscription(self, peer: Peer, symbol: str) -> None:
        error = self._random.choice(("EGeneral:Internal error", "EService:Busy", "EService:Unavailable"))
        self._asked_again(
            "refuse_subscription", peer, symbol, error=error, symbol=symbol, channel="book", duration=WAY_OUT_S
        )

    def _rate_limit(self, peer: Peer, symbol: str) -> None:
        self._asked_again("rate_limit", peer, symbol, shape="any", method="subscribe", duration=WAY_OUT_S)

    def _lose_reply(self, peer: Peer, symbol: str) -> None:
        cut = self._random.random() < 0.3
        self._asked_again("lose_reply", peer, symbol, method="subscribe", cut=cut, duration=WAY_OUT_S)

    def _asked_again(self, kind: str, peer: Peer, symbol_: str, **parameters: object) -> None:
        """Something goes wrong with a request; a wrong checksum makes the client send one."""
        self._inject(kind, connection_id=peer.connection_id, **parameters)
        self._on_book("corrupt_checksum", peer, symbol_, channel="book", duration=WAY_OUT_S)

    def _precision_change(self, _peer: Peer, symbol: str) -> None:
        instrument = self._exchange.market.instrument(symbol)
        which = self._random.choice(("price_precision", "qty_precision"))
        more = {which: getattr(instrument, which) + 1}
        self._inject("precision_change", symbol=symbol, duration=self._random.uniform(0.5, 2), **more)


def issubclass_of_rest(kind: str) -> bool:
    """Whether a kind needs REST to touch anything."""
    return kind in ("rest_error", "rewrite_rest")
