"""Recurrent DQN: its update against autograd, kept states, predictions, files, masks, scores, bad input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import rlplay
from agents import RecurrentDQN
from agents.recurrent_dqn import make_rule
from rlplay import evaluate, make
from rlplay.agent.hidden_states import see_alone
from rlplay.errors import CheckpointError, HyperparameterError, RlplayWarning, SpaceError, UsageError
from rlplay.functional.batches import Options
from rlplay.functional.replay_windows import drawing_windows
from rlplay.functional.vector_step import plain, sight
from rlplay.testing import differences
from rlplay.viewer.session import Session
from tests.agents.test_recurrent import Masked

WORLD = "rlplay/CartPoleNoVel-v1"
SMALL = {
    "n_envs": 2, "recurrent_size": 8, "net_arch": [6], "buffer_size": 400, "learning_starts": 40, "batch_size": 5,
    "sequence_length": 7, "burn_in": 3, "target_update_interval": 60,
}  # fmt: skip
TORCH = {**SMALL, "network": "torch"}
OURS = pytest.param("numpy", marks=pytest.mark.slow)  # compiles
PARTS = {
    "lstm": {},
    "gru, double of 3 steps": {"recurrent": "gru", "double": True, "n_steps": 3},
    "dueling, squared error": {"dueling": True, "loss": "mse"},
    "no burn-in": {"burn_in": 0, "recurrent": "gru"},
}


# The update.


def drawing():
    """How windows are drawn, as plain Python."""
    return drawing_windows(Options(True, False, False), plain, sight(plain, None).look)


def played(network, steps=120, **settings):
    """An agent that has played and learned nothing, its networks apart, and windows of its replay buffer."""
    agent = RecurrentDQN(WORLD, seed=0, **{**SMALL, "network": network, "max_grad_norm": 0, **settings})
    agent.memory = agent.memory._replace(plan=agent.memory.plan._replace(learning_starts=10**6))
    with pytest.warns(RlplayWarning, match="learned nothing"):
        agent.learn(steps, engine="python")
    rng = np.random.default_rng(0)
    for name, net in agent.nets().items():
        arrays = {k: v.copy() for k, v in agent.kernels[name].arrays(net).items()}
        arrays["parameters"] += 0.3 * rng.normal(size=arrays["parameters"].shape) * (arrays["parameters"] != 0)
        agent.kernels[name].restore(net, arrays)
    drawing()(agent.memory, agent.memory.batch)
    return agent


def by_torch(agent, core, top, windows):
    """q̂ [L + 1, B, K] slot by slot with torch's cell, from flat parameters of ours."""
    h, lstm, size = agent.recurrent_size, agent.recurrent == "lstm", agent.encoder.size
    gates = (4 if lstm else 3) * h
    cell = (torch.nn.LSTMCell if lstm else torch.nn.GRUCell)(size, h)
    parts = torch.split(core, [size * gates, h * gates, gates, gates])
    named = {
        "weight_ih": parts[0].reshape(size, gates).T, "weight_hh": parts[1].reshape(h, gates).T,
        "bias_ih": parts[2], "bias_hh": parts[3],
    }  # fmt: skip
    batch, found = agent.batch_size, []
    state = list(torch.tensor(windows.states).split(h, dim=1))
    for t, begins in enumerate(windows.starts.reshape(-1, batch)):
        kept = torch.tensor(~begins).float()[:, None]
        state = [part * kept for part in state]
        x = torch.tensor(windows.obs[t * batch : (t + 1) * batch])
        after = torch.func.functional_call(cell, named, (x, tuple(state) if lstm else state[0]))
        state = list(after) if lstm else [after]
        if t < agent.burn_in:
            state = [part.detach() for part in state]
            continue
        out, place, sizes = state[0], 0, agent._top()[0]
        for layer in sizes:
            if layer.size():
                n_in, n_out = layer.n_in, layer.n_out
                weight = top[place : place + n_in * n_out].reshape(n_in, n_out)
                out = out @ weight + top[place + n_in * n_out : place + (n_in + 1) * n_out]
                place += (n_in + 1) * n_out
            else:
                out = torch.relu(out)
        if agent.dueling:
            out = out[:, :1] + out[:, 1:] - out[:, 1:].mean(dim=1, keepdim=True)
        found.append(out)
    return torch.stack(found)


@pytest.mark.parametrize("network", ["torch", OURS])
@pytest.mark.parametrize("name", PARTS)
def test_the_loss_and_its_gradient_are_autograds(name, network):
    """One update from windows in which episodes end; nothing goes back into the burn-in."""
    agent = played(network, **PARTS[name])
    windows, nets = agent.memory.batch, agent.nets()
    assert windows.starts.any()
    assert 0 < (windows.weights > 0).sum() < len(windows.weights) - agent.batch_size
    flat = {key: torch.tensor(agent.kernels[key].arrays(net)["parameters"].copy()) for key, net in nets.items()}
    core, top = flat["q_core"].requires_grad_(), flat["q"].requires_grad_()
    q = by_torch(agent, core, top, windows).flatten(0, 1)
    with torch.no_grad():
        older = by_torch(agent, flat["target_core"], flat["target"], windows).flatten(0, 1)
        best = (q if agent.double else older).argmax(dim=1)
        after = older.gather(1, best[:, None])[:, 0].numpy()[windows.after]
        targets = torch.tensor(windows.rewards + windows.discounts * after)
    taken = q[np.arange(len(q)), windows.actions[:, 0].astype(int)].double()
    of = torch.nn.functional.smooth_l1_loss if agent.loss == "huber" else torch.nn.functional.mse_loss
    learned = windows.weights > 0
    loss = of(taken[learned], targets[learned])
    loss.backward()

    rule = make_rule(tuple(agent.kernels.values()), agent.spec(), plain)
    rule.update(agent.memory, windows, 0.0)
    assert np.isclose(agent.memory.metrics.loss[0], loss.item(), rtol=1e-5)
    length = np.sqrt(float((core.grad**2).sum() + (top.grad**2).sum()))
    if not agent.dueling:
        assert np.isclose(agent.memory.metrics.grad_norm[0], length, rtol=1e-4)
    if network == "numpy":
        assert np.allclose(nets["q_core"].gradient, core.grad, atol=1e-5)
        exists = flat["q"].detach().numpy() != 0  # weights that would join the streams do not
        assert np.allclose(nets["q"].gradient[exists], top.grad.numpy()[exists], atol=1e-5)


@pytest.mark.parametrize("network", ["torch", OURS])
@pytest.mark.parametrize("recurrent", ["lstm", "gru"])
def test_kept_states_are_those_of_the_episode_so_far(recurrent, network):
    """The states beside the ring, against `predict` over all that an environment showed; of ours bit for bit."""
    agent = RecurrentDQN(WORLD, seed=0, recurrent=recurrent, **{**SMALL, "network": network, "learning_starts": 399})
    with pytest.warns(RlplayWarning, match="learned nothing"):
        agent.learn(120, engine="python")
    replay, work = agent.memory.replay, agent.memory.work
    for i in range(2):
        rows = np.arange(replay.filled[i]) * 2 + i
        state, begins = None, True
        for row in rows:
            if replay.kinds[row]:
                before = np.zeros(agent.state_size()) if begins else np.concatenate([part[0, 0] for part in state])
                assert (
                    np.array_equal(before, work.states[row])
                    if network == "numpy"
                    else np.allclose(before, work.states[row], atol=1e-6)
                )
            state = agent.predict(replay.obs[row], state, [begins])[1]
            begins = replay.kinds[row] == 0
    now = agent.running_state()
    assert [part.shape for part in now] == [(1, 1, 8)] * (2 if recurrent == "lstm" else 1)
    agent.give_up_episode()
    assert not agent.memory.nets.q.state.any()


def test_demonstrations_have_the_states_of_their_episodes():
    agent = RecurrentDQN(WORLD, seed=0, **TORCH).remember("random:60")
    replay, state, begins = agent.memory.replay, None, True
    for row in range(0, int(replay.filled[0]) * 2, 2):
        if not begins:
            assert np.allclose(np.concatenate([part[0, 0] for part in state]), agent.memory.work.states[row], atol=1e-6)
        state, begins = agent.predict(replay.obs[row], state, [begins])[1], replay.kinds[row] == 0
    agent.learn(100)
    assert agent.metrics()


# Acting.


@pytest.mark.parametrize("recurrent", ["lstm", "gru"])
def test_a_batch_is_predicted_as_its_rows(recurrent):
    agent = RecurrentDQN(WORLD, seed=0, recurrent=recurrent, **TORCH)
    obs = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    state, singles, starts = None, [None] * 3, np.ones(3, bool)
    for t, batch in enumerate(obs):
        probe = agent.probe(batch, state, starts)
        actions, state = agent.predict(batch, state, starts, deterministic=True)
        assert actions.tolist() == probe.action_values.argmax(axis=1).tolist()
        assert probe.memory.shape == (3, len(state), 8)
        for i, row in enumerate(batch):
            action, singles[i] = agent.predict(row, singles[i], starts[i : i + 1], deterministic=True)
            assert action == actions[i]
            for one, many in zip(singles[i], state, strict=True):
                assert np.allclose(one[0, 0], many[0, i], atol=1e-6)
        starts = np.array([False, t == 2, False])
    with pytest.raises(UsageError, match="episode_start of 2"):
        agent.predict(obs[0], state, [False, True])


@pytest.mark.parametrize("network", ["torch", OURS])
def test_a_masked_action_is_never_taken(network):
    agent = RecurrentDQN(Masked, seed=0, **{**SMALL, "network": network}).learn(150)
    assert agent.masks_seen
    assert agent.memory.batch.masks.any()
    evaluate(agent, n_eval_episodes=2)  # the environment asserts it


def test_the_window_shows_what_the_agent_remembers():
    agent = RecurrentDQN(WORLD, seed=0, **TORCH)
    session = Session(make(WORLD, render_mode="rgb_array"), agent, "watch", seed=1)
    state, start = None, np.ones(1, bool)
    for _ in range(5):
        probe, obs = session.probe(), session.observation
        assert probe.action_values.shape == (1, 2)
        state, start = agent.predict(obs, state, start)[1], np.zeros(1, bool)
        assert np.array_equal(probe.memory[0], np.stack(state)[:, 0, 0])
        session.step()


# Files.


@pytest.mark.parametrize("network", ["torch", OURS])
def test_a_file_in_mid_episode_goes_on_in_the_same_bits(network, tmp_path):
    """Half full, wrapped, the states in it."""
    make_one = lambda: RecurrentDQN(WORLD, seed=0, **{**SMALL, "buffer_size": 100, "network": network})  # noqa: E731
    engine = "python" if network == "torch" else "auto"
    whole = make_one().learn(90, engine=engine)
    part = make_one().learn(64, schedule_timesteps=90, engine=engine)
    assert any(one.position.length for one in part.running_envs())
    assert part.metrics()
    loaded = rlplay.load(part.save(tmp_path / "part")).learn(26, reset_num_timesteps=False, engine=engine)
    assert differences(whole, loaded) == []
    loaded.memory.work.states[:] = np.nan
    with pytest.raises(CheckpointError):
        rlplay.load(loaded.save(tmp_path / "broken"))


RESUME = """
import sys, rlplay
agent = rlplay.load(sys.argv[1])
agent.learn(700, reset_num_timesteps=False)
agent.save(sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.parametrize("buffer_size", [4000, 300])  # half full, wrapped
def test_a_new_process_goes_on_in_mid_episode_in_the_same_bits(buffer_size, tmp_path):
    given = {**SMALL, "buffer_size": buffer_size, "normalize": True, "dueling": True, "n_steps": 3}
    make_one = lambda: RecurrentDQN(WORLD, seed=0, **given)  # noqa: E731
    whole, part = make_one().learn(1000), make_one().learn(300, schedule_timesteps=1000)
    assert any(one.position.length for one in part.running_envs())
    path = part.save(tmp_path / "part")
    subprocess.run(
        [sys.executable, "-c", RESUME, str(path), str(tmp_path / "rest.rlp")], check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert differences(whole, rlplay.load(tmp_path / "rest.rlp")) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_native_and_stepwise_runs_have_the_same_bits(name):
    runs = [
        RecurrentDQN(WORLD, seed=0, **{**SMALL, **PARTS[name]}).learn(400, engine=engine)
        for engine in ("compiled", "python")
    ]
    assert differences(*runs) == []
    assert runs[0].metrics()


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_updates_end_in_the_same_weights_over_torch(name):
    ours, torchs = (
        RecurrentDQN(WORLD, seed=0, **{**small, **PARTS[name]}).learn(150, engine="python") for small in (SMALL, TORCH)
    )
    for key, net in ours.nets().items():
        assert np.allclose(net.parameters, torchs.nets()[key].parameters, atol=2e-4), key
    assert ours.memory.metrics.n_updates[0] > 0


# Bad input.


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"buffer_size": 20}, r"windows of 11 steps .* longer than the 10 observations"),
        ({"recurrent": "rnn"}, "recurrent"),
        ({"sequence_length": 0}, "sequence_length"),
        ({"buffer_size": 10**9, "recurrent_size": 4096}, "with a hidden state of 8,192 each"),
    ],
)
def test_settings_that_do_not_fit(given, words):
    with pytest.raises((HyperparameterError, UsageError), match=words):
        RecurrentDQN(WORLD, seed=0, **{**TORCH, **given})


def test_what_it_does_not_take():
    with pytest.raises(SpaceError, match="finite"):
        RecurrentDQN("Pendulum-v1", seed=0)
    with pytest.raises(HyperparameterError, match="torch module of yours"):
        RecurrentDQN(WORLD, network=torch.nn.Linear(4, 8), seed=0)


def test_errors_of_stored_steps_follow_what_was_remembered():
    """By hand: both networks from the kept state over S, the older one on over S'."""
    agent = RecurrentDQN("rlplay/MemoryChain-v0", **{**TORCH, "n_envs": 1}, seed=0).learn(120)
    stored, kept = agent.stored_steps(50), agent.memory.work.states
    errors = agent.td_errors(stored)
    for i in (0, 7, 31):
        row, size = stored.rows[i], agent.recurrent_size
        state = tuple(kept[row][None, None, k : k + size] for k in range(0, agent.state_size(), size))
        obs, next_obs = stored.obs[i : i + 1], stored.next_obs[i : i + 1]
        q = agent.critic_values(obs, state=state, episode_start=[False])[0, 0, int(stored.actions[i, 0])]
        older, states = agent.memory.nets.target, kept[[row]].copy()
        see_alone(agent.step_kernel, older, agent._network_inputs(obs), states)
        after = see_alone(agent.step_kernel, older, agent._network_inputs(next_obs), states).max()
        y = stored.rewards[i] + agent.gamma * after * (not stored.terminated[i])
        assert errors[i] == pytest.approx(y - q, abs=1e-6)
    probe = agent.probe(stored.obs[:1])
    assert agent.critic_values(stored.obs[:1])[0] == pytest.approx(probe.action_values)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_recalls_at_the_end_of_a_chain_what_was_shown_at_its_start(seed):
    """Right is worth 1 and wrong -1; without a memory the mean is about 0 (docs/benchmarks.md)."""
    agent = RecurrentDQN("rlplay/MemoryChain-v0", seed=seed).learn(20_000)
    assert evaluate(agent, n_eval_episodes=50).mean >= 0.9
