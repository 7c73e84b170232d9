"""A runner from what a user types."""

from __future__ import annotations

from rlplay.errors import UsageError
from rlplay.runners.runner import OneByOne, Runner

RUNNERS = ("local", "ray")


def new_runner(kind: str = "local", jobs: int | None = None, address: str | None = None) -> Runner:
    """A runner.

    Args:
        kind: ``local`` or ``ray``.
        jobs: calls at once; by default 1, and with Ray the processors of the cluster.
        address: of a Ray cluster; None starts one on this machine.

    Raises:
        UsageError: an unknown kind, fewer than one job, or no cluster at the address.
        MissingPackageError: ray is not installed.

    Example:
        >>> runner = new_runner()
        >>> type(runner).__name__
        'OneByOne'
        >>> runner.close()
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs={jobs} is not 1 or more")
    if kind == "ray":
        from rlplay.runners.ray_cluster import RayRunner

        return RayRunner(jobs, address)
    if kind != "local":
        raise UsageError(f"runner {kind!r} is not one of {', '.join(RUNNERS)}")
    if address is not None:
        raise UsageError("a Ray address has no effect with the local runner", "Add --runner ray")
    if jobs is None or jobs == 1:
        return OneByOne()
    from rlplay.runners.processes import ProcessRunner

    return ProcessRunner(jobs)
