"""The environment variables between processes have one file, which is true."""

import re
from pathlib import Path

from hed import variables

ROOT = Path(__file__).parents[1]
PLACES = ("src", "rules", "profiles", "scripts", "envs")


def used() -> dict[str, set[str]]:
    """Return the variables named anywhere but in their own file, and where."""
    found: dict[str, set[str]] = {}
    files = [path for place in PLACES for path in (ROOT / place).rglob("*") if path.is_file()]
    for path in (*files, ROOT / "Snakefile"):
        if path.name == "variables.py" or path.suffix in (".pyc", ".png"):
            continue
        text = path.read_text(errors="replace")
        names = set(re.findall(r"\bHED_[A-Z_]+\b", text))
        names |= {
            getattr(variables, name, name) for name in re.findall(r"\bvariables\.([A-Z_]+)\b", text)
        }
        for name in names:
            found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return found


def test_every_variable_that_is_used_is_explained_and_every_other_way_round() -> None:
    found = used()
    assert found.keys() - variables.MEANINGS.keys() == set(), found
    assert variables.MEANINGS.keys() - found.keys() == set()


def test_each_has_a_name_in_python_that_is_its_own() -> None:
    constants = {name: value for name, value in vars(variables).items() if name.isupper()}
    del constants["MEANINGS"]
    assert {f"HED_{name}": name for name in constants} == {
        value: name for name, value in constants.items()
    }
    assert set(constants.values()) == variables.MEANINGS.keys()


def test_python_takes_the_names_from_their_file() -> None:
    # The client of the warm servers imports nothing, and a test compares its name.
    apart = {"src/hed/variables.py", "src/hed/warm/client.py"}
    for path in (ROOT / "src").rglob("*.py"):
        if str(path.relative_to(ROOT)) not in apart:
            assert not re.findall(r"""["']HED_[A-Z_]+["']""", path.read_text()), path
