"""The replay buffer against a plain one of deques, sums of priorities, sampling, and what a file keeps of both."""

from __future__ import annotations

from collections import Counter, deque

import numpy as np
import pytest

from rlplay.functional.batches import as_priorities, importance_weights
from rlplay.functional.replay import (
    GOES_ON,
    NO_STEP,
    TERMINATED,
    TRUNCATED,
    add_up_rewards,
    close_step,
    draw_uniformly,
    frames_before,
    keep_bytes,
    keep_newest,
    keep_numbers,
    new_replay,
    newest_row,
    next_row,
    open_slot,
    read_bytes,
    read_numbers,
    read_rows,
    read_stack,
    written_rows,
)
from rlplay.functional.running_moments import new_running_moments
from rlplay.functional.sum_tree import (
    draw_by_priority,
    new_sum_tree,
    set_priorities,
    set_priority,
    sum_up,
    total_priority,
)
from rlplay.seeding import stream

GAMMA = 0.9
PLAIN, _ = new_running_moments(False, 1, 1, GAMMA, "test")


class Deques:
    """What the ring of one environment must hold: each observation, and the step from it; the oldest are dropped."""

    def __init__(self, slots):
        self.kept = deque(maxlen=slots)

    def observe(self, obs):
        self.kept.append({"obs": obs})

    def step(self, action, reward, terminated, truncated):
        self.kept[-1].update(action=action, reward=reward, terminated=terminated, truncated=truncated)

    def returns(self, n_steps):
        """Every step that is kept: its observation, action, return, discount, and where it is bootstrapped from."""
        kept = list(self.kept)
        for at, first in enumerate(kept):
            if "action" not in first:
                continue
            total, factor, end = 0.0, 1.0, at
            while True:
                total += factor * kept[end]["reward"]
                factor *= 0.0 if kept[end]["terminated"] else GAMMA
                over = kept[end]["terminated"] or kept[end]["truncated"]
                end += 1
                if over or "action" not in kept[end] or end - at == n_steps:
                    break
            yield first["obs"], first["action"], total, factor, kept[end]["obs"]


def played(n_envs, slots, steps, seed, *, prioritized=False, ends=0.2):
    """The same random steps in both buffers; every observation has a number of its own."""
    rng, fresh = np.random.default_rng(seed), iter(range(10**9))
    replay = new_replay(slots * n_envs, n_envs, 1, 1, 5, prioritized=prioritized)
    plain = [Deques(slots) for _ in range(n_envs)]

    def observe(i):
        obs = np.float32([[next(fresh)]])
        keep_numbers(replay, open_slot(replay, i, prioritized), obs, 0, 1.0)
        plain[i].observe(obs[0, 0])

    for i in range(n_envs):
        observe(i)
    for _ in range(steps):
        actions = rng.integers(5, size=(n_envs, 1)).astype(np.float32)
        for i in range(n_envs):
            reward, (terminated, truncated) = float(rng.integers(-4, 5)), rng.random(2) < ends
            close_step(replay, i, actions, reward, terminated, truncated, prioritized)
            plain[i].step(actions[i, 0], reward, terminated, truncated)
            observe(i)
            if terminated or truncated:
                observe(i)
    return replay, plain


def found(replay, n_steps):
    """Every step of a buffer, as `Deques.returns` gives it."""
    rows = np.flatnonzero(replay.kinds[: written_rows(replay)] != NO_STEP)
    rewards, discounts, after = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    add_up_rewards(replay, PLAIN, rows, n_steps, GAMMA, rewards, discounts, after)
    obs, actions = replay.obs[:, 0], replay.actions[:, 0]
    return list(zip(obs[rows], actions[rows], rewards, discounts, obs[after], strict=True))


@pytest.mark.parametrize("n_steps", [1, 3, 7])
@pytest.mark.parametrize("steps", [0, 1, 5, 23, 200])  # empty, one, half full, about full, wrapped many times
@pytest.mark.parametrize("n_envs", [1, 3])
def test_what_is_kept_and_what_follows_from_it_are_those_of_plain_deques(n_envs, steps, n_steps):
    replay, plain = played(n_envs, 20, steps, seed=steps)
    expected = sorted(one for ring in plain for one in ring.returns(n_steps))
    ours = sorted(found(replay, n_steps))
    assert len(ours) == len(expected)
    assert np.allclose(np.array(ours), np.array(expected), rtol=1e-12, atol=0) if expected else not ours


@pytest.mark.parametrize(("k", "channels", "repeats"), [(2, 1, 0), (4, 3, 0), (3, 1, 1)])
@pytest.mark.parametrize("n_envs", [1, 3])
def test_stacked_pictures_are_kept_once_and_seen_as_they_were(n_envs, k, channels, repeats):
    """Against the stacks themselves, in a ring that wraps; what needs a forgotten picture is never drawn."""
    rng, slots, pixels, scale = np.random.default_rng(k), 40, 5, float(np.float32(1 / 255))
    size = pixels * k * channels
    replay = new_replay(
        slots * n_envs, n_envs, size, 1, 2, dtype=np.uint8, prioritized=True, stack=(k, channels, repeats)
    )
    assert replay.obs.nbytes == slots * n_envs * pixels * channels
    stacks, truth = [deque(maxlen=k) for _ in range(n_envs)], {}

    def observe(i, first):
        frame = rng.integers(1, 256, (pixels, channels)).astype(np.float32)
        if first:
            stacks[i].extend([frame if repeats else 0 * frame] * k)
        stacks[i].append(frame)
        obs = np.stack(list(stacks[i]), axis=1).reshape(1, size) * np.float32(scale)
        row = open_slot(replay, i, True)
        keep_newest(replay, row, obs, 0, scale)
        truth[row] = obs[0]

    for i in range(n_envs):
        observe(i, True)
    for t in range(300):
        for i in range(n_envs):
            ended, truncated = rng.random(2) < 0.1
            close_step(replay, i, np.zeros((n_envs, 1), np.float32), 1.0, ended, truncated, True)
            observe(i, False)
            if ended or truncated:
                observe(i, True)
        rows, out = np.zeros(30, np.int64), np.zeros(size, np.float32)
        draw_uniformly(replay, stream(t, "test"), rows)
        leaves = replay.priorities.values[: len(replay.kinds)]
        for row in {*rows.tolist(), *np.flatnonzero(leaves).tolist()}:
            assert replay.kinds[row] != NO_STEP
            for seen in (row, next_row(replay, row)):
                read_stack(replay, seen, scale, out)
                assert out.tolist() == truth[seen].tolist()
        assert read_rows(replay, rows, scale).tolist() == [truth[row].tolist() for row in rows]
        forgotten = [row for row in np.flatnonzero(replay.kinds) if frames_before(replay, int(row)) < 0]
        assert len(forgotten) <= n_envs * (k - 1)
        assert not leaves[forgotten].any()
        assert (leaves > 0).sum() == (replay.kinds > 0).sum() - len(forgotten)


def test_a_return_by_hand():
    """Rewards 1, 2, 3 and a time limit; then 5 and the end of the episode; γ = 0.9."""
    replay = new_replay(20, 1, 1, 1, 2)
    for obs, step in [
        (0, (1.0, False, False)), (1, (2.0, False, False)), (2, (3.0, False, True)), (3, None),
        (10, (5.0, True, False)), (11, None), (20, None),
    ]:  # fmt: skip
        keep_numbers(replay, open_slot(replay, 0, False), np.float32([[obs]]), 0, 1.0)
        if step:
            close_step(replay, 0, np.zeros((1, 1), np.float32), *step, False)
    assert replay.kinds[:7].tolist() == [GOES_ON, GOES_ON, TRUNCATED, NO_STEP, TERMINATED, NO_STEP, NO_STEP]
    by_hand = [
        [1 + 0.9 * 2, 0.81, 2],
        [2 + 0.9 * 3, 0.81, 3],  # from the observation at which the episode was cut
        [3, 0.9, 3],
        [5, 0.0, 11],
    ]
    assert np.allclose([one[2:] for one in found(replay, 2)], by_hand, rtol=1e-12)


def test_every_step_is_drawn_equally_often_and_nothing_else():
    replay, plain = played(2, 20, 60, seed=1)
    rows = np.zeros(50_000, np.int64)
    draw_uniformly(replay, stream(0, "test"), rows)
    counts = Counter(replay.obs[rows, 0].tolist())
    kept = {one[0] for ring in plain for one in ring.returns(1)}
    assert set(counts) == kept
    expected = 50_000 / len(kept)
    assert all(abs(count - expected) < 5 * np.sqrt(expected) for count in counts.values())


def test_bytes_are_what_they_were():
    """Pictures are seen as bytes times 1/255 in float32; they come back as the very same numbers."""
    replay, scale = new_replay(10, 1, 256, 1, 2, dtype=np.uint8), float(np.float32(1 / 255))
    picture = np.arange(256, dtype=np.float32)[None] * np.float32(1 / 255)
    keep_bytes(replay, open_slot(replay, 0, False), picture, 0, scale)
    out = np.zeros(256, np.float32)
    read_bytes(replay, newest_row(replay, 0), scale, out)
    assert out.tolist() == picture[0].tolist()
    replay = new_replay(10, 1, 1, 1, 2, dtype=np.float64)
    keep_numbers(replay, open_slot(replay, 0, False), np.array([[1.7e9 + 0.5]]), 0, 1.0)
    out = np.zeros(1)
    read_numbers(replay, 0, 1.0, out)
    assert out[0] == 1.7e9 + 0.5


# Priorities.


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 64, 65, 1000])
def test_sums_are_those_of_the_leaves_and_are_made_anew_with_the_same_bits(rows):
    rng, tree = np.random.default_rng(rows), new_sum_tree(rows)
    plain = np.zeros(rows)
    for _ in range(20):
        chosen, priorities = rng.integers(rows, size=5), rng.random(5) * 3
        set_priorities(tree, chosen, priorities)
        plain[chosen] = priorities
        one = int(rng.integers(rows))
        set_priority(tree, one, 0.25)
        plain[one] = 0.25
    assert tree.values[:rows].tolist() == plain.tolist()
    assert total_priority(tree) == pytest.approx(plain.sum(), rel=1e-12)
    again = new_sum_tree(rows)
    again.values[:rows] = plain
    sum_up(again)
    assert again.values.tolist() == tree.values.tolist()


def test_rows_are_drawn_in_proportion_to_their_priorities():
    rng, tree = np.random.default_rng(0), new_sum_tree(500)
    priorities = rng.random(500) * (rng.random(500) < 0.3)
    set_priorities(tree, np.arange(500), priorities)
    rows, chances = np.zeros(200_000, np.int64), np.zeros(200_000)
    draw_by_priority(tree, stream(0, "test"), rows, chances)
    expected = priorities / priorities.sum()
    assert chances == pytest.approx(expected[rows], rel=1e-9)
    assert np.bincount(rows, minlength=500) / 200_000 == pytest.approx(expected, abs=2e-5)  # stratified: nearly exact


def test_draws_are_stratified():
    """Of four equal parts of the total one draw each: with four equal priorities every row is drawn once."""
    tree, rows = new_sum_tree(4), np.zeros(4, np.int64)
    set_priorities(tree, np.arange(4), np.full(4, 0.7))
    for seed in range(50):
        draw_by_priority(tree, stream(seed, "test"), rows, np.zeros(4))
        assert rows.tolist() == [0, 1, 2, 3]


def test_a_row_without_a_priority_is_never_drawn_whatever_the_last_digits():
    rng, rows = np.random.default_rng(0), np.zeros(4096, np.int64)
    for seed in range(30):
        tree, priorities = new_sum_tree(100), rng.random(100) * 10.0 ** rng.integers(-12, 3, 100)
        priorities[rng.random(100) < 0.5] = 0.0
        set_priorities(tree, np.arange(100), priorities)
        draw_by_priority(tree, stream(seed, "test"), rows, np.zeros(4096))
        assert (priorities[rows] > 0).all()


def test_steps_have_priorities_and_observations_from_which_none_begins_have_not():
    replay, _ = played(3, 20, 100, seed=3, prioritized=True)
    assert ((replay.priorities.values[:60] > 0) == (replay.kinds != NO_STEP)).all()
    set_priority(replay.priorities, int(np.flatnonzero(replay.kinds)[0]), 7.0)
    close_step(replay, 0, np.zeros((3, 1), np.float32), 0.0, True, False, True)
    assert replay.priorities.values[newest_row(replay, 0)] == 7.0  # the greatest so far
    assert replay.kinds[newest_row(replay, 0)] == TERMINATED


def test_weights_and_priorities_by_hand():
    chances = np.array([0.5, 0.125, 0.25])
    importance_weights(chances, 1.0)
    assert chances.tolist() == [0.25, 1.0, 0.5]
    errors = np.array([-3.0, 0.0])
    as_priorities(errors, 0.5, 1.0)
    assert errors.tolist() == [2.0, 1.0]
