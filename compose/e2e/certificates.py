"""Whether the store lets in who has a certificate and nobody else, and each participant into its own boxes alone.

Tried from inside a hospital's container, with its own certificate, with one that is revoked then, and with none.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

from compose.__main__ import revoke
from compose.containers import container, inside
from compose.images import engine
from compose.provision import HOSPITALS, LOCAL, RESEARCHER_EMAIL, email
from datasites.onboarding.authority import Authority, plain

_FORMER = "former-employee@childrens-clinic.example.org"
_FROM, _OTHER, _THIRD = HOSPITALS
_TO_OTHERS = (
    *(f"{kind}/{email(_OTHER)}/probe" for kind in ("own", "coll", "parts/coll")),
    f"p2p/{email(_OTHER)}/inbox/{RESEARCHER_EMAIL}/probe",
    f"p2p/{email(_OTHER)}/outbox/{RESEARCHER_EMAIL}/probe",
    f"rounds/probe/up/000001/{email(_OTHER)}",
    f"rounds/probe/down/{email(_OTHER)}/000001",
    f"gossip/probe/{email(_OTHER)}/{email(_THIRD)}/000001",
)
_USE = """
import json, os, sys
from pathlib import Path
from obstore.exceptions import NotFoundError
from datasites.settings import DatasiteSettings
from datasites.wire import certified
from datasites.wire.store_options import resolved
from policies.errors import NotAllowed
settings = DatasiteSettings.load(Path(os.environ["WARDROUND_HOME"]))
client = certified.Client(settings.store, resolved(settings.store_options))
def allowed(act, *arguments):
    try:
        act(client, *arguments)
    except NotAllowed:
        return False
    except NotFoundError:
        pass
    return True
print(json.dumps({
    name: [
        allowed(certified.put, name, b"probe"),
        allowed(certified.head, name),
        allowed(lambda *asked: list(certified.list(*asked)), name.rpartition("/")[0] + "/"),
        allowed(certified.delete, name),
    ]
    for name in sys.argv[1:]
}))
"""
# Whoever the front lets in goes on to rclone, which asks for a signature and says so.
_ASK = """
import http.client, ssl, sys, tempfile
context = ssl.create_default_context(cafile="/var/lib/wardround/tls/ca.pem")
pair = sys.stdin.read()
if pair:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(pair)
        file.flush()
        context.load_cert_chain(file.name)
asked = http.client.HTTPSConnection("store", 9443, timeout=30, context=context)
asked.request("GET", "/federation")
print("refused" if "CertificateRefused" in asked.getresponse().read().decode() else "let in")
"""


def findings() -> Iterator[tuple[str, str, bool]]:
    """(what was tried, what came of it, whether it is as it should be), one after the other."""
    own, public = (f"participants/{email(who)}/probe" for who in (_FROM, _OTHER))
    tried = json.loads(inside(_FROM, "python3", "-I", "-c", _USE, own, public, *_TO_OTHERS))
    yield f"{_FROM} writes, reads, lists and deletes its own", json.dumps(tried[own]), all(tried.pop(own))
    shown = tried.pop(public)
    yield f"{_FROM} reads and lists what is public of another", json.dumps(shown), shown == [False, True, True, False]
    let = [name for name, done in tried.items() if any(done)]
    good = not let and len(tried) == len(_TO_OTHERS)
    yield f"{_FROM} writes, reads, lists or deletes another's", ", ".join(let) or f"none of {len(tried)}", good
    without = _asked("")
    yield "the store without a certificate", without, without == "refused"
    authority = Authority.open(LOCAL / "consortium/ca", (LOCAL / "authority.passphrase").read_bytes())
    certificate, key = authority.issue(_FORMER, "hospital")
    pair = (certificate + plain(key)).decode()
    before = _asked(pair)
    revoke(_FORMER)
    after = _asked(pair)
    yield (
        "a certificate, before and after it is revoked",
        f"{before}, {after}",
        (before, after) == ("let in", "refused"),
    )
    with_own = json.loads(inside(_FROM, "python3", "-I", "-c", _USE, own))[own]
    yield f"{_FROM} after another's was revoked", json.dumps(with_own), with_own == [True] * 4


def _asked(pair: str) -> str:
    """pair: certificate and key (PEM) to show; none where empty."""
    command = [engine(), "exec", "-i", container(_FROM), "python3", "-I", "-c", _ASK]
    said = subprocess.run(command, input=pair, capture_output=True, text=True)
    return (said.stdout.strip() or said.stderr.strip() or "nothing").splitlines()[-1]
