"""What depends on the backend that Keras runs on."""

import keras


def accelerators():
    """The names of the GPUs and TPUs that the backend sees, such as ["gpu:0"]."""
    if keras.backend.backend() == "torch":  # keras.distribution does not know it
        import torch

        return [f"gpu:{k}" for k in range(torch.cuda.device_count())]
    return [name for name in keras.distribution.list_devices() if not name.startswith("cpu")]


def fastest_jit():
    """What to give `Model.compile(jit_compile=...)`: Keras's choice, but no XLA on a CPU's TF.

    Measured with Model C on two cores: TensorFlow's own kernels train up to 1.7 times faster than
    its XLA, start in a third of the time, and need no new compilation for another batch size.
    """
    on_tensorflow = keras.backend.backend() == "tensorflow"
    return False if on_tensorflow and not accelerators() else "auto"
