"""Many environments side by side, behind Gymnasium's vector interface.

* ``make``: `make_vec`, which chooses among the following.
* ``native``: copies of an environment with native dynamics or a transition table, in one native call.
* ``python``: any Gymnasium environments, one after the other (``sequential``) or in worker processes (``workers``).
* ``buffers``: batches of values as flat arrays that processes can share.
"""
