"""The benchmarks as commands: ``python -m benchmarks paper --table 4 --data-root DIR``."""

from __future__ import annotations

import signal
import sys

from .frozen import main as frozen
from .networks import main as networks
from .paper.main import main as paper
from .shares import main as shares
from .tabular import main as tabular
from .tuned import main as tuned

COMMANDS = {
    "frozen": frozen,
    "networks": networks,
    "paper": paper,
    "shares": shares,
    "tabular": tabular,
    "tuned": tuned,
}


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] not in COMMANDS:
        print(f"usage: python -m benchmarks {{{','.join(COMMANDS)}}} ...", file=sys.stderr)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    return COMMANDS[arguments[0]](arguments[1:])


if __name__ == "__main__":
    # what ends a job of a queue ends it as Ctrl-C does: finished cells and no process stay
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
