"""HTTP on a port of its own, by aiohttp: the REST API, and whatever else answers JSON."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from krakenwire.errors import UsageError

from .rest.api import MAX_BODY, Request, RestApi, RestHost, encode_error

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["JsonServer", "Request", "RestServer"]

READ_S = 10.0
"""How long a request's body may take to come in."""

KEEP_ALIVE_S = 75.0
"""How long a connection may go without a request."""

CLOSE_S = 1.0

MAX_LINE = 8190
"""Bytes of a request line, and of one field of the header."""

MAX_CONNECTIONS = 1000

BAD_REQUEST = encode_error("EGeneral:Invalid arguments")

_log = logging.getLogger("krakenwire.sim")


class JsonServer:
    """Answers HTTP requests with JSON, on the running event loop; those that are no proper HTTP too.

    Bodies are bounded in size and in time. Nothing is logged of a request: its URL or body may hold a secret.

    Args:
        answer: gives the HTTP status and the body; it must not wait.
        host: the address to bind.
        port: 0 lets the system choose.
        ssl_context: speaks TLS if given.

    Raises:
        UsageError: aiohttp is not installed (the extra `sim`).
    """

    def __init__(
        self,
        answer: Callable[[Request], tuple[int, bytes]],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        try:
            from aiohttp import web
        except ImportError:
            raise UsageError("HTTP needs the extra `sim` (aiohttp): pip install 'krakenwire[sim]'") from None
        self._web = web
        self._answer = answer
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._server: asyncio.Server | None = None
        self._manager: web.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Bind and begin to serve.

        Raises:
            OSError: the address cannot be bound.
            UsageError: it was started before.

        Cancellation: partial; `close` puts everything right.
        """
        if self._manager is not None:
            raise UsageError("this server was started before; make another one")
        manager = self._manager = self._web.Server(self._handle)
        loop = asyncio.get_running_loop()
        handler = _quiet_handler()

        def accept() -> web.RequestHandler:
            return handler(
                manager,
                loop=loop,
                access_log=None,  # type: ignore[arg-type]  # turns it off, as aiohttp's own runner does it
                keepalive_timeout=KEEP_ALIVE_S,
                lingering_time=CLOSE_S,
                max_line_size=MAX_LINE,
                max_field_size=MAX_LINE,
                # What is signed is the body as it was sent; and nothing small can become something big.
                auto_decompress=False,
            )

        self._server = await loop.create_server(accept, self._host, self._port, ssl=self._ssl_context)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and end what connections there are; harmless when repeated.

        Cancellation: partial; call it again.
        """
        if self._server is not None:
            self._server.close()
        if self._manager is not None:
            self._manager.pre_shutdown()  # idle connections end now, and not when the time is up
            await self._manager.shutdown(CLOSE_S)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def url(self) -> str:
        """The base of all its URLs."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._ssl_context else 'http'}://{host}:{self._port}"

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        web = self._web
        if self._manager is not None and len(self._manager.connections) > MAX_CONNECTIONS:
            return _respond(web, 503, encode_error("EService:Busy"), close=True)
        try:
            body = await _read_body(request)
        except _TooLarge:
            return _respond(web, 413, BAD_REQUEST, close=True)
        except TimeoutError:
            return _respond(web, 408, BAD_REQUEST, close=True)
        except web.RequestPayloadError:
            return _respond(web, 400, BAD_REQUEST, close=True)
        url = request.rel_url
        try:
            status, answer = self._answer(
                Request(request.method, url.raw_path, url.raw_query_string, request.headers, body, request.remote or "")
            )
        except Exception:
            _log.exception("the simulator failed to answer a request")
            return _respond(web, 500, encode_error("EGeneral:Internal error"), close=True)
        return _respond(web, status, answer)


class RestServer(JsonServer):
    """Serves an exchange's REST API.

    Args:
        exchange: whose API it is.
        host: the address to bind.
        port: 0 lets the system choose.
        ssl_context: speaks TLS if given.
        public_rate: as `RestApi` has it.

    Raises:
        UsageError: aiohttp is not installed (the extra `sim`), or `public_rate` is not more than 0.
    """

    def __init__(
        self,
        exchange: RestHost,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        ssl_context: ssl.SSLContext | None = None,
        public_rate: float | None = None,
    ) -> None:
        api = RestApi(exchange, public_rate=public_rate)

        def answer(request: Request) -> tuple[int, bytes]:
            method, path, query, headers, body, address = request
            return api.handle(method, path, query, headers=headers, body=body, address=address)

        super().__init__(answer, host, port, ssl_context=ssl_context)


class _TooLarge(Exception):
    """A body has more than `MAX_BODY` bytes."""


async def _read_body(request: web.BaseRequest) -> bytes:
    if request.headers.get("Expect", "").lower() == "100-continue":  # curl waits for it before a longer body
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    body = bytearray()
    async with asyncio.timeout(READ_S):
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY:
                raise _TooLarge
    return bytes(body)


def _respond(module: Any, status: int, body: bytes, *, close: bool = False) -> web.Response:
    # Only a fault gives anything but JSON: the page of something that stands before the exchange.
    content_type = "text/html" if body.startswith(b"<") else "application/json"
    response: web.Response = module.Response(status=status, body=body, content_type=content_type)
    if close:
        response.force_close()
    return response


def _quiet_handler() -> type[web.RequestHandler]:
    """The usual one logs a traceback for each byte that is no HTTP, and answers with text."""
    from aiohttp import web

    class QuietHandler(web.RequestHandler):
        __slots__ = ()

        def handle_error(
            self,
            request: web.BaseRequest,
            status: int = 500,
            exc: BaseException | None = None,
            message: str | None = None,
        ) -> web.StreamResponse:
            return _respond(web, status, BAD_REQUEST, close=True)

    return QuietHandler
