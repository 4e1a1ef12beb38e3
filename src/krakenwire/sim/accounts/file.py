"""Who has an account at the simulator: the built-in ones, and those of a TOML file."""

from __future__ import annotations

import base64
import binascii
import difflib
import tomllib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import msgspec

from krakenwire.errors import UsageError

from ..engine.model import FeeTier
from .totp import decode_secret, one_time_password

__all__ = [
    "TIERS",
    "AccountDefinition",
    "Credentials",
    "Permissions",
    "Tier",
    "default_definitions",
    "load_definitions",
    "parse_definitions",
]

MAX_MONEY = Decimal("1e15")
"""More of an asset than this is a slip of the pen, and would only test the width of columns."""

MAX_NONCE_WINDOW = 2**63


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """What an account may do how often (PROTOCOL 9.4, 9.5); decays are per second.

    Attributes:
        max_rate_count, rate_decay: of the trading counter, one a pair.
        max_open_orders: a pair.
        rest_max, rest_decay: of the REST counter.
    """

    name: str
    max_rate_count: int
    rate_decay: float
    max_open_orders: int
    rest_max: int
    rest_decay: float


TIERS: Final[Mapping[str, Tier]] = {
    tier.name: tier
    for tier in (
        Tier(name="starter", max_rate_count=60, rate_decay=1.0, max_open_orders=60, rest_max=15, rest_decay=0.33),
        Tier(name="intermediate", max_rate_count=125, rate_decay=2.34, max_open_orders=80, rest_max=20, rest_decay=0.5),
        Tier(name="pro", max_rate_count=180, rate_decay=3.75, max_open_orders=225, rest_max=20, rest_decay=1.0),
    )
}


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """What an API key may do; whoever asks for more gets `EGeneral:Permission denied`.

    Attributes:
        websocket: fetch tokens for the private WebSockets.
        query_funds: see balances, over REST and in `balances`.
        query_orders: see orders and trades, over REST and in `executions`.
        trade: add and amend orders.
        cancel: cancel orders.
    """

    websocket: bool = True
    query_funds: bool = True
    query_orders: bool = True
    trade: bool = True
    cancel: bool = True


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a client needs to sign in. Its text shows none of it.

    Attributes:
        key: goes into the header `API-Key`.
        secret: base64, signs requests (PROTOCOL 8.1).
        otp: the static second password that a request must carry as `otp`, if the key has one.
        totp: the base32 secret of the one-time passwords that a request must carry, if the key has one.
    """

    key: str
    secret: str
    otp: str | None = None
    totp: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def password(self, now_ns: int) -> str | None:
        """What a request at `now_ns` (UTC nanoseconds) must carry as `otp`; None if nothing."""
        return self.otp if self.totp is None else one_time_password(decode_secret(self.totp), now_ns)


class AccountDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """An account before anything happened on it.

    Attributes:
        funds: by asset as WebSocket v2 spells it (`BTC`, `USD`).
        fees: None for the usual ones.
        nonce_window: by how much a nonce may lie below the highest seen (PROTOCOL 8.1), in the client's own unit.
    """

    name: str
    credentials: Credentials
    tier: Tier = TIERS["intermediate"]
    fees: FeeTier | None = None
    funds: Mapping[str, Decimal] = {}
    permissions: Permissions = Permissions()
    nonce_window: int = 0


# --- built in -------------------------------------------------------------------------------------------------


def default_definitions() -> tuple[AccountDefinition, ...]:
    """Alice and Bob, who can trade for long, and Carol, who cannot afford much.

    Their keys and secrets are printed in the documentation and open nothing but this simulator.
    """
    rich = {
        **dict.fromkeys(("USD", "EUR", "GBP", "USDT", "USDC"), Decimal(1_000_000)),
        **{"BTC": Decimal(20), "ETH": Decimal(400), "SOL": Decimal(6_000), "LTC": Decimal(10_000)},
        **{"XRP": Decimal(500_000), "ADA": Decimal(2_000_000), "DOGE": Decimal(6_000_000)},
    }
    alike = {"USD": Decimal(250_000), "EUR": Decimal(250_000), "BTC": Decimal(5), "ETH": Decimal(100)}
    return (
        AccountDefinition(name="alice", credentials=_throw_away("alice"), tier=TIERS["pro"], funds=rich),
        AccountDefinition(name="bob", credentials=_throw_away("bob"), funds=alike),
        AccountDefinition(
            name="carol", credentials=_throw_away("carol"), tier=TIERS["starter"], funds={"USD": Decimal(25)}
        ),
    )


def _throw_away(name: str) -> Credentials:
    """As long as Kraken's are, and readable, so that nobody takes them for real ones."""
    key = f"krakenwire/simulator/throw+away/key+of/{name}/".ljust(56, "0")
    secret = f"krakenwire simulator, a throw-away secret, {name}".ljust(64, ".")
    return Credentials(key=key, secret=base64.b64encode(secret.encode()).decode())


# --- from a file ----------------------------------------------------------------------------------------------


def load_definitions(path: str | Path) -> tuple[AccountDefinition, ...]:
    """The accounts of a TOML file, in its order.

    Raises:
        UsageError: it cannot be read or says something that cannot be; names the field, or the line where it is no
            TOML, and never quotes a secret.
    """
    try:
        content = Path(path).read_bytes().decode()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: expected TOML, which is UTF-8; byte {error.start} is not") from None
    return parse_definitions(content, name=str(path))


def parse_definitions(content: str, *, name: str) -> tuple[AccountDefinition, ...]:
    """The accounts of a TOML text; `name` is what errors call it.

    Raises:
        UsageError: as `load_definitions`.
    """
    try:
        document = tomllib.loads(content, parse_float=_decimal)
        return _read_document(document)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name}: not valid TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{name}: not valid TOML: nested too deeply") from None
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace("_", ""))


def _read_document(document: dict[str, Any]) -> tuple[AccountDefinition, ...]:
    _check_fields("", document, ("accounts",))
    accounts = _table("accounts", document.get("accounts"))
    if not accounts:
        raise UsageError("expected at least one table [accounts.NAME], found none")
    definitions = tuple(_read_account(name, f"accounts.{name}", table) for name, table in accounts.items())
    owners: dict[str, str] = {}
    for each in definitions:
        other = owners.setdefault(each.credentials.key, each.name)
        if other != each.name:
            raise UsageError(f"accounts.{each.name}.key: accounts.{other} has the same; each account needs its own")
    return definitions


def _read_account(name: str, where: str, value: object) -> AccountDefinition:
    if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum() and len(name) <= 64):
        raise UsageError(f"accounts: expected names of letters, digits, - and _, got {name[:80]!r}")
    table = _table(where, value)
    known = ("key", "secret", "otp", "totp", "tier", "nonce_window", "funds", "fees", "permissions")
    _check_fields(where, table, known)
    for field in ("key", "secret", "funds"):
        if field not in table:
            raise UsageError(f"{where}.{field}: expected, and not there")
    tier = table.get("tier", "intermediate")
    if not (isinstance(tier, str) and tier in TIERS):
        raise UsageError(f"{where}.tier: expected {_either(TIERS)}, got {_shown(tier)}")
    return AccountDefinition(
        name=name,
        credentials=_read_credentials(where, table),
        tier=TIERS[tier],
        fees=_read_fees(f"{where}.fees", table["fees"]) if "fees" in table else None,
        funds=_read_funds(f"{where}.funds", table["funds"]),
        permissions=_read_permissions(f"{where}.permissions", table.get("permissions", {})),
        nonce_window=_read_nonce_window(f"{where}.nonce_window", table.get("nonce_window", 0)),
    )


def _read_credentials(where: str, table: Mapping[str, Any]) -> Credentials:
    """None of these is ever quoted: who mixes two up shows a secret by the error."""
    texts: dict[str, str] = {}
    for field in ("key", "secret", "otp", "totp"):
        if field not in table:
            continue
        text = table[field]
        if not isinstance(text, str) or not text or not text.isprintable():
            raise UsageError(f"{where}.{field}: expected text, not empty and on one line")
        texts[field] = text
    if not texts["key"].isascii() or " " in texts["key"]:
        raise UsageError(f"{where}.key: expected what can stand in the header API-Key: ASCII without blanks")
    try:
        decoded = base64.b64decode(texts["secret"], validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded:
        raise UsageError(f"{where}.secret: expected base64, as Kraken's secrets are (`openssl rand -base64 64`)")
    if "otp" in texts and "totp" in texts:
        raise UsageError(f"{where}: expected otp (a static password) or totp (a base32 secret), not both")
    if "totp" in texts:
        try:
            decode_secret(texts["totp"])
        except UsageError as error:
            raise UsageError(f"{where}.totp: {error}") from None
    return Credentials(**texts)


def _read_funds(where: str, value: object) -> dict[str, Decimal]:
    funds: dict[str, Decimal] = {}
    for asset, amount in _table(where, value).items():
        if not asset or not asset.isascii() or not asset.isprintable() or "/" in asset:
            raise UsageError(f"{where}: expected assets as WebSocket v2 spells them, BTC or USD, got {asset[:80]!r}")
        funds[asset] = _number(f"{where}.{asset}", amount, most=MAX_MONEY)
    return funds


def _read_fees(where: str, value: object) -> FeeTier:
    table = _table(where, value)
    _check_fields(where, table, ("maker", "taker"))
    usual = FeeTier()
    return FeeTier(
        maker=_number(f"{where}.maker", table.get("maker", usual.maker), most=Decimal(1)),
        taker=_number(f"{where}.taker", table.get("taker", usual.taker), most=Decimal(1)),
    )


def _read_permissions(where: str, value: object) -> Permissions:
    table = _table(where, value)
    _check_fields(where, table, Permissions.__struct_fields__)
    for name, granted in table.items():
        if not isinstance(granted, bool):
            raise UsageError(f"{where}.{name}: expected true or false, got {_shown(granted)}")
    return Permissions(**table)


def _read_nonce_window(where: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_NONCE_WINDOW:
        raise UsageError(f"{where}: expected a whole number of at least 0, got {_shown(value)}")
    return value


def _number(where: str, value: object, *, most: Decimal) -> Decimal:
    """A number, or its text, which is how to write one that must not lose a digit."""
    try:
        number = Decimal(value) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or not 0 <= number <= most:
        raise UsageError(f"{where}: expected a number from 0 to {most:f}, got {_shown(value)}")
    return number


def _table(where: str, value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected a table, got {_shown(value)}")
    return value


def _check_fields(where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for field in table:
        if field not in known:
            near = difflib.get_close_matches(field, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
            raise UsageError(f"{where + '.' if where else ''}{field[:80]}: unknown{hint}")


def _either(names: Mapping[str, object]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str | int | bool | Decimal) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:60]}…"
