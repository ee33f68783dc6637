"""For clients that leave and machines that run out: the path says what is
done. /counts says how many bodies were begun and closed, and its pid."""
import ctypes
import itertools
import json
import os
import signal
import sys
import threading
import time

TEXT = ("Content-Type", "text/plain")
begun, closed = itertools.count(), itertools.count()
held = []


def taken(counter):
    """How often next() was called on it."""
    return counter.__reduce__()[1][0]


class Body:
    """An iterable whose close() is counted."""

    def __init__(self, items):
        next(begun)
        self.items = iter(items)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.items)

    def close(self):
        next(closed)


class File:
    """A file whose close() is counted."""

    def __init__(self, path):
        next(begun)
        self.f = open(path, "rb")
        self.read, self.fileno = self.f.read, self.f.fileno
        self.seek, self.tell = self.f.seek, self.f.tell

    def close(self):
        next(closed)
        self.f.close()


def stream(environ, start, n):
    start("200 OK", [TEXT])
    return Body(b"x" * 16384 for _ in range(n or 64))


def sleep(environ, start, ms):
    time.sleep(ms / 1000)
    return plain(start, b"%d" % os.getpid())


def gate(environ, start, n):
    """For as long as the file is there."""
    while os.path.exists(os.environ["T_GATE"]):
        time.sleep(0.005)
    return plain(start, b"through")


def file(environ, start, n):
    start("200 OK", [TEXT])
    return environ["wsgi.file_wrapper"](File(os.environ["T_FILE"]))


def body(environ, start, n):
    total = 0
    while chunk := environ["wsgi.input"].read(5000):
        total += len(chunk)
    return plain(start, b"%d" % total)


def large(environ, start, kb):
    return plain(start, b"x" * (kb << 10), False)


def counts(environ, start, n):
    facts = [taken(begun), taken(closed), os.getpid()]
    return plain(start, json.dumps(facts).encode(), False)


def plain(start, text, counted=True):
    start("200 OK", [TEXT, ("Content-Length", str(len(text)))])
    return Body([text]) if counted else [text]


# --- memory

def memory(environ, start, mb):
    return plain(start, b"%d" % len(bytes(mb << 20)))


def hold(environ, start, kb):
    held.append(b"\1" * (kb << 10))
    return plain(start, b"held")


def thread(environ, start, n):
    t = threading.Thread(target=int)
    t.start()
    t.join()
    return plain(start, b"joined")


def recurse(environ, start, n):
    """Without end, through C that takes much stack; 0: the main thread only
    sleeps."""
    if threading.current_thread() is threading.main_thread() and not n:
        time.sleep(1)
        return plain(start, b"main")

    def deeper(n):
        return sorted([n, n], key=deeper)
    try:
        deeper(1)
    except RecursionError:
        return plain(start, b"RecursionError")


def remove(environ, start, n):
    os.unlink(os.environ["T_FILLER"])
    return plain(start, b"removed")


# --- the end of the process

def exit(environ, start, n):
    os._exit(n)


def segv(environ, start, n):
    ctypes.string_at(0)


def abort(environ, start, n):
    os.abort()


def sys_exit(environ, start, n):
    sys.exit(n)


def kill(environ, start, n):
    os.kill(os.getpid(), n or signal.SIGKILL)
    if n != signal.SIGTERM:     # which lets us finish
        time.sleep(600)
    return plain(start, b"lived")


def spin(environ, start, n):
    def forever():
        while True:
            pass
    threading.Thread(target=forever, daemon=True).start()
    return plain(start, b"spinning")


def fork(environ, start, n):
    """The child comes back as if it were the worker."""
    if (pid := os.fork()) == 0:
        return plain(start, b"child")
    return plain(start, b"%d" % pid)


def fork_stay(environ, start, n):
    """The child lives until it is killed."""
    if (pid := os.fork()) == 0:
        while True:
            time.sleep(600)
    return plain(start, b"%d" % pid)


def fork_stream(environ, start, n):
    pid = os.fork()
    start("200 OK", [TEXT])
    return Body([b"%d" % (pid != 0)] * 3)


def fork_raise(environ, start, n):
    if (pid := os.fork()) == 0:
        raise ValueError("planned, in the child")
    return plain(start, b"%d" % pid)


def application(environ, start):
    path = environ.get("PATH_INFO") or environ.get("SCRIPT_NAME", "")
    name, _, number = path.strip("/").partition("/")
    way = globals().get(name.replace("-", "_"))
    if way is None or name in ("taken", "application", "Body", "File"):
        return plain(start, b"ok")
    return way(environ, start, int(number) if number.isdigit() else 0)
