"""Every symbol that an agent's file explains stands in the glossary, and the glossary's tables are in order."""

from __future__ import annotations

import ast
import re
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
AGENTS = sorted((ROOT / "agents").glob("*.py"))
# One letter; then a hat or bar, an index, primes or a star, a power of -1, arguments.
SYMBOL = re.compile(r"([^\W\d_][\u0302\u0304]?(?:[₀-₉]|_[A-Za-z\u0370-\u03ff0-9])?)[*'′]*(?:⁻¹)?(?:\([^)]*\))?")


def plain(text: str) -> str:
    """The same text with marks above letters as characters of their own."""
    return unicodedata.normalize("NFD", text)


def symbol_lines(path: Path) -> str:
    """The lines under ``Symbols:`` in a module's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    found = re.search(r"^Symbols:\n((?:    .*\n?)+)", docstring, re.M)
    return plain(found[1]) if found else ""


def symbols(lines: str) -> set[str]:
    """The symbols that lines in columns explain.

    A symbol begins a column, or a part of one after a comma; a Greek letter is one wherever it stands.
    """
    found = set()
    for column in re.split(r"\s{2,}|[,;:]\s+|\n|(?<=\s)(?=[\u0370-\u03ff])", re.sub(r"\(.*?\)", "", lines)):
        word = column.strip().split(" ")[0]
        shape = SYMBOL.fullmatch(word)
        if shape:
            found.add(shape[1])
    return found


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of the glossary."""
    part = GLOSSARY.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def glossary_symbols() -> set[str]:
    found = set()
    for first, *_ in rows("Symbols"):
        found |= {plain(symbol).rstrip("'*") for symbol in re.findall(r"`([^`]+)`", first)}
    return found


def test_symbols_are_read_from_columns():
    lines = """
    Q  q      float64 [S, A]   action values
    α  alpha  float or schedule, γ gamma, b the policy
    S, S'  obs, next_obs    v̂(s, w)  value   R̄ average
    Â⁻¹  inverse  x_k
    """
    expected = {plain(symbol) for symbol in ("Q", "q", "α", "γ", "b", "S", "v̂", "R̄", "Â", "x_k")}
    assert symbols(plain(lines)) == expected


@pytest.mark.parametrize("path", [path for path in AGENTS if symbol_lines(path)], ids=lambda path: path.stem)
def test_the_symbols_of_an_agent_stand_in_the_glossary(path):
    named = symbols(symbol_lines(path))
    assert named
    assert named <= glossary_symbols(), "docs/glossary.md has no line for these, under Symbols"


@pytest.mark.parametrize("heading", ["Terms of the field", "Words of this project"])
def test_the_tables_are_alphabetical(heading):
    terms = [first.strip("*`").lower() for first, *_ in rows(heading)]
    assert len(terms) > 10
    assert terms == sorted(terms)
    assert len(terms) == len(set(terms))
