"""The inputs of a core that are no frames, as values: what a journal keeps, and what a replay gives to a core again.

An input has a time, a `Stamp`, beside what is here; its connection is the stamp's where the input is about one. How
they are written is the journal's; that each is written as the array of its fields, led by its name, is said here.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from krakenwire.events import Stamp
from krakenwire.protocol.outputs import Action
from krakenwire.protocol.subscriptions import Key

__all__ = [
    "Answered",
    "Cancelled",
    "Connected",
    "Connecting",
    "Deadline",
    "Disconnected",
    "Fetched",
    "Held",
    "Input",
    "LoopStood",
    "Paused",
    "Reconnect",
    "Restarted",
    "Resumed",
    "Started",
    "Stopped",
    "Subscribe",
    "Tape",
    "Unsubscribe",
]


class _Base(msgspec.Struct, frozen=True, array_like=True, tag=str.lower):
    """One input; its array begins with its name in small letters."""


class Started(_Base, frozen=True):
    """`Core.start`."""


class Restarted(_Base, frozen=True):
    """`Core.restart`: another program goes on; the input has the number `n`."""

    n: int


class Stopped(_Base, frozen=True):
    """`Core.stop`."""

    reason: str


class Subscribe(_Base, frozen=True):
    """`Core.subscribe`."""

    keys: tuple[Key, ...]


class Unsubscribe(_Base, frozen=True):
    """`Core.unsubscribe`."""

    keys: tuple[Key, ...]


class Held(_Base, frozen=True):
    """`Core.book`: the book that is served for `key` on that connection is looked at."""

    connection: str
    key: Key


class Connecting(_Base, frozen=True):
    """`Core.connecting`."""

    connection: str


class Connected(_Base, frozen=True):
    """`Core.connected`, of the stamp's connection."""

    url: str


class Disconnected(_Base, frozen=True):
    """`Core.disconnected`, of the stamp's connection."""

    reason: str
    code: int | None
    terminal: bool


class Fetched(_Base, frozen=True):
    """`Core.fetch`: somebody wants a REST call made; who gets its answer is not the core's."""

    call: str
    params: tuple[tuple[str, str], ...]


class Cancelled(_Base, frozen=True):
    """`Core.cancel_fetch`."""

    number: int


class Answered(_Base, frozen=True):
    """`Core.receive_answer`."""

    number: int
    body: bytes | None
    error: str | None
    retryable: bool
    retry_after: float | None


class Paused(_Base, frozen=True):
    """`Core.paused`."""

    connection: str
    reason: str


class Resumed(_Base, frozen=True):
    """`Core.resumed`."""

    connection: str


class Reconnect(_Base, frozen=True):
    """`Core.reconnect`."""

    connection: str | None
    reason: str


class LoopStood(_Base, frozen=True):
    """`Core.loop_stalled`."""

    stalled_ns: int


class Deadline(_Base, frozen=True):
    """`Core.handle_deadline`."""


Input = (
    Started
    | Restarted
    | Stopped
    | Subscribe
    | Unsubscribe
    | Held
    | Connecting
    | Connected
    | Disconnected
    | Fetched
    | Cancelled
    | Answered
    | Paused
    | Resumed
    | Reconnect
    | LoopStood
    | Deadline
)


class Tape(Protocol):
    """What a core tells of every input before it takes it, and of every action that was taken from it.

    It must neither raise nor wait, and not touch the core.
    """

    def append_frame(self, frame: bytes, stamp: Stamp) -> None:
        """`Core.receive_frame`."""

    def append_input(self, given: Input, stamp: Stamp | None) -> None:
        """Any other input; those without a time have no stamp."""

    def append_actions(self, actions: list[Action]) -> None:
        """What the shell was told to do."""
