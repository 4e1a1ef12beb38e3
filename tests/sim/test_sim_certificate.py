"""The simulator's own TLS: who is vouched for, where the authority is written, and what is refused."""

from __future__ import annotations

import ssl
import stat
import sys
from pathlib import Path

import pytest

from krakenwire.errors import UsageError
from krakenwire.sim.certificate import CA_FILE, Certificate


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str | None:
    """A handshake in memory; the version of TLS, or ssl.SSLError as the client sees it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(5):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ours.version()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "sim.example.org", "192.0.2.7"])
def test_server_is_trusted_by_every_name_it_has(tmp_path: Path, name: str) -> None:
    made = Certificate(["sim.example.org", "192.0.2.7"], directory=tmp_path)
    assert shake_hands(made.server_context(), made.client_context(), name) in ("TLSv1.2", "TLSv1.3")


def test_server_is_not_trusted_by_another_name(tmp_path: Path) -> None:
    made = Certificate(directory=tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(made.server_context(), made.client_context(), "api.kraken.com")


def test_one_simulators_authority_does_not_vouch_for_another(tmp_path: Path) -> None:
    one, other = Certificate(directory=tmp_path / "one"), Certificate(directory=tmp_path / "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(one.server_context(), other.client_context(), "localhost")


def test_client_without_the_authority_trusts_nothing(tmp_path: Path) -> None:
    made = Certificate(directory=tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(made.server_context(), ssl.create_default_context(), "localhost")


def test_only_the_authoritys_certificate_is_written_and_no_key(tmp_path: Path) -> None:
    made = Certificate(directory=tmp_path / "deep" / "down")
    assert made.ca_file == tmp_path / "deep" / "down" / CA_FILE
    assert list(made.ca_file.parent.iterdir()) == [made.ca_file]
    written = made.ca_file.read_text()
    assert written.count("BEGIN") == written.count("BEGIN CERTIFICATE") == 1
    made.remove()
    assert made.ca_file.exists(), "a directory that was named is the user's"


def test_directory_of_its_own_is_private_and_goes_away() -> None:
    made = Certificate()
    assert stat.S_IMODE(made.ca_file.parent.stat().st_mode) == 0o700
    for _ in range(2):
        made.remove()
        assert not made.ca_file.parent.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "[::1]"])  # noqa: S104  # nothing is bound
def test_addresses_to_bind_that_are_no_names_are_left_out(tmp_path: Path, host: str) -> None:
    made = Certificate([host], directory=tmp_path)
    assert shake_hands(made.server_context(), made.client_context(), "::1")


def test_host_that_cannot_be_in_a_certificate_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot make a certificate for .*a b"):
        Certificate(["a b"], directory=tmp_path)


def test_directory_that_cannot_be_written_is_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match=r"cannot write the certificate to .*file"):
        Certificate(directory=file / "below")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(UsageError, match=r"TLS needs the extra `sim` \(trustme\): pip install 'krakenwire\[sim\]'"):
        Certificate()
