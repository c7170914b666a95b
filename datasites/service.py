"""A systemd unit for the agent, as closed as its own sandbox allows.

bubblewrap makes user namespaces and mounts a fresh /proc in them, which the kernel allows only where nothing covers a
part of the /proc outside. So some hardenings are left out, and the unit says which and why; the process has no
capability, gains none, and cannot write outside of its home either way.
"""

from __future__ import annotations

import getpass
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from datasites.home import DatasiteHome
from datasites.settings import DatasiteSettings
from policies.errors import InvalidInput

_UNIT = """\
# Written by: wardround datasite systemd. Put it into /etc/systemd/system/, then:
#   systemctl daemon-reload && systemctl enable --now {name}
[Unit]
Description=Wardround datasite of {email}
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
User={user}
ExecStart={program} datasite serve --home {quoted}
Restart=on-failure
RestartSec=10
# refused (3): the log is not what others have seen, a backup is not confirmed: a person has to look
RestartPreventExitStatus=2 3
KillMode=mixed
TimeoutStopSec=120
UMask=0077
{credential}
# files
ProtectSystem=strict
ReadWritePaths={writes}
ProtectHome={protect_home}
PrivateTmp=yes
{devices}
ProtectControlGroups=yes
ProtectKernelModules=yes
ProtectClock=yes
RestrictSUIDSGID=yes

# privileges: none, and none to be had; inside its own namespaces the sandbox needs none of these
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictRealtime=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
# what services use, and what bubblewrap needs to confine a study: namespaces, mounts, filters
SystemCallFilter=@system-service @mount sethostname
SystemCallFilter=seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
SystemCallErrorNumber=EPERM

# Left out, as with them no study could be confined by bubblewrap: ProtectKernelTunables, ProtectKernelLogs and
# ProtectProc cover parts of /proc; RestrictNamespaces forbids its namespaces; ProtectHostname shows the host's name to
# a study. MemoryDenyWriteExecute would stop numerical libraries that compile.

[Install]
WantedBy=multi-user.target
"""


def unit(home: Path, user: str = "", passphrase_file: Path | None = None) -> str:
    """The unit's text. user: whom the service runs as, else whoever asks. passphrase_file: of the keys, read by systemd
    and handed on as a credential, so that the service's user cannot read the file itself. Raises InvalidInput."""
    place = DatasiteHome(home.expanduser().resolve())
    settings = DatasiteSettings.load(place.path)
    name = user or getpass.getuser()
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise InvalidInput(f"{name!r} is no name of a user.", "Give --user.")
    program = _program()
    writes = [place.path, *_store_folder(settings.store)]
    near_home = any(path.is_relative_to(root) for root in _HOMES for path in (*writes, Path(program), Path(sys.prefix)))
    credential = ""
    if passphrase_file:
        source = passphrase_file.expanduser().resolve()
        credential = f"LoadCredential=passphrase:{_escaped(str(source))}\n"
        credential += "Environment=WARDROUND_PASSPHRASE_FILE=%d/passphrase\n"
    return _UNIT.format(
        name=unit_name(settings.email),
        email=settings.email.replace("%", "%%"),
        user=name,
        program=_quoted(program),
        quoted=_quoted(str(place.path)),
        credential=credential,
        writes=" ".join(_quoted(str(path)) for path in writes),
        protect_home="read-only" if near_home else "yes",
        devices="# PrivateDevices is left out: the settings let studies use graphics cards"
        if settings.limits.gpus
        else "PrivateDevices=yes",
    )


_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))


def unit_name(email: str) -> str:
    """What the unit is to be called."""
    plain = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in email)
    return f"wardround-{plain}.service"


def _program() -> str:
    beside = Path(sys.executable).parent / "wardround"
    found = str(beside) if beside.is_file() else shutil.which("wardround")
    if not found:
        raise InvalidInput("The command wardround is not installed beside this Python.", "Install the package.")
    return found


def _store_folder(store: str) -> list[Path]:
    parts = urlsplit(store)
    return [Path(unquote(parts.path))] if parts.scheme == "file" else []


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    if any(not letter.isprintable() for letter in text):
        raise InvalidInput(f"{text!r} cannot stand in a unit file.", "Choose another folder.")
    return '"' + _escaped(text).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$") + '"'
