"""Monte Carlo tree search (UCT): before each step, try what could follow, and look deeper where it looks good.

Simulated episodes from the current state grow a tree of what was met. Within the tree the action is that of the highest
upper bound; outside it actions are random to the end; the return is averaged into every action on the way:

    A = argmax_a [Q(s, a) + c √(ln N(s) / N(s, a))]
    N(s, A) ← N(s, A) + 1,   Q(s, A) ← Q(s, A) + [G - Q(s, A)] / N(s, A)

The action taken is the one that was tried most. Nothing is learned from step to step: it is planning at decision time.

Source: Kocsis & Szepesvári 2006; Coulom 2006; Sutton & Barto 2e, section 8.11.

Symbols:
    N  visits  of each action of a node,  Q  value  mean return of each,  G  discounted return from a node on
    c  c  degree of exploration,  γ  gamma

Deviations from UCT: values are scaled by the least and greatest of the tree before the bound is added, so that c does
not depend on the rewards (Schrittwieser et al. 2020); a node is a state, or an observation, reached by an action, so
chance is met by averaging; a simulation ends after ``depth`` steps.

The world is simulated natively from its table or its native dynamics where it has them; any other environment by
replaying the episode so far from its seed in a copy, and going on with other random numbers, so that chance cannot be
foreseen. The simulated world has no time limit: what lies beyond it counts. An environment that truncates an episode by
itself is followed no further.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Agent,
    Discount,
    Encoder,
    EnvLike,
    FiniteSpace,
    MaskSource,
    NativeEnv,
    NoEnvironment,
    Position,
    Probe,
    Range,
    StateArrays,
    TableArrays,
    TableEnv,
    Transition,
    UsageError,
    batch_of,
    in_place,
    make_anew,
    observation_digest,
    predicted_actions,
    random,
    random_bits,
    random_seed,
    reference,
    replays_exactly,
    step_table,
    stream,
)


@dataclass
class Node:
    """A state in the tree.

    Attributes:
        visits: how often each action was tried, [A].
        values: mean return of each, [A].
        children: what was met, by action and state.
        state: a name of the state, for people.
    """

    visits: list[int]
    values: list[float]
    children: dict[tuple[int, Any], Node] = field(default_factory=dict)
    state: Any = None

    @property
    def best(self) -> int:
        """The action tried most; of those, the one worth most."""
        return max(range(len(self.visits)), key=lambda a: (self.visits[a], self.values[a]))


@dataclass
class Bounds:
    """The least and greatest value in a tree, by which values are scaled to 0..1."""

    low: float = math.inf
    high: float = -math.inf

    def scale(self, value: float) -> float:
        """A value between them."""
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5


def new_node(actions: int, state: Any) -> Node:
    """A node that was not visited yet."""
    return Node([0] * actions, [0.0] * actions, state=state)


def upper_bound(node: Node, a: int, bounds: Bounds, c: float) -> float:
    """Q(s, a) + c √(ln N(s) / N(s, a)), with Q scaled to 0..1; infinite for an action never tried."""
    if node.visits[a] == 0:
        return math.inf
    return bounds.scale(node.values[a]) + c * math.sqrt(math.log(sum(node.visits)) / node.visits[a])


def backup(path: list[tuple[Node, int, float]], g: float, gamma: float, bounds: Bounds) -> None:
    """The return into every action on the way, from the last back: N += 1, Q += (G - Q) / N."""
    for node, a, r in reversed(path):
        g = r + gamma * g
        node.visits[a] += 1
        node.values[a] += (g - node.values[a]) / node.visits[a]
        bounds.low, bounds.high = min(bounds.low, node.values[a]), max(bounds.high, node.values[a])


def search(world: World, simulations: int, depth: int, c: float, gamma: float, rng: NDArray[np.uint64]) -> Node:
    """Grow a tree from the root of the world."""
    root, bounds = new_node(world.n_actions, world.begin(rng)), Bounds()
    for _ in range(simulations):
        world.begin(rng)
        node, path, g = root, [], 0.0
        for steps in range(depth):
            allowed = world.allowed(node)
            bound = [upper_bound(node, a, bounds, c) for a in allowed]
            top = max(bound)
            ties = [a for a, b in zip(allowed, bound, strict=True) if b == top]
            a = ties[int(random(rng) * len(ties))] if len(ties) > 1 else ties[0]
            state, r, ended = world.step(a)
            path.append((node, a, r))
            if ended:
                break
            child = node.children.get((a, state))
            if child is None:
                node.children[a, state] = new_node(world.n_actions, state)
                g = world.rollout(depth - steps - 1, gamma, rng)
                break
            node = child
        backup(path, g, gamma, bounds)
    return root


@in_place
def random_return(
    table: TableArrays, allowed: NDArray[np.bool_], state: int, depth: int, gamma: float, rng: NDArray[np.uint64]
) -> float:
    """The return of random actions from a state."""
    g, discount = 0.0, 1.0
    for _ in range(depth):
        a = int(random(rng) * allowed.shape[1])
        while not allowed[state, a]:
            a = int(random(rng) * allowed.shape[1])
        state, r, terminated = step_table(table, state, a, rng)
        g, discount = g + discount * r, discount * gamma
        if terminated:
            break
    return g


class TableWorld:
    """A finite world simulated through its transition table; a state is its number."""

    def __init__(self, env: TableEnv) -> None:
        self.table, self.root, self.state = env.table, 0, 0
        self.n_actions, masks = env.table.n_actions, env.table.masks
        self.masks = masks if masks is not None else np.ones((env.table.n_states, self.n_actions), np.bool_)

    def begin(self, rng: NDArray[np.uint64]) -> int:
        """Go to the root."""
        self.state, self.rng = self.root, rng
        return self.state

    def allowed(self, node: Node) -> list[int]:
        """The actions that may be taken."""
        return np.flatnonzero(self.masks[node.state]).tolist()

    def step(self, a: int) -> tuple[int, float, bool]:
        """One step: state, reward, and whether it ended."""
        self.state, r, terminated = step_table(self.table.arrays, self.state, a, self.rng)
        return self.state, r, terminated

    def rollout(self, depth: int, gamma: float, rng: NDArray[np.uint64]) -> float:
        """The return of random actions from here."""
        return random_return(self.table.arrays, self.masks, self.state, depth, gamma, rng)


class ReplayedWorld:
    """Any other environment: native dynamics set to where the episode is, or a copy in which it is replayed."""

    def __init__(self, env: gym.Env[Any, Any], actions: FiniteSpace) -> None:
        self.env, self.actions, self.n_actions = env, actions, actions.n
        self.seed = 0
        self.obs: Any = None
        self.masks = MaskSource(env)
        self.mask: Any = None  # the actions that may be taken now, where the environment names them
        self.past: list[Any] = []
        self.root_state: dict[str, NDArray[Any]] = {}

    def set_root(self, seed: int, past: list[Any]) -> None:
        """The root is where these actions lead from this seed."""
        self.seed, self.past, self.root_state = seed, list(past), {}
        self._replay()
        if isinstance(self.env, NativeEnv):
            self.root_state = {name: array.copy() for name, array in self.env.state_arrays().items()}

    def _replay(self) -> Any:
        obs, info = self.env.reset(seed=self.seed)
        ended = False
        for action in self.past:
            obs, _, terminated, truncated, info = self.env.step(action)
            ended = bool(terminated or truncated)
        self.mask = self.masks.joint_of(info, ended)
        return obs

    def begin(self, rng: NDArray[np.uint64]) -> str:
        """Go to the root, with random numbers of its own from here on."""
        if isinstance(self.env, NativeEnv):
            self.obs = self.env.restore(self.root_state)
            for k in range(2):
                self.env.rng[k] = random_bits(rng)
        else:
            self.obs = self._replay()
            self.env.unwrapped.np_random = np.random.default_rng(random_seed(rng))
        return observation_digest(self.obs)

    def allowed(self, node: Node) -> list[int]:
        """The actions that may be taken here."""
        return list(range(self.n_actions)) if self.mask is None else np.flatnonzero(self.mask).tolist()

    def step(self, a: int) -> tuple[str, float, bool]:
        """One step: a digest of the observation, the reward, and whether it ended."""
        self.obs, r, terminated, truncated, info = self.env.step(self.actions.value(a))
        ended = bool(terminated or truncated)
        self.mask = self.masks.joint_of(info, ended)
        return observation_digest(self.obs), float(r), ended

    def rollout(self, depth: int, gamma: float, rng: NDArray[np.uint64]) -> float:
        """The return of random actions from here."""
        g, discount = 0.0, 1.0
        for _ in range(depth):
            n = self.n_actions if self.mask is None else int(np.count_nonzero(self.mask))
            choice = int(random(rng) * n)
            _, r, ended = self.step(choice if self.mask is None else int(np.flatnonzero(self.mask)[choice]))
            g, discount = g + discount * r, discount * gamma
            if ended:
                break
        return g


World = TableWorld | ReplayedWorld


class MCTS(Agent):
    """Monte Carlo tree search over any environment with finite actions that can be replayed.

    Example:
        >>> agent = MCTS("FrozenLake-v1", simulations=50, seed=0).learn(100)
        >>> agent.predict(14, deterministic=True)[0] in range(4)
        True
    """

    id = "mcts"
    needs_model = True
    follows_position = True
    chunk_seconds = 0.25
    simulations: Annotated[int, Range("simulated episodes before each step", 1, 10_000_000, integer=True)] = 200
    depth: Annotated[int, Range("steps after which a simulation ends", 1, 1_000_000, integer=True)] = 100
    c: Annotated[float, Range("degree of exploration c, for values scaled to 0..1", 0, 1000)] = 1.0
    gamma: Discount = 0.99

    def make_encoder(self) -> Encoder:
        """Observations as they are; actions are numbered."""
        self.number_actions()
        return super().make_encoder()

    def setup(self) -> None:
        """The planning's generator; the world is made when it is first needed."""
        self.rng = stream(self.seed, "planning")
        self._world: World | None = None
        self._observed: Position | None = None
        self._last_tree: tuple[Any, Node | None] = (None, None)

    def _make_world(self) -> World:
        """The world that is simulated.

        Raises:
            UsageError: there is no environment, or none that can be made again or replayed.
        """
        if isinstance(self.env, NoEnvironment):
            raise UsageError("MCTS plans in its environment and was loaded without one", "Give load(path, env=...)")
        ref = reference(self.env)
        if isinstance(self.env, TableEnv):
            return TableWorld(self.env)
        # Gymnasium's word for no time limit is -1: what a limit cuts has a value.
        copy = make_anew(self.env, "MCTS simulates in a copy of its environment", dynamics="auto", max_episode_steps=-1)
        if isinstance(copy, TableEnv):
            return TableWorld(copy)
        if not isinstance(copy, NativeEnv) and not replays_exactly(copy):
            raise UsageError(
                f"{ref.id} draws random numbers that its seed does not set: MCTS cannot replay it",
                "Take an agent that learns from experience, such as q-learning",
            )
        assert self.numbering is not None
        return ReplayedWorld(copy, self.numbering)

    # Where to plan from.

    def observe_position(self, position: Position) -> None:
        """Take where an episode stands, so that `predict` can plan from there."""
        self._observed = position

    def _world_at(self, observation: Any) -> World | None:
        """The world with its root at an observation; None where nothing says how to get there."""
        if self._world is None:
            self._world = self._make_world()
        if isinstance(self._world, TableWorld):
            self._world.root = FiniteSpace(self.observation_space).index(observation)
            return self._world
        position = self._observed or self.position
        same = position.obs is not None and np.array_equal(np.asarray(position.obs), np.asarray(observation))
        if not same or position.actions is None:
            return None
        self._world.set_root(position.seed, position.actions)
        return self._world

    def plan(self, observation: Any, rng: NDArray[np.uint64]) -> Node | None:
        """The tree of a search from an observation; None where nothing says how to get there."""
        world = self._world_at(observation)
        return None if world is None else search(world, self.simulations, self.depth, self.c, self.gamma, rng)

    def tree(self, observation: Any) -> Node | None:
        """The tree of an observation, for pictures: always the same one, and kept until another is asked for."""
        when = self._observed.length if self._observed else 0
        key = observation_digest(observation), when
        if self._last_tree[0] != key:  # other draws at each step, or a state that leads to itself is kept for ever
            self._last_tree = key, self.plan(observation, stream(self.seed, f"search {when}"))
        return self._last_tree[1]

    # The contract.

    def act(self, observation: Any) -> Any:
        """Plan, then take the action that was tried most."""
        self.observe_position(self.position)
        node = self.plan(observation, self.rng)
        assert node is not None
        assert self.numbering is not None
        return self.numbering.value(node.best)

    def update(self, transition: Transition) -> float:
        """Nothing is learned."""
        self.num_timesteps += 1
        return float("nan")

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, Any]:  # fmt: skip
        """Plan from an observation, in a world that has the masks itself; a batch one after the other.

        Raises:
            UsageError: an observation does not determine the state, and where the episode stands is not known.
        """
        batch, single = batch_of(self.observation_space, observation, type(self).__name__)
        assert self.numbering is not None
        best: list[int] = []
        for one in batch:
            node = self.tree(one)
            if node is None:
                raise UsageError(
                    f"MCTS plans from where an episode of {reference(self.env)} stands, which no observation tells",
                    "Play it with rlplay.evaluate or rlplay watch, or tell it with agent.observe_position(position)",
                )
            most_tried = node.best
            if action_masks is not None:
                masks = self.prediction_masks(observation, len(batch), action_masks)
                assert masks is not None
                most_tried = int(np.where(masks[len(best)], node.visits, -1).argmax())
            best.append(most_tried)
        return predicted_actions(self.numbering, best, single), state

    def probe(self, observation: Any) -> Probe:
        """Values of the actions at the root, and their shares of the visits; nothing where there is no root."""
        batch, _ = batch_of(self.observation_space, observation, type(self).__name__)
        nodes = [self.tree(one) for one in batch] if not isinstance(self.env, NoEnvironment) else [None]
        if any(node is None for node in nodes):
            return Probe()
        visits = np.array([node.visits for node in nodes if node], float)
        values = np.array([node.values for node in nodes if node])
        q = np.where(visits > 0, values, -np.inf)
        shares = visits / visits.sum(axis=1, keepdims=True)
        return Probe(action_values=q, action_probabilities=shares, value=q[np.arange(len(q)), visits.argmax(axis=1)])

    def why_not_compiled(self) -> str:
        """The tree is Python; the simulated world is native where it can be."""
        return "MCTS grows its tree in Python"

    def set_env(self, env: EnvLike, force_reset: bool = True) -> None:
        """Plan in another environment with the same spaces."""
        super().set_env(env, force_reset)
        self._world, self._last_tree, self._observed = None, (None, None), None

    def arrays(self) -> StateArrays:
        """The state of the planning's generator."""
        return {"planning": self.rng}
