"""``python -m benchmarks paper``: run the paper's tables and figures on the data that are there."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

from .. import _records
from . import report, results
from .cells import Store
from .config import Contest, contests, makes_no_sense, methods, preset, table
from .data import AbsentError, Source, embed, prepare
from .figures import draw
from .runner import Outcome, run

__all__ = ["main"]

OUT = Path("paper_output")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks paper",
        description="Run tables and figures of the paper. What is finished is kept below --out and "
        "never run twice: the same command goes on where it was stopped.",
    )
    parser.add_argument("--table", nargs="+", default=[], choices=list("12346"), metavar="N")
    parser.add_argument("--figure", nargs="+", default=[], choices=list("345"), metavar="N")
    parser.add_argument("--data-root", type=Path, required=True, metavar="DIR",
                        help="folder with the data sets, as folders or archives")  # fmt: skip
    parser.add_argument("--preset", default="cpu", metavar="NAME",
                        help="paper, gpu, cpu (default), frozen, smoke, or a file")  # fmt: skip
    parser.add_argument("--methods", nargs="+", metavar="METHOD",
                        help="instead of the table's; any of the package's")  # fmt: skip
    parser.add_argument("--datasets", nargs="+", metavar="DATASET", help="some of the table's")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, metavar="DIR",
                        help=f"for everything; default: {OUT}/, and the results file among those "
                        "of the benchmarks")  # fmt: skip
    parser.add_argument("--keep-models", action="store_true",
                        help="keep fitted models when their test scores are there")  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="say what would be run, and stop")
    return parser


def main(argv: list[str]) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    names = [f"table{n}" for n in arguments.table] + [f"figure{n}" for n in arguments.figure]
    if not names:
        parser.error("give --table or --figure")
    if arguments.seeds < 1 or arguments.jobs < 1:
        parser.error("--seeds and --jobs are at least 1")
    unknown = set(arguments.methods or ()) - set(methods())
    if unknown:
        parser.error(f"no methods {', '.join(sorted(unknown))}; there are {', '.join(methods())}")
    size = preset(arguments.preset)
    own = {"methods": arguments.methods} if arguments.methods else {}
    configs = [table(name) | own for name in names]
    for method in dict.fromkeys(m for config in configs for m in config["methods"]):
        if makes_no_sense(method, size):
            _say(f"left out: {method} needs images, and the preset {size['name']} has embeddings")
    planned = list(contests(configs, size, arguments.seeds, datasets=arguments.datasets))
    if not planned:
        parser.error("nothing is left of these tables: check --datasets and --methods")

    out = arguments.out or OUT
    out.mkdir(parents=True, exist_ok=True)
    if arguments.out is None:
        (out / ".gitignore").write_text("*\n")
    store = Store(out)
    sources: dict[str, Source] = {}
    try:
        absent = _prepare(planned, size, arguments.data_root, out, sources)
        planned = [contest for contest in planned if contest.dataset in sources]
        n_cells = sum(map(len, planned))
        _say(f"{len(planned)} pairs of method and data set, {n_cells} cells")
        if arguments.plan or not planned:
            return 0 if arguments.plan else 1
        _embed_once(planned, sources, store)
        outcomes = run(
            planned, sources, store, jobs=arguments.jobs, keep_models=arguments.keep_models
        )
    except (KeyboardInterrupt, BrokenExecutor) as error:
        there = [
            store.file(cell.key(sources[contest.dataset].identity)).exists()
            for contest in planned
            for cell in (*contest.cells, *contest.after_pilot)
            if contest.dataset in sources
        ]
        _say(f"\nstopped: {sum(there)} of {sum(map(len, planned))} cells are kept in {out}")
        if isinstance(error, BrokenExecutor):
            _say(f"a process died, perhaps for want of memory: try fewer --jobs ({error})")
            return 1
        _say("the same command goes on")
        return 130
    path = (arguments.out or _records.RESULTS) / "paper.json"
    _write(configs, size, outcomes, path, out)
    return _conclude(outcomes, absent)


def _prepare(
    planned: list[Contest],
    size: dict[str, Any],
    root: Path,
    out: Path,
    sources: dict[str, Source],
) -> list[str]:
    """Load the data sets that are there into `sources`; name the others."""
    absent = []
    most = size.get("data", {}).get("max_per_cell")
    for dataset in dict.fromkeys(contest.dataset for contest in planned):
        try:
            sources[dataset] = prepare(dataset, root, out / "cache", most)
        except AbsentError as error:
            absent.append(dataset)
            _say(f"absent: {dataset}: {error}")
    return absent


def _embed_once(planned: list[Contest], sources: dict[str, Source], store: Store) -> None:
    """Embed training and validation images before processes start, which then look them up."""
    done = set()
    for contest in planned:
        cell, source = contest.cells[0], sources[contest.dataset]
        if cell.embedding is None or source in done:
            continue
        if any(store.read(c.key(source.identity)) is None for c in contest.cells):
            done.add(source)
            for name in ("train", "valid"):
                embed(source, name, cell.backbone, cell.embedding, verbose=1)


def _write(
    configs: list[dict[str, Any]],
    size: dict[str, Any],
    outcomes: list[Outcome],
    path: Path,
    out: Path,
) -> None:
    """Write results, tables and figures, and print the tables."""
    with _records.alone(out / "locks" / path.name):  # another run may be merging its own
        merged = results.merge(results.read(path), outcomes)
        _records.write(path, merged)
    for config in configs:
        text = report.markdown(merged, config, size)
        if not text:
            _say(f"{config['title']}: not all there yet")
            continue
        stem = out / f"{config['name']}-{size['name']}"
        _records.write_text(stem.with_suffix(".md"), text + "\n")
        _records.write_text(stem.with_suffix(".tex"), report.latex(merged, config, size) + "\n")
        draw(merged, config, size, stem.with_suffix(".png"))
        print(f"{text}\n")
    _say(f"results: {path}; tables and figures: {out}")


def _conclude(outcomes: list[Outcome], absent: list[str]) -> int:
    """Say what is missing; 1 where a cell broke."""
    broken = {cell: error for outcome in outcomes for cell, error in outcome.broken.items()}
    for cell, error in broken.items():
        _say(f"broken: {cell}: {error.strip().splitlines()[-1]}")
    if broken:
        _say(f"{len(broken)} cells broke; the same command tries them again")
    if absent:
        _say(f"absent: {', '.join(absent)}; the same command runs them when they are there")
    return 1 if broken else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
