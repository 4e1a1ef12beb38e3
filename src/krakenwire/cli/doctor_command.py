"""`krakenwire doctor`: what runs here, what is missing, and whether the exchange can be reached."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import typer

from krakenwire.cli.doctor import run
from krakenwire.cli.exits import UNREACHABLE, WRONG, reports_errors
from krakenwire.cli.options import JsonOption, UrlOption
from krakenwire.cli.output import print_json, print_line
from krakenwire.net.endpoints import Endpoints

__all__ = ["EXAMPLES", "doctor"]

EXAMPLES = (
    "krakenwire doctor",
    "krakenwire doctor --url ws://127.0.0.1:8080/v2 --timeout 2",
    "krakenwire doctor --json | jq -r .status",
)

REACHABILITY = ("websocket", "rest")


@reports_errors
def doctor(
    url: UrlOption = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.001, metavar="S", help="Seconds that each step of the way may take.")
    ] = 5.0,
    json: JsonOption = False,
) -> None:
    """Examine this installation and its way to the exchange, and say what to do about what is wrong.

    Ends with 3 if only the exchange cannot be reached, with 1 if the installation itself is broken.
    """
    found = Endpoints.from_environment(os.environ)
    endpoints = Endpoints(public=url, rest=found.rest) if url else found
    report = asyncio.run(run(endpoints.public, timeout, rest_url=endpoints.rest if endpoints.has_rest else None))
    if json:
        print_json(report.as_dict())
    else:
        print_line(str(report))
    failed = {check.name for check in report.checks if check.status == "failed"}
    if failed:
        raise typer.Exit(UNREACHABLE if failed <= set(REACHABILITY) else WRONG)
