"""What depends on the backend that Keras runs on."""

from pathlib import Path

import keras

CPUINFO = Path("/proc/cpuinfo")
# As Linux names the instructions of x86 and of Arm that multiply bfloat16.
_BFLOAT16 = {"amx_bf16", "avx512_bf16", "bf16"}


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


def emulates_bfloat16():
    """Whether bfloat16 is known to be computed by instructions that were not made for it.

    Then `mixed_bfloat16` trains far slower than float32. Where there is an
    accelerator, or the processor does not tell (it does on Linux), the answer is False.
    """
    if accelerators() or not CPUINFO.exists():
        return False
    flags = {
        flag
        for line in CPUINFO.read_text(encoding="utf-8").splitlines()
        if line.lower().startswith(("flags", "features"))
        for flag in line.partition(":")[2].split()
    }
    return bool(flags) and not flags & _BFLOAT16
