"""Lines of a study's log that a data owner chose to show to the study's researcher: signed, and bound to the study."""

from __future__ import annotations

import html
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from datasites.wire.canonical import canonical_json
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.shown import heading
from datasites.wire.values import Digest, Email, Frozen

CONTEXT = "study-log-excerpt"
FILES = "excerpt-*.json"
EXCERPT_CHARACTERS = 16 * 1024
_Line = Annotated[int, Field(ge=1)]


def _is_plain(text: str) -> str:
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise ValueError("the text holds control characters")  # a hostile hospital's could take over a terminal
    return text


class Excerpt(Frozen):
    """Lines `first_line` to `last_line` of the log at one hospital; `number` counts its excerpts of this study.

    `text` is plain: all but letters, digits, marks, spaces and line breaks is written out, as in \\x1b.
    """

    version: Literal[1] = 1
    study: Digest
    hospital: Email
    number: Annotated[int, Field(ge=1, le=999_999)]
    first_line: _Line
    last_line: _Line
    text: Annotated[str, Field(max_length=EXCERPT_CHARACTERS), AfterValidator(_is_plain)]
    released_by: Annotated[str, Field(max_length=200)] = ""
    released_at: datetime = Field(strict=False)

    @property
    def file(self) -> str:
        """Its name beside the decision on the study."""
        return f"excerpt-{self.number:06}.json"

    def _repr_html_(self) -> str:
        said = heading(f"Lines {self.first_line} to {self.last_line}", f"of the log at {self.hospital}")
        return f"{said}<pre>{html.escape(self.text)}</pre>"

    def __str__(self) -> str:
        return f"{self.hospital}, lines {self.first_line} to {self.last_line}:\n{self.text}"


class SignedExcerpt(Frozen):
    excerpt: Excerpt
    signature: str

    @classmethod
    def sign(cls, excerpt: Excerpt, identity: Identity) -> SignedExcerpt:
        return cls(excerpt=excerpt, signature=identity.sign(CONTEXT, _payload(excerpt)))

    def verified(self, hospital: PublicIdentity) -> bool:
        """Whether the hospital it names signed it."""
        named = self.excerpt.hospital == hospital.email
        return named and hospital.signed(CONTEXT, _payload(self.excerpt), self.signature)


def _payload(excerpt: Excerpt) -> bytes:
    return canonical_json(excerpt.model_dump(mode="json"))
