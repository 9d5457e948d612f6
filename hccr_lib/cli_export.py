"""`hccr export`."""

from pathlib import Path
from typing import Annotated

import typer

from .cli_common import Seed, bad_input_is_one_line, import_backend

# What the scales of int8 are measured on, and what the file is then compared on.
_CALIBRATION, _COMPARED = 64, 256


def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A shipped network (see hccr info), a run folder, .keras or .npz file.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The .onnx file.")],
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Convolutions in whole numbers of 8 bits: smaller and faster on a CPU."
        ),
    ] = False,
    seed: Seed = 0,
):
    """Write a network as an ONNX file that needs no Keras, and compare it with the network.

    The file answers with the probabilities of all characters, and with the class activation maps
    of the five most probable ones, if the network has a head that has them. int8 is calibrated on
    synthetic handwriting.

    - `hccr export student student.onnx`
    - `hccr export runs/forty forty.onnx --int8`
    """
    with bad_input_is_one_line():
        if out.suffix != ".onnx":
            raise ValueError(f"{out}: the file must end in .onnx")
        import_backend()
        from .datasets.normalize import resize_images
        from .datasets.stream import fresh
        from .evaluation import load_model
        from .export import compare
        from .export import export as write

        network, characters = load_model(model)
        side = network.input_shape[1]
        seen, new = (
            resize_images(fresh(characters, n, seed=seed, epoch=epoch)[0], side)
            for epoch, n in enumerate((_CALIBRATION, _COMPARED))
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        has_maps = write(network, out, characters, calibration=seen if int8 else None)
        found = compare(out, network, new)
    typer.echo(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB, {'int8' if int8 else 'float32'}, "
        f"{'with' if has_maps else 'without'} maps"
    )
    typer.echo(
        f"  {found['n']} images: the same answer for {100 * found['same_answer']:.1f} %, "
        f"probabilities within {found['probability']:.1g}"
        + (f", maps within {found['map']:.1g} of their range" if has_maps else "")
    )
