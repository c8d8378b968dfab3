"""Running the cells of contests in processes, with a progress line; stopping and going on."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from joblib.externals.loky import get_reusable_executor

from .._lifeline import end_with
from .cells import Store, fit, n_threads, score
from .choice import choose
from .config import Cell, Contest
from .data import Source

__all__ = ["Outcome", "run"]


@dataclass
class Outcome:
    """What came of a contest."""

    contest: Contest
    records: list[dict[str, Any]] = field(default_factory=list)
    chosen: dict[str, Any] | None = None
    #: cells that raised, with their messages; then nothing is chosen
    broken: dict[str, str] = field(default_factory=dict)


class Progress:
    """Done and total, and how long it will take, on stderr: a live line, or one now and then."""

    def __init__(self, total: int, jobs: int):
        self.total, self.jobs = total, jobs
        self.done = self.found = self.broken = 0
        self.start, self.shown = time.monotonic(), 0.0
        self.live = sys.stderr.isatty()

    def update(self, what: str) -> None:
        now = time.monotonic()
        if now - self.shown < (0.2 if self.live else 10):
            return
        self.shown = now
        run = self.done - self.found
        spent = self.spent
        left = spent / run * (self.total - self.done) if run else None
        broken = f", {self.broken} broken" if self.broken else ""
        text = f"{self.done}/{self.total} cells{broken}, {_clock(spent)} spent, "
        text += f"about {_clock(left)} left" if left is not None else "time unknown"
        line = f"{text} | {what}"
        print(f"\r\x1b[K{line[:118]}" if self.live else line, end="" if self.live else "\n",
              file=sys.stderr, flush=True)  # fmt: skip

    def say(self, text: str) -> None:
        print(f"\r\x1b[K{text}" if self.live else text, file=sys.stderr, flush=True)

    @property
    def spent(self) -> float:
        return time.monotonic() - self.start


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def run(
    contests: list[Contest],
    sources: dict[str, Source],
    store: Store,
    *,
    jobs: int = 1,
    keep_models: bool = False,
) -> list[Outcome]:
    """Run all cells; choose a setting in each contest; score what was chosen on test data.

    After a pilot, the chosen setting is run with the other seeds before it is scored.

    Cells that are stored are not run. Test data are read for the cells of a chosen setting only,
    when all cells of their contest are there. A cell that raises is reported, leaves its contest
    undecided, and stops nothing else.
    """
    outcomes = [Outcome(contest) for contest in contests]
    progress = Progress(sum(len(contest) for contest in contests), jobs)
    queue: deque[tuple[Callable, Outcome, Cell]] = deque()
    threads = n_threads(jobs)

    def source_of(outcome: Outcome) -> Source:
        return sources[outcome.contest.dataset]

    def request(outcome: Outcome, cells: Iterable[Cell]) -> None:
        """Take stored records of cells, and queue the others."""
        for cell in cells:
            record = store.read(cell.key(source_of(outcome).identity))
            if record is None:
                queue.append((fit, outcome, cell))
            else:
                progress.found += 1
                progress.done += 1
                outcome.records.append(record)

    def go_on(outcome: Outcome) -> None:
        """When the last cell of a sweep is there: choose; when those of the choice are: test it."""
        contest = outcome.contest
        if outcome.chosen is None:
            if len(outcome.records) + len(outcome.broken) < len(contest.cells) or outcome.broken:
                return
            # in the order of the sweep, not in that of finishing: it decides ties
            keys = [cell.key(source_of(outcome).identity) for cell in contest.cells]
            outcome.records.sort(key=lambda record: keys.index(record["key"]))
            outcome.chosen = choose((r["setting"], r.get("validation")) for r in outcome.records)
            if outcome.chosen is None:
                progress.total -= len(contest) - len(contest.cells)
                progress.say(f"{contest.dataset}, {contest.method}: all diverged")
                return
            request(outcome, [c for c in contest.after_pilot if c.setting == outcome.chosen])
        if len(outcome.records) < len(contest):
            return
        chosen = contest.with_setting(outcome.chosen)
        if any("diverged" in r for r in outcome.records if r["setting"] == outcome.chosen):
            progress.say(
                f"{contest.dataset}, {contest.method}: diverged with a seed after the pilot"
            )
            return
        queue.extendleft((score, outcome, cell) for cell in chosen)

    def finish(task: tuple, record: dict[str, Any] | None, error: str | None) -> None:
        function, outcome, cell = task
        if error is not None:
            progress.broken += 1
            outcome.broken[str(cell)] = error
            progress.say(f"broken: {cell}\n{error}")
        if function is fit:
            progress.done += 1
            if record is not None:
                outcome.records.append(record)
            go_on(outcome)
            return
        if record is not None:
            place = [r["key"] for r in outcome.records].index(record["key"])
            outcome.records[place] = record
        tested = [r for r in outcome.records if r["setting"] == outcome.chosen]
        if all("test" in r for r in tested) and not keep_models:
            for r in outcome.records:
                store.clear(r["key"])

    for outcome in outcomes:
        request(outcome, outcome.contest.cells)
        go_on(outcome)
    if progress.found:
        progress.say(f"{progress.found} cells are there already")
    with _pool(jobs) as submit:
        running: dict[Future, tuple] = {}
        while queue or running:
            while queue and len(running) < jobs:
                task = queue.popleft()
                function, outcome, cell = task
                progress.update(f"test of {cell}" if function is score else str(cell))
                future = submit(_caught, function, cell, source_of(outcome), store, threads)
                running[future] = task
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                finish(running.pop(future), *future.result())
    progress.say(f"{progress.done}/{progress.total} cells, {_clock(progress.spent)}")
    return outcomes


def _caught(function: Callable, *arguments: Any) -> tuple[dict[str, Any] | None, str | None]:
    """The record of a cell, or what went wrong with it."""
    try:
        return function(*arguments), None
    except Exception:
        return None, traceback.format_exc()


@contextmanager
def _pool(jobs: int) -> Iterator[Callable[..., Future]]:
    """Something to submit to: processes, or for one job this very process."""
    if jobs == 1:
        yield _at_once
        return
    executor = get_reusable_executor(
        max_workers=jobs, timeout=None, initializer=end_with, initargs=(os.getpid(),)
    )
    try:
        yield executor.submit
    except BaseException:
        executor.shutdown(kill_workers=True)
        raise
    executor.shutdown()


def _at_once(function: Callable, *arguments: Any) -> Future:
    future: Future = Future()
    future.set_result(function(*arguments))
    return future
