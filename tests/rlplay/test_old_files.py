"""Files from before the modules moved, one an agent: they load, say the same, and go on learning."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from rlplay import load, make, registry
from rlplay.agent.tabular import TableAgent
from rlplay.hyperparameters.fields import declared
from rlplay.models.names import model_class
from rlplay.storage import checkpoint
from tests.contract.cases import LONG_AGENTS

pytestmark = pytest.mark.filterwarnings("ignore:a file was written with")  # by what ran then
FILES = Path(__file__).parents[1] / "fixtures" / "files"


def test_every_agent_has_an_old_file():
    agents = {checkpoint.read(path).manifest["agent"] for path in FILES.glob("*.rlp")}
    ours = {one for one in registry.agent_ids() if registry.agent_class(one).__module__.startswith("agents.")}
    assert agents == ours  # other tests register agents of their own


def as_before(now, before):
    """A value of a manifest without the parameters that models have got since; those have their defaults."""
    if not (isinstance(now, dict) and isinstance(before, dict)):
        return now
    found = {key: as_before(value, before.get(key)) for key, value in now.items() if key != "threads" or key in before}
    if {"model", "params"} <= set(before):
        usual = model_class(before["model"])().get_params(deep=False)
        found["params"] = {k: v for k, v in found["params"].items() if k in before["params"] or v != usual[k]}
    return found


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=pytest.mark.slow if path.stem in LONG_AGENTS else ())
        for path in sorted(FILES.glob("*.rlp"))
    ],
)
def test_an_old_file_loads_says_the_same_and_goes_on(path, tmp_path):
    saved = checkpoint.read(path)
    agent = load(path)
    own = agent.arrays()
    for name, array in saved.arrays.items():
        if name.startswith("agent/"):
            np.testing.assert_array_equal(own[name.removeprefix("agent/")], array, err_msg=name)
    assert agent.num_timesteps == saved.manifest["num_timesteps"]

    told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    obs, _ = make(agent.env.spec.id).reset(seed=3)
    probe = agent.probe(obs)
    if isinstance(agent, TableAgent) and probe.action_values is not None:  # some told the mean of the ε-greedy policy
        told["value"] = (
            probe.action_values.max(axis=1) if agent.hyperparameters.get("policy") is None else told["value"]
        )
    for name in ("action_values", "action_probabilities", "action_mean", "action_std", "value", "features"):
        if name in told and not agent.follows_position:  # another processor's products round otherwise
            np.testing.assert_allclose(np.ravel(getattr(probe, name)), told[name], rtol=1e-4, atol=1e-5, err_msg=name)

    again = agent.save(tmp_path / "again.rlp")
    manifest = checkpoint.read(again).manifest
    since = set(manifest["hyperparameters"]) - set(saved.manifest["hyperparameters"])
    for name in since:  # a hyperparameter that the agent has got since then has its default
        assert manifest["hyperparameters"].pop(name) == declared(type(agent))[name].default, name
    for key in ("agent", "env", "spaces", "hyperparameters", "seed", "horizon", "extra"):
        before = saved.manifest[key]
        if key == "hyperparameters":  # those that the agent has got since have their defaults
            before = {name: field.default for name, field in declared(type(agent)).items()} | before
            before = {name: value for name, value in before.items() if name in manifest[key]}
        assert as_before(manifest[key], before) == before, key
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*learned nothing")
        agent.learn(20, reset_num_timesteps=False, engine="python" if not agent.needs_model else "auto")
    assert agent.num_timesteps >= saved.manifest["num_timesteps"]
