"""Merkle trees as in RFC 9162 (Certificate Transparency 2.0), section 2.1: SHA-256, leaves and nodes told apart.

A tree over entries 0 .. n-1 is known by the hashes of its complete subtrees: `node(level, position)` is the one over
the 2**level entries from position * 2**level on. Whoever appends keeps these; roots and proofs of every earlier size
follow from O(log n) of them, and are verified without any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

Node = Callable[[int, int], bytes]
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def grown(position: int, leaf: bytes, node: Node) -> Iterator[tuple[int, int, bytes]]:
    """The nodes (level, position, hash) that appending `leaf` at `position` completes, the leaf first.

    `node` is asked for earlier nodes only.
    """
    level, value = 0, leaf
    yield level, position, value
    while position & 1:
        value = node_hash(node(level, position - 1), value)
        level, position = level + 1, position >> 1
        yield level, position, value


def root(size: int, node: Node) -> bytes:
    """The root over the first `size` entries."""
    return _root(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(position: int, size: int, node: Node) -> list[bytes]:
    """Proves that the entry at `position` (counted from 0) is under the root over `size` entries."""
    start, stop, proof = 0, size, []
    while stop - start > 1:
        middle = start + _split(stop - start)
        if position < middle:
            proof.append(_root(middle, stop, node))
            stop = middle
        else:
            proof.append(_root(start, middle, node))
            start = middle
    return proof[::-1]


def consistency_proof(first: int, second: int, node: Node) -> list[bytes]:
    """Proves that the tree over `second` entries continues the one over `first` (0 < first <= second)."""
    start, stop, whole, proof = 0, second, True, []
    while first < stop:
        middle = start + _split(stop - start)
        if first <= middle:
            proof.append(_root(middle, stop, node))
            stop = middle
        else:
            proof.append(_root(start, middle, node))
            start, whole = middle, False
    return [*([] if whole else [_root(start, stop, node)]), *proof[::-1]]


def included(leaf: bytes, position: int, size: int, expected: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that `leaf` is the entry at `position` under the root `expected` (RFC 9162, 2.1.3.2)."""
    if not 0 <= position < size:
        return False
    here, last, value = position, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if here & 1 or here == last:
            value = node_hash(sibling, value)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and value == expected


def consistent(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the later tree continues the earlier one (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return first_root == second_root and not proof
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        return False
    here, last = first - 1, second - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


class MemoryTree:
    """A tree in memory, for whoever checks a whole log."""

    def __init__(self) -> None:
        self.size = 0
        self._levels: list[list[bytes]] = []

    def add(self, leaf: bytes) -> None:
        """Appends an entry by its `leaf_hash`."""
        for level, _, value in grown(self.size, leaf, self.node):
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(value)
        self.size += 1

    def node(self, level: int, position: int) -> bytes:
        return self._levels[level][position]

    def root(self, size: int) -> bytes:
        return root(size, self.node)


def _root(start: int, stop: int, node: Node) -> bytes:
    """Over entries start .. stop-1, where start is a multiple of a power of two that is not less than their number."""
    peaks = []
    while start < stop:
        level = (stop - start).bit_length() - 1
        peaks.append(node(level, start >> level))
        start += 1 << level
    value = peaks.pop()
    while peaks:
        value = node_hash(peaks.pop(), value)
    return value


def _split(width: int) -> int:
    """The largest power of two less than `width`."""
    return 1 << ((width - 1).bit_length() - 1)
