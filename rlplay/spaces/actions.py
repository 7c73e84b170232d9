"""Actions in one form: the same Python and NumPy types in training, evaluation, replay and window."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import Space, spaces

from rlplay.errors import CheckpointError
from rlplay.spaces.finite import FiniteSpace


def predicted_actions(numbering: FiniteSpace, numbers: Any, single: bool) -> Any:
    """What an agent's `predict` returns for the numbers of actions: one action, or an array of them.

    Args:
        numbering: of the action space.
        numbers: int [B].
        single: whether one observation was given, not a batch; then B is 1.

    Returns:
        For Discrete a NumPy integer, as ``action_space.sample()`` and an entry of a batch are; values of other spaces
        as they are. For a batch an array [B, ...].

    Example:
        >>> moves = FiniteSpace(spaces.Discrete(3))
        >>> predicted_actions(moves, [2], True).item(), predicted_actions(moves, [2, 0], False).tolist()
        (2, [2, 0])
    """
    actions: Any = [numbering.value(int(number)) for number in numbers]
    if isinstance(numbering.space, spaces.Discrete):
        actions = np.array(actions, numbering.space.dtype)
    return actions[0] if single else np.asarray(actions)


def actions_from_json(space: Space[Any], listed: Any) -> list[Any]:
    """The actions of an episode in a file, as they are played.

    Args:
        space: the action space.
        listed: what its ``to_jsonable`` made of them.

    Raises:
        CheckpointError: one of them is not of the space; a Box takes any numbers of its shape, as its environment did.

    Example:
        >>> actions_from_json(spaces.Discrete(3), [2, 0])
        [2, 0]
        >>> actions_from_json(spaces.Discrete(3), [2, 3])
        Traceback (most recent call last):
            ...
        rlplay.errors.CheckpointError: the episode's action 1 is 3, which is not in Discrete(3): refused
    """
    _check_numbers(space, listed)
    try:
        actions = [as_played(space, action) for action in space.from_jsonable(listed)]
    except Exception as error:  # whatever a space says of values that are none of its own
        raise CheckpointError(f"the episode's actions are not in {space} ({error}): refused") from error
    for number, action in enumerate(actions):
        shaped = isinstance(space, spaces.Box) and np.shape(action) == space.shape
        if not (shaped or space.contains(action)):
            raise CheckpointError(f"the episode's action {number} is {action!r:.80}, which is not in {space}: refused")
    return actions


def _check_numbers(space: Space[Any], listed: Any) -> None:
    """Refuse what a space of whole numbers would round: true, and 1.5."""
    if isinstance(space, spaces.Tuple | spaces.Dict):
        parts = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, part in parts:
            try:
                own = listed[key]
            except (KeyError, IndexError, TypeError):  # said by the space itself
                return
            _check_numbers(part, own)
    elif isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        for number, action in enumerate(listed if isinstance(listed, list | tuple) else [listed]):
            kinds = {np.asarray(one).dtype.kind for one in (action if isinstance(action, list | tuple) else [action])}
            if not kinds <= {"i", "u"}:
                raise CheckpointError(f"the episode's action {number} is {action!r:.80}, no whole number: refused")


def as_played(space: Space[Any], action: Any) -> Any:
    """An action as every environment gets it, whoever chose it and wherever it was kept.

    A world that counts in float32 rounds ``x + 0.1 * action`` otherwise for an int than for a NumPy integer.

    Returns:
        An int for Discrete, a fresh array of the space's own type for Box, MultiDiscrete and MultiBinary, tuples and
        dictionaries of them; what is of another kind or shape as it is, for the environment to refuse.

    Example:
        >>> as_played(spaces.Discrete(3), np.int64(2)), as_played(spaces.Box(-1, 1, (2,)), [0.5, 1]).dtype
        (2, dtype('float32'))
    """
    if isinstance(space, spaces.Discrete):
        whole = isinstance(action, int | np.integer) or (
            isinstance(action, np.ndarray) and action.shape == () and action.dtype.kind in "iu"
        )
        return int(action) if whole else action
    if isinstance(space, spaces.Box | spaces.MultiDiscrete | spaces.MultiBinary):
        given = np.asarray(action)
        fits = given.shape == space.shape and given.dtype.kind in "biuf"
        whole = given.dtype.kind != "f" or space.dtype.kind == "f"
        return np.array(given, dtype=space.dtype) if fits and whole else action
    if isinstance(space, spaces.Tuple) and isinstance(action, tuple | list) and len(action) == len(space.spaces):
        return tuple(as_played(part, one) for part, one in zip(space.spaces, action, strict=True))
    if isinstance(space, spaces.Dict) and isinstance(action, dict) and action.keys() == space.spaces.keys():
        return {key: as_played(part, action[key]) for key, part in space.spaces.items()}
    return action
