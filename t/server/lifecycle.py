#!/usr/bin/python3
"""From start to stop: exit codes, signals, dying and stuck processes,
sockets, logs. What gunicorn's users rely on, and where gunicorn loses work.
"""
import os
import re
import signal
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import Process, alive, children, free_port, tmpdir
from server import APPS, IS_GANGWAY, SLOWER, Server, find_program
from tap import attempt, done, guard, is_, ok, together
from wait import pace, pass_time, wait_for, wait_gone
from wire import Broken, Http, request


def run(*args, env=None, cwd=None):
    """Run to its end: (status or None, output)."""
    with Process([find_program(), *args], env=env, cwd=cwd or tmpdir()) as p:
        status = p.wait()
        return status, p.log()


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


APP = """
def application(environ, start_response):
    body = b"%s"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


# --- starts that fail: name, files, arguments, exit status, text in the log

STARTS = [
    ("no application", {}, ["-b", "B"], 1, ""),
    ("unknown option", {}, ["--no-such-option", "app"], 2, "no-such-option"),
    ("workers abc", {}, ["-w", "abc", "app"], 2, "abc"),
    ("workers -2", {}, ["-w", "-2", "app"], 1, "-2"),
    ("missing file", {}, ["-c", "nowhere.conf.py", "app"], 1, "nowhere"),
    ("file with a syntax error", {"g.conf.py": "workers = = 1\n"},
     ["-c", "g.conf.py", "app"], 1, "g.conf.py"),
    ("bad value in a file", {"g.conf.py": "workers = -3\n"},
     ["-c", "g.conf.py", "app"], 1, "workers"),
    ("bad worker class", {"app.py": APP % "x"},
     ["-b", "B", "-k", "nonsense", "app"], 1, "nonsense"),
    ("bad network", {}, ["--forwarded-allow-ips", "1.2.3.4/99", "app"], 1,
     "1.2.3.4/99"),
    ("no such module", {}, ["-b", "B", "no_such_module"], 3,
     "no_such_module"),
    ("import error", {"app.py": "raise ValueError('planned')\n"},
     ["-b", "B", "app"], 3, "planned"),
    ("syntax error", {"app.py": "def (:\n"}, ["-b", "B", "app"], 3,
     "SyntaxError"),
    ("no such attribute", {"app.py": APP % "x"},
     ["-b", "B", "app:nothing"], 4, "nothing"),
    ("not callable", {"app.py": "application = 7\n"},
     ["-b", "B", "app"], 4, ""),
    ("bad factory", {"app.py": "def make(a):\n    pass\n"},
     ["-b", "B", "app:make()"], 4, "make"),
    ("log in no folder", {"app.py": APP % "x"},
     ["-b", "B", "--log-file", "/no/such/folder/log", "app"], 1,
     "/no/such/folder"),
    ("pidfile in no folder", {"app.py": APP % "x"},
     ["-b", "B", "-p", "/no/such/folder/pid", "app"], 1, "/no/such/folder"),
]


def test_starts():
    def one(name, files, args, want, text):
        d = tmpdir()
        for path, content in files.items():
            write(os.path.join(d, path), content)
        bind = "127.0.0.1:%d" % free_port()
        status, log = run(*[bind if a == "B" else a for a in args], cwd=d)
        ok(status == want and text in log,
           "%s: exit status %d" % (name, want),
           "status %s\n%s" % (status, log[-3000:]))
    for case in STARTS:
        attempt(one, *case)


def test_check():
    d = tmpdir()
    write(d + "/app.py", APP % "x")
    write(d + "/bad.py", "raise ValueError('planned')\n")
    is_(run("--check-config", "app", cwd=d)[0], 0, "--check-config: good")
    is_(run("--check-config", "bad", cwd=d)[0], 1, "--check-config: bad app")
    write(d + "/gunicorn.conf.py", "workers = -1\n")
    is_(run("--check-config", "app", cwd=d)[0], 1,
        "--check-config: bad file, found in the working directory")
    write(d + "/gunicorn.conf.py", "workers = 3\nthreads = 2\n")
    status, log = run("--print-config", "--threads", "7", "app", cwd=d)
    ok(status == 0 and re.search(r"^workers\s*=\s*3\b", log, re.M)
       and re.search(r"^threads\s*=\s*7\b", log, re.M),
       "--print-config says what holds", log[-1500:])
    if IS_GANGWAY:
        ok("gunicorn.conf.py" in log and "command line" in log,
           "--print-config says where it came from", log[-1500:])
    status, log = run("--version")
    ok(status == 0 and "version" in log, "--version", log)
    status, log = run("--help")
    ok(status == 0 and "--workers" in log and "--bind" in log, "--help",
       log[:300])


# --- signals

def pid_of(s):
    """Who answers on a new connection; None when nobody does."""
    try:
        with s.http() as c:
            return int(c.get("/pid/").body)
    except (OSError, Broken, ValueError):
        return None


class Held:
    """A file: while it is there, requests for /held run."""

    def __init__(self):
        self.path = os.path.join(tmpdir(), "held")
        self.env = {"T_HELD": self.path}
        write(self.path, "")

    def release(self):
        os.unlink(self.path)


def test_signals(klass):
    def t(cond, name, why=""):
        ok(cond, "%s: %s" % (klass, name), why)

    def workers_are(n):
        return wait_for(lambda: len(s.workers()) == n)
    held = Held()
    with Server("sleepy:application", "-k", klass, "-w", "2",
                "--graceful-timeout", "600", env=held.env) as s:
        t(workers_are(2), "two workers")
        s.send_signal(signal.SIGTTIN)
        t(workers_are(3), "TTIN: one more", s.workers())
        s.send_signal(signal.SIGTTOU)
        t(workers_are(2), "TTOU: one less", s.workers())
        s.send_signal(signal.SIGTTOU)
        t(workers_are(1), "TTOU: one less again", s.workers())
        # One at a time: the kernel does not keep the order of signals.
        handled = s.log().count("signal: ttou")
        s.send_signal(signal.SIGTTOU)
        s.wait_log("signal: ttou", handled + 1)
        s.send_signal(signal.SIGTTIN)
        t(workers_are(2), "never less than one, then two", s.workers())
        old = s.workers()
        s.send_signal(signal.SIGHUP)
        t(wait_for(lambda: len(s.workers()) == 2
                   and not set(s.workers()) & set(old)),
          "HUP: all workers are new", (old, s.workers()))
        t(pid_of(s) in s.workers(), "and they answer")

        for _ in range(5):      # the machine may be busy once
            # The oldest: an early death is made good later.
            victim = s.wait_workers(2)[0] if IS_GANGWAY else s.workers()[0]
            booted = s.log().count("Booting worker")
            t0 = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            s.wait_log("Booting worker", booted + 1)
            took = time.monotonic() - t0
            replaced = wait_for(lambda: len(s.workers()) == 2
                                and victim not in s.workers())
            if not replaced or took < 1.5 * SLOWER:
                break
        t(replaced and took < 1.5 * SLOWER,
          "a killed worker is replaced at once", "%.2f s" % took)
        t(s.wait_log(re.compile(r"Worker (?:\(pid:|with pid )%d\b" % victim)),
          "and its death is logged", s.log()[-1000:])
        last = s.workers()

        # A request that runs when TERM comes gets its answer.
        with s.http() as c:
            c.send(request("/held"))
            if IS_GANGWAY:
                s.wait_running("/held")
            else:
                pass_time(0.2)
            s.send_signal(signal.SIGTERM)
            s.wait_log("andling signal: term")
            held.release()
            t(c.read().status == 200, "TERM: the running request ends well")
        is_(s.wait(), 0, klass + ": TERM: exit status 0")
        t(not any(alive(p) for p in last), "no worker is left")
    for sig in (signal.SIGINT, signal.SIGQUIT):
        for _ in range(5):      # the machine may be busy once
            with Server("sleepy:application", "-k", klass) as s:
                left = s.workers()
                t0 = time.monotonic()
                s.send_signal(sig)
                status = s.wait()
                took = time.monotonic() - t0
                left = [p for p in left if alive(p)]
            if took < 3 * SLOWER or left or status != 0:
                break
        is_(status, 0, "%s: %s: exit status 0" % (klass, sig.name))
        t(took < 3 * SLOWER and not left,
          sig.name + " is quick and leaves nobody", (took, left))


def test_impatient():
    """Who says it once more, at the very end, does not change the status."""
    d = tmpdir()
    write(d + "/app.py", APP % "x")
    write(d + "/bad.py", "raise ValueError('planned')\n")
    for app, want in ("app", 0), ("bad", 3):
        found = []
        for _ in range(3):
            with Server(app, cwd=d, wait=want == 0) as s:
                if want == 0:
                    s.send_signal(signal.SIGTERM)
                wait_for(lambda: "Shutting down" in s.log(), step=0)
                while s.popen.poll() is None:
                    s.send_signal(signal.SIGTERM)
                found.append(s.wait())
        is_(found, [want] * 3, "more TERMs at the end: exit status %d" % want)


def test_hasty():
    """A signal that comes as soon as there is a pid file is served."""
    for _ in range(3):
        pid = os.path.join(tmpdir(), "pid")
        with Server("hello:application", "-p", pid, wait=False) as s:
            wait_for(lambda: os.path.exists(pid)
                     or s.popen.poll() is not None, step=0)
            s.send_signal(signal.SIGHUP)
            ok(s.wait_log("Hang up") and s.stop() == 0,
               "HUP as soon as there is a pid file", s.log())


def test_slow_start():
    """A worker on its way takes no connections from those that serve."""
    gate = os.path.join(tmpdir(), "gate")

    def pids(n):
        found = set()
        for _ in range(n):
            with s.http() as c:
                found.add(int(c.get("/").body))
        return found
    with Server("gated:application", "-w", "2", "--reuse-port",
                env={"T_GATE": gate}) as s:
        old = set(s.wait_workers(2))
        open(gate, "w").close()
        s.send_signal(signal.SIGTTIN)
        ok(s.wait_log("Booting worker", 3),
           "reuse_port: a third worker is on its way")
        ok(pids(50) <= old, "new connections go to the two that are there")
        os.unlink(gate)
        ok(wait_for(lambda: len(pids(10) - old) == 1),
           "then to the third too")


def pids_at_once(s):
    """Who answers three requests of a while."""
    crowd = [s.http() for _ in range(3)]
    for c in crowd:
        c.send(request("/100"))
    found = {int(c.read().body) for c in crowd}
    for c in crowd:
        c.close()
    return found


def test_more_and_fewer(*more):
    """No connection waits for a worker that TTIN brought and TTOU took."""
    name = " ".join(("TTIN, TTOU",) + more)
    with Server("sleepy:application", "-w", "2", *more) as s:
        for _ in range(2):
            old = set(s.wait_workers(2))
            s.send_signal(signal.SIGTTIN)
            third = set(s.wait_workers(3)) - old
            ok(wait_for(lambda: third & pids_at_once(s)),
               name + ": a third worker serves")
            s.send_signal(signal.SIGTTOU)
            answered = 0
            for _ in range(40):
                try:
                    with s.http() as c:
                        answered += c.get("/pid").status == 200
                except (OSError, Broken):
                    break
            is_(answered, 40, name + ": then all are answered without it")


def listening(pid):
    """How many of its sockets listen over TCP."""
    with open("/proc/net/tcp") as f:
        inodes = {line.split()[9] for line in f if " 0A " in line}
    folder = "/proc/%d/fd/" % pid
    return sum(os.readlink(folder + fd)[8:-1] in inodes
               for fd in os.listdir(folder))


def test_reload_to_more():
    """Nor for one that a reload brought; each worker sees to all sockets."""
    name = "HUP to more workers, reuse_port: "
    conf = os.path.join(tmpdir(), "conf.ini")
    text = "[gangway]\nreuse_port = true\nworkers = %d\n"
    write(conf, text % 2)
    with Server("hello:application", "-c", conf, defaults=False) as s:
        old = set(s.wait_workers(2))
        write(conf, text % 4)
        s.send_signal(signal.SIGHUP)

        def sockets():
            try:
                return [listening(p) for p in s.workers() if p not in old]
            except OSError:     # it has just gone
                return []
        wait_for(lambda: sockets() == [4] * 4)
        is_(sockets(), [4] * 4, name + "all have all sockets")
        for left in 3, 2, 1:
            s.send_signal(signal.SIGTTOU)
            wait_for(lambda: len(s.workers()) == left)
        is_(sum(answers_on(s.address[1]) for _ in range(40)), 40,
            name + "after TTOU, all are answered by the last")


def sockets_of(pid):
    """How many of its descriptors are sockets."""
    folder = "/proc/%d/fd/" % pid

    def is_socket(fd):
        try:
            return os.readlink(folder + fd).startswith("socket:")
        except OSError:     # closed meanwhile
            return False
    return sum(map(is_socket, os.listdir(folder)))


def test_too_many(elsewhere=False):
    """A reload to more workers than there is room for opens no socket more
    than can have a worker."""
    conf = os.path.join(tmpdir(), "conf.ini")
    text = ("[gangway]\nreuse_port = true\npreload_app = true\nworkers = %d\n"
            "bind = 127.0.0.1:%d\n")
    port = free_port()
    write(conf, text % (2, port))
    # A hundred workers that look for leaks when they end take long.
    options = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    with Server("hello:application", "-c", conf, defaults=False,
                binds=(), env={"ASAN_OPTIONS": options}) as s:
        wait_for(lambda: answers_on(port))
        before = sockets_of(s.pid)
        write(conf, text % (600, free_port() if elsewhere else port))
        s.send_signal(signal.SIGHUP)
        s.wait_log("there is room for")
        room = re.search(r"600 workers need a new start: there is room for "
                         r"(\d+)", s.log())
        ok(room, "HUP, workers = 600%s: a line says how many there can be"
           % (", another bind" if elsewhere else ""), s.log()[-800:])
        more = sockets_of(s.pid) - before
        ok(room and more >= int(room[1]) - 2 and more < 150,
           "and there are so many sockets and no more", more)
        is_(s.stop(), 0,
            "and TERM amid their start ends it with 0")


def test_exits():
    """Once it has booted, what the application does ends no manager."""
    with Server("sleepy:application", "-w", "2") as s:
        for target in ("/exit/3", "/exit/4", "/exit/0", "/segv/1"):
            before = s.workers()
            try:
                s.http().get(target)
            except (Broken, OSError):
                pass
            ok(wait_for(lambda: s.popen.poll() is None
                        and len(s.workers()) == 2
                        and set(s.workers()) != set(before))
               and wait_for(lambda: s.answers(s.address, "http")),
               "a worker that ends by %s is replaced" % target[1:],
               s.log()[-1500:])


def test_manager_dies(klass):
    for _ in range(5):          # the machine may be busy once
        with Server("sleepy:application", "-w", "2", "-k", klass) as s:
            left = s.workers()
            t0 = time.monotonic()
            s.send_signal(signal.SIGKILL)
            s.wait()
            gone = all(wait_gone(p) for p in left)
            took = time.monotonic() - t0
        if not gone or took < 1.5 * SLOWER:
            break
    ok(gone and took < 1.5 * SLOWER,
       klass + ": the manager is killed: its workers are gone in a second",
       "%.1f s" % took)


def test_silent():
    """Connections on which nothing was said do not hold up the stop: new
    ones, and kept ones that another worker has given away."""
    for _ in range(5):          # the machine may be busy once
        with Server("hello:application", "-w", "2", "--graceful-timeout",
                    "600", "--keep-alive", "600") as s:
            s.wait_workers(2)
            kept = [s.http() for _ in range(20)]
            for c in kept:
                c.get("/")
            s.send_signal(signal.SIGTTOU)
            s.wait_workers(1)
            new = [s.http().open() for _ in range(5)]
            s.wait_total("connections", 5)
            t0 = time.monotonic()
            s.send_signal(signal.SIGTERM)
            status, took = s.wait(), time.monotonic() - t0
            cut = [c.at_end() for c in new]
            for c in kept + new:
                c.close()
        if status != 0 or took < 10:
            break
    is_(status, 0, "TERM and silent connections: 0")
    ok(took < 10, "they do not hold it up", "%.1f s" % took)
    is_(cut, [True] * 5, "and are closed")


# --- time

def stuck(klass, limit):
    """One request is stuck, another is not: what happens, and was the
    machine too slow to show it?"""
    held, missed = Held(), False
    with Server("sleepy:application", "-w", "1", "-k", klass, "--threads",
                1 if klass == "sync" else 4,    # sync with more is gthread
                "--request-timeout", limit, "--timeout", "600",
                "--graceful-timeout", "600", env=held.env) as s:
        first = pid_of(s)
        stuck, beside = s.http(), s.http()
        t0 = time.monotonic()
        stuck.send(request("/600000"))
        if klass != "sync":
            pass_time(limit / 2)
            t1 = time.monotonic()
            beside.send(request("/held"))
        r = stuck.read()
        took = time.monotonic() - t0
        missed = took >= limit + SLOWER
        other = None
        if klass != "sync":
            held.release()
            other = beside.read()
            # request_timeout may have ended it, too.
            missed = missed or (other.status == 504
                                and time.monotonic() - t1 >= limit)
        replaced = wait_for(lambda: pid_of(s) not in (None, first))
        return (first, r, took, other, replaced, wait_gone(first), s.log(),
                missed)


def test_timeout(klass):
    limit = 1
    for _ in range(5):
        first, r, took, other, replaced, gone, log, missed = stuck(klass,
                                                                   limit)
        if not missed:
            break
    is_(r.status, 504, klass + ": past request_timeout: 504")
    ok(limit - 0.1 < took < limit + SLOWER, klass + ": in time",
       "%.2f s" % took)
    if klass != "sync":
        ok(other.status == 200 and int(other.body) == first,
           klass + ": the request beside it is answered", repr(other))
    ok(replaced, klass + ": a new worker serves")
    ok(gone, klass + ": the stuck one is gone")
    ok("sleepy.py" in log,
       klass + ": the stack of the stuck thread is logged", log[-2000:])
    for _ in range(5):          # the machine may be busy once
        with Server("sleepy:application", "-k", klass, "--timeout",
                    "1") as s:
            first = wait_for(lambda: pid_of(s))
            t0 = time.monotonic()
            try:
                s.http().get("/spin/600000")
            except (Broken, OSError):
                pass
            took = time.monotonic() - t0
            replaced = wait_for(lambda: pid_of(s) not in (None, first))
        if took < 5 * SLOWER:
            break
    ok(took < 5 * SLOWER,
       klass + ": --timeout ends a request that burns the CPU",
       "%.1f s" % took)
    ok(replaced, klass + ": and its worker is replaced")


# --- reload

def test_reload():
    """HUP loads what is new; what is broken leaves the old one serving."""
    d = tmpdir()
    app = write(d + "/app.py", APP % "one")
    conf = write(d + "/g.conf.py", "workers = 2\n")

    def body():
        return s.http().get("/").body
    failed, stop = [], threading.Event()

    def client():
        while not stop.is_set():
            try:
                with s.http() as c:
                    if c.get("/").status != 200:
                        failed.append("status")
            except (OSError, Broken) as e:
                failed.append(repr(e))
            pace(0.005)

    def goes_on(text, count=1):
        """Does it serve after it has said that?"""
        if IS_GANGWAY:
            s.wait_log(text, count)
        return s.wait(0 if IS_GANGWAY else 1.5) is None
    load = threading.Thread(target=client, daemon=True)
    with Server("app", "-c", conf, cwd=d, defaults=False) as s:
        try:
            is_(body(), b"one", "reload: the first version")
            s.wait_log("Booting worker", 2)
            load.start()
            write(app, APP % "two")
            s.send_signal(signal.SIGHUP)
            # Both old ones are gone when one only is asked next.
            ok(wait_for(lambda: s.log().count("Worker exiting") >= 2
                        and body() == b"two"),
               "HUP loads the new code")
            write(app, "raise ValueError('planned')\n")
            s.send_signal(signal.SIGHUP)
            ok(s.wait_log("planned") and goes_on("Reload abandoned")
               and body() == b"two",
               "HUP with a broken application: the old one goes on",
               s.log()[-1500:])
            write(app, APP % "three")
            write(conf, "workers = -1\n")
            s.send_signal(signal.SIGHUP)
            ok(goes_on("Not reloaded") and body() in (b"two", b"three"),
               "HUP with a broken file: the server goes on",
               s.log()[-1500:])
            if IS_GANGWAY:
                write(conf, "accesslog, access_log_format = '-', '%(x)s'\n")
                s.send_signal(signal.SIGHUP)
                ok(wait_for(lambda: re.search(r"Not reloaded:\s+Error: Inv.*"
                                              r"access_log_format", s.log())),
                   "HUP with a log format that is none: is refused at once",
                   s.log()[-800:])
            write(conf, "workers = 3\n")
            s.send_signal(signal.SIGHUP)
            ok(wait_for(lambda: body() == b"three"
                        and len(s.workers()) == 3),
               "HUP when all is well again", (s.workers(), s.log()[-1500:]))
        finally:
            stop.set()
            load.join()
        is_(failed[:3], [], "not one request failed meanwhile")


ENV_APP = """
import os
if os.environ.get("CASE") == "bad":
    raise ValueError("planned")

def application(environ, start_response):
    body = ("%s %s" % tuple(map(os.environ.get, ("CASE", "MORE")))).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def test_reload_env():
    """An abandoned reload leaves the variables as they were."""
    if not IS_GANGWAY:
        return
    d = tmpdir()
    write(d + "/app.py", ENV_APP)
    conf = d + "/conf.ini"
    address = ("127.0.0.1", free_port())
    text = "[gangway]\nworkers = 1\nbind = %s:%d\n[env]\n%s\n"
    write(conf, text % (*address, "CASE = good"))

    def body():
        try:
            with Http(address) as c:
                return c.get("/").body.decode()
        except (OSError, Broken):
            return None
    with Process([find_program(), "-c", conf, "app"], cwd=d) as p:
        wait_for(body)
        for n, (what, host, env) in enumerate((
                ("by its application", "127.0.0.1", "CASE = bad\nMORE = 1"),
                ("by its bind", "192.0.2.1", "CASE = other\nMORE = 1"))):
            write(conf, text % (host, address[1], env))
            p.send_signal(signal.SIGHUP)
            wait_for(lambda: p.log().count("Reload abandoned") > n)
            old = children(p.pid)
            for pid in old:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: set(children(p.pid)) - set(old))
            is_(wait_for(body), "good None",
                "a reload abandoned %s: the old variables" % what)
        write(conf, text % (*address, "MORE = 2"))
        p.send_signal(signal.SIGHUP)
        # The old worker may take one more until it hears that it is to go.
        wait_for(lambda: body() == "None 2" and len(children(p.pid)) == 1)
        is_(body(), "None 2", "a good one then: the new ones, and no other")


# --- sockets

def test_sockets():
    d = tmpdir()
    path = d + "/s"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(path)
    stale.close()
    bind = "unix:" + path
    with Server("hello:application", binds=(bind,)) as s:
        ok(s.http().get("/").status == 200, "a stale socket is replaced")
        if IS_GANGWAY:
            status, log = run("-b", bind, "hello:application",
                              cwd=APPS)
            ok(status == 1 and path in log and s.http().get("/").status,
               "a live socket is refused and goes on", "%s %s" % (
                   status, log[-800:]))
        s.stop()
        ok(not os.path.exists(path), "and removed at the stop")
    write(path, "a file")
    status, log = run("-b", bind, "hello:application")
    ok(status == 1 and os.path.isfile(path), "a plain file is not replaced",
       log[-800:])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        status, log = run("-b", address, "hello:application")
        ok(status == 1 and address.split(":")[1] in log,
           "a port that is taken: exit status 1", log[-800:])
    binds = ("http", "unix") + (("fcgi", "fcgi+unix") if IS_GANGWAY else ())
    with Server("hello:application", binds=binds) as s:
        ok(all(s.answers(a, p) for a, p in zip(s.addresses, s.protocols)),
           "binds of every kind in one server")
        log = s.log()
        ok("Listening at: " in log and "Booting worker with pid: " in log
           and re.search(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] "
                         r"\[%d\] \[INFO\] " % s.pid, log, re.M),
           "the start is logged as gunicorn's", log[:1500])
    pidfile = d + "/pid"
    with Server("hello:application", "-p", pidfile) as s:
        with open(pidfile) as f:
            is_(f.read(), "%d\n" % s.pid, "the pid file")
        status, log = run("-b", "127.0.0.1:%d" % free_port(), "-p", pidfile,
                          "hello:application")
        ok(status == 1 and pidfile in log, "a second server with that file",
           log[-500:])
        # Or clients in the queue of one of its sockets would lose by it.
        status, log = run("-b", "%s:%d" % s.address, "-p", pidfile,
                          "hello:application")
        ok(status == 1 and pidfile in log and "cannot listen" not in log,
           "which is refused before it opens a socket", log[-500:])
        s.stop()
        ok(not os.path.exists(pidfile), "the pid file goes at the stop")


def test_rebind():
    """Kept connections find their listener where the list was changed."""
    if not IS_GANGWAY:
        return
    ports = [free_port() for _ in range(3)]
    conf = os.path.join(tmpdir(), "conf.ini")
    old, other, new = ("%s127.0.0.1:%d" % (kind, port) for kind, port in zip(
        ("", "fcgi://", "fcgi://"), ports))
    write(conf, "[gangway]\nbind = %s, %s\n" % (old, other))
    with Process([find_program(), "-c", conf, "-w", "2", "--chdir", APPS,
                  "--keep-alive", "600", "hello:plain"]) as p:
        ok(wait_for(lambda: answers_on(ports[0])), "two listeners")
        kept = [Http(("127.0.0.1", ports[0])) for _ in range(20)]
        for c in kept:
            c.get("/")
        workers = set(children(p.pid))
        write(conf, "[gangway]\nbind = %s, %s\n" % (new, old))
        os.kill(p.pid, signal.SIGHUP)
        ok(wait_for(lambda: not workers & set(children(p.pid))),
           "HUP with another list: all workers are new", p.log()[-1500:])
        is_([c.get("/").status for c in kept], [200] * 20,
            "and kept connections are answered")
        for c in kept:
            c.close()


def answers_on(port):
    try:
        with Http(("127.0.0.1", port)) as c:
            return c.get("/").status == 200
    except (OSError, Broken):
        return False


# --- logs

def test_access_log():
    d = tmpdir()
    log = d + "/access"

    def find(text):
        """The lines with that text, once there is one."""
        def found():
            with open(log, errors="backslashreplace") as f:
                return [one for one in f.read().splitlines() if text in one]
        wait_for(lambda: os.path.exists(log))
        return wait_for(found)
    with Server("hello:application", "--access-logfile", log) as s:
        s.http().get("/a?b", 'Referer: r"x\r\nUser-Agent: ua\r\n')
        line = find("/a?b")
        ok(len(line) == 1 and re.fullmatch(
            r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d '
            r'[+-]\d{4}\] "GET /a\?b HTTP/1\.1" 200 \d+ "r\\"x" "ua"',
            line[0]), "a line in the combined form, quotes escaped", line)
        s.http().get("/forge%0AFORGED%0D", "User-Agent: t\tab\xe9\r\n")
        line = find("/forge")
        ok(len(line) == 1 and not any(one.startswith("FORGED")
                                      for one in find("FORGED"))
           and "\t" not in line[0], "nothing from outside forges a line",
           line)
        os.rename(log, log + ".1")
        s.send_signal(signal.SIGUSR1)
        wait_for(lambda: os.path.exists(log))

        def moved():
            s.http().get("/after")
            return "/after" in open(log).read()
        ok(wait_for(moved), "USR1: a new file after a rename")
    form = ("%(h)s|%(m)s|%(U)s|%(q)s|%(H)s|%(s)s|%(B)s|%(b)s|%(f)s|%(a)s|"
            "%(p)s|%({x-a}i)s|%({content-type}o)s|%({request_method}e)s|"
            "%({x-none}i)s|%(l)s|%(u)s")
    with Server("hello:plain", "--access-logfile", log + "2",
                "--access-logformat", form) as s:
        with s.http() as c:
            c.get("/p/q?r=s", "X-A: va\r\nAuthorization: Basic YW5uYTpw\r\n")
        log += "2"
        line = find("/p/q")
        want = ("127.0.0.1|GET|/p/q|r=s|HTTP/1.1|200|13|13|-|-|<%d>|va|"
                "text/plain|GET|-|-|anna" % (s.workers() or [0])[0])
        is_(line, [want], "every atom of the format")


def has_file(pid, path):
    """Has the process this file open?"""
    def is_it(fd):
        try:
            return os.readlink("/proc/%d/fd/%s" % (pid, fd)) == path
        except OSError:     # closed meanwhile
            return False
    return any(map(is_it, os.listdir("/proc/%d/fd" % pid)))


def test_error_log():
    d = tmpdir()
    log = d + "/error"
    conf, text = d + "/g.conf.py", "errorlog, loglevel = %r, 'debug'\n"
    write(conf, text % log)
    with Server("hello:application", "-c", conf) as s:
        os.rename(log, log + ".1")
        s.send_signal(signal.SIGUSR1)
        ok(wait_for(lambda: os.path.exists(log)),
           "USR1 reopens the error log")
        ok(wait_for(lambda: not has_file(s.pid, log + ".1")),
           "in the manager, too")
        with s.http() as c:
            try:
                c.send(b"GET /\x01\x1b[31m\n[FORGED] line HTTP/1.1\r\n\r\n")
                c.read()
            except (Broken, OSError):
                pass
        if IS_GANGWAY:
            write(conf, text % (log + ".2"))
            s.send_signal(signal.SIGHUP)
            ok(wait_for(lambda: has_file(s.pid, log + ".2")),
               "HUP with another error log: it is used")
        s.stop()
        with open(log, "rb") as f:
            text = f.read()
        ok(b"\x1b" not in text and b"\n[FORGED]" not in text,
           "nothing from outside forges a line of it", text[-500:])


def test_rotation():
    """A worker that was only being forked at USR1 opens the log again."""
    d = tmpdir()
    log, gate = d + "/error", d + "/gate"
    conf = write(d + "/g.conf.py", """import os

def wait():
    if os.path.exists("%s"):
        open("%s").close()      # a pipe: until somebody writes

os.register_at_fork(after_in_child=wait)
""" % (gate, gate))

    def old():
        return [p for p in s.workers() if has_file(p, log + ".1")]
    with Server("hello:application", "-c", conf, "--log-file", log) as s:
        os.mkfifo(gate)
        s.send_signal(signal.SIGTTIN)
        wait_for(lambda: len(s.workers()) == 2)
        os.rename(log, log + ".1")
        s.send_signal(signal.SIGUSR1)
        wait_for(lambda: os.path.exists(log))
        ok(old(), "USR1 while a worker is being forked")
        with open(gate, "r+b", 0):
            os.unlink(gate)
            ok(wait_for(lambda: not old()), "it opens the log again later",
               old())


def main():
    guard(int(os.environ.get("T_GUARD", "600")))
    only = sys.argv[1:]
    groups = [(test_signals, "sync"), (test_signals, "gthread"),
              (test_manager_dies, "sync"), (test_manager_dies, "gthread")]
    if IS_GANGWAY:
        groups += [(test_timeout, "sync"), (test_timeout, "gthread"),
                   (test_too_many,), (test_too_many, True)]
    groups += [(test_starts,), (test_check,), (test_reload,),
               (test_more_and_fewer,), (test_more_and_fewer, "--reuse-port")]
    if IS_GANGWAY:
        groups += [(test_silent,), (test_reload_to_more,), (test_impatient,),
                   (test_hasty,), (test_rotation,)]
    groups += [(group,) for group in (
        test_slow_start, test_exits, test_reload_env, test_sockets,
        test_rebind, test_access_log, test_error_log)]
    together([g for g in groups if not only
              or g[0].__name__.partition("_")[2] in only], 5)
    done()


if __name__ == "__main__":
    main()
