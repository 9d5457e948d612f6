"""What `hccr train` learns from: new handwriting, and images as networks read them."""

from contextlib import nullcontext

# Below this many new images an epoch, worker processes take longer to start than they save.
_WORTH_PROCESSES = 4_000


def handwriting(characters, n, seed, copied):
    """New images as a function of the epoch; other processes write them where they are many."""
    from .datasets.stream import fresh, fresh_epochs
    from .datasets.workers import cores

    of = {"seed": seed, "copied": copied}
    if n < _WORTH_PROCESSES:
        return nullcontext(lambda epoch: fresh(characters, n, epoch=epoch, **of))
    # One core is for what feeds the network.
    return fresh_epochs(characters, n, processes=max(1, cores() - 1), **of)


def synthetic_described(copied):
    """How a record names new handwriting, of which a share is copied."""
    from .datasets.copybooks import copybooks
    from .datasets.synthesis import SYNTHESIS_VERSION

    name = f"synthetic, version {SYNTHESIS_VERSION}"
    if copied:
        name += f" (a share of {copied:g} copied from {', '.join(copybooks())}"
        name += "; at least half of it from those that hold every character)"
    return name


def as_read(side, augmented, on_paper):
    """The `transform` of a training: images as the network reads them.

    Where chance is allowed, they are augmented before, and brought onto paper.
    """
    from .datasets import augment
    from .datasets.normalize import resize_images

    def transform(images, rng):
        if augmented and rng is not None:
            images = augment.augment(images, rng)
        if on_paper and rng is not None:
            images = augment.on_paper(images, rng)
        return resize_images(images, side)

    return transform
