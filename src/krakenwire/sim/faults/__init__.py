"""Faults: what the simulated exchange does wrong on purpose, when, and a log of what each of them touched."""

from __future__ import annotations

from .injector import Faults
from .kinds import KINDS, describe
from .model import Fault, Touch
from .script import Plan, Script
from .text import read_fault

__all__ = ["KINDS", "Fault", "Faults", "Plan", "Script", "Touch", "describe", "read_fault"]
