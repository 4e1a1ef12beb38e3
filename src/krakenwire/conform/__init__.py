"""The conformance suite: PROTOCOL.md's rules, tried on any server that claims to be Kraken."""

from krakenwire.conform.rule import Rule
from krakenwire.conform.rules import RULES
from krakenwire.conform.runner import Report, examine
from krakenwire.conform.target import Credentials, Target
from krakenwire.conform.verdict import Outcome

__all__ = ["RULES", "Credentials", "Outcome", "Report", "Rule", "Target", "examine"]
