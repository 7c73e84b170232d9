"""Folders of models as Hugging Face and RL Zoo have them, read and written offline.

Read: a zip of Stable-Baselines3; ``vec_normalize.pkl`` or ``vecnormalize.pkl``; ``args.yml`` and ``config.yml``, also
in a folder below; the metadata at the head of ``README.md``. Everything is read as data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rlplay.errors import UsageError, counted, one_line, warn
from rlplay.storage.files import as_path, write_atomically
from rlplay.storage.sb3_zip import read_model_zip
from rlplay.storage.texts import PlainLoader, plain_yaml, text_of

_SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf")  # which a zip may hold as code
_STATISTICS = ("vec_normalize.pkl", "vecnormalize.pkl")


class ModelFolder(NamedTuple):
    """What a folder says of its model.

    Attributes:
        zip: the model.
        statistics: VecNormalize's file; None for none.
        env_id: the environment; empty where nothing says it.
        settings: schedules, which ``config.yml`` writes as text.
        unclaimed: a file of VecNormalize's in a folder of several zips, where nothing says whose it is.

    Example:
        >>> ModelFolder(Path("ppo-CartPole-v1.zip"), None, "CartPole-v1", {}).env_id
        'CartPole-v1'
    """

    zip: Path
    statistics: Path | None
    env_id: str
    settings: dict[str, Any]
    unclaimed: Path | None = None


def read_folder(path: str | Path) -> ModelFolder:
    r"""The model in a folder of Hugging Face or RL Zoo, or beside a zip.

    Args:
        path: the folder, or a zip, whose folder is looked at too.

    Raises:
        UsageError: there is no zip, or several of which none has the folder's name.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "ppo-CartPole-v1.zip").write_bytes(b"")
        ...     _ = Path(folder, "README.md").write_text("---\ntags:\n- CartPole-v1\n---\n")
        ...     read_folder(folder).env_id
        'CartPole-v1'
    """
    path = as_path(path)
    folder = path if path.is_dir() else path.parent
    model = _model_in(folder) if path.is_dir() else path
    beside = [model.with_suffix(".vecnormalize.pkl")]
    below = _below(folder)
    own = path.is_dir() or len(below) == 1 or len(_zips(folder)) == 1  # other files of the folder are of this model
    others = [place / name for place in (folder, *below) for name in _STATISTICS]
    if own:
        beside += others
    statistics = next((one for one in beside if one.exists()), None)
    unclaimed = next((one for one in others if one.exists()), None) if statistics is None else None
    said = _yaml_of(folder, "args.yml") if own else {}
    config = _yaml_of(folder, "config.yml") if own else {}
    env_id = said.get("env") or (_card_env(folder) if own else "")
    settings = {name: config[name] for name in _SCHEDULES if isinstance(config.get(name), str)}
    return ModelFolder(model, statistics, env_id if isinstance(env_id, str) else "", settings, unclaimed)


def _zips(folder: Path) -> list[Path]:
    return [one for one in sorted(folder.glob("*.zip")) if one.name != "train_eval_metrics.zip"]


def _below(folder: Path) -> list[Path]:
    """The folder of settings that RL Zoo puts into the folder of a run."""
    return [one.parent for one in sorted(folder.glob("*/args.yml")) if not one.parent.is_symlink()]


def _model_in(folder: Path) -> Path:
    found = _zips(folder)
    named = [one for one in found if one.stem in (folder.name, folder.name.rpartition("_")[0])]
    if len(found) != 1 and len(named) != 1:
        names = ", ".join(one.name for one in found[:5])
        raise UsageError(
            f"{folder} has {len(found)} zips of models{f': {names}' if names else ''}",
            "Name one of them" if found else "Name a folder with the zip that model.save wrote",
        )
    return named[0] if len(named) == 1 else found[0]


class _Loader(PlainLoader):
    """Reads what Python objects RL Zoo's files have as the data in them."""


def _ordered(loader: Any, node: Any) -> Any:
    """The pairs of an ordered dictionary."""
    listed = loader.construct_sequence(node, deep=True)
    return dict(tuple(pair) for pair in listed[0]) if listed else {}


def _tuple(loader: Any, node: Any) -> Any:
    return list(loader.construct_sequence(node, deep=True))


_TAG = "tag:yaml.org,2002:python/"
_Loader.add_constructor(f"{_TAG}object/apply:collections.OrderedDict", _ordered)
_Loader.add_constructor(f"{_TAG}tuple", _tuple)


def _yaml_of(folder: Path, name: str) -> dict[str, Any]:
    """The pairs of a file of RL Zoo, here or in a folder below; nothing where there is none.

    One that is damaged or another text is left out, which is said.
    """
    for place in (folder, *_below(folder)):
        try:
            there = (place / name).exists()
            value = plain_yaml(text_of(place / name), _Loader) if there else {}
        except (ValueError, OSError, yaml.YAMLError) as error:
            warn(f"left out: {place / name}: {one_line(error)[:200]}")
            continue
        if isinstance(value, dict) and value:
            return value
        if not isinstance(value, dict):
            warn(f"left out: {place / name}: it has no key: value pairs")
    return {}


def _card_env(folder: Path) -> str:
    """The environment that the metadata of ``README.md`` names; a card that is damaged is left out, which is said."""
    path = folder / "README.md"
    try:
        card = text_of(path) if path.exists() else ""
        head = re.match(r"---[ \t]*\n(.*?)\n---", card, re.DOTALL)
        said = plain_yaml(head[1], PlainLoader) if head else None
    except (ValueError, OSError, yaml.YAMLError) as error:
        warn(f"left out: {path}: {one_line(error)[:200]}")
        return ""
    if not isinstance(said, dict):
        return ""
    try:
        named = said["model-index"][0]["results"][0]["dataset"]["type"]
    except (KeyError, IndexError, TypeError):
        tags = said.get("tags")
        texts = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
        named = next((tag for tag in texts if re.search(r"-v\d+$", tag)), "")
    return named if isinstance(named, str) else ""


def write_card(
    folder: str | Path, algorithm: str, env_id: str, model: str | Path, results: Mapping[str, Any], *,
    statistics: bool = False, replay: bool = False, command: str = "",
) -> list[Path]:  # fmt: skip
    """Write what a folder of Hugging Face has beside its zip: ``README.md``, ``results.json``, ``config.json``.

    Args:
        folder: where.
        algorithm: Stable-Baselines3's class, such as ``"PPO"``.
        env_id: the environment.
        model: the zip.
        results: ``mean_reward``, ``std_reward``, ``n_eval_episodes``, ``is_deterministic``.
        statistics: whether ``vec_normalize.pkl`` stands beside it.
        replay: whether ``replay.mp4`` does.
        command: what wrote it.

    Example:
        >>> import tempfile
        >>> from agents import PPO
        >>> from rlplay.sb3 import save_zip
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model = save_zip(PPO("CartPole-v1", seed=0), f"{folder}/ppo-CartPole-v1.zip").model
        ...     results = {"mean_reward": 9.5, "std_reward": 0.5, "n_eval_episodes": 2, "is_deterministic": True}
        ...     written = write_card(folder, "PPO", "CartPole-v1", model, results)
        ...     read_folder(folder).env_id, sorted(one.name for one in written)
        ('CartPole-v1', ['README.md', 'config.json', 'results.json'])
    """
    folder, model = as_path(folder), as_path(model)
    reward = f"{results['mean_reward']:.2f} +/- {results['std_reward']:.2f}"
    task = {"type": "reinforcement-learning", "name": "reinforcement-learning"}
    metrics = [{"type": "mean_reward", "value": reward, "name": "mean_reward", "verified": False}]
    head = {
        "library_name": "stable-baselines3",
        "tags": [env_id, "deep-reinforcement-learning", "reinforcement-learning", "stable-baselines3", "rlplay"],
        "model-index": [{
            "name": algorithm,
            "results": [{"task": task, "dataset": {"name": env_id, "type": env_id}, "metrics": metrics}],
        }],
    }  # fmt: skip
    package = "stable_baselines3" if algorithm in ("PPO", "A2C", "DQN", "SAC", "TD3", "DDPG") else "sb3_contrib"
    lines = [
        "---", yaml.safe_dump(head, sort_keys=False).strip(), "---", "", f"# {algorithm} in {env_id}", "",
        f"Return of {counted(results['n_eval_episodes'], 'episode')}: {reward}. Trained with rlplay.", "",
        "```python", f"from {package} import {algorithm}", "",
        f'model = {algorithm}.load("{model.name}")', "```", "",
    ]  # fmt: skip
    if statistics:
        lines += ['Observations or rewards are normalised: `VecNormalize.load("vec_normalize.pkl", venv)`.', ""]
    if replay:
        lines += ["`replay.mp4` shows an episode.", ""]
    if command:
        lines += ["Written by", "", f"    {command}", ""]
    data = read_model_zip(model).data
    now = datetime.now(UTC).isoformat(timespec="seconds")
    texts = {
        "README.md": "\n".join(lines),
        "results.json": json.dumps({**results, "eval_datetime": now}, indent=2) + "\n",
        "config.json": json.dumps(data) + "\n",
    }
    return [write_atomically(folder / name, text.encode()) for name, text in texts.items()]
