"""`hccr train`."""

from pathlib import Path
from typing import Annotated

import typer

from .cli_common import (
    CHARACTERS_HELP,
    Seed,
    SkipFaulty,
    Split,
    bad_input_is_one_line,
    chosen,
    echo_skipped,
    import_backend,
    parse_characters,
    usual_split,
)
from .cli_images import as_read, handwriting, synthetic_described

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def train(
    run_dir: Annotated[
        Path, typer.Argument(metavar="RUN_DIR", help="The folder of the run; made, or resumed.")
    ],
    data: Annotated[
        str, typer.Option(help="synthetic (fresh images every epoch), or a dataset.")
    ] = "synthetic",
    split: Split = None,
    characters: Annotated[
        str | None, typer.Option(help=CHARACTERS_HELP + " Default: those of the data.")
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            help="A (GAP), B (GWOAP) or C (GWAP); with --start-from, another pooling on the same "
            "convolutions. Default: C."
        ),
    ] = None,
    attentions: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="MCANet with so many attentions instead of A, B or C; with --start-from, on the "
            "same convolutions.",
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="student|resnet18",
            help="Another network instead of A, B or C; with --start-from a Model C, the student "
            "takes over what it has in common with it.",
        ),
    ] = None,
    losses: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="What is learnt by beside the cross-entropy, with commas between. With --teacher: "
            "logits, attention; default: both. MCANet: contrastive (two attentions or more), and "
            "region or image, the two center losses; or none. Default: none for a new network; "
            "going on with an MCANet, contrastive,region (region for one attention, none for 0).",
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL[,MODEL...]",
            help="Learn also from what this run, .keras or .npz file or shipped network says, and "
            "from where it looks; or from what several agree on, and where the first one looks.",
        ),
    ] = None,
    width: Annotated[
        float | None, typer.Option(help="Times the paper's channels. Default: 0.5.")
    ] = None,
    input_size: Annotated[
        int | None,
        typer.Option(
            help="Side of the images in pixels; with --start-from it may only grow. Default: 96."
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(help="Share of pooled features dropped. Default: 0.5; student 0.2; a run's."),
    ] = None,
    pooling_starts_as: Annotated[
        str | None,
        typer.Option(
            metavar="sum|mean",
            help="How B and C pool before they have learnt to. Default: sum, as published; "
            "mean for thousands of classes with recipe fast.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="DTYPE",
            help="float32, mixed_bfloat16 (much faster on GPUs since Ampere and on CPUs with AMX, "
            "much slower on others) or mixed_float16 (for older GPUs, such as a T4). "
            "Default: float32.",
        ),
    ] = None,
    recipe: Annotated[str, typer.Option(help="fast, muon, melnyk or mcanet.")] = "fast",
    epochs: Annotated[int | None, typer.Option(min=1, help="Default: the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Default: the recipe's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default: the recipe's.")] = None,
    images_per_epoch: Annotated[
        int | None, typer.Option(min=1, help="For synthetic data. Default: 16000.")
    ] = None,
    copied: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Share of the synthetic images that are copied from copybooks, most in running "
            "hand, instead of made from the strokes that are taught.",
        ),
    ] = 0.0,
    augment: Annotated[
        bool,
        typer.Option("--augment", help="Slant, stretch, shift and bend images, anew each epoch."),
    ] = False,
    paper: Annotated[
        bool,
        typer.Option(
            "--paper", help="Grey paper, noise, uneven light and pale ink on some images."
        ),
    ] = False,
    with_synthetic: Annotated[
        int, typer.Option(min=0, help="Fresh synthetic images beside the real ones, each epoch.")
    ] = 0,
    start_from: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL[,MODEL...]",
            help="Go on from this run, .keras or .npz file or shipped network, and its classes; or "
            "from the mean of the weights of several that went on from the same network.",
        ),
    ] = None,
    validation: Annotated[
        str | None, typer.Option(metavar="DATASET", help="Measured after every epoch.")
    ] = None,
    hold_out: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of the real images of each class, at least one, that is not learned but "
            "measured after every epoch: to choose settings by. Then train without it, on all.",
        ),
    ] = None,
    skip_faulty: SkipFaulty = False,
    allow_missing_classes: Annotated[
        bool, typer.Option("--allow-missing-classes", help="Train though some have no image.")
    ] = False,
    seed: Seed = 0,
):
    """Train a Melnyk-Net, or MCANet. Interrupted, the same command goes on where it stopped.

    - `hccr train runs/forty --characters hwdb-sample --width 0.5 --epochs 12`
    - `hccr train runs/real --data hwdb-sample --augment --start-from runs/forty --epochs 20`
    - `hccr train runs/apart --start-from runs/forty --attentions 2 --epochs 8`
    - `hccr train runs/gazes --start-from runs/apart --learning-rate 0.0005 --epochs 6`
    - `hccr train runs/small --network student --start-from melnyk_net_c --teacher melnyk_net_c`
    - `hccr train runs/trial --data casia-hwdb --width 1 --recipe melnyk --hold-out 0.1`
    - `hccr train runs/paper --data casia-hwdb --width 1 --recipe melnyk`

    The last two are the paper's way: settings are chosen by a tenth of the training images that is
    held out; the final network learns that tenth too (the same run, without --hold-out).
    """
    with bad_input_is_one_line():
        import_backend()
        import keras
        import numpy as np

        from .cli_networks import going_on, losses_of, new_network, taught_by
        from .datasets import load
        from .datasets.rows import Rows
        from .models.backend import emulates_bfloat16
        from .training import batches
        from .training import train as run

        if precision is not None:
            if precision not in PRECISIONS:
                raise ValueError(
                    f"--precision must be one of {', '.join(PRECISIONS)}. Received: {precision}"
                )
            keras.config.set_dtype_policy(precision)
        keras.utils.set_random_seed(seed)
        classes = None if characters is None else parse_characters(characters)
        asked = {
            "characters": characters,
            "variant": variant,
            "attentions": attentions,
            "network": network,
            "width": width,
            "input_size": input_size,
            "dropout": dropout,
            "pooling_starts_as": pooling_starts_as,
        }
        for option, value in (("--variant", variant), ("--pooling-starts-as", pooling_starts_as)):
            if attentions is not None and value is not None:
                raise ValueError(f"{option} is not for MCANet; leave it or --attentions out")
        if network is not None and (attentions is not None or variant is not None):
            raise ValueError("--network, --variant and --attentions: leave two of them out")
        model = None
        if start_from is not None:
            model, classes = going_on(start_from, asked, precision)
        checked = None
        if validation is not None and hold_out is not None:
            raise ValueError("--hold-out and --validation: leave one of them out")
        if data == "synthetic":
            for option, value, instead in (
                ("--split", split, "synthetic data has none"),
                (
                    "--with-synthetic",
                    with_synthetic or None,
                    "is for real images; name them with --data",
                ),
                ("--hold-out", hold_out, "is for real images; synthetic ones need --validation"),
            ):
                if value is not None:
                    raise ValueError(f"{option}: {instead}")
            classes = parse_characters("level1") if classes is None else classes
            written_each_epoch = 16_000 if images_per_epoch is None else images_per_epoch
            names = []
        else:
            if images_per_epoch is not None:
                raise ValueError("--images-per-epoch is for synthetic data, not for --data")
            dataset = load(data, split=usual_split(data, split, "train"), skip_faulty=skip_faulty)
            classes = dataset.present if classes is None else classes
            dataset = chosen(dataset, classes)
            images, labels = dataset.images, dataset.labels
            written_each_epoch = with_synthetic
            names = [dataset.name]
            if hold_out is not None:
                kept, held = batches.hold_out(labels, hold_out, seed=seed, characters=classes)
                checked = Rows([images], held), labels[held]
                images, labels = Rows([images], kept), labels[kept]
                names = [f"{dataset.name} but for {hold_out:g}"]
        if written_each_epoch:
            names.append(synthetic_described(copied))
        elif copied:
            raise ValueError("--copied is for synthetic images; ask for some: --with-synthetic")
        description = " and ".join(names) + ", augmented" * augment + ", on paper" * paper
        if validation is not None:
            known = load(
                validation, split=usual_split(validation, None, "test"), skip_faulty=skip_faulty
            )
            known = chosen(known, classes)
            checked = known.images, known.labels
        if model is None:
            model = new_network(classes, asked)
        if teacher is not None:
            learnt_by = taught_by(teacher, losses, classes)
        else:
            learnt_by = losses_of(model, losses, start_from is None or attentions is not None)

        if keras.config.dtype_policy().name == "mixed_bfloat16" and emulates_bfloat16():
            typer.echo(
                "This processor has no instructions for bfloat16 and imitates them, which is far "
                "slower than float32; better train in float32.",
                err=True,
            )

        with handwriting(classes, written_each_epoch, seed, copied) as written:

            def beside_real(epoch):
                made, known = written(epoch)
                return Rows([images, made]), np.append(labels, known)

            if data == "synthetic":
                examples = written
            else:
                examples = beside_real if with_synthetic else (images, labels)
            record = run(
                model,
                examples,
                run_dir=run_dir,
                losses=learnt_by,
                recipe=recipe,
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                validation=checked,
                transform=as_read(model.input_shape[1], augment, paper),
                seed=seed,
                characters=classes,
                description=description,
                allow_missing_classes=allow_missing_classes,
            )
    last = record["epochs"][-1]
    typer.echo(
        f"{run_dir}: {len(record['epochs'])} epochs, {record['seconds']:.0f} s, "
        f"{record['images_per_second']:,.0f} images/s, training accuracy {last['accuracy']:.4f}"
    )
    if data != "synthetic":
        echo_skipped(dataset.skipped)
