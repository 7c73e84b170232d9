"""Pictures and tables: the textbook's figures, curves, comparisons of models."""
