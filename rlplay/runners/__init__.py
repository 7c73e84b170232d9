"""Many runs: each is a job that any process can finish, on the processors of this machine or on those of a Ray cluster.

A job is what was asked for and a run folder. Whoever finishes it goes on from the newest checkpoint in the folder, so a
job may be begun by one process and finished by another, in the same bits.
"""
