"""The check of an environment, for a test."""

from __future__ import annotations

from typing import Any

from rlplay.environments.checker import Finding, examine_env


def check_env(env: Any, *, steps: int = 2000, seed: int = 0, **kwargs: Any) -> list[Finding]:
    """Check an environment as ``rlplay check-env`` does.

    Args:
        env: an id, ``package.module:Class``, or a function that makes the environment and takes ``render_mode``.
        steps: how long to play.
        seed: of the first episode.
        kwargs: arguments of the environment.

    Returns:
        All findings, so that a test can be strict about warnings too.

    Raises:
        AssertionError: with what breaks the contract.

    Example:
        >>> findings = check_env("FrozenLake-v1", steps=100)
        >>> sorted({finding.verdict for finding in findings})
        ['ok', 'skipped']
    """
    findings = list(examine_env(env, steps=steps, seed=seed, **kwargs))
    failed = [f"{finding.check}: {finding.words}" for finding in findings if finding.verdict == "failed"]
    assert not failed, "; ".join(failed)
    return findings
