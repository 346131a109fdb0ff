"""The checks: one module an area. A check sees a `Subject` and nothing else."""
