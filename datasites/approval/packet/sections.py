"""The packet's sections, in the order in which a data owner needs them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from datasites.approval import private
from datasites.approval.packet.changes import Changes
from datasites.approval.packet.document import Block, Cell, Code, Diff, Facts, Paragraph, Place, Section, Table, Tone
from datasites.approval.packet.privacy import costs
from datasites.approval.packet.summary import duration, kept, summary, total_bytes
from datasites.approval.packet.visible import LINE
from datasites.wire.decision import Decision
from datasites.wire.manifest import Manifest
from datasites.wire.rehearsed import RehearsalReport
from policies.code import MEANING, Finding
from policies.policy import Policy
from policies.rules import RULES

if TYPE_CHECKING:
    from datasites.approval.packet.packet import Packet

_ROWS = 200  # of one table; a hostile study could fill a book
_ALIKE = 8  # violations of one rule that are told one by one


def sections(packet: Packet) -> list[Section]:
    m = packet.manifest
    if m.asked is None:
        work = Section("What the code reaches for", list(_findings(packet.findings)))
        text = [Section("Configuration", [Code("config", _configuration(m))]), Section("The code", list(_code(packet)))]
    else:
        heading = "What this hospital would train" if m.training else "What this hospital would count"
        work = Section(heading, [Facts(list(private.facts(m).items())), *_prepared(m)])
        text = []
    return [
        Section("In one paragraph", _summary(packet)),
        Section("What is asked", [_asked(packet)]),
        Section("What the policy says", list(_policy(packet))),
        Section("What it costs in privacy", list(costs(packet))),
        Section("What changed since the last approved version", list(_changes(packet.changes))),
        work,
        Section("Columns that would be read", [_columns(packet)]),
        Section("What may leave after each round", list(_outputs(packet))),
        Section("The rehearsal", list(_rehearsal(m.rehearsal))),
        Section("Decisions so far", [_history(packet.history)]),
        *text,
    ]


def _summary(packet: Packet) -> list[Block]:
    problems = [Paragraph(f"It cannot run here: {problem}", "bad") for problem in packet.problems]
    return [Paragraph(summary(packet)), *problems]


def _asked(packet: Packet) -> Facts:
    m = packet.manifest
    repeats = f"number {m.repetition:,} of study {m.first[:12]}" if m.repetition > 1 else "none: it is the first"
    return Facts(
        [
            ("Purpose, in the researcher's words", m.purpose),
            ("Who asks", m.researcher),
            ("Their keys' fingerprint", packet.fingerprint),
            ("Table", m.dataset),
            *_often(m),
            ("Repetition", repeats),
            ("Decision in force", packet.decision),
            ("Digest of all that would run", packet.digest),
            ("To compare with other hospitals", _comparable(packet.digest)),
        ]
    )


def _often(m: Manifest) -> list[tuple[str, str]]:
    most = f"at most {duration(m.seconds_per_round)}"
    if m.statistics is not None:
        return [("Rounds", f"none: it is answered once, in {most}"), ("Leaves, at most", f"{total_bytes(m):,} bytes")]
    together = f"{m.processes:,}, which speak with each other and with nothing else"
    return [
        ("Rounds", f"{m.rounds:,}, each of {most}"),
        *([("Processes that train together", together)] if m.processes > 1 else []),
        ("Leaves in a round, at most", f"{m.max_bytes:,} bytes"),
        ("Leaves in all, at most", f"{total_bytes(m):,} bytes: {m.rounds:,} rounds and one last test"),
    ]


def _comparable(digest: str) -> str:
    """Half of the digest: fewer characters could be made to agree by a researcher who writes both studies."""
    groups = " ".join(digest[at : at + 4] for at in range(0, 32, 4))
    return f"{groups}. Read it to them over the telephone: where it is the same, the same bytes were asked for."


def _policy(packet: Packet) -> Iterator[Block]:
    ruling = packet.ruling
    if ruling.policy is None:
        yield Paragraph(f"The policy cannot be used, so nothing is allowed: {ruling.damage}", "bad")
        return
    verdicts = ruling.policy.verdicts(ruling.request)
    name = f"The policy {ruling.policy.title!r} (digest {ruling.policy.digest[:12]})"
    broken = sum(bool(found) for found in verdicts.values())
    if broken:
        yield Paragraph(f"{name} does not allow this study: {broken} of {len(verdicts)} rules object.", "bad")
    else:
        yield Paragraph(f"{name} allows this study.", "good")
    rows: list[tuple[str, str, str]] = []
    tones: list[Tone] = []
    for rule, found in sorted(verdicts.items(), key=lambda item: not item[1]):  # what objects comes first
        rows += [(RULES[rule], one.reason, one.change) for one in found[:_ALIKE]]
        if len(found) > _ALIKE:
            rows.append((RULES[rule], f"and {len(found) - _ALIKE:,} more of this kind", ""))
        if not found:
            rows.append((RULES[rule], "allowed", ""))
        tones += ["bad" if found else "good"] * (len(rows) - len(tones))
    yield Table(("Rule", "Verdict", "What to change"), rows, tones)


def _changes(changes: Changes | None) -> Iterator[Block]:
    if changes is None:
        yield Paragraph("No study of this name, by this researcher and on this table, was approved here before.")
        return
    earlier = changes.earlier
    since = earlier.approved
    state = "" if earlier.now == since else f" It is {earlier.now.verdict} now."
    yield Paragraph(
        f"Compared with study {earlier.manifest.digest[:12]}, which {since.decided_by or 'a person'} approved on "
        f"{since.decided_at:%Y-%m-%d}.{state}"
    )
    if changes.repetition:
        yield Paragraph("Nothing changed but the repetition: to the last byte it is the same work.", "good")
    elif changes.nothing:
        yield Paragraph("Nothing changed but what the researcher reports of the rehearsal.", "good")
    if changes.asked:
        yield _table(("What is asked", "Before", "Now"), changes.asked)
    for path, lines in changes.diffs.items():
        yield Diff(path, lines)


def _findings(findings: Sequence[Finding]) -> Iterator[Block]:
    packages = dict.fromkeys(f.what.split(".")[0] for f in findings if f.kind == "import")
    yield Paragraph(f"Packages that it uses: {', '.join(islice(packages, _ROWS)) or 'none'}.")
    others = [f for f in findings if f.kind != "import"]
    if others:
        rows = [(Place(f.path, f.line), f.what, MEANING[f.kind]) for f in others]
        yield _table(("Where", "What stands there", "What that does"), rows, tone="bad")
    else:
        yield Paragraph(
            "The review found nothing that opens files, starts processes, uses a network, makes code while it runs, "
            "changes other code, or that a reader could not see.",
            "good",
        )
    yield Paragraph(
        "Found by reading the text, which can be fooled. What holds the code is the closed room it runs in.", "quiet"
    )


def _prepared(m: Manifest) -> Iterator[Block]:
    if m.training is not None:
        yield _table(("Column", "What the model is given of it"), private.prepared(m.training.preparation), most=2_000)


def _columns(packet: Packet) -> Block:
    known = packet.dictionary.columns if packet.dictionary else {}
    rows = []
    for name in packet.manifest.columns:
        column = known.get(name)
        if column is None:
            rows.append((name, "the table has no such column", "", "", ""))
        else:
            rows.append(
                (name, column.description, column.unit or "", column.allowed, column.sensitivity or "not stated")
            )
    return _table(("Column", "Meaning", "Unit", "Values", "Sensitivity"), rows, most=2_000)


def _outputs(packet: Packet) -> Iterator[Block]:
    m, policy = packet.manifest, packet.ruling.policy
    outputs = m.outputs
    arrays = [("part of the model", name, spec) for name, spec in outputs.parameters.items()]
    arrays += [(_of_test(m, policy, name), name, spec) for name, spec in outputs.evaluate_arrays.items()]
    yield Facts(
        [
            ("Metrics of training", ", ".join(outputs.fit_metrics) or "none"),
            ("Metrics of the test", ", ".join(outputs.evaluate_metrics) or "none"),
            ("Also", _counted(m, policy)),
            *_compressed(m),
        ]
    )
    rows = [(what, name, _shape(spec.shape), spec.dtype, f"{spec.nbytes:,}") for what, name, spec in arrays]
    yield _table(("Array", "Name", "Shape", "Type", "Bytes"), rows)
    yield Paragraph("Whatever differs from this in name, shape or type stays here.", "quiet")
    if terms := m.secure_aggregation:
        yield Paragraph(
            "All of it is added up with what these hospitals send, and leaves masked. Compare the fingerprints with "
            "those hospitals over the telephone: a hospital that is made up, or the researcher's own, hides nothing."
        )
        yield _table(("In the sum with", "Fingerprint of its keys"), sorted(terms.hospitals.items()))
        if terms.tables:
            yield Paragraph(
                f"A small count that this hospital's policy withholds adds nothing to the sum of "
                f"{', '.join(terms.tables)}. How many hospitals withheld it can be read there, and not which."
            )
    if network := m.gossip:
        them = network.neighbours(packet.hospital)
        yield Paragraph(
            "This hospital's model after each round goes to these hospitals too, each of which reads it by itself. It "
            "waits for theirs for at most "
            f"{duration(math.ceil(network.deadline))} a round. Compare the fingerprints with those hospitals over the "
            "telephone: one that is made up, or the researcher's own, reads what no other hospital should."
        )
        pinned = [(one, network.hospitals[one]) for one in them]
        yield _table(("Is sent this hospital's model", "Fingerprint of its keys"), pinned)
        others = sorted(network.hospitals.keys() - {*them, packet.hospital})
        if others:
            yield Paragraph(f"In a mix with others it reaches, by way of those: {', '.join(islice(others, _ROWS))}.")
        often = f"every {network.report_every:,} rounds and " if network.report_every else ""
        yield Paragraph(f"The researcher is sent what this hospital's model has become, {often}after the last round.")
    for told in kept(m):
        yield Paragraph(told)
    if outputs.kept:
        stay = [(name, _shape(spec.shape), spec.dtype, f"{spec.nbytes:,}") for name, spec in outputs.kept.items()]
        yield _table(("Kept here", "Shape", "Type", "Bytes"), stay)


def _compressed(m: Manifest) -> list[tuple[str, str]]:
    if not (pipeline := m.outputs.pipeline):
        return []
    most = f"at most {m.outputs.parameter_bytes:,} bytes"
    return [("The model is compressed", f"{pipeline.words}; {most}. This hospital's own program does it, last of all.")]


def _of_test(m: Manifest, policy: Policy | None, name: str) -> str:
    if m.statistics:
        return "counts and sums"
    if policy and name in policy.release.tables:
        return f"counts, without those below {policy.release.least_cell:,}"
    if m.secure_aggregation and name in m.secure_aggregation.sums:
        return "sums over patients, by the code"
    return "numbers of the test"


def _counted(m: Manifest, policy: Policy | None) -> str:
    if m.asked or (policy and (policy.release.gate_noise is not None or policy.release.hide_counts)):
        return "nothing"
    return "how many rows trained and tested the model"


def _rehearsal(report: RehearsalReport | None) -> Iterator[Block]:
    if report is None:
        yield Paragraph("The researcher reports no rehearsal.")
        return
    yield Paragraph(
        f"What the researcher reports, on invented rows: nothing here was measured from patients. Confined by: "
        f"{report.sandbox}."
    )
    rows = [
        (
            twin.hospital,
            f"{twin.fit_seconds:,.2f} s on {twin.train_examples:,} rows",
            f"{twin.evaluate_seconds:,.2f} s on {twin.test_examples:,} rows",
            ", ".join(f"{n} {v:.4g}" for n, v in (*twin.fit_metrics.items(), *twin.evaluate_metrics.items())) or "none",
        )
        for twin in report.twins
    ]
    yield _table(("Mock twin of", "Training", "Test", "Metrics"), rows)


def _history(history: Sequence[Decision]) -> Block:
    if not history:
        return Paragraph("None: the study waits for one.")
    rows = [
        (
            f"{d.decided_at:%Y-%m-%d %H:%M}",
            d.verdict,
            d.decided_by,
            f"{d.rounds:,} rounds until {d.expires_at:%Y-%m-%d %H:%M}" if d.expires_at else "",
            d.reason,
        )
        for d in history
    ]
    return _table(("When (UTC)", "Decision", "By", "Limits", "Reason"), rows[-_ROWS:])


def _configuration(m: Manifest) -> str:
    """As JSON, in lines that are shown whole."""
    lines = json.dumps(m.config, indent=1, sort_keys=True).split("\n")
    return "\n".join(line[at : at + LINE] for line in lines for at in range(0, len(line), LINE))


def _code(packet: Packet) -> Iterator[Block]:
    notes: dict[str, dict[int, list[str]]] = {}
    for finding in packet.findings:
        if finding.kind != "import":
            at = notes.setdefault(finding.path, {}).setdefault(finding.line, [])
            at.append(f"{finding.what}: {MEANING[finding.kind]}")
    for path, text in packet.code().items():
        yield Code(path, text, notes.get(path, {}))


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(f"{length:,}" for length in shape) or "one number"


def _table(head: Sequence[str], rows: Iterable[Sequence[Cell]], most: int = _ROWS, tone: Tone = "plain") -> Table:
    listed = list(rows)
    return Table(head, listed[:most], [tone] * len(listed[:most]), max(len(listed) - most, 0))
