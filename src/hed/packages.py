"""Which packages of hed import which: the arrows of the picture in docs/developing.md."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent
# Modules that stand by themselves belong to one of two groups: what all use, and CANDLE's models.
MODELS = frozenset(["candle", "uno"])
COMMON = "common"


def arrows() -> Mapping[str, set[str]]:
    """Return the packages that each package imports; modules of their own are `common` or `uno`."""
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
    if name in MODELS:
        return "uno"
    return name if (ROOT / name / "__init__.py").exists() else COMMON


def _imported(path: Path) -> Iterator[str]:
    """Yield the parts of hed that a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            top, _, rest = node.module.partition(".")
            if top == "hed":
                yield from [rest.partition(".")[0]] if rest else (each.name for each in node.names)
