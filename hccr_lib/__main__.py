"""`python -m hccr_lib` is `hccr`."""

from .cli import app

app(prog_name="hccr")
