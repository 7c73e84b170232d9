"""The start screen: what keys and presses do, what is drawn, what is run; a real one is driven in test_window.py."""

from __future__ import annotations

import pygame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlplay import registry
from rlplay.cli import main
from rlplay.cli.start import catalogue, picture_of
from rlplay.viewer import drawing
from rlplay.viewer.start_screen import TABS, Start, StartScreen, intent_of, reduce

INTENTS = ["up", "down", "pageup", "pagedown", "next tab", "last tab", "tab 3", "choose b", "type x", "erase", "escape",
           "full", "theme", "enter", "train", "watch", "play", "stop", "quit", "nonsense"]  # fmt: skip


@given(st.lists(st.sampled_from(INTENTS), max_size=40), st.lists(st.sampled_from("abc"), unique=True))
def test_the_reducer_keeps_its_promises(intents, listed):
    start = Start()
    for intent in intents:
        before, start = start, reduce(start, intent, listed)
        assert 0 <= start.tab < len(TABS)
        assert len(dict(start.chosen)) == len(start.chosen)
        if intent in ("up", "down", "pageup", "pagedown") and listed:
            assert start.choice(TABS[start.tab]) in listed
        if intent == "escape":
            assert start.query == ""
        if intent == "nonsense":
            assert start is before


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pygame.font.init()
    yield tmp_path
    drawing.use()


class Process:
    """A process that has been started, and ends when it is told."""

    def __init__(self, words, **more):
        self.words, self.code, self.more = words, None, more

    def poll(self):
        return self.code

    def wait(self, timeout=None):
        return self.code

    def send_signal(self, number):
        self.code = 130


@pytest.fixture
def started():
    """The processes that were started."""
    return []


@pytest.fixture
def screen(folder, started):
    def run(words, **more):
        started.append(Process(words, **more))
        return started[-1]

    made = StartScreen(catalogue(), (1280, 720), run)
    yield made
    made.close()


def key(screen, code, typed="", mod=0):
    screen.handle(pygame.event.Event(pygame.KEYDOWN, key=code, unicode=typed, mod=mod))
    return screen.work()


def test_keys_choose_search_and_train(screen, started):
    key(screen, pygame.K_TAB)
    for letter in "expected":
        key(screen, 0, letter)
    assert screen.listed() == ["expected-sarsa"]
    key(screen, pygame.K_DOWN)
    key(screen, pygame.K_TAB)
    for letter in "tile":
        key(screen, 0, letter)
    key(screen, pygame.K_DOWN)
    key(screen, pygame.K_RETURN)
    words = "train --algo expected-sarsa --env FrozenLake-v1 --features tile-coding --watch"
    assert started[0].words[3:] == words.split()
    assert screen.child is started[0]
    key(screen, pygame.K_t, "t", pygame.KMOD_CTRL)
    assert len(started) == 1  # one at a time
    assert "still runs" in screen.notice
    assert key(screen, pygame.K_ESCAPE)
    assert screen.listed() != ["tile-coding"]
    assert key(screen, pygame.K_ESCAPE)  # first the search goes; then nothing is open, and it never closes the window
    assert "ctrl q" in screen.notice
    assert key(screen, pygame.K_q, "", pygame.KMOD_CTRL)  # it says what still runs
    assert not key(screen, pygame.K_q, "", pygame.KMOD_CTRL)


def test_what_a_command_says_is_shown_when_it_ends(screen, started):
    key(screen, pygame.K_p, "p", pygame.KMOD_CTRL)
    assert started[0].words[3:] == ["play", "--env", "FrozenLake-v1"]
    started[0].more["stdout"].write(b"some lines\nrlplay: there is no display for a window\n  Set DISPLAY\n")
    started[0].code = 2
    assert screen.work()
    assert screen.notice == "rlplay: there is no display for a window"
    assert screen.child is None


def test_a_run_is_listed_watched_and_gone_on_with(screen, started):
    assert main(["train", "--algo", "sarsa", "--env", "FrozenLake-v1", "-n", "300", "--seed", "0"]) == 0
    screen._runs = screen.catalogue.runs()
    screen.start = reduce(screen.start, "tab 4", [])
    (path,) = screen.listed()
    assert path == "logs/sarsa/FrozenLake-v1_1"
    key(screen, pygame.K_DOWN)
    run = screen.chosen_run()
    assert (run.agent, run.env) == ("sarsa", "FrozenLake-v1")
    assert "300 steps" in run.facts
    assert screen.command("train") == ["rlplay", "train", "-i", path, "--watch"]
    key(screen, pygame.K_RETURN)
    assert started[0].words[2:] == ["rlplay", "watch", path]


@pytest.mark.parametrize("size", [(640, 420), (1280, 720), (1920, 1080)])
def test_every_list_is_drawn_and_pressed_with_the_mouse(screen, size):
    surface = pygame.Surface(size)
    for tab in range(len(TABS)):
        screen.start = reduce(screen.start, f"tab {tab}", [])
        screen.draw(surface)
        rows = [(box, intent) for box, intent in screen.pointer._buttons if intent.startswith("choose ")]
        assert bool(rows) == (TABS[tab] != "runs")
        for box, intent in rows[-1:]:
            assert surface.get_rect().contains(box)
            screen.handle(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=box.center))
            assert f"choose {screen.start.choice(TABS[tab])}" == intent
    pressed = {intent for _, intent in screen.pointer._buttons}
    assert {"train", "watch", "play", "tab 0", "tab 4"} <= pressed


def test_everything_that_is_listed_is_described():
    found = catalogue()
    for tab in ("environments", "agents", "features", "models"):
        assert found.names[tab]
        for name in found.names[tab]:
            assert len(found.describe(tab, name)) > 10, (tab, name)
    assert set(found.names["agents"]) == set(registry.agent_ids())


def test_pictures_or_the_reason():
    assert picture_of("FrozenLake-v1").ndim == 3
    assert "unknown environment" in picture_of("Nonsense-v7")


def test_letters_search_and_control_commands():
    def pressed(code, typed="", mod=0):
        return intent_of(pygame.event.Event(pygame.KEYDOWN, key=code, unicode=typed, mod=mod))

    assert pressed(pygame.K_t, "t") == "type t"
    assert pressed(pygame.K_t, "\x14", pygame.KMOD_CTRL) == "train"
    assert pressed(pygame.K_TAB, "\t", pygame.KMOD_SHIFT) == "last tab"
    assert pressed(pygame.K_TAB, "\t", pygame.KMOD_ALT) is None


def test_without_a_display_the_help_is_printed(monkeypatch, capsys):
    monkeypatch.setattr("rlplay.viewer.display.has_display", lambda: False)
    assert main([]) == 2
    out = capsys.readouterr().out
    assert "train an agent in an environment" in out


def test_what_is_searched_for_is_chosen(screen):
    for letter in "taxi":
        screen.handle(pygame.event.Event(pygame.KEYDOWN, key=0, mod=0, unicode=letter))
    assert screen.start.choice("environments") == "Taxi-v4"
    assert "Taxi-v4" in screen.command("train")
