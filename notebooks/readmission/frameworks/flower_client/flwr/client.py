"""The names that clients import from `flwr.client`."""


class NumPyClient:
    """A client defines `get_parameters`, `fit` and `evaluate`, on lists of NumPy arrays."""

    def to_client(self) -> "NumPyClient":
        """Flower wraps it here; nothing is left to wrap."""
        return self
