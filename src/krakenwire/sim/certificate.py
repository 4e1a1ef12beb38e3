"""TLS for the simulator: a certificate authority of its own, and a certificate of it for this machine."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from krakenwire.errors import UsageError

if TYPE_CHECKING:
    import trustme

__all__ = ["CA_FILE", "Certificate"]

CA_FILE: Final = "krakenwire-simulator-ca.pem"
"""What clients are to trust is written under this name."""

TRUST_VARIABLES: Final = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")

NAMES: Final = ("localhost", "127.0.0.1", "::1")

EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # compared with, not bound to


class Certificate:
    """A certificate authority made just now, and a server's certificate for loopback that it signed.

    The key of the authority is not written anywhere and goes with this object, so that nobody can sign anything else
    that a client who trusts it would take.

    Args:
        hosts: further names and addresses that the server is reached by.
        directory: where the authority's certificate is written; it is made if it is not there. None makes one that
            only this user can read, and that `remove` takes away.

    Attributes:
        ca_file: the authority's certificate (PEM), for `SSL_CERT_FILE` or a client's own option.

    Raises:
        UsageError: trustme is not installed (the extra `sim`), a host cannot be in a certificate, or the directory
            cannot be written.
    """

    def __init__(self, hosts: Iterable[str] = (), *, directory: str | Path | None = None) -> None:
        authority = _make_authority()
        names = dict.fromkeys((*NAMES, *(host.strip("[]") for host in hosts if host not in EVERYWHERE)))
        try:
            self._server = authority.issue_cert(*names)
        except ValueError:
            raise UsageError(
                f"cannot make a certificate for {', '.join(names)}: expected host names or addresses"
            ) from None
        self._temporary = directory is None
        self.ca_file = _write(authority.cert_pem.bytes(), directory)

    def server_context(self) -> ssl.SSLContext:
        """What a server needs to speak TLS, 1.2 or newer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._server.configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """What a client needs that trusts this authority, and nothing else."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def env(self) -> dict[str, str]:
        """The variables by which OpenSSL and Python, curl, Python's requests, and Node.js are told to trust it."""
        return dict.fromkeys(TRUST_VARIABLES, str(self.ca_file))

    def remove(self) -> None:
        """Take the file away again, unless its directory was named; harmless when repeated."""
        if self._temporary:
            with suppress(OSError):
                self.ca_file.unlink()
                self.ca_file.parent.rmdir()


def _make_authority() -> trustme.CA:
    try:
        import trustme
    except ImportError:
        raise UsageError("TLS needs the extra `sim` (trustme): pip install 'krakenwire[sim]'") from None
    return trustme.CA(organization_name="krakenwire simulator")


def _write(pem: bytes, directory: str | Path | None) -> Path:
    try:
        if directory is None:
            place = Path(tempfile.mkdtemp(prefix="krakenwire-sim-"))
        else:
            place = Path(directory)
            place.mkdir(parents=True, exist_ok=True)
        # Written whole or not at all: another simulator may use the same directory.
        file, new = place / CA_FILE, place / f".{CA_FILE}.{os.getpid()}"
        new.write_bytes(pem)
        new.replace(file)
    except OSError as error:
        raise UsageError(
            f"cannot write the certificate to {directory or tempfile.gettempdir()}: {error.strerror}"
        ) from None
    return file.absolute()
