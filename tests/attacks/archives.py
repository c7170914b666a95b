"""Archives that no honest client writes."""

from __future__ import annotations

import io
import tarfile

MEMBER = "proposed_file_changes.json"


def packed(content: bytes) -> bytes:
    """`content` as the one member of a tar.gz, as Syft packs its messages."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        member = tarfile.TarInfo(MEMBER)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def sparse(size: int) -> bytes:
    """A tar.gz of a few hundred bytes whose one member reads as `size` zero bytes (old GNU sparse format)."""
    member = tarfile.TarInfo(MEMBER)
    member.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"%011o\0%011o\0" % (size, 0)  # one hole, no data
    header[483:495] = b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        tar.fileobj.write(bytes(header))  # type: ignore[union-attr]
        tar.offset += len(header)
    return stream.getvalue()
