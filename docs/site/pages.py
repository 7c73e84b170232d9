"""Pages that are generated when the site is built: one for each module, the examples, and files of the root.

Nothing is listed by hand: a module that is added, moved or renamed has its page at the next build. The sources are
read, not imported; the lessons of the learning path are read by the package itself.
"""

from __future__ import annotations

from pathlib import Path

import griffe
import mkdocs_gen_files

from rlplay.course.lesson import PARTS, lessons
from rlplay.course.notebook import as_text
from rlplay.course.pages import page

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "rlplay": "contracts, drivers, models, files, window and command line",
    "agents": "one file an algorithm",
    "envs": "environments of our own, and native ones of Gymnasium's",
}


def write(path: str, text: str, source: Path) -> None:
    """One page of the site."""
    with mkdocs_gen_files.open(path, "w") as file:
        file.write(text)
    if path.endswith(".md"):  # only pages have a link to edit them; notebooks are files beside
        mkdocs_gen_files.set_edit_path(path, source)


def first_sentence(thing: griffe.Object | griffe.Alias) -> str:
    """The first line of a docstring, as the cell of a table."""
    lines = thing.docstring.value.strip().splitlines() if thing.docstring else [""]
    return lines[0].replace("|", "\\|")


def page_of(module: griffe.Module) -> str:
    """The page of a module, under reference/."""
    parts = module.path.split(".")
    return "/".join([*parts, "index.md"] if module.is_init_module else [*parts[:-1], f"{parts[-1]}.md"])


def public_modules(module: griffe.Module) -> list[griffe.Module]:
    """A module and all below it, without those whose name begins with an underscore."""
    found = [module]
    for name, child in sorted(module.modules.items()):
        if not name.startswith("_") and not child.is_alias:
            found += public_modules(child)
    return found


def reexports(module: griffe.Module) -> list[tuple[str, griffe.Object]]:
    """Names that a package offers and other modules define: what its users import."""
    if not module.is_init_module and module.name != "extend":
        return []
    found = []
    listed = module.modules.get("names", module)  # `agents` keeps its names in a file of their own
    for name, member in sorted(listed.members.items()):
        if not member.is_alias or name.startswith("_"):
            continue
        try:
            target = member.final_target
        except (griffe.AliasResolutionError, griffe.CyclicAliasError):
            continue  # another library's
        if target.path.split(".")[0] in PACKAGES and not target.is_module:
            found.append((name, target))
    return found


def reference_page(module: griffe.Module) -> str:
    """The Markdown of a module's page."""
    text = [f"::: {module.path}", ""]
    names = reexports(module)
    if names:
        text += [f"## Names to import from `{module.path}`", "", "| name | defined in | |", "|---|---|---|"]
        for name, target in names:
            home = target.parent.path if target.parent else module.path
            shown = f"[`{name}`][{target.path}]" if target.docstring else f"`{name}`"  # what has none has no place
            text.append(f"| {shown} | `{home}` | {first_sentence(target)} |")
    return "\n".join(text) + "\n"


def reference() -> None:
    """The pages of all modules, and their place in the menu."""
    loader = griffe.GriffeLoader(search_paths=[ROOT])
    for package in PACKAGES:
        loader.load(package)
    loader.resolve_aliases(external=False)
    lines = ["* [API reference](index.md)"]
    rows = []
    for package, what in PACKAGES.items():
        top = loader.modules_collection[package]
        rows.append(f"| [`{package}`][{package}] | {what} | {len(public_modules(top))} modules |")
        for module in public_modules(top):
            page, depth = page_of(module), module.path.count(".")
            lines.append(f"{'    ' * depth}* [{module.name}]({page})")
            write(f"reference/{page}", reference_page(module), ROOT / Path(str(module.filepath)).relative_to(ROOT))
    overview = ["# API reference", "", "From the docstrings, all modules of:", "", "| package | | |", "|---|---|---|"]
    write("reference/index.md", "\n".join([*overview, *rows]) + "\n", Path(__file__))
    write("reference/SUMMARY.md", "\n".join(lines) + "\n", Path(__file__))


def examples() -> None:
    """The scripts of docs/examples on one page."""
    text = ["# Examples", "", "Short scripts to copy and change. Each is run by the tests.", ""]
    for path in sorted((ROOT / "docs" / "examples").glob("*.py")):
        title = path.stem.replace("_", " ").capitalize()
        text += [f"## {title}", "", f'```python title="docs/examples/{path.name}"', path.read_text("utf-8").rstrip()]
        text += ["```", ""]
    write("examples.md", "\n".join(text), ROOT / "docs" / "examples")


def learning_path() -> None:
    """A page and a notebook for each lesson, and their place in the menu."""
    lines = ["* [The learning path](README.md)"]
    for part in PARTS:
        lines.append(f"* {part.capitalize()}")
        for one in (one for one in lessons() if one.part == part):
            lines.append(f"    * [{one.title}]({one.id}.md)")
            write(f"learn/{one.id}.md", page(one), one.path)
            write(f"learn/{one.id}.ipynb", as_text(one), one.path)
    write("learn/SUMMARY.md", "\n".join(lines) + "\n", Path(__file__))


def root_files() -> None:
    """CONTRIBUTING, CHANGELOG and SECURITY, with links that hold inside the site."""
    names = "CONTRIBUTING", "CHANGELOG", "SECURITY"
    for name in names:
        path = ROOT / f"{name}.md"
        text = path.read_text("utf-8").replace("](docs/", "](")
        for other in names:
            text = text.replace(f"]({other}.md", f"]({other.lower()}.md")
        write(f"{name.lower()}.md", text, path)


reference()
examples()
learning_path()
root_files()
