"""One progress bar, on terminals and in notebooks; silence in pipes and in CI."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

# A notebook keeps its outputs: what is over sooner than this shows no bar in it.
_PATIENCE = 1.0  # seconds


def say(message: str) -> None:
    """Tell whoever is watching a terminal one line; nobody else."""
    console = Console(stderr=True)
    if console.is_terminal and not os.environ.get("CI"):
        console.print(message, highlight=False, markup=False)


@contextlib.contextmanager
def progress(
    description: str, total: int | None, *, done: int = 0, in_bytes: bool = False
) -> Iterator[Callable[[int], None]]:
    """Show a bar while the block runs, and give the function that moves it on by n."""
    console = Console(stderr=True)
    if console.is_jupyter and not os.environ.get("CI"):
        with _notebook_bar(description, total, done) as advance:
            yield advance
        return
    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    watched = console.is_terminal and not os.environ.get("CI")
    with Progress(*columns, console=console, transient=True, disable=not watched) as bar:
        task = bar.add_task(description, total=total, completed=done)
        yield lambda n: bar.advance(task, n)


@contextlib.contextmanager
def _notebook_bar(
    description: str, total: int | None, done: int
) -> Iterator[Callable[[int], None]]:
    """A widget, because a closed one leaves nothing behind, where rich leaves empty outputs."""
    from IPython.display import display
    from ipywidgets import FloatProgress, Layout

    bar = FloatProgress(
        value=done,
        max=total or 1,
        description=description,
        style={"description_width": "initial"},
        layout=Layout(width="60%"),
    )
    drawn = time.monotonic()
    shown = False
    value = done

    def advance(n: int) -> None:
        nonlocal drawn, shown, value
        value += n
        now = time.monotonic()
        if now - drawn > (0.1 if shown else _PATIENCE):
            bar.value = value
            drawn = now
            if not shown:
                display(bar)
                shown = True

    try:
        yield advance
    finally:
        bar.close()
