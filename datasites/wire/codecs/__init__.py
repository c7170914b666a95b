"""Codecs: how a model's numbers become fewer bytes on the wire, by choice of the study (see `pipeline`)."""

from datasites.wire.codecs.pipeline import Pipeline

__all__ = ["Pipeline"]
