"""Which tests are repeated on another backend of Keras: all that could tell the difference."""

import backends
import pytest
from backends import uses_keras

LIBRARY = {
    "hccr_lib/__init__.py": "",
    "hccr_lib/numbers.py": "import numpy",
    "hccr_lib/pictures/__init__.py": "from .. import numbers",
    "hccr_lib/pictures/draw.py": "",
    "hccr_lib/net/__init__.py": "from .layers import Dense",
    "hccr_lib/net/layers.py": "from keras.layers import Dense",
    "hccr_lib/net/names.py": "",
    "hccr_lib/late.py": "def f():\n    from .net import layers",
    "tests/helper.py": "import jax",
}


@pytest.mark.parametrize(
    ("source", "matters"),
    [
        ("import numpy", False),
        ("from hccr_lib import numbers", False),
        ("from hccr_lib.pictures.draw import line", False),
        ("import helper_that_is_not_there", False),
        ("import keras", True),
        ("def test():\n    from keras import ops", True),
        ("from hccr_lib import net", True),
        ("import hccr_lib.net.names", True),
        ("from hccr_lib.late import f", True),
        ("from helper import x", True),
        ("run([python, '-c', 'import sys\\nfrom hccr_lib.net import x'])", True),
        ("run([python, '-c', 'import os, keras'])", True),
        ("run(['hccr', 'train'])", True),
        ("run([python, '-m', 'hccr_lib'])", True),
        ("module = importlib.util.spec_from_file_location('x', path)", True),
    ],
)
def test_a_file_is_repeated_if_it_can_reach_a_backend(source, matters, tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "ROOT", tmp_path)
    for name, text in {**LIBRARY, "tests/test_it.py": source}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert uses_keras(tmp_path / "tests" / "test_it.py") is matters


def test_files_of_both_kinds():
    files = {path.stem: uses_keras(path) for path in (backends.ROOT / "tests").glob("test_*.py")}
    assert not files["test_gnt"] and not files["test_normalize"] and not files["test_synthesis"]
    for name in ("cam", "cli", "export", "melnyk_net", "recognizer", "training", "real"):
        assert files[f"test_{name}"]
