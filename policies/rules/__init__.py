"""One rule a file; each returns every violation it finds. All of them must be content."""

from policies.rules import (
    calls,
    cohort,
    columns,
    imports,
    kept,
    neighbours,
    outputs,
    privacy,
    processes,
    protections,
    purposes,
    researchers,
    rounds,
    runtime,
    sharing,
    size,
    tiers,
)
from policies.rules.base import Rule, Violation

ON_REQUEST: tuple[Rule, ...] = tuple(
    module.check
    for module in (
        researchers,
        purposes,
        columns,
        cohort,
        tiers,
        rounds,
        runtime,
        processes,
        size,
        kept,
        outputs,
        protections,
        neighbours,
        privacy,
        sharing,
    )
)
ON_CODE = (imports.judge, calls.judge)

# every rule's name, and what it looks at
RULES: dict[str, str] = {
    "researchers": "who asks",
    "purposes": "what for",
    "columns": "the columns, and whether rows of one patient may be told",
    "cohort": "how many patients the table has",
    "tiers": "who trains: the hospital's own program, or study code",
    "rounds": "how often it runs",
    "runtime": "how long a round takes",
    "processes": "how many processes of its code train together",
    "size": "how many bytes leave in a round, and the configuration's length",
    "kept": "what it keeps at the hospital between rounds",
    "outputs": "which metrics and tables of counts leave",
    "protections": "secure aggregation and noise, where demanded",
    "neighbours": "which other hospitals read this one's model by itself",
    "privacy": "what all of it costs in privacy, where there is noise",
    "sharing": "whether its noise rests on other hospitals",
    "imports": "the packages that the code uses",
    "calls": "what else the code does",
}

__all__ = ["ON_CODE", "ON_REQUEST", "RULES", "Violation"]
