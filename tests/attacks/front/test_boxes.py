"""Each participant against the others' boxes, at the store's front as it is really run.

Each attack is tried at a second front as well, which has no rules and lets everybody with a certificate do everything:
there it succeeds.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from datasites.onboarding.front import BUCKET
from datasites.uninstall import own_objects
from datasites.wire import keys
from datasites.wire.parts import folder
from datasites.wire.store import Store
from policies.errors import NotAllowed
from tests.attacks.front.asking import context, lies, put, raw, signed, store
from tests.support.bucket import by_statements, policies
from tests.support.front import PASSPHRASE, Front, serve_front

NORTH, SOUTH, ADA, EVE = "do@north.org", "do@south.org", "ada@uni.org", "eve@uni.org"
HOSPITALS, RESEARCHERS = (NORTH, SOUTH), (ADA, EVE)
ALL = {*HOSPITALS, *RESEARCHERS}
STUDY = "a" * 64
PIECE = f"{'d' * 64}/000000"  # of a large object


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with serve_front(tmp_path_factory.mktemp("front")) as served:
        yield joined(served)


@pytest.fixture(scope="module")
def lawless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A front that asks for certificates, and for nothing else."""
    with serve_front(tmp_path_factory.mktemp("lawless"), rules=False) as served:
        yield joined(served)


def joined(front: Front) -> Front:
    for who in ALL:
        front.made[who] = front.certificate(who, "hospital" if who in HOSPITALS else "researcher")
    return front


# name: who may write and delete it, and who else may read it
OBJECTS = {
    f"participants/{NORTH}/heads/12.json": ({NORTH}, ALL),
    f"participants/{ADA}/bundle.json": ({ADA}, ALL),
    f"own/{NORTH}/events/1": ({NORTH}, set()),
    f"own/{ADA}/events/1": ({ADA}, set()),
    f"coll/{NORTH}/twin/data/mock.csv": ({NORTH}, {ADA, EVE}),
    f"p2p/{NORTH}/inbox/{ADA}/1": ({ADA, NORTH}, set()),
    f"p2p/{NORTH}/inbox/{ADA}/.peer": ({ADA, NORTH}, set()),
    f"p2p/{NORTH}/outbox/{ADA}/1": ({NORTH}, {ADA}),
    f"p2p/{NORTH}/outbox/{ADA}/.peer": ({ADA, NORTH}, set()),
    f"p2p/{ADA}/inbox/{NORTH}/.peer": ({NORTH}, {ADA}),
    keys.round_down(STUDY, NORTH, 1): ({ADA, EVE}, {NORTH}),
    keys.round_up(STUDY, 1, NORTH): ({NORTH}, {ADA, EVE}),
    keys.round_up(STUDY, 1, ADA): ({ADA}, {EVE}),  # a regional aggregator's
    keys.gossip_model(STUDY, NORTH, SOUTH, 1): ({NORTH}, {SOUTH}),
    keys.gossip_presence(STUDY, NORTH, SOUTH): ({NORTH}, {SOUTH}),
    f"elsewhere/{NORTH}/x": (set(), set()),
    f"own/{NORTH}.evil/x": (set(), set()),
    f"own/x{NORTH}/x": (set(), set()),
    f"parts/parts/own/{NORTH}/x": (set(), set()),
    f"p2p/{NORTH}/inbox/{ADA}/inbox/{EVE}/2": (set(), set()),
    f"rounds/{STUDY}/up/000002/{NORTH}/up/x/{SOUTH}": (set(), set()),
    f"gossip/{STUDY}/{NORTH}/x/{SOUTH}/1": (set(), set()),
}
OBJECTS |= {f"{folder(name)}/{PIECE}": who for name, who in OBJECTS.items() if not name.endswith(".peer")}
# folder: who may list all beneath it
LISTS = {
    "participants": ALL,
    f"participants/{NORTH}/heads": ALL,
    f"own/{NORTH}": {NORTH},
    f"own/{NORTH}/events": {NORTH},
    "own": set(),
    f"coll/{NORTH}/twin": {NORTH, ADA, EVE},
    "coll": {ADA, EVE},
    f"p2p/{NORTH}/inbox": {NORTH},
    f"p2p/{NORTH}/inbox/{ADA}": {NORTH, ADA},
    f"p2p/{NORTH}/outbox/{ADA}": {NORTH, ADA},
    f"p2p/{ADA}/inbox": {ADA},
    f"p2p/{NORTH}": set(),
    "p2p": set(),
    keys.rounds_down(STUDY, NORTH): {NORTH, ADA, EVE},
    keys.rounds_up(STUDY, 1): {ADA, EVE},
    keys.all_rounds_up(STUDY): {ADA, EVE},
    f"rounds/{STUDY}": set(),
    "rounds": set(),
    keys.gossip(STUDY, NORTH, SOUTH): {NORTH, SOUTH},
    keys.all_gossip(STUDY, NORTH): {NORTH},
    f"gossip/{STUDY}": set(),
    folder(f"own/{NORTH}"): {NORTH},
    folder(keys.round_down(STUDY, NORTH, 1)): {NORTH, ADA, EVE},
    folder(keys.round_up(STUDY, 1, NORTH)): {NORTH, ADA, EVE},
    folder(keys.all_gossip(STUDY, NORTH)): {NORTH},
    folder("rounds"): set(),
    "parts": set(),
}
# folder: who may list the folders in it
FOLDERS = {**LISTS, keys.all_rounds_up(STUDY): ALL}


def expected() -> dict[tuple[str, str, str], bool]:
    """(who, what, name): whether it is allowed."""
    told = {}
    for who in ALL:
        for name, (writers, readers) in OBJECTS.items():
            told |= {(who, what, name): who in writers for what in ("put", "delete")}
            told |= {(who, what, name): who in writers | readers for what in ("get", "exists")}
        told |= {(who, "list", f"{name}/"): who in may for name, may in LISTS.items()}
        told |= {(who, "folders", f"{name}/"): who in may for name, may in FOLDERS.items()}
    return told


def done(front: Front) -> dict[tuple[str, str, str], bool]:
    """The same, as it went when each was tried."""
    stores = {who: store(front, who) for who in ALL}
    found = {}
    for who, what, name in expected():
        path = lies(front, name) if what in ("list", "folders") else put(front, name, b"theirs")
        found[who, what, name] = allowed = _tried(stores[who], what, name)
        if what == "put":
            assert path.read_bytes() == (b"mine" if allowed else b"theirs")
        if what == "delete":
            assert path.exists() != allowed
    return found


def _tried(held: Store, what: str, name: str) -> bool:
    """Whether it could be done."""
    try:
        match what:
            case "get":
                assert held.get(name) == b"theirs"
            case "exists":
                assert held.exists(name)
            case "put":
                held.put(name, b"mine")
            case "delete":
                held.delete(name)
            case "list":
                held.names(name.rstrip("/"))
            case "folders":
                held.folders(name.rstrip("/"))
    except NotAllowed:
        return False
    return True


def test_each_uses_its_own_boxes_and_nobody_elses(front: Front) -> None:
    wrong = expected().items() ^ done(front).items()
    assert sorted(wrong) == []


def test_without_rules_everybody_does_all_of_it(lawless: Front) -> None:
    assert set(done(lawless).values()) == {True}


@pytest.mark.parametrize("kind", ["aws", "ceph"])
def test_a_buckets_policy_says_the_same_as_the_front(kind: str) -> None:
    allowed = by_statements(kind, policies(kind, BUCKET, HOSPITALS, RESEARCHERS))
    assert [asked for asked, may in expected().items() if allowed(*asked) != may] == []


def test_whoever_joins_later_needs_no_new_rule(front: Front) -> None:
    front.made["do@west.org"] = front.certificate("do@west.org")  # nothing is told to the front, which runs on
    held = store(front, "do@west.org")
    for name in ("own/do@west.org/x", keys.round_up(STUDY, 1, "do@west.org"), f"p2p/{ADA}/inbox/do@west.org/.peer"):
        held.put(name, b"x")
    assert held.names("own/do@west.org") == ["own/do@west.org/x"]
    assert store(front, ADA).get(keys.round_up(STUDY, 1, "do@west.org")) == b"x"
    for act in (held.names, held.folders, held.get):
        with pytest.raises(NotAllowed):
            act(f"own/{NORTH}/events")


def test_a_hospital_that_leaves_or_comes_back_from_a_backup_finds_its_own(front: Front) -> None:
    """What `uninstall` and `restore` look for: nothing that is listed for it is another's."""
    study, own = "b" * 64, store(front, NORTH)
    mine = [
        f"own/{NORTH}/x",
        f"p2p/{NORTH}/inbox/{ADA}/m",
        keys.round_up(study, 3, NORTH),
        keys.round_down(study, NORTH, 4),
    ]
    mine += [keys.gossip_model(study, NORTH, SOUTH, 1), f"{folder(keys.round_up(study, 3, NORTH))}/{PIECE}"]
    for name in (*mine, f"own/{SOUTH}/x", keys.round_up(study, 3, SOUTH), keys.round_down(study, SOUTH, 4)):
        put(front, name, b"x")
    assert own.folders(keys.all_rounds_up(study)) == ["000003"]
    found = own_objects(own, NORTH, [study])
    assert set(mine) <= set(found)
    assert not [name for name in found if f"/{NORTH}" not in name]


def test_a_message_of_many_parts_goes_through_and_is_nobody_elses(front: Front) -> None:
    name, message = keys.round_down(STUDY, SOUTH, 7), bytes(range(256)) * 20_000
    store(front, ADA).put(name, message)
    assert store(front, SOUTH).get(name) == message
    (part, *_) = store(front, ADA).names(folder(name))
    for act in (lambda: store(front, NORTH).get(part), lambda: store(front, NORTH).names(folder(name))):
        with pytest.raises(NotAllowed):
            act()
    store(front, ADA).delete(name)


# spellings

OWN, THEIRS = f"/{BUCKET}/own/{SOUTH}", f"/{BUCKET}/own/{NORTH}"
IN_QUERY, OWN_IN_QUERY = "own%2Fdo%40north.org%2F", "own%2Fdo%40south.org%2F"
HIDDEN = "hidden-from-south"


def listing(prefix: str, more: str = "", delimiter: str = "") -> str:
    """As our client asks for a list."""
    query = f"delimiter={delimiter}&encoding-type=url&list-type=2&max-keys=1000&prefix={prefix}{more}"
    return f"/{BUCKET}?{query}"


# what shows the names or the content in another's box where nothing but a certificate is asked for
SHOWN = [
    f"{THEIRS}/{HIDDEN}",
    f"/{BUCKET}/own/do%40north.org/{HIDDEN}",
    f"/{BUCKET}/%6fwn/{NORTH}/{HIDDEN}",
    f"{THEIRS}/{HIDDEN}?x-id=GetObject",
    f"{THEIRS}/{HIDDEN}?versionId=null",
    f"{THEIRS}/{HIDDEN}?{listing(OWN_IN_QUERY).partition('?')[2]}",
    listing(IN_QUERY),
    listing(IN_QUERY, delimiter="%2F"),
    listing(""),
    listing("own%2F"),
    listing("own%2Fdo%40n"),
    listing("own/do@north.org/"),
    listing("%6Fwn%2Fdo%40north.org%2F"),
    listing("own%2F", "&start-after=own%2Fdo%40a"),
    listing(IN_QUERY, f"&prefix={OWN_IN_QUERY}"),
    f"/{BUCKET}?Prefix={OWN_IN_QUERY}&list-type=2&prefix={IN_QUERY}",
    f"/{BUCKET}?list-type=2&pre%66ix={IN_QUERY}",
    f"/{BUCKET}?list-type=2&pre%66ix={IN_QUERY}&prefix={OWN_IN_QUERY}",
    f"/{BUCKET}?list-type=2&prefix%3D{OWN_IN_QUERY}=&prefix={IN_QUERY}",
    f"/{BUCKET}?list-type=2",
    f"/{BUCKET}?prefix={IN_QUERY}",
    f"/{BUCKET}/?list-type=2&prefix={IN_QUERY}",
    f"/{BUCKET}",
    f"https://localhost{THEIRS}/{HIDDEN}",
]


@pytest.mark.parametrize("target", SHOWN)
def test_no_spelling_shows_anothers_box(front: Front, lawless: Front, target: str) -> None:
    for one in (front, lawless):
        put(one, f"own/{NORTH}/{HIDDEN}", HIDDEN.encode())
        put(one, f"own/{SOUTH}/mine", b"mine")
    status, answer = raw(lawless, SOUTH, "GET", target)
    assert (status, HIDDEN in answer.decode()) == (200, True)
    assert refused(raw(front, SOUTH, "GET", target))


# what rclone would refuse, too, or answer with nothing: another version of it, or another store, might not
UNKNOWN = [
    listing(f"{OWN_IN_QUERY}..%2Fdo%40north.org%2F"),
    listing(f"{OWN_IN_QUERY}%2E%2E%2Fdo%40north.org%2F"),
    listing(f"{OWN_IN_QUERY}.%2F"),
    listing("own%2F.%2Fdo%40north.org%2F"),
    listing("own%2F%2Fdo%40north.org%2F"),
    listing("OWN%2Fdo%40south.org%2F"),
    listing("own%2FDo%40south.org%2F"),
    listing(OWN_IN_QUERY.removesuffix("%2F")),
    listing(OWN_IN_QUERY, f"&prefix={OWN_IN_QUERY}"),
    listing(OWN_IN_QUERY, "&delimiter=%2F"),
    listing(OWN_IN_QUERY, "&marker=x"),
    listing(OWN_IN_QUERY, "&key-marker=x"),
    listing(OWN_IN_QUERY, "&"),
    listing(OWN_IN_QUERY, "&start-after=" + "x" * 4000),
    listing(OWN_IN_QUERY, delimiter="x"),
    f"/{BUCKET}?prefix={OWN_IN_QUERY}",
    f"/{BUCKET}?versions=&prefix={OWN_IN_QUERY}",
    f"/{BUCKET}?list-type=1&prefix={OWN_IN_QUERY}",
    f"/{BUCKET}?list-type=2&prefix={OWN_IN_QUERY};prefix={IN_QUERY}",
    f"/{BUCKET}?list-type=2&prefix={OWN_IN_QUERY}#&prefix={IN_QUERY}",
    *(f"/{BUCKET}?{what}" for what in ("acl", "policy", "location", "uploads", "versions", "delete", "tagging")),
]


@pytest.mark.parametrize("target", UNKNOWN)
def test_what_our_clients_do_not_ask_is_refused(front: Front, target: str) -> None:
    assert refused(raw(front, SOUTH, "GET", target))


def test_a_certificate_that_may_list_rounds_folders_may_not_list_what_is_in_them(front: Front) -> None:
    """Numbers of rounds are told, and who has answered in them is not, however it is asked for."""
    put(front, keys.round_up(STUDY, 9, SOUTH), b"an answer")
    prefix = f"rounds%2F{STUDY}%2Fup%2F"
    status, told = raw(front, NORTH, "GET", listing(prefix, delimiter="%2F"))
    assert (status, b"000009" in told, b"do%40south.org" in told) == (200, True, False)
    for target in (listing(prefix), listing(prefix, "&delimiter=%2F"), listing(f"{prefix}000009%2F", delimiter="%2F")):
        assert refused(raw(front, NORTH, "GET", target))
    headers = {"x_amz_copy_source": "&delimiter=%2F"}  # which nginx reads, too
    assert refused(raw(front, NORTH, "GET", listing(prefix), **headers))


def test_the_front_is_asked_as_our_client_asks(front: Front) -> None:
    """The same spellings, of one's own box: the refusals above are not of the spelling alone."""
    put(front, f"own/{SOUTH}/mine", b"mine")
    assert raw(front, SOUTH, "GET", f"{OWN}/mine") == (200, b"mine")
    assert raw(front, SOUTH, "GET", f"/{BUCKET}/own/do%40south.org/mine") == (200, b"mine")
    assert b"own/do%40south.org/mine" in raw(front, SOUTH, "GET", listing(OWN_IN_QUERY))[1]


PATHS = [
    f"{OWN}/../{NORTH}/x",
    f"{OWN}/..%2F{NORTH}/x",
    f"{OWN}/%2e%2e/{NORTH}/x",
    f"{OWN}/./../{NORTH}/x",
    f"{OWN}/..\\{NORTH}/x",
    f"{OWN}//..//{NORTH}/x",
    f"{OWN}/.",
    f"{OWN}/x/..",
    f"//{BUCKET}/own/{NORTH}/x",
    f"/{BUCKET}/OWN/{SOUTH}/x",
    f"/{BUCKET}/own/{SOUTH.upper()}/x",
    f"{THEIRS}/x?/own/{SOUTH}/",
    f"{THEIRS}/x;/own/{SOUTH}/",
    f"{OWN}/x?uploadId=1&partNumber=1",
    f"{OWN}/x?acl",
    f"{OWN}/x?",
    f"{OWN}/x%00",
    f"{OWN}/x%20",
    f"{OWN}/",
    OWN,
    f"/{BUCKET}",
    f"/{BUCKET}/",
    "/another",
    "/",
]


@pytest.mark.parametrize("target", PATHS)
def test_no_spelling_reaches_anothers_names(front: Front, target: str) -> None:
    victim = put(front, f"own/{NORTH}/x", b"theirs")
    for method in ("PUT", "DELETE", "GET", "HEAD"):
        status, answer = raw(front, SOUTH, method, target, b"mine")
        assert status in (400, 403)
        assert b"AccessDenied" in answer or method == "HEAD" or status == 400
    assert victim.read_bytes() == b"theirs"
    assert not (front.folder / "store/objects/another").exists()


@pytest.mark.parametrize("target", [f"/{BUCKET}", f"{OWN}/mine"])
@pytest.mark.parametrize("method", ["POST", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "COPY", "MOVE", "get"])
def test_no_other_method(front: Front, method: str, target: str) -> None:
    if method == "CONNECT":
        assert raw(front, SOUTH, method, target)[0] in (400, 403, 405)  # nginx does not speak it
        return
    status, _ = raw(front, SOUTH, method, target)
    assert status == (405 if method == "TRACE" else 400 if method == "get" else 403)


def refused(answered: tuple[int, bytes]) -> bool:
    return answered[0] == 403 and b"AccessDenied" in answered[1]


def test_many_names_are_not_deleted_at_once(front: Front, lawless: Front) -> None:
    body = f"<Delete><Object><Key>own/{NORTH}/y</Key></Object></Delete>".encode()
    for one, holds in ((lawless, False), (front, True)):
        victim = put(one, f"own/{NORTH}/y", b"theirs")
        assert refused(raw(one, SOUTH, "POST", f"/{BUCKET}?delete=", body)) == holds
        assert victim.exists() == holds


def test_no_upload_is_begun_in_parts(front: Front, lawless: Front) -> None:
    target = f"{THEIRS}/x?uploads="
    assert b"<UploadId>" in raw(lawless, SOUTH, "POST", target)[1]
    assert refused(raw(front, SOUTH, "POST", target))
    assert refused(raw(front, SOUTH, "POST", f"{OWN}/x?uploads="))  # our clients never do


def test_nothing_is_copied_out_of_anothers_box(front: Front, lawless: Front) -> None:
    for one, holds in ((lawless, False), (front, True)):
        put(one, f"own/{NORTH}/y", b"theirs")
        source = {"x_amz_copy_source": f"{THEIRS}/y"}
        assert refused(raw(one, SOUTH, "PUT", f"{OWN}/taken", b"", **source)) == holds
        assert lies(one, f"own/{SOUTH}/taken").exists() != holds


@pytest.mark.parametrize("first", ["", " ", "0", f"{OWN}/y"])
def test_nothing_is_copied_by_a_header_that_is_there_twice(front: Front, first: str) -> None:
    put(front, f"own/{NORTH}/y", b"theirs")
    headers = signed("PUT", f"{OWN}/twice", {})
    lines = [f"PUT {OWN}/twice HTTP/1.1", "Content-Length: 0", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"x-amz-copy-source:{first}", f"x-amz-copy-source: {THEIRS}/y", "", ""]
    with (
        socket.create_connection(("localhost", front.port)) as plain,
        context(front, front.made[SOUTH]).wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall("\r\n".join(lines).encode())
        answer = b"".join(iter(lambda: tls.recv(4096), b""))
    # an empty one is taken for none, and then neither goes on to the store
    assert answer.startswith(b"HTTP/1.1 403" if first.strip() else b"HTTP/1.1 200")
    assert lies(front, f"own/{SOUTH}/twice").exists() != bool(first.strip())
    if not first.strip():
        assert lies(front, f"own/{SOUTH}/twice").read_bytes() == b""
        store(front, SOUTH).delete(f"own/{SOUTH}/twice")


# who is not known


def named(front: Front, path: Path, *names: tuple[x509.ObjectIdentifier, str]) -> Path:
    """A certificate that the consortium's authority has signed, of such a subject."""
    root = serialization.load_pem_private_key((front.folder / "ca/ca.key").read_bytes(), PASSPHRASE)
    assert isinstance(root, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(kind, value) for kind, value in names])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(front.authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(root, hashes.SHA384())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + pem)
    return path


CN, OU, ORG = NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME
SUBJECTS = [
    ((CN, SOUTH),),
    ((OU, "hospital"),),
    ((OU, "store"), (CN, SOUTH)),
    ((OU, "hospitals"), (CN, SOUTH)),
    ((OU, "Hospital"), (CN, SOUTH)),
    ((ORG, "south"), (OU, "hospital"), (CN, SOUTH)),
    ((OU, "hospital"), (CN, SOUTH), (CN, NORTH)),
    ((OU, "hospital"), (CN, NORTH), (ORG, "x")),
    ((CN, f"{SOUTH},OU=hospital"),),
    ((OU, "researcher"), (CN, f"{SOUTH},OU=hospital")),
    ((OU, "hospital"), (CN, ".*@.*")),
    ((OU, "hospital"), (CN, f"{SOUTH} read {NORTH}")),
    ((OU, "hospital"), (CN, "store")),
]


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_a_subject_that_names_no_participant_may_do_nothing(
    front: Front, tmp_path: Path, subject: tuple[tuple[x509.ObjectIdentifier, str], ...]
) -> None:
    put(front, f"own/{SOUTH}/mine", b"mine")
    stranger = named(front, tmp_path / "stranger.pem", *subject)
    public = f"/{BUCKET}/participants/{SOUTH}/bundle.json"
    for method, target in (
        ("GET", f"{OWN}/mine"),
        ("DELETE", f"{OWN}/mine"),
        ("GET", public),
        ("GET", listing("participants%2F")),
    ):
        assert raw(front, stranger, method, target)[0] == 403


def test_a_subject_of_the_right_form_is_known(front: Front, tmp_path: Path) -> None:
    """So it is the subject that the certificates above are refused for."""
    put(front, f"own/{SOUTH}/mine", b"mine")
    good = named(front, tmp_path / "good.pem", (OU, "hospital"), (CN, SOUTH))
    assert raw(front, good, "GET", f"{OWN}/mine") == (200, b"mine")


def test_a_role_is_the_certificates_and_not_a_matter_of_the_name(front: Front, tmp_path: Path) -> None:
    put(front, f"coll/{SOUTH}/twin/x", b"a twin")
    other = named(front, tmp_path / "other.pem", (OU, "researcher"), (CN, NORTH))
    assert raw(front, other, "GET", f"/{BUCKET}/coll/{SOUTH}/twin/x") == (200, b"a twin")
    assert refused(raw(front, NORTH, "GET", f"/{BUCKET}/coll/{SOUTH}/twin/x"))
