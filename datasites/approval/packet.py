"""What a data owner looks at before deciding: plain words, facts, and the code that would run."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass

from datasites.approval import private
from datasites.approval.submissions import Submission
from datasites.wire.manifest import Manifest


@dataclass(frozen=True)
class Packet:
    """`problems` are reasons why the study could not run here; the digest is that of the bytes that would run."""

    submission: Submission
    decision: str
    problems: list[str]
    delta: float = 1e-6  # of the table's policy, for the cost of a study of the private tier

    @property
    def manifest(self) -> Manifest:
        return self.submission.manifest

    @property
    def digest(self) -> str:
        return self.submission.digest

    @property
    def summary(self) -> str:
        """One paragraph, built from the manifest alone."""
        m = self.manifest
        if m.training is not None:
            return private.summary(m, m.training, self.delta)
        return (
            f"{m.researcher} asks to train a model on {len(m.columns)} columns of the table {m.dataset!r}, "
            f"for: {m.purpose}. The code below would run on this hospital's own machine, up to {m.rounds} times. Each "
            f"time at most {m.outputs.max_bytes:,} bytes of numbers would leave: the trained model and the metrics "
            f"listed. There is no differential-privacy guarantee: a model can remember patients, so approve only code "
            f"that you, or a reviewer you trust, have read."
        )

    @property
    def facts(self) -> dict[str, str]:
        m, outputs = self.manifest, self.manifest.outputs
        arrays = len(outputs.parameters) + len(outputs.evaluate_arrays)
        return {
            "researcher": m.researcher,
            "purpose": m.purpose,
            "table and columns": f"{m.dataset}: {', '.join(m.columns)}",
            "rounds": f"{m.rounds}, each at most {m.seconds_per_round:,} s",
            "leaves per round": f"{arrays} arrays, at most {outputs.max_bytes:,} bytes",
            "metrics": ", ".join((*outputs.fit_metrics, *outputs.evaluate_metrics, *outputs.evaluate_arrays)),
            "configuration": json.dumps(m.config, sort_keys=True),
            **(private.facts(m, m.training) if m.training else {}),
            "files": ", ".join(f"{path} ({spec.size:,} bytes)" for path, spec in m.files.items()),
            "decision": self.decision,
            "digest": f"{self.digest} (compare it with the other hospitals)",
        }

    def code(self) -> dict[str, str]:
        """The text of every file that would run."""
        return {path: data.decode() for path, data in sorted(self.submission.files.items())}

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left;vertical-align:top'>{html.escape(what)}</th>"
            f"<td style='text-align:left;white-space:normal'>{html.escape(value)}</td></tr>"
            for what, value in self.facts.items()
        )
        warnings = "".join(f"<p><b>It cannot run here:</b> {html.escape(p)}</p>" for p in self.problems)
        files = "".join(
            f"<details><summary><code>{html.escape(path)}</code></summary><pre>{html.escape(text)}</pre></details>"
            for path, text in self.code().items()
        )
        title = f"<h4>{html.escape(self.manifest.job_name)}</h4><p>{html.escape(self.summary)}</p>"
        return f"{title}{warnings}<table>{rows}</table>{files}"
