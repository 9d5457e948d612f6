"""The rules of the house: what may import what, how long a file is, what a notebook must be."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "hccr_lib"
MODULES = sorted(LIBRARY.rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST = 300

BACKENDS = {"tensorflow", "jax", "torch"}  # imported where Keras runs on them
NETWORKS = ["keras", *BACKENDS, "hccr_lib.models", "hccr_lib.training"]
TOP = ["hccr_lib.explain", "hccr_lib.evaluation"]

# Who may not import whom. A name stands for itself and everything below it.
FORBIDDEN = {
    "characters": ["keras", *BACKENDS, "hccr_lib"],
    "files": [*NETWORKS, *TOP, "hccr_lib.datasets"],
    "progress": [*NETWORKS, *TOP, "hccr_lib.datasets"],
    "datasets": [*NETWORKS, *TOP],
    "models": ["hccr_lib.datasets", "hccr_lib.training", *TOP],
    "explain": ["hccr_lib.training", "hccr_lib.evaluation"],
    "training": TOP,
}
# Only the pictures know how pictures are shown, and only the command line knows the command line.
ONLY_IN = {"hccr_lib.viz": {"viz"}, "matplotlib": {"viz"}, "hccr_lib.cli": {"cli", "__main__"}}

FOLDERS = ("hccr_lib", "tests", "benchmarks", "book", "notebooks", "data", ".ci")
SUFFIXES = {".py", ".md", ".yml", ".toml", ".txt", ".ipynb", ".json", ".css", ".bib", ""}
MADE = {"node_modules", "mathjax", "__pycache__", ".ipynb_checkpoints", ".ruff_cache"}
TEXTS = [
    path
    for path in (*ROOT.iterdir(), *(p for f in FOLDERS for p in sorted((ROOT / f).rglob("*"))))
    if path.is_file() and path.suffix in SUFFIXES and not MADE & set(path.parts)
]
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|tmp|work|Users)/\w")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def imports(path: Path, text: str) -> set[str]:
    """The modules that a file of the library imports, relative names resolved."""
    package = ".".join(("hccr_lib", *path.relative_to(LIBRARY).parent.parts))
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level]
            module = ".".join((*base, node.module or "") if node.level else (node.module or "",))
            module = module.strip(".")
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def wrong_imports(path: Path, text: str) -> list[str]:
    room = path.relative_to(LIBRARY).with_suffix("").parts[0]
    banned = list(FORBIDDEN.get(room, []))
    banned += [module for module, rooms in ONLY_IN.items() if not room.startswith(tuple(rooms))]
    return sorted(n for n in imports(path, text) if any(within(n, b) for b in banned))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_imports_go_one_way(path):
    assert wrong_imports(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("characters.py", "from .datasets import gnt"),
        ("datasets/gnt.py", "import keras"),
        ("datasets/gnt.py", "from keras import ops"),
        ("datasets/gnt.py", "from ..models import melnyk_net"),
        ("datasets/gnt.py", "from .. import viz"),
        ("progress.py", "from .datasets import gnt"),
        ("models/weights.py", "from hccr_lib.evaluation import load_model"),
        ("models/layers.py", "from hccr_lib.datasets.gnt import read_gnt"),
        ("explain/cam.py", "from ..viz.figures import show"),
        ("training/run.py", "def f():\n    import matplotlib.pyplot"),
    ],
)
def test_a_wrong_import_is_found(file, line):
    assert wrong_imports(LIBRARY / file, line)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_no_file_of_the_library_is_two_rooms(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_path_of_one_machine(path):
    assert MACHINE_PATH.findall(path.read_text(encoding="utf-8")) == []


def test_a_path_of_one_machine_is_found():
    for folder in ("home", "root", "tmp"):
        assert MACHINE_PATH.findall(f'open("/{folder}/me/x")')
    assert MACHINE_PATH.findall("https://example.org/home/x, runs/tmp/x") == []


def test_every_requirement_is_a_range_and_has_a_recorded_version():
    recorded = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if line.startswith("#"):
                continue
            package = re.fullmatch(r"([\w-]+)>=[\d.]+(,<\d+)?", line)
            assert package, f"{name}: {line!r} is no range"
            installed = {"tensorflow": "tensorflow-cpu"}.get(package[1], package[1])
            assert f"\n{installed}==" in recorded, f"constraints.txt lacks {installed}"


def code_cells(path: Path) -> list[dict]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@each_notebook
def test_a_notebook_was_executed_from_top_to_bottom(path):
    counts = [cell["execution_count"] for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_a_notebook_shows_no_error_no_warning_and_no_dead_widget(path):
    outputs = [output for cell in code_cells(path) for output in cell["outputs"]]
    assert [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"] == []
    assert "widget" not in json.dumps(outputs)
    assert "widgets" not in json.loads(path.read_text(encoding="utf-8"))["metadata"]


@each_notebook
def test_a_notebook_has_outputs_that_the_tests_compare(path):
    tags = [tag for cell in code_cells(path) for tag in cell["metadata"].get("tags", [])]
    known = {"hide-cell", "hide-input", "remove-output", "nbval-ignore-output"}
    assert set(tags) <= known | {"nbval-check-output"}
    assert "nbval-check-output" in tags


RENAMED = {"cv2": "opencv-python-headless", "PIL": "pillow", "IPython": "ipython"}


def not_required(modules: set[str]) -> list[str]:
    """The modules that come neither with Python nor with what ``requirements.txt`` names."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    known = {line.split(">=")[0] for line in text.splitlines() if not line.startswith("#")}
    known |= set(sys.stdlib_module_names) | BACKENDS | {"hccr_lib"}
    roots = {module.split(".")[0] for module in modules}
    return sorted(root for root in roots if RENAMED.get(root, root) not in known)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_the_library_imports_only_what_is_required(path):
    assert not_required(imports(path, path.read_text(encoding="utf-8"))) == []


@each_notebook
def test_a_notebook_imports_only_what_is_required(path):
    source = "\n".join("".join(cell["source"]) for cell in code_cells(path))
    modules = re.findall(r"^\s*(?:import|from)\s+(\w+)", source, re.M)
    assert not_required(set(modules)) == []


def test_a_module_that_is_not_required_is_found():
    assert not_required({"os", "numpy.random", "cv2", "sklearn.svm"}) == ["sklearn"]


def test_the_first_cell_of_code_is_the_same_everywhere():
    firsts = {"".join(code_cells(path)[0]["source"]) for path in NOTEBOOKS}
    assert len(firsts) <= 1
