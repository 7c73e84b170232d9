"""Population-based training (Jaderberg et al. 2017): agents that learn side by side; the worst take over the best.

After each generation every member is evaluated on the same seeds. A member of the worst quarter copies the checkpoint
of one of the best quarter (exploit: truncation selection, §4.1) and changes its hyperparameters (explore: each is
multiplied by 0.8 or 1.2, or drawn anew with probability 0.25, §4.2). Only hyperparameters that change no array of an
agent can change on the way: that is tried out, not listed.

Members are jobs of any runner. All choices come from the seed, the number of the generation and the scores, so that a
population is the same with one process or many, undisturbed or killed and gone on with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import trim_mean

from rlplay import registry
from rlplay.errors import CheckpointError, RlplayError, UsageError, counted
from rlplay.hyperparameters.fields import checked
from rlplay.runners.job import Job, begin, finish
from rlplay.runners.runner import Runner
from rlplay.seeding import generator
from rlplay.storage import checkpoint
from rlplay.storage.files import locked, make_folder, reason, write_atomically
from rlplay.storage.texts import text_of
from rlplay.training.evaluation import evaluate
from rlplay.training.run_folder import RunFolder, folder_name, read_evaluations
from rlplay.tuning.spaces import Choices, Dimension, Numbers, Space
from rlplay.tuning.study import Plan

SHARE = 0.25  # of the population that is replaced, and that replaces
_LARGEST = 2**28  # bytes of a history
_RESAMPLED = 0.25  # probability with which a hyperparameter is drawn anew
_FACTORS = (0.8, 1.2)


class Member(NamedTuple):
    """A member after a generation.

    Attributes:
        params: its hyperparameters in it.
        score: interquartile mean of the evaluation at its end.
        parent: whom it copied after it; its own number where it went on.
    """

    params: dict[str, Any]
    score: float
    parent: int


@dataclass(frozen=True)
class Population:
    """A population in a folder.

    Attributes:
        folder: of its members, ``member_<k>/<Env>_<generation>``, and its ``generations.jsonl``.
        plan: what its members are asked for; the first seed is the population's.
        size: members, at least 4.
        generations: between which they copy each other.
    """

    folder: Path
    plan: Plan
    size: int
    generations: int

    def check(self) -> Space:
        """The part of the space that can change on the way.

        Raises:
            UsageError: fewer than 4 members or 2 generations, or nothing that can change.
        """
        if self.size < 4 or self.generations < 2:
            raise UsageError(
                f"a population of {self.size} over {counted(self.generations, 'generation')} is too small",
                "Take 4 --members and 2 --generations, or more",
            )
        space = mutable(self.plan)
        if not space:
            raise UsageError(
                f"no hyperparameter in the space of {self.plan.asked['algo']} can change while it learns",
                "Give a space with a step size, say: --space FILE.yml",
            )
        return space

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for this process, and refuse another population in it."""
        make_folder(self.folder, "-f")
        with locked(self.folder):
            path, mine = self.folder / "plan.json", {**self.plan.to_json(), "size": self.size}
            mine["generations"] = self.generations
            text = json.dumps(mine, indent=1)
            if path.is_file() and path.read_bytes() != text.encode():
                raise UsageError(f"{self.folder} holds another population", "Give another --study, or the same flags")
            write_atomically(path, text.encode())
            yield

    def history(self) -> list[list[Member]]:
        """The generations that ended.

        Raises:
            CheckpointError: members that no population has.
        """
        path = self.folder / "generations.jsonl"
        try:
            lines = text_of(path, _LARGEST).splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {reason(error)}", "Give another --study") from error
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{path} is damaged: it is no text", "Give another --study") from error
        found: list[list[Member]] = []
        for line in lines:
            try:
                members = [Member(*row) for row in json.loads(line)]
            except (ValueError, TypeError, RecursionError):
                break  # half a line, of a kill
            if len(members) != self.size or not all(self._is_member(one) for one in members):
                raise CheckpointError(
                    f"{path} is damaged: generation {len(found)} is not of {counted(self.size, 'member')}",
                    "Give another --study",
                )
            found.append(members)
        return found

    def _is_member(self, one: Member) -> bool:
        score = isinstance(one.score, int | float) and not isinstance(one.score, bool)
        return isinstance(one.params, dict) and score and one.parent in range(self.size)

    def learn(self, runner: Runner) -> Iterator[list[Member]]:
        """Let it learn, generation by generation, from where it stands; each generation that ends."""
        space = self.check()
        done = self.history()
        for number in range(len(done), self.generations):
            params = self._first_params() if number == 0 else self._params_after(done[-1], number, space)
            jobs = [self._job(k, number, one) for k, one in enumerate(params)]
            for k, job in enumerate(jobs):
                self._prepare(job, k, number, done)
            for _, outcome in runner.results(finish, jobs):
                if outcome.error:
                    raise RlplayError(f"{outcome.folder} failed: {outcome.error}", outcome.remedy)
            scores = [score_of(job) for job in jobs]
            parents = self._parents(scores, number)
            generation = [Member(*row) for row in zip(params, scores, parents, strict=True)]
            done.append(generation)
            rows = "".join(json.dumps(one) + "\n" for one in done)
            write_atomically(self.folder / "generations.jsonl", rows.encode())
            yield generation

    def best(self) -> tuple[Member, Path]:
        """The best member of the last generation, and its checkpoint."""
        members = self.history()[-1]
        k = max(range(self.size), key=lambda number: members[number].score)
        return members[k], RunFolder(self._job(k, self.generations - 1, {}).folder).last

    def _rng(self, purpose: str, number: int) -> np.random.Generator:
        return generator(self.plan.seed, f"population {purpose} {number}")

    def _first_params(self) -> list[dict[str, Any]]:
        rng = self._rng("begin", 0)
        return [{name: draw(one, rng) for name, one in self.plan.space.items()} for _ in range(self.size)]

    def _parents(self, scores: list[float], number: int) -> list[int]:
        """Whom each member goes on from."""
        rng, count = self._rng("exploit", number), max(int(self.size * SHARE), 1)
        order = np.argsort(scores, kind="stable")
        parents = list(range(self.size))
        for k in order[:count]:
            parents[k] = int(rng.choice(order[-count:]))
        return parents

    def _params_after(self, members: list[Member], number: int, space: Space) -> list[dict[str, Any]]:
        rng, found = self._rng("explore", number), []
        for k, member in enumerate(members):
            params = dict(members[member.parent].params)
            if member.parent != k:
                params.update({name: explored(params[name], one, rng) for name, one in space.items()})
            found.append(params)
        return found

    def _job(self, k: int, number: int, params: dict[str, Any]) -> Job:
        asked, last = self.plan.asked, number == self.generations - 1
        end = asked["n_timesteps"] if last else asked["n_timesteps"] * (number + 1) // self.generations
        path = self.folder / f"member_{k}" / f"{folder_name(asked['env'])}_{number}"
        make_folder(path)
        mine = {**asked, "n_timesteps": end, "eval_freq": end, "seed": self.plan.seeds[0] + k}
        return Job(path, mine, {**self.plan.fixed, **params})

    def _prepare(self, job: Job, k: int, number: int, done: list[list[Member]]) -> None:
        """Give a member the checkpoint that it goes on from, with its own hyperparameters."""
        run = RunFolder(job.folder)
        if number == 0 or checkpoint.newest_good(run.path) is not None:
            return
        source = self._job(done[-1][k].parent, number - 1, {})
        content = checkpoint.read(RunFolder(source.folder).last)
        changed = with_settings(content.manifest, job)
        checkpoint.write(run.last, changed, content.arrays)


def with_settings(manifest: dict[str, Any], job: Job) -> dict[str, Any]:
    """The manifest of a checkpoint with the hyperparameters of a job; its horizon reaches the job's end."""
    cls = registry.agent_class(job.asked["algo"])
    settings = {**manifest["hyperparameters"], **checked(cls, job.settings)}
    horizon = max(manifest["horizon"], job.asked["n_timesteps"])
    return {**manifest, "hyperparameters": settings, "horizon": horizon}


def score_of(job: Job) -> float:
    """Interquartile mean of a finished job's last evaluation."""
    path = job.folder / "evaluations.npz"
    if path.is_file():
        return float(trim_mean(read_evaluations(path).results[-1], 0.25))
    agent, _ = begin(job)
    return float(trim_mean(evaluate(agent, n_eval_episodes=job.asked["eval_episodes"]).returns, 0.25))


def draw(dimension: Dimension, rng: np.random.Generator) -> Any:
    """A value of a dimension."""
    if isinstance(dimension, Choices):
        return dimension.values[int(rng.integers(len(dimension.values)))]
    low, high = dimension.low, dimension.high
    value = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if dimension.log else float(rng.uniform(low, high))
    return round(value) if dimension.integer else min(max(value, low), high)


def explored(value: Any, dimension: Dimension, rng: np.random.Generator) -> Any:
    """A value near another: its neighbour among choices, or times 0.8 or 1.2; sometimes one drawn anew.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> explored(0.1, Numbers(0.01, 1.0, log=True), rng)
        0.12
    """
    if rng.random() < _RESAMPLED:
        return draw(dimension, rng)
    up = int(rng.integers(2))
    if isinstance(dimension, Choices):
        at = dimension.values.index(value) + (1 if up else -1)
        return dimension.values[min(max(at, 0), len(dimension.values) - 1)]
    changed = min(max(value * _FACTORS[up], dimension.low), dimension.high)
    return round(changed) if dimension.integer else changed


def mutable(plan: Plan) -> Space:
    """The part of a space that changes no array of the agent, so that a checkpoint can go on with other values."""
    rng, found = generator(0, "mutable"), {}
    base = {**plan.fixed, **{name: draw(one, rng) for name, one in plan.space.items()}}
    shapes = _shapes(plan, base)
    for name, dimension in plan.space.items():
        ends = dimension.values if isinstance(dimension, Choices) else (dimension.low, dimension.high)
        whole = isinstance(dimension, Numbers) and dimension.integer
        if all(_shapes(plan, {**base, name: round(end) if whole else end}) == shapes for end in ends):
            found[name] = dimension
    return found


def _shapes(plan: Plan, settings: dict[str, Any]) -> Any:
    from rlplay.environments.make import make

    asked = plan.asked
    cls = registry.agent_class(asked["algo"])
    env = make(asked["env"], dynamics=asked["dynamics"], **asked["env_kwargs"])
    try:
        agent = cls(env, seed=0, **checked(cls, settings))
    except RlplayError:
        return None
    finally:
        env.close()
    return {name: (array.shape, array.dtype.str) for name, array in agent.arrays().items()}
