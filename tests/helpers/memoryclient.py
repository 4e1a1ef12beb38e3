"""A client of an exchange in memory that asks and looks: every answer is there when the request returns."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from helpers.memorywire import MemoryWire

__all__ = ["MemoryClient"]


class MemoryClient(MemoryWire):
    """A wire with the requests that a client makes.

    Attributes:
        waiting: how many bytes it says to be unsent.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 0
        self._seen = 0

    def write(self, frames: list[bytes]) -> int:
        super().write(frames)
        return self.waiting

    def ask(self, method: str, req_id: int | None = None, **params: object) -> list[dict[str, Any]]:
        """Send a request; returns the frames that came since the last look, decoded with exact numbers.

        Parameters that are `Decimal` are written as JSON numbers.
        """
        fields = ",".join(f"{json.dumps(name)}:{_encode(value)}" for name, value in params.items())
        tail = "" if req_id is None else f',"req_id":{req_id}'
        self.peer.receive(f'{{"method":"{method}","params":{{{fields}}}{tail}}}'.encode())
        return self.news()

    def news(self) -> list[dict[str, Any]]:
        """The frames that came since the last look, decoded with exact numbers."""
        frames, self._seen = self.frames[self._seen :], len(self.frames)
        return [json.loads(frame, parse_float=Decimal) for frame in frames]


def _encode(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else json.dumps(value)
