"""Models from scratch with scikit-learn's API: they swap with its own, alone, in pipelines and inside agents."""
