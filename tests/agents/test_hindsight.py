"""Hindsight experience replay in our agents: what is drawn, which goals and rewards, files, the paper's figure 1."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.envs import BitFlippingEnv
from stable_baselines3.her.goal_selection_strategy import GoalSelectionStrategy

from agents import DDPG, DQN, PQN, SAC, TD3, TQC, DiscreteSAC, RecurrentDQN
from rlplay import evaluate, load, make
from rlplay.agent.hindsight import put_rewards, reward_of
from rlplay.errors import EnvironmentFault, HyperparameterError, RlplayWarning, SpaceError, UsageError

WORLD = "rlplay/BitFlipping-v0"
SMALL = {"net_arch": [8], "buffer_size": 60, "learning_starts": 20, "batch_size": 20}
SAME = {**SMALL, "train_freq": 1}


class Marked(gym.Env):
    """Observations tell the episode and the time, by which a drawn step is known again; episodes are of odd lengths."""

    part = gym.spaces.Box(-1e6, 1e6, (2,), np.float32)
    observation_space = gym.spaces.Dict({"achieved_goal": part, "desired_goal": part, "observation": part})
    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.episode = -1
        self.lengths = []  # of the episodes, the running one the last

    def seen(self):
        here = np.array([self.episode, self.time], np.float32)
        return {"observation": here, "achieved_goal": 10 * here, "desired_goal": -1 - here}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.time = self.episode + 1, 0
        self.lengths.append(0)
        return self.seen(), {}

    def step(self, action):
        self.time += 1
        self.lengths[-1] += 1
        over = self.time == 3 + self.episode * 7 % 5
        return self.seen(), -7.0, over and self.episode % 2 == 0, over and self.episode % 2 == 1, {}

    def compute_reward(self, achieved_goal, desired_goal, info):
        assert achieved_goal.dtype == desired_goal.dtype == np.float32
        return achieved_goal[:, 0] + 100 * achieved_goal[:, 1] - 1000 * desired_goal[:, 1]


def whole_episodes(lengths, slots):
    """Which finished episodes a ring of so many slots holds as a whole, by hand; the oldest one by itself."""
    kept = 0 if not lengths else lengths[-1] + 1
    found = []
    for episode in range(len(lengths) - 2, -1, -1):
        kept += lengths[episode] + 1
        if kept > slots:
            break
        found.append(episode)
    return found


@pytest.mark.parametrize("n_envs", [1, 3])
@pytest.mark.parametrize("strategy", ["future", "final", "episode"])
def test_batches_are_those_of_the_paper(strategy, n_envs):
    """Drawn steps, goals and rewards, held against what the environments did; the ring is full and wraps round."""
    settings = {**SAME, "buffer_size": 60 * n_envs, "n_envs": n_envs, "gamma": 0.9}
    agent = DQN(Marked, n_sampled_goal=3, goal_selection_strategy=strategy, seed=0, **settings)
    agent.learn(60)  # the update runs; from here on only the environments
    played = 60 // n_envs
    for _ in range(3):
        agent.learn(n_envs * 37, reset_num_timesteps=False)
        played += 37
        lengths = [one.env.unwrapped.lengths for one in agent.running_envs()]
        assert sum(lengths[0]) == played
        whole = [whole_episodes(one, 60) for one in lengths]
        seen, step = set(), agent._iteration
        memory, batch = agent.handed(agent.memory), agent.memory.batch
        for _ in range(120):
            step.learn(memory, 0.5, 1)
            obs, after, goals = batch.obs.astype(int), batch.next_obs.astype(int), agent.memory.goals
            assert len(goals.aims) == 15  # three quarters of twenty
            for b in range(20):
                (episode, time), i = obs[b, 4:], int(batch.rows[b] % n_envs)
                assert episode in whole[i]
                end = lengths[i][episode]
                assert after[b, 4:].tolist() == [episode, time + 1]
                assert obs[b, :2].tolist() == [10 * episode, 10 * time]
                assert batch.discounts[b] == (0.0 if episode % 2 == 0 and time + 1 == end else 0.9)
                if b >= 15:
                    assert (batch.rewards[b], obs[b, 2:4].tolist()) == (-7.0, [-1 - episode, -1 - time])
                    continue
                aimed = obs[b, 2:4] / 10
                assert (obs[b, 2:4] == after[b, 2:4]).all()
                assert aimed[0] == episode
                assert {"future": time + 1, "final": end, "episode": 1}[strategy] <= aimed[1] <= end
                assert batch.rewards[b] == 10 * episode + 1000 * (time + 1) - 10_000 * aimed[1]
                seen.add((i, int(episode), int(time), int(aimed[1])))
        steps = {(i, e, t) for i, e, t, _ in seen}
        all_steps = {(i, e, t) for i in range(n_envs) for e in whole[i] for t in range(lengths[i][e])}
        oldest = {(i, min(whole[i]), t) for i in range(n_envs) for t in range(8)}  # may count as torn
        assert all_steps - oldest <= steps <= all_steps
        if n_envs == 1 and strategy != "final":
            newest = whole[0][0]
            firsts = {t if strategy == "future" else 0 for t in range(lengths[0][newest])}
            reached = {aim for _, e, t, aim in seen if e == newest and t == max(firsts)}
            assert reached == set(range(max(firsts) + 1, lengths[0][newest] + 1))


def test_an_episode_must_have_ended():
    """Nothing is learned before, nor where the replay buffer never holds a whole one, and that is said."""

    class Long(Marked):
        def step(self, action):
            found = super().step(action)
            return *found[:2], False, False, {}

    agent = DQN(Long, n_sampled_goal=4, seed=0, **SAME)
    with pytest.warns(RlplayWarning, match="learned nothing.*held as a whole.*raise buffer_size"):
        agent.learn(100)
    with pytest.warns(RlplayWarning, match="learned nothing.*an update comes after more than 20 steps"):
        agent.learn(100)  # the episode was given up; what is left of it is not whole
    assert agent.lessons == 0


def test_a_file_in_mid_episode_goes_on_in_the_same_bits(tmp_path):
    settings = {**SAME, "n_envs": 2, "n_sampled_goal": 4, "seed": 0}
    whole = DQN(WORLD, **settings).learn(300)
    half = DQN(WORLD, **settings).learn(170, schedule_timesteps=300)
    assert half.position.length > 0
    again = load(half.save(tmp_path / "half")).learn(130, reset_num_timesteps=False)
    for name, array in whole.arrays().items():
        assert np.array_equal(array, again.arrays()[name]), name
    assert whole.lessons == again.lessons > 100


def test_another_environment_and_another_run():
    agent = DQN(WORLD, n_sampled_goal=4, seed=0, **SAME).learn(45)
    lessons = agent.lessons
    agent.learn(45)  # from a new episode on
    agent.set_env(make(WORLD))
    assert agent.learn(45, reset_num_timesteps=False).lessons == lessons + 90
    with pytest.raises((SpaceError, UsageError), match="no compute_reward"):
        agent.set_env(Blind()) or agent.learn(1)


class Blind(Marked):
    compute_reward = None
    part = gym.spaces.Box(0, 1, (8,), np.float32)
    observation_space = gym.spaces.Dict({"achieved_goal": part, "desired_goal": part, "observation": part})
    action_space = gym.spaces.Discrete(8)


class Single(Marked):
    """A reward for one goal at a time."""

    def compute_reward(self, achieved_goal, desired_goal, info):
        return -float(np.linalg.norm(achieved_goal - desired_goal))


class Scaled(gym.RewardWrapper):
    def reward(self, reward):
        return 2 * reward


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: DQN("CartPole-v1", n_sampled_goal=4), "CartPole-v1 has no goals.*Take n_sampled_goal=0"),
        (lambda: DQN(Blind, n_sampled_goal=4, **SMALL), "no compute_reward"),
        (lambda: DQN(Marked, n_sampled_goal=4, n_steps=3, **SMALL), "n_steps=3.*Take n_steps=1"),
        (lambda: DQN(Marked, n_sampled_goal=4, prioritized=True, **SMALL), "prioritized.*Take prioritized=False"),
        (lambda: DQN(Single, n_sampled_goal=4, **SAME).learn(60), "gave shape .. for 16 goals at once.*B rewards"),
        (lambda: DQN(Marked, replay_buffer_class=HerReplayBuffer, replay_buffer_kwargs={"copy_info_dict": True}),
         "copy_info_dict"),
        (lambda: RecurrentDQN(WORLD, replay_buffer_class=HerReplayBuffer), "this agent has no such one"),
        (lambda: PQN(WORLD, replay_buffer_class=HerReplayBuffer), "this agent has no such one"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(made, words):
    with pytest.raises((EnvironmentFault, HyperparameterError, SpaceError, UsageError), match=words):
        made()


def test_what_changes_nothing_is_said():
    with pytest.warns(RlplayWarning, match="'final' changes nothing: it belongs to n_sampled_goal, which is 0"):
        DQN(WORLD, goal_selection_strategy="final", **SMALL)
    with pytest.warns(RlplayWarning, match="rewards of other goals.*without what Scaled makes of rewards"):
        DQN(lambda: Scaled(Marked()), n_sampled_goal=4, **SMALL)


def test_words_of_stable_baselines3():
    given = {"n_sampled_goal": 2, "goal_selection_strategy": GoalSelectionStrategy.FINAL}
    agent = DQN("MultiInputPolicy", WORLD, replay_buffer_class=HerReplayBuffer, replay_buffer_kwargs=given, **SMALL)
    assert (agent.n_sampled_goal, agent.goal_selection_strategy) == (2, "final")
    agent = DiscreteSAC("MultiInputPolicy", WORLD, replay_buffer_class="HerReplayBuffer", **SMALL)
    assert (agent.n_sampled_goal, agent.goal_selection_strategy) == (4, "future")


@pytest.mark.parametrize("kind", [{}, {"discrete_obs_space": True}, {"image_obs_space": True}], ids=str)
def test_goals_of_every_kind(kind):
    """Bits, a number and a picture come to ``compute_reward`` as Stable-Baselines3 hands them to its own world."""
    agent = DQN(lambda: BitFlippingEnv(4, **kind), n_sampled_goal=1, batch_size=8, buffer_size=100, seed=0)
    agent.goal_reward, view = reward_of(agent.env, "DQN"), agent.encoder.view
    obs = [agent.env.reset(seed=seed)[0] for seed in range(4)]
    begins, part = view.part("achieved_goal")
    vectors = np.stack([view.vector(one) for one in obs])
    agent.memory.goals.reached[:] = vectors[:, begins : begins + part.size]
    agent.memory.goals.aims[:] = agent.memory.goals.reached[[0, 0, 2, 2]]
    put_rewards(agent)
    same = [np.array_equal(obs[i]["achieved_goal"], obs[j]["achieved_goal"]) for i, j in enumerate([0, 0, 2, 2])]
    assert agent.memory.batch.rewards[:4].tolist() == [0.0 if one else -1.0 for one in same]


def success(agent, n_bits):
    returns = np.array(evaluate(agent, n_eval_episodes=50).returns)
    return float((returns > -n_bits).mean())


LEARNS = {
    "learning_starts": 100, "learning_rate": 1e-3, "gamma": 0.98, "batch_size": 64, "train_freq": 1, "net_arch": [64],
    "buffer_size": 100_000, "target_update_interval": 200, "exploration_final_eps": 0.2, "seed": 0,
}  # fmt: skip


def test_few_bits_are_learned():
    assert success(DQN(WORLD, n_sampled_goal=4, **LEARNS).learn(2000), 8) > 0.9


@pytest.mark.slow
def test_figure_1_of_the_paper():
    """Without hindsight DQN learns nothing of 20 bits, with it they are solved (Andrychowicz et al. 2017, figure 1)."""
    more = {"net_arch": [256], "batch_size": 128, "target_update_interval": 500, "exploration_fraction": 0.3}
    env, settings = make(WORLD, n_bits=20), {**LEARNS, **more}
    assert success(DQN(env, n_sampled_goal=4, **settings).learn(30_000), 20) > 0.9
    assert success(DQN(env, **settings).learn(30_000), 20) < 0.1


CONTINUOUS = {**SMALL, "n_sampled_goal": 4, "n_envs": 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "settings"),
    [
        (SAC, {**CONTINUOUS, "normalize": True}),
        (SAC, {**CONTINUOUS, "network": "torch", "goal_selection_strategy": "final"}),
        (TQC, CONTINUOUS),
        (TD3, {**CONTINUOUS, "goal_selection_strategy": "episode"}),
        (DDPG, {**CONTINUOUS, "train_freq": 3, "gradient_steps": -1}),
        (DiscreteSAC, CONTINUOUS),
        (DQN, {**CONTINUOUS, "features": "standard-scaler:warm_up=30"}),
        (DQN, {**CONTINUOUS, "n_envs": 1, "train_freq": [1, "episode"], "distributional": "qr", "dueling": True}),
    ],
)  # fmt: skip
def test_every_agent_learns_and_goes_on_in_the_same_bits(agent, settings, tmp_path):
    env = make(WORLD, n_bits=5, continuous=agent not in (DQN, DiscreteSAC))
    whole = agent(env, seed=1, **settings).learn(150)
    half = agent(env, seed=1, **settings).learn(84, schedule_timesteps=150)
    again = load(half.save(tmp_path / "half")).learn(66, reset_num_timesteps=False)
    assert whole.lessons == again.lessons > 10
    for name, array in whole.arrays().items():
        assert np.array_equal(array, again.arrays()[name]), name
    stopped = agent(env, seed=1, **settings)
    stopped.stop_inside(lambda: None)
    stopped.learn(150)
    for name, array in whole.arrays().items():
        assert np.array_equal(array, stopped.arrays()[name]), name
