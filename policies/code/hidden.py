"""Characters that do not show a reader what stands there: invisible, blank, or such as change the order of others.

The review makes them findings (CVE-2021-42574, Trojan Source), and a review packet shows them as what they are.
"""

from __future__ import annotations

import unicodedata

_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # control, format, surrogate, private, unassigned, separators
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters and symbols that are drawn as nothing
_BACKWARDS = ("R", "AL", "AN")  # also without a control character they move what stands beside them
_JOINER = "\N{COMBINING GRAPHEME JOINER}"


def hidden(character: str) -> str | None:
    """What is wrong with a character, in words for its reader; None for one that shows itself."""
    if character in "\t\n" or " " <= character <= "~":
        return None
    code = f"U+{ord(character):04X}"
    category = unicodedata.category(character)
    if character == "\N{REPLACEMENT CHARACTER}":
        return "bytes that are no text"
    if category in _UNSEEN or character in _BLANK or character == _JOINER or _is_selector(character):
        return f"the invisible character {code}"
    if category == "Zs":
        return f"the space {code}, which is not the usual one"
    if unicodedata.bidirectional(character) in _BACKWARDS:
        return f"the character {code}, which is written from right to left and moves its neighbours"
    return None


def is_mark(character: str) -> bool:
    """Whether it is drawn onto the character before it, so that many of them cover the text around."""
    return unicodedata.category(character) in ("Mn", "Me")


def _is_selector(character: str) -> bool:
    """Variation selectors choose between two drawings of a character, and can carry any bytes unseen."""
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef" or character in "\u180b\u180c"
