"""The playground of models: its steps are fits, its data are read or refused, and it records without a window."""

from __future__ import annotations

import numpy as np
import pygame
import pytest
from PIL import Image

from rlplay.errors import UsageError
from rlplay.models import twin
from rlplay.models.supervised import DecisionTreeClassifier
from rlplay.viewer.codes import CODERS, Codes
from rlplay.viewer.descent import DESCENTS, Backpropagation, GradientDescent
from rlplay.viewer.playground import STEPS, Playground
from rlplay.viewer.playground_data import DATA, points_of, rollout


def test_a_step_is_a_fit_of_so_many_steps():
    ground = Playground("decision-tree-classifier", "spirals")
    first = ground.scores()[0]
    ground.advance(5)
    assert ground.counter() == "max_depth = 6"
    alone = DecisionTreeClassifier(max_depth=6, random_state=0).fit(ground.x, ground.y)
    assert np.array_equal(ground.models[0].predict(ground.places), alone.predict(ground.places))
    assert type(ground.models[1]) is type(twin(alone))
    assert ground.scores()[0] > first
    ground.advance(-100)
    assert ground.scores()[0] == first
    ground.advance(100)
    assert ground.step == len(STEPS["decision-tree-classifier"][1]) - 1


@pytest.mark.parametrize("name", DATA)
def test_data_are_drawn_from_a_seed(name):
    x, y = points_of(name, seed=3)
    again, other = points_of(name, seed=3)[0], points_of(name, seed=4)[0]
    assert np.array_equal(x, again)
    assert not np.array_equal(x, other)
    assert len(np.unique(y)) in (2, 4)


def test_points_of_a_file(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("x,y,class\n0,0,red\n0,1,red\n5,0,blue\n5,1,blue\n")
    x, y = points_of(str(path))
    assert x.shape == (4, 2)
    assert y.tolist() == [1, 1, 0, 0]
    assert np.allclose(x.mean(axis=0), 0)


@pytest.mark.parametrize("text", ["", "x,y,class\n", "1,2\n3,4\n", "1,2,a\n1,nan,b\n1,2,a\n1,2,a\n", "1,b,c\nd,e,f\n"])
def test_a_file_that_does_not_fit_is_refused(tmp_path, text):
    path = tmp_path / "points.csv"
    path.write_text(text)
    with pytest.raises(UsageError):
        points_of(str(path))


def test_points_of_an_environment_are_its_observations():
    x, y, words = rollout("CartPole-v1,2,3")
    assert words == "CartPole-v1, numbers 2 and 3, actions of follow-the-pole"
    whole = rollout("CartPole-v1")[0]
    assert np.array_equal(whole[:, [2, 3]], x)
    score = whole @ [0.0, 0.0, 1.0, 1.0]  # the pole leans or falls to the right: the policy pushes to the right
    assert np.mean((score > 0) == y) > 0.8
    axes, labels = points_of("CartPole-v1")
    assert axes.shape == (240, 2)
    assert np.array_equal(labels, y)
    assert np.abs(axes).max() <= 3
    assert rollout("CartPole-v1,returns")[2].endswith("returns of random play")
    assert not np.array_equal(points_of("CartPole-v1", seed=1)[0], axes)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("CartPol-v1", "Did you mean CartPole-v1"),
        ("CartPole-v1,2", "two or more different numbers"),
        ("CartPole-v1,2,angle", "'angle' is no number of an observation"),
        ("Pendulum-v1,actions", "are no classes"),
        ("nothing", "an environment such as CartPole-v1"),
    ],
)
def test_an_environment_that_does_not_fit_is_refused(name, said):
    with pytest.raises(UsageError, match=said):
        points_of(name)


@pytest.mark.slow
def test_codes_of_an_autoencoder_beat_two_axes():
    ground = Codes("autoencoder")
    ground.advance(7)
    ours, over_torch, axes = ground.scores()
    assert ours == pytest.approx(over_torch, rel=0.02)
    assert ours < axes


@pytest.mark.slow
def test_codes_are_drawn_beside_the_twins():
    pygame.font.init()
    ground = Codes("autoencoder")
    ours, over_torch, axes = ground.scores()
    assert ours == pytest.approx(over_torch, rel=0.02)
    assert axes < ours
    surface = pygame.Surface((900, 340))
    ground.draw(surface)
    assert len({tuple(surface.get_at((x, y))) for x in range(0, 300, 2) for y in range(60, 300, 2)}) >= 5


def test_codes_need_points_of_three_numbers():
    with pytest.raises(UsageError, match="nothing is squeezed"):
        Codes("autoencoder", "moons")
    with pytest.raises(UsageError, match="Take three or more"):
        Codes("autoencoder", "CartPole-v1,0,1")


def test_torch_takes_the_same_steps():
    ground = GradientDescent()
    ground.advance(3)
    w, place = ground.twin(3)
    assert w == pytest.approx(ground.curve[3])
    assert place == pytest.approx(ground.valley[3])
    network = Backpropagation(seed=2)
    network.advance(10)
    for ours, theirs in zip(network.gradient, network.twin(), strict=True):
        assert np.allclose(ours, theirs, atol=1e-12)


def test_keys():
    ground = Playground("k-means", "blobs")
    assert ground.key(pygame.K_RIGHT)
    assert ground.step == 1
    assert ground.key(pygame.K_d)
    assert ground.data == "xor"
    assert ground.key(pygame.K_r)
    assert ground.seed == 1
    assert not ground.key(pygame.K_q)


def test_it_is_recorded_without_a_window(rlplay, tmp_path):
    words = ("models", "play", "k-means", "--headless", "-o", "k.gif", "--max-steps", "3", "--size", "600x340")
    assert rlplay(*words)[0] == 0
    with Image.open(tmp_path / "k.gif") as film:
        assert film.size == (600, 340)
        assert film.n_frames == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("models", "play", "vae", "--headless", "-o", "a.gif", "--data", "xor"), "nothing is squeezed"),
        (("models", "play", "pca", "--headless", "-o", "a.gif"), "pca has no playground"),
        (("models", "play", "k-means", "--headless"), "--headless shows nothing without -o"),
        (("models", "play", "k-means", "--headless", "-o", "a.gif", "--data", "moon"), "Did you mean moons?"),
        (("models", "show", "k-means", "--data", "moons"), "only play has a playground"),
        (("models", "play"), "models play needs a model"),
    ],
)
def test_wrong_usage(rlplay, words, said):
    code, _, err = rlplay(*words)
    assert code == 2
    assert said in err


def test_backpropagation_learns_xor_with_the_right_gradient():
    ground = Backpropagation(seed=1)
    first, second = ground.weights[0]
    h = 1e-6
    moved = first.copy()
    moved[1, 2] += h

    def loss(weights):
        units = np.append(np.tanh(ground.inputs @ weights), 1.0)
        return 0.5 * (units @ second - ground.target) ** 2

    assert (loss(moved) - loss(first)) / h == pytest.approx(ground.gradient[0][1, 2], abs=1e-5)
    ground.advance(ground.count)
    assert ground.loss() < 0.01
    ground.advance(-ground.count)
    assert np.array_equal(ground.weights[0][0], first)


def test_a_learning_rate_that_is_too_large_diverges_while_it_runs():
    ground = GradientDescent()
    ground.advance(5)
    assert not ground.diverged()
    for _ in range(9):
        ground.key(pygame.K_UP)
    ground.advance(50)
    assert ground.rate == 1.2
    assert ground.diverged()


@pytest.mark.parametrize("name", DESCENTS)
def test_descents_are_recorded(rlplay, tmp_path, name):
    words = ("models", "play", name, "--headless", "-o", "d.gif", "--max-steps", "4", "--size", "600x340")
    assert rlplay(*words)[0] == 0
    with Image.open(tmp_path / "d.gif") as film:
        assert film.n_frames == 4
    assert rlplay(*words, "--data", "xor")[0] == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", [*STEPS, *CODERS])
def test_every_model_that_has_a_playground_draws_all_its_steps(name):
    pygame.font.init()
    ground, surface = (Codes if name in CODERS else Playground)(name), pygame.Surface((500, 300))
    for _ in range(ground.count):
        ground.draw(surface)
        ground.advance(1)
    assert len({tuple(surface.get_at((x, 150))) for x in range(500)}) > 5
