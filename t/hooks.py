#!/usr/bin/python3
"""The hooks: the same file under gunicorn and under gangway, and what its
functions are told, process by process. Where the two differ on purpose,
DIFFERENCES says why. Then what only a real file shows: hooks that raise,
that start threads, that log, that import gunicorn where there is none; and
the commands of [hooks].
"""
import json
import os
import re
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from server import (BUILD, GUNICORN, TOP, Broken, Http, Process, Server,
                    alive, children, find_program, free_port, tmpdir,
                    wait_for)
from tap import attempt, done, guard, is_, note, ok, skip

RECORDER = r'''
import json, os
_path = os.environ["RECORD"]
_manager = []

def _note(hook, age=None, **facts):
    kind = "manager" if _manager == [os.getpid()] else "worker"
    with open(_path, "a") as f:
        f.write(json.dumps([kind, hook, age, os.getpid(), facts]) + "\n")

def _worker(worker):
    return worker.pid if worker.pid == "[booting]" else (
        "own" if worker.pid == os.getpid() else "other")

def nworkers_changed(server, new, old):
    if not _manager:
        _manager.append(os.getpid())
    _note("nworkers_changed", new=new, old=old, now=server.num_workers)

def on_starting(server):
    _note("on_starting", own=server.pid == os.getpid(),
          listeners=len(server.LISTENERS), workers=server.num_workers,
          known=len(server.WORKERS), bind=server.cfg.bind[0][:4])

def when_ready(server):
    _note("when_ready", listeners=len(server.LISTENERS),
          address=server.address[0][0], last=server.worker_age,
          pidfile=os.path.exists(server.cfg.pidfile))

def on_reload(server):
    _note("on_reload", workers=server.num_workers)

def pre_fork(server, worker):
    worker.mark = worker.age * 10
    _note("pre_fork", pid=worker.pid, number=worker.age, nr=worker.nr,
          server=server.pid == os.getpid())

def post_fork(server, worker):
    _note("post_fork", worker.age, pid=_worker(worker), mark=worker.mark,
          server=server.pid == os.getppid(), booted=worker.booted,
          ppid=worker.ppid == os.getppid(), alive=worker.alive)

def post_worker_init(worker):
    _note("post_worker_init", worker.age, pid=_worker(worker),
          wsgi=callable(worker.wsgi), app=callable(worker.app.callable),
          timeout=worker.cfg.timeout, mark=worker.mark)

def worker_int(worker):
    _note("worker_int", worker.age, pid=_worker(worker))

def worker_abort(worker):
    _note("worker_abort", worker.age, pid=_worker(worker))

def pre_request(worker, req):
    req.mark = "kept"
    _note("pre_request", worker.age, method=req.method, path=req.path,
          query=req.query, uri=req.uri, version=req.version, nr=worker.nr,
          scheme=req.scheme, headers=sorted(req.headers),
          peer=req.peer_addr[0], trailers=list(req.trailers))

def post_request(worker, req, environ, resp):
    _note("post_request", worker.age, nr=worker.nr, mark=req.mark,
          path=environ.get("PATH_INFO"), status=resp.status,
          code=resp.status and resp.status_code, headers=resp.headers, sent=resp.sent,
          head=resp.headers_sent, length=resp.response_length)

def child_exit(server, worker):
    _note("child_exit", number=worker.age, mark=worker.mark,
          pid=type(worker.pid).__name__, known=worker.pid in server.WORKERS,
          nr=worker.nr)

def worker_exit(server, worker):
    _note("worker_exit", worker.age, pid=_worker(worker), nr=worker.nr,
          server=server.pid == os.getppid())

def on_exit(server):
    _note("on_exit", workers=len(server.WORKERS),
          pidfile=os.path.exists(server.cfg.pidfile))

def pre_exec(server):
    _note("pre_exec", own=server.pid == os.getpid())

bind = "127.0.0.1:%s" % os.environ["PORT_NUMBER"]
pidfile = os.environ["PID_FILE"]
loglevel = "warning"
'''

APP = r'''
import os, time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(60)
    if path == "/raise":
        raise ValueError("planned")
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body))),
                              ("X-Header", environ.get("HTTP_X_A", "-"))])
    return [body]
'''


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


class Recorded:
    """A server under the recorder, and what was recorded."""

    def __init__(self, program, more="", app=APP, **env):
        self.dir = tmpdir()
        self.record = write(self.dir + "/record", "")
        self.port = free_port()
        write(self.dir + "/app.py", app)
        write(self.dir + "/gunicorn.conf.py", RECORDER + more)
        self.seen = 0
        self.process = Process(
            [program, "-c", "gunicorn.conf.py", "app"], cwd=self.dir,
            env=dict(RECORD=self.record, PORT_NUMBER=str(self.port),
                     PID_FILE=self.dir + "/pid", **env))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0]:
            note(self.process.log()[-3000:])
            note(open(self.record).read()[-3000:])
        self.process.stop()

    def events(self):
        with open(self.record) as f:
            return [json.loads(line) for line in f.read().split("\n")[:-1]]

    def count(self, hook):
        return sum(e[1] == hook for e in self.events())

    def wait(self, **wanted):
        """Until so many of these hooks have been called."""
        ok_ = wait_for(lambda: all(self.count(hook) >= n for hook, n in
                                   wanted.items()), 20 * SLOWER)
        if not ok_:
            raise AssertionError("waited for %s, have %s" % (
                wanted, [e[1] for e in self.events()]))

    def get(self, path="/"):
        with Http(("127.0.0.1", self.port), 10 * SLOWER) as c:
            return c.get(path)

    def signal(self, sig):
        os.kill(self.process.pid, sig)

    def phase(self):
        """{who: [[hook, facts]]} since the last phase; who is the manager
        or the number that a worker is."""
        found = {}
        for kind, hook, age, _, facts in self.events()[self.seen:]:
            who = kind if kind == "manager" else "worker %s" % age
            found.setdefault(who, []).append([hook, facts])
        self.seen = len(self.events())
        return found


SLOWER = int(os.environ.get("T_SLOWER", "1"))


# --- the life of a server, in phases

def life(program):
    phases = {}
    with Recorded(program, "workers = 2\n") as s:
        s.wait(post_worker_init=2)
        phases["start"] = s.phase()
        with Http(("127.0.0.1", s.port)) as c:
            c.send(b"GET /a%20b?c=d HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n")
            c.read()
        s.wait(post_request=1)
        phases["request"] = s.phase()
        s.get("/raise")
        s.wait(post_request=2)
        phases["request that raises"] = s.phase()
        s.signal(signal.SIGTTIN)
        s.wait(post_worker_init=3)
        phases["TTIN"] = s.phase()
        s.signal(signal.SIGTTOU)
        s.wait(child_exit=1)
        phases["TTOU"] = s.phase()
        s.signal(signal.SIGHUP)
        s.wait(child_exit=3, post_worker_init=5)
        phases["HUP"] = s.phase()
        os.kill(children(s.process.pid)[0], signal.SIGINT)
        s.wait(child_exit=4, post_worker_init=6)
        phases["INT to a worker"] = s.phase()
        s.signal(signal.SIGTERM)
        phases["status"] = s.process.wait(20)
        phases["TERM"] = s.phase()
    return phases


def recycled(program):
    with Recorded(program, "workers = 1\nmax_requests = 2\n") as s:
        s.wait(post_worker_init=1)
        s.phase()
        s.get("/")
        s.get("/")
        s.wait(child_exit=1, post_worker_init=2)
        phases = {"max_requests": s.phase()}
        s.signal(signal.SIGQUIT)
        s.process.wait(20)
        phases["QUIT"] = s.phase()
    return phases


def stuck(program):
    with Recorded(program, "workers = 1\ntimeout = 1\n") as s:
        s.wait(post_worker_init=1)
        s.phase()
        try:
            s.get("/slow")
        except (OSError, Broken):
            pass
        s.wait(child_exit=1, post_worker_init=2)
        return {"timeout": s.phase()}


def failing(program):
    phases = {}
    for name, app in (("boot error", "raise ValueError('planned')\n"),
                      ("load error", "application = 3\n")):
        with Recorded(program, "workers = 1\n", app=app) as s:
            phases[name + " status"] = s.process.wait(20 * SLOWER)
            phases[name] = s.phase()
    return phases


if __name__ == "__main__" and len(sys.argv) > 1:
    for f in life, recycled, stuck, failing:
        for program in GUNICORN, find_program():
            print(program, f.__name__)
            for k, v in f(program).items():
                print("  ", k)
                if isinstance(v, dict):
                    for who in sorted(v):
                        print("     ", who)
                        for e in v[who]:
                            print("        ", *e)
                else:
                    print("     ", v)
