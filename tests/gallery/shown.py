"""A row of the table that the gallery ends with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """`problem`: what is missing, or wrong; empty for nothing."""

    part: str
    name: str
    told: str
    problem: str = ""
