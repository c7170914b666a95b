"""The hospital's books: privacy spent, decisions made, and the audit log."""

from __future__ import annotations

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from datasites.audit.checked import checked
from datasites.audit.verify import Finding
from datasites.catalog.registry import Registry
from datasites.datasite import Datasite
from datasites.ledger.view import COUNTED, Spend, TableBudget, gauge, named
from datasites.review.desk import Desk
from policies.errors import WardroundError

_MOST = 200
_OWN_COLUMNS = ("number", "at", "kind", "study", "salt")


def budget(desk: Desk, request: Request) -> Response:
    tables = [_table(desk.site, name) for name in Registry(desk.site.home.datasets).names()]
    return desk.page("budget.html", title="Privacy budget", tables=tables, counted=COUNTED)


def _table(site: Datasite, name: str) -> dict[str, object]:
    try:
        found = site.budget(name)
    except WardroundError as problem:  # a damaged policy of one table hides no other
        return {"name": name, "problem": str(problem)}
    history = found.history
    return {
        "name": name,
        "problem": "",
        "delta": found.limits.delta if found.limits else None,
        "spends": [_spend(one) for one in _everybody(found)] if found.limits else [],
        "charges": history.tail(_MOST)[::-1].to_dict("records"),
        "more": max(len(history) - _MOST, 0),
    }


def _everybody(found: TableBudget) -> tuple[Spend, ...]:
    return (found.total, *found.researchers, *found.studies)


def _spend(one: Spend) -> dict[str, object]:
    return {
        "who": named(one),
        "spend": one,
        "gauge": Markup(gauge(one)),  # noqa: S704 (numbers alone)
    }


def history(desk: Desk, request: Request) -> Response:
    made = sorted(
        (signed.decision for signed in desk.site.state.decisions()),
        key=lambda one: (one.decided_at, one.number),
        reverse=True,
    )
    names = {one.digest: one.manifest.name for one in desk.site.office.submissions()}
    return desk.page(
        "history.html", title="Decisions", decisions=made[:_MOST], names=names, more=max(len(made) - _MOST, 0)
    )


def audit(desk: Desk, request: Request) -> Response:
    return _audit(desk, [])


def check(desk: Desk, request: Request) -> Response:
    """A form, as it signs and keeps a head of the log."""
    site, settings = desk.site, desk.site.settings
    return _audit(desk, checked(site.identity, site.state.audit, settings.store, settings.store_options))


def _audit(desk: Desk, findings: list[Finding]) -> Response:
    log = desk.site.state.audit
    entries = [_entry(one) for one in log.entries(last=_MOST)[::-1]]
    return desk.page("audit.html", title="Audit log", entries=entries, size=log.size, findings=findings)


def _entry(entry: dict[str, object]) -> dict[str, object]:
    details = ", ".join(f"{name} {_short(value)}" for name, value in entry.items() if name not in _OWN_COLUMNS)
    study = _short(entry.get("study", ""))
    return {"number": entry["number"], "at": entry["at"], "kind": entry["kind"], "study": study, "details": details}


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) >= 64 else text  # digests
