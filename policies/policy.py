"""What a data owner allows to be done with one table, written down before anybody asks.

A policy is a TOML file that can be read aloud (`explain`). It never allows by silence: every entry must be given, and
what a rule does not know is refused. A study that passes still needs a person's approval, unless the policy says that
an exact repetition of an approved one does not.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import ValidationError, model_validator
from pydantic_core import PydanticCustomError

from policies.code import review
from policies.errors import InvalidInput
from policies.request import StudyRequest
from policies.rules import ON_CODE, ON_REQUEST, RULES, Violation
from policies.rules.processes import unexplained
from policies.sections import Approval, Asking, Budget, Code, Data, Line, Release, Running, Section
from policies.wording import problems_of


class Policy(Section):
    """Make one with `load` or `from_toml`, which explain every problem at once; see `policies/examples/`."""

    title: Line
    asking: Asking
    data: Data
    running: Running
    code: Code
    release: Release
    approval: Approval
    budget: Budget | None = None

    @model_validator(mode="after")
    def _private_tier_has_a_budget(self) -> Self:
        if "private" in self.running.tiers and self.budget is None:
            raise PydanticCustomError("rule", "the private tier needs a [budget]")
        return self

    @model_validator(mode="after")
    def _gate_noise_has_a_budget(self) -> Self:
        if self.release.gate_noise is not None and self.budget is None:
            raise PydanticCustomError("rule", "`gate_noise` is paid for from a [budget], which is not given")
        return self

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Raises InvalidInput naming every problem of the policy."""
        try:
            return cls.model_validate(tomllib.loads(text))
        except ValidationError as error:
            listing = "".join(f"\n- {problem}" for problem in problems_of(error, cls))
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"The policy is not TOML: {error}.", "Correct the file at that place.") from None
        raise InvalidInput(f"The policy cannot be used:{listing}\n", "Correct these entries.")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The policy in a TOML file; raises as `from_toml` does, and if the file cannot be read."""
        return cls.from_toml(read_text(path))

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of what it says; comments and layout do not count."""
        said = self.model_dump(mode="json")
        for name in ("kept_megabytes", "processes"):
            if said["running"][name] is None:  # as from before there was this entry, and the next
                del said["running"][name]
        if not said["release"]["tables"]:
            del said["release"]["tables"]
        content = json.dumps(said, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    def check(self, request: StudyRequest) -> list[Violation]:
        """Every way in which a study is more than this policy allows; empty when it allows all of it."""
        found = [violation for rule in ON_REQUEST for violation in rule(self, request)]
        findings = unexplained(self, request)
        return found + [violation for rule in ON_CODE for violation in rule(self.code, findings)]

    def check_code(self, files: Mapping[str, str]) -> list[Violation]:
        """What `check` says of the code alone: text by path."""
        findings = review(files)
        return [violation for rule in ON_CODE for violation in rule(self.code, findings)]

    def verdicts(self, request: StudyRequest) -> dict[str, list[Violation]]:
        """`check`, rule by rule: a rule's name to what it says against the study, empty where it allows it."""
        found = self.check(request)
        return {rule: [violation for violation in found if violation.rule == rule] for rule in RULES}

    def __repr__(self) -> str:
        return f"<Policy: {self.title}; digest {self.digest[:12]}>"

    def _repr_html_(self) -> str:
        """In a notebook it is read aloud."""
        from policies.explain import to_html  # which needs this class

        return to_html(self)

    def approves(self, request: StudyRequest) -> bool:
        """Whether no person need look: it repeats, to the last byte, what a person approved here and what is still
        approved, and nothing is more than allowed."""
        repeats = request.first != request.digest and request.first in request.approved_digests
        return self.approval.automatic == "same-digest" and repeats and not self.check(request)


def read_text(path: str | Path) -> str:
    """A policy file's text. Raises InvalidInput."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"Cannot read {path}: {error.strerror}.", "Give the policy's TOML file.") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8 text.", "Save the policy as UTF-8.") from None
