"""One-time passwords, as an authenticator app shows them: RFC 6238 with HMAC-SHA1, 30 seconds and six digits."""

from __future__ import annotations

import base64
import binascii
import hmac

from krakenwire.errors import UsageError

__all__ = ["decode_secret", "is_one_time_password", "one_time_password"]

PERIOD_NS = 30 * 1_000_000_000
DIGITS = 6
TOLERANCE = 1
"""Periods before and after the present whose password is taken too: people type slowly and clocks are off."""


def decode_secret(text: str) -> bytes:
    """The secret from its base32 text, in which case, spaces and the padding do not matter.

    Raises:
        UsageError: it is not base32; it is not quoted.
    """
    packed = "".join(text.split()).rstrip("=").upper()
    try:
        secret = base64.b32decode(packed + "=" * (-len(packed) % 8))
    except (binascii.Error, ValueError):
        secret = b""
    if not secret:
        raise UsageError(
            "expected the base32 text that an authenticator app is given, of letters and the digits 2 to 7"
        )
    return secret


def one_time_password(secret: bytes, now_ns: int) -> str:
    """The password of the period that `now_ns` (UTC nanoseconds) lies in."""
    return _of_period(secret, now_ns // PERIOD_NS)


def is_one_time_password(password: str, secret: bytes, now_ns: int) -> bool:
    """Whether `password` is that of the period of `now_ns`, or of one next to it."""
    present = now_ns // PERIOD_NS
    near = range(max(0, present - TOLERANCE), present + TOLERANCE + 1)
    given = password.encode(errors="replace")
    return any(hmac.compare_digest(given, _of_period(secret, period).encode()) for period in near)


def _of_period(secret: bytes, period: int) -> str:
    digest = hmac.digest(secret, period.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"
