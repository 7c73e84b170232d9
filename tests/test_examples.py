"""Every exported name has an example, and the examples of every module are run."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
from pathlib import Path

import pytest

from tests.contract.cases import LONG_AGENTS

ROOT = Path(__file__).parents[1]
PACKAGES = ("rlplay", "agents", "envs")
# Models and networks: here every public class and function has an example, exported or not.
THROUGHOUT = ("rlplay.models.", "rlplay.networks.")
# Parts of the engine in those folders, which the tests of networks cover.
ENGINE = ("rlplay.networks.matmul", "rlplay.networks.torch_state")
# What takes more than 5 s where compiled code has to be loaded or made: `pytest -m slow`.
LONG = (
    "rlplay.models.deep.cnn", "rlplay.models.deep.encoder_decoder", "rlplay.models.deep.sequence_autoencoder",
    "rlplay.networks.conv2d", "rlplay.networks.gru", "rlplay.networks.lstm",
    *(f"agents.{name.replace('-', '_')}" for name in LONG_AGENTS),
)  # fmt: skip


def modules_below(package):
    """A package and all modules below it as pairs of name and file; imports none of them."""
    folder = ROOT.joinpath(*package.split("."))
    yield package, folder / "__init__.py"
    for found in pkgutil.iter_modules([str(folder)], f"{package}."):
        if found.ispkg:
            yield from modules_below(found.name)
        elif not found.name.endswith("__main__"):
            yield found.name, folder / f"{found.name.rpartition('.')[2]}.py"


# Modules of an extra, and its package: examples run where it is installed.
EXTRAS = {"agents.sb3.contrib": "sb3_contrib"}
ABSENT = {name for name, package in EXTRAS.items() if importlib.util.find_spec(package) is None}
MODULES = {
    name: path for package in PACKAGES for name, path in modules_below(package) if name not in ABSENT
}  # fmt: skip
WITH_EXAMPLES = [name for name, path in MODULES.items() if ">>> " in path.read_text(encoding="utf-8")]


def plain(value):
    """A compiled function as the Python function that it is made of; anything else as it is."""
    return getattr(value, "py_func", value)


def is_code(value):
    """Whether a value is a class or a function."""
    return inspect.isclass(value) or inspect.isroutine(inspect.unwrap(value) if callable(value) else value)


def doctests(module):
    """The examples of a module: its own, and those of its classes, methods, properties and functions."""
    finder = doctest.DocTestFinder()
    found = {test.name: test for test in finder.find(module)}
    for name, value in vars(module).items():
        if plain(value) is not value and plain(value).__module__ == module.__name__:
            tests = finder.find(plain(value), f"{module.__name__}.{name}", module, {**vars(module)})
            found.update({test.name: test for test in tests})
    return [test for test in found.values() if test.examples]


def has_example(value):
    """Whether a docstring has an example that does more than import."""
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(plain(value)) or "")
    return any(not one.source.startswith(("import ", "from ")) for one in examples)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in WITH_EXAMPLES]
)
def test_examples_hold(name):
    said, runner = [], doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in doctests(importlib.import_module(name)):
        runner.run(test, out=said.append)
    assert runner.tries > 0
    assert not said, "".join(said)


def exported():
    """What modules hand on in ``__all__``, by its place."""
    for name in MODULES:
        module = importlib.import_module(name)
        yield from ((f"{name}.{one}", getattr(module, one)) for one in getattr(module, "__all__", ()))


def environments():
    """The classes of all environments, by their ids."""
    envs = importlib.import_module("envs")
    for env_id, (place, _) in {**envs.OWN_ENVS, **envs.GYMNASIUM_ENVS}.items():
        module, _, name = place.partition(":")
        yield env_id, getattr(importlib.import_module(module), name)


def defined_throughout():
    """All public names of the folders where each has an example, by their place."""
    for name in MODULES:
        if name.startswith(THROUGHOUT) and name not in ENGINE:
            for one, value in vars(importlib.import_module(name)).items():
                if not one.startswith("_") and getattr(value, "__module__", "") == name:
                    yield f"{name}.{one}", value


@pytest.mark.parametrize(("names", "least"), [(exported, 250), (environments, 22), (defined_throughout, 250)])
def test_every_name_has_an_example(names, least):
    found = [(place, value) for place, value in names() if is_code(value)]
    assert len(found) >= least
    assert [place for place, value in found if not has_example(value)] == []


def test_all_models_are_among_them():
    places = {place for place, value in defined_throughout() if inspect.isclass(value)}
    packages = [importlib.import_module(f"rlplay.models.{part}") for part in ("supervised", "unsupervised", "deep")]
    models = {f"{getattr(one, name).__module__}.{name}" for one in packages for name in one.__all__}
    assert len(models) == 54
    assert models <= places


def test_modules_describe_themselves():
    assert [name for name in MODULES if not importlib.import_module(name).__doc__] == []
