"""Kubernetes: the worker runs in a job of its own; needs `wardround[kubernetes]`, the official client."""
