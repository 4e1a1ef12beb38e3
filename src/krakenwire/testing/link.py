"""One connection in memory: what is sent to the client waits in order, and its end is told once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from krakenwire.net.transport import Closed, Listener, Transport

__all__ = ["MemoryLink"]

ABNORMAL_CLOSURE = 1006


class MemoryLink:
    """A connection in memory; its owner says when frames are delivered, and hears the client.

    Args:
        listener: the client's.
        sent: called with each message of the client; not once the connection has ended.
        ended: called when the client ended the connection; `closed` says how.
        paused: called when the client stops reading, and when it reads again; `is_paused` says which.

    Attributes:
        closed: how the connection ended, as the client's listener was or will be told; None while it is open.
        is_paused: whether the client has stopped reading.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        sent: Callable[[bytes], object],
        ended: Callable[[], object],
        paused: Callable[[], object] = lambda: None,
    ) -> None:
        self.closed: Closed | None = None
        self.is_paused = False
        self._listener = listener
        self._sent = sent
        self._ended = ended
        self._paused = paused
        self._inbox: deque[tuple[bytes, bool] | Closed] = deque()
        self._is_held = False
        self._is_told = False

    def put(self, frames: Iterable[bytes]) -> None:
        """Let messages wait that arrive in one socket read; ignored once the connection has ended."""
        if self.closed is None:
            batch = list(frames)
            self._inbox.extend((frame, i == len(batch)) for i, frame in enumerate(batch, 1))

    def put_end(self, closed: Closed) -> bool:
        """Let the end wait behind what was sent before; False if it had ended already."""
        if self.closed is not None:
            return False
        self.closed = closed
        self._inbox.append(closed)
        return True

    def deliver(self) -> None:
        """Hand on what waits, unless the client does not read or is being handed something already."""
        while self._inbox and not (self._is_held or self.is_paused):
            item = self._inbox.popleft()
            self._is_held = True
            try:
                if isinstance(item, Closed):
                    self._is_told = True
                    self._listener.receive_closed(item)
                else:
                    self._listener.receive_frame(*item)
            finally:
                self._is_held = False

    def open(self) -> Transport:
        """The client's end, for a connect to return; nothing is delivered before the loop's next turn."""
        self._is_held = True
        asyncio.get_running_loop().call_soon(self._let_go)
        return _ClientEnd(self)

    @property
    def waiting(self) -> int:
        """Bytes that wait for the client."""
        return sum(len(item[0]) for item in self._inbox if not isinstance(item, Closed))

    # --- inside ---------------------------------------------------------------------------------------------

    def _let_go(self) -> None:
        self._is_held = False
        self.deliver()

    def _client_sent(self, text: bytes) -> None:
        if self.closed is None:
            self._sent(text)

    def _client_ended(self, closed: Closed) -> None:
        """Nothing sent earlier is delivered any more, and the end is told on the loop's next turn."""
        if self._is_told or (self.closed is not None and self.closed.local):
            return
        self.closed = closed
        self._inbox.clear()
        self.is_paused = False
        self._ended()
        asyncio.get_running_loop().call_soon(self._tell_client_ended, closed)

    def _tell_client_ended(self, closed: Closed) -> None:
        self._inbox.append(closed)
        self.deliver()

    def _client_reads(self, reads: bool) -> None:
        if self.closed is not None and self.closed.local:
            return
        if self.is_paused == reads:
            self.is_paused = not reads
            self._paused()
        if reads:
            asyncio.get_running_loop().call_soon(self.deliver)


class _ClientEnd:
    """The client's `Transport`."""

    def __init__(self, link: MemoryLink) -> None:
        self._link = link

    def send_text(self, text: bytes) -> None:
        self._link._client_sent(text)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._link._client_ended(Closed(code, reason, local=True))

    def abort(self, reason: str = "aborted by this side") -> None:
        self._link._client_ended(Closed(ABNORMAL_CLOSURE, reason, local=True))

    def pause_reading(self) -> None:
        self._link._client_reads(False)

    def resume_reading(self) -> None:
        self._link._client_reads(True)
