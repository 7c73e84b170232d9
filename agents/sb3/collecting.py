"""Rollouts of Stable-Baselines3 in parts, so that a run can stop, be saved and go on at any step with the same bits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit

from rlplay.extend import name_of_run, show_model, stops_there


class Relay(BaseCallback):  # type: ignore[misc]
    """The callback that Stable-Baselines3's loops ask for: it tells a user's callbacks, of whole rollouts alone.

    Attributes:
        told: the user's callbacks, and functions of ``locals`` and ``globals``.
        ends: whether the part that is collected next is the last of its rollout.
        collects: whether a rollout has begun.
        stopped: whether one of them said stop.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []
        self.ends, self.collects, self.stopped = True, False, False

    def begin(self, model: Any, total: int) -> None:
        """A run begins; the callbacks are shown the model."""
        self.collects = self.stopped = False
        self.locals = {
            "self": model, "total_timesteps": total, "callback": self, "log_interval": None,
            "tb_log_name": name_of_run(model.agent),
        }  # fmt: skip
        for one in self._callbacks():
            show_model(one, model)
            one.on_training_start(self.locals, self.globals)

    def end(self) -> None:
        """The run is over, and with it the rollout that was begun."""
        if not self.stopped:
            self.end_rollout()
        for one in self._callbacks():
            one.on_training_end()

    def _callbacks(self) -> list[Any]:
        return [one for one in self.told if isinstance(one, BaseCallback)]

    def _on_rollout_start(self) -> None:
        for one in self._callbacks() * (not self.collects):
            one.on_rollout_start()
        self.collects = True

    def _on_rollout_end(self) -> None:
        if self.ends:
            self.end_rollout()

    def end_rollout(self) -> None:
        """Tell them that the rollout is over, where one was begun."""
        for one in self._callbacks() * self.collects:
            one.on_rollout_end()
        self.collects = False

    def update_child_locals(self, locals_: dict[str, Any]) -> None:
        """Hand on the variables of the loop."""
        for one in self._callbacks():
            one.update_locals(locals_)

    def _on_step(self) -> bool:
        for one in self.told:
            going = one.on_step() if isinstance(one, BaseCallback) else one(self.locals, self.globals)
            self.stopped |= stops_there(one, going)
        return not self.stopped


def collect_on_policy(model: Any, callback: Relay, rounds: int) -> bool:
    """At most so many steps of each environment; trains where the rollout is whole, and returns whether it did."""
    buffer = model.rollout_buffer
    whole = model.n_steps - buffer.pos
    part = min(rounds, whole)
    callback.ends = part == whole
    # A part of a rollout: what came before is not forgotten, and advantages wait until it is whole.
    buffer.reset = lambda: None
    if part < whole:
        buffer.compute_returns_and_advantage = lambda **_: None
    try:
        with _one_noise(model, model.policy, buffer.pos):
            model.collect_rollouts(model.env, callback, buffer, n_rollout_steps=part)
    finally:
        vars(buffer).pop("compute_returns_and_advantage", None)
        del buffer.reset
    if callback.stopped or not buffer.full:
        return False
    model._update_current_progress_remaining(model.num_timesteps, model._total_timesteps)
    model.train()
    buffer.reset()
    return True


class Window:
    """Steps between two updates of an off-policy algorithm.

    Attributes:
        done: steps, or episodes, since the last update.
        collected: steps of all environments since then.
    """

    def __init__(self) -> None:
        self.done = self.collected = 0

    def collect(self, model: Any, callback: Relay, rounds: int) -> bool:
        """At most so many steps of each environment; trains where an update is due, and returns whether it was."""
        frequency, unit = model.train_freq
        by_step, episodes = unit == TrainFrequencyUnit.STEP, model._episode_num
        part = min(rounds, frequency - self.done) if by_step else 1
        callback.ends = by_step and part == frequency - self.done
        with _one_noise(model, getattr(model, "actor", None), self.collected // model.n_envs):
            rollout = model.collect_rollouts(
                model.env,
                callback,
                TrainFreq(part, TrainFrequencyUnit.STEP),
                model.replay_buffer,
                action_noise=model.action_noise,
                learning_starts=model.learning_starts,
            )
        if callback.stopped:
            return False
        self.done += part if by_step else model._episode_num - episodes
        self.collected += rollout.episode_timesteps
        if self.done < frequency:
            return False
        callback.end_rollout()
        if model.num_timesteps > model.learning_starts:
            steps = model.gradient_steps if model.gradient_steps >= 0 else self.collected
            if steps > 0:
                model.train(batch_size=model.batch_size, gradient_steps=steps)
        self.done = self.collected = 0
        return True


@contextmanager
def _one_noise(model: Any, owner: Any, done: int) -> Iterator[None]:
    """State-dependent exploration over parts of a rollout: noise is drawn where the whole one would draw it.

    Stable-Baselines3 draws as a rollout begins, and then before every ``sde_sample_freq``-th step from its first.

    Args:
        model: the model.
        owner: the module that draws the noise.
        done: steps of the rollout so far.
    """
    if not model.use_sde:
        yield
        return
    draw, frequency, calls = owner.reset_noise, model.sde_sample_freq, itertools.count()

    def reset_noise(n_envs: int) -> None:
        call = next(calls)  # 0 as the part begins, then one before each step
        if (done == 0) if call == 0 else ((done + call - 1) % frequency == 0):
            draw(n_envs)

    owner.reset_noise, model.sde_sample_freq = reset_noise, min(frequency, 1)
    try:
        yield
    finally:
        del owner.reset_noise
        model.sde_sample_freq = frequency
