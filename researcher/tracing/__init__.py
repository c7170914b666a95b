"""A model as data: what a hospital trains in the private tier instead of a researcher's code."""

from researcher.tracing.trace import initial_parameters, trace

__all__ = ["initial_parameters", "trace"]
