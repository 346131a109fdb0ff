"""Many machines: targets packed into jobs, a job run anywhere, what is missing named.

Nothing here imports torch; what a target takes is found by `compat.fit`.
"""
