"""Opens WebSockets: a URL in, an open transport or one clear `ConnectFailed` out."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import picows
from picows.url import WSParsedURL
from python_socks import ProxyError  # comes with picows, which raises it

from krakenwire._version import __version__
from krakenwire.clock import Clock, timeout
from krakenwire.errors import ConnectFailed, UsageError
from krakenwire.net.connection import WebSocketTransport
from krakenwire.net.dial import dial
from krakenwire.net.endpoints import WEBSOCKET_SCHEMES, is_loopback, parse_url, shown
from krakenwire.net.transport import Listener
from krakenwire.net.upgrade import connect_failed, upgrade_refused

__all__ = ["WebSocketConnector"]

MAX_MESSAGE_BYTES = 16 * 1024 * 1024

_PROXY_SCHEMES = ("http", "https", "socks5")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# A shut-down socket is noticed, reported and closed within some four turns of the loop, TLS included.
_TURNS_TO_CLOSE = 20

# Below INFO picows logs the headers it sends and the payloads of pings, so only its warnings are let through.
_picows_log = logging.getLogger(f"{__name__}.picows")
_picows_log.setLevel(logging.WARNING)


class WebSocketConnector:
    """A `Connector` over real sockets.

    TLS certificates are verified. Redirects are not followed. Proxies come from `proxy` alone, never from the
    environment. No extension is offered (PROTOCOL 9.8).

    Args:
        clock: what the timeouts are measured on.
        ssl_context: for `wss`; the default trusts the system's CAs and checks the host name.
        proxy: `http://`, `https://` or `socks5://`, with a port, `user:password@` if it wants them.
        open_timeout: seconds for all of name resolution, TCP, proxy, TLS and upgrade together.
        close_timeout: seconds until a close that the peer does not answer becomes an abort.
        max_message_bytes: the largest message accepted; a larger one closes the connection with 1009 at its
            header.
        user_agent: what the upgrade says of us.
        extra_headers: more headers for the upgrade.
        require_secure: refuse `ws://` to another machine; for connections that carry credentials.

    Raises:
        UsageError: for an argument that cannot work.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        open_timeout: float = 10.0,
        close_timeout: float = 5.0,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        user_agent: str = f"krakenwire/{__version__}",
        extra_headers: Mapping[str, str] | None = None,
        require_secure: bool = False,
    ) -> None:
        if open_timeout <= 0 or close_timeout <= 0 or max_message_bytes < 1:
            raise UsageError(
                "expected open_timeout > 0, close_timeout > 0 and max_message_bytes >= 1, got "
                f"{open_timeout=}, {close_timeout=}, {max_message_bytes=}"
            )
        self._clock = clock
        self._ssl_context = ssl_context
        self._proxy = None if proxy is None else _checked_proxy(proxy)
        self._open_timeout = open_timeout
        self._close_timeout = close_timeout
        self._max_message_bytes = max_message_bytes
        self._headers = _checked_headers({"User-Agent": user_agent, **(extra_headers or {})})
        self._require_secure = require_secure

    async def __call__(self, url: str, listener: Listener) -> WebSocketTransport:
        """Open a WebSocket to `url` and deliver what comes to `listener`.

        Args:
            url: `wss://` or `ws://`.
            listener: who is told; not before the loop's next turn after this returned.

        Raises:
            ConnectFailed: with the HTTP status of a refused upgrade, and whether and when a retry can help.
            UsageError: for a URL that cannot work.

        Cancellation: safe, the attempt is abandoned and its socket closed.
        """
        parts = parse_url(url, WEBSOCKET_SCHEMES)
        if self._require_secure and parts.scheme != "wss" and not is_loopback(url):
            raise UsageError(f"expected wss:// where credentials are sent, got {shown(url)!r}")
        if parts.scheme == "wss" and self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        attempt = _Attempt(
            url,
            WebSocketTransport(
                listener,
                clock=self._clock,
                close_timeout=self._close_timeout,
                max_message_bytes=self._max_message_bytes,
            ),
        )
        try:
            async with timeout(self._clock, self._open_timeout):
                await self._open(attempt)
        except TimeoutError:
            await attempt.discard()
            reason = f"{attempt.stage} took longer than {self._open_timeout:g} s"
            raise ConnectFailed(shown(url), reason) from None
        except BaseException:
            await attempt.discard()
            raise
        asyncio.get_running_loop().call_soon(attempt.transport.start)
        return attempt.transport

    async def _open(self, attempt: _Attempt) -> None:
        """Run picows' connect, turning each of its failures into ours."""
        url = attempt.url
        try:
            _, opened = await picows.ws_connect(
                lambda: attempt.transport,
                url,
                ssl_context=self._ssl_context,
                websocket_handshake_timeout=None,
                logger_name=_picows_log,
                enable_auto_pong=False,  # a ping that ends a read must reach us, for it ends the read
                max_frame_size=self._max_message_bytes,
                extra_headers=self._headers,
                max_redirects=0,
                proxy=self._proxy,
                socket_factory=attempt.dial,
            )
        except picows.WSHandshakeError as error:
            raise upgrade_refused(url, error.raw_header or b"", str(error), self._clock.now_ns()) from None
        except ProxyError as error:
            raise ConnectFailed(shown(url), f"the proxy {attempt.target} did not connect: {error}") from None
        except (OSError, EOFError) as error:
            raise connect_failed(url, attempt.target, error) from error
        except Exception as error:
            if self._proxy is None:
                raise
            reason = f"the proxy {attempt.target} answered what is no proxy protocol ({type(error).__name__})"
            raise ConnectFailed(shown(url), reason) from None
        if opened is None:  # so picows says that the socket ended before the response
            raise connect_failed(url, attempt.target, ConnectionResetError())


class _Attempt:
    """One attempt to connect: what must be closed if it fails, and how far it came."""

    def __init__(self, url: str, transport: WebSocketTransport) -> None:
        self.url = url
        self.transport = transport
        self.target = ""
        self.stage = "resolving and connecting"
        self._sock: socket.socket | None = None

    async def dial(self, parsed: WSParsedURL) -> socket.socket:
        """The socket that picows connects over: to the host, or to the proxy."""
        self.target = f"{parsed.host}:{parsed.port}"
        self._sock = await dial(parsed.host, parsed.port)
        self.stage = f"{self.target} accepted, but the answer to the proxy request, TLS or upgrade"
        return self._sock

    async def discard(self) -> None:
        """Close the socket of an attempt that failed, whoever holds it by now.

        picows gives no hold on a connection before its upgrade, so the socket itself is shut down: whatever
        reads it meets its end and closes it properly.
        """
        self.transport.abandon()
        sock = self._sock
        if sock is None:
            return
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        for _ in range(_TURNS_TO_CLOSE):
            if sock.fileno() < 0:
                return
            await asyncio.sleep(0)
        sock.close()  # nobody had taken it yet


def _checked_proxy(proxy: str) -> str:
    """The proxy's URL if picows can use it. No error shows its credentials."""
    accepted = "expected proxy= as http://, https:// or socks5:// with host and port"
    try:
        parts = urlsplit(proxy)
        port = parts.port
    except ValueError:
        raise UsageError(f"{accepted}, got a malformed URL") from None
    if parts.scheme not in _PROXY_SCHEMES or not parts.hostname or not port:
        raise UsageError(f"{accepted}, got {shown(proxy)!r}")
    return proxy


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, if they are headers: a line break in one would begin another."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not value.isascii() or not value.isprintable():
            raise UsageError(f"expected a header of printable ASCII, got a name or value that is not: {name!r}")
    return dict(headers)
