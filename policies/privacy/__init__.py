"""Differential privacy as frozen events, and what is derived from them: epsilon, admission, noise for a target."""

from policies.privacy.events import Event, Gaussian, Laplace, SampledGaussian, SharedGaussian, Unit, gate_noise
from policies.privacy.plan import Plan

__all__ = ["Event", "Gaussian", "Laplace", "Plan", "SampledGaussian", "SharedGaussian", "Unit", "gate_noise"]
