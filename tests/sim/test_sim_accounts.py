"""Accounts: who is let in and who is not, how often one may ask, and what a token is good for."""

from __future__ import annotations

import base64
import json
import pickle
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.errors import UsageError
from krakenwire.protocol.wire.auth import sign
from krakenwire.sim.accounts.accounts import Accounts
from krakenwire.sim.accounts.file import AccountDefinition, Credentials, Permissions, default_definitions
from krakenwire.sim.engine.model import FeeTier, Refusal

S = 1_000_000_000
NOW = 1_700_000_000 * S
PATH = "/0/private/Balance"
SECRET = base64.b64encode(b"0123456789abcdef").decode()


def accounts(*, nonce_window: int = 0, otp: str | None = None, totp: str | None = None) -> Accounts:
    """One account of the key `key`."""
    credentials = Credentials(key="key", secret=SECRET, otp=otp, totp=totp)
    return Accounts([AccountDefinition(name="alice", credentials=credentials, nonce_window=nonce_window)])


def ask(of: Accounts, nonce: object, *, now_ns: int = NOW, **fields: str) -> str:
    """Sign a form as a client does, and let it be authorised."""
    body = urlencode({"nonce": nonce, **fields}).encode()
    return of.authorise(PATH, "key", sign(PATH, str(nonce), body, SECRET), body, now_ns)


def refusal(of: Accounts, nonce: object, *, now_ns: int = NOW, **fields: str) -> str:
    """The error that it is refused with."""
    with pytest.raises(Refusal) as refused:
        ask(of, nonce, now_ns=now_ns, **fields)
    return refused.value.text


# --- signatures ---------------------------------------------------------------------------------------------


def test_published_signatures_are_taken(vectors: Path) -> None:
    for vector in json.loads((vectors / "rest_sign.json").read_text())["vectors"]:
        credentials = Credentials(key="key", secret=vector["private_key"])
        known = Accounts([AccountDefinition(name="alice", credentials=credentials)])
        body = vector["encoded_payload"].encode()
        assert known.authorise(vector["uri_path"], "key", vector["api_sign"], body, NOW) == "alice"


@pytest.mark.parametrize("nonce", ["5", 5])
def test_json_body_is_signed_as_it_is_sent(nonce: object) -> None:
    body = json.dumps({"nonce": nonce, "asset": "ZUSD"}, indent=1).encode()
    assert accounts().authorise(PATH, "key", sign(PATH, "5", body, SECRET), body, NOW) == "alice"


@pytest.mark.parametrize("api_key", [None, "", "nobody", "KEY", "\udcff"])
def test_unknown_key_is_invalid(api_key: str | None) -> None:
    with pytest.raises(Refusal, match=r"^EAPI:Invalid key$"):
        accounts().authorise(PATH, api_key, "sign", b"nonce=1", NOW)


@pytest.mark.parametrize(
    "api_sign", [None, "", "nonsense", "ü\udcff", sign("/0/private/Other", "1", b"nonce=1", SECRET)]
)
def test_wrong_signature_is_invalid_and_leaves_the_nonce_unused(api_sign: str | None) -> None:
    known = accounts()
    with pytest.raises(Refusal, match=r"^EAPI:Invalid signature$"):
        known.authorise(PATH, "key", api_sign, b"nonce=1", NOW)
    assert ask(known, 1) == "alice"


def test_signature_is_of_every_byte_of_the_body() -> None:
    body = b"nonce=1&volume=1.0"
    signature = sign(PATH, "1", body, SECRET)
    with pytest.raises(Refusal, match=r"^EAPI:Invalid signature$"):
        accounts().authorise(PATH, "key", signature, b"nonce=1&volume=10.", NOW)
    assert accounts().authorise(PATH, "key", signature, body, NOW) == "alice"


@given(st.binary(max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_whatever_is_sent_is_refused_in_krakens_words(body: bytes, api_key: str, api_sign: str) -> None:
    for key in ("key", api_key):
        with pytest.raises(Refusal, match=r"^(EAPI:Invalid|EGeneral:Invalid arguments)"):
            accounts().authorise(PATH, key, api_sign, body, NOW)


# --- nonces -------------------------------------------------------------------------------------------------


def test_nonce_must_rise() -> None:
    known = accounts()
    assert ask(known, 1000) == "alice"
    for nonce in (1000, 999, 1):
        assert refusal(known, nonce) == "EAPI:Invalid nonce"
    assert ask(known, 1001) == "alice"


@pytest.mark.parametrize("nonce", [0, -1, 2**64, "", "1.5", "x", "٣", "1e9", "9" * 5000])
def test_nonce_that_is_no_uint64_is_invalid(nonce: object) -> None:
    assert refusal(accounts(), nonce) == "EAPI:Invalid nonce"


def test_greatest_nonce_is_taken() -> None:
    assert ask(accounts(), 2**64 - 1) == "alice"


@pytest.mark.parametrize("body", [b"", b"a=1", b'{"a":1}', b'{"nonce":1.5}', b'{"nonce":true}', b'{"nonce":[1]}'])
def test_body_without_a_nonce_has_an_invalid_one(body: bytes) -> None:
    with pytest.raises(Refusal, match=r"^EAPI:Invalid nonce$"):
        accounts().authorise(PATH, "key", "sign", body, NOW)


@pytest.mark.parametrize("body", [b"{", b'{"nonce":}', b"nonce=\xff", b"&".join([b"a=1"] * 300), b"[" * 100_000])
def test_body_that_cannot_be_read_has_invalid_arguments(body: bytes) -> None:
    with pytest.raises(Refusal, match=r"^EGeneral:Invalid arguments$|^EAPI:Invalid nonce$"):
        accounts().authorise(PATH, "key", "sign", body, NOW)


def test_nonce_window_lets_late_nonces_in_once() -> None:
    known = accounts(nonce_window=100)
    for nonce in (1000, 950, 901, 999):
        assert ask(known, nonce) == "alice"
    for nonce in (950, 1000, 999, 900):
        assert refusal(known, nonce) == "EAPI:Invalid nonce"
    assert ask(known, 1100) == "alice"
    assert refusal(known, 1000) == "EAPI:Invalid nonce"
    assert ask(known, 1001) == "alice"


def test_nonce_window_never_lets_a_nonce_in_twice_however_many_there_were() -> None:
    known = accounts(nonce_window=10**9)
    for nonce in range(2000, 4000):
        ask(known, nonce)
    assert refusal(known, 2000) == "EAPI:Invalid nonce"
    assert refusal(known, 1999) == "EAPI:Invalid nonce"


def test_many_invalid_nonces_lock_the_key_out_for_a_quarter_of_an_hour() -> None:
    known = accounts()
    ask(known, 10)
    for number in range(20):
        assert refusal(known, 10, now_ns=NOW + number * S) == "EAPI:Invalid nonce"
    locked_ns = NOW + 19 * S
    assert refusal(known, 11, now_ns=locked_ns + 1) == "EGeneral:Temporary lockout"
    assert refusal(known, 11, now_ns=locked_ns + 900 * S - 1) == "EGeneral:Temporary lockout"
    assert ask(known, 11, now_ns=locked_ns + 900 * S) == "alice"


def test_invalid_nonces_now_and_then_lock_nobody_out() -> None:
    known = accounts()
    ask(known, 10)
    for number in range(100):
        assert refusal(known, 10, now_ns=NOW + number * 4 * S) == "EAPI:Invalid nonce"


def test_lockout_of_one_key_is_not_that_of_another() -> None:
    known = Accounts(
        AccountDefinition(name=name, credentials=Credentials(key=name, secret=SECRET)) for name in ("key", "other")
    )
    for _ in range(21):
        with pytest.raises(Refusal):
            known.authorise(PATH, "other", "", b"", NOW)
    assert ask(known, 1) == "key"


# --- second passwords ---------------------------------------------------------------------------------------


def test_static_password_is_asked_for() -> None:
    known = accounts(otp="hunter2")
    assert refusal(known, 1) == "EGeneral:Permission denied"
    assert refusal(known, 2, otp="hunter3") == "EAPI:Invalid signature"
    assert ask(known, 3, otp="hunter2") == "alice"


def test_one_time_password_is_that_of_now() -> None:
    totp = base64.b32encode(b"12345678901234567890").decode()
    known = accounts(totp=totp)
    password = known.credentials("alice").password(NOW)
    assert password is not None
    assert ask(known, 1, otp=password) == "alice"
    assert refusal(known, 2, otp=password, now_ns=NOW + 90 * S) == "EAPI:Invalid signature"
    assert refusal(known, 3) == "EGeneral:Permission denied"


def test_password_that_nobody_asked_for_is_refused() -> None:
    assert refusal(accounts(), 1, otp="123456") == "EAPI:Invalid signature"


# --- the counter --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "most", "decay"), [("carol", 15, 0.33), ("bob", 20, 0.5), ("alice", 20, 1.0)])
def test_counter_fills_up_and_drains_by_tier(name: str, most: int, decay: float) -> None:
    known = Accounts.default()
    for _ in range(most):
        known.charge(name, 1, NOW)
    for seconds in (0.0, 0.99 / decay):
        with pytest.raises(Refusal, match=r"^EAPI:Rate limit exceeded$"):
            known.charge(name, 1, NOW + int(seconds * S))
    known.charge(name, 1, NOW + int(1.01 / decay * S))
    with pytest.raises(Refusal, match=r"^EAPI:Rate limit exceeded$"):
        known.charge(name, 1, NOW + int(1.01 / decay * S))


def test_counters_of_two_accounts_are_two() -> None:
    known = Accounts.default()
    for _ in range(20):
        known.charge("alice", 1, NOW)
    known.charge("bob", 20, NOW)


def test_time_that_runs_backwards_drains_nothing() -> None:
    known = Accounts.default()
    known.charge("alice", 20, NOW)
    for now_ns in (NOW - 3600 * S, NOW):
        with pytest.raises(Refusal):
            known.charge("alice", 1, now_ns)


# --- tokens -------------------------------------------------------------------------------------------------


def test_token_speaks_for_its_account_for_a_quarter_of_an_hour() -> None:
    known = Accounts.default()
    token = known.issue_token("bob", NOW)
    assert known.account_of(token, NOW + 900 * S - 1) == "bob"
    with pytest.raises(Refusal, match=r"^ESession:Invalid session$"):
        known.account_of(token, NOW + 900 * S)


@pytest.mark.parametrize("token", ["", "nonsense", "\udcff", "A" * 100_000])
def test_token_that_never_was_is_invalid(token: str) -> None:
    known = Accounts.default()
    known.issue_token("bob", NOW)
    with pytest.raises(Refusal, match=r"^EAPI:Invalid token$"):
        known.account_of(token, NOW)


def test_token_that_is_held_lives_on_for_its_holder_only() -> None:
    known = Accounts.default()
    token = known.issue_token("bob", NOW)
    known.hold(token, 7)
    late_ns = NOW + 86_400 * S
    assert known.account_of(token, late_ns, 7) == "bob"
    for connection in (None, 8):
        with pytest.raises(Refusal, match=r"^ESession:Invalid session$"):
            known.account_of(token, late_ns, connection)
    known.release(7)
    with pytest.raises(Refusal, match=r"^ESession:Invalid session$"):
        known.account_of(token, late_ns, 7)


def test_holding_nothing_and_releasing_nothing_is_harmless() -> None:
    known = Accounts.default()
    known.hold("nonsense", 7)
    known.release(7)


def test_tokens_can_be_made_to_expire_even_if_held() -> None:
    known = Accounts.default()
    of_alice, of_bob = known.issue_token("alice", NOW), known.issue_token("bob", NOW)
    known.hold(of_alice, 7)
    assert known.expire_tokens("alice") == 1
    assert known.expire_tokens("alice") == 0
    with pytest.raises(Refusal, match=r"^ESession:Invalid session$"):
        known.account_of(of_alice, NOW, 7)
    assert known.account_of(of_bob, NOW) == "bob"
    assert known.expire_tokens() == 1
    fresh = known.issue_token("alice", NOW)
    assert known.account_of(fresh, NOW) == "alice"


def test_tokens_are_the_same_on_equal_runs_and_on_no_other() -> None:
    runs = [Accounts.default() for _ in range(2)]
    first, second = ([run.issue_token("alice", NOW) for _ in range(3)] for run in runs)
    assert first == second
    assert len(set(first)) == 3
    assert Accounts.default().issue_token("alice", NOW + 1) not in first
    assert Accounts.default().issue_token("bob", NOW) not in first


def test_tokens_do_not_fill_the_memory_and_held_ones_stay() -> None:
    known = Accounts.default()
    held, forgotten = known.issue_token("alice", NOW), known.issue_token("alice", NOW)
    known.hold(held, 7)
    for _ in range(2000):
        last = known.issue_token("bob", NOW)
    assert known.account_of(held, NOW) == "alice"
    assert known.account_of(last, NOW) == "bob"
    with pytest.raises(Refusal, match=r"^EAPI:Invalid token$"):
        known.account_of(forgotten, NOW)


def test_held_tokens_do_not_fill_the_memory_either() -> None:
    known = Accounts.default()
    for number in range(2000):
        last = known.issue_token("bob", NOW)
        known.hold(last, number)
    assert known.account_of(last, NOW) == "bob"


# --- what an account is -------------------------------------------------------------------------------------


def test_engine_gets_name_funds_fees_and_the_limit_of_the_tier() -> None:
    fees = FeeTier(maker=Decimal(0), taker=Decimal(0))
    alice, bob, carol = default_definitions()
    alice = msgspec.structs.replace(alice, fees=fees)
    given = Accounts([alice, bob, carol]).engine_accounts()
    assert [each.name for each in given] == ["alice", "bob", "carol"]
    assert [each.fees for each in given] == [fees, FeeTier(), FeeTier()]
    assert [each.max_open_orders for each in given] == [225, 80, 60]
    assert given[2].funds == {"USD": Decimal(25)}


def test_funds_in_what_is_not_traded_can_be_left_out() -> None:
    of_bob = Accounts.default().engine_accounts({"BTC", "USD"})[1]
    assert of_bob.funds.keys() == {"BTC", "USD"}


def test_permissions_and_tiers_are_told() -> None:
    credentials = Credentials(key="key", secret=SECRET)
    known = Accounts(
        [AccountDefinition(name="alice", credentials=credentials, permissions=Permissions(websocket=False))]
    )
    assert not known.permissions("alice").websocket
    assert known.permissions("alice").trade
    tier = Accounts.default().tier("alice")
    assert (tier.max_rate_count, tier.rate_decay, tier.max_open_orders) == (180, 3.75, 225)


@pytest.mark.parametrize("ask_for", ["credentials", "tier", "permissions", "expire_tokens"])
def test_unknown_account_is_wrong_usage_that_names_those_there_are(ask_for: str) -> None:
    with pytest.raises(UsageError, match="unknown account 'mallory'; there is alice, bob, carol"):
        getattr(Accounts.default(), ask_for)("mallory")


def test_accounts_need_to_be_there_and_to_differ() -> None:
    alice = default_definitions()[0]
    with pytest.raises(UsageError, match="expected at least one account"):
        Accounts([])
    with pytest.raises(UsageError, match="'alice' is taken"):
        Accounts([alice, alice])


def test_accounts_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(f'[accounts.dora]\nkey = "k"\nsecret = "{SECRET}"\nfunds = {{ USD = 5 }}\n')
    assert Accounts.load(file).names == ("dora",)


def test_no_secret_is_in_the_text_of_accounts() -> None:
    known = Accounts.default()
    assert f"{known} {known!r}" == "Accounts(alice, bob, carol) Accounts(alice, bob, carol)"
    refused = refusal(accounts(otp="hunter2"), 1, otp="hunter3")
    assert "hunter" not in refused
    assert pickle.dumps(Refusal(refused))
