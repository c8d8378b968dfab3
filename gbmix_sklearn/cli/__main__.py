"""``python -m gbmix_sklearn.cli`` is ``gbmix``."""

from . import app

app(prog_name="gbmix")
