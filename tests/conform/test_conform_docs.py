"""docs/conformance.md lists the rules that there are, as they are."""

from __future__ import annotations

import re
from pathlib import Path

from krakenwire.conform import RULES
from krakenwire.conform.sections import SECTIONS, TAGS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "conformance.md").read_text("utf-8")


def test_page_has_every_rule_with_its_statement_its_sources_and_what_it_needs() -> None:
    rows = set(re.findall(r"^\| `([\w.]+)` \| (.*) \| ([\w, ]+) \| ([\w, ]*) \|$", PAGE, re.MULTILINE))
    assert rows == {
        (rule.id, rule.statement.replace("|", "\\|"), ", ".join(rule.provenance), rule.needs) for rule in RULES
    }


def test_rules_stand_under_their_sections() -> None:
    found: dict[str, str] = {}
    for part in PAGE.split("\n### ")[1:]:
        section = part.partition(" ")[0]
        found |= dict.fromkeys(re.findall(r"^\| `([\w.]+)`", part, re.MULTILINE), section)
    assert found == {rule.id: rule.section for rule in RULES}


def test_sections_are_those_of_the_rules() -> None:
    assert set(SECTIONS) == {rule.section for rule in RULES}
    for section, title in SECTIONS.items():
        assert f"### {section} {title}\n" in PAGE


def test_page_explains_every_tag() -> None:
    assert dict(re.findall(r"^\| ([A-Z0-9]+) \| (.*) \|$", PAGE, re.MULTILINE)) == TAGS


def test_ids_are_unique_and_every_rule_says_what_it_says() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)?", rule.id)
        assert rule.statement.endswith(".")
        assert rule.provenance
