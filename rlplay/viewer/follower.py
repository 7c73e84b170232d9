"""A window follows a run that another process trains: it takes over the weights that are written."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from rlplay.agent import saving
from rlplay.environments.no_environment import NoEnvironment
from rlplay.viewer.session import Session


class Follower:
    """Takes over the weights that a training process writes, at most twice a second, without touching it.

    Args:
        session: the session whose agent is replaced.
        path: the checkpoint that the trainer rewrites.
        monitor: its ``0.monitor.csv``.
        others: sessions that take the same weights, as the rows of a mosaic.
    """

    def __init__(self, session: Session, path: Path, monitor: Path, others: Sequence[Session] = ()) -> None:
        self.session, self.path, self.monitor, self.others = session, path, monitor, others
        self._seen = 0
        self._read = 0

    def poll(self) -> None:
        """Look once; a file that is just being replaced is taken the next time."""
        try:
            stamp = self.path.stat().st_mtime_ns
        except OSError:
            return
        if stamp != self._seen:
            self._seen = stamp
            env = self.session.env
            agent = saving.load(self.path, NoEnvironment(env.observation_space, env.action_space, ""))
            agent.env = env
            for one in (self.session, *self.others):
                one.agent, one.followed = agent, True
        try:
            size = self.monitor.stat().st_size
            if size != self._read:
                self._read = size
                with open(self.monitor, encoding="utf-8") as file:
                    rows = [r for r in csv.DictReader(x for x in file if not x.startswith("#")) if r["r"] and r["step"]]
                    self.session.returns = [float(row["r"]) for row in rows]
                    self.session.episode_numbers = [int(row["episode"]) for row in rows]
        except (OSError, ValueError, KeyError):
            return
