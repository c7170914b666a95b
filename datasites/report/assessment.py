"""A form for an impact assessment (GDPR 35) and for an ethics board, with the facts of one study filled in.

What a program can know is filled in; all else says who has to write it. Word processors open the page to be edited.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from datasites.approval import private
from datasites.approval.packet.document import Block, Document, Facts, Paragraph, Section, Table
from datasites.approval.packet.summary import NO_GUARANTEE, duration, total_bytes
from datasites.approval.private import counted
from datasites.audit.verify import Finding
from datasites.report.common import standing, table
from datasites.report.record import Record
from datasites.report.safeguards import GDPR, HIPAA, Provision
from datasites.report.statements import ASKED, Statements
from datasites.wire.manifest import Manifest

_FILL = "TO BE WRITTEN BY"


def assessment(record: Record, findings: Sequence[Finding], statements: Statements, at: datetime) -> Document:
    wrong = [one for one in findings if not one.good]
    return Document(
        f"Assessment form for study {record.name}-{record.digest[:12]} at {record.title}",
        [
            *([Section("The record behind this form does not hold", list(standing(findings)))] if wrong else []),
            Section("How to use this form", [_how(at)]),
            Section("A. Description of the processing (GDPR 35(7)(a))", list(_description(record, statements))),
            Section("B. Necessity and proportionality (GDPR 35(7)(b))", [_people(statements, "necessity", "legal_basis",
                    "special_category_basis", "hipaa_basis", "consent", "patients_informed", "retention")]),
            Section("C. Risks to patients (GDPR 35(7)(c))", list(_risks(record, statements))),
            Section("D. Measures (GDPR 35(7)(d))", [_measures(record)]),
            Section("E. For the ethics board or IRB", [_board(record, statements)]),
            Section("F. Opinions and signatures", [_signatures()]),
            Section("Map: HIPAA Security Rule (45 CFR)", [safeguards(HIPAA)]),
            Section("Map: GDPR", [safeguards(GDPR)]),
        ],
    )  # fmt: skip


def safeguards(provisions: Sequence[Provision]) -> Table:
    rows = [(p.where, p.about, p.does, p.see, p.people) for p in provisions]
    return Table(("Provision", "About", "What Wardround does", "Where to see it", "What only people can do"), rows)


def _how(at: datetime) -> Paragraph:
    return Paragraph(
        f"Filled in by a program on {at:%Y-%m-%d} from what this hospital has on record, and no more. "
        f"Wherever {_FILL} stands, people must write, and people must judge the whole. It is no legal advice, and says "
        f"of no law that it is complied with.",
        "bad",
    )


def _description(record: Record, statements: Statements) -> Iterator[Block]:
    m = record.manifest
    if m is None:
        yield Paragraph("The manifest lies here no more: take purpose, columns and outputs from elsewhere.", "bad")
        return
    dictionary = record.dictionary
    most = f"at most {duration(m.seconds_per_round)}"
    rounds = f"once, in {most}" if m.statistics else f"in at most {m.rounds:,} rounds, each of {most}"
    yield Facts(
        [
            ("Purpose, in the researcher's words", m.purpose),
            ("Who asks", record.researcher),
            ("Table", f"{m.dataset}: {dictionary.table.description}" if dictionary else m.dataset),
            ("How often", rounds),
            ("Digest of all that may run", record.digest),
            ("Leaves the hospital, at most", f"{total_bytes(m):,} bytes in all"),
            ("What leaves", _outputs(m)),
        ]
    )
    yield _people(statements, "controller", "joint_controllers", "data_protection_officer", "data_subjects",
                  "researcher_affiliation", "recipients", "third_countries")  # fmt: skip
    known = dictionary.columns if dictionary else {}
    columns = [
        (name, known[name].description if name in known else "", (known[name].sensitivity or "not stated")
         if name in known else "")
        for name in m.columns
    ]  # fmt: skip
    yield table(("Column", "Meaning", "Sensitivity, as the hospital says"), columns)


def _outputs(m: Manifest) -> str:
    if m.statistics is not None:
        return f"{m.statistics.width:,} noisy counts and sums"
    numbers = sum(_size(spec.shape) for spec in m.outputs.parameters.values())
    metrics = len({*m.outputs.fit_metrics, *m.outputs.evaluate_metrics})
    tables = len(m.outputs.evaluate_arrays)
    told = (counted(numbers, "number"), counted(metrics, "metric"), counted(tables, "table"))
    return f"after each round a model of {told[0]}, {told[1]} and {told[2]} of counts"


def _size(shape: Sequence[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _risks(record: Record, statements: Statements) -> Iterator[Block]:
    m, budget = record.manifest, record.budget
    if m is not None:
        delta = budget.limits.delta if budget and budget.limits else None
        yield Paragraph(private.guarantee(m, delta) if m.asked else _reviewed(record))
    rows = [
        ("A model or number tells whether a patient took part", "membership inference"),
        ("Values of a patient are rebuilt from what left", "reconstruction"),
        ("Results disadvantage a group of patients", "fairness: no program here measures it by itself"),
        ("Results reach people they were not meant for", "the researcher's own safeguards"),
        ("Somebody at the hospital is misled or coerced", "organisation"),
    ]
    told = [(risk, kind, f"{_FILL} the data protection officer: likelihood, severity") for risk, kind in rows]
    yield Table(("Risk", "Known as", "Judgement"), told)
    yield _people(statements, "risks_accepted")


def _reviewed(record: Record) -> str:
    noise = next((d.noise for d in reversed(record.decided) if d.noise), None)
    m, limits = record.manifest, record.budget.limits if record.budget else None
    if noise and limits and m:
        return private.covered(noise.distance, noise.multiple, m.rounds, limits.delta)
    return NO_GUARANTEE


def _measures(record: Record) -> Facts:
    m = record.manifest
    rows = [
        ("Releases in the report", "The table stays at the hospital; only approved results leave"),
        ("Decisions in the report", "Approval bound to every byte of the request, limited and revocable"),
        ("The manifest", "Results are held to the names, shapes and types that were approved"),
        ("Digests in the report", "Messages are signed and encrypted end to end"),
        ("audit.jsonl", "A log that cannot be changed without others noticing"),
    ]
    if m and m.asked is not None:
        rows.append(("Privacy in the report", "Differential privacy, by the hospital's own program"))
    if m and m.asked is None:
        rows.append(("The policy", "Code is confined without a network, and reads only its columns"))
    if m and m.secure_aggregation:
        rows.append(("The manifest", "Only a sum over several hospitals can be read"))
    if m and m.gossip:
        rows.append(("The manifest", f"Models are read by {len(m.gossip.hospitals)} named hospitals, and no other"))
    return Facts([*rows, ("The organisation's own", f"{_FILL} the security official")])


def _board(record: Record, statements: Statements) -> Facts:
    m = record.manifest
    return Facts(
        [
            ("Title", f"{_FILL} the researcher"),
            ("Study as submitted", f"{record.name}, digest {record.digest}"),
            ("Principal investigator", f"{_FILL} the researcher; keys belong to {record.researcher}"),
            ("Research question, in one line", m.purpose if m else f"{_FILL} the researcher"),
            ("Data", f"{len(m.columns):,} columns of {m.dataset}, listed in A" if m else f"{_FILL} the researcher"),
            ("Contact with patients", f"none by this system. {_FILL} the researcher: any other"),
            ("Identifiers given to the researcher", "none: rows never leave the hospital"),
            ("Approval or exemption", statements.said.get("ethics_approval") or f"{_FILL} the board"),
            ("Waiver of consent or authorization", statements.said.get("hipaa_basis") or f"{_FILL} the board"),
            ("Benefit and risk", f"{_FILL} the researcher and the board"),
        ]
    )


def _signatures() -> Table:
    who = ("Data protection officer", "Controller", "Ethics board or IRB", "Data owner", "Patients, if asked (35(9))")
    return Table(("Who", "Opinion", "Name, date, signature"), [(one, f"{_FILL} them", "") for one in who])


def _people(statements: Statements, *names: str) -> Table:
    rows = [(ASKED[n].what, statements.said.get(n) or f"{_FILL} {ASKED[n].who}", ASKED[n].where) for n in names]
    return Table(("What", "Written by people", "Asked for by"), rows)
