from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from policies.errors import InvalidInput
from researcher.tracing import initial_parameters, trace
from tests.support.networks import EXAMPLES, rebuilt


class Follows(nn.Module):
    """A linear layer, and whatever the test says."""

    def __init__(self, forward: Callable[[Follows, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)
        for name, part in parts.items():
            self.add_module(name, part)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, self.linear(x))


SUPPORTED: dict[str, Callable[[Follows, Tensor], Tensor]] = {
    "view by size": lambda m, x: x.view(x.size(0), 2, 3).flatten(1),
    "view by shape": lambda m, x: x.view(x.shape[0], -1, x.shape[1] // 2).mean(dim=1),
    "reshape with -1 for the rows": lambda m, x: x.reshape(-1, 2, 3).transpose(1, 2).reshape(-1, 6),
    "permute": lambda m, x: x.unflatten(1, (2, 3)).permute(0, 2, 1).contiguous().view(x.shape[0], 6),
    "columns": lambda m, x: torch.cat([x[:, :2], x[:, 4:], x[..., 3:4], x[:, None, -1]], dim=1),
    "one column": lambda m, x: x[:, 2] * x[:, 3] - x[:, -1],
    "chunks": lambda m, x: (lambda parts: torch.mul(parts[0], parts[1]))(x.chunk(2, dim=-1)),
    "split": lambda m, x: x.split([2, 4], dim=1)[1],
    "stack": lambda m, x: torch.stack([x, torch.tanh(x)], dim=1).amax(dim=1),
    "gating": lambda m, x: x * torch.sigmoid(x) + (1 - x) * 0.5 - x / 2,
    "numbers on the left": lambda m, x: 3 - 2 * (1 + -x),
    "functions": lambda m, x: functional.leaky_relu(functional.layer_norm(x, (6,)), 0.2).clamp(-1, 1),
    "own weights": lambda m, x: functional.linear(x, m.linear.weight, m.linear.bias),
    "softmax": lambda m, x: functional.softmax(x, dim=1) + x.log_softmax(-1) + torch.softmax(x, 1),
    "functional pooling": lambda m, x: functional.max_pool1d(x.unsqueeze(1), 2).squeeze(1),
    "more pooling": lambda m, x: functional.avg_pool1d(x.unsqueeze(1), 3, stride=1, padding=1).squeeze(1),
    "adaptive pooling": lambda m, x: functional.adaptive_avg_pool1d(x.unsqueeze(1), 3).flatten(1),
    "dropout while training": lambda m, x: functional.dropout(x, 0.5, training=m.training),
}


@pytest.mark.parametrize("name", SUPPORTED)
def test_what_forward_may_do(name: str) -> None:
    module = Follows(SUPPORTED[name]).eval()
    inputs = torch.randn(6, 6)
    torch.testing.assert_close(rebuilt(trace(module, 6), module).eval()(inputs), module(inputs))


def _tied() -> nn.Module:
    module = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    module[1].weight = module[0].weight
    return module


def _frozen() -> nn.Module:
    module = nn.Sequential(nn.Linear(6, 6))
    module[0].bias.requires_grad_(False)
    return module


def _hooked() -> nn.Module:
    module = nn.Sequential(nn.Linear(6, 6))
    module[0].register_forward_hook(lambda *_: None)
    return module


def _buffered() -> nn.Module:
    module = Follows(lambda m, x: x - m.mean)
    module.register_buffer("mean", torch.zeros(6))
    return module


class Subclass(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.sum() > 0 else x


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "batch norm": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8)),
        r"layer 1 \(BatchNorm1d\): it mixes the records of a batch. Use LayerNorm\(8\) or GroupNorm\(4, 8\)",
    ),
    "batch norm of images": (
        lambda: nn.Sequential(nn.BatchNorm2d(32), nn.Flatten()),
        r"Use GroupNorm\(16, 32\) or GroupNorm\(1, 32\)",
    ),
    "instance norm with memory": (
        lambda: nn.Sequential(nn.InstanceNorm1d(6, track_running_stats=True)),
        r"statistics of other records. Use InstanceNorm1d\(..., track_running_stats=False\)",
    ),
    "lstm": (lambda: Follows(lambda m, x: m.rnn(x)[0], rnn=nn.LSTM(6, 6)), "recurrent layers .* Use Conv1d"),
    "attention": (
        lambda: Follows(lambda m, x: m.look(x, x, x)[0], look=nn.MultiheadAttention(6, 2)),
        "attention is not supported. Use Conv1d",
    ),
    "channel dropout": (lambda: nn.Sequential(nn.Linear(6, 6), nn.AlphaDropout()), "Use Dropout"),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(6)), "its shape is not known yet"),
    "in place": (lambda: nn.Sequential(nn.Linear(6, 6), nn.ReLU(inplace=True)), "Use inplace=False"),
    "in place by a function": (lambda: Follows(lambda m, x: functional.relu(x, True)), "Use inplace=False"),
    "in place by a method": (lambda: Follows(lambda m, x: x.relu_()), "method relu_: it is not in the list"),
    "tied": (_tied, r"parameter 1.weight: it is tied to 0.weight"),
    "frozen": (_frozen, "parameter 0.bias: it is frozen"),
    "hooks": (_hooked, r"layer 0 \(Linear\): it has hooks"),
    "weight norm": (lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 6))), "remove_parametrizations"),
    "buffer": (_buffered, "it keeps the buffer mean"),
    "half precision": (lambda: nn.Sequential(nn.Linear(6, 6).half()), r"Use module.float\(\)"),
    "never used": (lambda: Follows(lambda m, x: x, other=nn.Linear(2, 2)), "parameter other.weight: forward never"),
    "a subclass": (lambda: nn.Sequential(Subclass(6, 6)), "cannot be followed without data"),
    "control flow": (lambda: Follows(lambda m, x: x if x.sum() > 0 else -x), "no if, while, len"),
    "loops over rows": (lambda: Follows(lambda m, x: torch.stack([row * 2 for row in x])), "cannot be followed"),
    "numbers": (lambda: Follows(lambda m, x: x * float(x.mean())), "cannot be followed"),
    "mean over everything": (lambda: Follows(lambda m, x: x - x.mean()), "mixes the records. Give dim, from 1"),
    "mean over rows": (lambda: Follows(lambda m, x: x - x.mean(dim=0)), "that of the records"),
    "mean over rows from behind": (lambda: Follows(lambda m, x: x - x.mean(dim=-2)), "that of the records"),
    "softmax over rows": (lambda: Follows(lambda m, x: torch.softmax(x, 0)), "that of the records"),
    "rows put together": (lambda: Follows(lambda m, x: torch.cat([x, x])), "that of the records"),
    "rows selected": (lambda: Follows(lambda m, x: x[1:]), "that of the records"),
    "rows moved": (lambda: Follows(lambda m, x: x.transpose(0, 1)), "that of the records"),
    "rows flattened": (lambda: Follows(lambda m, x: x.flatten()), "that of the records"),
    "rows reshaped": (lambda: Follows(lambda m, x: x.view(-1, 3)), "does not keep the records apart"),
    "rows broadcast": (lambda: Follows(lambda m, x: x - x[:, 0]), "do not fit each other"),
    "squeeze of everything": (lambda: Follows(lambda m, x: x.squeeze()), "Give dim"),
    "unknown function": (lambda: Follows(lambda m, x: torch.fft.fft(x).real), "call of .*: it is not in the list"),
    "unknown method": (lambda: Follows(lambda m, x: x.cumsum(0)), "method cumsum: it is not in the list"),
    "constant tensor": (lambda: Follows(lambda m, x: x + torch.ones(6)), "cannot|only|Only"),
    "dropout for ever": (lambda: Follows(lambda m, x: functional.dropout(x, 0.5)), "training=self.training"),
    "two ways": (lambda: Follows(lambda m, x: x if m.training else -x), "something else in training than in eval"),
    "two outputs": (lambda: Follows(lambda m, x: (x, x)), "must return one tensor"),
    "wrong width": (lambda: nn.Sequential(nn.Linear(5, 6)), "does not fit an input"),
    "even kernel": (lambda: nn.Sequential(nn.Conv1d(1, 1, 2, padding="same")), "an odd kernel"),
    "circular": (lambda: nn.Sequential(nn.Conv1d(1, 1, 3, padding_mode="circular")), "padding_mode='zeros'"),
    "counts of the batch": (lambda: nn.Sequential(nn.Embedding(6, 6, scale_grad_by_freq=True)), "mix records"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_carried_is_refused_with_what_to_use(name: str) -> None:
    make, says = REFUSED[name]
    with pytest.raises(InvalidInput, match=says):
        trace(make(), 6)


def test_every_problem_is_listed_at_once() -> None:
    class Bad(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter, self.norm = nn.Linear(6, 6), nn.BatchNorm1d(6)
            self.relu, self.memory = nn.ReLU(inplace=True), nn.GRU(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            x = self.relu(self.norm(self.enter(x)))
            x = x - x.mean(dim=0)
            return self.memory(torch.cumsum(x, 1))[0]

    with pytest.raises(InvalidInput) as refused:
        trace(Bad(), 6)
    for part in ("norm (BatchNorm1d)", "relu (ReLU)", "memory (GRU)", "call of mean", "call of cumsum"):
        assert part in str(refused.value).replace("call of the method mean", "call of mean")


def test_two_inputs_are_refused() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 1)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.linear(x + y)

    with pytest.raises(InvalidInput, match="one tensor"):
        trace(Two(), 6)


@pytest.mark.parametrize("training", [True, False])
def test_the_module_is_left_as_it_was(training: bool) -> None:
    module = EXAMPLES["mlp"].module()
    module[1].train(not training)
    module[2].train(training)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    trace(module, 10)
    assert (module[1].training, module[2].training) == (not training, training)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_same_module_always_gives_the_same_graph(name: str) -> None:
    example = EXAMPLES[name]
    assert example.graph(example.module(0)).digest == example.graph(example.module(1)).digest


def test_initial_parameters_are_copies() -> None:
    module = nn.Linear(3, 1)
    arrays = initial_parameters(module)
    arrays["weight"][:] = 7
    assert not (module.weight == 7).any()
    assert {name: array.dtype.name for name, array in arrays.items()} == {"weight": "float32", "bias": "float32"}
