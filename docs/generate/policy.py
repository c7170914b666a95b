"""What a policy can say, from its sections' types, and the rules that hold a study against it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import BaseModel

from docs.generate.settings import kind
from policies.code.finding import MEANING
from policies.examples import NAMES, example, example_text
from policies.explain import explain
from policies.policy import Policy
from policies.rules import ON_CODE, ON_REQUEST, RULES

_ABOUT = """
A policy is a TOML file that says what may be done with one table. Every entry must be there unless it says *optional*:
a policy allows nothing by silence. `wardround policy check FILE` names what is wrong in one,
`wardround policy explain FILE` reads it aloud, `wardround policy set TABLE FILE` applies it. Made from the code.
"""
_RULES = """
Each rule compares one part of what a study asks for with one part of the policy, and names every point on which it says
no. A study that any of them refuses cannot be approved, and one that was approved stops before its next round.
"""


def page() -> str:
    parts = ["# Policies\n", _ABOUT, "\n## Entries\n"]
    for name, section in sections():
        parts += [f"\n### `[{name}]`\n\n{about(section)}\n\n", _entries(name, section)]
    parts += ["\n## Rules\n", _RULES, "\n| rule | looks at |\n|---|---|\n"]
    parts += [f"| `{rule}` | {looks} |\n" for rule, looks in RULES.items()]
    parts.append("\n## What is found in code\n\n| finding | the code |\n|---|---|\n")
    parts += [f"| `{found}` | {meaning} |\n" for found, meaning in MEANING.items()]
    parts.append("\n## Ready policies\n")
    parts += [_example(name) for name in NAMES]
    return "".join(parts)


def undocumented() -> list[str]:
    """Rules that nothing is said of, sections without a word, entries that no ready policy and no docstring names."""
    modules = {rule.__module__.rsplit(".", 1)[1] for rule in (*ON_REQUEST, *ON_CODE)}
    found = [f"rule {name}" for name in modules if not RULES.get(name)]
    shown = "".join(example_text(name) for name in NAMES)
    for name, section in sections():
        told = about(section) + shown
        found += [f"[{name}]"] if not section.__doc__ else []
        found += [f"[{name}] {entry}" for entry in section.model_fields if not re.search(rf"\b{entry}\b", told)]
    return found


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """The sections of a policy, by their names in the file."""
    for name, info in Policy.model_fields.items():
        kinds = [info.annotation, *getattr(info.annotation, "__args__", ())]
        for each in kinds:
            if isinstance(each, type) and issubclass(each, BaseModel):
                yield name, each


def about(section: type[BaseModel]) -> str:
    """A section's docstring."""
    return re.sub(r"\n\s*\n\s*", "\n\n", re.sub(r"[ \t]*\n[ \t]+", "\n", section.__doc__ or "")).strip()


def _entries(name: str, section: type[BaseModel]) -> str:
    rows = "".join(
        f"| `{entry}` | {kind(info)} | {'' if info.is_required() else 'optional'} | {_standard(name, entry)} |\n"
        for entry, info in section.model_fields.items()
    )
    return f"| entry | type | | in `standard` |\n|---|---|---|---|\n{rows}"


def _standard(name: str, entry: str) -> str:
    value = getattr(getattr(example("standard"), name), entry)
    text = ", ".join(f"{one}" for one in value) if isinstance(value, tuple | dict) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return "" if value is None or not text else f"`{text if len(text) < 40 else text[:36] + ' ...'}`"


def _example(name: str) -> str:
    told = explain(example(name))
    aloud = "".join(f"\n**{heading}.** {' '.join(sentences)}\n" for heading, sentences in told.items())
    return f"\n### {name}\n\n```toml\n{example_text(name)}```\n\nRead aloud:\n{aloud}"
