"""One-time passwords: those of RFC 6238, and how far off a clock may be."""

from __future__ import annotations

import base64

import pytest

from krakenwire.errors import UsageError
from krakenwire.sim.accounts.totp import decode_secret, is_one_time_password, one_time_password

SECRET = b"12345678901234567890"
S = 1_000_000_000


@pytest.mark.parametrize(
    ("seconds", "password"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_passwords_are_the_last_six_digits_of_those_in_the_rfc(seconds: int, password: str) -> None:
    assert one_time_password(SECRET, seconds * S) == password[-6:]


@pytest.mark.parametrize("off", [-30, 0, 30])
def test_password_of_the_period_before_and_after_is_taken(off: int) -> None:
    assert is_one_time_password(one_time_password(SECRET, 1_700_000_000 * S), SECRET, (1_700_000_000 + off) * S)


@pytest.mark.parametrize("off", [-61, 61])
def test_password_of_another_minute_is_not_taken(off: int) -> None:
    assert not is_one_time_password(one_time_password(SECRET, 1_700_000_000 * S), SECRET, (1_700_000_000 + off) * S)


@pytest.mark.parametrize("password", ["", "28708", "2870822", "\udcff", "２８７０８２"])
def test_anything_but_the_password_is_refused_quietly(password: str) -> None:
    assert not is_one_time_password(password, SECRET, 59 * S)


def test_secret_is_read_as_people_write_it() -> None:
    text = base64.b32encode(SECRET).decode()
    assert decode_secret(text) == decode_secret(f" {text[:8].lower()} {text[8:]} ") == SECRET
    assert decode_secret("me======") == b"a"


@pytest.mark.parametrize("text", ["", "   ", "0189", "ü", "A"])
def test_secret_that_is_no_base32_is_refused_unquoted(text: str) -> None:
    with pytest.raises(UsageError, match="expected the base32 text") as refused:
        decode_secret(text)
    assert not text.strip() or text not in str(refused.value)
