"""The updates of SAC, TQC, TD3 and DDPG beside torch's autograd and optimisers, from the same networks and noise."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from agents import ddpg, discrete_sac, sac, td3, tqc
from rlplay.compiled.cache import compiled
from rlplay.functional.actor_critic import DeterministicNets, JointNets, SoftNets, new_work
from rlplay.functional.on_policy_step import plain
from rlplay.functional.schedules import tabulate
from rlplay.functional.squashed_normal import draw_noise, squashed_gradient, squashed_sample
from rlplay.networks import batch_renorm
from rlplay.networks.ensemble import ensemble_kernel, new_ensemble, over_rows, target_net, target_of
from rlplay.networks.kernel import kernel
from rlplay.networks.layers import BatchRenorm, Linear, ReLU, Tanh, mlp
from rlplay.networks.state import initial_parameters, new_net

D, A, B, C = 3, 2, 8, 2
GAMMA, ALPHA, RATE = 0.9, 0.3, 1e-3


class Batch(NamedTuple):
    obs: Any
    actions: Any
    rewards: Any
    next_obs: Any
    discounts: Any


class Metrics(NamedTuple):
    loss: Any
    grad_norm: Any
    actor_loss: Any
    critic_loss: Any
    ent_coef: Any
    ent_coef_loss: Any
    learning_rate: Any
    n_updates: Any


class Memory(NamedTuple):
    nets: Any
    work: Any
    settings: Any
    metrics: Any
    noise_rng: Any
    low: Any
    high: Any


def _memory(settings: Any, *, gaussian: bool, critics: int, quantiles: int = 1, kept: int = 0) -> tuple[Memory, Batch]:
    rng = np.random.default_rng(0)
    actor_layers = mlp([D, 16, 16, 2 * A if gaussian else A], "relu") + ([] if gaussian else [Tanh()])
    critic_layers = mlp([D + A, 16, 16, quantiles], "relu")

    def initial(layers: Any) -> Any:
        return initial_parameters(layers, rng, "torch").astype(np.float32)

    actor = new_net(actor_layers, initial(actor_layers), B)
    ensemble = new_ensemble(critic_layers, np.stack([initial(critic_layers) for _ in range(critics)]), B)
    target, target_actor = target_of(ensemble), None if gaussian else target_net(actor)
    target.net.parameters[:] += rng.normal(0, 0.1, target.net.parameters.shape)
    if target_actor is not None:
        target_actor.parameters[:] += rng.normal(0, 0.1, target_actor.parameters.shape)
    work = new_work(D, A, 2 * A if gaussian else A, (critics, B, quantiles), kept)
    work.log_alpha[0] = math.log(ALPHA)
    soft, hard = SoftNets(actor, ensemble, target), DeterministicNets(actor, target_actor, ensemble, target)
    numbers = [rng.normal(size=shape) for shape in ((B, D), (B, A), (B,), (B, D))]
    batch = Batch(
        numbers[0].astype(np.float32), np.tanh(numbers[1]).astype(np.float32), numbers[2],
        numbers[3].astype(np.float32), np.where(np.arange(B) % 3 == 0, 0.0, GAMMA),
    )  # fmt: skip
    metrics, one = Metrics(*(np.zeros(1) for _ in range(8))), np.ones(A, np.float32)
    nets = soft if gaussian else hard
    return Memory(nets, work, settings(tabulate(RATE)), metrics, _rng(), -one, one), batch


def _rng() -> Any:
    return np.arange(1, 5, dtype=np.uint64)


def _noise(times: int) -> list[torch.Tensor]:
    rng, found = _rng(), []
    for _ in range(times):
        noise = np.zeros((B, A), np.float32)
        draw_noise(rng, noise)
        found.append(torch.tensor(noise, dtype=torch.float64))
    return found


class Torch:
    """A perceptron of torch with the parameters of one of ours, float64."""

    def __init__(self, flat: Any, sizes: list[int], tanh: bool = False) -> None:
        self.weights, at, self.tanh = [], 0, tanh
        for n_in, n_out in itertools.pairwise(sizes):
            w = torch.tensor(flat[at : at + n_in * n_out].reshape(n_in, n_out), dtype=torch.float64)
            b = torch.tensor(flat[at + n_in * n_out : at + n_in * n_out + n_out], dtype=torch.float64)
            at += n_in * n_out + n_out
            self.weights += [w.requires_grad_(), b.requires_grad_()]
        assert at == len(flat)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        for i in range(0, len(self.weights), 2):
            x = x @ self.weights[i] + self.weights[i + 1]
            x = torch.relu(x) if i + 2 < len(self.weights) else x
        return torch.tanh(x) if self.tanh else x

    def flat(self, gradient: bool = False) -> Any:
        return np.concatenate([(w.grad if gradient else w.detach()).numpy().ravel() for w in self.weights])


class Twin:
    """The same learner in torch."""

    def __init__(self, memory: Memory, *, gaussian: bool, quantiles: int = 1) -> None:
        learner = memory.nets
        outputs = 2 * A if gaussian else A
        self.actor = Torch(learner.actor.parameters, [D, 16, 16, outputs], not gaussian)
        many = len(learner.critics.tables)
        sizes = [D + A, 16, 16, quantiles]
        self.critics = [Torch(part, sizes) for part in np.split(learner.critics.net.parameters, many)]
        self.targets = [Torch(part, sizes) for part in np.split(learner.target_critics.net.parameters, many)]
        if not gaussian:
            self.target_actor = Torch(learner.target_actor.parameters, [D, 16, 16, outputs], True)
        self.actor_adam = torch.optim.Adam(self.actor.weights, RATE)
        self.critic_adam = torch.optim.Adam([w for critic in self.critics for w in critic.weights], RATE)
        self.log_alpha = torch.tensor(math.log(ALPHA), dtype=torch.float64, requires_grad=True)
        self.alpha_adam = torch.optim.Adam([self.log_alpha], RATE)

    def sample(self, obs: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_std = self.actor(obs).chunk(2, dim=1)
        log_std = log_std.clamp(-20, 2)
        normal = torch.distributions.Normal(mean, log_std.exp())
        u = mean + log_std.exp() * noise
        log_prob = normal.log_prob(u) - 2 * (math.log(2) - u - softplus(-2 * u))
        return torch.tanh(u), log_prob.sum(dim=1)

    @staticmethod
    def values(critics: list[Torch], obs: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        return torch.stack([critic(torch.cat([obs, actions], dim=1)) for critic in critics])

    @staticmethod
    def follow(targets: Any, leaders: Any, tau: float) -> None:
        for target, leader in zip(targets, leaders, strict=True):
            for own, other in zip(target.weights, leader.weights, strict=True):
                own.data.mul_(1 - tau).add_(other.data, alpha=tau)

    @staticmethod
    def step(adam: torch.optim.Optimizer, loss: torch.Tensor) -> float:
        adam.zero_grad()
        loss.backward()
        adam.step()
        return float(loss.detach())


def _tensors(batch: Batch) -> list[torch.Tensor]:
    return [torch.tensor(np.asarray(part), dtype=torch.float64) for part in batch]


def _soft_update(twin: Twin, batch: Batch, noise: list[torch.Tensor], entropy: float, kept: int) -> dict[str, float]:
    """SAC as Stable-Baselines3 has it, or with ``kept`` quantiles TQC as sb3-contrib has it."""
    obs, actions, rewards, next_obs, discounts = _tensors(batch)
    alpha = twin.log_alpha.detach().exp()
    with torch.no_grad():
        next_actions, next_log_probs = twin.sample(next_obs, noise[0])
        next_values = twin.values(twin.targets, next_obs, next_actions)  # [C, B, K]
        if kept:
            pooled = next_values.permute(1, 0, 2).reshape(B, -1).sort(dim=1).values[:, :kept]
            targets = rewards[:, None] + discounts[:, None] * (pooled - alpha * next_log_probs[:, None])
        else:
            targets = rewards + discounts * (next_values[:, :, 0].min(dim=0).values - alpha * next_log_probs)
    values = twin.values(twin.critics, obs, actions)
    if kept:
        k = values.shape[2]
        u = targets[None, :, None, :] - values[:, :, :, None]
        size = u.abs()
        huber = torch.where(size > 1, size - 0.5, 0.5 * u * u)
        tau = (torch.arange(k, dtype=torch.float64)[None, None, :, None] + 0.5) / k
        loss = ((tau - (u.detach() < 0).double()).abs() * huber).mean()
    else:
        loss = 0.5 * sum(((one[:, 0] - targets) ** 2).mean() for one in values)
    found = {"critic_loss": twin.step(twin.critic_adam, loss)}
    found_critics = np.concatenate([critic.flat(gradient=True) for critic in twin.critics])
    drawn, log_probs = twin.sample(obs, noise[1])
    values = twin.values(twin.critics, obs, drawn)
    value = values.mean(dim=(0, 2)) if kept else values[:, :, 0].min(dim=0).values
    found["actor_loss"] = twin.step(twin.actor_adam, (alpha * log_probs - value).mean())
    surplus = (log_probs.detach() + entropy).mean()
    found["ent_coef_loss"] = twin.step(twin.alpha_adam, -twin.log_alpha * surplus)
    found["critic_gradient"] = found_critics
    twin.follow(twin.targets, twin.critics, 0.05)
    return found


@pytest.mark.parametrize(
    "decorator", [pytest.param(plain, id="plain"), pytest.param(compiled, id="compiled", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("kept", [pytest.param(0, id="sac"), pytest.param(6, id="tqc", marks=pytest.mark.slow)])
def test_soft_updates_equal_those_of_torch(decorator, kept):
    module, quantiles = (tqc, 4) if kept else (sac, 1)
    given = (0.05, 1, -1.5, True, 0, 0.0) if kept else (0.05, 1, -1.5, True, 1, 0.0, 0, 0.0)
    memory, batch = _memory(
        lambda rate: module.Settings(rate, *given), gaussian=True, critics=C, quantiles=quantiles, kept=kept
    )
    twin, learner = Twin(memory, gaussian=True, quantiles=quantiles), memory.nets
    one = kernel(mlp([D, 16, 16, 2], "relu"))
    update = module.make_update(one, ensemble_kernel(one), decorator)
    noise = _noise(8)
    for step in range(4):
        update(memory, batch, 0.0)
        expected = _soft_update(twin, batch, noise[2 * step : 2 * step + 2], -1.5, kept)
        assert learner.critics.net.gradient == pytest.approx(expected["critic_gradient"], abs=1e-5)
        assert learner.actor.gradient == pytest.approx(twin.actor.flat(gradient=True), abs=1e-5)
        for name in ("critic_loss", "actor_loss", "ent_coef_loss"):
            assert getattr(memory.metrics, name)[0] == pytest.approx(expected[name], rel=1e-4), name
    assert learner.actor.parameters == pytest.approx(twin.actor.flat(), abs=1e-4)
    assert learner.critics.net.parameters == pytest.approx(
        np.concatenate([critic.flat() for critic in twin.critics]), abs=1e-4
    )
    assert learner.target_critics.net.parameters == pytest.approx(
        np.concatenate([target.flat() for target in twin.targets]), abs=1e-4
    )
    assert memory.work.log_alpha[0] == pytest.approx(float(twin.log_alpha.detach()), abs=1e-8)
    assert memory.metrics.n_updates[0] == 4


@pytest.mark.parametrize(
    "decorator", [pytest.param(plain, id="plain"), pytest.param(compiled, id="compiled", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("module", [ddpg, td3], ids=["ddpg", "td3"])
def test_deterministic_updates_equal_those_of_torch(decorator, module):
    delay, critics = (2, 2) if module is td3 else (1, 1)
    given = (0.05, 2, 0.2, 0.3, 0, 0.0) if module is td3 else (0.05, 0, 0.0)
    memory, batch = _memory(lambda rate: module.Settings(rate, *given), gaussian=False, critics=critics)
    twin, learner = Twin(memory, gaussian=False), memory.nets
    one = kernel([*mlp([D, 16, 16, 2], "relu"), Tanh()])
    update = module.make_update(one, ensemble_kernel(one), decorator)
    obs, actions, rewards, next_obs, discounts = _tensors(batch)
    noise = _noise(4) if module is td3 else [torch.zeros(B, A, dtype=torch.float64)] * 4
    for step in range(4):
        update(memory, batch, 0.0)
        with torch.no_grad():
            smoothed = (twin.target_actor(next_obs) + (0.2 * noise[step]).clamp(-0.3, 0.3)).clamp(-1, 1)
            least = twin.values(twin.targets, next_obs, smoothed)[:, :, 0].min(dim=0).values
            targets = rewards + discounts * least
        values = twin.values(twin.critics, obs, actions)[:, :, 0]
        loss = twin.step(twin.critic_adam, sum(((one - targets) ** 2).mean() for one in values))
        assert memory.metrics.critic_loss[0] == pytest.approx(loss, rel=1e-4)
        gradients = np.concatenate([critic.flat(gradient=True) for critic in twin.critics])
        assert learner.critics.net.gradient == pytest.approx(gradients, abs=1e-5)
        if (step + 1) % delay == 0:
            value = twin.critics[0](torch.cat([obs, twin.actor(obs)], dim=1)).mean()
            loss = twin.step(twin.actor_adam, -value)
            assert memory.metrics.actor_loss[0] == pytest.approx(loss, rel=1e-4)
            assert learner.actor.gradient == pytest.approx(twin.actor.flat(gradient=True), abs=1e-5)
            twin.follow(twin.targets, twin.critics, 0.05)
            twin.follow([twin.target_actor], [twin.actor], 0.05)
    for ours, theirs in (
        (learner.actor, [twin.actor]), (learner.critics.net, twin.critics), (learner.target_actor, [twin.target_actor]),
        (learner.target_critics.net, twin.targets),
    ):  # fmt: skip
        assert ours.parameters == pytest.approx(np.concatenate([one.flat() for one in theirs]), abs=1e-4)


class Renormalised:
    """A perceptron of torch with batch renormalisation before its linear layers, as CrossQ has it, float64."""

    def __init__(self, flat: Any, sizes: list[int], batches: float) -> None:
        self.layers, self.weights, place = [], [], 0
        for n_in, n_out in itertools.pairwise(sizes):
            parts = []
            for shape in ((n_in,), (n_in,), (n_in,), (n_in,), (1,), (n_in, n_out), (n_out,)):
                size = math.prod(shape)
                parts.append(torch.tensor(flat[place : place + size].reshape(shape), dtype=torch.float64))
                place += size
            self.layers.append(parts)
            self.weights += [parts[i].requires_grad_() for i in (0, 1, 5, 6)]
        assert place == len(flat)
        self.warm = batches > batch_renorm.WARM_UP

    def __call__(self, x: torch.Tensor, learns: bool) -> torch.Tensor:
        for number, (gamma, beta, mean, var, _, w, b) in enumerate(self.layers):
            m, v = mean.clone(), var.clone()
            if learns:
                m, v = x.mean(dim=0), x.var(dim=0)
                new_mean, new_var = m.detach(), v.detach()
                if self.warm:
                    known = (var + 1e-3).sqrt()
                    r = ((v + 1e-3).sqrt() / known).detach().clamp(1 / 3, 3)
                    d = ((m - mean) / known).detach().clamp(-5, 5)
                    m, v = m - d * v.sqrt() / r, v / r**2
                mean.lerp_(new_mean, 0.01)
                var.lerp_(new_var, 0.01)
            x = ((x - m) / (v + 1e-3).sqrt() * gamma + beta) @ w + b
            x = torch.relu(x) if number + 1 < len(self.layers) else x
        return x


@pytest.mark.slow
@pytest.mark.parametrize("batches", [0.0, batch_renorm.WARM_UP + 1.0], ids=["batch norm", "renormalised"])
def test_an_update_without_targets_equals_that_of_torch(batches):
    rng, sizes, wide = np.random.default_rng(0), [D, 16, 16, 2 * A], [D + A, 16, 16, 1]
    layers = [
        [one for i, o in itertools.pairwise(given) for one in (BatchRenorm(i), Linear(i, o), ReLU())][:-1]
        for given in (sizes, wide)
    ]  # fmt: skip
    flat = [initial_parameters(layers[which], rng, "torch").astype(np.float32) for which in (0, 1, 1)]
    for numbers, given in zip(flat, (sizes, wide, wide), strict=True):
        place = 0
        for n_in, n_out in itertools.pairwise(given):
            numbers[place + 2 * n_in : place + 3 * n_in] = rng.normal(0, 0.5, n_in)
            numbers[place + 4 * n_in] = batches
            place += 4 * n_in + 1 + (n_in + 1) * n_out
    actor, both = new_net(layers[0], flat[0], B), new_ensemble(layers[1], np.stack(flat[1:]), 2 * B)
    memory, batch = _memory(
        lambda rate: sac.Settings(rate, 0.05, 1, -1.5, True, 1, 0.0, 0, 0.0), gaussian=True, critics=C
    )
    work = new_work(D, A, 2 * A, (C, B, 1), joint=True)
    work.log_alpha[0] = math.log(ALPHA)
    memory = memory._replace(nets=JointNets(actor, over_rows(both, B), both), work=work)
    policy, critics = Renormalised(flat[0], sizes, batches), [Renormalised(one, wide, batches) for one in flat[1:]]
    adams = [
        torch.optim.Adam(policy.weights, RATE),
        torch.optim.Adam([w for one in critics for w in one.weights], RATE),
    ]
    update = sac.make_update(kernel(layers[0]), ensemble_kernel(kernel(layers[0])), plain, renorm=True, joint=True)
    obs, actions, rewards, next_obs, discounts = _tensors(batch)
    noise, log_alpha = _noise(6), torch.tensor(math.log(ALPHA), dtype=torch.float64, requires_grad=True)
    alpha_adam = torch.optim.Adam([log_alpha], RATE)
    for step in range(3):
        update(memory, batch, 0.0)
        # A bias before batch norm has no gradient but rounding, and Adam's first steps are of its sign.
        close = 2e-3 if step else 1e-5
        alpha = log_alpha.detach().exp()

        def sample(seen: torch.Tensor, drawn: torch.Tensor, learns: bool) -> tuple[torch.Tensor, torch.Tensor]:
            mean, log_std = policy(seen, learns).chunk(2, dim=1)
            u = mean + log_std.exp() * drawn
            normal = torch.distributions.Normal(mean, log_std.exp())
            return torch.tanh(u), (normal.log_prob(u) - 2 * (math.log(2) - u - softplus(-2 * u))).sum(dim=1)

        with torch.no_grad():
            next_actions, next_log_probs = sample(next_obs, noise[2 * step], False)
        pairs = torch.cat([torch.cat([obs, next_obs]), torch.cat([actions, next_actions])], dim=1)
        values = torch.stack([one(pairs, True)[:, 0] for one in critics])
        targets = rewards + discounts * (values[:, B:].detach().min(dim=0).values - alpha * next_log_probs)
        loss = Twin.step(adams[1], 0.5 * ((values[:, :B] - targets) ** 2).mean(dim=1).sum())
        assert memory.metrics.critic_loss[0] == pytest.approx(loss, rel=close)
        drawn, log_probs = sample(obs, noise[2 * step + 1], True)
        least = torch.stack([one(torch.cat([obs, drawn], dim=1), False)[:, 0] for one in critics]).min(dim=0).values
        loss = Twin.step(adams[0], (alpha * log_probs - least).mean())
        assert memory.metrics.actor_loss[0] == pytest.approx(loss, abs=2e-3)
        Twin.step(alpha_adam, -log_alpha * (log_probs.detach() - 1.5).mean())
    for ours, theirs in ((actor.parameters, [policy]), (both.net.parameters, critics)):
        parts = [part.detach().numpy().ravel() for one in theirs for layer in one.layers for part in layer]
        expected = np.concatenate(parts)
        counts = ours == 3 + batches  # of batches, which torch does not have
        assert counts.sum() == 3 * len(theirs)
        assert np.where(counts, expected, ours) == pytest.approx(expected, abs=5e-3)


def test_log_probabilities_stay_exact_where_an_action_is_all_but_1():
    outputs, noise = np.float32([[30.0, -1.0]]), np.zeros((1, 1), np.float32)
    actions, log_probs = np.zeros((1, 1), np.float32), np.zeros(1)
    squashed_sample(outputs, noise, actions, log_probs)
    # log(1 - tanh² 30) = log 4 - 60 - 2 log(1 + e^-60)
    assert log_probs[0] == pytest.approx(1.0 - 0.5 * math.log(2 * math.pi) + 60.0 - math.log(4.0))


def test_a_cut_log_std_has_no_gradient():
    outputs, grad = np.float32([[0.0, 3.0], [0.0, -25.0], [0.0, 1.0]]), np.zeros((3, 2), np.float32)
    one = np.ones((3, 1), np.float32)
    squashed_gradient(outputs, one, 0.5 * one, one, 0.1, grad)
    assert grad[0, 1] == 0.0
    assert grad[1, 1] == 0.0
    assert grad[2, 1] != 0.0


def test_the_gradients_of_finite_actions_are_those_of_autograd():
    rng, k = np.random.default_rng(0), 4
    logits, values = rng.normal(size=(B, k)).astype(np.float32), rng.normal(size=(C, B, k)).astype(np.float32)
    logits[0, 1] = -1e8  # forbidden
    actions, next_values = rng.integers(k, size=(B, 1)).astype(np.float32), rng.normal(size=(C, B, k))
    z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    q = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    log_policy = torch.log_softmax(z, dim=1)
    policy = log_policy.exp()
    terms = policy * (ALPHA * log_policy - q.detach().min(dim=0).values)
    terms.sum(dim=1).mean().backward()

    ours, ours_log = np.zeros((B, k)), np.zeros((B, k))
    discrete_sac.softmax(logits, ours, ours_log)
    assert ours == pytest.approx(policy.detach().numpy(), abs=1e-7)
    grad = np.zeros((B, k), np.float32)
    loss, negentropy = discrete_sac.policy_gradient(values, ours, ours_log, ALPHA, grad)
    assert grad == pytest.approx(z.grad.numpy(), abs=1e-6)
    assert loss == pytest.approx(float(terms.sum(dim=1).mean().detach()))
    assert negentropy == pytest.approx(float((policy * log_policy).sum(dim=1).mean().detach()))

    batch = Batch(None, actions, rng.normal(size=B), None, np.where(np.arange(B) % 3 == 0, 0.0, GAMMA))
    targets, grad = np.zeros(B), np.zeros((C, B, k), np.float32)
    compiled_batch = batch._replace(obs=0.0, next_obs=0.0)
    discrete_sac.soft_targets(compiled_batch, next_values.astype(np.float32), ours, ours_log, ALPHA, targets)
    soft = policy.detach().numpy() * (next_values.min(axis=0) - ALPHA * log_policy.detach().numpy())
    assert targets == pytest.approx(batch.rewards + batch.discounts * soft.sum(axis=1), abs=1e-5)
    loss = discrete_sac.critic_errors(values, actions, targets, grad)
    taken = q.gather(2, torch.tensor(actions.astype(np.int64)).expand(C, B, 1))[:, :, 0]
    expected = 0.5 * ((taken - torch.tensor(targets)) ** 2).mean(dim=1).sum()
    expected.backward()
    assert loss == pytest.approx(float(expected.detach()))
    assert grad == pytest.approx(q.grad.numpy(), abs=1e-6)
