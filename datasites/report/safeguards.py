"""Provisions of HIPAA's Security Rule and of the GDPR, each with what Wardround does for it, where to see that it did,
and what only people can do. A map for those who judge; it never says that a provision is complied with.

docs/compliance.md prints the same table; a test holds the two to each other.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Provision:
    """where: the provision. does: what Wardround contributes, or that it does nothing. see: the evidence."""

    where: str
    about: str
    does: str
    see: str
    people: str


NOTHING = "Nothing."
_AUDIT, _REPORT, _POLICY = "wardround audit show", "wardround report STUDY", "wardround policy explain"

HIPAA = (
    Provision("164.308(a)(1)(ii)(A)", "Risk analysis", "The facts for one: columns, outputs, privacy spent.", _REPORT,
              "Do the analysis, for the whole organisation, and keep it up to date."),
    Provision("164.308(a)(1)(ii)(D)", "Review of system activity", "A log of every message, decision, run and release.",
              _AUDIT, "Look at it regularly, and keep a note that you did."),
    Provision("164.308(a)(2)", "Assigned security responsibility", NOTHING, "statements.toml: security_official",
              "Name the security official."),
    Provision("164.308(a)(3)", "Workforce security", NOTHING, "the machine's own accounts",
              "Authorise, supervise and remove who may use the account that runs Wardround."),
    Provision("164.308(a)(4)", "Access to information", "Nothing runs without a signed, limited, revocable approval "
              "that the table's policy allows.", "decisions in the report; " + _POLICY,
              "Decide; write the policy; say who may decide."),
    Provision("164.308(a)(5)", "Awareness and training", "A packet in plain words before each decision.",
              "wardround review", "Train the people who decide and who run the machine."),
    Provision("164.308(a)(6)", "Security incidents", "Refuses, quarantines and logs what is wrong; revoke stops a run; "
              "a changed record is told at the top of its report.", "wardround datasite status; held; " + _AUDIT,
              "Notice, respond, and report to those who must be told."),
    Provision("164.308(a)(7)", "Contingency plan", "State survives a crash; an older copy put back is refused.",
              "docs/compliance.md", "Back up the datasite's home and the table; test that you can restore them."),
    Provision("164.308(a)(8)", "Evaluation", "A report of each study that others can check.", _REPORT,
              "Evaluate, at intervals and after changes."),
    Provision("164.308(b)", "Business associates", NOTHING, "statements.toml: recipients",
              "Agree with researchers, other hospitals and whoever runs the store, where the rule asks for it."),
    Provision("164.310(a)-(c)", "Facilities, workstation use and security", NOTHING, "none",
              "Lock the rooms and the machines."),
    Provision("164.310(d)", "Devices and media", "What a study kept between rounds is removed when it ends.",
              "the datasite's home", "Erase and dispose of disks; the table and its copies are yours."),
    Provision("164.312(a)(2)(i)", "Unique user identification", "Each researcher and hospital has keys of its own, "
              "pinned by fingerprint. Of the hospital's people it knows only the account's name.", "decisions",
              "Give each person an account of their own."),
    Provision("164.312(a)(2)(ii)", "Emergency access", NOTHING, "none",
              "The table stays in the hospital's own systems; access in an emergency is theirs."),
    Provision("164.312(a)(2)(iii)", "Automatic logoff", "The review page opens for one browser and ends with its "
              "command; it has no time limit.", "wardround review", "Lock the screen."),
    Provision("164.312(a)(2)(iv)", "Encryption and decryption", "Files are readable by their owner alone (0600); they "
              "are not encrypted on the disk.", "the datasite's home", "Encrypt the disk."),
    Provision("164.312(b)", "Audit controls", "An append-only Merkle log; other hospitals hold its signed heads.",
              "wardround audit export; wardround audit verify", "Keep exports elsewhere; compare them with others."),
    Provision("164.312(c)", "Integrity", "Code, decisions, ledger and log are signed or digested, and checked. The "
              "table's own bytes are not.", _REPORT, "Guard the table where it lies."),
    Provision("164.312(d)", "Person or entity authentication", "Every message is signed by keys whose fingerprint a "
              "person compared.", "wardround datasite trust", "Compare fingerprints by telephone or on paper."),
    Provision("164.312(e)", "Transmission security", "Messages are signed and encrypted end to end; the store reads "
              "none. The hospital opens no port.", "docs/limits.md", "Guard the network; use TLS to the store."),
    Provision("164.316(b)(2)", "Retention of documentation", "Nothing of the log or the ledger is ever deleted by it.",
              "wardround audit export", "Keep records for as long as the rule says (six years)."),
)  # fmt: skip

GDPR = (
    Provision("5(1)(a)", "Lawfulness, fairness, transparency", "Purpose and approvals on record; no legal ground.",
              _REPORT, "Have a legal basis (6, 9) and tell patients (13, 14)."),
    Provision("5(1)(b)", "Purpose limitation", "The purpose is signed with the code; other code is another study. A "
              "policy can list purposes. Nothing reads what a purpose means.", _POLICY, "Judge the purpose."),
    Provision("5(1)(c)", "Data minimisation", "Code sees only the columns it named, and none that names a patient; its "
              "outputs have a fixed shape.", "columns in the report", "Judge whether fewer columns would do."),
    Provision("5(1)(d)", "Accuracy", "The table is checked against its dictionary when published and read.",
              "wardround datasite publish", "Keep the table right."),
    Provision("5(1)(e)", "Storage limitation", "Approvals expire; what a study kept is removed when it ends. The log "
              "and the ledger stay.", "decisions in the report", "Say how long; erase the rest."),
    Provision("5(1)(f)", "Integrity and confidentiality", "See 32.", "see 32", "See 32."),
    Provision("5(2)", "Accountability", "A record that others can check, and that says when it does not hold.", _REPORT,
              "Be able to show the rest."),
    Provision("25(1)", "Protection by design", "Data stays; code runs confined, without a network; private studies "
              "spend a budget that is composed over all studies of a table.", "wardround budget show",
              "Choose policy, budget and tier."),
    Provision("25(2)", "Protection by default", "Nothing runs until approved; without a policy of its own a table has "
              "the standard one; unknown means refused.", _POLICY, "Do not widen policies without need."),
    Provision("30(1)(a)", "Controller, representative, officer", NOTHING, "statements.toml: controller", "Name them."),
    Provision("30(1)(b)", "Purposes", "As researchers signed them.", "wardround report", "Judge them."),
    Provision("30(1)(c)", "Categories of persons and data", "Columns, with their meaning and sensitivity as the "
              "dictionary says.", "wardround report", "Say whose data it is."),
    Provision("30(1)(d)", "Recipients", "Who asked, and what left for them.", "wardround report",
              "Name their institution, and others who get results."),
    Provision("30(1)(e)", "Third countries", NOTHING, "statements.toml: third_countries",
              "Say where results and the store are, and the safeguards."),
    Provision("30(1)(f)", "Time limits for erasure", "When approvals end.", "decisions in the report",
              "Say when data is erased."),
    Provision("30(1)(g)", "Security measures", "This table.", "docs/compliance.md", "Add the organisation's own."),
    Provision("32(1)(a)", "Pseudonymisation and encryption", "Pseudonyms by a key of the hospital's own; end-to-end "
              "encryption. Nothing is encrypted on the disk.", "docs/limits.md", "Encrypt the disk."),
    Provision("32(1)(b)", "Confidentiality, integrity, availability, resilience", "Sandbox, release gate, signatures; "
              "a crash loses nothing.", "docs/limits.md", "Run, watch and patch the machine."),
    Provision("32(1)(c)", "Restoring access", "Refuses an older copy of its state.", "docs/compliance.md", "Back up."),
    Provision("32(1)(d)", "Regular testing", "Attacks are part of its tests.", "tests/attacks/README.md",
              "Test your own installation."),
    Provision("35(1)", "Impact assessment", "A form with the facts filled in.", "assessment.html of a report",
              "Decide whether one is needed, and do it before the study runs."),
    Provision("35(7)(a)", "Description of the processing", "What, by whom, on which columns, how often.",
              "assessment.html", "Add interests pursued, systems and context."),
    Provision("35(7)(b)", "Necessity and proportionality", NOTHING, "statements.toml: necessity", "Argue it."),
    Provision("35(7)(c)", "Risks to rights and freedoms", "What can leave at most, privacy spent, and what is not "
              "guaranteed.", "assessment.html", "Judge how likely and how grave."),
    Provision("35(7)(d)", "Measures", "Those in force for the study.", "assessment.html",
              "Add the organisation's own."),
)  # fmt: skip
