"""The site builds without a warning and needs no network; files that its pages name exist."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "CHANGELOG", "SECURITY")),
    *(ROOT / "docs" / f"{name}.md" for name in ("index", "architecture", "glossary")),
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
]
TOOLS = ("mkdocs", "material", "mkdocstrings", "mkdocs_gen_files", "mkdocs_literate_nav")


def build(folder: Path) -> None:
    missing = [name for name in TOOLS if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install -e '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def check_no_network(site: Path) -> None:
    loads = re.compile(r"<(?:script|img|iframe)[^>]+src=[\"']?(?:https?:)?//|<link[^>]+href=[\"']?(?:https?:)?//")
    pages = list(site.rglob("*.html"))
    assert len(pages) > 100
    assert not [page.name for page in pages if loads.search(page.read_text(encoding="utf-8"))]
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.search(r"url\([\"']?(?:https?:)?//|@import", styles)


def check_every_module_has_a_page(site: Path) -> None:
    for package in ("rlplay", "agents", "envs"):
        for path in (ROOT / package).rglob("*.py"):
            place = path.relative_to(ROOT)
            if not any(part.startswith("_") and part != "__init__.py" for part in place.parts):
                page = place.with_name("index.html") if path.name == "__init__.py" else place.with_suffix(".html")
                assert (site / "reference" / page).exists(), place


def check_docstrings_keep_columns_and_examples(site: Path) -> None:
    page = (site / "reference" / "agents" / "q_learning.html").read_text(encoding="utf-8")
    assert "Q  q      float64 [S, A]   action values" in page  # columns of the symbol table
    assert "<blockquote>" not in page  # a doctest is code, not a quotation of quotations


def check_the_public_names_are_listed(site: Path) -> None:
    for place, name in (
        ("rlplay/index.html", "evaluate"),
        ("rlplay/extend.html", "Probe"),
        ("agents/index.html", "PPO"),
    ):
        page = (site / "reference" / place).read_text(encoding="utf-8")
        assert "Names to import from" in page
        assert f">{name}</code>" in page, place


def check_pages_of_algorithms_and_models_have_a_figure_and_a_failure(site: Path) -> None:
    from rlplay.viewer.codes import CODERS
    from rlplay.viewer.playground import STEPS

    pages = {path.stem: path.read_text(encoding="utf-8") for path in (site / "algorithms").glob("*.html")}
    for name in ("index", "SUMMARY"):
        pages.pop(name)
    assert len(pages) > 100
    assert [name for name, text in pages.items() if 'id="where-it-fails"' not in text] == []
    assert [
        name for name, text in pages.items() if not re.search(r'src="\.\./images/(learn|pages|gallery)/', text)
    ] == []
    assert {name for name, text in pages.items() if f"rlplay models play {name}" in text} == {*STEPS, *CODERS}


def test_the_site(tmp_path):
    """One test, since it is built once: a minute."""
    build(tmp_path)
    check_no_network(tmp_path)
    check_every_module_has_a_page(tmp_path)
    check_docstrings_keep_columns_and_examples(tmp_path)
    check_the_public_names_are_listed(tmp_path)
    check_pages_of_algorithms_and_models_have_a_figure_and_a_failure(tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:rlplay|agents|envs|docs|tests)/[\w./-]*)`", text)
    named += re.findall(r"\bpython ((?:docs|tests)/[\w/]+\.py)", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
    links = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    assert [target for target in links if not (page.parent / target).exists()] == []


def test_every_target_of_the_makefile_is_described_and_runs_files_that_exist():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.M)[1].split())
    assert set(re.findall(r"^([a-z-]+):.*## \w", text, re.M)) == phony
    assert {"test", "quick", "slow", "lint", "docs", "bits", "bench"} <= phony
    assert [name for name in re.findall(r"\$\(PYTHON\) ([\w/]+\.py)", text) if not (ROOT / name).exists()] == []
    for name in re.search(r"for name in ([\w ]+);", text)[1].split():
        assert (ROOT / "tests" / "benchmarks" / f"{name}.py").exists()


def test_the_workflow_runs_what_a_submission_must_pass():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "run: .ci/run\n" in text
    assert "RLPLAY_CACHE_DIR" in text
