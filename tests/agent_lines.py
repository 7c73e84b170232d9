"""How much of the agents' code is update rules, and how much is imports, hyperparameters and the rest.

    python tests/agent_lines.py [FOLDER]        FOLDER holds agents/; by default this checkout

Lines of code only: no blank lines, comments and docstrings. Rules are functions outside classes, memory records, and
the methods that learn, plan or act; hyperparameters are fields, or constructors where a checkout still has those.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

RULES = {
    "act", "update", "iterate", "sweep", "plan", "fit_iteration", "learn_difference", "estimate", "rollout", "step",
    "begin", "targets", "share", "improve", "evaluate",
}  # fmt: skip
LEFT_OUT = {"__init__.py", "recipes.py"}  # tables of names
SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> set[int]:
    """The numbers of the lines that hold code."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in SKIPPED:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            text = node.body[0]
            found -= set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return found


def kind(node: ast.stmt, inside: ast.ClassDef | None) -> str:
    """What a statement is."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "imports"
    if inside is None:
        return "rules" if isinstance(node, ast.FunctionDef) else "other"
    if isinstance(node, ast.AnnAssign) or (isinstance(node, ast.FunctionDef) and node.name == "__init__"):
        return "hyperparameters"
    return "rules" if isinstance(node, ast.FunctionDef) and node.name.strip("_") in RULES else "other"


def count(source: str) -> Counter[str]:
    """Lines of each kind in a file."""
    lines, found = code_lines(source), Counter[str]()
    for node in ast.parse(source).body:
        records = isinstance(node, ast.ClassDef) and any("NamedTuple" in ast.unparse(base) for base in node.bases)
        parts = [(one, node) for one in node.body] if isinstance(node, ast.ClassDef) and not records else [(node, None)]
        for one, inside in parts:
            first = min([one.lineno, *(d.lineno for d in getattr(one, "decorator_list", []))])
            size = len(lines & set(range(first, (one.end_lineno or first) + 1)))
            found["rules" if records else kind(one, inside)] += size
        if len(parts) > 1 or parts[0][1] is not None:
            found["other"] += 1  # the class line
    return found


def main() -> None:
    """Print the table."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
    total: Counter[str] = Counter()
    for path in sorted((root / "agents").glob("*.py")):
        if path.name not in LEFT_OUT and path.name != "sb3.py":
            total += count(path.read_text(encoding="utf-8"))
    lines = sum(total.values())
    for name, size in total.most_common():
        print(f"{name:16s} {size:5d} lines  {100 * size / lines:4.1f} %")


if __name__ == "__main__":
    main()
