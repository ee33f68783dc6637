"""The gangway application server, inside the interpreter that runs this.

    python3 -m gangway [OPTIONS] APP

does what the program `gangway` does.
"""

import sys

from gangway._core import main as _main

__all__ = ["main"]


def main(argv=None):
    """Serve until told to stop; the exit status.

    argv is a list of arguments without the program's name; by default
    those of the command line.
    """
    if argv is None:
        argv = sys.argv[1:]
    return _main(["gangway", *argv])
