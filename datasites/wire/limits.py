"""Sizes that messages may have. Generous for honest use, small enough that no peer can fill a disk or memory."""

from __future__ import annotations

SUBMISSION_BYTES = 8 * 1024 * 1024  # one submission's message, compressed or not
SUBMISSION_FILES = 200
SUBMISSION_FILE_BYTES = 1024 * 1024
PATH_CHARACTERS = 1000  # of one path inside a datasite
CONFIG_BYTES = 64 * 1024
PENDING_MESSAGES = 100  # unread messages of one peer that are looked at in one sync
EVENTS_BYTES = 64 * 1024 * 1024  # what a datasite tells a researcher in one message
TWIN_BYTES = 256 * 1024 * 1024
PUBLIC_BYTES = 64 * 1024  # keys and version files
ROUND_BYTES = 512 * 1024 * 1024  # of what secure sums, gossip and regions send
STAR_BYTES = 2 * 1024 * 1024 * 1024  # of a plain round's message, whatever its study says
