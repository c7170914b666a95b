"""Secure sums: right with every dropout that they promise to bear, and telling an attacker nothing but the sum."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasites.secagg.participant import Participant
from datasites.wire.identity import Identity
from datasites.wire.secagg import shamir
from datasites.wire.secagg.masks import add_mask, agreed, own_seed, public_of, sign_of
from datasites.wire.secagg.statements import Keys, SignedKeys, scope_of, sign_survivors
from policies.errors import Refused
from researcher.errors import RoundFailed
from tests.support.secure import STEPS, STUDY, Sum, added, drawn, identities, terms_of

People = dict[str, Identity]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    """Six hospitals: four must stay, two may vanish."""
    return identities(tmp_path_factory.mktemp("secure"), 6)


@pytest.fixture
def one(people: People) -> Sum:
    return Sum(people, terms_of(people))


def names(people: People) -> list[str]:
    return sorted(people)


def test_the_sum_is_that_of_all_and_no_hospital_is_readable_on_the_way(people: People, one: Sum) -> None:
    numbers = drawn(people)
    assert np.array_equal(one.run(numbers), added(numbers, people))
    for name in people:
        assert not np.any(one.masked[name] == numbers[name])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("count", [1, 2])
def test_up_to_a_third_may_vanish_at_any_step(people: People, step: str, count: int) -> None:
    gone, numbers = names(people)[1 : 1 + count], drawn(people)
    one = Sum(people, terms_of(people), gone={step: gone})
    late = STEPS.index(step) > STEPS.index("numbers")  # then their numbers are in the sum
    survivors = [name for name in people if late or name not in gone]
    assert np.array_equal(one.run(numbers), added(numbers, survivors))


def test_they_may_vanish_at_different_steps(people: People) -> None:
    first, second = names(people)[0], names(people)[-1]
    numbers = drawn(people)
    one = Sum(people, terms_of(people), gone={"numbers": [first], "unmask": [second]})
    assert np.array_equal(one.run(numbers), added(numbers, [n for n in people if n != first]))


@pytest.mark.parametrize("step", STEPS)
def test_with_more_gone_the_round_fails_and_the_masks_stay_on(people: People, step: str) -> None:
    one = Sum(people, terms_of(people), gone={step: names(people)[:3]})
    with pytest.raises(RoundFailed, match="it needs 4"):
        one.run(drawn(people))
    assert step == "unmask" or not one.told


def knowledge(one: Sum, coalition: list[str], shares_more: int = 0) -> dict[str, bytes]:
    """The mask keys of other hospitals that a coalition with the researcher can work out, from the shares that its
    members were dealt (and `shares_more` of others'), and from all that was told in the last step."""
    found = {}
    others = [name for name in one.at if name not in coalition]
    holders = coalition + others[: shares_more + 1]
    for victim in others:
        shares = {}
        for holder in [h for h in holders if h != victim][: len(coalition) + shares_more]:
            dealt = one.dealt[holder][victim]
            shares[one.terms.place(holder)] = dealt
        try:
            key = shamir.combine(shares, shamir.weights(sorted(shares)))
        except ValueError:
            continue
        if public_of(key).hex() == one.public[victim]:
            found[victim] = key
    return found


class Watched(Sum):
    """Also notes what members of a coalition know by themselves: the shares that they were dealt, and their keys."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.dealt: dict[str, dict[str, bytes]] = {}
        self.own_keys = {name: at._for_masks for name, at in self.at.items()}
        self.public: dict[str, str] = {}

    def agree(self) -> None:
        for name, at in self.at.items():
            self.dealt[name] = {peer: about.shares[0] for peer, about in at._peers.items()}
            self.public |= {peer: about.keys.for_masks for peer, about in at._peers.items()}
        super().agree()


def stripped(one: Watched, coalition: list[str]) -> dict[str, np.ndarray]:
    """Of each other hospital, its masked numbers less every mask that the coalition and the researcher can work out."""
    scope, found = scope_of(STUDY, one.first, one.terms), {}
    place = lambda name: one.terms.place(name)  # noqa: E731
    by = shamir.weights(sorted(place(name) for name in one.told)[: one.terms.threshold])
    for victim in (name for name in one.masked if name not in coalition):
        total = one.masked[victim].copy()
        own = shamir.combine({place(h): told.of_masks[victim] for h, told in one.told.items()}, by)
        add_mask(total, own_seed(own, scope, victim), -1)  # those of hospitals in the sum are told to the researcher
        for member in coalition:
            theirs = bytes.fromhex(one.public[victim])
            seed = agreed(one.own_keys[member], theirs, "pair", scope, member, victim)
            add_mask(total, seed, -sign_of(victim, member))
        found[victim] = total
    return found


def test_a_coalition_below_the_threshold_cannot_tell_inputs_of_equal_sums_apart(people: People) -> None:
    """The whole transcript, and the secrets of three hospitals: what is left of each other hospital's numbers is
    uniform, alike for both inputs, and fits both; together they tell the sum and nothing else."""
    coalition, size = names(people)[:3], 4000
    others = names(people)[3:]
    plain = {name: np.zeros(size, np.uint64) for name in people}
    moved = {**plain, others[0]: plain[others[0]] + np.uint64(7), others[1]: plain[others[1]] - np.uint64(7)}
    left = []
    for inputs in (plain, moved):
        one = Watched(people, terms_of(people))
        total = one.run(inputs)
        assert not knowledge(one, coalition)
        assert knowledge(one, coalition, shares_more=1).keys() == set(others)  # with one more hospital all is lost
        rest = stripped(one, coalition)
        assert np.array_equal(added(rest, others), added(inputs, others))
        assert np.array_equal(total, added(inputs, people))
        left.append(rest)
    for name in others:
        for rest in left:
            counts = np.bincount(rest[name].view(np.uint8), minlength=256)
            expected = 8 * size / 256
            assert ((counts - expected) ** 2 / expected).sum() < 255 + 6 * (2 * 255) ** 0.5
        assert not np.any(left[0][name] == left[1][name])


def test_the_same_keys_and_masks_are_never_used_again(people: People) -> None:
    numbers = drawn(people)
    first, second = Sum(people, terms_of(people), first=1), Sum(people, terms_of(people), first=6)
    first.run(numbers)
    second.run(numbers)
    for name in people:
        assert not np.any(first.masked[name] == second.masked[name])


def test_of_one_peer_no_two_hospitals_tell_both_secrets(people: People) -> None:
    gone = names(people)[:1]
    one = Sum(people, terms_of(people), gone={"numbers": gone})
    one.run(drawn(people))
    masks = {name for told in one.told.values() for name in told.of_masks}
    keys = {name for told in one.told.values() for name in told.of_keys}
    assert keys == set(gone)
    assert not masks & keys


# a dishonest researcher

Attack = Callable[[Sum, Participant, str], None]


def unmask_again(one: Sum, at: Participant, me: str) -> None:
    at.unmask(one.collector.signatures)


def agree_on_another_list(one: Sum, at: Participant, me: str) -> None:
    at.agree([name for name in one.collector.survivors if name != max(set(one.people) - {me})])


@pytest.mark.parametrize(("attack", "step"), [(unmask_again, "unmask"), (agree_on_another_list, "unmask")])
def test_no_hospital_answers_a_step_twice(people: People, one: Sum, attack: Attack, step: str) -> None:
    one.until(step, drawn(people))
    if attack is unmask_again:
        one.unmask()
    me = names(people)[0]
    with pytest.raises(Refused, match="asked for twice"):
        attack(one, one.at[me], me)
    with pytest.raises(Refused):
        one.at[me].unmask(one.collector.signatures)


def test_two_stories_of_who_is_in_the_sum_unmask_nothing(people: People, one: Sum) -> None:
    """The researcher tells three hospitals that the first one vanished, and the others that it did not: with four on
    each side it would have both of its secrets."""
    one.until("agree", drawn(people))
    victim, *rest = names(people)
    told = {name: (rest if name in rest[:3] else [victim, *rest]) for name in people}
    signatures = {name: one.at[name].agree(told[name]) for name in people}
    for name in people:
        with pytest.raises(Refused, match="hospitals are left"):
            one.at[name].unmask(signatures)


def test_signatures_of_others_or_of_other_sums_do_not_count(people: People, one: Sum) -> None:
    one.until("unmask", drawn(people))
    me, *others = names(people)
    survivors = one.collector.survivors
    forged = {name: sign_survivors(people[me], scope_of(STUDY, 1, one.terms), survivors) for name in others}
    elsewhere = {name: sign_survivors(people[name], scope_of(STUDY, 2, one.terms), survivors) for name in others}
    for number, signatures in enumerate((forged, elsewhere)):
        with pytest.raises(Refused, match=r"[01] hospitals are left"):
            one.at[names(people)[number]].unmask(signatures)


def own_keys_for_everybody(one: Sum, roster: list[SignedKeys], thief: Identity) -> list[SignedKeys]:
    """The researcher puts keys of its own in the place of a hospital's, signed by itself."""
    victim = roster[1].keys
    stolen = victim.model_copy(update={"for_shares": public_of(bytes(32)).hex()})
    return [roster[0], SignedKeys.sign(stolen, thief), *roster[2:]]


def altered(one: Sum, roster: list[SignedKeys], thief: Identity) -> list[SignedKeys]:
    changed = roster[1].keys.model_copy(update={"for_masks": public_of(bytes(32)).hex()})
    return [roster[0], roster[1].model_copy(update={"keys": changed}), *roster[2:]]


def one_more(one: Sum, roster: list[SignedKeys], thief: Identity) -> list[SignedKeys]:
    keys = Keys(
        scope=scope_of(STUDY, one.first, one.terms),
        hospital=thief.email,
        for_shares=public_of(b"1" * 32).hex(),
        for_masks=public_of(b"2" * 32).hex(),
        commitment="0" * 64,
    )
    return [*roster, SignedKeys.sign(keys, thief)]


def too_few(one: Sum, roster: list[SignedKeys], thief: Identity) -> list[SignedKeys]:
    return roster[:3]


def twice(one: Sum, roster: list[SignedKeys], thief: Identity) -> list[SignedKeys]:
    return [*roster, roster[1]]


def without_me(one: Sum, roster: list[SignedKeys], thief: Identity) -> list[SignedKeys]:
    return roster[1:]


def of_another_sum(one: Sum, roster: list[SignedKeys], thief: Identity) -> list[SignedKeys]:
    name = roster[1].keys.hospital
    return [roster[0], Participant(one.people[name], one.terms, STUDY, 99).keys(), *roster[2:]]


@pytest.mark.parametrize(
    "attack",
    [own_keys_for_everybody, altered, one_more, too_few, twice, without_me, of_another_sum],
    ids=lambda f: f.__name__,
)
def test_a_list_of_keys_that_is_not_the_hospitals_own_is_refused(people: People, one: Sum, attack, tmp_path) -> None:
    one.keys()
    me, thief = names(people)[0], Identity.create("eve@evil.org", tmp_path / "eve.json")
    with pytest.raises(Refused):
        one.at[me].shares(attack(one, one.collector.roster(), thief))
    with pytest.raises(Refused):  # and that is the end of it
        one.at[me].shares(one.collector.roster())


def test_shares_of_others_or_of_earlier_sums_are_refused_and_nothing_is_masked_by_halves(people: People) -> None:
    earlier, one = Sum(people, terms_of(people), first=1), Sum(people, terms_of(people), first=2)
    earlier.until("numbers", {})
    one.until("numbers", {})
    me, peer, other, *_ = names(people)
    honest = one.collector.shares_for(me)
    swapped = {**honest, peer: honest[other], other: honest[peer]}
    for bad in ({**honest, peer: earlier.collector.shares_for(me)[peer]}, swapped, {**honest, peer: b""}):
        at = Sum(people, terms_of(people), first=2)
        at.until("numbers", {})
        with pytest.raises(Refused, match="not from them"):
            at.at[me].receive(bad)
        with pytest.raises(Refused):
            at.at[me].agree(names(people))


def test_a_sum_of_too_few_is_never_masked_nor_agreed_on(people: People, one: Sum) -> None:
    one.until("numbers", {})
    me, other, *_ = names(people)
    few = dict(list(one.collector.shares_for(me).items())[:2])
    with pytest.raises(Refused, match="3 hospitals are left"):
        one.at[me].receive(few)
    at = one.at[other]
    at.receive(one.collector.shares_for(other))
    at.masked(drawn(people)[other])
    with pytest.raises(Refused, match="3 hospitals are left"):
        at.agree(names(people)[:3])


def test_a_hospital_with_other_keys_than_the_study_names_takes_no_part(people: People, tmp_path: Path) -> None:
    me = names(people)[0]
    with pytest.raises(Refused, match="not among those"):
        Participant(Identity.create(me, tmp_path / "new.json"), terms_of(people), STUDY, 1)


def test_false_shares_are_found_and_spoil_no_model(people: People, one: Sum) -> None:
    one.until("unmask", drawn(people))
    liar, victim = names(people)[:2]
    for name in people:
        told = one.at[name].unmask(one.collector.signatures)
        masks = dict(told.of_masks)
        if name == liar:
            masks[victim] = bytes(shamir.SHARE_BYTES - 1) + b"\x01"
        one.collector.add_unmasking(name, masks, told.of_keys)
    with pytest.raises(RoundFailed, match="are false"):
        one.collector.total()


def test_every_third_of_three_may_be_missing(people: People) -> None:
    three = {name: people[name] for name in names(people)[:3]}
    numbers = drawn(three)
    for gone in three:
        one = Sum(three, terms_of(three), gone={"numbers": [gone]})
        assert np.array_equal(one.run(numbers), added(numbers, set(three) - {gone}))
