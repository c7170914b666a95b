"""Decision trees as plain arrays, and an ensemble of them.

A tree of depth d is written as a complete one: 2^d - 1 splits from the root down, row after row, then its 2^d leaves.
The children of split i are the splits 2i + 1 and 2i + 2; a patient goes to the first where the input numbered `feature`
is at most `threshold`. Where a tree ended sooner, the splits below send everybody to the first child, and each leaf
below has its value.

An ensemble has a place for every tree that will ever be grown, so that its arrays have the same shapes in all rounds:

    trees      how many places are taken, the first ones
    feature    int16 (places, splits)
    threshold  float32 (places, splits)
    value      float32 (places, leaves)
    share      float32 (places,): of the training rows of a round's hospitals, those of the one that grew it
"""

import numpy as np
from sklearn.tree import DecisionTreeRegressor

Arrays = dict[str, np.ndarray]
ALWAYS = 1e6  # a threshold that no input is above


def empty(places: int, depth: int) -> Arrays:
    splits = 2**depth - 1
    return {
        "trees": np.zeros((), np.int64),
        "feature": np.zeros((places, splits), np.int16),
        "threshold": np.zeros((places, splits), np.float32),
        "value": np.zeros((places, splits + 1), np.float32),
        "share": np.zeros(places, np.float32),
    }


def with_tree(ensemble: Arrays, tree: Arrays) -> Arrays:
    """A copy with `tree` in the first free place, with a share of 1."""
    place = int(ensemble["trees"])
    if place == len(ensemble["share"]):
        raise ValueError("There is no free place for another tree.")
    grown = {name: array.copy() for name, array in ensemble.items()}
    for name, array in tree.items():
        grown[name][place] = array
    grown["share"][place] = 1
    grown["trees"] += 1
    return grown


def predict(ensemble: Arrays, x: np.ndarray, first: int = 0) -> np.ndarray:
    """For each row of x the sum of all trees' values, from place `first` on, each times its share; float64."""
    total, rows = np.zeros(len(x)), np.arange(len(x))
    depth = int(ensemble["value"].shape[1]).bit_length() - 1
    for place in range(first, int(ensemble["trees"])):
        feature, threshold = ensemble["feature"][place], ensemble["threshold"][place]
        at = np.zeros(len(x), np.intp)
        for _ in range(depth):
            at = 2 * at + 1 + (x[rows, feature[at]] > threshold[at])
        total += ensemble["share"][place] * ensemble["value"][place][at - len(feature)]
    return total


def as_arrays(grown: DecisionTreeRegressor, value: np.ndarray, depth: int) -> Arrays:
    """A fitted tree of at most this depth; `value` of each of its nodes. Thresholds must be numbers of float32."""
    inner, splits = grown.tree_, 2**depth - 1
    tree = {
        "feature": np.zeros(splits, np.int16),
        "threshold": np.full(splits, ALWAYS, np.float32),
        "value": np.zeros(splits + 1, np.float32),
    }
    waiting = [(0, 0)]  # a node of scikit-learn's, and its place here
    while waiting:
        node, place = waiting.pop()
        left, right = inner.children_left[node], inner.children_right[node]
        if place >= splits:
            tree["value"][place - splits] = value[node]
        elif left < 0:  # a leaf: it goes on downwards as its own children
            waiting += [(node, 2 * place + 1), (node, 2 * place + 2)]
        else:
            tree["feature"][place], tree["threshold"][place] = inner.feature[node], inner.threshold[node]
            waiting += [(left, 2 * place + 1), (right, 2 * place + 2)]
    return tree
