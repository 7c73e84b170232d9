"""The picture of an environment: a plug-in's drawing, what it renders, or its observation."""

from __future__ import annotations

import os
import sys
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import registry
from rlplay.environments.make import reference
from rlplay.errors import one_line, warn_once


def frame_of(
    env: gym.Env[Any, Any], observation: Any, action: Any, trail: Any, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """The picture of an environment as it stands, [H, W, 3], uint8.

    What cannot be rendered is said once, and in the picture: the observation is drawn in its place.

    Args:
        env: the environment.
        observation: its newest observation, None for none.
        action: the last action, None for none.
        trail: the observations of the episode so far.
        size: width and height in pixels that pictures of our own are drawn for.

    Example:
        >>> from rlplay import make
        >>> env = make("CartPole-v1", render_mode="rgb_array")
        >>> obs, _ = env.reset(seed=0)
        >>> frame_of(env, obs, 1, [], (300, 200)).shape
        (200, 300, 3)
    """
    drawn = registry.recipes("PICTURES").get(reference(env).id)
    found = drawn(env, action, size) if drawn is not None else None
    if found is not None:
        return np.asarray(found)
    words = ""
    if env.render_mode == "rgb_array":
        frame, words = rendered(env)
        if frame is not None:
            return frame
    from rlplay.viewer.observation import picture

    return picture(env, observation, trail, size, words)


def rendered(env: gym.Env[Any, Any]) -> tuple[NDArray[np.uint8] | None, str]:
    """What an environment renders; or None, and why in words, which are said once as a warning too."""
    name = reference(env).id
    try:
        frame = np.asarray(env.render())
    except Exception as error:  # whatever its render raises
        words = ": ".join(filter(None, (f"{name} cannot render", type(error).__name__, one_line(error))))
        if needs_gl(error):
            words += f". {NO_DISPLAY}"
        warn_once(f"{words}. Its observations are drawn in its place")
        return None, words
    if frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        what = "nothing" if frame.dtype == object else f"shape {frame.shape}"
        words = f"{name} rendered {what}, not [height, width, 3]"
        warn_once(f"{words}. Its observations are drawn in its place")
        return None, words
    return frame.astype(np.uint8, copy=False), ""


NO_DISPLAY = "Without a display MuJoCo draws with MUJOCO_GL=egl, or with MUJOCO_GL=osmesa on the processor"


def needs_gl(error: BaseException) -> bool:
    """Whether MuJoCo could not open what it draws with."""
    words = f"{type(error).__name__} {error}".casefold()
    return "mujoco" in sys.modules and (
        any(sign in words for sign in ("gl", "display", "glfw", "egl", "osmesa")) or "MUJOCO_GL" in os.environ
    )
