#!/usr/bin/python3
"""Our settings under a real Passenger, and what a site's owner gets to see.

Threads, limits, logs and workers; settings from gangway.ini and from SetEnv
in an .htaccess; applications that cannot be started; the password that
Passenger and we share. All of these applications run behind one Apache, and
behind another one those whose Passenger is killed.
"""
import contextlib
import glob
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from apache import (BOTH, DOORS, HELD, Aboard, give, ini, missing,
                    serve, write)
from process import alive, children, tmpdir
from server import SLOWER
from tap import done, guard, is_, ok, skip_all, together
from wait import pass_time, wait_for
from wire import Broken, connect


def queue(door):
    name = door + ", worker_queue"
    a = Aboard(door, HELD, threads=1, worker_queue=2, conf="PassengerForce"
               "MaxConcurrentRequestsPerProcess 0\n")
    yield a
    asked = [a.ask("/held")]
    a.began("/held")
    asked += [a.ask("/held") for _ in range(7)]
    wait_for(lambda: [x.status for x in asked].count(503) == 5)
    a.let_go("/held")
    n = sorted(x.result() for x in asked)
    is_(n, [200] * 3 + [503] * 5,
        name + ": some wait, the others get 503")


def threads(door):
    name = door + ", 8 threads"
    a = Aboard(door, HELD, threads=8)
    yield a
    is_(a.get("/0").status, 200, name + ": it answers")
    asked = [a.ask("/held") for _ in range(8)]
    ok(a.began("/held", 8), name + ": 8 requests run at the same time")
    a.let_go("/held")
    is_([x.result() for x in asked], [200] * 8, name + ": all are answered")
    is_(len({x.body for x in asked}), 1, name + ": in one worker")
    is_(len(a.processes()), 1, name + ": of one process")
    is_(len(children(a.processes()[0])), 1,
        name + ": which has no other worker")


def time_limit(door):
    name = door + ", request_timeout"
    limit = 1 + SLOWER
    a = Aboard(door, HELD, threads=4, request_timeout=limit)
    yield a
    process = (a.get("/0"), a.processes())[1]

    def beside(n):
        """A neighbour of a stuck request, until after that one's end."""
        worker = a.get("/0").body
        stuck = a.ask("/held/stuck%d" % n)
        a.began("/held/stuck%d" % n)
        pass_time(limit / 2)
        r = a.ask("/held/beside%d" % n)
        a.began("/held/beside%d" % n)
        stuck.join()
        a.let_go("/held/beside%d" % n)
        r.join()
        return worker, stuck, r
    # Where the machine stalls the neighbour's time is up, too.
    for n in range(5):
        worker, stuck, r = beside(n)
        if r.status == 200 and stuck.seconds < limit + 3 * SLOWER:
            break
    is_((r.status, r.body), (200, worker), name + ": a neighbour")
    is_(stuck.status, 504, name + ": 504")
    ok(limit - 0.1 < stuck.seconds < limit + 3 * SLOWER, name + ": soon",
       stuck.seconds)
    ok(wait_for(lambda: a.get("/0").body != worker),
       name + ": another worker follows")
    is_(a.processes(), process, name + ": in the same process")


def recycling(door):
    name = door + ", max_requests"
    a = Aboard(door, threads=4, max_requests=20, max_requests_jitter=0)
    yield a
    pids, failed = {}, 0
    with a.http() as c:
        def enough():
            nonlocal failed
            r = c.get("/pid")
            failed += r.status != 200
            pids[r.body] = pids.get(r.body, 0) + 1
            return len(pids) >= 5
        wait_for(enough, step=0.002)
    is_(failed, 0, name + ": nothing failed")
    ok(len(pids) >= 5 and min(list(pids.values())[:4]) >= 20,
       name + ": a worker is replaced after 20 requests, or soon "
       "after", pids)
    is_(len(a.processes()), 1, name + ": one process")


def access_log(door):
    name = door + ", accesslog"
    a = Aboard(door, accesslog="tmp/access.log")
    yield a
    for n in range(3):
        a.get("/pid?%d" % n, "User-Agent: me/1\r\n")
    text = a.wait_text("tmp/access.log", "\n", 3) or ""
    is_([line.split()[0] for line in text.splitlines()],
        ["127.0.0.1"] * 3, name + ": a line each, with the client")
    ok('"GET /pid?2 HTTP/1.1" 200' in text and '"me/1"' in text,
       name + ": as gunicorn writes it", text)


def from_htaccess(door):
    name = door + ", SetEnv"
    a = Aboard(door, htaccess="SetEnv GANGWAY_REQUEST_TIMEOUT 1\n"
               "SetEnv GANGWAY_ACCESSLOG tmp/env.log\n"
               "SetEnv GANGWAY_WORKERS 3\n",
               accesslog="tmp/ini.log", request_timeout=300)
    yield a
    is_(a.get("/100000").status, 504, name + ": request_timeout")
    # A second is short where the machine stalls.
    ok(wait_for(lambda: a.get("/0?x").status == 200),
       name + ": another request")
    ok(a.wait_text("tmp/env.log", '/0?x HTTP/1.1" 200'),
       name + ": accesslog")
    is_(a.read("tmp/ini.log"), "", name + ": instead of gangway.ini's")
    is_(len(a.processes()), 1, name + ": one process")
    ok(wait_for(lambda: len(children(a.processes()[0])) == 3),
       name + ": with three workers")


def app_from_htaccess(door):
    a = Aboard(door, ("sleepy:application", ["sleepy.py", "hello.py"]),
               htaccess="SetEnv GANGWAY_APP hello:plain\n")
    yield a
    is_(a.get("/").body, b"Hello, World!", door + ", SetEnv: GANGWAY_APP "
        "wins over gangway.ini")


def workers_of_ini(door):
    name = door + ", workers"
    a = Aboard(door, workers=3)
    b = Aboard(door, extra={"gangway.ini": ini({
        "gangway": {"app": "sleepy:application"}, "host": {"workers": 3}})})
    yield [a, b]
    a.get("/0")
    is_(len(children(a.processes()[0])), 1,
        name + " in [gangway]: is left to the host")
    b.get("/0")
    ok(wait_for(lambda: len(children(b.processes()[0])) == 3),
       name + " in [host]: is ours")
    is_(len(b.processes()), 1, name + " in [host]: one process")


# --- applications that cannot be started

BROKEN = ("broken_here:application", [])
REPAIRED = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "8")])
    return [b"repaired"]
"""


class Unstartable(Aboard):
    """It wants a module that is not there, and that no other one wants."""

    def __init__(self, door, env):
        self.wants = "no_module_%s_%s" % (env, door.replace(" ", "_"))
        super().__init__(door, BROKEN, env=env, extra={
            "broken_here.py": "import %s\n" % self.wants})

    def traced(self, text):
        """Is its traceback there, and not another one's?"""
        return re.search(r"Traceback(?s:.){,3000}No module named (&\w+;|&#\d+"
                         r";|')%s\b" % self.wants, text)

    def repair(self):
        write(self.folder, "broken_here.py", REPAIRED)
        give(self.folder)


def production(door):
    name = door + ", cannot start, production"
    a = Unstartable(door, "production")
    yield a
    for target in ("/", "/any/other?x"):
        r = a.get(target)
        page = r.body.decode()
        is_((r.status, r["cache-control"]), (500, "no-store"),
            "%s: 500 for %s, which nobody keeps" % (name, target))
    ok("tmp/gangway.log" in page and "tmp/restart.txt" in page,
       name + ": the page says what to do", page)
    ok("Traceback" not in page and "no_module" not in page,
       name + ": and no traceback to visitors", page)
    log = a.read("tmp/gangway.log")
    ok(a.traced(log), name + ": it is in the log", log)
    ok(wait_for(lambda: a.traced(a.apache.log())),
       name + ": and in the host's", a.apache.log()[-2000:])
    a.repair()
    write(a.folder, "tmp/restart.txt", "")
    give(a.folder)
    ok(wait_for(lambda: a.get("/").body == b"repaired", step=0.1),
       name + ": repaired, with restart.txt")


def development(door):
    name = door + ", cannot start, development"
    a = Unstartable(door, "development")
    yield a
    r = a.get("/")
    page = r.body.decode()
    is_(r.status, 500, name + ": 500")
    ok("Passenger" in page and a.traced(page),
       name + ": Passenger's page has the traceback", page[:3000])
    ok(wait_for(lambda: a.traced(a.read("tmp/gangway.log"))
                or a.traced(a.apache.log())),
       name + ": and so has the log", a.apache.log()[-2000:])
    a.repair()
    is_(a.get("/").body, b"repaired", name + ": repaired")


def bad_settings(door):
    name = door + ", misspelt setting"
    a = Aboard(door, thread=8)
    yield a
    is_(a.get("/0").status, 500, name + ": 500")
    text = a.read("tmp/gangway.log")
    ok("'thread' is not a setting; did you mean threads?" in text,
       name + ": the log has the suggestion", text)


# --- where an application's modules come from

WHERE = """
def application(environ, start_response):
    try:
        import only_here
        said = only_here.said.encode()
    except ImportError:
        said = b"nothing"
    start_response("200 OK", [("Content-Length", str(len(said)))])
    return [said]
"""
_venv = []


def venv():
    """A virtual environment that may be copied."""
    if not _venv:
        _venv.append(os.path.join(tmpdir(), "venv"))
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip",
                        _venv[0]], check=True)
    return _venv[0]


def modules(door):
    site = "lib/python%d.%d/site-packages" % sys.version_info[:2]
    sites = {}
    for where in ("", "vendor", "venv/" + site, ".venv/" + site):
        what = where.partition("/")[0]
        a = Aboard(door, ("where:application", []),
                   extra={"where.py": WHERE})
        if "venv" in what:
            shutil.copytree(venv(), os.path.join(a.folder, what),
                            symlinks=True)
        if where:
            write(a.folder, where + "/only_here.py", "said = %r\n" % what)
        sites[what] = a
    yield list(sites.values())
    for what, a in sites.items():
        is_(a.get("/").body.decode(), what or "nothing",
            "%s, modules: %s" % (door, what or "no folder"))


def itself(door):
    """The startup file names itself as the application."""
    name = door + ", itself as the application"
    a = Aboard(door, ("passenger_wsgi:application", []))
    yield a
    is_(a.get("/").status, 500, name + ": 500")
    text = a.read("tmp/gangway.log")
    ok("ImportError" in text and "cannot be the application itself" in text,
       name + ": says why", text[-3000:])
    ok(len(a.processes()) <= 1, name + ": does not go round")


# --- the password

KEEP_PASSWORD = """import os
_here = os.path.dirname(os.path.abspath(__file__))
_work = os.environ.get("PASSENGER_SPAWN_WORK_DIR", "")
if os.path.exists(_work + "/args/connect_password"):
    with open(_work + "/args/connect_password") as _f, \\
            open(_here + "/tmp/kept", "w") as _g:
        _g.write(_f.read())
"""


def session_bytes(**pairs):
    pairs = dict({"REQUEST_METHOD": "GET", "REQUEST_URI": "/echo",
                  "PATH_INFO": "/echo", "SCRIPT_NAME": "",
                  "QUERY_STRING": "", "SERVER_NAME": "localhost",
                  "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
                  "REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "1"}, **pairs)
    data = b"".join(k.encode() + b"\0" + v.encode() + b"\0"
                    for k, v in pairs.items())
    return struct.pack(">I", len(data)) + data


def ask(path, **pairs):
    """All that comes back for one request on the application's socket."""
    with connect(path) as s:
        s.sendall(session_bytes(**pairs))
        s.shutdown(socket.SHUT_WR)
        found = b""
        while data := s.recv(65536):
            found += data
        return found


def password(door):
    name = door + ", password"
    a = Aboard(door, ("echo:application", ["echo.py"]),
               accesslog="tmp/access.log", loglevel="debug")
    write(a.folder, "passenger_wsgi.py", KEEP_PASSWORD
          + a.read("passenger_wsgi.py"))
    yield a
    r = a.get("/echo", "Proxy: http://evil.invalid/\r\n")
    is_(r.status, 200, name + ": it answers")
    secret = a.read("tmp/kept")
    ok(len(secret) >= 8, name + ": there is one")
    sockets = sockets_of(a)
    is_(len(sockets), 1, name + ": one socket")
    is_(os.stat(sockets[0]).st_mode & 0o777, 0o600,
        name + ": of the owner alone")
    good = ask(sockets[0], PASSENGER_CONNECT_PASSWORD=secret,
               HTTP_PROXY="http://evil.invalid/")
    ok(good.startswith(b"HTTP/1.1 200 "), name + ": the right one", good)
    for what, pairs in (
            ("a wrong one", {"PASSENGER_CONNECT_PASSWORD":
                             secret[:-1] + "\x01"}),
            ("a short one", {"PASSENGER_CONNECT_PASSWORD": secret[:-1]}),
            ("none", {})):
        answer = ask(sockets[0], **pairs)
        ok(answer.startswith(b"HTTP/1.1 403 ")
           and secret[:-1].encode() not in answer,
           "%s: %s: 403" % (name, what), answer)
    is_(ask(sockets[0], REQUEST_METHOD="ping",
            PASSENGER_CONNECT_PASSWORD=secret), b"pong", name + ": ping")
    is_(a.get("/echo").status, 200, name + ": still serves")
    refused = a.wait_text("tmp/gangway.log", "the connect password is not "
                          "there or not right", 3)
    for where, text in (("the application", (r.body + good).decode()),
                        ("our log", a.read("tmp/gangway.log")),
                        ("the access log", a.read("tmp/access.log")),
                        ("the host's log", a.apache.log())):
        ok(secret not in text and "evil.invalid" not in text,
           "%s: not in %s" % (name, where), text[-2000:])
    ok(refused, name + ": a refusal is logged",
       a.read("tmp/gangway.log")[-2000:])
    left = a.processes()
    stopped = yield
    ok(stopped and left and not any(map(alive, left)), name + ": stops")
    is_([s for s in sockets if os.path.exists(s)], [],
        name + ": and leaves no socket")


def sockets_of(a):
    """Passenger's folder is for all: those that this one's processes have."""
    inodes = set()
    for p in a.processes():
        for fd in glob.glob("/proc/%d/fd/*" % p):
            with contextlib.suppress(OSError):
                inodes.update(re.findall(r"socket:\[(\d+)", os.readlink(fd)))
    with open("/proc/net/unix") as f:
        found = [line.split() for line in f]
    return [x[7] for x in found if len(x) > 7 and x[6] in inodes
            and "/apps.s/" in x[7]]


# --- processes that die

def no_pool(door):
    """keepalive = 0: no connection is pooled that could turn stale."""
    name = door + ", keepalive = 0"
    a = Aboard(door, keepalive=0)
    yield a
    for _ in range(4):
        a.get("/0")
    old = a.processes()
    killed = old + children(old[0])
    for p in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(p, signal.SIGKILL)      # or with its manager
    wait_for(lambda: not any(alive(p) for p in killed))
    is_(a.get("/0").status, 200, name + ": killed, and the next "
        "request is answered")
    ok(wait_for(lambda: a.processes() not in ([], old)),
       name + ": by another process")


def worker_dies(door):
    name = door + ", a worker dies"
    a = Aboard(door, threads=2)
    yield a
    worker = int(a.get("/0").body)
    process = a.processes()
    ok(a.get("/segv").status >= 500, name + ": its request gets an error")

    def again():
        try:
            r = a.get("/0")
        except (OSError, Broken):
            return False
        return r.status == 200 and int(r.body) != worker
    ok(wait_for(again), name + ": another one serves")
    is_(a.processes(), process, name + ": Passenger sees no change")


def in_flight(door):
    """What runs when the application is replaced comes to its end."""
    name = door + ", restart-app under a request"
    a = Aboard(door, HELD)
    yield a
    worker = a.get("/0").body
    old = a.processes()
    asked = a.ask("/held")
    a.began("/held")
    said = a.apache.passenger("restart-app", a.folder)
    r = a.get("/0")
    ok(r.status == 200 and r.body != worker,
       name + ": a new process serves", said)
    is_(asked.status, None, name + ": while the old one has its request")
    a.let_go("/held")
    is_((asked.result(), asked.body), (200, worker),
        name + ": the old one finishes")
    ok(wait_for(lambda: not any(alive(p) for p in old)),
       name + ": and ends")


def left_alone(door):
    """Passenger's core is killed: the application ends by itself."""
    name = door + ", the core dies"
    a = Aboard(door)
    yield a
    a.get("/0")
    old = a.processes()
    all_old = old + children(old[0])
    os.kill(a.apache.core(), signal.SIGKILL)
    gone = wait_for(lambda: not any(
        os.path.exists("/proc/%d/status" % p) for p in all_old))
    ok(gone, name + ": no process of ours is left", all_old)

    def again():
        try:
            return a.get("/0").status == 200
        except (OSError, Broken):
            return False
    ok(wait_for(again, step=0.1), name + ": the next serves")


def main():
    why = missing()
    if why:
        skip_all(why)
    guard(900)
    wanted = sys.argv[1:]

    def cases(*table):
        return [(what, door) for what, doors in table for door in doors
                if not wanted or what.__name__ in wanted]
    # What takes longest comes first.
    together([
        (serve, cases(
            (time_limit, BOTH), (in_flight, BOTH), (modules, BOTH),
            (production, DOORS), (from_htaccess, ("A exec", "B")),
            (recycling, BOTH), (queue, BOTH), (threads, BOTH),
            (access_log, DOORS), (app_from_htaccess, ("B", "D")),
            (workers_of_ini, ("B",)),
            (development, ("A exec", "A inside", "B", "D")),
            (bad_settings, ("A exec", "A inside", "B")), (itself, BOTH),
            (password, BOTH), (no_pool, ("A exec", "C")),
            (worker_dies, BOTH)), 6, "PassengerStatThrottleRate 0"),
        (serve, cases((left_alone, BOTH[:1]))),
        (serve, cases((left_alone, BOTH[1:])))], 3)
    done()


if __name__ == "__main__":
    main()
