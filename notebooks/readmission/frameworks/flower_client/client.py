"""A Flower client, as it stands in Flower's own tutorials: not a line of it knows where it runs."""

from collections import OrderedDict

import torch
from flwr.client import NumPyClient
from torch.utils.data import DataLoader


class FlowerClient(NumPyClient):
    def __init__(self, net, trainloader: DataLoader, testloader: DataLoader, local_epochs: int) -> None:
        self.net, self.trainloader, self.testloader = net, trainloader, testloader
        self.local_epochs = local_epochs

    def get_parameters(self, config) -> list:
        return [value.cpu().numpy() for _, value in self.net.state_dict().items()]

    def set_parameters(self, parameters) -> None:
        params_dict = zip(self.net.state_dict().keys(), parameters, strict=True)
        self.net.load_state_dict(OrderedDict({k: torch.tensor(v) for k, v in params_dict}), strict=True)

    def fit(self, parameters, config) -> tuple[list, int, dict]:
        self.set_parameters(parameters)
        train(self.net, self.trainloader, self.local_epochs)
        return self.get_parameters(config), len(self.trainloader.dataset), {}

    def evaluate(self, parameters, config) -> tuple[float, int, dict]:
        self.set_parameters(parameters)
        loss, accuracy = test(self.net, self.testloader)
        return loss, len(self.testloader.dataset), {"accuracy": accuracy}


def train(net, trainloader, epochs) -> None:
    criterion = torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    net.train()
    for _ in range(epochs):
        for x, y in trainloader:
            optimizer.zero_grad()
            criterion(net(x).squeeze(1), y).backward()
            optimizer.step()


def test(net, testloader) -> tuple[float, float]:
    criterion = torch.nn.BCEWithLogitsLoss(reduction="sum")
    correct, loss = 0, 0.0
    net.eval()
    with torch.no_grad():
        for x, y in testloader:
            outputs = net(x).squeeze(1)
            loss += criterion(outputs, y).item()
            correct += ((outputs > 0) == (y == 1)).sum().item()
    return loss / len(testloader.dataset), correct / len(testloader.dataset)
