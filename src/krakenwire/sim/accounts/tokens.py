"""Tokens for the private WebSockets: who a token speaks for, and until when (PROTOCOL 8.2)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Hashable
from typing import Final

from ..engine.model import Refusal

__all__ = ["TOKEN_SECONDS", "Tokens"]

TOKEN_SECONDS: Final = 900
"""A token that nobody holds is good for so long (PROTOCOL 8.2)."""

KEPT = 1024
"""Tokens that are remembered at most; the oldest go first, so that asking for tokens cannot fill the memory."""

NS_PER_S = 1_000_000_000


class _Token:
    """One token: whose, until when, and which connections keep it alive for themselves."""

    __slots__ = ("account", "expires_ns", "holders", "is_expired")

    def __init__(self, account: str, expires_ns: int) -> None:
        self.account = account
        self.expires_ns = expires_ns
        self.holders: set[Hashable] = set()
        self.is_expired = False


class Tokens:
    """The tokens that were given out.

    A token is made of its account's secret, of the moment and of a count: equal runs in simulated time give equal
    tokens, and nobody else can guess one. A token that expired is remembered for a while, to be told from one that
    never was.
    """

    def __init__(self) -> None:
        self._tokens: dict[str, _Token] = {}
        self._issued = 0

    def issue(self, account: str, secret: bytes, now_ns: int) -> str:
        """A new token of `account`."""
        self._issued += 1
        digest = hmac.digest(secret, f"token {self._issued} {now_ns}".encode(), "sha256")
        text = base64.b64encode(digest).decode().rstrip("=")
        self._tokens[text] = _Token(account, now_ns + TOKEN_SECONDS * NS_PER_S)
        if len(self._tokens) > KEPT:
            self._forget_one(newest=text)
        return text

    def account_of(self, text: str, now_ns: int, connection: Hashable | None = None) -> str:
        """Whose token it is.

        Args:
            text: the token.
            now_ns: the exchange's time.
            connection: who presents it; one that holds the token may use it after its time.

        Raises:
            Refusal: `EAPI:Invalid token` for one that never was, `ESession:Invalid session` for one that expired.
        """
        token = self._tokens.get(text)
        if token is None:
            raise Refusal("EAPI:Invalid token")
        if token.is_expired or (now_ns >= token.expires_ns and connection not in token.holders):
            raise Refusal("ESession:Invalid session")
        return token.account

    def hold(self, text: str, connection: Hashable) -> None:
        """Keep a token alive for `connection`, which made a private subscription with it."""
        if token := self._tokens.get(text):
            token.holders.add(connection)

    def release(self, connection: Hashable) -> None:
        """`connection` has no private subscription any more."""
        for token in self._tokens.values():
            token.holders.discard(connection)

    def expire(self, account: str | None = None) -> int:
        """Let every token of `account` (of all, if None) be expired now, held or not; returns how many were good."""
        expired = 0
        for token in self._tokens.values():
            if not token.is_expired and account in (None, token.account):
                token.is_expired = True
                expired += 1
        return expired

    def _forget_one(self, newest: str) -> None:
        others = [text for text in self._tokens if text != newest]
        # Where every one is held, the oldest subscription loses its token, which only its later orders notice.
        del self._tokens[next((text for text in others if not self._tokens[text].holders), others[0])]
