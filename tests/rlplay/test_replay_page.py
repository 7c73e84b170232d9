"""The page of an episode: its size, its safety, and what a real browser shows of it, where chromium is installed."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import zlib

import numpy as np
import pytest

from agents import A2C
from rlplay import make
from rlplay.cli import main
from rlplay.cli.export import page_of
from rlplay.errors import UsageError
from rlplay.reports import replay_page
from rlplay.reports.replay_page import EpisodePage, Moment, render, write_page
from rlplay.viewer.session import Session

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def data_of(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def frames_of(data):
    """The frames of a page, decoded as its script does it."""
    width, height = data["size"]
    raw = np.frombuffer(zlib.decompress(base64.b64decode(data["frames"])), np.uint8).reshape(-1, height, width)
    indices = np.cumsum(raw, axis=0, dtype=np.uint64).astype(np.uint8)  # mod 256
    return np.array(data["palette"], np.uint8).reshape(-1, 3)[indices]


def colourful(steps, evil=""):
    page = EpisodePage(f"who{evil}", f"seed 0{evil}", f"rlplay export{evil}", 10.0, names=[f"left{evil}", "right"])
    for k in range(steps):
        frame = np.zeros((40, 60, 3), np.uint8)
        frame[:, : k + 1] = (200, 60, 20)
        page.add(frame, Moment([0.1 * k, 0.2], None, 0, 1.0, 1.0, f"step {k}{evil}"))
    return page


def test_the_frames_are_those_that_were_given():
    page = colourful(12)
    page.frames = [np.repeat(np.repeat(frame, 8, axis=0), 8, axis=1) for frame in page.frames]  # as wide as is kept
    found = frames_of(data_of(render(page)))
    assert found.shape == (12, 320, 480, 3)
    for k in range(12):
        assert np.abs(found[k].astype(int) - page.frames[k].astype(int)).max() <= 4


def test_what_users_say_is_text():
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>&\u2028@title@"
    text = render(colourful(3, evil))
    assert text.count("<script") == 2
    assert "<img" not in text
    assert data_of(text)["names"][0] == f"left{evil}"
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "://" not in text
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        content = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)[-1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy


def test_large_pictures_are_made_small_enough():
    draws = np.random.default_rng(0)
    frames = [draws.integers(0, 256, (100, 150, 3), np.uint8) for _ in range(4)]
    for room in (200_000, 50_000, 20_000):
        found = replay_page._pictures(frames, room)
        assert len(found["frames"]) <= room
        assert len(found["frames"]) > 0.3 * min(room, 4 * 150 * 100)  # and no smaller than that
    assert found["size"][0] < 150


def test_bad_pages(tmp_path):
    with pytest.raises(UsageError, match=r"\.html"):
        write_page(colourful(2), tmp_path / "page.pdf")
    with pytest.raises(UsageError, match="no step"):
        write_page(EpisodePage("", "", "", 1.0), tmp_path / "page.html")


def test_a_time_limit_is_no_end_of_the_values():
    """The last advantage of a cut episode counts what is expected after it."""
    env = make("CartPole-v1", render_mode="rgb_array", max_episode_steps=5)
    session = Session(env, A2C("CartPole-v1", seed=0), seed=0)
    page = page_of(session, 100, ["rlplay", "export"])
    assert len(page.moments) == 6
    assert np.isfinite(page.moments[-1].value)
    assert page.bookmarks == [(5, "the time limit")]


def pole(steps=500):
    """An episode of CartPole, 500 steps by a rule that keeps the pole up."""
    env = make("CartPole-v1", render_mode="rgb_array")
    session = Session(env, A2C("CartPole-v1", seed=0), seed=3)
    session.agent.predict = lambda obs, *more, **others: (
        int(obs[2] + 0.3 * obs[3] + 0.02 * obs[0] + 0.05 * obs[1] > 0),
        None,
    )
    return page_of(session, steps, ["rlplay", "export", "logs/x y", "--seed", "3"])


def test_500_steps_of_cart_pole_are_less_than_a_megabyte(tmp_path):
    page = pole()
    assert len(page.moments) == 501
    path = write_page(page, tmp_path / "pole.html")
    assert path.stat().st_size < 1_000_000


def test_the_command_line_writes_a_page_of_a_run_and_of_a_recording(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--algo", "q-learning", "--env", "FrozenLake-v1"]
    assert main(["train", *words, "-n", "500", "--seed", "0", "--eval-freq", "-1"]) == 0
    assert main(["export", *words, "-o", "lake.html", "--seed", "2"]) == 0
    data = data_of((tmp_path / "lake.html").read_text())
    assert data["names"] == ["left", "down", "right", "up"]
    assert sum(step["reward"] or 0 for step in data["steps"]) == data["steps"][-1]["total"]
    assert "--seed 2" in (tmp_path / "lake.html").read_text()
    session = Session(make("FrozenLake-v1", render_mode="rgb_array"), None, "play", seed=5)
    while not session.ended:
        session.pending = 2
        session.step()
    session.demonstrations.episodes[0].save(tmp_path / "mine.json", session.env.action_space)
    assert main(["export", "mine.json", "-o", "mine.html"]) == 0
    data = data_of((tmp_path / "mine.html").read_text())
    assert {step["taken"] for step in data["steps"][:-1]} == {2}
    capsys.readouterr()
    assert main(["export", "mine.json", "-o", "mine.html", "--stochastic"]) == 2
    assert main(["export", "mine.json", "-o", "mine.html", "--seed", "1"]) == 2
    assert main(["export", *words, "-o", "lake.pdf"]) == 2


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_it(tmp_path):
    """Chromium runs the page as its policy allows: the step that the address names, its words, its values."""
    evil = "</script><script>document.title='hacked'</script>"
    page = colourful(9, evil)
    path = write_page(page, tmp_path / "page.html")
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    words = [
        CHROMIUM,
        *flags,
        "--virtual-time-budget=5000",
        "--enable-logging=stderr",
        "--dump-dom",
        f"{path.as_uri()}#step=7",
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    assert 'data-ready="yes"' in done.stdout
    assert "step 7 of 8, return so far 7" in done.stdout
    assert "Content Security Policy" not in done.stderr
    assert "<title>hacked" not in done.stdout
    assert done.stdout.count("<button") == 4 + len(data_of(path.read_text())["bookmarks"])
    picture = tmp_path / "shown.png"
    subprocess.run(
        [*words[:-2], f"--screenshot={picture}", f"{path.as_uri()}#step=7"],
        capture_output=True,
        timeout=120,
        check=True,
    )
    from PIL import Image

    with Image.open(picture) as image:
        colours = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    assert (np.abs(colours - (200, 60, 20)).max(axis=1) < 6).sum() > 1000  # the frame is painted
