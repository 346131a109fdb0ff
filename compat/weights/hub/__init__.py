"""Checkpoints from the hub: found in its cache, or downloaded where the person has said so.

Imports no torch.
"""

from compat.weights.hub.access import Access
from compat.weights.hub.hub import Hub
from compat.weights.hub.ledger import Ledger
from compat.weights.hub.snapshot import Snapshot, Wanted

__all__ = ["Access", "Hub", "Ledger", "Snapshot", "Wanted"]
