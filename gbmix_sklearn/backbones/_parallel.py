"""Threads that work ahead of a loop, but not far."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from joblib import cpu_count

__all__ = ["ordered_map", "prefetched"]

Task = TypeVar("Task")
Result = TypeVar("Result")
Item = TypeVar("Item")


def ordered_map(
    function: Callable[[Task], Result], tasks: Iterable[Task], ahead: int, *, overlap: bool = True
) -> Iterator[Result]:
    """Map in threads, one per core, with at most `ahead` results waiting to be used.

    Parameters
    ----------
    function : callable
        What to do with a task.
    tasks : iterable
        The tasks; drawn only as far as they are worked on.
    ahead : int
        How many tasks are begun before the first result is used.
    overlap : bool, default=True
        Whether tasks run while the results are being used. False does them in rounds of `ahead`:
        faster where whoever uses the results wants every core.

    Yields
    ------
    object
        The results, in the order of the tasks. What a task raises is raised here, in its turn.

    Examples
    --------
    >>> list(ordered_map(abs, [-3, 2, -1], ahead=2))
    [3, 2, 1]
    """
    pool = ThreadPoolExecutor(cpu_count(), thread_name_prefix="gbmix-images")
    begun: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            begun.append(pool.submit(function, task))
            if len(begun) == ahead:
                for _ in range(1 if overlap else ahead):
                    yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:  # after a broken image the rest need not be read
        pool.shutdown(cancel_futures=True)


def prefetched(items: Iterable[Item], ahead: int) -> Iterator[Item]:
    """Draw items in a thread, at most `ahead` before they are used.

    Parameters
    ----------
    items : iterable
        Only ever advanced by one thread; closed at the end where it is a generator.
    ahead : int
        How many may wait.

    Yields
    ------
    object
        The items, in order. What the iterable raises is raised here, in its turn.

    Examples
    --------
    >>> list(prefetched(range(3), ahead=2))
    [0, 1, 2]
    """
    iterator, end = iter(items), object()
    pool = ThreadPoolExecutor(1, thread_name_prefix="gbmix-ahead")
    try:
        begun = deque(pool.submit(next, iterator, end) for _ in range(ahead))
        while (item := begun.popleft().result()) is not end:
            begun.append(pool.submit(next, iterator, end))
            yield item  # type: ignore[misc]  # the end is not yielded
    finally:
        pool.shutdown(cancel_futures=True)
        if isinstance(iterator, Generator):
            iterator.close()
