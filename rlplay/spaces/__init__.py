"""Spaces and observations: numbering what is finite, vectors from what is not."""
