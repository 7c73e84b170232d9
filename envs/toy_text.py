"""Gymnasium's toy-text worlds through their transition tables, stepped in native code, under ids of their own.

What they do, their arguments and their pictures are Gymnasium's; from the same seed they give the same episodes, but
for Blackjack, which is drawn from its table with other random numbers.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import SpaceError, TableEnv, table_of

from .pictured import Pictured


class ToyTextEnv(Pictured, TableEnv):
    """A world of Gymnasium's, known by its id, through its table.

    Attributes:
        original: Gymnasium's environment, from which the table is read and which draws.
        last_action: the action that led to where it stands.
    """

    original_id = ""
    original_modes: tuple[str, ...] = ("rgb_array", "ansi")

    def __init__(
        self, render_mode: str | None = None, width: int | None = None, height: int | None = None, **kwargs: Any
    ) -> None:
        Pictured.__init__(self, render_mode, width, height)
        drawn = "rgb_array" if render_mode == "human" else render_mode if render_mode in self.original_modes else None
        made = gym.make(self.original_id, render_mode=drawn, disable_env_checker=True, **kwargs)
        self.original: Any = made.unwrapped
        self.last_action: int | None = None
        TableEnv.__init__(self, table_of(made), made.observation_space, made.action_space)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        self.last_action = None
        obs, info = super().reset(seed=seed, options=options)
        if self.render_mode == "human":
            self.render()
        return obs, info | self._told()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step; see `rlplay.compiled.table.TableEnv.step`."""
        obs, reward, terminated, truncated, info = super().step(action)
        self.last_action = int(action)
        if self.render_mode == "human":
            self.render()
        return obs, reward, terminated, truncated, info | self._told()

    def set_state(self, state: int) -> None:
        """Take a state, for a picture of it."""
        super().set_state(state)
        self.last_action = None

    def _told(self) -> dict[str, Any]:
        masks = self.table.masks
        return {} if masks is None else {"action_mask": masks[self.state].astype("int8")}

    def _arrange(self) -> None:
        """Put the original where this world stands."""
        self.original.s, self.original.lastaction = self.state, self.last_action

    def picture(self) -> Any:
        """The original's picture."""
        import pygame

        self._arrange()
        return pygame.surfarray.make_surface(self.original.render().swapaxes(0, 1))

    def text(self) -> str:
        """The original's text."""
        self._arrange()
        return str(self.original.render())

    def close(self) -> None:
        """Close the window, and the original."""
        super().close()
        self.original.close()


def _rows(rows: int, columns: int) -> NDArray[np.int64]:
    """All states row by row."""
    return np.arange(rows * columns).reshape(rows, columns)


class FrozenLakeEnv(ToyTextEnv):
    """Gymnasium's FrozenLake-v1, stepped in native code.

    ## Description
    Cross a frozen lake from the start to the goal without falling into a hole; the ice is slippery.

    ## Action Space
    ``Discrete(4)``: 0 left, 1 down, 2 right, 3 up.

    ## Observation Space
    ``Discrete(16)``, or the number of the map's cells: row * columns + column.

    ## Rewards
    1 at the goal, 0 otherwise (``reward_schedule``).

    ## Starting State
    The cell S of the map.

    ## Episode End
    Terminated at the goal or in a hole. Truncated after 100 steps.

    ## Arguments
    Gymnasium's: ``map_name="4x4"`` or ``"8x8"``, ``desc``, ``is_slippery=True``, ``success_rate``,
    ``reward_schedule``; ``width`` and ``height`` of pictures in pixels.

    ## References
    Gymnasium's FrozenLake-v1.

    ## Version History
    * v1: as Gymnasium's v1.

    ## Example
        >>> env = FrozenLakeEnv(is_slippery=False)
        >>> env.reset(seed=0)[0], env.step(2)[:3]
        (0, (1, 0.0, False))
    """

    original_id = "FrozenLake-v1"

    def get_action_meanings(self) -> list[str]:
        """The names of the actions."""
        return ["left", "down", "right", "up"]

    def state_grid(self, observation: Any) -> Any:
        """The number of the state in each cell."""
        rows, columns = self.original.desc.shape
        return _rows(rows, columns)


class CliffWalkingEnv(ToyTextEnv):
    """Gymnasium's CliffWalking-v1, stepped in native code.

    ## Description
    Walk from one end of a cliff to the other; who falls begins anew.

    ## Action Space
    ``Discrete(4)``: 0 up, 1 right, 2 down, 3 left.

    ## Observation Space
    ``Discrete(48)``: row * 12 + column.

    ## Rewards
    -1 a step, -100 for a fall.

    ## Starting State
    The lower left corner.

    ## Episode End
    Terminated at the lower right corner. No time limit.

    ## Arguments
    Gymnasium's: ``is_slippery=False``; ``width`` and ``height`` of pictures in pixels.

    ## References
    Sutton & Barto, Reinforcement Learning, 2nd edition, example 6.6; Gymnasium's CliffWalking-v1.

    ## Version History
    * v1: as Gymnasium's v1.

    ## Example
        >>> env = CliffWalkingEnv()
        >>> env.reset(seed=0)[0], env.step(1)[:3]  # over the cliff, and back to the start
        (36, (36, -100.0, False))
    """

    original_id = "CliffWalking-v1"

    def get_action_meanings(self) -> list[str]:
        """The names of the actions."""
        return ["up", "right", "down", "left"]

    def state_grid(self, observation: Any) -> Any:
        """The number of the state in each cell."""
        return _rows(4, 12)


class TaxiEnv(ToyTextEnv):
    """Gymnasium's Taxi-v4, stepped in native code.

    ## Description
    Fetch a passenger at one of four places and bring them to another.

    ## Action Space
    ``Discrete(6)``: 0 down, 1 up, 2 right, 3 left, 4 pick up, 5 drop off. ``info["action_mask"]`` says which of them do
    something.

    ## Observation Space
    ``Discrete(500)``: ((row * 5 + column) * 5 + passenger's place) * 4 + destination.

    ## Rewards
    -1 a step, 20 for a delivery, -10 for a wrong pick up or drop off.

    ## Starting State
    Any taxi place, passenger and destination, all equally likely, the passenger not at the destination.

    ## Episode End
    Terminated with the delivery. Truncated after 200 steps.

    ## Arguments
    Gymnasium's: ``is_rainy=False``, ``rainy_probability``; not ``fickle_passenger``, which its table does not tell;
    ``width`` and ``height`` of pictures in pixels.

    ## References
    Dietterich 2000; Gymnasium's Taxi-v4.

    ## Version History
    * v4: as Gymnasium's v4.

    ## Example
        >>> env = TaxiEnv()
        >>> _ = env.reset(seed=0)
        >>> env.observation_space, env.step(4)[1]  # nobody to be taken in here
        (Discrete(500), -10.0)
    """

    original_id = "Taxi-v4"

    def __init__(self, render_mode: str | None = None, **kwargs: Any) -> None:
        if kwargs.get("fickle_passenger"):
            raise SpaceError("a fickle passenger is not in Taxi's transition table", "Take Taxi-v4 itself")
        super().__init__(render_mode, **kwargs)

    def get_action_meanings(self) -> list[str]:
        """The names of the actions."""
        return ["down", "up", "right", "left", "pick up", "drop off"]

    def state_grid(self, observation: Any) -> Any:
        """The taxi's places; passenger and destination as now."""
        return _rows(5, 5) * 20 + int(observation) % 20


class BlackjackEnv(ToyTextEnv):
    """Gymnasium's Blackjack-v1 with the rules that its observations tell, stepped in native code.

    ## Description
    Draw cards against a dealer to come close to 21 and not beyond it; the deck is infinite.

    ## Action Space
    ``Discrete(2)``: 0 stick, 1 hit.

    ## Observation Space
    ``Tuple(Discrete(32), Discrete(11), Discrete(2))``: the player's sum, the dealer's card (1 to 10), a usable ace.

    ## Rewards
    1, 0 or -1 for a win, a draw or a loss.

    ## Starting State
    Two cards for the player, one of the dealer's is seen.

    ## Episode End
    Terminated when the player sticks or is beyond 21. No time limit.

    ## Arguments
    Gymnasium's rules with ``sab=False`` and ``natural=False``: under the others the state is not told by the
    observation. ``width`` and ``height`` of pictures in pixels.

    ## References
    Sutton & Barto, Reinforcement Learning, 2nd edition, example 5.1; Gymnasium's Blackjack-v1.

    ## Version History
    * v1: as Gymnasium's v1.

    ## Example
        >>> env = BlackjackEnv()
        >>> env.reset(seed=0)[0] in env.observation_space, env.action_space
        (True, Discrete(2))
    """

    original_id = "Blackjack-v1"
    original_modes = ("rgb_array",)

    def __init__(
        self, render_mode: str | None = None, width: int | None = None, height: int | None = None, **rules: bool
    ) -> None:
        super().__init__(render_mode, width, height, **{"sab": False, "natural": False, **rules})

    def get_action_meanings(self) -> list[str]:
        """The names of the actions."""
        return ["stick", "hit"]

    def state_grid(self, observation: Any) -> Any:
        """The dealer's cards, ace to 10, by the player's sums, 4 to 21, with or without a usable ace as now."""
        cards, sums = np.meshgrid(np.arange(1, 11), np.arange(4, 22), indexing="ij")
        return (sums * 11 + cards) * 2 + int(observation[2])

    def _arrange(self) -> None:
        total, dealer, usable = self.observation() if self.state >= 0 else (4, 1, 0)
        game = self.original
        if game._np_random is None:
            game.reset(seed=0)
        game.player = [1, total - 11] if usable else [total - 10, 10] if total > 13 else [total - 2, 2]
        game.dealer = [dealer, 10]
        game.dealer_top_card_value_str = {1: "A", 10: "K"}.get(dealer, str(dealer))

    def text(self) -> str:
        """Both hands."""
        total, dealer, usable = self.observation()
        return f"you {total}{' with a usable ace' if usable else ''}, the dealer shows {dealer}"
