"""Every public class and function of the models and networks has an example, and every example is run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

PACKAGES = ("rlplay.models", "rlplay.networks")
# Modules that move between packages; the examples of these are not asked for here.
ELSEWHERE = ("comparing", "pictures", "twins", "names", "references", "matmul", "torch_state")
# What compiles for long: `pytest -m slow`.
LONG = ("rlplay.networks.conv2d", "rlplay.networks.gru", "rlplay.networks.lstm", "CNNClassifier", "EncoderDecoder",
        "GRUAutoencoder")  # fmt: skip


def modules(package):
    """The package and all modules below it."""
    place = importlib.import_module(package)
    below = (found.name for found in pkgutil.walk_packages(place.__path__, f"{package}."))
    return [name for name in (package, *below) if name.rpartition(".")[2] not in ELSEWHERE]


def is_code(value):
    """Whether a value is a class or a function, compiled or not."""
    return inspect.isclass(value) or inspect.isroutine(inspect.unwrap(value) if callable(value) else value)


def public(module):
    """The names of the public classes and functions that a module defines."""
    place = importlib.import_module(module)
    return [
        name for name, value in vars(place).items()
        if not name.startswith("_") and is_code(value) and getattr(value, "__module__", "") == module
    ]  # fmt: skip


def exported():
    """The public names that packages hand on, as pairs of package and name."""
    for package in ("supervised", "unsupervised", "deep"):
        place = importlib.import_module(f"rlplay.models.{package}")
        yield from ((place.__name__, name) for name, value in vars(place).items() if inspect.isclass(value))


NAMES = [(module, name) for package in PACKAGES for module in modules(package) for name in public(module)]
CASES = [
    pytest.param(module, name, marks=pytest.mark.slow if {module, name} & set(LONG) else (), id=f"{module}.{name}")
    for module, name in NAMES
]


@pytest.mark.parametrize(("module", "name"), CASES)
def test_it_has_an_example_that_holds(module, name):
    place = importlib.import_module(module)
    value = getattr(place, name)
    examples = doctest.DocTestParser().get_doctest(
        inspect.getdoc(value) or "", {**vars(place)}, f"{module}.{name}", inspect.getfile(place), 0
    )
    assert any(">>>" not in one.source and one.source.strip() for one in examples.examples), "it has no example"
    found = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=found.append)
    assert not found, "".join(found)


def test_exported_names_are_among_them():
    homes = {(getattr(importlib.import_module(package), name).__module__, name) for package, name in exported()}
    assert len(homes) == 53
    assert homes <= set(NAMES)


def test_modules_describe_themselves():
    docs = {module: importlib.import_module(module).__doc__ for package in PACKAGES for module in modules(package)}
    assert [module for module, doc in docs.items() if not doc] == []
