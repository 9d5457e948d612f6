"""Execute notebooks in place, and keep of them only what does not change from run to run.

    python book/execute.py notebooks/strokes.ipynb ...

A cell that fails stops everything and leaves its notebook as it was. Widget state, timings and the
like are removed; solutions (cells tagged ``hide-cell``) are folded, in the book and in JupyterLab.
How long the notebook took, and on what, is kept in its metadata, under ``hccr_seconds`` and
``hccr_machine``.
"""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from hccr_lib.training.record import environment

WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path) -> float:
    """Run the notebook at ``path`` from top to bottom, write it back, return the seconds."""
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources=resources, store_widget_state=False
    ).execute()
    seconds = time.perf_counter() - start
    clean(notebook)
    device = environment()["device"]
    notebook.metadata["hccr_seconds"] = round(seconds)
    notebook.metadata["hccr_machine"] = {
        name: device[name] for name in ("cpu", "cores", "accelerator") if device[name]
    }
    nbformat.write(notebook, path)
    return seconds


def clean(notebook: nbformat.NotebookNode) -> None:
    """Remove in place what differs between two runs of the same notebook."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        }
    )
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type != "code":
            continue
        if "hide-cell" in tags:
            cell.metadata["jupyter"] = {"source_hidden": True}
            cell.metadata["mystnb"] = {
                "code_prompt_show": "Show the solution",
                "code_prompt_hide": "Hide the solution",
            }
        cell.outputs = [
            output
            for output in cell.outputs
            if WIDGET not in output.get("data", {}) and not _is_greeting(output)
        ]


def _is_greeting(output: nbformat.NotebookNode) -> bool:
    """Whether an output is only what TensorFlow says of itself when it is loaded."""
    if output.output_type != "stream" or output.name != "stderr":
        return False
    return all(
        "absl::InitializeLog" in line or "oneDNN" in line for line in output.text.splitlines()
    )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}: {execute(Path(name)):.0f} s")
