"""Measure visionkit on the embedded digits; `python -m benchmarks.verify` runs it all and writes `results/`."""
