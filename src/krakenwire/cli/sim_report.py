"""What `krakenwire sim` says when it is ready, and at the end."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path

import typer

from krakenwire.cli.output import print_json, print_line
from krakenwire.errors import UsageError
from krakenwire.sim.accounts.file import Credentials
from krakenwire.sim.certificate import Certificate
from krakenwire.sim.server import SimulatorServer

__all__ = ["Announcement", "report_end"]

KRAKEN_CLI = {"KRAKEN_DANGER_ALLOW_ANY_URL_HOST": "1", "KRAKEN_DANGER_ACCEPT_INVALID_CERTS": "1"}
"""Without these, Kraken's own command line talks to nobody but Kraken. It wants TLS besides."""


class Announcement:
    """Where everything is, ready to be used.

    Args:
        server: which is ready.
        symbols: what is traded.
        seed: of the market.
        certificate: what TLS is spoken with, if it is.
        credentials: of the first account, if it is a built-in one; those of a user's accounts are printed nowhere.
    """

    def __init__(
        self,
        server: SimulatorServer,
        symbols: tuple[str, ...],
        seed: int,
        certificate: Certificate | None,
        credentials: Credentials | None,
    ) -> None:
        env = {name: _connectable(url) for name, url in server.env().items()}
        has_accounts = "KRAKEN_WS_AUTH_URL" in env
        if credentials is not None and has_accounts:
            env |= {"KRAKEN_API_KEY": credentials.key, "KRAKEN_API_SECRET": credentials.secret}
        with suppress(UsageError):  # the extra is missing
            env["KRAKENWIRE_SIM_CONTROL_URL"] = server.control_url
        self._env = env
        self._trust = {} if certificate is None else certificate.env()
        self._kraken_cli = {} if certificate is None else KRAKEN_CLI
        self._accounts = server.exchange.accounts.names if has_accounts else ()
        self._symbols = symbols
        self._seed = seed

    def print_json(self) -> None:
        """One object on stdout."""
        print_json(
            {
                "env": self._env | self._trust,
                "symbols": self._symbols,
                "seed": self._seed,
                "accounts": self._accounts,
                "ca_file": self._trust.get("SSL_CERT_FILE"),
                "kraken_cli_env": self._kraken_cli,
            }
        )

    def print_exports(self) -> None:
        """Lines for a shell on stdout, and what a person wants to know on stderr."""
        _print_exports(self._env)
        if self._trust:
            print_line("# trust the simulator's certificate, and in this shell no other:")
            _print_exports(self._trust)
            print_line("# only for kraken-cli, which talks to nobody but Kraken without these:")
            _print_exports(self._kraken_cli)
        if self._accounts:
            key = f"the key is {self._accounts[0]}'s" if "KRAKEN_API_KEY" in self._env else "their keys are not printed"
            typer.echo(f"accounts: {', '.join(self._accounts)} ({key})", err=True)
        typer.echo(f"serving {', '.join(self._symbols)}; Ctrl-C ends it", err=True)


def report_end(server: SimulatorServer, fault_log: Path | None) -> None:
    """Say on stderr how it went, and write the log of the faults if it is wanted.

    Raises:
        UsageError: the log cannot be written.
    """
    faults = server.exchange.faults
    dropped = server.slow_clients_dropped
    done = [f"{dropped} slow client(s) were dropped"] if dropped else []
    done += [f"{len(faults.log)} fault(s) were injected"] if faults.log else []
    typer.echo("; ".join(["the simulator has ended", *done]), err=True)
    if fault_log is not None:
        try:
            fault_log.write_bytes(b"".join(line + b"\n" for line in faults.log_lines()))
        except OSError as error:
            raise UsageError(f"cannot write the log of the faults to {fault_log}: {error.strerror}") from None


def _connectable(url: str) -> str:
    """All addresses can be bound, but not connected to."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _print_exports(variables: dict[str, str]) -> None:
    for name, value in variables.items():
        print_line(f"export {name}={shlex.quote(value)}")
