"""Files of strangers: few bytes that stand for much, numbers that cannot be, files cut: one line, and at once."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import pickle
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

import rlplay
from agents import PPO
from rlplay import registry
from rlplay.cli import main
from rlplay.errors import CheckpointError, RlplayError, RlplayWarning
from rlplay.reports.logs import read_runs
from rlplay.sb3 import load_zip, read_folder, save_zip
from rlplay.storage import checkpoint
from rlplay.storage.inert_pickle import read_pickle
from rlplay.storage.texts import PlainLoader, plain_yaml
from rlplay.training.run_folder import RunFolder, read_evaluations

TEXTS = {
    "merged from too many": "a: &a {x: 1}\nb: {<<: [" + "*a, " * 101 + "*a]}",
    "of base 60": "a: 1" + ":1" * 20_001,
    "a long number": "a: 0x" + "f" * 10_000,
    "a long key": "0x" + "f" * 10_000 + ": 1",
    "many values": "[" + "1," * 30_000 + "1]",
    "too long": "a" * (2**20 + 1),
    "a tag": "!!python/object/apply:os.system [exit 1]",
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_stand_for_much_are_no_yaml(name):
    with pytest.raises(yaml.YAMLError):
        plain_yaml(TEXTS[name])


def test_dictionaries_that_take_in_one_another_many_times_take_no_time():
    lines = [f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 90)}], k{k}: 1}}" for k in range(1, 12)]
    with contextlib.suppress(yaml.YAMLError):  # refused, or each pair is taken in once, by PyYAML's version
        assert len(plain_yaml("\n".join(["a0: &a0 {x: 1}", *lines]))["a11"]) == 12


@pytest.mark.parametrize("text", ["a: 1\na: 2", "{a: {b: 1, b: 1}}", "a: 010", "a: 1:20", "a: 1:20.5"])
def test_what_people_and_programs_read_otherwise_is_no_yaml(text):
    with pytest.raises(yaml.YAMLError, match="twice|alike"):
        plain_yaml(text)


def test_numbers_are_read_as_people_type_them_and_ours_as_they_were_written():
    assert plain_yaml("[1e-3, 3E5, .5e1, -1e+2, 0, 0.5, 1e, e3, 1e3x]") == [
        1e-3, 3e5, 5.0, -100.0, 0, 0.5, "1e", "e3", "1e3x"]  # fmt: skip
    assert plain_yaml(yaml.safe_dump({"a": "1e-3"}), PlainLoader) == {"a": "1e-3"}
    assert plain_yaml("a: &a {x: 1}\nb: {<<: *a, x: 2}")["b"] == {"x": 2}


# Entries of an RL Zoo file, and what is said of them.
ENTRIES = {
    "gamma: 0.5\n  gamma: 0.9": "gamma stands there twice, again in line 3",
    "1: 2": "name 1, which is no text",
    "null: 2": "name None, which is no text",
    "n_steps: 0100": "0100 is no number that all read alike",
    "n_timesteps: 1.0e+300": "is more than 9,007",
    "policy_kwargs: \"dict(**{'net_arch': [8]})\"": "holds more than literals",
    "policy_kwargs: dict(net_arch=[8], net_arch=[4])": "holds more than literals",
    "policy_kwargs: dict(net_arch=None)": "net_arch=None is not a list",
    "policy_kwargs: dict(net_arch=[8.5])": "net_arch=.8.5. is not a list",
    "policy_kwargs: dict(net_arch=[-8])": "net_arch=.-8. is not a list",
    "policy_kwargs: dict(net_arch='small')": "net_arch='small' is not a list",
    "policy_kwargs: dict(net_arch=[100000000])": "net_arch=.100000000. is not a list",
    "policy_kwargs: dict(ortho_init='no')": "ortho_init='no' is not one of True . False",
    "policy_kwargs: dict(log_std_init='low')": "log_std_init='low' is not a number",
    "normalize: {norm_obs: 3}": "norm_obs=3 is not one of True . False",
    "normalize: {clip_obs: many}": "clip_obs='many' is not a number",
    "env_kwargs: 5": "5, are no names and values",
    "env_kwargs: {1: 2}": "{1: 2}, are no names and values",
    "env_kwargs: [[a, 1]]": "are no names and values",
    "callback: {stable_baselines3.common.callbacks.StopTrainingOnMaxEpisodes: {max_episodes: many}}": "whole numbers",
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_entries_of_strangers_are_refused_in_a_line_before_a_run_is_made(entry, capsys):
    Path("ppo.yml").write_text(f"CartPole-v1:\n  {entry}\n")
    count = [] if "timesteps" in entry else ["-n", "64"]
    assert main(["train", "--algo", "ppo", "--env", "CartPole-v1", "-conf", "ppo.yml", *count]) == 2
    assert re.search(ENTRIES[entry], capsys.readouterr().err)
    assert not Path("logs").exists()


PICKLES = {
    "tuples of themselves twice, as a name": b"\x80\x04]" + b"2\x86" * 60 + b"X\x01\x00\x00\x00x\x93.",
    "tuples of themselves twice": b"\x80\x04]" + b"2\x86" * 60 + b".",
    "tuples in each other": b"\x80\x04]" + b"\x85" * 1000 + b".",
    "a list in itself": b"\x80\x04]\x94h\x00a.",
}


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_that_stand_for_much_are_refused(name):
    with pytest.raises(CheckpointError, match="is damaged"):
        read_pickle(PICKLES[name], "this")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return save_zip(PPO("CartPole-v1", n_steps=64, seed=0), tmp_path_factory.mktemp("zip") / "model.zip").model


def written(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, blob in members.items():
            archive.writestr(name, blob)
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


AROUND = {
    "cut in half": (lambda blob: blob[: len(blob) // 2], "is cut"),
    "cut in its list": (lambda blob: blob[:-200], "is damaged"),
    "cut at its end": (lambda blob: blob[:-5], "is damaged"),
    "cut at its head": (lambda blob: blob[100:], "is damaged"),
    "a byte after it": (lambda blob: blob + b"x", "1 byte of something else"),
    "much after it": (lambda blob: blob + b"x" * 500, "500 bytes of something else"),
    "twice": (lambda blob: blob + blob, "stands before it"),
    "a pointer": (lambda blob: b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
}


@pytest.mark.parametrize("name", AROUND)
def test_a_zip_that_is_not_whole_is_said_with_a_way_out(name, whole, tmp_path):
    change, words = AROUND[name]
    path = tmp_path / "model.zip"
    path.write_bytes(change(whole.read_bytes()))
    with pytest.raises(CheckpointError, match=words) as caught:
        load_zip(path)
    assert caught.value.remedy


def test_many_values_in_the_json_are_refused_before_they_are_read(whole, tmp_path):
    path = written(tmp_path / "model.zip", {**members(whole), "data": b"[" + b"[]," * 2_000_000 + b"[]]"})
    with pytest.raises(CheckpointError, match="more than 1,000,000 values"):
        load_zip(path)


def changed(path: Path, to: Path, member: str, change) -> Path:
    """A zip whose tensors are changed by a function of their dictionary."""
    torch = pytest.importorskip("torch")
    inside = members(path)
    tensors = torch.load(io.BytesIO(inside[member]))
    change(torch, tensors)
    blob = io.BytesIO()
    torch.save(tensors, blob)
    return written(to, {**inside, member: blob.getvalue()})


def first(change):
    def of(torch, tensors):
        name = next(iter(tensors))
        tensors[name] = change(torch, tensors[name])

    return of


def shared(torch, tensors):
    numbers = torch.zeros(10_000)
    tensors.update({f"more{k}": numbers for k in range(200)})


WEIGHTS = {
    "truth values": (first(lambda torch, one: one > 0), "of type bool"),
    "bytes": (first(lambda torch, one: one.to(torch.int8)), "of type int8"),
    "beyond float32": (first(lambda torch, one: one.double() + 1e300), "which float32 cannot"),
    "bfloat16": (first(lambda torch, one: one.bfloat16()), "has a tensor of torch.BFloat16Storage"),
    "numbers of one another": (shared, "in .* bytes: refused"),
    "one missing": (lambda torch, tensors: tensors.pop("value_net.bias"), "lacks the weights value_net.bias"),
    "one more": (lambda torch, tensors: tensors.update(more=torch.zeros(2)), "has the weights more"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_cannot_be_are_named(name, whole, tmp_path):
    change, words = WEIGHTS[name]
    path = changed(whole, tmp_path / "model.zip", "policy.pth", change)
    with pytest.raises(RlplayError, match=words):
        load_zip(path, algo="sb3/ppo" if name.startswith("one") else None)


def test_numbers_of_any_size_in_the_json_are_refused_by_name(whole, tmp_path):
    data = json.loads(members(whole)["data"])
    for name, value in (("n_epochs", 10**400), ("gamma", 10**400), ("activation_fn", [1])):
        given = {"policy_kwargs": {name: value}} if name == "activation_fn" else {name: value}
        blob = json.dumps({**data, **given}).encode()
        with pytest.raises(RlplayError, match=name):
            load_zip(written(tmp_path / "model.zip", {**members(whole), "data": blob}), "CartPole-v1", algo="ppo")
    harm = {":serialized:": base64.b64encode(pickle.dumps(os.system)).decode()}
    blob = json.dumps({**data, "observation_space": harm}).encode()
    with pytest.raises(CheckpointError, match="refused, not run"):
        load_zip(written(tmp_path / "model.zip", {**members(whole), "data": blob}))


@pytest.mark.parametrize("text", ["---" + "\n" * 100_000, "---\na: [\n---\n", "---\na: 0x" + "f" * 9000 + "\n---\n"])
def test_a_damaged_card_beside_a_zip_names_nothing_and_takes_no_time(text, whole, tmp_path, recwarn):
    (tmp_path / "model.zip").write_bytes(whole.read_bytes())
    (tmp_path / "README.md").write_text(text)
    assert read_folder(tmp_path).env_id == ""
    assert [str(one.message) for one in recwarn] == [] or "left out: " in str(recwarn[0].message)


def event(step: float, value: float) -> bytes:
    event_pb2 = pytest.importorskip("tensorboard.compat.proto.event_pb2")
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    one = event_pb2.Event(step=step, wall_time=1.0)
    one.summary.value.add(tag="loss", simple_value=value)
    record = one.SerializeToString()
    head = struct.pack("<Q", len(record))
    return head + struct.pack("<I", masked_crc32c(head)) + record + struct.pack("<I", masked_crc32c(record))


def lying_length() -> bytes:
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    head = struct.pack("<Q", 2**62)
    return head + struct.pack("<I", masked_crc32c(head)) + b"abc"


TAILS = {
    "a length beyond the file": lying_length,
    "zeros": lambda: bytes(100),
    "a wrong checksum": lambda: event(9, 9.0)[:-1] + b"x",
}


@pytest.mark.parametrize("name", TAILS)
def test_what_stands_before_the_damage_of_tensorboards_file_counts(name, tmp_path):
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(event(1, 1.0) + event(2, 2.0) + TAILS[name]())
    with pytest.warns(RlplayWarning, match="damaged .* bytes before its end"):
        (run,) = read_runs([path])
    assert run.series["loss"][1].tolist() == [1.0, 2.0]
    path.write_bytes((event(1, 1.0) + event(2, 2.0))[:-3])  # cut within its last record, as by a kill
    assert read_runs([path])[0].series["loss"][1].tolist() == [1.0]


ROWS = {
    "lengths beyond numbers": "1,1e308,1\n2,1e308,2\n",
    "returns beyond sums": "1e308,10,1\n1e308,10,2\n",
    "lengths of 0": "1,0,1\n2,0,2\n",
    "a length below 0": "1,-5,1\n2,-5,2\n",
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_cannot_be_are_left_out_and_named(name, tmp_path):
    path = tmp_path / "0.monitor.csv"
    path.write_text("#{}\nr,l,t\n" + ROWS[name])
    with pytest.warns(RlplayWarning, match="it has no row with r, l, t"):
        assert read_runs([path]) == []
    path.write_text("\ufeff#{}\nr,l,t\n" + ROWS[name] + "7,5,9\n")  # as a spreadsheet saves it
    with pytest.warns(RlplayWarning, match="2 damaged rows"):
        (run,) = read_runs([path])
    assert [column.tolist() for column in run.series["episodes"]] == [[5.0], [7.0]]


@pytest.mark.skipif(os.name == "nt", reason="no pipes in folders there")
def test_what_is_no_file_and_names_that_no_line_can_show_are_named(tmp_path):
    os.mkfifo(tmp_path / "0.monitor.csv")
    (tmp_path / "progress.csv").write_text("time/total_timesteps,a\x1b]0;b\x07,c\n1,2,3\n")
    with pytest.warns(RlplayWarning) as said:
        (run,) = read_runs([tmp_path])
    lines = [str(one.message) for one in said]
    assert any("0.monitor.csv: it is no regular file" in line for line in lines)
    assert any("left out: the tag" in line and "\x1b" not in line for line in lines)
    assert set(run.series) == {"c"}
    with (tmp_path / "progress.csv").open("a") as file:
        file.truncate(2**40)  # no byte of it is on the disk
    with pytest.warns(RlplayWarning, match="bytes, more than"):
        assert read_runs([tmp_path / "progress.csv"]) == []


def test_evaluations_that_promise_much_are_refused_before_they_are_read(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|i1", "fortran_order": False, "shape": (2**28, 1)})
    blob = io.BytesIO()
    np.savez(blob, timesteps=np.arange(1), ep_lengths=np.ones((1, 1), int))
    blob.seek(0)
    with zipfile.ZipFile(blob, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, \
            archive.open("results.npy", "w") as file:  # fmt: skip
        file.write(header.getvalue())
        for _ in range(9):
            file.write(bytes(2**24))
    path = tmp_path / "evaluations.npz"
    path.write_bytes(blob.getvalue())
    with pytest.raises(CheckpointError, match="damaged"):
        read_evaluations(path)


def test_control_codes_and_endless_words_of_files_reach_no_terminal(capsys):
    assert main(["import", "no\x1b]0;such\x07" + "x" * 5000 + ".zip"]) != 0
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "\x07" not in said
    assert max(map(len, said.split("/"))) < 2000


@pytest.mark.filterwarnings("always::rlplay.errors.RlplayWarning")  # shown as lines, as in a command
@pytest.mark.skipif(os.name == "nt", reason="no pipes in folders there")
@pytest.mark.parametrize(
    "name", ["FrozenLake-v1/args.yml", "FrozenLake-v1/config.yml", "progress.csv", "evaluations.npz"]
)
def test_a_pipe_in_a_run_folder_holds_nothing_up(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "logs" / "q-learning" / "FrozenLake-v1_1"
    (run / "FrozenLake-v1").mkdir(parents=True)
    os.mkfifo(run / name)
    assert main(["runs", "--json"]) == 2  # there is no run that can be read
    assert main(["list", "runs"]) == 0
    assert main(["compare", str(run)]) == 2
    assert main(["train", "--resume", str(run)]) == 1
    assert "left out: " in capsys.readouterr().err


# Of a run's own files: what no run writes.
STRANGE_RUNS = {
    "endless steps a second": ("progress.csv", "time/total_timesteps,time/fps\n100,inf\n"),
    "no steps a second": ("progress.csv", "time/total_timesteps,time/fps\n100,0\n"),
    "timesteps beyond all numbers": ("progress.csv", f"time/total_timesteps,time/fps\n{'9' * 400},1.0\n"),
    "timesteps below zero": ("progress.csv", "time/total_timesteps,time/fps\n-5,1.0\n"),
    "keys that are no words": ("Env-v0/config.yml", "1: 2\nnull: 3\nalpha: 4\n"),
    "a list in place of settings": ("Env-v0/config.yml", "[1]\n"),
    "a pipe in place of an agent": ("Env-v0.rlp", ""),
}


def write_runs(logs: Path) -> RunFolder:
    """Two runs with evaluations; the second."""
    for k in (1, 2):
        folder = RunFolder(logs / f"q-learning/Env-v0_{k}")
        asked = {"algo": "q-learning", "env": "Env-v0", "env_kwargs": {}, "seed": k, "n_timesteps": 100,
                 "dynamics": "auto", "engine": "auto", "eval_freq": 50, "eval_episodes": 1, "save_freq": None,
                 "keep": None, "log_interval": None, "tensorboard_log": None}  # fmt: skip
        folder.path.mkdir(parents=True)
        folder.write_settings({"alpha": 0.5}, asked, "rlplay train")
        np.savez(folder.path / "evaluations.npz", timesteps=np.array([50, 100]), results=np.ones((2, 1)),
                 ep_lengths=np.ones((2, 1), np.int64))  # fmt: skip
    return folder


@pytest.mark.filterwarnings("always::rlplay.errors.RlplayWarning")
@pytest.mark.parametrize("what", STRANGE_RUNS)
def test_runs_with_strange_files_are_listed_and_compared(what, capsys):
    folder = write_runs(Path("logs"))
    if what == "a pipe in place of an agent":
        os.mkfifo(folder.last)
    else:
        name, content = STRANGE_RUNS[what]
        (folder.path / name).write_text(content)
    for verb in ("runs", "list runs", "runs --json", "runs compare", "compare logs -o page.html", "plot logs",
                 "eval logs/q-learning/Env-v0_2"):  # fmt: skip
        assert main(verb.split()) in (0, 1), verb
        assert "Traceback" not in "".join(capsys.readouterr())


# Names of folders: codes that steer a terminal, bytes that are no text, formulas and styles, words of a shell.
NAMES = ["a\x1b]0;b\x07\x9b31m\u202eb".encode() + b"\xff", b"_$x^$ 'b`c$(d) \n", b"[red]\\"]


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.skipif(os.name == "nt", reason="no such names there")
@pytest.mark.parametrize("name", NAMES)
def test_names_of_folders_neither_steer_the_terminal_nor_stop_a_verb(name, capsys):
    folder = os.fsdecode(name)
    write_runs(Path(folder))
    (Path(folder) / "q-learning" / "Env-v0_2").rename(Path(folder) / "q-learning" / f"{folder}_2")
    for verb in ("runs -f {}", "list runs -f {}", "runs --json -f {}", "runs prune --keep 1 -f {}", "runs export -f {}",
                 "plot {}", "compare {} -o {}.html"):  # fmt: skip
        assert main([word.replace("{}", folder) for word in verb.split()]) in (0, 1), verb
        shown = "".join(capsys.readouterr())
        shown.encode()
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown), verb
        assert "Traceback" not in shown
        if verb.startswith("runs --json"):
            assert json.loads(shown)["runs"][0]["run"].startswith(folder)


def test_an_episode_beyond_all_sizes_is_refused_before_it_is_read(capsys):
    Path("e.json").write_text("[" + "[]," * 2_000_000 + "[]]")
    assert main(["replay", "e.json", "--check"]) == 1
    assert "more than 2,000,000 lists" in capsys.readouterr().err
    os.truncate("e.json", 2**40)  # no byte of it is on the disk
    assert main(["replay", "e.json", "--check"]) == 1
    assert "e.json cannot be read: File too large" in capsys.readouterr().err


CHANGED = {
    "clock of a search": ("evolution-strategies", {"net_arch": [4]}, "agent/clock", [1, 0, 2**32], "clock: 4,29"),
    "episode of a search": ("cem", {"net_arch": [4]}, "agent/clock", [1, 2**20, 0], "clock: episode 1,04"),
    "scale of features": ("sarsa", {"features": "k-means:4,warm_up=20"}, "agent/features/scale", 5e-324, "holds 5e"),
    "window of an adapter": ("sb3/dqn", {"buffer_size": 100, "learning_starts": 10}, "window", 4, "window is 4"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGED.values(), ids=CHANGED)
@pytest.mark.filterwarnings("ignore::rlplay.errors.RlplayWarning")
def test_numbers_that_no_run_leaves_behind_are_refused(case, tmp_path):
    """They ended in a loop without an end, or in an error of a library's."""
    name, settings, place, value, said = case
    agent = registry.agent_class(name)("CartPole-v1", seed=0, **settings).learn(30)
    content = checkpoint.read(agent.save(tmp_path / "whole"))
    if place in content.arrays:
        content.arrays[place][:] = value
    else:
        content.manifest["extra"][place] = value
    checkpoint.write(tmp_path / "changed", content.manifest, content.arrays)
    with pytest.raises(CheckpointError, match=said):
        rlplay.load(tmp_path / "changed").learn(40, reset_num_timesteps=False)
