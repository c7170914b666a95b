"""`make docs`: the documentation as a static site in site/, with every warning an error.

python -m docs.build [FOLDER]
"""

from __future__ import annotations

import json
import re
import sys
import time
from io import StringIO
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.console import nocolor

from docs.generate import write

SOURCE = Path(__file__).parent
SITE = SOURCE.parent / "site"
_TAGS = r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"'](?:https?:)?//"
_LINKS = r"<link\b(?=[^>]*rel=[\"'](?:stylesheet|icon|preload|preconnect))[^>]*href=[\"'](?:https?:)?//"
_NETWORK = re.compile(rf"{_TAGS}|{_LINKS}|url\([\"']?(?:https?:)?//")


def main(site: Path = SITE) -> int:
    """The exit status: 0 where nothing is to be complained of."""
    begun, warnings = time.monotonic(), StringIO()
    nocolor()
    written = write()
    doctrees = site.parent / "build" / "doctrees"
    app = Sphinx(SOURCE, SOURCE, site, doctrees, "html", status=None, warning=warnings, freshenv=True)
    app.build()
    found = [line for line in warnings.getvalue().splitlines() if re.search(r"WARNING|ERROR|CRITICAL", line)]
    fetched = [page.name for page in sorted(site.rglob("*.html")) if _NETWORK.search(page.read_text())]
    fetched += [sheet.name for sheet in sorted(site.rglob("*.css")) if _NETWORK.search(sheet.read_text())]
    for line in found:
        print(line)
    for page in fetched:
        print(f"{page} loads something from the network")
    result = {
        "pages": len(app.env.found_docs),
        "generated": len(written),
        "warnings": len(found),
        "from_the_network": len(fetched),
        "seconds": round(time.monotonic() - begun, 1),
    }
    for what, value in result.items():
        print(f"{what.replace('_', ' '):<18}{value:>8}")
    print(f"Open {site / 'index.html'}")
    print(f"RESULT {json.dumps(result)}")
    return 1 if found or fetched else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:2])))
