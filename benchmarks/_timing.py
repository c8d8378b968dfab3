"""Timing and memory of the speed measurements: contenders that take turns, peaks of a process."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "in_fresh_process",
    "in_rounds",
    "in_turns",
    "peak_growth",
    "record",
    "seconds",
    "summary",
]


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def summary(values: Any) -> dict[str, float]:
    return {name: float(getattr(np, name)(values)) for name in ("min", "median", "max")}


def in_turns(bare: Callable, ours: dict[str, Callable], rounds: int) -> dict[str, Any]:
    """Ratios of each contender to the bare call that ran just before it."""
    ratios: dict[str, list[float]] = {name: [] for name in ours}
    bare_seconds = []
    for _ in range(rounds):
        for name, call in ours.items():
            bare_seconds.append(seconds(bare))
            ratios[name].append(seconds(call) / bare_seconds[-1])
    summaries = {name: summary(values) for name, values in ratios.items()}
    return {"bare_seconds": summary(bare_seconds), "ratios": summaries, "rounds": rounds}


def record(what: str, value: Any, **details: Any) -> dict[str, Any]:
    """One line of the table: a number, or one for each round."""
    return {"what": what, "value": summary(value) if np.ndim(value) else value, **details}


def in_rounds(rounds: int, **calls: Callable[[], Any]) -> dict[str, np.ndarray]:
    """Seconds of each call in each round, in which the calls take turns."""
    for call in calls.values():
        call()  # warm up
    times = [[seconds(call) for call in calls.values()] for _ in range(rounds)]
    return dict(zip(calls, np.transpose(times), strict=True))


def _bytes(field: str) -> int:
    """A figure of this process from Linux: VmRSS is its memory now, VmHWM the peak."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split(f"{field}:")[1].split()[0])


def peak_growth(call: Callable[[], Any]) -> tuple[int, Any]:
    """Bytes by which the memory of this process grows at most during a call, and its result."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _bytes("VmRSS")
    result = call()
    return _bytes("VmHWM") - before, result


def in_fresh_process(function: Callable, *arguments: Any) -> Any:
    """Call a function where nothing before it has left memory behind."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
