"""Public calls of the REST API (PROTOCOL 8.3). What to ask, when, and how often again is the core's to decide."""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
import zlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from krakenwire._version import __version__
from krakenwire.errors import RestFailed, UsageError
from krakenwire.net.endpoints import REST_SCHEMES, parse_url, shown

if TYPE_CHECKING:
    import httpx

__all__ = ["RestCaller", "RestClient"]

RestCaller = Callable[[str, tuple[tuple[str, str], ...]], Awaitable[bytes]]
"""Makes a public call by its name and parameters and returns the body of the answer; raises `RestFailed`."""

MAX_BODY = 4 * 1024 * 1024
"""Bytes of an answer: a thousand trades have 80 thousand, all of AssetPairs about a million."""

_GZIP = 31
"""What zlib calls it."""

_RETRYABLE_STATUSES = frozenset({408, 425, 429})
"""Besides all of 5xx."""
_BANNED = frozenset({403, 429})
"""Cloudflare's refusals of an address (PROTOCOL 9.1)."""
_WHOLE = 3
"""Times the timeout of a part: so long may a whole call take."""
_BAN_S = 60.0
"""Seconds to stay away after a ban that tells no time."""

_log = logging.getLogger("krakenwire.net")


class RestClient:
    """Calls of one exchange's public REST API; a `RestCaller`.

    Nothing is imported or opened before the first call. It belongs to the event loop that it is first used on.

    Args:
        url: the base, without a path.
        ssl_context: for `https`; by default certificates and host names are verified.
        proxy: `http://`, `https://` or `socks5://` URL to go through; never taken from the environment.
        timeout: seconds for the connection, and for each part of the answer.

    Raises:
        UsageError: for a URL or a timeout that cannot work.
    """

    def __init__(
        self,
        url: str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        parse_url(url, REST_SCHEMES, "the URL of the REST API")
        if not 0 < timeout < math.inf:
            raise UsageError(f"timeout must be finite and greater than 0 seconds, not {timeout!r}")
        self._url = url.rstrip("/")
        self._ssl_context = ssl_context
        self._proxy = proxy
        self._timeout = timeout
        self._http: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<RestClient {shown(self._url)}>"

    async def __call__(self, call: str, params: tuple[tuple[str, str], ...] = ()) -> bytes:
        """Make one call and return the body of its answer, whatever Kraken says in it.

        Args:
            call: `Trades`, `OHLC`, ….
            params: name and value of each parameter of the query.

        Raises:
            RestFailed: there was no answer, or none of Kraken's; says whether a retry can help.
            UsageError: it was closed, or the proxy cannot be used.

        Cancellation: safe, the request is dropped.
        """
        http = await self._open()
        import httpx  # loaded by now: a program that misses nothing never needs it

        try:
            async with (
                asyncio.timeout(_WHOLE * self._timeout),
                http.stream("GET", f"{self._url}/0/public/{call}", params=list(params)) as response,
            ):
                body = await _read(response, call)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise RestFailed(call, f"no whole answer in time ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise RestFailed(call, f"{shown(self._url)}: {str(error) or type(error).__name__}") from None
        status = response.status_code
        if status == 200:
            return body
        _log.info("REST %s was answered with HTTP %d", call, status)
        raise RestFailed(
            call,
            f"HTTP {status}",
            status=status,
            retryable=status in _RETRYABLE_STATUSES or status in _BANNED or status >= 500,
            retry_after=_retry_after(response.headers.get("retry-after"), status),
        )

    async def close(self) -> None:
        """Close the connections; harmless if done before. Cancellation: partial, they are dropped."""
        self._is_closed = True
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _open(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._http is None and not self._is_closed:
                # In a thread: the import and the certificates take a tenth of a second, and the feed goes on.
                http = await asyncio.to_thread(self._make)
                if not self._is_closed:
                    self._http = http
        if self._http is None:
            raise UsageError("this REST client was closed")
        return self._http

    def _make(self) -> httpx.AsyncClient:
        import httpx

        try:
            return httpx.AsyncClient(
                timeout=self._timeout,
                verify=True if self._ssl_context is None else self._ssl_context,
                proxy=self._proxy,
                trust_env=False,
                follow_redirects=False,
                headers={"User-Agent": f"krakenwire/{__version__}", "Accept-Encoding": "gzip"},
                limits=httpx.Limits(max_connections=4, max_keepalive_connections=2),
            )
        except (ImportError, ValueError) as error:  # its text may hold the proxy with its password
            raise UsageError(
                f"REST cannot use this proxy ({type(error).__name__}); for socks5:// install httpx[socks]"
            ) from None


async def _read(response: httpx.Response, call: str) -> bytes:
    """The body, as far as it is bounded; unpacked here, for httpx bounds not what a part becomes, nor how often."""
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip"):
        raise RestFailed(call, "an answer that is packed in a way that was not asked for")
    unpack = zlib.decompressobj(_GZIP) if packing == "gzip" else None
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_raw():
        plain = part
        if unpack is not None:
            try:
                plain = unpack.decompress(part, MAX_BODY + 1 - size)
            except zlib.error:
                raise RestFailed(call, "an answer that cannot be unpacked") from None
        size += len(plain)
        if size > MAX_BODY:
            raise RestFailed(call, f"an answer of more than {MAX_BODY} bytes", retryable=False)
        parts.append(plain)
    if unpack is not None and not unpack.eof:
        raise RestFailed(call, "an answer that is cut off")
    return b"".join(parts)


def _retry_after(header: str | None, status: int) -> float | None:
    """Seconds to stay away; a date is not read, for its clock is not ours."""
    if header is not None and header.isascii() and header.strip().isdigit() and len(header) < 10:
        return float(header)
    return _BAN_S if status in _BANNED else None
