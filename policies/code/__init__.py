"""Static review of a study's code: advice with line numbers, never the wall."""

from policies.code.finding import MEANING, Allowable, Finding, Kind
from policies.code.review import review

__all__ = ["MEANING", "Allowable", "Finding", "Kind", "review"]
