"""Latent communication: modules that carry one model's states into another's embeddings.

Nothing is imported here: `compat.pairs.sizes` is read where there is to be no torch.
"""
