"""The one way in which tests wait: for events, never for time.

wait_for() waits until a condition holds, wait_gone() for the end of a
process, wait_readable() for bytes, wait_text() for a line in a file. Each
has a bound, PATIENCE, that no event reaches even on a stalled machine with
sanitizers, and that costs nothing when the event comes. Who waits in vain
for so long is named in the output.

What is about real time says so: holds() looks at something that must stay
as it is for a while, pass_time() lets time go by that the server is to
notice, and measure() takes the best of several measurements, for a stalled
machine makes things slow, but never fast.

No other file of the tests sleeps; t/unit/style.sh holds that.
"""
import os
import re
import select
import sys
import time

import tap

PATIENCE = int(os.environ.get("T_PATIENCE", "120"))     # seconds


def wait_for(what, seconds=PATIENCE, step=0.01):
    """Call what() until it is true; its value, or the last false one."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() >= end:
            if not value and seconds >= PATIENCE:
                in_vain()
            return value
        time.sleep(step)


def in_vain():
    """Say which line of a test has waited for what did not come."""
    frame = sys._getframe(1)
    while frame.f_back and os.path.dirname(
            frame.f_code.co_filename) == os.path.dirname(__file__):
        frame = frame.f_back
    tap.note("waited in vain at %s:%d" % (frame.f_code.co_filename,
                                          frame.f_lineno))


def wait_gone(pid, seconds=PATIENCE):
    """Has process `pid`, with all its threads, ended?"""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return wait_readable([fd], 1, seconds)
    finally:
        os.close(fd)


def wait_readable(files, count=None, seconds=PATIENCE):
    """Until `count` of the files (all of them, if None) have bytes to read,
    or their end."""
    if count is None:
        count = len(files)
    poll = select.poll()
    left = {f if isinstance(f, int) else f.fileno() for f in files}
    for fd in left:
        poll.register(fd, select.POLLIN)
    want = len(left) - count
    end = time.monotonic() + seconds
    while len(left) > want:
        rest = end - time.monotonic()
        if rest <= 0:
            return False
        for fd, _ in poll.poll(rest * 1000):
            poll.unregister(fd)
            left.discard(fd)
    return True


def text_of(path):
    """What is in a file; "" while there is none."""
    try:
        with open(path, errors="backslashreplace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def wait_text(path, text, count=1, seconds=PATIENCE):
    """Until the file has `text` (a string, or a compiled pattern) so many
    times; what is in it then, or False."""
    def look():
        found = text_of(path)
        n = len(text.findall(found)) if isinstance(text, re.Pattern) \
            else found.count(text)
        return n >= count and (found or True)
    return wait_for(look, seconds)


class Gate:
    """Where an application waits for the test, without an end: in it,
    open(path) returns when the test has opened the gate, and at once from
    then on."""

    def __init__(self, path):
        self.path, self.fd = path, None
        os.mkfifo(path)
        os.chmod(path, 0o666)

    def open(self):
        if self.fd is None:
            self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)


# --- real time

def holds(what, seconds, step=0.01):
    """Is what() true all the time, for so long? For what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not what():
            return False
        time.sleep(step)
    return bool(what())


def pass_time(seconds):
    """Let time go by, where its passing is what is tested."""
    time.sleep(seconds)


def pace(seconds):
    """The pause of a client between two requests or bytes of a load."""
    time.sleep(seconds)


def measure(what, limit, tries=5):
    """What what() returns, a time in seconds: that of the first try that
    takes less than `limit`, else the shortest."""
    best = None
    for _ in range(tries):
        took = what()
        if best is None or took < best:
            best = took
        if best < limit:
            break
    return best
