"""A study on simulated hospitals, all on this machine: see `simulation.Simulation`."""

from researcher.simulation.exchange import SimulatedExchange, Tamper
from researcher.simulation.simulation import Simulation, simulate

__all__ = ["SimulatedExchange", "Simulation", "Tamper", "simulate"]
