"""The API reference: all that is public is there, described, and its examples are true."""

import ast
import doctest
import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path

import keras
import numpy as np
import pytest

import hccr_lib
from hccr_lib.datasets.synthesis import random_writer
from hccr_lib.explain import cam
from hccr_lib.models import mcanet, melnyk_net

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "book" / "api").glob("*.md"))
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(hccr_lib.__path__, "hccr_lib.")
    if not module.name.endswith("__main__")
)
DIRECTIVE = re.compile(r"\.\. (currentmodule|auto\w+):: (\S+)(\n {3}:members:)?")

# The names that others rely on from the first release on.
STABLE = """
    characters: LEVEL1, label_of, look_alikes
    datasets: read_gnt, write_gnt, normalize, load
    models: melnyk_net, mcanet, resnet18, count_macs
    explain: cam, grad_cam
"""


def described(pages: list[str]) -> dict[tuple[str, str], bool]:
    """The (module, name) of all that the pages describe, and whether with its methods."""
    found = {}
    for page in pages:
        module = None
        for kind, name, members in DIRECTIVE.findall(page):
            if kind == "currentmodule":
                module = name
            else:
                assert (module, name) not in found, f"{module}.{name} is described twice"
                found[module, name] = bool(members)
    return found


DESCRIBED = described([page.read_text(encoding="utf-8") for page in PAGES])
OBJECTS = {
    (module, name): getattr(importlib.import_module(module), name) for module, name in DESCRIBED
}
each = pytest.mark.parametrize("named", DESCRIBED, ids=".".join)


def imported(source: str) -> set[tuple[str, str]]:
    """The names that a text of Python imports from the library."""
    return {
        (node.module, alias.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hccr_lib")
        for alias in node.names
    }


def code_of_the_course() -> list[str]:
    """All Python that a reader sees: the cells of notebooks, and the blocks in Markdown."""
    sources = []
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for path in (ROOT / "README.md", *(ROOT / "book").glob("*.md")):
        sources += re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.S)
    return [re.sub(r"^\s*[%!].*", "", source, flags=re.M) for source in sources]


def missing(public: set[tuple[str, str]], objects: dict) -> list[str]:
    """Those of the public names that are nowhere described, under this module or another."""
    known = {(name, id(value)) for (_, name), value in objects.items()}
    return sorted(
        f"{module}.{name}"
        for module, name in public
        if (name, id(getattr(importlib.import_module(module), name))) not in known
    )


def test_all_that_packages_offer_is_described():
    offered = {
        (module, name)
        for module in ["hccr_lib", *MODULES]
        for name in getattr(importlib.import_module(module), "__all__", ())
    }
    assert len(offered) > 30
    assert missing(offered, OBJECTS) == []


def test_all_that_the_course_imports_is_described():
    used = set().union(*map(imported, code_of_the_course()))
    used = {pair for pair in used if not inspect.ismodule(getattr(hccr_lib, pair[1], None))}
    assert len(used) > 80
    assert missing(used, OBJECTS) == []


def test_all_stable_names_are_described():
    pairs = re.findall(r"(\w+): (.+)", STABLE)
    stable = {(f"hccr_lib.{module}", n) for module, names in pairs for n in names.split(", ")}
    assert missing(stable, OBJECTS) == []


def test_a_name_that_is_not_described_is_found():
    without = {pair: value for pair, value in OBJECTS.items() if pair[1] != "cam"}
    assert missing({("hccr_lib.explain", "cam")}, without) == ["hccr_lib.explain.cam"]


def parameters_described(docstring: str) -> set[str]:
    """The names in the section Args of a docstring in Google's style."""
    section = re.search(r"^Args:\n((?: +.*\n|\n)+)", docstring + "\n", re.M)
    lines = re.findall(r"^ {4}([*\w][\w, *]*):", section[1], re.M) if section else []
    return {name.strip(" *") for line in lines for name in line.split(",")}


def faults(value: object, with_methods: bool) -> list[str]:
    """What a docstring lacks."""
    found = []
    docstring = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    if not docstring:
        return ["there is no docstring"]
    docstring = inspect.cleandoc(docstring)
    if "Args:" in docstring:
        call = value.__init__ if inspect.isclass(value) else value
        wanted = set(inspect.signature(call).parameters) - {"self", "kwargs"}
        if stray := wanted ^ parameters_described(docstring):
            found.append(f"Args does not name what there is: {sorted(stray)}")
    if inspect.isclass(value):
        above = {name for base in value.__mro__[1:] for name in vars(base)}
        own = {
            name: getattr(member, "fget", member)
            for name, member in vars(value).items()
            if not name.startswith("_") and name not in above
            if inspect.isfunction(member) or isinstance(member, property)
        }
        found += [f"{name} has no docstring" for name in own if not inspect.getdoc(own[name])]
        if own and not with_methods:
            found.append(f"add :members: for {', '.join(own)}")
    return found


@each
def test_docstrings_are_whole(named):
    module, name = named
    value = OBJECTS[named]
    if inspect.isclass(value) or inspect.isfunction(inspect.unwrap(value)):
        assert faults(value, DESCRIBED[named]) == []
    else:  # a constant
        source = Path(importlib.import_module(module).__file__).read_text(encoding="utf-8")
        assert re.search(rf"^#: .*\n(#: .*\n)*{name}\b", source, re.M), f"{name} needs a line #:"


def test_a_bad_docstring_is_found():
    def undescribed(a): ...

    def half(a, b):
        """Do.

        Args:
            a: One.
        """

    class Bare:
        """A class."""

        def method(self): ...

    assert faults(undescribed, False) == ["there is no docstring"]
    assert faults(half, False) == ["Args does not name what there is: ['b']"]
    assert faults(Bare, False) == ["method has no docstring", "add :members: for method"]


def names_in(text: str) -> list[str]:
    return re.findall(r"`(hccr_lib(?:\.\w+)+)", text)


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    module, _, last = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ImportError:
        return module != "hccr_lib" and hasattr(importlib.import_module(module), last)
    return True


@pytest.mark.parametrize("module", MODULES)
def test_names_in_docstrings_exist(module):
    text = Path(importlib.import_module(module).__file__).read_text(encoding="utf-8")
    assert [name for name in names_in(text) if not exists(name)] == []


def test_a_name_that_does_not_exist_is_found():
    names = names_in("`hccr_lib.models.melnyk_net`, `hccr_lib.datasets.nothing`")
    assert [exists(name) for name in names] == [True, False]


EXAMPLES = [
    module
    for module in MODULES
    if any(test.examples for test in doctest.DocTestFinder().find(importlib.import_module(module)))
]


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_are_true(module):
    """What the docstrings show, with what they take for granted."""
    known = {"np": np, "keras": keras, "cam": cam, "mcanet": mcanet, "melnyk_net": melnyk_net}
    known["random_writer"] = random_writer
    known["images"] = np.random.default_rng(0).integers(0, 256, (32, 96, 96), np.uint8)
    known["model"] = keras.Sequential(
        [
            keras.Input((96, 96, 1)),
            keras.layers.Conv2D(2, 3, strides=8),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    assert doctest.testmod(importlib.import_module(module), extraglobs=known).failed == 0


def test_all_pages_are_in_the_book():
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert len(PAGES) > 5
    assert [page.stem for page in PAGES if f"book/api/{page.stem}" not in contents] == []
    assert "book/execution_times" in contents
