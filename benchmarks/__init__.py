"""Measurements, as ratios within one run. `python -m benchmarks` runs all, `python -m benchmarks NAME` one."""
