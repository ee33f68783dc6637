#!/usr/bin/python3
"""python3 -m gangway: the server inside an interpreter that is there.

The package is put together from the build, and its program is the
interpreter's own.
"""
import os
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import Process, alive, children, free_port, tmpdir
from server import APPS, python_package
from tap import done, guard, is_, ok, skip_all, together
from wait import wait_for
from wire import Http

PYTHON = "/usr/bin/python3"


def start(*args, cwd=APPS):
    return Process([PYTHON, "-m", "gangway", *args], cwd=cwd,
                   env={"PYTHONPATH": FOLDER})


def status_of(address):
    try:
        with Http(address) as c:
            return c.get("/").status
    except OSError:
        return None


def run(*args, **more):
    with start(*args, **more) as p:
        return p.wait(), p.log()


def one_shot():
    status, out = run("--version")
    ok(status == 0 and "gangway" in out, "--version", out)
    status, out = run("--no-such-option")
    is_(status, 2, "an unknown option exits 2")
    status, out = run("--check-config", "hello")
    is_((status, out), (0, ""), "--check-config")
    status, out = run("-b", "127.0.0.1:%d" % free_port(), "-w", "2",
                      "no_such_module")
    is_(status, 3, "an application that is not there exits 3")
    is_(out.count("ModuleNotFoundError"), 1, "and is reported once")
    ok("importlib" not in out, "without the steps in between", out)


def life():
    address = ("127.0.0.1", free_port())
    with start("-b", "%s:%d" % address, "-w", "2", "hello") as s:
        ok(wait_for(lambda: status_of(address) == 200), "it serves")
        ok(wait_for(lambda: len(children(s.pid)) == 2), "by two workers")
        old = children(s.pid)
        s.send_signal(signal.SIGHUP)
        ok(wait_for(lambda: len(children(s.pid)) == 2 and
                    not set(old) & set(children(s.pid))),
           "HUP replaces them")
        is_(status_of(address), 200, "and it serves")
        os.kill(children(s.pid)[0], signal.SIGKILL)
        ok(wait_for(lambda: "SIGKILL" in s.log() and
                    len(children(s.pid)) == 2), "a lost one comes back")
        workers = children(s.pid)
        is_(s.stop(), 0, "TERM ends it with 0")
        ok(not any(alive(p) for p in workers), "and its workers")
        ok("Traceback" not in s.log() and "Fatal" not in s.log(),
           "without a traceback", s.log()[-2000:])


def settings_of_python():
    folder = tmpdir()
    with open(os.path.join(folder, "gunicorn.conf.py"), "w") as f:
        f.write("import sys\nworkers = 1\nthreads = 2\n"
                "raw_env = ['WHO=' + sys.executable]\n")
    with open(os.path.join(folder, "app.py"), "w") as f:
        f.write("import os, sys, threading\n"
                "def application(environ, start_response):\n"
                "    body = os.environ['WHO'].encode()\n"
                "    start_response('200 OK', [])\n"
                "    return [body]\n")
    address = ("127.0.0.1", free_port())
    with start("-b", "%s:%d" % address, "app", cwd=folder) as s:
        ok(wait_for(lambda: status_of(address) == 200),
           "it serves with a gunicorn.conf.py", s.log()[-2000:])
        with Http(address) as c:
            is_(c.get("/").body, PYTHON.encode(), "evaluated by this Python")
        is_(s.stop(), 0, "TERM ends it with 0")


guard(600)
FOLDER, why = python_package()
if FOLDER is None:
    skip_all(why)
together([(one_shot,), (life,), (settings_of_python,)])
done()
