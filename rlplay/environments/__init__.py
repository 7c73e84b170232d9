"""Environments: made, stepped, recorded, checked, wrapped, and many side by side."""
