"""The probe: a page of plain text about what a host allows.

In gangway.ini, for as long as you look at it (others can, too):

    app = gangway.probe:application

or from a shell or a cron job: python3 -m gangway.probe
It tries things out: it starts threads and processes, and writes files where
it might, and takes them away again.
"""
from __future__ import print_function

import errno
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time

from gangway import fits

THREADS = 64        # tried at once
PROCESSES = 8
ONE_PROBE = threading.Lock()

LIMITS = (("open files", "RLIMIT_NOFILE", 1),
          ("processes and threads", "RLIMIT_NPROC", 1),
          ("address space, MB", "RLIMIT_AS", 1 << 20),
          ("data, MB", "RLIMIT_DATA", 1 << 20),
          ("stack of a thread, MB", "RLIMIT_STACK", 1 << 20),
          ("file size, MB", "RLIMIT_FSIZE", 1 << 20),
          ("CPU time, seconds", "RLIMIT_CPU", 1),
          ("core file, MB", "RLIMIT_CORE", 1 << 20))


def reason(error):
    """errno's name and text."""
    return "%s (%s)" % (os.strerror(error.errno),
                        errno.errorcode.get(error.errno)) \
        if getattr(error, "errno", None) else str(error)


def read(path):
    try:
        with open(path) as f:
            return f.read().strip()
    except (IOError, OSError):
        return ""


# --- who runs us

def door(environ):
    named = str(environ.get("gangway.host", ""))
    form = "inside the host's Python" if "gangway._core" in sys.modules else \
        "as the program gangway" if named else "without gangway's server"
    return [("door", named or "none of ours"),
            ("form", form),
            ("web server", environ.get("SERVER_SOFTWARE", "")),
            ("Passenger's environment",
             os.environ.get("PASSENGER_APP_ENV", "none")),
            ("requests at once", at_once(environ)),
            ("base URI", environ.get("SCRIPT_NAME") or "/"),
            ("scheme", environ.get("wsgi.url_scheme", ""))]


def at_once(environ):
    known = {row[0]: row[1] for row in environ.get("gangway.settings") or ()}
    if "workers" in known:
        return "workers %s, threads %s, class %s" % (
            known["workers"], known.get("threads"), known.get("worker_class"))
    return "threads %s, processes %s" % (
        "several" if environ.get("wsgi.multithread") else "one",
        "several" if environ.get("wsgi.multiprocess") else "one")


def python():
    yield "Python", "%s %s" % (platform.python_implementation(),
                               platform.python_version())
    yield "program", sys.executable
    yield "prefix", sys.prefix
    for what, here, needed, good in fits.sides():
        yield "upload: " + what, "%s, needed %s: %s" % (
            here, needed, "fits" if good else "DOES NOT FIT")
    for name in ("ssl", "sqlite3", "zlib", "ctypes"):
        try:
            __import__(name)
            yield "module " + name, "there"
        except ImportError as e:
            yield "module " + name, "missing: %s" % e


def machine():
    yield "system", platform.platform()
    yield "C library", "glibc " + fits.glibc() if fits.glibc() else "not glibc"
    yield "user, group", "%d, %d" % (os.getuid(), os.getgid())
    yield "process, its parent", "%d, %d" % (os.getpid(), os.getppid())
    try:
        yield "CPUs to use", len(os.sched_getaffinity(0))
    except AttributeError:
        pass
    for name in ("memory.max", "pids.max", "cpu.max"):
        text = read(os.path.join(cgroup(), name))
        if text:
            yield "cgroup " + name, text
    if os.path.exists("/proc/lve/list") or os.path.exists("/var/lve"):
        yield "CloudLinux", "LVE limits are in force"


def cgroup():
    for line in read("/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            return "/sys/fs/cgroup" + line[3:]
    return "/sys/fs/cgroup"


# --- what it lets us do

def limits():
    for what, name, unit in LIMITS:
        if hasattr(resource, name):
            soft, hard = resource.getrlimit(getattr(resource, name))
            yield what, "%s, at most %s" % (size(soft, unit),
                                            size(hard, unit))


def size(n, unit):
    return "unlimited" if n == resource.RLIM_INFINITY else n // unit


def try_threads():
    started, over = [], threading.Event()
    why = ""
    try:
        while len(started) < THREADS:
            t = threading.Thread(target=over.wait, args=(20,))
            t.daemon = True
            t.start()
            started.append(t)
    except (RuntimeError, MemoryError) as e:
        why = ": " + str(e)
    over.set()
    for t in started:
        t.join()
    return "%d of %d started%s" % (len(started), THREADS, why)


def try_processes():
    started, why = [], ""
    try:
        while len(started) < PROCESSES:
            started.append(subprocess.Popen(
                ["/bin/sh", "-c", "read x"], stdin=subprocess.PIPE,
                close_fds=True))
    except (OSError, MemoryError) as e:
        why = ": " + reason(e)
    for p in started:
        p.stdin.close()
        p.wait()
    return "%d of %d started%s" % (len(started), PROCESSES, why)


def try_folder(path):
    try:
        f = tempfile.NamedTemporaryFile(prefix=".gangway-probe.", dir=path)
    except (IOError, OSError) as e:
        return "not writable: " + reason(e)
    f.close()
    vfs = os.statvfs(path)
    return "writable, %d MB free%s" % (
        vfs.f_bavail * vfs.f_frsize >> 20,
        ", programs may not run from it"
        if vfs.f_flag & getattr(os, "ST_NOEXEC", 8) else "")


def folders(environ):
    root = os.path.dirname(fits.HOME)
    shown = os.path.realpath(environ.get("DOCUMENT_ROOT") or "/nowhere")
    if (os.path.realpath(root) + "/").startswith(shown + "/"):
        yield root, "VISITORS MAY READ gangway.ini: the document root, %s, " \
            "should be public/" % shown
    seen = set()
    for path in (root, os.path.join(root, "tmp"), os.path.join(root, "public"),
                 os.path.expanduser("~"), tempfile.gettempdir(), "/tmp",
                 "/var/tmp", "/dev/shm"):
        if path not in seen:
            seen.add(path)
            yield path, try_folder(path)


def trials():
    yield "threads", try_threads()
    yield "processes", try_processes()
    begun = time.time()
    sum(i * i for i in range(10 ** 6))
    yield "a million steps of Python", "%.2f s" % (time.time() - begun)


def text(environ):
    with ONE_PROBE:
        groups = (("Door", door(environ)), ("Python", python()),
                  ("Machine", machine()), ("Limits", limits()),
                  ("Tried", trials()), ("Folders", folders(environ)))
        out = ["What this host allows, " + time.strftime("%F %T %Z"), ""]
        for title, rows in groups:
            out.append(title)
            out += ["    %-28s %s" % row for row in rows] + [""]
    return "\n".join(out + [
        "Put your application's own name back into gangway.ini (app = ...),",
        "and upload tmp/restart.txt anew."]) + "\n"


def application(environ, start_response):
    body = text(environ).encode("utf-8", "replace")
    start_response("200 OK", [
        ("Content-Type", fits.KIND), ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"), ("X-Robots-Tag", "noindex")])
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


if __name__ == "__main__":
    sys.stdout.write(text({}))
