"""The signature of a private REST request (PROTOCOL 8.1). Nothing here keeps, shows or logs a secret."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from krakenwire.errors import UsageError

__all__ = ["sign"]


def sign(path: str, nonce: str, body: bytes, secret: str) -> str:
    """What goes into the header `API-Sign`.

    Args:
        path: of the URL, as `/0/private/AddOrder`.
        nonce: the one in `body`, as text.
        body: exactly as it is sent, form or JSON.
        secret: the private key as Kraken shows it, base64.

    Raises:
        UsageError: the secret is not base64; it is not quoted.
    """
    try:
        key = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        raise UsageError(
            "the API secret is not valid base64; copy it again, whole, from where the key was made"
        ) from None
    digest = hashlib.sha256(nonce.encode() + body).digest()
    return base64.b64encode(hmac.digest(key, path.encode() + digest, "sha512")).decode()
