"""Blocks, attention, output projection, embeddings and head, found in any model."""
