"""A study's record as a Five Safes RO-Crate (profile 0.4, https://w3id.org/5s-crate/0.4): `ro-crate-metadata.json`.

Where the profile speaks of a workflow, this says what a study is: the signed manifest names everything that may run. It
is no CWL or Nextflow workflow, so it does not conform to the Workflow RO-Crate profile, and does not say so. Results
have left the hospital sealed; the crate holds their digests, never their content.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from datasites.approval.packet.visible import visible
from datasites.audit.entry import Kind
from datasites.audit.verify import Finding
from datasites.report.record import Record
from datasites.report.statements import ASKED, Statements

PROFILE = "https://w3id.org/5s-crate/0.4"
_SHP, _SCHEMA = "https://w3id.org/shp#", "http://schema.org/"
_HOSPITAL, _PROJECT, _GATE, _TERMS = "#hospital", "#project", "#wardround", "#terms-of-access"
_KINDS = {".html": "text/html", ".json": "application/json", ".jsonl": "application/jsonl", ".toml": "application/toml"}
_MOST = 5_000  # results that are described one by one; a flood of rounds must not make a file that nobody opens


def write_crate(
    folder: Path,
    record: Record,
    findings: Sequence[Finding],
    statements: Statements,
    at: datetime,
    parts: Sequence[str],
) -> None:
    """Writes `ro-crate-metadata.json` into `folder`. parts: the files there that it describes. at: now."""
    from rocrate.rocrate import ROCrate  # takes a moment to import

    crate = ROCrate(version="1.2")
    for part in parts:
        properties = {"name": part, "encodingFormat": _KINDS.get(Path(part).suffix, "text/plain")}
        properties["contentSize"] = str((folder / part).stat().st_size)
        crate.add_file(dest_path=part, properties=properties)
    privacy = _privacy(record)
    entities = [*_people(record, statements), *_data(record), *_run(record), *privacy]
    entities += _assessments(record, findings, at)
    for entity in entities:
        _add(crate, entity)
    root = crate.root_dataset
    root["name"] = f"Record of study {record.name} ({record.digest[:12]}) at {visible(record.title)}"
    root["description"] = "What was asked, decided, run and released at one hospital; see report.html."
    root["conformsTo"] = {"@id": PROFILE}
    root["datePublished"] = at.isoformat()
    root["license"] = {"@id": _TERMS}
    root["publisher"] = {"@id": _HOSPITAL}
    root["sourceOrganization"] = {"@id": _PROJECT}
    root["mainEntity"] = {"@id": "study/"}
    mentioned = [one["@id"] for one in entities if one["@type"] in ("CreateAction", "AssessAction")]
    mentioned += [one["@id"] for one in privacy]
    root["mentions"] = [{"@id": name} for name in [*mentioned, *_said_ids(statements)]]
    crate.metadata.write(folder)


def _add(crate: Any, entity: dict[str, Any]) -> None:
    from rocrate.model.contextentity import ContextEntity

    properties = {name: value for name, value in entity.items() if name != "@id"}
    if entity["@id"].endswith("/"):
        crate.add_dataset(dest_path=entity["@id"], properties=properties)
    else:
        crate.add(ContextEntity(crate, entity["@id"], properties=properties))


def _people(record: Record, statements: Statements) -> list[dict[str, Any]]:
    said = statements.said
    affiliation = visible(said["researcher_affiliation"]) if said.get("researcher_affiliation") else ""
    person = {
        "@id": _researcher(record),
        "@type": "Person",
        "name": visible(record.researcher),
        "email": record.researcher,
        "memberOf": {"@id": _PROJECT},
    }
    institution = {"@id": "#affiliation", "@type": "Organization", "name": affiliation}
    m = record.manifest
    return [
        {"@id": PROFILE, "@type": ["CreativeWork", "Profile"], "name": "Five Safes RO-Crate profile", "version": "0.4"},
        {**person, "affiliation": {"@id": "#affiliation"}} if affiliation else person,
        *([institution] if affiliation else []),
        {
            "@id": _PROJECT,
            "@type": "Project",
            "name": record.name,
            "description": visible(m.purpose) if m else "Its manifest lies at the hospital no more.",
            "identifier": f"sha256:{record.digest}",
        },
        {
            "@id": _HOSPITAL,
            "@type": "Organization",
            "name": visible(record.title),
            "email": record.hospital.email,
            "identifier": f"Wardround keys: {record.hospital.fingerprint}",
        },
        {
            "@id": _GATE,
            "@type": "SoftwareApplication",
            "name": "Wardround, the hospital's own agent and release gate",
            "provider": {"@id": _HOSPITAL},
        },
        {
            "@id": _TERMS,
            "@type": "CreativeWork",
            "name": "Terms of access",
            "description": "No licence is given by this record: its hospital decides who may have it.",
        },
        *(
            {"@id": f"#said-{name}", "@type": "PropertyValue", "name": ASKED[name].what, "value": visible(text),
             "description": "Said by people; not checked."}
            for name, text in said.items()
            if text
        ),
    ]  # fmt: skip


def _said_ids(statements: Statements) -> list[str]:
    return [f"#said-{name}" for name, text in statements.said.items() if text]


def _data(record: Record) -> list[dict[str, Any]]:
    m, dictionary = record.manifest, record.dictionary
    study = {
        "@id": "study/",
        "@type": "Dataset",
        "name": f"Study {record.name}: the signed manifest of all that was asked for",
        "identifier": f"sha256:{record.digest}",
        "hasPart": [{"@id": f"study/{name}"} for name in ("manifest.json", "manifest.sig")] if record.asked else [],
    }
    if m is None:
        return [study]
    known = dictionary.columns if dictionary else {}
    columns = [
        {
            "@id": f"#column-{name}",
            "@type": "PropertyValue",
            "name": name,
            "description": visible(known[name].description) if name in known else "not in the table's dictionary",
        }
        for name in m.columns
    ]
    table = {
        "@id": _table(record),
        "@type": "Dataset",
        "name": visible(dictionary.table.title) if dictionary else m.dataset,
        "description": "Stays at the hospital. Only its dictionary is public.",
        "identifier": f"sha256:{m.dictionary}",
        "variableMeasured": [{"@id": column["@id"]} for column in columns],
        "publisher": {"@id": _HOSPITAL},
    }
    return [study, table, *columns]


def _run(record: Record) -> list[dict[str, Any]]:
    """The execution, and each result that left as a document that only the project may read."""
    left = record.of(Kind.RELEASED)
    failed = record.of(Kind.REFUSED, Kind.RUN_FAILED)
    status = "Completed" if left else "Failed" if failed else "Potential"
    results: list[dict[str, Any]] = [
        {
            "@id": f"#result-{entry['number']}",
            "@type": "DigitalDocument",
            "name": f"Sealed answer to round {entry.get('round')}",
            "dateCreated": entry["at"],
            "contentSize": str(entry.get("bytes")),
            "identifier": f"sha256:{entry.get('reply')}",
            "hasDigitalDocumentPermission": {"@id": "#only-the-researcher"},
        }
        for entry in left[:_MOST]
    ]
    permission = {
        "@id": "#only-the-researcher",
        "@type": "DigitalDocumentPermission",
        "permissionType": {"@id": f"{_SCHEMA}ReadPermission"},
        "grantee": {"@id": _PROJECT},
    }
    used = [{"@id": _table(record)}] if record.manifest else []
    times = {"startTime": left[0]["at"], "endTime": left[-1]["at"]} if left else {}
    action = {
        "@id": f"#run-{record.digest}",
        "@type": "CreateAction",
        "name": f"Rounds of study {record.name}: {len(left):,} released, {len(failed):,} refused or failed",
        "actionStatus": f"{_SCHEMA}{status}ActionStatus",
        "agent": {"@id": _researcher(record)},
        "instrument": {"@id": "study/"},
        "object": used,
        "result": [{"@id": one["@id"]} for one in results],
        **times,
    }
    return [action, *results, *([permission] if results else [])]


def _privacy(record: Record) -> list[dict[str, Any]]:
    """What is spent of the table's budget; nothing where there is none."""
    budget = record.budget
    if budget is None or budget.limits is None:
        return []
    own = [one for one in budget.studies if one.who == record.digest]
    told = [("study", "this study", own[0] if own else None), ("table", "all studies of the table", budget.total)]
    return [
        {
            "@id": f"#epsilon-{name}",
            "@type": "PropertyValue",
            "name": f"Epsilon spent by {whose}",
            "value": round(spend.epsilon, 6) if spend else 0.0,
            "description": f"At delta {budget.limits.delta:g}, as the privacy ledger has it; see report.html.",
        }
        for name, whose, spend in told
    ]


def _assessments(record: Record, findings: Sequence[Finding], at: datetime) -> Iterable[dict[str, Any]]:
    wrong = [one for one in findings if not one.good]
    yield _assessment(
        "#check",
        "CheckValue",
        f"Signatures, digests, approvals, ledger and log: {len(findings) - len(wrong)} of {len(findings)} checks hold",
        not wrong,
        agent=_GATE,
        endTime=at.isoformat(),
    )
    policies = {entry.get("decision"): entry.get("policy") for entry in record.of(Kind.DECIDED)}
    for kept in record.decisions:
        if kept.signed is None:
            continue
        d, person, policy = kept.signed.decision, f"#account-{kept.number}", f"#policy-{kept.number}"
        by = {"@id": person, "@type": "Person", "name": visible(d.decided_by), "worksFor": {"@id": _HOSPITAL}}
        if not d.automatic:
            yield by
        digest = policies.get(d.number)
        known = {"identifier": f"sha256:{digest}"} if digest else {}
        yield {"@id": policy, "@type": "CreativeWork", "name": "The table's policy then in force", **known}
        yield _assessment(
            f"#decision-{kept.number}",
            "SignOff",
            f"Decision {kept.number}: {d.verdict}",
            d.verdict == "approved",
            agent=_GATE if d.automatic else person,
            endTime=d.decided_at.isoformat(),
            instrument={"@id": policy},
            description=visible(d.reason),
            object=[{"@id": "./"}, {"@id": "study/"}, {"@id": _PROJECT}],
        )
    left, kept_back = record.of(Kind.RELEASED), record.of(Kind.OUTPUT_HELD)
    if left or kept_back:
        last = [*left, *kept_back][-1]["at"]
        told = f"Release gate: {len(left):,} answers let out, {len(kept_back):,} results kept back"
        yield _assessment("#disclosure", "DisclosureCheck", told, bool(left), agent=_GATE, endTime=last)


def _assessment(name: str, kind: str, told: str, good: bool, *, agent: str, **more: Any) -> dict[str, Any]:
    return {
        "@id": name,
        "@type": "AssessAction",
        "additionalType": {"@id": f"{_SHP}{kind}"},
        "name": told,
        "actionStatus": f"{_SCHEMA}{'Completed' if good else 'Failed'}ActionStatus",
        "agent": {"@id": agent},
        "object": {"@id": "./"},
        **more,
    }


def _researcher(record: Record) -> str:
    return f"mailto:{record.researcher}" if record.researcher else "#researcher"


def _table(record: Record) -> str:
    return f"#table-{record.manifest.dataset}" if record.manifest else "#table"
