"""Synthetic datasets: one .gnt file per writer, made on first use and then kept."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import as_completed
from pathlib import Path

import numpy as np

from ..files import atomic_file, locked, remove_parts
from ..progress import progress
from .gnt import Sample, write_gnt
from .prepare import DatasetError
from .synthesis import SYNTHESIS_VERSION, random_writer, write
from .workers import cores, worker_pool

# Below this many images one process is done before others have started.
_WORTH_PROCESSES = 20_000


def writer_file(folder: Path, number: int) -> Path:
    """Where writer `number`, counted from 0, has its samples."""
    return folder / f"writer-{number:05d}.gnt"


def write_writer(path: Path, number: int, characters: str, samples: int, seed: int) -> int:
    """Write the .gnt file of one writer: `samples` of each character; return how many.

    The same (number, characters, samples, seed) give the same bytes, in any process.
    """
    writer_seed = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0])
    writer = random_writer(writer_seed)

    def handwriting() -> Iterator[Sample]:
        for sample in range(samples):
            for character in characters:
                yield Sample(character, write(character, writer, sample).bitmap)

    return write_gnt(path, handwriting())


def generate(
    folder: Path, characters: str, *, writers: int, samples: int, seed: int, processes: int | None
) -> None:
    """Fill `folder` with one .gnt file per writer; files that are there already are kept.

    Every file appears whole or not at all, so an interrupted call is carried on by the next.
    `synthesis.json` says what the folder holds, and keeps two sets from being mixed.

    Args:
        folder: made where it is not there.
        characters: of GB2312 level 1, each of which every writer writes.
        writers: how many; each is the `random_writer` of its own number and the seed.
        samples: of each character by each writer.
        seed: another one gives other writers.
        processes: how many to use; None: all cores when the set is large, else this one.

    Raises:
        DatasetError: the folder holds another set.
    """
    contents = {
        "synthesis_version": SYNTHESIS_VERSION,
        "characters": characters,
        "writers": writers,
        "samples": samples,
        "seed": seed,
    }
    with locked(folder / "synthesis.json"):
        _claim(folder, contents)
        remove_parts(folder)
        missing = [i for i in range(writers) if not writer_file(folder, i).exists()]
        jobs = [(writer_file(folder, i), i, characters, samples, seed) for i in missing]
        per_writer = len(characters) * samples
        if processes is None:
            processes = cores() if len(missing) * per_writer > _WORTH_PROCESSES else 1
        done = (writers - len(missing)) * per_writer
        with progress("Writing by hand", writers * per_writer, done=done) as advance:
            try:
                for count in _run(jobs, min(processes, len(jobs))):
                    advance(count)
            finally:
                remove_parts(folder)


def _run(jobs: list[tuple], processes: int) -> Iterator[int]:
    """Call `write_writer` with each of the jobs; yield what the calls return."""
    if processes <= 1:
        yield from (write_writer(*job) for job in jobs)
        return
    with worker_pool(processes) as pool:
        for future in as_completed([pool.submit(write_writer, *job) for job in jobs]):
            yield future.result()


def _claim(folder: Path, contents: dict) -> None:
    note = folder / "synthesis.json"
    if note.exists():
        found = json.loads(note.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise DatasetError(f"{note}: describes no set of handwriting; choose another folder")
        for name, value in contents.items():
            if found.get(name) != value:
                raise DatasetError(
                    f"{folder}: holds a set with {name}={found.get(name)!r}, not {value!r}; "
                    "choose another folder"
                )
    elif any(folder.glob("*.gnt")):
        raise DatasetError(f"{folder}: holds .gnt files of other origin; choose another folder")
    else:
        with atomic_file(note) as file:
            file.write(json.dumps(contents, ensure_ascii=False, indent=1).encode())


def synthetic_folder(
    cache: Path, characters: str, *, writers: int, samples: int, seed: int, processes: int | None
) -> Path:
    """The folder of .gnt files of a synthetic set in the cache, complete."""
    identity = [SYNTHESIS_VERSION, characters, writers, samples, seed]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    folder = cache / "synthetic" / f"{len(characters)}x{writers}x{samples}-seed{seed}-{key}"
    generate(folder, characters, writers=writers, samples=samples, seed=seed, processes=processes)
    return folder
