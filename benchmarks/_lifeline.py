"""Processes that end with the one that started them, even where that one is killed."""

from __future__ import annotations

import os
import time
from threading import Thread

__all__ = ["end_with"]


def end_with(parent: int) -> None:
    """End this process when `parent`, the number of the one that started it, is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()
