#!/usr/bin/python3
"""Our settings under a real Passenger, and what a site's owner gets to see.

Threads, limits, logs and workers; settings from gangway.ini and from SetEnv
in an .htaccess; applications that cannot be started; the password that
Passenger and we share.
"""
import contextlib
import glob
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from apache import (BOTH, DOORS, SLEEPY, SLOWER, Aboard, Apache, Site, board,
                    doors, give, ini, missing, read, write)
from process import alive, children
from tap import done, guard, is_, ok, skip_all
from wait import wait_for
from wire import Broken, connect


def queue(door):
    name = door + ", worker_queue"
    with Aboard(door, threads=1, worker_queue=2, apache="",
                conf="PassengerForceMaxConcurrentRequestsPerProcess "
                "0\nPassengerMaxPoolSize 1\n") as a:
        a.get("/0")
        got = a.at_once(["/1000"] * 8)
        n = sorted(g[0] if g else 0 for g in got)
        ok(n[:3] == [200] * 3 and n[-1] == 503 and set(n) == {200, 503},
           name + ": some wait, the others get 503", n)


def threads(door):
    name = door + ", 8 threads"
    with Aboard(door, threads=8) as a:
        is_(a.get("/0").status, 200, name + ": it answers")
        t0 = time.monotonic()
        found = a.at_once(["/3000"] * 8)
        took = time.monotonic() - t0
        ok(None not in found and {f[0] for f in found} == {200},
           name + ": all are answered", found)
        # Two rounds would take six.
        ok(took < 6, name + ": 8 requests of three seconds take %.2f s"
           % took)
        is_(len({f[1] for f in found}), 1, name + ": in one worker")
        is_(len(a.applications()), 1, name + ": of one process")
        is_(len(children(a.applications()[0])), 1,
            name + ": which has no other worker")


def time_limit(door):
    name = door + ", request_timeout"
    limit = 2 + SLOWER
    with Aboard(door, threads=4, request_timeout=limit) as a:
        worker = a.get("/0").body
        process = a.applications()
        late = threading.Thread(target=lambda: late_got.append(
            a.at_once(["/20000"])[0]))
        late_got = []
        late.start()
        # Beside the one that is stuck, and until after its end.
        time.sleep(limit / 2)
        r = a.get("/%d" % (limit * 2000 // 3))
        is_((r.status, r.body), (200, worker), name + ": a neighbour")
        late.join()
        is_(late_got[0][0], 504, name + ": 504")
        ok(late_got[0][2] < limit + 3 * SLOWER, name + ": soon", late_got)
        ok(wait_for(lambda: a.get("/0").body != worker, 20 * SLOWER),
           name + ": another worker follows")
        is_(a.applications(), process, name + ": in the same process")


def recycling(door):
    name = door + ", max_requests"
    with Aboard(door, threads=4, max_requests=20,
                max_requests_jitter=0) as a:
        pids, failed = {}, 0
        with a.http(timeout=30 * SLOWER) as c:
            def enough():
                nonlocal failed
                r = c.get("/pid")
                failed += r.status != 200
                pids[r.body] = pids.get(r.body, 0) + 1
                return len(pids) >= 5
            wait_for(enough, 20 * SLOWER, 0.005)
        is_(failed, 0, name + ": nothing failed")
        ok(len(pids) >= 5 and min(list(pids.values())[:4]) >= 20,
           name + ": a worker is replaced after 20 requests, or soon "
           "after", pids)
        is_(len(a.applications()), 1, name + ": one process")


def access_log(door):
    name = door + ", accesslog"
    with Aboard(door, accesslog="tmp/access.log") as a:
        for n in range(3):
            a.get("/pid?%d" % n, "User-Agent: me/1\r\n")
        text = a.wait_text("tmp/access.log", "?2")
        is_([line.split()[0] for line in text.splitlines()],
            ["127.0.0.1"] * 3, name + ": a line each, with the client")
        ok('"GET /pid?2 HTTP/1.1" 200' in text and '"me/1"' in text,
           name + ": as gunicorn writes it", text)


def from_htaccess(door):
    name = door + ", SetEnv"
    with Aboard(door, htaccess="SetEnv GANGWAY_REQUEST_TIMEOUT 1\n"
                "SetEnv GANGWAY_ACCESSLOG tmp/env.log\n"
                "SetEnv GANGWAY_WORKERS 3\n",
                accesslog="tmp/ini.log", request_timeout=30) as a:
        is_(a.get("/20000").status, 504, name + ": request_timeout")
        is_(a.get("/0?x").status, 200, name + ": another request")
        ok("/0?x" in a.wait_text("tmp/env.log", "/0?x"),
           name + ": accesslog")
        is_(a.read("tmp/ini.log"), "", name + ": instead of gangway.ini's")
        is_(len(a.applications()), 1, name + ": one process")
        is_(wait_for(lambda: len(children(a.applications()[0])) == 3,
                     10 * SLOWER), True, name + ": with three workers")


def app_from_htaccess(door):
    with Aboard(door, ("sleepy:application", ["sleepy.py", "hello.py"]),
                htaccess="SetEnv GANGWAY_APP hello:plain\n") as a:
        is_(a.get("/").body, b"Hello, World!", door + ", SetEnv: GANGWAY_APP "
            "wins over gangway.ini")


def workers_of_ini(door):
    name = door + ", workers"
    with Aboard(door, workers=3) as a:
        a.get("/0")
        is_(len(children(a.applications()[0])), 1,
            name + " in [gangway]: is left to the host")
    with Aboard(door, extra={"gangway.ini": ini({
            "gangway": {"app": "sleepy:application"},
            "host": {"workers": 3}})}) as a:
        a.get("/0")
        is_(wait_for(lambda: len(children(a.applications()[0])) == 3,
                     10 * SLOWER), True, name + " in [host]: is ours")
        is_(len(a.applications()), 1, name + " in [host]: one process")


# --- applications that cannot be started

BROKEN = ("broken_here:application", [])
TRACE = ("Traceback", "no_such_module_here")
MODULE = {"broken_here.py": "import no_such_module_here\n"}
REPAIRED = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "8")])
    return [b"repaired"]
"""


def production(door):
    name = door + ", cannot start, production"
    with Aboard(door, BROKEN, extra=MODULE,
                apache="PassengerStatThrottleRate 0") as a:
        for target in ("/", "/any/other?x"):
            r = a.get(target)
            page = r.body.decode()
            is_(r.status, 500, "%s: 500 for %s" % (name, target))
        ok("tmp/gangway.log" in page and "tmp/restart.txt" in page,
           name + ": the page says what to do", page)
        ok(not any(t in page for t in TRACE),
           name + ": and no traceback to visitors", page)
        log = a.read("tmp/gangway.log")
        ok(all(t in log for t in TRACE), name + ": it is in the log", log)
        ok(all(t in a.log() for t in TRACE), name + ": and in the host's",
           a.log()[-2000:])
        write(a.folder, "broken_here.py", REPAIRED)
        write(a.folder, "tmp/restart.txt", "")
        give(a.folder)
        ok(wait_for(lambda: a.get("/").body == b"repaired", 20 * SLOWER,
                    0.1), name + ": repaired, with restart.txt")


def development(door):
    name = door + ", cannot start, development"
    with Aboard(door, BROKEN, extra=MODULE, env="development") as a:
        r = a.get("/")
        page = r.body.decode()
        is_(r.status, 500, name + ": 500")
        ok("Passenger" in page and all(t in page for t in TRACE),
           name + ": Passenger's page has the traceback", page[:3000])
        ok(all(t in a.read("tmp/gangway.log") + a.log() for t in TRACE),
           name + ": and so has the log", a.log()[-2000:])
        write(a.folder, "broken_here.py", REPAIRED)
        give(a.folder)
        is_(a.get("/").body, b"repaired", name + ": repaired")


def bad_settings(door):
    name = door + ", misspelt setting"
    with Aboard(door, SLEEPY, thread=8) as a:
        is_(a.get("/0").status, 500, name + ": 500")
        text = a.read("tmp/gangway.log") + a.log()
        ok("thread" in text and "threads" in text,
           name + ": the log has the suggestion", text[-2000:])


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


def modules(door):
    site = "lib/python%d.%d/site-packages" % sys.version_info[:2]
    for where in ("", "vendor", "venv/" + site, ".venv/" + site):
        what = where.partition("/")[0]
        folder = board(door, "where:application", [])
        write(folder, "where.py", WHERE)
        if "venv" in what:
            subprocess.run(["/usr/bin/python3", "-m", "venv",
                            "--without-pip", os.path.join(folder, what)],
                           check=True)
        if where:
            write(folder, where + "/only_here.py", "said = %r\n" % what)
        with Apache(Site(folder, door)) as a:
            r = a.http(timeout=30 * SLOWER).get("/")
            is_(r.body.decode(), what or "nothing",
                "%s, modules: %s" % (door, what or "no folder"))


def itself(door):
    """The startup file names itself as the application."""
    name = door + ", itself as the application"
    with Aboard(door, ("passenger_wsgi:application", [])) as a:
        is_(a.get("/").status, 500, name + ": 500")
        text = a.read("tmp/gangway.log") + a.log()
        ok("ImportError" in text and "passenger_wsgi" in text,
           name + ": says why", text[-3000:])
        ok(len(a.applications()) <= 1, name + ": does not go round")


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
    with connect(path, 10 * SLOWER) as s:
        s.sendall(session_bytes(**pairs))
        s.shutdown(socket.SHUT_WR)
        found = b""
        while data := s.recv(65536):
            found += data
        return found


def password(door):
    name = door + ", password"
    app = board(door, "echo:application", ["echo.py"],
                {"gangway": {"accesslog": "tmp/access.log",
                             "loglevel": "debug"}})
    write(app, "passenger_wsgi.py", KEEP_PASSWORD
          + read(app, "passenger_wsgi.py"))
    with Apache(Site(app, door)) as a:
        r = a.http(timeout=30 * SLOWER).get(
            "/echo", "Proxy: http://evil.invalid/\r\n")
        is_(r.status, 200, name + ": it answers")
        secret = read(app, "tmp/kept")
        ok(len(secret) >= 8, name + ": there is one")
        sockets = glob.glob(a.state + "/instreg/*/apps.s/*")
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
        is_(a.http(timeout=30 * SLOWER).get("/echo").status, 200,
            name + ": still serves")
        for where, text in (("the application", r.body + good),
                            ("our log", read(app, "tmp/gangway.log")),
                            ("the access log", read(app, "tmp/access.log")),
                            ("the host's log", a.log())):
            text = text if isinstance(text, str) else text.decode()
            ok(secret not in text and "evil.invalid" not in text,
               "%s: not in %s" % (name, where), text[-2000:])
        ok(text.count("403") or "password" in read(
            app, "tmp/gangway.log"), name + ": a refusal is logged",
           read(app, "tmp/gangway.log")[-2000:])
        ok(a.stop(), name + ": stops")
        is_(glob.glob(a.state + "/instreg/*/apps.s/*"), [],
            name + ": and leaves no socket")


# --- processes that die

def no_pool(door):
    """keepalive = 0: no connection is pooled that could turn stale."""
    name = door + ", keepalive = 0"
    with Aboard(door, keepalive=0) as a:
        for _ in range(4):
            a.get("/0")
        old = a.applications()
        killed = old + children(old[0])
        for p in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(p, signal.SIGKILL)      # or with its manager
        wait_for(lambda: not any(alive(p) for p in killed))
        is_(a.get("/0").status, 200, name + ": killed, and the next "
            "request is answered")
        ok(wait_for(lambda: a.applications() not in ([], old), 10 * SLOWER),
           name + ": by another process")


def worker_dies(door):
    name = door + ", a worker dies"
    with Aboard(door, threads=2) as a:
        worker = int(a.get("/0").body)
        process = a.applications()
        ok(a.get("/segv").status >= 500, name + ": its request gets an error")

        def again():
            try:
                r = a.get("/0")
            except (OSError, Broken):
                return False
            return r.status == 200 and int(r.body) != worker
        ok(wait_for(again, 20 * SLOWER), name + ": another one serves")
        is_(a.applications(), process, name + ": Passenger sees no change")


def in_flight(door):
    """What runs when the application is replaced comes to its end."""
    name = door + ", restart-app under a request"
    with Aboard(door, conf="SetEnv T_CALLS tmp/calls\n") as a:
        worker = a.get("/0").body
        old = a.applications()
        got = []
        client = threading.Thread(
            target=lambda: got.append(a.get("/2000")))
        client.start()
        wait_for(lambda: "/2000" in a.read("tmp/calls"), 20 * SLOWER)
        said = a.passenger("restart-app", a.folder)
        r = a.get("/0")
        ok(r.status == 200 and r.body != worker,
           name + ": a new process serves", said)
        client.join()
        is_([(r.status, r.body) for r in got], [(200, worker)],
            name + ": the old one finishes")
        ok(wait_for(lambda: not any(alive(p) for p in old), 10 * SLOWER),
           name + ": and ends")


def left_alone(door):
    """Passenger's core is killed: the application ends by itself."""
    name = door + ", the core dies"
    with Aboard(door) as a:
        a.get("/0")
        old = a.applications()
        all_old = old + children(old[0])
        os.kill(a.core(), signal.SIGKILL)
        gone = wait_for(lambda: not any(
            os.path.exists("/proc/%d/status" % p) for p in all_old),
            20 * SLOWER)
        ok(gone, name + ": no process of ours is left", all_old)

        def again():
            try:
                return a.get("/0").status == 200
            except (OSError, Broken):
                return False
        ok(wait_for(again, 20 * SLOWER, 0.1), name + ": the next serves")


def main():
    why = missing()
    if why:
        skip_all(why)
    guard(240)
    wanted = sys.argv[1:]
    for what, names in (
            (queue, BOTH), (threads, BOTH), (time_limit, BOTH), (recycling, BOTH),
            (access_log, DOORS), (from_htaccess, ("A exec", "B")),
            (app_from_htaccess, ("B", "D")), (workers_of_ini, ("B",)),
            (production, DOORS), (development, ("A exec", "A inside", "B",
                                                "D")),
            (bad_settings, ("A exec", "A inside", "B")),
            (modules, BOTH), (itself, BOTH),
            (password, BOTH), (no_pool, ("A exec", "C")),
            (worker_dies, BOTH), (in_flight, BOTH), (left_alone, BOTH)):
        if not wanted or what.__name__ in wanted:
            doors(what, names)
    done()


if __name__ == "__main__":
    main()
