#!/usr/bin/python3
"""The hooks: the same file under gunicorn and under gangway, and what its
functions are told, process by process. Where the two differ on purpose,
DIFFERENCES says why. Then what only a real file shows: hooks that raise,
that start threads, that log, that import gunicorn where there is none; and
the commands of [hooks].
"""
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import Process, children, free_port, tmpdir
from server import APPS, BUILD, GUNICORN, Server, Told, find_program
from tap import done, guard, is_, note, ok, skip, together
from wait import Gate, wait_for, wait_gone, wait_text
from wire import Broken, Http

RECORDER = r'''
import json, os
_path = os.environ["RECORD"]
_manager = []

def _note(hook, age=None, **facts):
    kind = "manager" if _manager == [os.getpid()] else "worker"
    with open(_path, "a") as f:
        f.write(json.dumps([kind, hook, age, os.getpid(), facts,
                            os.getppid()]) + "\n")

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
          after=server.master_pid != 0, name=server.master_name,
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
          code=resp.status and resp.status_code, headers=resp.headers,
          sent=resp.sent, head=resp.headers_sent, length=resp.response_length)

def child_exit(server, worker):
    _note("child_exit", number=worker.age, mark=worker.mark,
          pid=type(worker.pid).__name__, known=worker.pid in server.WORKERS,
          nr=worker.nr)

def worker_exit(server, worker):
    _note("worker_exit", worker.age, pid=_worker(worker), nr=worker.nr,
          server=server.pid == os.getppid())

def on_exit(server):
    _note("on_exit", workers=len(server.WORKERS),
          after=server.master_pid != 0, name=server.master_name,
          pidfile=os.path.exists(server.cfg.pidfile))

def pre_exec(server):
    _note("pre_exec", own=server.pid == os.getpid())

bind = "127.0.0.1:%s" % os.environ["PORT_NUMBER"]
pidfile = os.environ["PID_FILE"]
loglevel = "warning"
'''

APP = r'''
import os, threading

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        threading.Event().wait(600)
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
                                   wanted.items()), step=0.03)
        if not ok_:
            raise AssertionError("waited for %s, have %s" % (
                wanted, [e[1] for e in self.events()]))

    def get(self, path="/"):
        with Http(("127.0.0.1", self.port)) as c:
            return c.get(path)

    def pid_of(self, age):
        return [e[3] for e in self.events() if e[2] == age][-1]

    def signal(self, sig):
        os.kill(self.process.pid, sig)

    def phase(self):
        """{who: [[hook, facts]]} since the last phase; who is the manager
        or the number that a worker is, "new" those after USR2."""
        found = {}
        for kind, hook, age, pid, facts, ppid in self.events()[self.seen:]:
            who = kind if kind == "manager" else "worker %s" % age
            if self.process.pid not in (pid, ppid) or (
                    kind == "manager" and pid != self.process.pid):
                who = "new " + who
            found.setdefault(who, []).append([hook, facts])
        self.seen = len(self.events())
        return found


# --- the life of a server, in phases

def life(program):
    phases = {}
    with Recorded(program, "workers = 2\n") as s:
        s.wait(post_worker_init=2)
        phases["start"] = s.phase()
        s.signal(signal.SIGTTIN)
        s.wait(post_worker_init=3)
        phases["TTIN"] = s.phase()
        s.signal(signal.SIGTTOU)
        s.wait(child_exit=1)
        phases["TTOU"] = s.phase()
        s.signal(signal.SIGHUP)
        s.wait(child_exit=3, post_worker_init=5)
        phases["HUP"] = s.phase()
        os.kill(s.pid_of(4), signal.SIGINT)
        s.wait(child_exit=4, post_worker_init=6)
        phases["INT to a worker"] = s.phase()
        s.signal(signal.SIGTERM)
        phases["TERM: exit status"] = s.process.wait()
        phases["TERM"] = s.phase()
    return phases


def requests(program):
    phases = {}
    with Recorded(program, "workers = 1\nmax_requests = 3\n") as s:
        s.wait(post_worker_init=1)
        s.phase()
        with Http(("127.0.0.1", s.port)) as c:
            c.send(b"GET /a%20b?c=d HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n")
            c.read()
        s.wait(post_request=1)
        phases["request"] = s.phase()
        s.get("/raise")
        s.wait(post_request=2)
        phases["request that raises"] = s.phase()
        s.get("/")
        s.wait(child_exit=1, post_worker_init=2)
        phases["max_requests"] = s.phase()
        s.signal(signal.SIGQUIT)
        phases["QUIT: exit status"] = s.process.wait()
        phases["QUIT"] = s.phase()
    return phases


def stuck(program):
    """gunicorn ends also a worker that a stalled machine holds up for so
    long: then its part is played again."""
    for _ in range(5):
        with Recorded(program, "workers = 1\ntimeout = 1\n") as s:
            s.wait(post_worker_init=1)
            s.phase()
            try:
                s.get("/slow")
            except (OSError, Broken):
                pass
            s.wait(child_exit=1, post_worker_init=2)
            phases = {"timeout": s.phase()}
        if program != GUNICORN or as_planned(s.process.log()):
            break
    return phases


def as_planned(log):
    return log.count("WORKER TIMEOUT") == 1 and "SIGKILL" not in log


def upgraded(program):
    with Recorded(program, "workers = 1\n") as s:
        s.wait(post_worker_init=1)
        s.phase()
        s.signal(signal.SIGUSR2)
        s.wait(post_worker_init=2)
        phases = {"USR2": s.phase()}
        s.signal(signal.SIGTERM)
        phases["the old one: exit status"] = s.process.wait()
        phases["TERM to the old one"] = s.phase()
        path = s.dir + "/pid"
        ok(wait_for(lambda: os.path.exists(path)),
           "the new one has the pid file, " + os.path.basename(program))
        os.kill(int(open(path).read()), signal.SIGTERM)
        s.wait(on_exit=2)
        phases["TERM to the new one"] = s.phase()
    return phases


def failing(program):
    phases = {}
    for name, app in (("boot error", "raise ValueError('planned')\n"),
                      ("load error", "application = 3\n")):
        with Recorded(program, "workers = 1\n", app=app) as s:
            status = s.process.wait()
            phases[name + ": exit status"] = status
            phases[name] = s.phase()
    return phases


# --- where they differ on purpose: what of gunicorn's we make of it, and why

def renumber(found, **numbers):
    """w1=3: what was worker 1 is worker 3."""
    numbers = {int(k[1:]): v for k, v in numbers.items()}

    def fact(k, v):
        if k == "number":
            return numbers.get(v, v)
        return numbers.get(v // 10, v // 10) * 10 if k == "mark" and (
            isinstance(v, int)) else v
    return {("worker %d" % numbers.get(int(who[7:]), int(who[7:]))
             if who != "manager" else who):
            [[hook, {k: fact(k, v) for k, v in facts.items()}]
             for hook, facts in events]
            for who, events in found.items()}


def replaced_first(found):
    """pre_fork of the new one before child_exit of the old one."""
    found["manager"].sort(key=lambda e: e[0] == "child_exit")
    return found


def no_ghost(found):
    found["manager"] = [e for e in found["manager"] if e[0] != "worker_exit"]
    return found


DIFFERENCES = {
    "TTOU": (lambda found: renumber(found, w1=3),
             "gunicorn ends the oldest worker; here each has a place, and "
             "the last place is given up"),
    "HUP": (lambda found: renumber(found, w2=1, w3=2),
            "so the workers that are left are others"),
    "max_requests": (replaced_first, "the replacement is ready before the "
                     "old worker leaves"),
    "timeout": (replaced_first, "the same: the stuck worker is only ended "
                "when its replacement serves"),
    "boot error": (no_ghost, "gunicorn runs worker_exit in the manager for "
                   "a worker that it finds gone"),
    "load error": (no_ghost, "as for a boot error"),
}


def ordered(found):
    """Which of several workers is gone first is chance; and while workers
    are replaced one by one, so is when that is."""
    events = found.get("manager", [])
    at = 0
    while at < len(events):
        end = at
        while end < len(events) and events[end][0] == "child_exit":
            end += 1
        events[at:end] = sorted(events[at:end], key=lambda e: e[1]["number"])
        at = end + 1
    return found


def same(f):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        want = pool.submit(f, GUNICORN)
        have = f(find_program())
        want = want.result()
    for phase in want:
        expected, got, why = want[phase], have[phase], ""
        if phase in DIFFERENCES:
            change, why = DIFFERENCES[phase]
            expected = change(expected)
        if phase == "HUP":
            replaced_first(got)
        if isinstance(expected, dict):
            expected, got = ordered(expected), ordered(got)
        ok(expected == got, phase + (": but " + why if why else ""),
           "gunicorn: %s\ngangway:  %s" % tuple(
               json.dumps(x, indent=1) for x in (expected, got)))


# --- one server of ours, with a file of its own

class Ours(Server):
    def __init__(self, conf, *args, app=APP, files=(), **more):
        self.site = more.pop("cwd", None) or tmpdir()
        write(self.site + "/app.py", app)
        name = more.pop("name", "gunicorn.conf.py")
        write(self.site + "/" + name, conf)
        for path, text in files:
            write(os.path.join(self.site, path), text)
        super().__init__("app", "-c", name, *args, cwd=self.site, **more)

    def logs(self, pattern):
        return self.wait_log(re.compile(pattern, re.S))

    def answers_again(self):
        """A request that no worker takes fails, the next one may not."""
        return wait_for(lambda: answers(self.address[1]))


ALL = ("on_starting(server)", "when_ready(server)", "on_reload(server)",
       "nworkers_changed(server, new, old)", "pre_fork(server, worker)",
       "post_fork(server, worker)", "post_worker_init(worker)",
       "worker_int(worker)", "worker_exit(server, worker)",
       "child_exit(server, worker)", "post_request(worker, req)",
       "on_exit(server)")


def test_raising():
    """Every hook raises, and the server works."""
    conf = "".join("def %s:\n    raise ValueError('planned, %s')\n\n"
                   % (f, f.partition("(")[0]) for f in ALL)
    with Ours(conf) as s:
        is_(s.http().get("/").status, 200, "every hook raises: 200")
        s.send_signal(signal.SIGHUP)
        ok(s.logs("child_exit"), "every hook raises: a reload")
        os.kill(s.wait_workers(1)[0], signal.SIGINT)
        ok(s.logs("planned, worker_int"), "every hook raises: INT")
        ok(s.answers_again(), "every hook raises: 200")
        is_(s.stop(), 0, "every hook raises: TERM")
        log = s.log()
        for f in ALL:
            name = f.partition("(")[0]
            ok(traceback_of(log, name), "%s: its traceback is logged" % name,
               log)


def traceback_of(log, name):
    """Does the one who says that this hook failed show where?"""
    m = re.search(r"(\[\d+\]) \[ERROR\] Error in the hook %s\n" % name, log)
    rest = m and "\n".join(line for line in log[m.end():].splitlines()
                           if m[1] in line)
    return rest and re.match(r".*Traceback.*\n.*gunicorn\.conf\.py.*\n.*\n"
                             r".*ValueError: planned, %s$" % name, rest, re.M)


def test_request_hooks():
    conf = r"""
def pre_request(worker, req):
    if req.path == "/refused":
        raise PermissionError("planned")
    if req.path == "/changed":
        req.headers.append(("X-A", "from a hook"))
        req.path = "/other%20path"
        req.method = "PUT"
def post_request(worker, req, environ):
    worker.log.info("after %s %s %s", req.path, environ.get("PATH_INFO"),
                    environ.get("REQUEST_METHOD"))
    if req.path == "/held":
        open("gate").close()
    if req.path == "/last":
        worker.alive = False
"""
    app = """
def application(environ, start_response):
    start_response("200 OK", [("X-Header", environ.get("HTTP_X_A", "-")),
                              ("X-Path", environ["PATH_INFO"])])
    yield environ["REQUEST_METHOD"].encode()
"""
    for threads in 1, 3:
        with Ours(conf, "--threads", str(threads), app=app) as s:
            def t(cond, name, why=""):
                ok(cond, "%d threads: %s" % (threads, name), why)
            gate = Gate(s.site + "/gate")
            r = s.http().get("/refused")
            t(r.status == 500, "pre_request raises: 500", r)
            t(s.logs("Error handling request GET /refused.*"
                     "PermissionError: planned"),
              "pre_request raises: logged")
            t(s.logs(r"after /refused /refused GET"),
              "pre_request raises: post_request is called")
            r = s.http().get("/changed")
            t((r["X-Header"], r["X-Path"], r.body)
              == ("from a hook", "/other path", b"PUT"),
              "what pre_request changes, the application sees", r)
            r = s.http().get("/held")
            t(r.complete and s.logs("after /held"),
              "the response does not wait for post_request")
            gate.open()
            old = s.wait_workers(1)
            s.http().get("/last")
            t(wait_gone(old[0]) and s.wait_workers(1) != old,
              "worker.alive = False: it leaves and is replaced")
            is_(s.http().get("/").status, 200,
                "%d threads: and the next one serves" % threads)


def test_writer_beside():
    """write() in a thread that outlives the call: what it took is sent."""
    app = """
import threading
taken = {}
def application(environ, start_response):
    write = start_response("200 OK", [])
    key = environ["QUERY_STRING"]
    if environ["PATH_INFO"] == "/taken":
        return [b"%d" % taken.get(key, -1)]
    def run():
        n = 0
        try:
            for _ in range(20):
                write(b"x" * 200000)
                n += 200000
        except RuntimeError:
            pass
        taken[key] = n
    threading.Thread(target=run).start()
    return []
"""
    conf = "def post_request(worker, req, environ, resp):\n    pass\n"
    for name, text in (("without hooks", ""), ("with hooks", conf)):
        wrong = []
        with Ours(text, app=app) as s:
            for i in range(20):
                r = s.http().get("/?%d" % i)
                c = s.http()
                wait_for(lambda: c.get("/taken?%d" % i).body != b"-1")
                taken = int(c.get("/taken?%d" % i).body)
                if not r.complete or len(r.body) != taken:
                    wrong.append((r.complete, len(r.body), taken))
        is_(wrong, [], "write() in a thread, %s: all it took" % name)


def test_tools():
    """What hooks do elsewhere: threads, logging, signals, other programs."""
    conf = r"""
import logging, os, signal, subprocess, sys, threading, traceback
from gunicorn.arbiter import Arbiter
log = logging.getLogger("gunicorn")
workers = 2
def on_starting(server):
    log.info("starting %d", server.pid)
    logging.getLogger("gunicorn.error").warning("to gunicorn.error")
    server.log.info("%d %s", 3, "things")
    server.log.debug("%(a)s", {"a": "named"})
    try:
        1 / 0
    except ZeroDivisionError:
        server.log.exception("it %s", "failed")
    server.helper = subprocess.Popen(["sleep", "1000"])
    server.ticks = []
    threading.Thread(target=tick, args=(server,), daemon=True).start()
def tick(server):
    while True:
        server.ticks.append(1)
        threading.Event().wait(0.01)
def when_ready(server):
    server.log.info("output: %s", subprocess.run(
        ["sh", "-c", "grep SigBlk /proc/self/status; exit 5"],
        stdout=subprocess.PIPE).stdout.decode().split())
def post_fork(server, worker):
    worker.beats = []
    threading.Thread(target=beat, args=(worker,), daemon=True).start()
    worker.log.info("forked %s", worker)
def beat(worker):
    while True:
        worker.beats.append(1)
        threading.Event().wait(0.01)
def worker_int(worker):
    for ident, frame in sys._current_frames().items():
        worker.log.warning("%s", "".join(traceback.format_stack(frame)))
    log.info("interrupted after %d beats", len(worker.beats))
def child_exit(server, worker):
    try:
        os.kill(worker.pid, 0)
        server.log.error("still there")
    except ProcessLookupError:
        server.log.info("gone: %d of age %d", worker.pid, worker.age)
def on_exit(server):
    server.helper.terminate()
    server.log.info("helper: %d, ticks: %s", server.helper.wait(),
                    len(server.ticks) > 1)
"""
    with Ours(conf, "--log-level", "debug", defaults=False) as s:
        ok(s.logs(r"\[INFO\] starting %d\n" % s.pid),
           "logging.getLogger('gunicorn') in a hook reaches the error log")
        ok(s.logs(r"\[WARNING\] to gunicorn.error\n"), "gunicorn.error too")
        ok(s.logs(r"\[INFO\] 3 things\n") and s.logs(r"\[DEBUG\] named\n"),
           "server.log with arguments")
        ok(s.logs(r"\[ERROR\] it failed\n.*ZeroDivisionError"),
           "server.log.exception")
        ok(s.logs(r"output: \['SigBlk:', '0+'\]"),
           "a program that a hook runs has no signals blocked")
        ok(s.logs(r"\[INFO\] forked <Worker \d+>\n"), "worker.log.info")
        victim = s.wait_workers(2)[0]
        os.kill(victim, signal.SIGINT)
        ok(s.logs(r"interrupted after [1-9]\d* beats"),
           "a thread of post_fork runs in the worker")
        ok(s.logs(r"gone: %d of age \d\n" % victim), "os.kill in child_exit")
        # A thread of the manager may be the one that gets a signal.
        for i in range(3):
            s.send_signal(signal.SIGTTIN)
            ok(s.wait_workers(3 + i), "TTIN %d is served" % (i + 1))
        is_(s.stop(), 0, "stopped")
        ok(s.logs(r"helper: -15, ticks: True"),
           "a program that a hook has started hears TERM")


def test_exits():
    conf = "import sys\ndef on_starting(server):\n    sys.exit(7)\n"
    with Ours(conf, wait=False) as s:
        is_(s.wait(), 7, "sys.exit(7) in on_starting: 7")
    conf = "import sys\ndef when_ready(server):\n    sys.exit('no way')\n"
    with Ours(conf, wait=False) as s:
        is_(s.wait(), 1, "sys.exit(text) in when_ready: 1")
        ok("no way" in s.log(), "and the text is logged")
    d = tmpdir()
    conf = ("import os\ndef on_starting(server):\n"
            "    os.mkdir('%s/run')\n" % d)
    with Ours(conf, binds=("unix:%s/run/s" % d,)) as s:
        is_(s.http().get("/").status, 200,
            "on_starting can make the folder of the socket")
    conf = ("pidfile = '%s/pid'\ndef on_starting(server):\n"
            "    server.log.info('starting')\n" % d)
    with Ours(conf) as s, Ours(conf, wait=False) as t:
        is_(t.wait(), 1, "a pid file in use: 1")
        ok("INFO] starting" not in t.log(), "and on_starting is not called")


def test_reload():
    """A reload that is abandoned leaves the hooks as they were."""
    first = ("def on_reload(server):\n    server.log.info('on_reload 1')\n"
             "def child_exit(server, worker):\n"
             "    server.log.info('exit 1 %d', server.cfg.timeout)\n"
             "timeout = 41\n")
    second = first.replace("41", "42").replace("1", "2")
    second = second.replace("42", "22")
    with Ours(first) as s:
        write(s.site + "/gunicorn.conf.py", second + "raise ValueError()\n")
        s.send_signal(signal.SIGHUP)
        ok(s.logs("Not reloaded"), "a file that raises")
        write(s.site + "/gunicorn.conf.py", second)
        write(s.site + "/app.py", "raise ValueError('planned')\n")
        s.send_signal(signal.SIGHUP)
        ok(s.logs("on_reload 2.*Reload abandoned"), "a broken application")
        old = s.wait_workers(1)[0]
        os.kill(old, signal.SIGTERM)
        ok(wait_gone(old) and s.logs("Reload abandoned.*exit 1 41.*exit 1 41"),
           "the hooks and settings before stay")
        write(s.site + "/app.py", APP)
        ok(s.answers_again(), "a worker is there again")
        at = len(s.log())
        s.send_signal(signal.SIGHUP)
        ok(wait_for(lambda: "exit 2 22" in s.log()[at:]),
           "a good reload changes both")
        at = len(s.log())
        os.unlink(s.site + "/gunicorn.conf.py")
        s.send_signal(signal.SIGHUP)
        ok(wait_for(lambda: "Not reloaded" in s.log()[at:]),
           "a file that has gone")
        os.kill(s.wait_workers(1)[0], signal.SIGTERM)
        ok(wait_for(lambda: "exit 2 22" in s.log()[at:])
           and "exit 1" not in s.log()[at:],
           "what a good reload brought stays", s.log()[at:])
        ok(s.answers_again(), "a worker is there once more")
        at = len(s.log())
        write(s.site + "/gunicorn.conf.py", "workers = 1\n")
        s.send_signal(signal.SIGHUP)
        ok(wait_for(lambda: "Worker exiting" in s.log()[at:]),
           "a file without hooks")
        is_(s.stop(), 0, "stopped")
        ok("exit 2" not in s.log()[at:], "no hook is called any more")


def test_abort(path, unwound, threads):
    """Stuck in Python: unwound. Stuck in C: worker_abort cannot be."""
    def t(cond, name, why=""):
        ok(cond, "%s, %d threads: %s" % (path, threads, name), why)
    conf = ("def worker_abort(worker):\n    worker.log.info('abort %s',"
            " worker.aborted)\ndef worker_exit(server, worker):\n"
            "    worker.log.info('exit')\ntimeout = 1\n")
    with open(APPS + "/stuck.py") as f:
        app = f.read()
    with Ours(conf, "--threads", str(threads), app=app) as s:
        old = s.wait_workers(1)[0]
        r = s.http().get(path)
        t(r.status == 504, "504", r)
        t(wait_gone(old), "the worker is ended")
        # One second is short for a machine that stalls.
        t(s.answers_again(), "and there is another")
        if threads == 1:    # else it may be on another thread
            t(("unwound" in s.log()) == unwound, "frames are unwound"
              if unwound else "C cannot be interrupted", s.log())
        t(not unwound or s.logs("abort True.*exit"),
          "worker_abort, then worker_exit", s.log())


# --- a file as people have it: settings from the environment, seven hooks

def test_site():
    """Unmodified, as a daemon, one file for both logs; KILL ends it."""
    d = tmpdir()
    port = free_port()
    log = d + "/both.log"
    write(d + "/app.py", APP)
    conf = os.path.join(os.path.abspath(APPS), "site.conf.py")
    env = dict(GUNICORN_BIND="127.0.0.1:%d" % port, GUNICORN_WORKERS="2",
               GUNICORN_DAEMON="true", GUNICORN_PIDFILE=d + "/pid",
               GUNICORN_ACCESS_LOG=log, GUNICORN_ERROR_LOG=log)
    with Process([find_program(), "-c", conf, "app"], cwd=d, env=env) as p:
        is_(p.wait(), 0, "the starter leaves")
        ok(wait_for(lambda: answers(port)), "it answers")
        manager = int(wait_text(d + "/pid", "\n"))
        try:
            workers = Told(d + "/pid.ctl").wait_workers(2)
            text = open(log).read()
            ok(re.search(r"\[%d\] \[INFO\] .*[Ss]tarting" % manager, text),
               "on_starting, in the file for both", text)
            os.kill(workers[0], signal.SIGINT)
            ok(wait_text(log, re.compile(
                r"\[%d\].*received INT.*\[%d\].*exited \(pid: %d\)"
                % (workers[0], manager, workers[0]), re.S)),
               "worker_int, and child_exit")
            ok(" 200 " in open(log).read(), "the access log is there too")
            workers = children(manager)
        finally:
            os.kill(manager, signal.SIGKILL)
        ok(all(map(wait_gone, workers)),
           "KILL of its pid file's process: all are gone")


def answers(port):
    try:
        return Http(("127.0.0.1", port)).get("/").status == 200
    except (OSError, Broken):
        return False


# --- where gunicorn is not installed

def test_stand_in():
    d = tmpdir()
    made = subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip",
                           d + "/venv"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if made.returncode != 0:
        return skip("python3-venv is not installed")
    conf = r"""
import gunicorn
from gunicorn import glogging
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http.message import Request
from gunicorn.workers.base import Worker
from gunicorn.workers.sync import SyncWorker
gunicorn.SERVER_SOFTWARE = "hidden"
try:
    import gunicorn.no_such_module
except ImportError:
    gunicorn.missing = True
def pre_fork(server: Arbiter, worker: Worker) -> None:
    server.log.info("%s", [
        isinstance(server, Arbiter), isinstance(worker, Worker),
        isinstance(server.log, glogging.Logger),
        isinstance(server.cfg, Config), gunicorn.missing,
        int(gunicorn.__version__.split(".")[0]) > 20,
        issubclass(server.worker_class, Worker)])
"""
    with Ours(conf, "--virtualenv", d + "/venv") as s:
        ok(s.logs(r"\[True, True, True, True, True, True, True\]"),
           "imports from a gunicorn that is not there", s.log())
    with Ours("import gunicorn\ndef when_ready(server):\n"
              "    server.log.info('from %s', gunicorn.__file__)\n") as s:
        ok(s.logs("from /usr/lib/python3/dist-packages/gunicorn/"),
           "one that is there is imported", s.log())


# --- without a manager, and without Python

def test_alone():
    """FastCGI's starters: the process is a worker, its hooks are called."""
    import socket
    conf = "".join("def %s:\n    note('%s')\n" % (f, f.partition("(")[0])
                   for f in ALL + ("pre_request(worker, req)",))
    conf += ("import sys\ndef note(*what):\n"
             "    print('HOOK', *what, file=sys.stderr, flush=True)\n")
    d = tmpdir()
    write(d + "/app.py", APP)
    write(d + "/gunicorn.conf.py", conf)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with Process([find_program(), "app"], cwd=d, stdin=listening) as p:
            from server import Fcgi
            with Fcgi(listening.getsockname(), timeout=20) as c:
                c.request("/")
            wait_for(lambda: "HOOK post_request" in p.log())
            p.send_signal(signal.SIGINT)
            is_(p.wait(), 0, "INT to a process that is alone")
            is_(re.findall(r"^HOOK (\w+)$", p.log(), re.M),
                ["post_fork", "post_worker_init", "pre_request",
                 "post_request", "worker_int", "worker_exit"],
                "the hooks of a worker, and no others")


def test_native():
    path = os.path.join(BUILD, "shim/example/.libs/native_hello.so")
    if not os.path.exists(path):
        return skip("the example in C is not built")
    d = tmpdir()
    write(d + "/gunicorn.conf.py", "".join(
        "def %s:\n    note('%s')\n" % (f, f.partition("(")[0]) for f in ALL)
        + "import sys\ndef note(*what):\n"
        "    print('HOOK', *what, file=sys.stderr, flush=True)\n")
    with Server("native:" + path, cwd=d) as s:
        is_(s.http().get("/").status, 200, "an application in C, and hooks")
        os.kill(s.workers()[0], signal.SIGINT)
        ok(wait_for(lambda: "child_exit" in s.log()),
           "INT to its worker")
        is_(s.stop(), 0, "stopped")
        found = re.findall(r"^HOOK (\w+)$", s.log(), re.M)
        for name in ("on_starting", "post_fork", "worker_int", "worker_exit",
                     "child_exit", "on_exit"):
            ok(name in found, "native: " + name, found)


# --- [hooks]

def test_commands():
    d = tmpdir()
    show = ("{ echo; env | grep '^GANGWAY_[A-Z]*\\(_[A-Z]*\\)*=' | sort; "
            "ls -l /proc/self/fd; } >> %s/$GANGWAY_EVENT.$$; " % d)
    names = ("on_starting when_ready on_reload nworkers_changed pre_fork "
             "post_fork post_worker_init worker_int worker_exit child_exit "
             "on_exit").split()
    conf = "[gangway]\nworkers = 1\n[hooks]\n" + "".join(
        "%s = %s\n" % (n, show + "exit 3" if n == "on_reload" else show)
        for n in names)
    with Ours(conf, name="gangway.ini", defaults=False) as s:
        s.send_signal(signal.SIGHUP)
        ok(s.logs("The command of the hook on_reload exited with code 3"),
           "a command that fails is one line")
        ok(s.wait_workers(1) and wait_for(lambda: found(d, "child_exit")),
           "a reload")
        victim = int(s.http().get("/").body)
        os.kill(victim, signal.SIGKILL)
        ok(wait_for(lambda: len(found(d, "child_exit")) >= 2),
           "a killed worker")
        facts = [f for f in found(d, "child_exit")
                 if f.get("WORKER_PID") == str(victim)]
        ok(facts and facts[0]["EXIT_STATUS"] == "137"
           and facts[0]["EXIT_SIGNAL"] == "9"
           and facts[0]["PID"] == str(s.pid), "its facts", facts)
        os.kill(int(s.http().get("/").body), signal.SIGINT)
        ok(wait_for(lambda: found(d, "worker_int")),
           "worker_int")
        s.wait_workers(1)
        is_(s.stop(), 0, "stopped")
        for name in names:
            got = wait_for(lambda: found(d, name))
            ok(got and all(f["EVENT"] == name for f in got),
               "[hooks] %s" % name, got)
        is_(found(d, "nworkers_changed")[0].get("NWORKERS"), "1",
            "nworkers_changed knows the number")
        leaks = [f for name in names for f in found(d, name)
                 if "socket:" in f["fds"]]
        is_(leaks, [], "no command has a socket of ours")
    for name in "pre_request", "post_request":
        with Ours("[hooks]\n%s = true\n" % name, name="gangway.ini",
                  wait=False) as s:
            is_(s.wait(), 1, "[hooks] %s is refused" % name)
            ok("gunicorn.conf.py" in s.log(), "with a reason", s.log())


def found(d, event):
    """The facts of each command that was started for the event."""
    all_ = []
    for name in sorted(os.listdir(d)):
        if not name.startswith(event + "."):
            continue
        with open(os.path.join(d, name)) as f:
            text = f.read()
        facts = dict(re.findall(r"^GANGWAY_(\w+)=(.*)$", text, re.M))
        facts["fds"] = text
        if "EVENT" in facts and "total" in text:
            all_.append(facts)
    return all_


def test_slow_commands():
    """Commands that hang are not waited for, and are not without number."""
    conf = ("[gangway]\nworkers = 1\n[hooks]\n"
            "nworkers_changed = exec sleep 1000\n")
    with Ours(conf, name="gangway.ini", defaults=False) as s:
        # One at the start, two each time. The same signal twice may be one.
        for i in range(8):
            for sig in signal.SIGTTIN, signal.SIGTTOU:
                s.send_signal(sig)
                s.wait_log("Handling signal: " + sig.name[3:].lower(), i + 1)
        ok(s.logs("left out: 16 of them are running"),
           "the seventeenth is left out")
        is_(s.http().get("/").status, 200, "and the server serves")
        commands = wait_for(lambda: [
            p for p in children(s.pid) if comm(p) == "sleep"][15:])
        commands = [p for p in children(s.pid) if comm(p) == "sleep"]
        is_(len(commands), 16, "sixteen are running")
        is_(s.stop(), 0, "stopped, without waiting for them")
        for p in commands:
            os.kill(p, signal.SIGKILL)


def comm(pid):
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()
    except OSError:
        return ""


if __name__ == "__main__":
    guard(600)
    groups = [(test_commands,), (test_tools,), (test_reload,)]
    if os.path.exists(GUNICORN):
        groups += [(same, f) for f in (stuck, life, upgraded, requests,
                                       failing)]
    else:
        skip("gunicorn is not installed")
    groups += [(test_abort, path, unwound, threads)
               for path, unwound in (("/python", True), ("/c", False))
               for threads in (1, 2)]
    groups += [(test,) for test in (
        test_raising, test_request_hooks, test_writer_beside,
        test_slow_commands, test_exits, test_site, test_stand_in, test_alone,
        test_native)]
    together(groups, 6)
    done()
