"""Sealing while a recorder goes on: in a child process of low priority, one segment after another."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path

__all__ = ["Sealer"]

_log = logging.getLogger("krakenwire.journal")

_SHOWN = 500  # characters of what a child complains


class Sealer:
    """Has ended segments sealed. Whatever goes wrong is logged and counted, and never the recorder's trouble.

    A child is given the directory and a number, and nothing else. It ends with its parent, however that ends.

    Args:
        directory: of the journal.

    Attributes:
        sealed: segments that were.
        failures: segments that could not be; `krakenwire journal seal` says why.
    """

    def __init__(self, directory: Path) -> None:
        self.sealed = 0
        self.failures = 0
        self._directory = directory
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._is_closed = threading.Event()

    def seal(self, number: int) -> bool:
        """Seal the segment of that number; blocks until it is done, or `close` is called. Whether it is sealed."""
        command = [
            sys.executable,
            "-m",
            "krakenwire.journal.sealing.sealing",
            str(self._directory),
            "--attended",
            str(number),
        ]
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        try:
            with self._lock:
                if self._is_closed.is_set():
                    return False
                child = self._child = subprocess.Popen(command, stdin=pipe, stdout=nothing, stderr=pipe)  # noqa: S603  # our own
        except OSError as error:
            return self._fail(number, str(error.strerror))
        with child:
            words = b"" if child.stderr is None else child.stderr.read()
            code = child.wait()
        with self._lock:
            self._child = None
        if code and self._is_closed.is_set():
            return False  # it is begun again next time
        if code:
            return self._fail(number, words.decode(errors="replace").strip()[-_SHOWN:] or f"exit code {code}")
        self.sealed += 1
        return True

    def close(self) -> None:
        """Seal nothing any more: what is under way is given up. From any thread, also twice."""
        with self._lock:
            self._is_closed.set()
            if self._child is not None:
                self._child.kill()

    def _fail(self, number: int, reason: str) -> bool:
        self.failures += 1
        _log.warning("segment %d was not sealed: %s", number, reason)
        return False
