"""The network that `hccr train` is asked for, and the losses that it learns by."""

from functools import partial
from pathlib import Path

import keras

from .evaluation import load_model
from .models import ensemble, mcanet, melnyk_net, resnet18, student
from .models.comparative_losses import comparative
from .models.transfer import attending, averaged, dropping, enlarged, repooled, slimmed
from .training.distillation import Distiller

NETWORKS = {"resnet18": resnet18, "student": student}


def going_on(start_from, asked, precision):
    """The network of another training, changed as the options say, and its classes.

    Args:
        start_from: As for `started`.
        asked: Dict of the options about the network; None where one is not given.
        precision: That of the options, or None.

    Raises:
        ValueError: An option that the network of the other training has decided already.
    """
    for option in ("characters", "width", "pooling_starts_as"):
        if asked[option] is not None:
            name = option.replace("_", "-")
            raise ValueError(f"--{name} is that of --start-from; leave one of them out")
    model, classes = started(start_from)
    policy = next(layer.dtype_policy for layer in model.layers if layer.weights)
    if precision not in (None, policy.name):
        raise ValueError(
            f"--precision: {start_from} computes in {policy.name}; leave the option out"
        )
    keras.config.set_dtype_policy(policy)  # this is what the record names
    if asked["variant"] is not None:
        model = repooled(model, asked["variant"])
    if asked["input_size"] is not None:
        model = enlarged(model, asked["input_size"])
    if asked["network"] not in (None, "student"):
        raise ValueError(
            f"--start-from: only a student takes over parts of another network, not "
            f"{asked['network']}; leave it or --network out"
        )
    if asked["network"] is not None:
        model = slimmed(model, _or(asked["dropout"], 0.2))
    elif asked["attentions"] is not None:
        model = attending(model, asked["attentions"], _or(asked["dropout"], 0.5))
    elif asked["dropout"] is not None:
        model = dropping(model, asked["dropout"])
    return model, classes


def started(start_from):
    """The network to go on from, and its classes.

    Args:
        start_from: As for `load_model`; or several, with commas between, of which it is the mean
            (`averaged`).

    Raises:
        ValueError: A name that is missing, other classes, or networks that have no mean.
    """
    named = _names("--start-from", start_from)
    loaded = [load_model(name) for name in named]
    if len(loaded) == 1:
        return loaded[0]
    if any(list(classes) != list(loaded[0][1]) for _, classes in loaded):
        raise ValueError(f"--start-from: {start_from} read other characters, or in another order")
    return averaged([model for model, _ in loaded]), loaded[0][1]


def new_network(classes, asked):
    """A network that has learnt nothing yet, for these classes."""
    if asked["network"] not in (None, *NETWORKS):
        raise ValueError(
            f"--network must be one of {', '.join(NETWORKS)}. Received: {asked['network']}"
        )
    settings = {
        "num_classes": len(classes),
        "width": _or(asked["width"], 0.5),
        "input_size": _or(asked["input_size"], 96),
        "dropout": _or(asked["dropout"], 0.2 if asked["network"] == "student" else 0.5),
    }
    if asked["network"] is not None:
        if asked["pooling_starts_as"] is not None:
            raise ValueError("--pooling-starts-as is for B and C; leave it or --network out")
        return NETWORKS[asked["network"]](**settings)
    if asked["attentions"] is not None:
        return mcanet(asked["attentions"], **settings)
    variant, start = _or(asked["variant"], "C"), asked["pooling_starts_as"]
    if variant == "A" and start is not None:
        raise ValueError("--pooling-starts-as: Model A's pooling learns nothing; leave it out")
    return melnyk_net(variant, pooling_starts_as=_or(start, "sum"), **settings)


def taught_by(teachers, names, classes):
    """What makes a Distiller of a network, for `hccr_lib.training.train`.

    Args:
        teachers: The teacher, as for `load_model`; or several, with commas between, whose
            `ensemble` teaches.
        names: What --losses lists: logits, attention, or both; None: both.
        classes: Those of the network.

    Raises:
        ValueError: Other losses, a name that is missing, a teacher of other classes, or several
            that don't fit together or are asked only where the first one looks.
    """
    listed = ["logits", "attention"] if names is None else _listed(names)
    if set(listed) - {"logits", "attention"}:
        raise ValueError(
            "--losses must be logits, attention, or both with a comma between, where there is a "
            f"--teacher. Received: {names}"
        )
    networks, named = [], _names("--teacher", teachers)
    if len(named) > 1 and "logits" not in listed:
        raise ValueError("--losses attention is learnt from one --teacher: name the first alone")
    for name_or_path in named:
        network, known = load_model(name_or_path)
        if list(known) != list(classes):
            raise ValueError(
                f"--teacher: {name_or_path} reads {len(known):,} characters, the network "
                f"{len(classes):,}; they must be the same in the same order"
            )
        networks.append(network)
    teacher = ensemble(networks) if len(networks) > 1 else networks[0]
    weights = {} if "logits" in listed else {"logits": 0.0}
    if "attention" not in listed:
        weights["attention"] = 0.0
    return partial(Distiller, teacher=teacher, **weights)


def _names(option, networks):
    """One or several networks: a path that is there may have commas in it."""
    named = [networks] if Path(networks).exists() else _listed(networks)
    if "" in named:
        raise ValueError(f"{option}: a name is missing beside a comma. Received: {networks}")
    return named


def _listed(names):
    return [name.strip() for name in names.split(",")]


def losses_of(model, names, new_head):
    """What makes a model of images and labels of MCANet, for `hccr_lib.training.train`.

    Args:
        model: The network.
        names: What --losses lists. None: the cross-entropy alone for a new head, whose features
            the centers would silence; then both losses of the paper, as far as the network has
            the attentions for them.
        new_head: Whether the features of the network have learnt nothing yet.

    Returns:
        A function of the network, or None where the cross-entropy is all.

    Raises:
        ValueError: Losses that there are not, or that the network can't learn by.
    """
    attentions = sum(layer.name.startswith("attended") for layer in model.layers)
    is_mcanet = any(layer.name == "features1" for layer in model.layers)
    if names is None and new_head:
        names = "none"
    elif names is None:
        names = ("none", "region", "contrastive,region")[min(attentions, 2)]
    elif not is_mcanet:
        raise ValueError("--losses is for MCANet: name --attentions, or start from one")
    listed = [] if names == "none" else _listed(names)
    centers = [name for name in listed if name in ("region", "image")]
    if len(centers) > 1 or set(listed) - {"contrastive", *centers}:
        raise ValueError(
            "--losses must be none, or contrastive, and region or image, with commas between. "
            f"Received: {names}"
        )
    if "contrastive" in listed and attentions < 2:
        raise ValueError(f"--losses contrastive needs two attentions; the network has {attentions}")
    if not listed:
        return None
    centers = centers[0] if centers else None
    return partial(comparative, contrastive="contrastive" in listed, centers=centers)


def _or(value, default):
    return default if value is None else value
