"""`python -m compose.images` builds the images; with `base`, it makes their base from Debian's packages.

A build takes packages from where `pip` on this machine takes them: folders and certificates that pip's configuration
names are shown to the build, read-only, under the names they have here (with podman; Docker builds have the internet).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
IMAGES = ("datasite", "researcher", "store")
MONITORING = "prometheus"
BASE = "localhost/wardround-base"
_DEBIAN = ("bookworm", "http://deb.debian.org/debian")
_IN_BASE = "python3.11,python3.11-venv,ca-certificates"
_NAMES_FILES = ("cert", "constraint", "find-links", "index-url", "extra-index-url")


def engine() -> str:
    """podman, or else docker. Raises SystemExit with a sentence where there is neither."""
    found = os.environ.get("ENGINE") or shutil.which("podman") or shutil.which("docker")
    if not found:
        raise SystemExit("Neither podman nor docker is installed: apt-get install podman, see compose/README.md.")
    return Path(found).name


def exists(name: str) -> bool:
    """Whether there is such an image on this machine."""
    return subprocess.run([engine(), "image", "inspect", name], capture_output=True).returncode == 0


def make_base(name: str = BASE) -> None:
    """A base image without any registry: Debian's packages by debootstrap, imported. Needs root."""
    if not shutil.which("debootstrap"):
        raise SystemExit("debootstrap is not installed: apt-get install debootstrap.")
    suite, mirror = _DEBIAN
    with tempfile.TemporaryDirectory(prefix="wardround-base-") as place:
        root = Path(place) / "root"
        _run("debootstrap", "--variant=minbase", f"--include={_IN_BASE}", suite, str(root), mirror)
        shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
        shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)
        packed = Path(place) / "root.tar"
        _run("tar", "-C", str(root), "--exclude=./dev/*", "-cf", str(packed), ".")
        _run(engine(), "import", str(packed), name)


def build(base: str | None, uid: int, images: Sequence[str] = IMAGES) -> None:
    """Builds wardround-NAME for each image. `base`: when left out, one made here, or the Containerfile's own."""
    base = base or (BASE if exists(BASE) else None)
    arguments = [f"--build-arg=UID={uid}", *([f"--build-arg=BASE={base}"] if base else [])]
    with _packages_of_this_machine() as (flags, torch_is_here):
        if torch_is_here:
            arguments.append("--build-arg=TORCH_SOURCE=")
        for name in images:
            target = [f"--target={name}", "-t", f"localhost/wardround-{name}", "-f", "compose/Containerfile"]
            _run(engine(), "build", "--network=host", *flags, *arguments, *target, ".", cwd=ROOT)


@contextmanager
def _packages_of_this_machine() -> Iterator[tuple[list[str], bool]]:
    """Flags that give a podman build this machine's pip configuration, and whether a torch lies on its disk."""
    settings = _pip_settings()
    if engine() != "podman" or not settings:
        yield [], False
        return
    shown = {path for value in settings.values() for word in value.split() for path in _local(word)}
    folders = [Path(word) for word in settings.get("find-links", "").split() if Path(word).is_dir()]
    torch = any(True for folder in folders for _ in folder.glob("torch-2*.whl"))
    with tempfile.TemporaryDirectory(prefix="wardround-pip-") as place:
        file = Path(place) / "pip.conf"
        lines = [f"{name} = " + "\n    ".join(value.split()) for name, value in settings.items()]
        file.write_text("[global]\n" + "\n".join(lines) + "\n")
        volumes = [(file, Path("/etc/pip.conf")), *((path, path) for path in sorted(shown))]
        yield [f"--volume={here}:{there}:ro" for here, there in volumes], torch


def _pip_settings() -> dict[str, str]:
    """What pip here is told about where packages come from; of all configuration files and variables, the last word."""
    said = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    found: dict[str, str] = {}
    for line in said.stdout.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in _NAMES_FILES and (name not in found or key.startswith(":env:")):
            found[name] = value.strip("'\"").replace("\\n", " ")
    return found


def _local(word: str) -> list[Path]:
    """The file or folder of this machine that a word of pip's configuration names. The pages of an index link to files
    beside it, so its parent."""
    if word.startswith("file://"):
        return [Path(unquote(urlsplit(word).path)).parent]
    return [Path(word)] if os.path.isabs(word) and Path(word).exists() else []


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd)
    if done.returncode:
        raise SystemExit(
            f"`{command[0]} {command[1]}` failed with status {done.returncode}; what it said stands above."
        )


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m compose.images", description=__doc__)
    parser.add_argument(
        "what", nargs="*", default=list(IMAGES), help="datasite, researcher, store (these three), prometheus, or base"
    )
    parser.add_argument("--base", help="the image to build on; the Containerfile's own when left out")
    parser.add_argument("--uid", type=int, default=os.getuid() or 10001, help="of the account in the images")
    options = parser.parse_args()
    if "base" in options.what:
        make_base()
    else:
        build(options.base, options.uid, options.what)
    return 0


if __name__ == "__main__":
    sys.exit(main())
