"""What `krakenwire conform` prints for a person: its rules, and its report."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from krakenwire.conform import Outcome, Report, Rule
from krakenwire.conform.sections import SECTIONS, TAGS, section_key

__all__ = ["list_text", "report_object", "report_text", "rule_object"]

WIDEST_ID = 34
WIDTH = 110


def rule_object(rule: Rule) -> dict[str, object]:
    """A rule for JSON."""
    return {
        "id": rule.id,
        "section": rule.section,
        "provenance": list(rule.provenance),
        "rule": rule.statement,
        "needs": rule.needs,
    }


def list_text(rules: Iterable[Rule]) -> str:
    """The rules by section, each with what it says."""
    lines: list[str] = []
    for section, members in _by_section(rules):
        lines.append(_heading(section))
        for rule in members:
            lines.append(f"  {rule.id:<{WIDEST_ID}} {_tags(rule):<16} {rule.needs}".rstrip())
            lines += textwrap.wrap(rule.statement, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join([*lines, "", *(f"{tag:<12} {meaning}" for tag, meaning in TAGS.items())])


def report_object(rules: Sequence[Rule], report: Report, where: dict[str, object]) -> dict[str, object]:
    """The report for JSON."""
    return where | {
        "holds": report.count("holds"),
        "broken": report.count("broken"),
        "observed": report.count("observed"),
        "not_tested": report.count("not tested"),
        "unreachable": list(report.unreachable),
        "seconds": round(report.seconds, 3),
        "rules": [
            rule_object(rule)
            | {
                "verdict": outcome.verdict,
                "note": outcome.note,
                "expected": outcome.expected,
                "got": outcome.got,
                "frame": outcome.frame,
            }
            for rule, outcome in zip(rules, report.outcomes, strict=True)
        ],
    }


def report_text(rules: Sequence[Rule], report: Report) -> str:
    """The report for a person: by section what was tested, then what was not and why, then the sum."""
    outcomes = {outcome.id: outcome for outcome in report.outcomes}
    lines: list[str] = []
    for section, members in _by_section(rules):
        tested = [rule for rule in members if outcomes[rule.id].verdict != "not tested"]
        if tested:
            lines.append(_heading(section))
            for rule in tested:
                lines += _outcome_lines(rule, outcomes[rule.id])
    lines += _untested_lines(rules, outcomes)
    counts = ", ".join(
        f"{report.count(verdict)} {verdict}" for verdict in ("holds", "broken", "observed", "not tested")
    )
    lines += ["", f"{counts}; {report.seconds:.1f} s"]
    return "\n".join(lines)


def _outcome_lines(rule: Rule, outcome: Outcome) -> list[str]:
    lines = [f"  {outcome.verdict:<8} {rule.id:<{WIDEST_ID}} {_tags(rule):<16} {outcome.note}".rstrip()]
    if outcome.verdict == "broken":
        lines += textwrap.wrap(rule.statement, WIDTH, initial_indent=" " * 11, subsequent_indent=" " * 11)
        lines += [f"           expected {outcome.expected}", f"           got      {outcome.got}"]
        if outcome.frame:
            lines.append(f"           frame    {outcome.frame}")
    return lines


def _untested_lines(rules: Iterable[Rule], outcomes: dict[str, Outcome]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for rule in rules:
        outcome = outcomes[rule.id]
        if outcome.verdict == "not tested":
            by_reason.setdefault(outcome.note, []).append(rule.id)
    lines: list[str] = []
    for reason, ids in by_reason.items():
        lines.append(f"not tested: {reason}")
        lines += textwrap.wrap(", ".join(ids), WIDTH, initial_indent="  ", subsequent_indent="  ")
    return lines


def _by_section(rules: Iterable[Rule]) -> list[tuple[str, list[Rule]]]:
    sections: dict[str, list[Rule]] = {}
    for rule in rules:
        sections.setdefault(rule.section, []).append(rule)
    return sorted(sections.items(), key=lambda found: section_key(found[0]))


def _heading(section: str) -> str:
    return f"{section} {SECTIONS[section]}"


def _tags(rule: Rule) -> str:
    return " ".join(rule.provenance)
