"""Why a connection could not be opened, in words and as advice: each failure becomes one `ConnectFailed`."""

from __future__ import annotations

import email.utils
import re
import socket
import ssl
from urllib.parse import urljoin

from krakenwire.clock import NS_PER_S
from krakenwire.errors import ConnectFailed
from krakenwire.net.endpoints import shown

__all__ = ["BAN_SECONDS", "connect_failed", "upgrade_refused"]

BAN_SECONDS = 600.0
"""How long Cloudflare shuts an address out that connected too often (PROTOCOL 9.1)."""

_TERMINAL = {
    400: "it finds the request malformed; check the URL",
    401: "it wants credentials; check the URL and the proxy",
    404: "nothing is there; check the path of the URL (v2 ends in /v2)",
}
_BANNED = {
    403: "the address is shut out for a while, or TLS came without the server's name",
    429: "too many connects",
    503: "it is overloaded, or too many connects",
}
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: |\r|$)")


def connect_failed(url: str, target: str, error: Exception) -> ConnectFailed:
    """The failure of a TCP or TLS connection.

    Args:
        url: where to.
        target: host and port that were dialled: the proxy's, if there is one.
        error: what happened.
    """
    where = shown(url)
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectFailed(
            where,
            f"the TLS certificate is not trusted ({error.verify_message}); check the host, this machine's "
            "time and its CA certificates, or pass an ssl_context= that trusts the server's CA",
            retryable=False,
        )
    if isinstance(error, ssl.SSLError):
        return ConnectFailed(where, f"TLS failed ({error.reason or 'no reason given'}); is it a TLS port?")
    if isinstance(error, socket.gaierror):
        return ConnectFailed(where, f"{target} cannot be resolved ({error.strerror}); check the name and the DNS")
    if isinstance(error, ConnectionRefusedError):
        return ConnectFailed(where, f"{target} refused the connection; is it listening?")
    if isinstance(error, ConnectionError | EOFError):
        return ConnectFailed(where, f"{target} dropped the connection before it was open")
    if isinstance(error, OSError):
        return ConnectFailed(where, f"{target}: {error.strerror or type(error).__name__}")
    return ConnectFailed(where, f"{target}: {type(error).__name__}")


def upgrade_refused(url: str, header: bytes, problem: str, now_ns: int) -> ConnectFailed:
    """The failure of the WebSocket upgrade, by the HTTP status that came (PROTOCOL 9.1, 9.2).

    400, 401 and 404 are terminal. 403, 429 and 503 may be tried again after the ban window, or when
    Retry-After says; every other status may be tried again at once.

    Args:
        url: where to.
        header: the head of the response, as it came.
        problem: what is wrong with a response that is no plain refusal.
        now_ns: UTC, to understand a Retry-After that is a date.
    """
    where = shown(url)
    match = _STATUS_LINE.match(header)
    if match is None:
        return ConnectFailed(where, "expected an HTTP/1.1 response to the upgrade, got something else")
    status = int(match[1])
    if status == 101:
        return ConnectFailed(where, f"the upgrade was answered wrongly: {problem}", status=status)
    if status in _TERMINAL:
        reason = f"the upgrade was refused with status {status}: {_TERMINAL[status]}"
        return ConnectFailed(where, reason, status=status, retryable=False)
    retry_after = _retry_after(_field(header, b"retry-after"), now_ns)
    if status in _BANNED:
        retry_after = BAN_SECONDS if retry_after is None else retry_after
        reason = f"the upgrade was refused with status {status}: {_BANNED[status]}; wait {retry_after:.0f} s"
        return ConnectFailed(where, reason, status=status, retry_after=retry_after)
    reason = f"expected status 101 to the upgrade, got {status}"
    location = _field(header, b"location")
    if 300 <= status < 400 and location:
        reason += f", a redirect to {shown(urljoin(url, location))}; redirects are not followed, use that URL"
    return ConnectFailed(where, reason, status=status, retry_after=retry_after)


def _field(header: bytes, name: bytes) -> str:
    """The first value of a header field, or an empty string."""
    for line in header.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().decode("ascii", "replace")
    return ""


def _retry_after(value: str, now_ns: int) -> float | None:
    """The seconds of a Retry-After field: a count of seconds or a date; None if it is neither."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(date.timestamp() - now_ns / NS_PER_S, 0.0)
