"""The gangway application server, inside the interpreter that runs this.

    python3 -m gangway [OPTIONS] APP

does what the program `gangway` does.
"""

import sys

__all__ = ["main"]


def main(argv=None):
    """Serve until told to stop; the exit status.

    argv is a list of arguments without the program's name; by default
    those of the command line. An ImportError says in one line why the
    server does not fit this interpreter or this machine.
    """
    try:
        from gangway._core import main as run
    except ImportError as e:
        from gangway import fits
        raise ImportError(fits.line(e))
    return run(["gangway"] + list(sys.argv[1:] if argv is None else argv))
