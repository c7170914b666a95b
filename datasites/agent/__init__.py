"""The process that a hospital leaves running: it receives, asks its owner, runs what was approved, and releases."""

from datasites.agent.agent import Agent

__all__ = ["Agent"]
