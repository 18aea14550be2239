"""Program: `lmol` several times at once, in processes that begin to work in the same moment.

    python many.py NUMBER ARGUMENT...

All is imported once, before the processes part.
"""

import os
import sys

import lmol.tasks.prepare  # noqa: F401
from lmol.run import main


def job(number: int, begin: int) -> None:
    """Wait until the pipe is closed, run the command, and end the process."""
    sys.argv = ["lmol", *(argument.replace("{}", str(number)) for argument in sys.argv[2:])]
    os.read(begin, 1)
    try:
        main()
    except SystemExit as ended:
        os._exit(int(ended.code or 0))
    os._exit(0)


def at_once(number: int) -> int:
    """Return the largest exit status of the processes."""
    begin, hold = os.pipe()
    children = []
    for place in range(number):
        child = os.fork()
        if child == 0:
            os.close(hold)
            job(place, begin)
        children.append(child)
    os.close(hold)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


if __name__ == "__main__":
    sys.exit(at_once(int(sys.argv[1])))
