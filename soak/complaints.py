"""What a process logs as an error: kept, so that none of it goes unseen."""

from __future__ import annotations

import logging
from collections.abc import Callable

__all__ = ["keep_errors"]


def keep_errors(found: list[str]) -> Callable[[], None]:
    """From now on append whatever is logged as an error, by anybody in this process; returns what ends that."""
    root, keeper = logging.getLogger(), _Keeper(found)
    root.addHandler(keeper)
    return lambda: root.removeHandler(keeper)


class _Keeper(logging.Handler):
    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if ".picows" in record.name and "MESSAGE_TOO_BIG" in text:
            return  # of the WebSocket library, at a message beyond the limit, which `Disconnected` tells of
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text}: {record.exc_info[1]!r}"
        self._found.append(f"log: {text}")
