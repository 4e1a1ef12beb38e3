"""Questions to the REST interface, one at a time, with the answers as they came."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from urllib.parse import urlencode

import httpx

from krakenwire._version import __version__
from krakenwire.clock import NS_PER_S, Clock
from krakenwire.conform.target import Credentials
from krakenwire.conform.verdict import NotTested, broken
from krakenwire.conform.wire import Frame, Item, encode
from krakenwire.errors import ConnectFailed
from krakenwire.net.endpoints import shown
from krakenwire.protocol.wire.auth import sign

__all__ = ["Reply", "Web"]


class Reply(Frame):
    """One answer of REST.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, status: int, text: bytes, received_ns: int) -> None:
        super().__init__(text, received_ns)
        self.status = status

    @property
    def errors(self) -> list[str]:
        """The texts in `error`."""
        errors = self.fields.get("error")
        return [each for each in errors if isinstance(each, str)] if isinstance(errors, list) else []

    @property
    def outcome(self) -> Item:
        """`result`, if it came without an error.

        Raises:
            NotTested: it did not, or is no object.
        """
        result = self.fields.get("result")
        if self.errors or not isinstance(result, dict):
            raise NotTested(f"needs an answer with a result, got {self.status} {self.shortened}")
        return Item(result, self)


class Web:
    """The REST interface of the server under test.

    Args:
        url: its base.
        clock: what nonces and the pace are taken from.
        patience: seconds within which an answer counts as one.
        pace: seconds between two requests.
        verify: how certificates are checked.
    """

    def __init__(
        self, url: str, clock: Clock, *, patience: float, pace: float = 0.0, verify: ssl.SSLContext | bool = True
    ) -> None:
        self._url = url
        self._clock = clock
        self._patience = patience
        self._pace_ns = round(pace * NS_PER_S)
        self._free_ns = 0
        self._nonce = 0
        self._turn = asyncio.Lock()
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=patience,
            verify=verify,
            trust_env=False,
            headers={"User-Agent": f"krakenwire/{__version__}"},
        )

    async def close(self) -> None:
        """Close the connections. Cancellation: partial."""
        await self._http.aclose()

    async def get(self, method: str, **params: object) -> Reply:
        """A public question.

        Raises:
            ConnectFailed: the server cannot be reached.
            Broken: it does not answer.

        Cancellation: safe.
        """
        return await self._ask(f"/0/public/{method}", httpx.QueryParams({k: str(v) for k, v in params.items()}))

    async def post(
        self,
        method: str,
        credentials: Credentials,
        fields: Mapping[str, object] | None = None,
        *,
        nonce: int | None = None,
        is_json: bool = False,
    ) -> Reply:
        """A private question, signed (PROTOCOL 8.1).

        Args:
            method: as in `GetWebSocketsToken`.
            credentials: whose key, and what signs.
            fields: the parameters but the nonce.
            nonce: to use instead of the next one.
            is_json: whether the body is JSON instead of a form.

        Raises:
            ConnectFailed, Broken: as `get`.

        Cancellation: safe.
        """
        path = f"/0/private/{method}"
        text = str(self.new_nonce() if nonce is None else nonce)
        body_fields = {"nonce": text} | dict(fields or {})
        body = encode(body_fields) if is_json else urlencode(body_fields).encode()
        headers = {
            "API-Key": credentials.key,
            "API-Sign": sign(path, text, body, credentials.secret),
            "Content-Type": "application/json" if is_json else "application/x-www-form-urlencoded",
        }
        return await self._ask(path, None, body=body, headers=headers)

    def new_nonce(self) -> int:
        """A nonce above all before it: the time in nanoseconds."""
        self._nonce = max(self._nonce + 1, self._clock.now_ns())
        return self._nonce

    async def _ask(
        self,
        path: str,
        params: httpx.QueryParams | None,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        async with self._turn:
            wait_ns = self._free_ns - self._clock.monotonic_ns()
            if wait_ns > 0:
                await self._clock.sleep(wait_ns / NS_PER_S)
            self._free_ns = self._clock.monotonic_ns() + self._pace_ns
            try:
                response = await self._http.request(
                    "GET" if body is None else "POST", path, params=params, content=body, headers=headers
                )
            except httpx.ConnectError as error:
                raise ConnectFailed(shown(self._url), str(error) or "refused") from None
            except httpx.TimeoutException:
                broken(f"an answer to {path}", f"none within {self._patience:g} s")
            except httpx.TransportError as error:
                broken(f"an answer to {path}", str(error) or type(error).__name__)
        return Reply(response.status_code, response.content, self._clock.monotonic_ns())
