"""The native engine: rules and environments as plain functions, compiled by numba, cached on disk.

* ``cache``: the decorator ``@compiled`` and where machine code is kept.
* ``pcg64``: NumPy's random generator, bit for bit, for compiled code.
* ``table``: the dynamics of an environment given by a transition table, and the same as a Gymnasium environment.
* ``loops``: the training loop that joins a learning rule and an environment's dynamics.
"""
