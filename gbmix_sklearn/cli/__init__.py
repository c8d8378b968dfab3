"""The command ``gbmix``; importing it loads neither torch nor scikit-learn."""

from ._app import app

__all__ = ["app"]
