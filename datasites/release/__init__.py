"""The release gate: the only way out of a hospital. Start with `gate.Gate`; see README.md.

Nothing is imported here: the gate's own process starts as `-m datasites.release.inside` and should start fast.
"""
