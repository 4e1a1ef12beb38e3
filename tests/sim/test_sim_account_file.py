"""The accounts file: everything it can say, and what is said of a file that cannot be."""

from __future__ import annotations

import base64
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.errors import UsageError
from krakenwire.sim.accounts.file import TIERS, default_definitions, load_definitions, parse_definitions
from krakenwire.sim.accounts.totp import one_time_password
from krakenwire.sim.engine.model import FeeTier
from krakenwire.sim.instruments import default_assets

SECRET = base64.b64encode(b"no secret at all").decode()

FULL = f"""
[accounts.alice]
key = "alice-key"
secret = "{SECRET}"
otp = "hunter2"
tier = "pro"
nonce_window = 5000
funds = {{ USD = 1_000.10, BTC = "0.000000000001", ETH = 3 }}
fees = {{ maker = "0.0016", taker = 0.0026 }}
permissions = {{ websocket = false, cancel = false }}

[accounts.bob]
key = "bob-key"
secret = "{SECRET}"
totp = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
funds = {{}}
"""


def account(**fields: str) -> str:
    """A file of one account, with some fields of its text replaced, added or (by "") left out."""
    lines = {"key": '"k"', "secret": f'"{SECRET}"', "funds": "{}", **fields}
    return "[accounts.alice]\n" + "\n".join(f"{name} = {value}" for name, value in lines.items() if value)


def test_file_says_everything_there_is_of_an_account(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(FULL)
    alice, bob = load_definitions(file)
    assert (alice.name, alice.credentials.key, alice.credentials.secret) == ("alice", "alice-key", SECRET)
    assert alice.credentials.password(0) == "hunter2"
    assert alice.tier is TIERS["pro"]
    assert alice.nonce_window == 5000
    assert alice.funds == {"USD": Decimal("1000.10"), "BTC": Decimal("1e-12"), "ETH": Decimal(3)}
    assert alice.fees == FeeTier(maker=Decimal("0.0016"), taker=Decimal("0.0026"))
    assert (alice.permissions.websocket, alice.permissions.cancel, alice.permissions.trade) == (False, False, True)
    assert (bob.tier, bob.nonce_window, bob.fees, bob.funds) == (TIERS["intermediate"], 0, None, {})
    assert bob.credentials.password(59 * 10**9) == one_time_password(b"12345678901234567890", 59 * 10**9)


def test_amounts_are_exact_however_they_are_written() -> None:
    written = account(funds='{ USD = 0.1, EUR = "0.30000000000000000001", BTC = 1e-8 }')
    (alice,) = parse_definitions(written, name="f")
    assert alice.funds == {"USD": Decimal("0.1"), "EUR": Decimal("0.30000000000000000001"), "BTC": Decimal("1e-8")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("key = \n", "not valid TOML: .*line 1"),
        ("[accounts.alice]\nkey = 1\nkey = 2\n", "not valid TOML: .*line 3"),
        ("x = " + "[" * 5000, "not valid TOML"),
        ("", "expected at least one table .accounts.NAME., found none"),
        ("accounts = 3", "accounts: expected a table, got 3"),
        ("[account.alice]", "account: unknown; did you mean accounts?"),
        ("[accounts]\nalice = 1", "accounts.alice: expected a table, got 1"),
        ('[accounts."al ice"]\nkey = "k"', "accounts: expected names of letters, digits"),
        (account(key=""), r"accounts.alice.key: expected, and not there"),
        (account(funds=""), r"accounts.alice.funds: expected, and not there"),
        (account(teir='"pro"'), r"accounts.alice.teir: unknown; did you mean tier\?"),
        (account(colour='"red"'), "accounts.alice.colour: unknown; known are key, secret"),
        (account(tier='"gold"'), "accounts.alice.tier: expected starter, intermediate or pro, got 'gold'"),
        (account(tier="[1]"), "accounts.alice.tier: expected .*, got a list"),
        (account(key='"a b"'), "accounts.alice.key: expected what can stand in the header"),
        (account(key="5"), "accounts.alice.key: expected text"),
        (account(secret='"?"'), "accounts.alice.secret: expected base64"),
        (account(secret='"a\\nb"'), "accounts.alice.secret: expected text"),
        (account(otp='"a"', totp='"MFRGG==="'), r"accounts.alice: expected otp .* or totp .*, not both"),
        (account(totp='"1"'), "accounts.alice.totp: expected the base32 text"),
        (account(nonce_window="-1"), "accounts.alice.nonce_window: expected a whole number of at least 0, got -1"),
        (account(nonce_window="1.5"), "accounts.alice.nonce_window: expected a whole number"),
        (account(nonce_window="true"), "accounts.alice.nonce_window: expected a whole number"),
        (account(funds="{ USD = -1 }"), "accounts.alice.funds.USD: expected a number from 0 to 1000000000000000, got"),
        (account(funds="{ USD = nan }"), "accounts.alice.funds.USD: expected a number"),
        (account(funds="{ USD = inf }"), "accounts.alice.funds.USD: expected a number"),
        (account(funds='{ USD = "much" }'), "accounts.alice.funds.USD: expected a number from 0 .*, got 'much'"),
        (account(funds="{ USD = true }"), "accounts.alice.funds.USD: expected a number"),
        (account(funds='{ "BTC/USD" = 1 }'), "accounts.alice.funds: expected assets as WebSocket v2 spells them"),
        (account(fees="{ maker = 2 }"), "accounts.alice.fees.maker: expected a number from 0 to 1, got 2"),
        (account(fees="{ make = 0 }"), r"accounts.alice.fees.make: unknown; did you mean maker\?"),
        (account(permissions='{ trade = "no" }'), "accounts.alice.permissions.trade: expected true or false, got 'no'"),
        (account(permissions="{ withdraw = true }"), "accounts.alice.permissions.withdraw: unknown"),
        (
            account() + f'\n[accounts.bob]\nkey = "k"\nsecret = "{SECRET}"\nfunds = {{}}',
            "accounts.bob.key: accounts.alice has the same; each account needs its own",
        ),
    ],
)
def test_what_cannot_be_is_named_with_its_place(content: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^my.toml: {message}"):
        parse_definitions(content, name="my.toml")


@pytest.mark.parametrize("content", [None, b"key = \xff"], ids=["missing", "no text"])
def test_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "accounts.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=r"accounts\.toml"):
        load_definitions(file)


@given(st.sampled_from(["key", "secret", "otp", "totp"]), st.text(min_size=6))
def test_no_error_quotes_what_may_be_a_secret(field: str, text: str) -> None:
    quoted = '"' + "".join(f"\\U{ord(each):08x}" for each in text if not 0xD800 <= ord(each) < 0xE000) + '"'
    try:
        parse_definitions(account(**{field: quoted}, tier='"none"'), name="f")
    except UsageError as error:
        # What the messages are made of may be in the text by chance.
        assert text not in str(error) or text in "accounts.alice expected what can stand in the header"  # noqa: PT017


@given(st.text())
def test_any_text_is_read_or_refused(content: str) -> None:
    try:
        assert parse_definitions(content, name="f")
    except UsageError as error:
        assert str(error).startswith("f: ")  # noqa: PT017  # either way will do


def test_built_in_accounts_can_be_written_down_and_hold_what_is_traded() -> None:
    assets = {asset.id for asset in default_assets()}
    alice, bob, carol = default_definitions()
    assert [each.name for each in (alice, bob, carol)] == ["alice", "bob", "carol"]
    assert [each.tier.name for each in (alice, bob, carol)] == ["pro", "intermediate", "starter"]
    for each in (alice, bob, carol):
        assert len(each.credentials.key) == 56
        assert len(base64.b64decode(each.credentials.secret, validate=True)) == 64
        assert each.funds.keys() <= assets


def test_documentation_tells_the_built_in_keys_and_an_example_that_can_be_read() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text("utf-8")
    for each in default_definitions():
        credentials = each.credentials
        assert f"| `{each.name}` | `{credentials.key}` | `{credentials.secret}` | {each.tier.name} |" in page
    dora, erik = parse_definitions(page.partition("```toml\n")[2].partition("```")[0], name="docs")
    assert (dora.tier.name, dora.funds) == ("starter", {"USD": Decimal(2500), "BTC": Decimal("0.05")})
    assert (erik.nonce_window, erik.permissions.trade, erik.permissions.cancel) == (1000, False, True)
    assert erik.credentials.totp is not None


def test_credentials_show_nothing_of_themselves() -> None:
    for each in (*default_definitions(), *parse_definitions(FULL, name="f")):
        shown = f"{each} {each!r} {each.credentials} {each.credentials!r}"
        for secret in (each.credentials.key, each.credentials.secret, each.credentials.otp, each.credentials.totp):
            assert secret is None or secret not in shown
