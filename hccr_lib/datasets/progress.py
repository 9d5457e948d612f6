"""One progress bar, on terminals and in notebooks; silence in pipes and in CI."""

import contextlib
import os
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


def _console() -> Console:
    return Console(stderr=True)


def _watched(console: Console) -> bool:
    return (console.is_terminal or console.is_jupyter) and not os.environ.get("CI")


def say(message: str) -> None:
    """Tell whoever is watching one line; nobody else."""
    console = _console()
    if _watched(console):
        console.print(message, highlight=False, markup=False)


@contextlib.contextmanager
def progress(
    description: str, total: int | None, *, done: int = 0, in_bytes: bool = False
) -> Iterator[Callable[[int], None]]:
    """Show a bar while the block runs, and give the function that moves it on by n."""
    console = _console()
    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not _watched(console)) as bar:
        task = bar.add_task(description, total=total, completed=done)
        yield lambda n: bar.advance(task, n)
