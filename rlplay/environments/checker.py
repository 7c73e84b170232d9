"""The checker of environments: 2000 steps, and everything that is likely to hurt an agent later.

Gymnasium's and Stable-Baselines3's checkers look at the first steps. This one plays long, replays from seed and
actions, looks for numbers that are not finite, reused buffers and shared state, and asks what happens where nobody
should go.

    rlplay check-env my_module:MyEnv

In a test: ``rlplay.testing.check_env``.
"""

from __future__ import annotations

import copy
import math
import os
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rlplay.environments.make import make, reference, time_limit
from rlplay.environments.masks import MaskSource
from rlplay.errors import EnvironmentFault, RlplayError, counted
from rlplay.spaces.actions import as_played
from rlplay.spaces.finite import is_finite

Verdict = Literal["ok", "warning", "failed", "skipped"]
Maker = Callable[..., gym.Env[Any, Any]]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name.
        verdict: ``ok``, ``warning`` (works, may surprise), ``failed`` (breaks the contract) or ``skipped``.
        words: what was seen, where, and the way out.
    """

    check: str
    verdict: Verdict
    words: str = ""


class Step(NamedTuple):
    """A step as the environment gave it."""

    action: Any
    obs: Any
    reward: Any
    terminated: Any
    truncated: Any


class Fault(Exception):  # noqa: N818 - carries a finding out of a loop
    """A broken contract, after which nothing can be checked."""


def examine_env(env: str | Maker, *, steps: int = 2000, seed: int = 0, **kwargs: Any) -> Iterator[Finding]:
    """Check an environment; yields one finding after the other.

    Args:
        env: an id, ``package.module:Class``, or a function that makes the environment and takes ``render_mode``.
        steps: how long to play.
        seed: of the first episode; the next one's is one more.
        kwargs: arguments of the environment.

    Raises:
        UnknownNameError, UsageError: it cannot be made.
    """

    def maker(**more: Any) -> gym.Env[Any, Any]:
        if isinstance(env, str):
            return make(env, dynamics="gymnasium", **kwargs, **more)
        return env(**kwargs, **more)

    first = maker()
    played: list[Step] = []
    try:
        try:
            yield from _spaces(first)
            findings, played = _play(first, steps, seed)
        except Fault as fault:
            yield Finding(counted(steps, "step"), "failed", str(fault))
            return
        yield from findings
        yield from _endings(first, played)
        yield _replay(first, played, seed, "same seed, same episodes")
        yield _another(maker, played, seed)
        yield _apart(maker, played, seed)
        yield _seeds(first, seed)
        yield from _misuse(maker, seed)
        yield _after_the_end(maker, seed, steps)
        yield from _render(first, maker, seed)
        yield _close(maker, seed)
        if isinstance(env, str):
            yield from _native(env, kwargs, seed)
    finally:
        first.close()


def _spaces(env: gym.Env[Any, Any]) -> Iterator[Finding]:
    for role in ("observation", "action"):
        space = getattr(env, f"{role}_space", None)
        if not isinstance(space, gym.Space):
            raise Fault(f"{role}_space is {space!r}, not a gymnasium space")
        words, verdict = str(space), "ok"
        for part in _parts(space):
            if isinstance(part, spaces.Box) and part.dtype.kind == "f":
                if (part.low >= part.high).any():
                    words, verdict = f"{space}: a lower bound is not below the upper one", "warning"
                elif role == "action" and not (np.isfinite(part.low).all() and np.isfinite(part.high).all()):
                    words, verdict = f"{space}: actions without bounds; most agents need them finite", "warning"
        yield Finding(f"{role} space", verdict, words)  # type: ignore[arg-type]


def _play(env: gym.Env[Any, Any], steps: int, seed: int) -> tuple[list[Finding], list[Step]]:
    """The long play: every value looked at."""
    env.action_space.seed(seed)
    before = np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index]
    played: list[Step] = []
    reused = changed = outside = ""
    info: dict[str, Any] = {}
    previous, kept = None, None
    episode, length, seconds, ended = -1, 0, [], True
    for _ in range(steps):
        where = f"step {length + 1} of the episode with seed {seed + max(episode, 0)}"
        if ended:
            episode, length, ended = episode + 1, 0, False
            where = f"reset(seed={seed + episode})"
            obs, info = _pair(_called(where, env.reset, seed=seed + episode), where)
            outside = _look(env, obs, info, where) or outside
            previous, kept = obs, copy.deepcopy(obs)
            where = f"step 1 of the episode with seed {seed + episode}"
        action = _choose(env, info)
        given = copy.deepcopy(action)
        start = time.perf_counter()
        result = _called(where, env.step, action)
        seconds.append(time.perf_counter() - start)
        if not isinstance(result, tuple) or len(result) != 5:
            raise Fault(f"step() gave {_brief(result)} in {where}: observation, reward, terminated, truncated, info")
        obs, reward, terminated, truncated, info = result
        outside = _look(env, obs, info, where) or outside
        _look_at_reward(reward, where)
        for name, flag in (("terminated", terminated), ("truncated", truncated)):
            if not isinstance(flag, bool | np.bool_):
                raise Fault(f"{name} is {_brief(flag)} in {where}, not a bool")
        if not _same(previous, kept) and not reused:
            reused = f"the observation before {where} was changed by that step: give a copy, not the buffer itself"
        if not _same(action, given) and not changed:
            changed = f"the action {_brief(given)} was changed to {_brief(action)} in {where}: work on a copy"
        played.append(Step(given, copy.deepcopy(obs), reward, bool(terminated), bool(truncated)))
        previous, kept = obs, played[-1].obs
        length, ended = length + 1, bool(terminated or truncated)
    after = np.random.get_state()[1], random.getstate()  # type: ignore[index]
    words = f"every value of the right type and shape, all finite; {1e6 * float(np.median(seconds)):.3g} µs a step"
    findings = [
        Finding(counted(steps, "step"), "ok", words),
        Finding("observations within their space", "warning" if outside else "ok", outside),
        Finding("a new observation each step", "warning" if reused else "ok", reused),
        Finding("actions left as they are", "warning" if changed else "ok", changed),
    ]
    drew = not np.array_equal(before[0], after[0]) or before[1] != after[1]
    findings.append(
        Finding("randomness of its own", "warning" if drew else "ok",
                "it draws from a global generator, which no seed of its own controls: use self.np_random" if drew
                else "no global generator was touched")
    )  # fmt: skip
    return findings, played


def _called(where: str, method: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    try:
        return method(*arguments, **keywords)
    except Exception as error:
        raise Fault(f"{where} raised {type(error).__name__}: {error}") from error


def _pair(result: Any, where: str) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise Fault(f"{where} gave {_brief(result)}, not an observation and an info")
    return result


def _look(env: gym.Env[Any, Any], obs: Any, info: Any, where: str) -> str:
    """Whether an observation and its info can be; the words for one that merely lies outside its bounds."""
    space = env.observation_space
    if not isinstance(info, dict):
        raise Fault(f"info is {_brief(info)} in {where}, not a dict")
    try:
        MaskSource(env).of(info)
    except EnvironmentFault as error:
        raise Fault(
            f"the action mask {_brief(info.get('action_mask'))} in {where}: one entry an action, at least one of them 1"
        ) from error
    for path, part, value in _leaves(space, obs, "observation", where):
        if isinstance(part, spaces.Box):
            if not isinstance(value, np.ndarray) or value.shape != part.shape:
                raise Fault(f"{path} is {_brief(value)} in {where}, not an array of shape {part.shape}")
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                at = np.argwhere(~np.isfinite(value))[0].tolist()
                raise Fault(f"{path} has {value[tuple(at)]} at {at} in {where}")
            if value.dtype != part.dtype:
                raise Fault(f"{path} has dtype {value.dtype} in {where}, its space has {part.dtype}")
            if not part.contains(value):
                at = np.argwhere((value < part.low) | (value > part.high))[0].tolist()
                bounds = f"{part.low[tuple(at)]:g} to {part.high[tuple(at)]:g}"
                return f"{path} has {value[tuple(at)]:g} at {at} in {where}, outside {bounds}"
        elif not part.contains(value):
            raise Fault(f"{path} is {_brief(value)} in {where}, which is not in {part}")
    return ""


def _leaves(space: gym.Space[Any], value: Any, path: str, where: str) -> Iterator[tuple[str, gym.Space[Any], Any]]:
    """The parts of a value with their spaces and where they are."""
    if isinstance(space, spaces.Dict):
        if not isinstance(value, dict) or set(value) != set(space.spaces):
            raise Fault(f"{path} is {_brief(value)} in {where}, not a dict with {', '.join(space.spaces)}")
        for key, part in space.spaces.items():
            yield from _leaves(part, value[key], f"{path}[{key!r}]", where)
    elif isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple) or len(value) != len(space.spaces):
            raise Fault(f"{path} is {_brief(value)} in {where}, not a tuple of {len(space.spaces)}")
        for k, part in enumerate(space.spaces):
            yield from _leaves(part, value[k], f"{path}[{k}]", where)
    else:
        yield path, space, value


def _parts(space: gym.Space[Any]) -> list[gym.Space[Any]]:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        inner = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        return [leaf for part in inner for leaf in _parts(part)]
    return [space]


def _look_at_reward(reward: Any, where: str) -> None:
    if not isinstance(reward, int | float | np.integer | np.floating) or isinstance(reward, bool):
        raise Fault(f"reward is {_brief(reward)} ({type(reward).__name__}) in {where}, not a number")
    if not np.isfinite(reward):
        raise Fault(f"reward is {reward} in {where}")


def _choose(env: gym.Env[Any, Any], info: dict[str, Any]) -> Any:
    """A random action that may be taken."""
    return as_played(env.action_space, MaskSource(env).sample(info))


def _endings(env: gym.Env[Any, Any], played: list[Step]) -> Iterator[Finding]:
    terminated = sum(step.terminated for step in played)
    truncated = sum(step.truncated and not step.terminated for step in played)
    words = f"{terminated} terminated, {truncated} truncated of {len(played)} random steps"
    limit = time_limit(env)
    if terminated or truncated or limit:
        yield Finding("endings", "ok", words + (f"; time limit {counted(limit, 'step')}" if limit else ""))
    else:
        yield Finding("endings", "warning", f"{words}, and no time limit: give max_episode_steps if it should end")


def _replayed(env: gym.Env[Any, Any], played: list[Step], seed: int) -> Iterator[tuple[int, int, str]]:
    """Play the same actions from the same seeds; yields step and episode, and what differs."""
    episode, length, ended = -1, 0, True
    for step in played:
        if ended:
            episode, length = episode + 1, 0
            env.reset(seed=seed + episode)
        obs, reward, terminated, truncated, _ = env.step(copy.deepcopy(step.action))
        length += 1
        differs = ""
        if not _same(obs, step.obs):
            differs = f"observation {_brief(obs)}, before {_brief(step.obs)}"
        elif not _same(reward, step.reward):
            differs = f"reward {reward}, before {step.reward}"
        elif (bool(terminated), bool(truncated)) != (step.terminated, step.truncated):
            differs = f"terminated, truncated = {terminated}, {truncated}, before {step.terminated}, {step.truncated}"
        yield episode, length, differs
        ended = step.terminated or step.truncated


def _replay(env: gym.Env[Any, Any], played: list[Step], seed: int, name: str) -> Finding:
    """The same seeds and actions again must give the same episodes, whatever the global generators are at."""
    state = np.random.get_state(), random.getstate()
    np.random.seed(12345)
    random.seed(12345)
    try:
        for episode, length, differs in _replayed(env, played, seed):
            if differs:
                return Finding(name, "failed", f"step {length} of the episode with seed {seed + episode}: {differs}")
    except Exception as error:
        return Finding(name, "failed", f"the replay raised {type(error).__name__}: {error}")
    finally:
        np.random.set_state(state[0])
        random.setstate(state[1])
    return Finding(name, "ok", f"{counted(len(played), 'step')} replayed exactly from seeds and actions")


def _another(maker: Maker, played: list[Step], seed: int) -> Finding:
    env = maker()
    try:
        return _replay(env, played, seed, "same seed in a new instance")
    finally:
        env.close()


def _apart(maker: Maker, played: list[Step], seed: int) -> Finding:
    """Two instances that take turns must not disturb each other."""
    name, one, other = "instances apart from each other", maker(), maker()
    short = played[: min(len(played), 300)]
    try:
        moves = _replayed(other, short, seed)
        for episode, length, differs in _replayed(one, short, seed):
            next(moves, None)
            if differs:
                return Finding(name, "failed", f"with a second one beside it, step {length} of the episode with seed "
                                               f"{seed + episode} gave {differs}: they share state")  # fmt: skip
    except Exception as error:
        return Finding(name, "failed", f"two instances side by side raised {type(error).__name__}: {error}")
    finally:
        one.close()
        other.close()
    return Finding(name, "ok")


def _seeds(env: gym.Env[Any, Any], seed: int) -> Finding:
    firsts = [copy.deepcopy(env.reset(seed=seed + k)[0]) for k in range(8)]
    alike = all(_same(firsts[0], one) for one in firsts[1:])
    return Finding("seeds", "ok", "8 seeds give " + ("the same first observation" if alike else "different starts"))


def _misuse(maker: Maker, seed: int) -> Iterator[Finding]:
    """What happens where nobody should go: an error is right, silence is a surprise."""
    env = maker()
    try:
        try:
            env.step(env.action_space.sample())
            yield Finding("step before reset", "warning", "no error: an agent would learn from nothing")
        except Exception as error:
            yield Finding("step before reset", "ok", f"refused: {type(error).__name__}")
        bad = _outside(env.action_space)
        if bad is None:
            yield Finding("action outside the space", "skipped", f"none is known for {env.action_space}")
            return
        env.reset(seed=seed)
        try:
            env.step(bad)
            yield Finding("action outside the space", "warning", f"{_brief(bad)} is taken without an error")
        except Exception as error:
            yield Finding("action outside the space", "ok", f"refused: {type(error).__name__}")
    finally:
        env.close()


def _outside(space: gym.Space[Any]) -> Any:
    if isinstance(space, spaces.Discrete):
        return int(space.start + space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return space.nvec + space.start
    return np.full(space.shape, np.nan, space.dtype) if isinstance(space, spaces.Box) else None


def _after_the_end(maker: Maker, seed: int, steps: int) -> Finding:
    name, env = "step after the end", maker()
    try:
        env.action_space.seed(seed)
        info = env.reset(seed=seed)[1]
        for _ in range(steps):
            obs, _, terminated, truncated, info = env.step(_choose(env, info))
            if terminated or truncated:
                break
        else:
            return Finding(name, "skipped", "no episode ended")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Gymnasium's worlds warn: that is theirs to say
                obs, reward, *_ = env.step(_choose(env, info))
        except Exception as error:
            crashed = isinstance(error, IndexError | KeyError | AttributeError | TypeError | ZeroDivisionError)
            crashed = crashed and not isinstance(error, RlplayError)
            words = (
                f"it crashes with {type(error).__name__}: {error}" if crashed else f"refused: {type(error).__name__}"
            )
            return Finding(name, "warning" if crashed else "ok", words)
        for path, _, value in _leaves(env.observation_space, obs, "observation", "the step after the end"):
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
                return Finding(name, "failed", f"{path} is not finite")
        if not math.isfinite(reward):
            return Finding(name, "failed", f"reward is {reward}")
        return Finding(name, "ok", "it goes on with finite numbers")
    finally:
        env.close()


def _render(env: gym.Env[Any, Any], maker: Maker, seed: int) -> Iterator[Finding]:
    modes = env.metadata.get("render_modes", [])
    if not modes:
        yield Finding("render modes", "skipped", "none: it cannot be watched (metadata['render_modes'])")
        return
    if "render_fps" not in env.metadata and "rgb_array" in modes:
        yield Finding("render_fps", "warning", "metadata['render_fps'] is missing: viewers guess the pace")
    for mode in modes:
        name = f"render mode {mode}"
        shown = os.environ.get("DISPLAY") or os.environ.get("SDL_VIDEODRIVER") or sys.platform in ("win32", "darwin")
        if mode == "human" and not shown:
            yield Finding(name, "skipped", "no display")
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                drawn = maker(render_mode=mode)
                try:
                    info = drawn.reset(seed=seed)[1]
                    drawn.step(_choose(drawn, info))
                    picture = drawn.render()
                finally:
                    drawn.close()
        except Exception as error:
            yield Finding(name, "failed", f"{type(error).__name__}: {error}")
            continue
        yield _judged(name, mode, picture)


def _judged(name: str, mode: str, picture: Any) -> Finding:
    if mode == "rgb_array":
        right = isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3
        if not right or picture.shape[2] != 3:
            return Finding(name, "failed", f"render() gave {_brief(picture)}, not an image [H, W, 3], uint8")
        if len(np.unique(picture.reshape(-1, 3), axis=0)) == 1:
            return Finding(name, "warning", "the picture is empty: one colour")
        return Finding(name, "ok", f"{picture.shape[1]} x {picture.shape[0]} pixels")
    if mode == "ansi" and not isinstance(picture, str):
        return Finding(name, "failed", f"render() gave {_brief(picture)}, not text")
    return Finding(name, "ok")


def _close(maker: Maker, seed: int) -> Finding:
    try:
        env = maker()
        env.reset(seed=seed)
        env.close()
        env.close()
    except Exception as error:
        return Finding("closing twice", "failed", f"{type(error).__name__}: {error}")
    return Finding("closing twice", "ok")


def _native(env_id: str, kwargs: dict[str, Any], seed: int) -> Iterator[Finding]:
    """Whose dynamics agents will run, and whether copies side by side do what one does alone."""
    from rlplay.environments.vector.make import make_vec
    from rlplay.environments.vector.native import can_be_batched

    one = make(env_id, **kwargs)
    yield Finding("dynamics", "ok", reference(one).dynamics)
    if (
        not can_be_batched(one)
        or not is_finite(one.action_space)
        or getattr(one.unwrapped, "_defined", None) is not None
    ):
        one.close()
        return
    copies = make_vec(env_id, 3, **kwargs)
    copies.reset(seed=seed)
    one.reset(seed=seed + 1)
    one.action_space.seed(seed)
    for k in range(300):
        action = as_played(one.action_space, one.action_space.sample())
        obs, reward, terminated, truncated, infos = copies.step(np.full(3, action))
        mine = one.step(action)
        last = infos["final_obs"] if terminated[1] or truncated[1] else obs
        seen = tuple(part[1] for part in last) if isinstance(last, tuple) else last[1]
        if not _same(seen, mine[0]) or (reward[1], terminated[1], truncated[1]) != mine[1:4]:
            yield Finding("rows like one", "failed", f"step {k + 1}: {_brief(seen)} in the second row, {mine[0]} alone")
            break
        if mine[2] or mine[3]:
            one.reset()
    else:
        yield Finding("rows like one", "ok", "a row of a vector environment does what one does alone")
    copies.close()
    one.close()


def _same(a: Any, b: Any) -> bool:
    """Whether two values are equal, with the same types and to the bit."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(_same, a, b))
    return bool(np.array_equal(np.asarray(a), np.asarray(b)))


def _brief(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "..."
