"""The command line: `krakenwire`. It needs the extra `cli`, and says so where that is absent."""

from __future__ import annotations

import io
import os
import sys

__all__ = ["main"]

_EXTRA = ("typer", "rich")


def main() -> None:
    """Run the command that the arguments name, and exit with its code (see `krakenwire.cli.exits`)."""
    _make_output_safe()
    try:
        from krakenwire.cli.app import app
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write("krakenwire needs the cli extra: pip install 'krakenwire[cli]'\n")
        sys.exit(2)
    except KeyboardInterrupt:  # while everything is imported; from here on the commands see to it
        sys.exit(1)
    app(prog_name="krakenwire")


def _make_output_safe() -> None:
    """What stdout's encoding lacks is shown as `?`; a stdout that is closed swallows what is printed, as of `print`."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # open for as long as the process lives
