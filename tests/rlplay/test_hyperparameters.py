"""Hyperparameters are declared once, in the class body: checked, shown and bound from there."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Annotated, ClassVar

import pytest

from rlplay import errors, registry
from rlplay.errors import HyperparameterError, RlplayError, RlplayWarning, UnknownNameError
from rlplay.extend import Choice, ControlAgent, Discount, Range, StepSize, TableAgent
from rlplay.hyperparameters.fields import declared
from rlplay.hyperparameters.idle import BESIDE, say_idle

ROOT = Path(__file__).parents[2]


class Mine(ControlAgent):
    """An agent for these tests."""

    id = "mine"
    names: ClassVar[list[str]] = []
    gamma = 0.5  # another default, the same domain
    n_steps: Annotated[int, Range("rewards in the return", 1, 9, integer=True)] = 4
    method: Annotated[str, Choice("which", ("a", "b"))] = "a"


def test_own_fields_come_first_then_those_of_the_family():
    assert list(declared(Mine)) == ["n_steps", "method", "gamma", "alpha", "epsilon", "initial_value", "features"]
    parameters = inspect.signature(Mine).parameters
    assert next(iter(parameters)) == "env"
    assert list(parameters)[-1] == "seed"
    assert parameters["env"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert parameters["n_steps"].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["gamma"].default == 0.5


def test_checked_values_are_attributes_and_recorded():
    agent = Mine("FrozenLake-v1", n_steps=7.0, alpha="0.25", seed=0)
    assert agent.n_steps == 7
    assert type(agent.n_steps) is int
    assert agent.gamma == 0.5
    assert agent.hyperparameters == {
        "n_steps": 7, "method": "a", "gamma": 0.5, "alpha": "0.25", "epsilon": 0.1, "initial_value": 0.0,
        "features": None,
    }  # fmt: skip


def test_an_instance_does_not_change_the_class():
    Mine("FrozenLake-v1", n_steps=7, seed=0)
    assert Mine.n_steps == 4
    assert Mine("FrozenLake-v1", seed=0).n_steps == 4


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n_steps": 10}, r"Mine: n_steps=10 is not a whole number in \[1, 9\]"),
        ({"gamma": 1.5}, r"Mine: gamma=1.5 is not a number in \[0, 1\]"),
        ({"method": "c"}, "Mine: method='c' is not one of a | b"),
    ],
)
def test_a_value_outside_its_domain_is_refused_by_name(given, words):
    with pytest.raises(HyperparameterError, match=words):
        Mine("FrozenLake-v1", **given)


def test_an_unknown_name_is_refused():
    with pytest.raises(UnknownNameError, match="n_step.*n_steps"):
        Mine("FrozenLake-v1", n_step=3)


def test_a_field_may_be_declared_where_its_names_are_local():
    Small = Annotated[float, Range("small", 0, 0.1)]

    class Local(TableAgent):
        """An agent in a function."""

        size_of_step: Small = 0.05

    assert declared(Local)["size_of_step"].domain.high == 0.1


def test_an_annotation_without_a_domain_is_an_error():
    with pytest.raises(TypeError, match=r"Wrong\.count has no domain.*ClassVar.*setup"):

        class Wrong(TableAgent):
            """No agent."""

            count: int = 3


def test_a_hyperparameter_without_a_default_is_an_error():
    with pytest.raises(TypeError, match=r"Wrong\.alpha is a hyperparameter without a default"):

        class Wrong(TableAgent):
            """No agent."""

            alpha: StepSize
            gamma: Discount = 0.9


@pytest.mark.parametrize("agent_id", registry.agent_ids())
def test_every_agent_shows_all_its_hyperparameters(agent_id):
    cls = registry.agent_class(agent_id)
    parameters = inspect.signature(cls).parameters
    assert list(parameters) == ["env", *declared(cls), "seed"]
    for name, field in declared(cls).items():
        assert parameters[name].default == field.default


def test_no_agent_relays_its_hyperparameters_through_a_constructor():
    relays = []
    for path in (ROOT / "agents").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                inits = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
                if inits and any(a.arg == "env" for a in inits[0].args.args) and inits[0].args.kwonlyargs:
                    relays.append(f"{path.name}: {node.name}")
    assert not relays


@pytest.mark.slow
def test_type_checkers_know_the_signature(tmp_path):
    code = """
        from agents import QLearning
        reveal_type(QLearning("FrozenLake-v1", alpha="lin_1", seed=3).gamma)
        QLearning("FrozenLake-v1", alpa=0.1)
        QLearning("FrozenLake-v1", gamma="much")
    """
    classes = {registry.agent_class(name).__name__ for name in registry.agent_ids() if "/" not in name}
    every = "".join(f"from agents import {name}\n{name}('E-v0', seed=0)\n" for name in sorted(classes))
    (tmp_path / "use.py").write_text(textwrap.dedent(code) + every)
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(tmp_path / "use.py")]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert 'Revealed type is "float"' in said or 'Revealed type is "builtins.float"' in said, said
    assert 'Unexpected keyword argument "alpa"' in said, said
    assert 'has incompatible type "str"; expected "float"' in said, said
    assert said.count("error:") == 2, said  # no agent needs a hyperparameter that has a default


BESIDE_OTHERS = [
    (agent_id, name)
    for agent_id in registry.agent_ids()
    if "/" not in agent_id
    for name in BESIDE
    if {name, BESIDE[name].name} <= declared(registry.agent_class(agent_id)).keys()
]


@pytest.mark.parametrize("name", BESIDE)
def test_what_changes_nothing_is_said(name):
    """A value whose other hyperparameter is off, in every agent that has both."""
    agents = [agent_id for agent_id, other in BESIDE_OTHERS if other == name]
    assert agents, "no agent has it: delete the line"
    for agent_id in agents:
        agent_class, beside = registry.agent_class(agent_id), BESIDE[name]
        defaults = {one.name: one.default for one in declared(agent_class).values()}
        domain = declared(agent_class)[name].domain
        tried = (True, 2, 3, 1, 0.25, "shared", "final", -0.5)
        values = [v for v in tried if accepts(domain, v) and v != defaults[name]]
        off = {**defaults, name: values[0], beside.name: False if defaults[beside.name] in (True, False) else None}
        errors._said_once.clear()
        with pytest.warns(RlplayWarning, match=f"{name}=.* changes nothing: it belongs to {beside.name}"):
            say_idle(agent_class.__name__, off, defaults)
        other = declared(agent_class)[beside.name].domain
        on = next(v for v in (True, 4, "c51", "normal", "lstm") if accepts(other, v))
        say_idle(agent_class.__name__, {**off, beside.name: on}, defaults)  # without a warning


def accepts(domain, value):
    try:
        return domain.check("Agent", "name", value) is not None
    except RlplayError:
        return False
