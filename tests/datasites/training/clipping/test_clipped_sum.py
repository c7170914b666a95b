"""Every method against Opacus' clipped gradients, and against a loop over patients that does nothing clever."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import Tensor, nn

from datasites.training.clipping import ClippedBatch, clipped_sum
from datasites.training.clipping.bookkeeping import Bookkeeping
from datasites.training.clipping.choose import Method
from datasites.training.clipping.functional import Functional
from datasites.training.graph import GraphModule
from datasites.training.losses import row_losses
from policies.errors import InvalidInput
from tests.support.networks import EXAMPLES, Example, rebuilt

METHODS: tuple[Method, ...] = ("bookkeeping", "functional")
CLIP = 0.4


def built(example: Example) -> GraphModule:
    module = example.module()
    return rebuilt(example.graph(module), module).eval()


def loop(module: GraphModule, example: Example, inputs: Tensor, targets: Tensor, present: Tensor) -> ClippedBatch:
    """One patient after the other, by PyTorch's own backward pass."""
    sums = {name: torch.zeros_like(parameter) for name, parameter in module.named_parameters()}
    norms, losses = [], []
    for x, y, here in zip(inputs, targets, present, strict=True):
        module.zero_grad()
        loss = row_losses(example.loss, module(x[here]), y[here]).sum()
        loss.backward()
        gradients = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in module.named_parameters()}
        norm = torch.cat([gradient.flatten() for gradient in gradients.values()]).norm()
        for name, gradient in gradients.items():
            sums[name] += gradient * min(1.0, CLIP / max(float(norm), 1e-12))
        norms.append(norm)
        losses.append(loss.detach())
    module.zero_grad()
    return ClippedBatch(sums, torch.stack(norms), torch.stack(losses))


def assert_same(found: ClippedBatch, expected: ClippedBatch) -> None:
    assert found.sums.keys() == expected.sums.keys()
    for name, value in expected.sums.items():
        torch.testing.assert_close(found.sums[name], value, rtol=0, atol=1e-5, msg=name)
    torch.testing.assert_close(found.norms, expected.norms, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.losses, expected.losses, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_what_a_loop_over_patients_gives(name: str, rows: int, method: Method) -> None:
    example = EXAMPLES[name]
    module, batch = built(example), example.batch(11, rows)
    expected = loop(module, example, *batch)
    assert (expected.norms > CLIP).any()
    assert_same(clipped_sum(module, example.loss, CLIP, method)(*batch), expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {"padded categories"}))  # Opacus trains the padding's row
def test_it_is_what_opacus_gives(name: str, method: Method) -> None:
    example = EXAMPLES[name]
    inputs, targets, present = example.batch(16, 1)
    ours = clipped_sum(built(example), example.loss, CLIP, method)(inputs, targets, present)
    theirs = opacus(example.module(), example, inputs[:, 0], targets[:, 0])
    assert ours.sums.keys() == theirs.keys()
    for parameter, value in theirs.items():
        torch.testing.assert_close(ours.sums[parameter], value, rtol=0, atol=1e-5, msg=parameter)


def opacus(module: nn.Module, example: Example, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Sums of gradients as Opacus' own hooks and optimiser clip them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch about hooks, and of Opacus about its generator
        from opacus import GradSampleModule
        from opacus.optimizers import DPOptimizer

        private = GradSampleModule(module.train(), loss_reduction="sum")
        for part in module.modules():  # its hooks see only what trains, and dropout must not
            part.training = any(True for _ in part.parameters(recurse=False))
        optimiser = DPOptimizer(
            torch.optim.SGD(private.parameters(), lr=1.0),
            noise_multiplier=0.0,
            max_grad_norm=CLIP,
            expected_batch_size=1,
        )
        row_losses(example.loss, private(inputs), targets).sum().backward()
        optimiser.clip_and_accumulate()
    return {name.removeprefix("_module."): p.summed_grad for name, p in private.named_parameters()}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [0, 1, 4])
def test_a_lot_without_patients_gives_zeros(rows: int, method: Method) -> None:
    example = EXAMPLES["mlp"]
    module = built(example)
    empty = clipped_sum(module, example.loss, CLIP, method)(*example.batch(0, rows))
    assert {name: value.shape for name, value in empty.sums.items()} == {
        name: value.shape for name, value in module.state_dict().items()
    }
    assert all(not value.any() for value in empty.sums.values())
    assert empty.norms.shape == empty.losses.shape == (0,)


@pytest.mark.parametrize("method", METHODS)
def test_a_patient_without_rows_adds_nothing(method: Method) -> None:
    example = EXAMPLES["mlp"]
    inputs, targets, present = example.batch(5, 3)
    present[2] = False
    summed = clipped_sum(built(example), example.loss, CLIP, method)
    others = torch.tensor([0, 1, 3, 4])
    without = summed(inputs[others], targets[others], present[others])
    whole = summed(inputs, targets, present)
    assert whole.norms[2] == 0
    for name, value in without.sums.items():
        torch.testing.assert_close(whole.sums[name], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("padding", [float("nan"), float("inf"), 1e30])
def test_what_stands_in_padding_changes_nothing(padding: float, method: Method) -> None:
    example = EXAMPLES["mlp"]
    inputs, targets, present = example.batch(6, 4)
    summed = clipped_sum(built(example), example.loss, CLIP, method)
    expected = summed(inputs, targets, present)
    found = summed(inputs.masked_fill(~present[..., None], padding), targets.masked_fill(~present, padding), present)
    for name, value in expected.sums.items():
        assert torch.equal(found.sums[name], value)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("name", ["logistic regression", "mlp", "residual", "categories", "signal", "image"])
def test_a_patient_whose_gradient_is_not_finite_adds_nothing(
    name: str, value: float, rows: int, method: Method
) -> None:
    example = EXAMPLES[name]
    inputs, targets, present = example.batch(5, rows)
    present[3] = True
    summed = clipped_sum(built(example), example.loss, CLIP, method)
    others = torch.tensor([0, 1, 2, 4])
    expected = summed(inputs[others], targets[others], present[others])
    inputs[3, 0, ...] = value
    found = summed(inputs, targets, present)
    if found.norms[3].isfinite():  # layer normalisation makes something of 1e30
        return
    for parameter, sums in expected.sums.items():
        torch.testing.assert_close(found.sums[parameter], sums, rtol=0, atol=1e-6, msg=parameter)


@pytest.mark.parametrize("method", METHODS)
def test_parameters_that_are_not_finite_give_zeros(method: Method) -> None:
    example = EXAMPLES["mlp"]
    module = built(example)
    with torch.no_grad():
        next(module.parameters()).fill_(float("nan"))
    found = clipped_sum(module, example.loss, CLIP, method)(*example.batch(4, 2))
    assert all(not value.any() for value in found.sums.values())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_one_patient_changes_the_sums_by_no_more_than_the_clip(name: str, method: Method) -> None:
    """Whatever this patient's rows hold: sums with and without it differ by at most `clip`."""
    example = EXAMPLES[name]
    summed = clipped_sum(built(example), example.loss, CLIP, method)
    inputs, targets, present = example.batch(6, 3)
    without = summed(inputs[1:], targets[1:], present[1:])
    for scale in (1e-3, 1.0, 1e3, 1e9):
        here = inputs.clone()
        here[0] = (here[0] * scale).to(inputs.dtype)
        whole = summed(here, targets, torch.cat([torch.ones(1, 3, dtype=torch.bool), present[1:]]))
        difference = torch.cat([(whole.sums[name] - without.sums[name]).flatten() for name in without.sums])
        assert difference.double().norm() <= CLIP * (1 + 1e-4)


class Summed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 64, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).sum(dim=1)


@pytest.mark.parametrize("method", METHODS)
def test_rows_that_cancel_are_clipped_all_the_same(method: Method) -> None:
    """What huge opposite rows leave is more than the clip allows, and yet its norm in float32 comes out as zero."""
    example = Example(Summed, (64,), "mean_squared_error")
    module = built(example)
    with torch.no_grad():
        next(module.parameters()).zero_()
    summed = clipped_sum(module, example.loss, CLIP, method)
    for seed in range(20):
        x = torch.randn(64, generator=torch.Generator().manual_seed(seed)) * 1e7
        almost = x.clone()
        almost[0] = torch.nextafter(x[0], torch.tensor(torch.inf))
        inputs, targets = torch.stack([x, almost])[None], torch.tensor([[1.0, -1.0]])
        found = summed(inputs, targets, torch.ones(1, 2, dtype=torch.bool))
        assert found.sums["linear.weight"].double().norm() <= CLIP * 1.02


@settings(max_examples=40, deadline=None)
@given(
    patients=some.integers(1, 6),
    rows=some.integers(1, 4),
    seed=some.integers(0, 2**16),
    name=some.sampled_from(sorted(EXAMPLES)),
)
def test_methods_agree_for_any_lot(patients: int, rows: int, seed: int, name: str) -> None:
    example = EXAMPLES[name]
    module, batch = built(example), example.batch(patients, rows, seed)
    assert_same(Bookkeeping(module, example.loss, CLIP)(*batch), Functional(module, example.loss, CLIP)(*batch))


@pytest.mark.parametrize("name", ["mlp", "tokens", "image"])
def test_a_lot_in_parts_is_the_same(name: str) -> None:
    example = EXAMPLES[name]
    module, batch = built(example), example.batch(7, 2)
    whole = Bookkeeping(module, example.loss, CLIP)(*batch)
    assert_same(Bookkeeping(module, example.loss, CLIP, numbers_at_once=1)(*batch), whole)
    assert_same(Functional(module, example.loss, CLIP, patients_at_once=3)(*batch), whole)


@pytest.mark.parametrize("method", METHODS)
def test_dropout_is_drawn_anew_and_repeats_with_the_seed(method: Method) -> None:
    example = EXAMPLES["mlp"]
    module, batch = built(example).train(), example.batch(8, 2)
    summed = clipped_sum(module, example.loss, CLIP, method)
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(summed(*batch).sums["0.weight"])
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("method", METHODS)
def test_the_module_is_left_as_it_was(method: Method) -> None:
    example = EXAMPLES["mlp"]
    module = built(example).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    clipped_sum(module, example.loss, CLIP, method)(*example.batch(3, 2))
    assert module.training
    assert all(p.grad is None and p.requires_grad for p in module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_layers_without_book_keeping_fall_back() -> None:
    example = Example(lambda: nn.Sequential(nn.Linear(4, 3), nn.PReLU(), nn.Linear(3, 1)), (4,), "mean_squared_error")
    module, batch = built(example), example.batch(5, 2)
    summed = clipped_sum(module, example.loss, CLIP)
    assert isinstance(summed, Functional)
    assert_same(summed(*batch), loop(module, example, *batch))
    with pytest.raises(InvalidInput, match="without book-keeping"):
        clipped_sum(module, example.loss, CLIP, "bookkeeping")
    assert isinstance(clipped_sum(built(EXAMPLES["image"]), "cross_entropy", CLIP), Bookkeeping)


@pytest.mark.parametrize("clip", [0.0, -1.0, float("nan"), float("inf")])
def test_a_clip_that_is_no_bound_is_refused(clip: float) -> None:
    with pytest.raises(InvalidInput, match="positive"):
        clipped_sum(built(EXAMPLES["mlp"]), "binary_cross_entropy", clip)
