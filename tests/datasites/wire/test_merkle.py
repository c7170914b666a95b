from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasites.wire.merkle import (
    EMPTY_ROOT,
    MemoryTree,
    consistency_proof,
    consistent,
    included,
    inclusion_proof,
    leaf_hash,
)

# The reference tree of RFC 6962's authors (certificate-transparency, merkletree tests): roots over the first n inputs.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZES = range(1, 34)


def tree(size: int) -> MemoryTree:
    made = MemoryTree()
    for number in range(size):
        made.add(leaf_hash(b"%d" % number))
    return made


def test_the_reference_tree() -> None:
    made = MemoryTree()
    assert made.root(0) == EMPTY_ROOT
    for text in INPUTS:
        made.add(leaf_hash(bytes.fromhex(text)))
    assert [made.root(size).hex() for size in range(1, 9)] == ROOTS
    assert [h.hex() for h in inclusion_proof(5, 8, made.node)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@pytest.mark.parametrize(
    ("first", "second", "proof"),
    [
        (1, 1, []),
        (
            1,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ],
)
def test_the_reference_trees_consistency_proofs(first: int, second: int, proof: list[str]) -> None:
    made = MemoryTree()
    for text in INPUTS:
        made.add(leaf_hash(bytes.fromhex(text)))
    assert [h.hex() for h in consistency_proof(first, second, made.node)] == proof


def test_every_proof_of_small_trees_and_nothing_but_them() -> None:
    made, other = tree(max(SIZES)), tree(max(SIZES) + 1)
    for size in SIZES:
        for position in range(size):
            proof = inclusion_proof(position, size, made.node)
            leaf, expected = leaf_hash(b"%d" % position), made.root(size)
            assert included(leaf, position, size, expected, proof)
            assert not included(leaf_hash(b"x"), position, size, expected, proof)
            assert not included(leaf, position, size, expected, [*proof, leaf])
            assert not included(leaf, (position + 1) % size if size > 1 else 1, size, expected, proof)
        for first in range(1, size + 1):
            proof = consistency_proof(first, size, made.node)
            assert consistent(first, made.root(first), size, made.root(size), proof)
            assert not consistent(first, b"\0" * 32, size, made.root(size), proof)
            assert not consistent(first, made.root(first), size, b"\0" * 32, proof)
            assert not consistent(first, made.root(first), size, made.root(size), [*proof, b"\0" * 32])
            assert not proof or not consistent(first, made.root(first), size, made.root(size), proof[:-1])
            assert not consistent(first, made.root(first), size + 1, other.root(size + 1), proof) or first == size + 1
    assert not included(b"", 0, 0, EMPTY_ROOT, [])
    assert not consistent(0, EMPTY_ROOT, 1, made.root(1), [])
    assert not consistent(2, made.root(2), 1, made.root(1), [])


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 299))
def test_a_rewritten_entry_has_no_proof(first: int, more: int, rewritten: int) -> None:
    second, honest, forged = first + more, MemoryTree(), MemoryTree()
    for number in range(second):
        honest.add(leaf_hash(b"%d" % number))
        forged.add(leaf_hash(b"forged" if number == rewritten % first else b"%d" % number))
    for proof in (consistency_proof(first, second, honest.node), consistency_proof(first, second, forged.node)):
        assert not consistent(first, honest.root(first), second, forged.root(second), proof)


def test_the_same_roots_and_inclusion_proofs_as_pymerkle() -> None:
    # its consistency proofs go one step further down than RFC 9162's, so they are not compared
    pymerkle = pytest.importorskip("pymerkle")
    made, oracle = MemoryTree(), pymerkle.InmemoryTree(algorithm="sha256")
    for number in range(70):
        made.add(leaf_hash(b"%d" % number))
        oracle.append_entry(b"%d" % number)
    for size in range(1, 71):
        assert made.root(size) == oracle.get_root(size)
        for position in range(size):
            theirs = oracle.prove_inclusion(position + 1, size)
            assert theirs.path[1:] == inclusion_proof(position, size, made.node)
