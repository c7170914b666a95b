"""What only people can say: who is responsible, on which legal ground, who agreed. Wardround asks for it, shows it as
said by people, and leaves it open where nobody has; it never fills it in itself."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from policies.errors import InvalidInput

FILE = "statements.toml"  # in the datasite's home; a study's own file says more, or otherwise
MOST = 600  # characters of one statement: what the report shows of one text; the rest belongs into a document


@dataclass(frozen=True)
class Asked:
    """what: in words. who: has to say it. where: the rule that asks for it."""

    what: str
    who: str
    where: str


ASKED: dict[str, Asked] = {
    "controller": Asked("Controller: name and contact", "the hospital's management", "GDPR 30(1)(a)"),
    "joint_controllers": Asked("Joint controllers, and their arrangement", "the legal department", "GDPR 26, 30(1)(a)"),
    "data_protection_officer": Asked("Data protection officer, or privacy officer", "management", "GDPR 30(1)(a), 37"),
    "security_official": Asked("Security official", "management", "45 CFR 164.308(a)(2)"),
    "researcher_affiliation": Asked("Institution that the researcher works for", "the data owner", "GDPR 30(1)(d)"),
    "recipients": Asked("Who else receives results", "the researcher", "GDPR 30(1)(d)"),
    "third_countries": Asked("Results go to these third countries, with these safeguards", "the legal department",
                             "GDPR 30(1)(e), 44-49"),
    "legal_basis": Asked("Legal basis", "the legal department", "GDPR 6"),
    "special_category_basis": Asked("Ground for using health data", "the legal department", "GDPR 9(2), 89"),
    "hipaa_basis": Asked("Authorization, waiver, limited data set or de-identification", "the privacy board or IRB",
                         "45 CFR 164.512(i), 164.514"),
    "ethics_approval": Asked("Decision of the ethics committee or IRB: number and date", "the committee", "45 CFR 46"),
    "consent": Asked("Consent or opt-out of patients, and how it is kept to", "the data owner", "GDPR 7, 21"),
    "data_subjects": Asked("Whose data: the patients, in words", "the data owner", "GDPR 30(1)(c)"),
    "retention": Asked("When table, results and this record are erased", "the data owner", "GDPR 5(1)(e), 30(1)(f)"),
    "necessity": Asked("Why this data is needed, and no less would do", "the researcher and the data owner",
                       "GDPR 35(7)(b)"),
    "risks_accepted": Asked("Risks that remain, and who accepts them", "management", "GDPR 35(7)(c), 164.308(a)(1)"),
    "patients_informed": Asked("How patients are told", "the data protection officer", "GDPR 13, 14"),
}  # fmt: skip


@dataclass(frozen=True)
class Statements:
    """By the names of `ASKED`. `sources`: the files they were read from."""

    said: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Path, ...] = ()

    @property
    def open(self) -> list[str]:
        """What nobody has said yet."""
        return [name for name in ASKED if not self.said.get(name)]


def read_statements(*paths: Path) -> Statements:
    """A later file says more than an earlier one, or otherwise. Raises InvalidInput, naming every problem of a file."""
    said: dict[str, str] = {}
    for path in paths:
        said |= _read(path)
    return Statements(said, paths)


def _read(path: Path) -> dict[str, str]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"Cannot read {path}: {error.strerror}.", "Name a file of statements.") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{path} is not TOML: {error}.", 'Write lines such as: legal_basis = "..."') from None
    problems = [_problem(name, value) for name, value in content.items()]
    if found := [problem for problem in problems if problem]:
        raise InvalidInput(f"{path} cannot be used: {'; '.join(found)}.", f"What may be said: {', '.join(ASKED)}.")
    return content


def _problem(name: str, value: object) -> str:
    if name not in ASKED:
        return f"nobody asks for {name!r}"
    if not isinstance(value, str):
        return f"{name} is not a text"
    return f"{name} has more than {MOST:,} characters" if len(value) > MOST else ""
