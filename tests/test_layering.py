"""Imports run one way, clocks are read in one place, and sockets are opened in two."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "krakenwire"
SOURCE = Path(__file__).resolve().parent.parent / "src" / PACKAGE

# From the ground up. A module may import what lies below it and, up to its own layer, from its own package.
# "book.*" is a package with all of it that is not named by itself, "client" one module, "" the public door.
LAYERS = (
    ("_version", "errors", "clock", "events"),
    ("latency",),
    ("book.*",),
    ("protocol.*",),
    ("hub.*", "logs"),
    ("net.*", "journal.*", "sim.*"),
    ("since",),
    ("streams",),
    ("feed.*",),
    ("client", "replay.*"),
    ("", "sim.connection", "sim.control", "sim.server", "sim.web"),
    ("testing.*", "conform.*", "metrics.*"),
    ("cli.*",),
    ("__main__",),
)
CLOCK = "clock"
NOW = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")
SOCKETS = ("net.", "sim.connection.", "sim.server.", "testing.proxy.")


def layer(module: str) -> int | None:
    """The number of a module's layer, None if it is in no layer."""
    for name in (module, f"{module.partition('.')[0]}.*"):
        for number, members in enumerate(LAYERS):
            if name in members:
                return number
    return None


def imports(tree: ast.AST, module: str, is_package: bool, known: set[str]) -> Iterator[tuple[int, str]]:
    """(line, absolute name) of every import wherever it stands, also under TYPE_CHECKING and in functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = [PACKAGE, *filter(None, module.split("."))]
                above = here[: len(here) - node.level + is_package]
                base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:  # `from package import module` imports the module, not only the package
                name = f"{base}.{alias.name}"
                yield node.lineno, name if name in known else base


def violations(module: str, source: str, known: set[str], is_package: bool = False) -> Iterator[str]:
    """What a module does that its place does not allow, one line each."""
    own = layer(module)
    if own is None:
        yield f"{module}: in no layer; give it one in LAYERS"
        return
    tree = ast.parse(source)
    for line, name in imports(tree, module, is_package, known):
        where = f"{module}:{line} imports {name}"
        root, _, target = name.partition(".")
        if root == PACKAGE:
            theirs = layer(target)
            same_package = module.partition(".")[0] == target.partition(".")[0]
            if theirs is None or theirs > own or (theirs == own and not same_package):
                yield f"{where}: not below it"
        elif root == "time" and module != CLOCK:
            yield f"{where}: only {CLOCK} reads a clock; take the time as an argument"
        elif root in ("picows", "socket") and not f"{module}.".startswith(SOCKETS):
            yield f"{where}: only net and the simulator's server open sockets"
    for node in ast.walk(tree):
        if module != CLOCK and isinstance(node, ast.Attribute) and ast.unparse(node).endswith(NOW):
            yield f"{module}:{node.lineno} uses {ast.unparse(node)}: only {CLOCK} reads a clock"


def modules() -> dict[str, Path]:
    """Every module of the package by its name without `krakenwire.`; a stub stands for compiled code."""
    found = {}
    for path in sorted([*SOURCE.rglob("*.py"), *SOURCE.rglob("*.pyi")]):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
KNOWN = {f"{PACKAGE}.{name}".rstrip(".") for name in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_only_what_lies_below_it(module: str) -> None:
    path = MODULES[module]
    assert list(violations(module, path.read_text("utf-8"), KNOWN, path.stem == "__init__")) == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("book.face", "from krakenwire.protocol import core", "krakenwire.protocol.core: not below it"),
        ("book.face", "from ..client import Client", "imports krakenwire.client: not below it"),
        ("book.face", "from .. import client", "imports krakenwire.client: not below it"),
        ("book.face", "import krakenwire", "imports krakenwire: not below it"),
        ("book.face", "if TYPE_CHECKING:\n    from krakenwire.hub.reader import Reader", "not below it"),
        ("book.face", "def late():\n    from ..net import pump", "imports krakenwire.net.pump: not below it"),
        ("errors", "from .events import Loss", "imports krakenwire.events: not below it"),
        ("net.rest", "import krakenwire.journal.record", "not below it"),
        ("sim.market", "from .server import Server", "imports krakenwire.sim.server: not below it"),
        ("protocol.core", "from time import monotonic", "only clock reads a clock"),
        ("protocol.core", "import datetime as d\nd.datetime.now()", "only clock reads a clock"),
        ("client", "import picows", "only net and the simulator's server open sockets"),
        ("sim.market", "import socket", "only net and the simulator's server open sockets"),
        ("stray", "", "in no layer"),
    ],
)
def test_checker_finds_a_module_that_breaks_the_rules(module: str, source: str, complaint: str) -> None:
    known = KNOWN | {f"{PACKAGE}.{name}" for name in ("client", "net.pump", "protocol.core")}
    found = list(violations(module, source, known))
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("book.face", "from . import kernel\nfrom ..events import Level\nimport zlib"),
        ("client", "from krakenwire.sim.market.market import Market\nfrom .net.transport import Connector"),
        ("sim.server", "import picows\nfrom .market import Market"),
        ("clock", "import time"),
    ],
)
def test_checker_leaves_a_module_that_keeps_the_rules_alone(module: str, source: str) -> None:
    assert list(violations(module, source, KNOWN)) == []
