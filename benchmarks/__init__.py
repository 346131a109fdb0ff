"""Measured figures of the suite: `python -m benchmarks [NAME ...]` keeps them in results.json."""
