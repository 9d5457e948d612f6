"""`python -m hccr_lib` is `hccr`."""

import sys

from .cli import app

if __name__ == "__main__":
    sys.argv[0] = "hccr"  # so that help, errors and run records name the command
    app(prog_name="hccr")
