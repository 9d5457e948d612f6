"""The one choice that depends on the backend that Keras runs on."""

import keras


def fastest_jit():
    """What to give `Model.compile(jit_compile=...)`: Keras's choice, but no XLA on a CPU's TF.

    Measured with Model C on two cores: TensorFlow's own kernels train up to 1.7 times faster than
    its XLA, start in a third of the time, and need no new compilation for another batch size.
    """
    on_cpu = all(name.startswith("cpu") for name in keras.distribution.list_devices())
    return False if keras.backend.backend() == "tensorflow" and on_cpu else "auto"
