"""Runs approved study code in a confined worker process. Start with `process.Worker`; see README.md.

Nothing is imported here: the worker itself starts as `-m datasites.runner.worker` and should start fast.
"""
