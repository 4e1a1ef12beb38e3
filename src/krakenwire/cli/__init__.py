"""The command line: `krakenwire`. It needs the extra `cli`, and says so where that is absent."""

from __future__ import annotations

import sys

__all__ = ["main"]

_EXTRA = ("typer", "rich")


def main() -> None:
    """Run the command that the arguments name, and exit with its code (see `krakenwire.cli.exits`)."""
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
