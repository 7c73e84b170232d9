"""Windows of the replay buffer against plain lists: what follows what, and the returns within a window."""

from __future__ import annotations

import numpy as np
import pytest

from rlplay.functional.replay import NO_STEP, TRUNCATED, draw_uniformly
from rlplay.functional.replay_windows import add_up_within, follow, new_windows
from rlplay.seeding import stream
from tests.rlplay.test_replay import GAMMA, PLAIN, played

BATCH, BURN_IN, LENGTH = 40, 3, 5
SLOTS = BURN_IN + LENGTH + 1


def expected_of(kept, first, n_steps):
    """The slots of a window over what a ring holds, and of each learned one (reward, discount, after)."""
    slots = [min(first + t, len(kept) - 1) for t in range(SLOTS)]
    learned = {}
    for t in range(BURN_IN, SLOTS - 1):
        total, factor, end = 0.0, 1.0, t
        while "action" in kept[slots[end]] and end < SLOTS - 1 and end - t < n_steps:
            step = kept[slots[end]]
            total += factor * step["reward"]
            factor *= 0.0 if step["terminated"] else GAMMA
            end += 1
            if step["terminated"] or step["truncated"]:
                break
        if end > t:
            learned[t] = total, factor, end
    return slots, learned


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("steps", [2, 9, 200])  # less than a window, half full, wrapped many times
def test_windows_are_those_of_plain_lists(steps, n_steps):
    replay, plain = played(2, 20, steps, seed=steps)
    windows = new_windows(
        batch=BATCH, burn_in=BURN_IN, length=LENGTH, features=1, action_size=1, state=1, masks=0, outputs=2
    )
    draw_uniformly(replay, stream(0, "test"), windows.slots[0])
    follow(replay, windows.slots)
    count = add_up_within(replay, PLAIN, windows, n_steps, GAMMA)
    places = {one["obs"]: (ring, at) for ring in plain for at, one in enumerate(ring.kept)}
    rows = lambda values: values.reshape(LENGTH + 1, BATCH)  # noqa: E731
    for b in range(BATCH):
        ring, first = places[replay.obs[windows.slots[0, b], 0]]
        slots, learned = expected_of(ring.kept, first, n_steps)
        assert replay.obs[windows.slots[:, b], 0].tolist() == [ring.kept[at]["obs"] for at in slots]
        assert np.flatnonzero(rows(windows.weights)[:, b]).tolist() == [t - BURN_IN for t in learned]
        for t, (reward, discount, after) in learned.items():
            assert np.isclose(rows(windows.rewards)[t - BURN_IN, b], reward, rtol=1e-12)
            assert np.isclose(rows(windows.discounts)[t - BURN_IN, b], discount, rtol=1e-12)
            assert rows(windows.after)[t - BURN_IN, b] == (after - BURN_IN) * BATCH + b
    assert count == windows.weights.sum()


def test_a_time_limit_is_bootstrapped_from_the_last_observation():
    replay, _ = played(1, 60, 30, seed=3)
    cut = int(np.flatnonzero(replay.kinds == TRUNCATED)[0])
    assert replay.kinds[cut + 1] == NO_STEP
    windows = new_windows(batch=1, burn_in=0, length=2, features=1, action_size=1, state=1, masks=0, outputs=2)
    windows.slots[0] = cut
    follow(replay, windows.slots)
    assert add_up_within(replay, PLAIN, windows, 5, GAMMA) == 1
    assert windows.after[0] == 1
    assert windows.discounts[0] == GAMMA
    assert windows.slots[1, 0] == cut + 1
