"""Accounts: who signed a request, how often they may ask, and the tokens they hold (PROTOCOL 8, 9.4)."""

from __future__ import annotations

import base64
import hmac
from collections import deque
from collections.abc import Container, Hashable, Iterable
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl

import msgspec

from krakenwire.errors import UsageError
from krakenwire.protocol.wire.auth import sign

from ..engine.model import Account, FeeTier, Refusal
from .file import AccountDefinition, Credentials, Permissions, Tier, default_definitions, load_definitions
from .tokens import Tokens
from .totp import decode_secret, is_one_time_password

__all__ = ["Accounts", "read_body"]

NS_PER_S = 1_000_000_000
MAX_NONCE = 2**64 - 1
MAX_FIELDS = 200

LOCKOUT_NS = 900 * NS_PER_S
"""How long a key is locked out (PROTOCOL 9.7)."""
LOCKOUT_WINDOW_NS = 60 * NS_PER_S
LOCKOUT_AFTER = 20
"""Invalid nonces within a minute that lock a key out. Kraken says "many" and no number; this one is ours."""

NONCES_KEPT = 1000
"""Nonces that are remembered to tell a repeated one from one that came late, where a key has a nonce window."""


class _Key:
    """What is remembered of an account's API key."""

    def __init__(self, definition: AccountDefinition) -> None:
        self.definition = definition
        self.highest = 0
        self.recent: deque[int] = deque(maxlen=NONCES_KEPT)
        self.invalid_ns: deque[int] = deque(maxlen=LOCKOUT_AFTER)
        self.locked_until_ns = 0
        self.counter = 0.0
        self.counted_ns = 0

    def take_nonce(self, nonce: int) -> bool:
        """Accept a nonce that is new and high enough."""
        window = self.definition.nonce_window
        if nonce <= self.highest - window or nonce == self.highest:
            return False
        if nonce < self.highest and (nonce in self.recent or self._is_forgotten(nonce)):
            return False
        self.highest = max(self.highest, nonce)
        if window:
            self.recent.append(nonce)
        return True

    def _is_forgotten(self, nonce: int) -> bool:
        """Whether it may have been used so long ago that nobody remembers."""
        return len(self.recent) == NONCES_KEPT and nonce < min(self.recent)


class Accounts:
    """The accounts of a simulator. It reads no clock: the exchange's time is an argument, in nanoseconds.

    Args:
        definitions: who has one; the first is the default of whoever names none.

    Raises:
        UsageError: there is none, or two share a name or a key.
    """

    def __init__(self, definitions: Iterable[AccountDefinition]) -> None:
        self._keys: dict[str, _Key] = {}
        self._by_api_key: dict[str, _Key] = {}
        self._tokens = Tokens()
        for definition in definitions:
            key = _Key(definition)
            if definition.name in self._keys or definition.credentials.key in self._by_api_key:
                raise UsageError(
                    f"expected accounts with names and keys of their own; that of {definition.name!r} is taken"
                )
            self._keys[definition.name] = self._by_api_key[definition.credentials.key] = key
        if not self._keys:
            raise UsageError("expected at least one account, got none")

    @classmethod
    def default(cls) -> Self:
        """`alice` and `bob`, who have money, and `carol`, who has hardly any; their keys are in the documentation."""
        return cls(default_definitions())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the accounts from a TOML file.

        Raises:
            UsageError: it cannot be read, or says something that cannot be; names the field or the line.
        """
        return cls(load_definitions(path))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._keys)})"

    # --- what an account is -------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Who has an account, in the order of their definition."""
        return tuple(self._keys)

    def engine_accounts(self, assets: Container[str] | None = None) -> tuple[Account, ...]:
        """The accounts as the matching engine wants them.

        Args:
            assets: leave out funds in any other asset, for an engine that does not trade it; None keeps all.
        """
        return tuple(
            Account(
                name=each.name,
                funds={asset: amount for asset, amount in each.funds.items() if assets is None or asset in assets},
                fees=each.fees or FeeTier(),
                max_open_orders=each.tier.max_open_orders,
            )
            for each in (key.definition for key in self._keys.values())
        )

    def credentials(self, name: str) -> Credentials:
        """What a client of that account needs to sign in.

        Raises:
            UsageError: nobody has that name.
        """
        return self._definition(name).credentials

    def tier(self, name: str) -> Tier:
        """The limits of that account. Raises as `credentials`."""
        return self._definition(name).tier

    def permissions(self, name: str) -> Permissions:
        """What the key of that account may do. Raises as `credentials`."""
        return self._definition(name).permissions

    # --- who asks -----------------------------------------------------------------------------------------

    def authorise(self, path: str, api_key: str | None, api_sign: str | None, body: bytes, now_ns: int) -> str:
        """Whose request it is (PROTOCOL 8.1). Its nonce is used up only if the signature is right.

        Args:
            path: of the URL, `/0/private/Balance`.
            api_key: the header `API-Key`, None where it is missing.
            api_sign: the header `API-Sign`, None where it is missing.
            body: as it came, form or JSON.
            now_ns: the exchange's time.

        Raises:
            Refusal: `EAPI:Invalid key`, `EAPI:Invalid signature`, `EAPI:Invalid nonce`, `EGeneral:Permission denied`
                where a second password is missing (a wrong one makes the signature invalid, as reported of Kraken), and
                `EGeneral:Temporary lockout` for 15 minutes after 20 invalid nonces within one.
        """
        key = self._by_api_key.get(api_key or "")
        if key is None:
            raise Refusal("EAPI:Invalid key")
        if now_ns < key.locked_until_ns:
            raise Refusal("EGeneral:Temporary lockout")
        fields = read_body(body)
        nonce = _text(fields.get("nonce"))
        if not (nonce.isascii() and nonce.isdigit() and len(nonce) <= 20 and int(nonce) <= MAX_NONCE):
            raise self._invalid_nonce(key, now_ns)
        credentials = key.definition.credentials
        expected = sign(path, nonce, body, credentials.secret)
        if not _equal(expected, api_sign or ""):
            raise Refusal("EAPI:Invalid signature")
        if not key.take_nonce(int(nonce)):
            raise self._invalid_nonce(key, now_ns)
        _check_password(credentials, _text(fields.get("otp")), now_ns)
        return key.definition.name

    def charge(self, name: str, cost: int, now_ns: int) -> None:
        """Count a REST call (PROTOCOL 9.4).

        Raises:
            Refusal: `EAPI:Rate limit exceeded`; the call is not counted then.
        """
        key = self._keys[name]
        tier = key.definition.tier
        elapsed = max(0, now_ns - key.counted_ns) / NS_PER_S
        key.counter = max(0.0, key.counter - elapsed * tier.rest_decay)
        key.counted_ns = max(now_ns, key.counted_ns)
        if key.counter + cost > tier.rest_max:
            raise Refusal("EAPI:Rate limit exceeded")
        key.counter += cost

    # --- tokens -------------------------------------------------------------------------------------------

    def issue_token(self, name: str, now_ns: int) -> str:
        """A token for the private WebSockets, to be used within 15 minutes (PROTOCOL 8.2). Raises as `credentials`."""
        secret = base64.b64decode(self.credentials(name).secret)
        return self._tokens.issue(name, secret, now_ns)

    def account_of(self, token: str, now_ns: int, connection: Hashable | None = None) -> str:
        """Whose token it is.

        Args:
            token: its text.
            now_ns: the exchange's time.
            connection: who presents it; one that holds it (`hold`) may do so after its time.

        Raises:
            Refusal: `EAPI:Invalid token` for one that never was, `ESession:Invalid session` for one that expired.
        """
        return self._tokens.account_of(token, now_ns, connection)

    def hold(self, token: str, connection: Hashable) -> None:
        """A private subscription of `connection` keeps the token alive for it (PROTOCOL 8.2)."""
        self._tokens.hold(token, connection)

    def release(self, connection: Hashable) -> None:
        """`connection` is gone, or has no private subscription any more; harmless if it never had one."""
        self._tokens.release(connection)

    def expire_tokens(self, account: str | None = None) -> int:
        """Let the tokens of an account, or of all, be expired at once, held or not.

        Returns:
            How many were not before.

        Raises:
            UsageError: nobody has that name.
        """
        if account is not None:
            self._definition(account)
        return self._tokens.expire(account)

    # --- inside -------------------------------------------------------------------------------------------

    def _definition(self, name: str) -> AccountDefinition:
        try:
            return self._keys[name].definition
        except KeyError:
            raise UsageError(f"unknown account {name!r}; there is {', '.join(self._keys)}") from None

    def _invalid_nonce(self, key: _Key, now_ns: int) -> Refusal:
        key.invalid_ns.append(now_ns)
        if len(key.invalid_ns) == LOCKOUT_AFTER and now_ns - key.invalid_ns[0] < LOCKOUT_WINDOW_NS:
            key.locked_until_ns = now_ns + LOCKOUT_NS
            key.invalid_ns.clear()
        return Refusal("EAPI:Invalid nonce")


def read_body(body: bytes) -> dict[str, Any]:
    """The fields of a request's body, form or JSON; of a form all are text.

    Raises:
        Refusal: `EGeneral:Invalid arguments`: it is neither.
    """
    try:
        if body.lstrip()[:1] == b"{":
            fields: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
            return fields
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise Refusal("EGeneral:Invalid arguments") from None


def _text(value: object) -> str:
    """A field that may come as text or as a number."""
    return value if isinstance(value, str) else str(value) if type(value) is int else ""


def _equal(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode(errors="replace"))


def _check_password(credentials: Credentials, given: str, now_ns: int) -> None:
    """Kraken documents no error for this; clients report these (a password nobody asked for is wrong, too)."""
    if credentials.totp is not None:
        matches = is_one_time_password(given, decode_secret(credentials.totp), now_ns)
    else:
        matches = _equal(credentials.otp or "", given)
    if not matches:
        raise Refusal("EAPI:Invalid signature" if given else "EGeneral:Permission denied")
