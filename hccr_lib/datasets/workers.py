"""Worker processes that end with whatever they work for."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from threading import Thread


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _end_with_parent() -> None:
    # Ctrl-C reaches the workers too, but it is for their parent to end them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Killed, it cannot: then they would wait for work for ever.
    Thread(target=_wait_for_end_of_parent, daemon=True).start()


def _wait_for_end_of_parent() -> None:
    parent_process().join()
    os._exit(1)


@contextmanager
def worker_pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes for functions of importable modules; an exception inside ends them at once.

    They are spawned, not forked: OpenCV's and TensorFlow's threads do not survive a fork. So a
    script that uses them needs the usual `if __name__ == "__main__":`.

    Raises:
        ChildProcessError: one of them was killed from outside.
    """
    others = set(active_children())
    with ProcessPoolExecutor(
        processes,
        mp_context=get_context("spawn"),
        initializer=_end_with_parent,
    ) as pool:
        started = [pool.submit(int) for _ in range(processes)]
        workers = set(active_children()) - others
        try:
            for future in started:
                future.result()
            yield pool
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join()  # what they were writing is for the caller to remove
            if isinstance(error, BrokenProcessPool):
                raise ChildProcessError(
                    "a process that was writing was killed, perhaps for want of memory; "
                    "run again to go on"
                ) from None
            raise
