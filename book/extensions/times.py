"""A table of how long the notebooks took to run, from what book/execute.py wrote into them."""

import json
from collections.abc import Iterator
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def files(entry: dict | list) -> Iterator[str]:
    """Every `file` of a table of contents, in its order."""
    if isinstance(entry, dict):
        if "file" in entry:
            yield entry["file"]
        entry = [each for each in entry.values() if isinstance(each, (dict, list))]
    for each in entry:
        yield from files(each) if isinstance(each, (dict, list)) else ()


def machine(metadata: dict) -> str:
    """Where a notebook ran, in words."""
    if "hccr_machine" not in metadata:
        return "a machine whose name was not recorded"
    known = metadata["hccr_machine"]
    parts = [known["cpu"], f"{known['cores']} cores", known.get("accelerator")]
    return ", ".join(filter(None, parts))


def table(notebooks: dict[str, dict]) -> list[str]:
    """The table in Markdown, of the notebooks' metadata by the address of each."""
    seconds = [metadata["hccr_seconds"] for metadata in notebooks.values()]
    rows = [f"| [](/{name}) | {taken} |" for name, taken in zip(notebooks, seconds, strict=True)]
    total = f"{sum(seconds) // 60} min {sum(seconds) % 60} s"
    lines = ["| Notebook | Seconds |", "|---|--:|", *rows, f"| **All** | **{total}** |", ""]
    machines = [machine(metadata) for metadata in notebooks.values()]
    return lines + [
        f"- {machines.count(name)} of {len(machines)} ran on {name}."
        for name in dict.fromkeys(machines)
    ]


class Times(SphinxDirective):
    """The notebooks of the table of contents, their seconds, and the machines."""

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / "_toc.yml"))
        contents = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
        notebooks = {}
        for name in files(contents):
            path = root / f"{name}.ipynb"
            if path.is_file():
                self.env.note_dependency(str(path))
                metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
                notebooks[f"{name}.ipynb"] = metadata
        holder = nodes.container()
        self.state.nested_parse(StringList(table(notebooks), "notebooks"), 0, holder)
        return holder.children


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("execution-times", Times)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
