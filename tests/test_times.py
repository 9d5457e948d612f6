"""The page of execution times: all notebooks of the book, in its order, with what was recorded."""

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("sphinx")  # comes with what builds the book
yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("times", ROOT / "book" / "extensions" / "times.py")
times = importlib.util.module_from_spec(spec)
spec.loader.exec_module(times)

MACHINE = {"cpu": "A CPU", "cores": 2}


def test_the_files_of_a_table_of_contents_in_its_order():
    contents = {
        "format": "jb-book",
        "root": "index",
        "parts": [
            {"caption": "One", "chapters": [{"file": "a"}, {"file": "b"}]},
            {"chapters": [{"file": "c", "sections": [{"file": "d"}]}, {"url": "https://x.org"}]},
        ],
    }
    assert list(times.files(contents)) == ["a", "b", "c", "d"]


def test_every_notebook_is_in_the_table_with_its_seconds():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    listed = {name for name in times.files(contents) if name.startswith("notebooks/")}
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert {f"notebooks/{path.stem}" for path in paths} == listed
    for path in paths:
        metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
        assert metadata["hccr_seconds"] > 0, f"{path.name} was not made by book/execute.py"


def test_the_table_adds_up_and_names_each_machine_once():
    notebooks = {
        "notebooks/a.ipynb": {"hccr_seconds": 50, "hccr_machine": MACHINE},
        "notebooks/b.ipynb": {"hccr_seconds": 75},
        "notebooks/c.ipynb": {
            "hccr_seconds": 1,
            "hccr_machine": {**MACHINE, "accelerator": "A GPU"},
        },
        "notebooks/d.ipynb": {"hccr_seconds": 0, "hccr_machine": MACHINE},
    }
    text = "\n".join(times.table(notebooks))
    assert "| [](/notebooks/b.ipynb) | 75 |" in text
    assert "| **2 min 6 s** |" in text
    assert text.index("a.ipynb") < text.index("b.ipynb") < text.index("c.ipynb")
    assert text.endswith(
        "- 2 of 4 ran on A CPU, 2 cores.\n"
        "- 1 of 4 ran on a machine whose name was not recorded.\n"
        "- 1 of 4 ran on A CPU, 2 cores, A GPU."
    )
