"""Models that the private tier takes: one of each kind, with what their rows look like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from datasites.training.graph import GraphModule, build
from datasites.training.losses import Loss
from datasites.wire.graph import Graph
from researcher.tracing import initial_parameters, trace


class Residual(nn.Module):
    """One layer used twice, and a functional dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.same, self.norm, self.leave = (
            nn.Linear(7, 12),
            nn.Linear(12, 12),
            nn.LayerNorm(12),
            nn.Linear(12, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for _ in range(2):
            x = x + functional.dropout(functional.gelu(self.same(self.norm(x))), 0.2, self.training)
        return self.leave(0.5 * x - 1).squeeze(1)


class Categories(nn.Module):
    """Two columns of integers among others."""

    def __init__(self, padding: int | None = None) -> None:
        super().__init__()
        self.ward, self.drug = nn.Embedding(6, 4), nn.Embedding(5, 3, padding_idx=padding)
        self.body = nn.Sequential(nn.Linear(5 + 4 + 3, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        codes = x[:, :2].long()
        return self.body(torch.cat([x[:, 2:], self.ward(codes[:, 0]), self.drug(codes[:, 1])], dim=-1))


class Tokens(nn.Module):
    """A sequence of integers; the mean of their embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm, self.head = nn.Embedding(9, 8), nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.embed(x)).mean(dim=1))


class Signal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(2, 6, 3, padding="same"),
            nn.InstanceNorm1d(6, affine=True),
            nn.SiLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(6, 4, 3, stride=2, dilation=2, padding=2, groups=2, bias=False),
            nn.LeakyReLU(),
        )
        self.head = nn.Linear(4 * 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x.view(x.size(0), 2, -1))
        return self.head(x.view(x.shape[0], -1))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(10, 16), nn.LayerNorm(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 1))


def image() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.GroupNorm(2, 4),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 8, 3),
        nn.ELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


@dataclass(frozen=True)
class Example:
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    loss: Loss
    integers: int = 0  # integers in the rows are from 0 to this; 0: there are none

    def module(self, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        return self.make()

    def graph(self, module: nn.Module) -> Graph:
        return trace(module, self.shape, integers=self.whole)

    @property
    def whole(self) -> bool:
        return self.make is Tokens

    def batch(self, patients: int, rows: int, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, targets, and who is present; some rows are not, where there are several a patient."""
        draw = torch.Generator().manual_seed(seed)
        size = (patients, rows, *self.shape)
        inputs = torch.randn(size, generator=draw)
        if self.integers:
            codes = torch.randint(0, self.integers, size, generator=draw)
            inputs = codes if self.whole else torch.cat([codes[..., :2].float(), inputs[..., 2:]], dim=-1)
        classes = 3 if self.loss == "cross_entropy" else 2
        targets = torch.randint(0, classes, (patients, rows), generator=draw)
        present = torch.rand(patients, rows, generator=draw) < (1.1 if rows == 1 else 0.7)
        return inputs, targets if self.loss == "cross_entropy" else targets.float(), present


EXAMPLES = {
    "logistic regression": Example(lambda: nn.Linear(10, 1), (10,), "binary_cross_entropy"),
    "mlp": Example(mlp, (10,), "binary_cross_entropy"),
    "regression": Example(mlp, (10,), "mean_squared_error"),
    "residual": Example(Residual, (7,), "binary_cross_entropy"),
    "categories": Example(Categories, (7,), "binary_cross_entropy", 5),
    "padded categories": Example(lambda: Categories(0), (7,), "binary_cross_entropy", 5),
    "tokens": Example(Tokens, (6,), "cross_entropy", 9),
    "signal": Example(Signal, (20,), "cross_entropy"),
    "image": Example(image, (1, 8, 8), "cross_entropy"),
}


def rebuilt(graph: Graph, module: nn.Module) -> GraphModule:
    """What the hospital makes of the graph and the researcher's parameters."""
    made = build(Graph.model_validate_json(graph.canonical()))
    made.load_state_dict({name: torch.tensor(array) for name, array in initial_parameters(module).items()})
    return made
