"""Pure equations over arrays: what learning rules are made of."""
