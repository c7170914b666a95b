from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from datasites.training.losses import check_loss, row_losses
from policies.errors import InvalidInput


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_binary_cross_entropy(shape: tuple[int, ...]) -> None:
    logits, targets = torch.randn(5), torch.tensor([0.0, 1.0, 1.0, 0.0, 0.5])
    expected = functional.binary_cross_entropy(torch.sigmoid(logits), targets, reduction="none")
    torch.testing.assert_close(row_losses("binary_cross_entropy", logits.reshape(shape), targets), expected)
    torch.testing.assert_close(
        row_losses("mean_squared_error", logits.reshape(shape), targets), (logits - targets).square()
    )


def test_cross_entropy_and_classes_that_the_model_does_not_know() -> None:
    logits = torch.randn(4, 3)
    losses = row_losses("cross_entropy", logits, torch.tensor([0, 2, 9, -1]))
    torch.testing.assert_close(losses, -torch.log_softmax(logits, 1)[torch.arange(4), torch.tensor([0, 2, 2, 0])])


@pytest.mark.parametrize(
    ("loss", "shape"),
    [
        ("binary_cross_entropy", (2,)),
        ("mean_squared_error", (1, 2)),
        ("cross_entropy", (1,)),
        ("cross_entropy", ()),
        ("cross_entropy", (3, 2)),
        ("hinge", (1,)),
    ],
)
def test_a_loss_that_does_not_fit_the_model_is_refused(loss: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match=r"needs one|There is no loss"):
        check_loss(loss, shape)


@pytest.mark.parametrize(
    ("loss", "shape"), [("binary_cross_entropy", ()), ("mean_squared_error", (1, 1)), ("cross_entropy", (2,))]
)
def test_one_that_fits_is_taken(loss: str, shape: tuple[int, ...]) -> None:
    check_loss(loss, shape)
