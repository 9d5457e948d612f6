"""Which test files the backend of Keras can matter to, read from what they import.

What imports Keras nowhere, not even within a function, runs the same code on every backend.
"""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
BACKEND = {"keras", "tensorflow", "jax", "torch", "*"}
# A test that runs a script or the command may reach anything, "*".
RUNNERS = {"spec_from_file_location", "run_path", "run_module"}
COMMANDS = {"hccr", "hccr_lib"}
IMPORT = re.compile(r"\b(?:from +([\w.]+) +)?import +([\w., ]+)")


def file_of(module: str) -> Path | None:
    """Where a module of the library or a helper of the tests is; None for any other."""
    place = (ROOT if module.split(".")[0] == "hccr_lib" else ROOT / "tests") / Path(
        *module.split(".")
    )
    return next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None)


@cache
def imports(path: Path) -> set[str]:
    """All modules that a file imports, wherever it does so; a test also in code held as text."""
    package = path.relative_to(ROOT).parent.parts
    is_test = package == ("tests",)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = ".".join((*above, *filter(None, [node.module])))
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif is_test and isinstance(node, ast.Constant) and isinstance(node.value, str):
            for base, names in IMPORT.findall(node.value):
                dotted = [name.split()[0] for name in names.split(",") if name.split()]
                found |= {base} | {f"{base}.{name}".strip(".") for name in dotted}
            found |= {"*"} if node.value in COMMANDS else set()
        elif is_test and {getattr(node, "attr", None), getattr(node, "id", None)} & RUNNERS:
            found.add("*")
    return found - {""}


def uses_keras(path: Path) -> bool:
    """Whether a file of tests reaches Keras or one of its backends."""
    seen, waiting = set(), [path]
    while waiting:
        names = imports(waiting.pop())
        if {name.split(".")[0] for name in names} & BACKEND:
            return True
        # hccr_lib.a.b is imported after hccr_lib.a, whose __init__ may import more.
        parts = (name.split(".") for name in names)
        names = {".".join(part[:n]) for part in parts for n in range(1, len(part) + 1)}
        files = {file_of(name) for name in names} - {None} - seen
        seen |= files
        waiting += files
    return False
