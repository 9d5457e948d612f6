"""The folder of a run: one run at a time, and whole epochs only."""

import shutil
from contextlib import contextmanager, suppress

import filelock
import keras

from hccr_lib.files import remove_parts
from hccr_lib.training.record import check_room, write_record


@contextmanager
def alone(run_dir):
    """Holds a run's folder, made where it is not there; nobody else writes to it meanwhile.

    Raises:
        ValueError: Another process, or thread, has it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    path = run_dir / ".lock"
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise ValueError(
            f"{run_dir}: another training is writing there now; wait for it, or choose another "
            "run_dir"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps what is open until it is closed
            path.unlink()
        lock.release()
        with suppress(OSError):  # unless nothing came of it, there is something in it
            run_dir.rmdir()


def backup(run_dir, epochs):
    """The file of weights and optimizer after so many epochs."""
    return run_dir / "backup" / f"{epochs:04d}.weights.h5"


def commit(model, run_dir, record):
    """Saves an epoch: weights first, then the record that names them, then the old ones go."""
    path = backup(run_dir, len(record["epochs"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    check_room(run_dir, model.variables + model.optimizer.variables)
    part = path.with_name("part.weights.h5")
    model.save_weights(part, overwrite=True)
    part.replace(path)
    write_record(run_dir, record)
    for other in path.parent.iterdir():
        if other != path:
            other.unlink()


def finish(model, run_dir, record):
    """Saves the trained network in place of the backup."""
    check_room(run_dir, model.variables)
    part = run_dir / "part.keras"
    # Without what it was compiled with: to load it, nobody needs an optimizer of ours.
    compiled, model.compiled = model.compiled, False
    try:
        model.save(part)
    finally:
        model.compiled = compiled
    part.replace(run_dir / "model.keras")
    record["finished"] = True
    write_record(run_dir, record)
    shutil.rmtree(run_dir / "backup")
    remove_parts(run_dir)  # of records, left where this run was killed before
    return record


def check_same(run_dir, record, settings, characters):
    """Raises ValueError if a run's record names other settings, characters or precision."""
    policy = keras.config.dtype_policy().name
    for name, value in {**settings, "characters": characters, "dtype_policy": policy}.items():
        old = record["settings"].get(name, record.get(name))
        if old != value:
            raise ValueError(
                f"{run_dir} holds a run with {name}={old!r}; choose another run_dir, or "
                f"repeat its settings. Received: {name}={value!r}"
            )
