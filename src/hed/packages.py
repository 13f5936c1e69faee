"""What the docs draw and list of the code: which package imports which, and the commands."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent
# Modules outside of packages are common to all, except these; `shipped` is copied, not imported.
COMMON = "common"
MODULES = {"candle": "uno", "uno": "uno", "science": "science", "results": "results"}
GROUPS = ("everyone", "operators", "the graph", "developers")


def arrows() -> Mapping[str, set[str]]:
    """Return the packages that each package imports; modules outside of one are `common`."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(ROOT.rglob("*.py")):
        package = _group(path.relative_to(ROOT).parts[0].removesuffix(".py"))
        found[package] |= {_group(name) for name in _imported(path)} - {package, COMMON}
    return found


def picture() -> list[str]:
    """Return a Mermaid graph: who imports whom, without `common`, which all import."""
    lines = [
        f"    {package} --> {other}"
        for package, others in sorted(arrows().items())
        if package != COMMON
        for other in sorted(others)
    ]
    return ["```mermaid", "graph TD", *lines, "```"]


def _group(name: str) -> str:
    """Return the package that a part of hed belongs to."""
    is_package = (ROOT / name / "__init__.py").exists()
    return name if is_package else MODULES.get(name, COMMON)


def _imported(path: Path) -> Iterator[str]:
    """Yield the parts of hed that a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            top, _, rest = node.module.partition(".")
            if top == "hed":
                yield from [rest.partition(".")[0]] if rest else (each.name for each in node.names)


def commands(scripts: Path) -> list[str]:
    """Return the lines of a Markdown list of the commands, by their users.

    The first line of each says so: `For everyone: list ...`.
    """
    told = [(path.name, *_told(path)) for path in sorted(scripts.glob("*.py"))]
    lines = []
    for who in GROUPS:
        lines += [f"**For {who}**", ""]
        lines += [f"- `scripts/{name}`: {what}" for name, of, what in told if of == who]
        lines += [""]
    return lines


def _told(path: Path) -> tuple[str, str]:
    """Return who a command is for, and what it does."""
    line = (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]
    who, _, what = line.removeprefix("For ").partition(": ")
    return who, what.removesuffix(".")
