"""The agent's log lines: for people, or as JSON for programs (one object a line). Neither tells what an exception says.

An exception's text may quote a cell (pandas: "could not convert string to float: '...'"), and so may the source line or
the notes in a traceback. So of an exception only its type and the places in the code are written, wherever it is met:
in a log record, at the end of a thread, or of the process.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal

from policies.errors import InvalidInput

log = logging.getLogger(__name__)
Format = Literal["text", "json"]
_PLACES = 30  # the innermost
_Met = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


def named(form: str) -> Format:
    """Raises InvalidInput."""
    if form not in ("text", "json"):
        raise InvalidInput(f"There is no log format {form!r}.", "Give text or json.")
    return form  # type: ignore[return-value]


def configure(form: Format, level: int) -> None:
    """For a process' start: how it logs from now on. `level`: of our own lines; others' are warnings and above."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("datasites").setLevel(level)
    sys.excepthook = _ended
    threading.excepthook = lambda ended: _ended(ended.exc_type, ended.exc_value, ended.exc_traceback)
    sys.unraisablehook = lambda met: _ended(met.exc_type, met.exc_value, met.exc_traceback)


class Lines(logging.Formatter):
    """For people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatException(self, ei: object) -> str:  # noqa: N802
        return "\n".join((f"  Traceback of {_name(ei)}, without its text:", *(f"    {place}" for place in places(ei))))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return ""  # it quotes source


class JsonLines(logging.Formatter):
    """`event`: the message before values were put into it, by which lines of one kind are found."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "event": str(record.msg),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line |= {"exception": _name(record.exc_info), "places": places(record.exc_info)}
        return json.dumps(line)  # ASCII: no text can begin a line of its own, or hide in one


def places(met: object) -> list[str]:
    """Where the exception came from, outermost first; and below a line of its own, what it came from."""
    error = met[1] if isinstance(met, tuple) else None
    found: list[str] = []
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        seen.add(id(error))
        frames = traceback.extract_tb(error.__traceback__)[-_PLACES:]
        found += [f"{_short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if error is not None:
            found.append(f"from {type(error).__module__}.{type(error).__qualname__}")
    return found


def _name(met: object) -> str:
    kind = met[0] if isinstance(met, tuple) else None
    return f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else "exception"


def _short(path: str) -> str:
    return "/".join(Path(path).parts[-3:])


def _ended(kind: type[BaseException], error: BaseException | None, where: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    log.critical("an unexpected error ended a part of the agent", exc_info=(kind, error, where))  # type: ignore[arg-type]
