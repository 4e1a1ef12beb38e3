"""A client that goes on where the program before it ended, in whatever way: what is taken over, and what must agree."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from krakenwire.clock import ContinuedClock
from krakenwire.errors import ConnectionClosed, UsageError
from krakenwire.events import NO_STAMP, Ohlc
from krakenwire.protocol.core import Core
from krakenwire.protocol.options import Options
from krakenwire.protocol.subscriptions import Key

if TYPE_CHECKING:
    from krakenwire.journal.continuing import Left
    from krakenwire.journal.format.lines import Made
    from krakenwire.journal.writing.recorder import Recorder

__all__ = ["ResumedRun", "TakenOver", "take_over"]

_log = logging.getLogger("krakenwire.journal")

_MAY_DIFFER = frozenset({"seed"})
"""Of the options: chance goes on as it was."""


class ResumedRun(msgspec.Struct, frozen=True, kw_only=True):
    """From where a client went on; `Client.resumed`.

    Attributes:
        run: number of the run before.
        last_n: number of its last input that is in the journal.
        first_n: number of this run's first; those between may have been used, of which nothing was written.
        last_ns: when that last input was received (UTC, ns); 0 if it is not known.
        downtime_ns: how long nobody was there.
        wanted: what was subscribed, as (channel, symbol, option); it is again, until the client is closed.
        different: how often what came of the journal's inputs was not what it says; 0 unless another version wrote it.
    """

    run: int
    last_n: int
    first_n: int
    last_ns: int
    downtime_ns: int
    wanted: tuple[Key, ...]
    different: int


class TakenOver(NamedTuple):
    """What a feed goes on from.

    Attributes:
        run: as the user sees it.
        trades: of each symbol that was subscribed the last trade_id, and when (UTC, ns).
        candles: the last candle of each symbol and interval, likewise, as it was given.
    """

    run: ResumedRun
    trades: dict[str, tuple[int, int]]
    candles: dict[tuple[str, int], Ohlc]


async def take_over(
    core: Core,
    recorder: Recorder,
    clock: ContinuedClock,
    *,
    wishes: Made,
    given: Options | None,
    is_wanted: Callable[[], bool],
) -> TakenOver | None:
    """Make `core` that of the journal's last run, and go on recording; the restart itself is the caller's input.

    Args:
        core: a new one; all that it is becomes that of the other, so that whoever holds it need not know.
        recorder: not open yet; it is afterwards.
        clock: goes on from the recorded one afterwards.
        wishes: what a new core would be made of.
        given: the options, if the user gave some.
        is_wanted: whether the feed is still to be opened.

    Returns:
        What was taken over; None if there was nothing, and a fresh run began.

    Raises:
        UsageError: somebody records there, nobody can go on from what is there, or it was another kind of client.
        ConnectionClosed: it is not wanted any more.

    Cancellation: safe, the directory is let go of.
    """
    from krakenwire.journal.continuing import next_number, play_to_end  # needs the extra `journal`
    from krakenwire.journal.writing.place import take_place

    place = take_place(recorder.directory)
    gone = False
    try:
        left = await asyncio.to_thread(play_to_end, recorder.directory, clock, lambda: not gone and is_wanted())
        _check(left, wishes, given, is_wanted=is_wanted())
    except BaseException:
        gone = True
        place.lock.release()
        raise
    if left is None:
        _log.info("%s holds nothing to go on from: a fresh run begins", recorder.directory)
        recorder.open(place)
        return None
    if left.stamp is not NO_STAMP:
        clock.go_on_from(left.stamp.received_ns, left.stamp.received_mono_ns)
    last_n, now_ns = left.core.n, clock.now_ns()
    run = ResumedRun(
        run=left.head.run,
        last_n=last_n,
        first_n=next_number(left, now_ns),
        last_ns=left.stamp.received_ns,
        downtime_ns=max(now_ns - left.stamp.received_ns, 0) if left.stamp is not NO_STAMP else 0,
        wanted=tuple(left.core.placements()),
        different=left.different,
    )
    # Everything that a core is, is in its attributes, and nothing in it points at it (journal/states/state.py).
    vars(core).update(vars(left.core))
    core.n = run.first_n - 1
    recorder.open(place, went_on_from=last_n, made=left.head.made)
    return TakenOver(run, core.trades.all_last(), core.candles.all_last())


def _check(left: Left | None, wishes: Made, given: Options | None, *, is_wanted: bool) -> None:
    """Raise `UsageError` where this is another kind of client than that which was recorded."""
    if not is_wanted:
        raise ConnectionClosed("the client was closed")
    if left is None:
        return
    recorded = left.head.made
    names: list[tuple[str, Any, Any]] = [
        (name, getattr(recorded, name), getattr(wishes, name)) for name in ("mirror", "book_audit", "reconnect_every")
    ]
    if given is not None:
        names += [
            (f"options.{name}", recorded.options[name], value)
            for name, value in msgspec.structs.asdict(given).items()
            if name in recorded.options and name not in _MAY_DIFFER
        ]
    other = [f"{name} was {old!r} and is {new!r}" for name, old, new in names if old != new]
    if other:
        raise UsageError(
            f"a client that goes on must be like the one before: {'; '.join(other)}. Give what was given then, "
            "or start without resume=True"
        )
