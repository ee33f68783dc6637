#!/usr/bin/python3
"""Processes that die, and workers that are stuck.

A worker that is killed is replaced at once and named in the log with what it
ran; however one ends, it is one worker's end; a child of the application
never answers; who waits behind a stuck caller is served by its successor.
With T_SECONDS above 30 (`make soak`) five times as many are killed.
"""
import itertools
import os
import re
import signal
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import cpu_us
from server import SLOWER, Server
from tap import done, guard, is_, note, ok, together
from wait import measure, wait_for, wait_gone
from wire import Broken, Fcgi, Http, fcgi_request, nginx_params, request

LONG = float(os.environ.get("T_SECONDS", "0")) > 30


def serve(*args, **more):
    more.setdefault("binds", ("http", "fcgi"))
    return Server("rude:application", "--max-requests", "0", "--timeout",
                  "120", "--keep-alive", "60", *args, **more)


# --- killed

class Load:
    """Eight clients, each on a new connection for each request."""

    def __init__(self, s):
        self.s, self.stop = s, threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True)
                        for _ in range(8)]

    def __enter__(self):
        for t in self.threads:
            t.start()

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()

    def run(self):
        while not self.stop.is_set():
            try:
                with self.s.http() as c:    # anew: to all workers alike
                    c.get("/sleep/100", "Connection: close\r\n")
            except (OSError, Broken):
                pass


PINNED = itertools.count(600000)


def kill_one(s, named):
    """Kill the worker that happens to have one certain request; how long it
    takes until there is another, and whether the log said so."""
    with s.http() as pin:
        path = "/sleep/%d" % next(PINNED)
        pin.send(request(path))
        s.wait_running(path)

        def victim():
            """Not one that has just begun: that is an early death."""
            return next((w["pid"] for w in s.status()["workers"]
                         if "GET " + path in w["running"]
                         and w["uptime"] > 1), None)
        pid = wait_for(victim)
        booted = s.log().count("Booting worker")
        t0 = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: s.log().count("Booting worker") > booted
                 and pid not in s.workers() and len(s.workers()) == 2)
        took = time.monotonic() - t0
        line = "(pid:%d) was sent SIGKILL" % pid
        s.wait_log(line)
        log = s.wait_log(re.compile(r"\(pid:%d\) was running: .*GET %s"
                                    % (pid, path)))
        named.append(bool(log) and log.count(line) == 1)
    return took


def test_kill(klass):
    """Workers killed under load: replaced in a second, and named."""
    times, named = 20 if LONG else 4, []
    with serve("-k", klass, "-w", "2", "--threads", "2") as s:
        s.wait_workers(2)
        with Load(s):
            worst = max(measure(lambda: kill_one(s, named), SLOWER)
                        for _ in range(times))
        note("%s: %d killed, replaced within %.0f ms, %d named"
             % (klass, len(named), worst * 1000, sum(named)))
        ok(worst < 1 * SLOWER, klass + ": a killed worker is replaced within "
           "a second", "%.2f s" % worst)
        ok(all(named), klass + ": with one line for its death and "
           "what it ran", "%s\n%s" % (named, s.log()[-2000:]))


def test_orphans(klass):
    def orphaned():
        with serve("-k", klass, "-w", "2", "--threads", "2") as s:
            left = s.wait_workers(2)
            t0 = time.monotonic()
            s.send_signal(signal.SIGKILL)
            s.wait()
            if not all([wait_gone(pid) for pid in left]):
                return 99
            return time.monotonic() - t0
    took = measure(orphaned, SLOWER)
    ok(took < 1 * SLOWER, klass + ": the manager is killed: no worker after "
       "a second", "%.2f s" % took)


# --- the end of the process

# A slot whose worker dies early again and again waits longer each time:
# some ways for each server.
WAYS = (("exit/0", "exit/1", "exit/3", "exit/4", "exit/255"),
        ("segv", "abort", "kill", "kill/15", "kill/2"))


def test_deaths(klass, ways, last):
    options = os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0"
    with serve("-k", klass, "-w", "1", "--threads", "3",
               env={"ASAN_OPTIONS": options}) as s:
        def pid():
            with s.http() as c:
                return c.get("/counts").json()[2]
        for way in ways:
            before = pid()
            try:
                with s.http() as c:
                    c.get("/" + way)
            except (OSError, Broken):
                pass

            def replaced():
                try:
                    return pid() != before
                except (OSError, Broken):
                    return False
            ok(wait_for(replaced) and s.popen.poll() is None,
               "%s: %s is one worker's end" % (klass, way), s.log()[-1500:])
        if not last:
            return
        before = pid()
        with s.http() as c:
            is_(c.get("/sys-exit/3").status, 500, klass + ": sys.exit: 500")
        with s.http() as c:
            c.get("/spin")

            def twenty():
                """By the clock of the one that spins, which only stands
                when this machine does."""
                spun = cpu_us([before])
                for _ in range(20):
                    c.get("/ok")
                return (cpu_us([before]) - spun) / 1e6
            took = measure(twenty, 2 * SLOWER)
        ok(took < 2 * SLOWER, klass + ": beside a thread that spins others "
           "are answered", "%.2f s" % took)
        ok(pid() == before, klass + ": the worker is still there")


def free(address):
    """May the next server listen there?"""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(address)
            s.listen()
            return True
        except OSError:
            return False


def test_fork(klass):
    """A child that comes back into the server ends; it answers nobody."""
    with serve("-k", klass, "-w", "1", "--threads", "3") as s:
        worker, = s.workers()
        bad = []
        for i in range(20):
            with s.http() as c:
                r = c.get("/fork")
                if (r.status != 200 or not r.body.isdigit()
                        or not wait_gone(int(r.body))):
                    bad.append(r)
        ok(not bad, klass + ": the parent answers, its child ends",
           (bad[:3], s.log()[-800:]))
        with s.http() as c:
            for way in ("/fork-stream", "/fork-raise", "/fork-stream"):
                r = c.get(way)
                ok(r.status == 200 and b"0" not in r.body[:1] and
                   c.get("/ok").body == b"ok",
                   "%s: %s: one answer" % (klass, way), r)
        with Fcgi(s.addresses[1]) as c:
            r = c.request("/fork-stream")
            ok(r and r.body == b"111" and c.request("/ok").body == b"ok",
               klass + ": the same over FastCGI", r)
        is_(s.workers(), [worker], klass + ": the worker goes on")
        with s.http() as c:
            stays = int(c.get("/fork-stay").body)
        is_(s.stop(), 0, klass + ": and stops in order")
        ok(free(s.addresses[0]) and os.path.exists("/proc/%d" % stays),
           klass + ": a child that outlives it does not keep its address")
        os.kill(stays, signal.SIGKILL)


# --- behind a stuck caller

SIZES = (0, 100, 20000, 40000, 200000, 300000, 3000000)


def behind(klass, limit):
    """What came of it: (what we got, what we want, name) each; None when the
    machine stood still for so long that not all were there before the limit
    was reached, or that others were over it."""
    threads, found = 1 if klass == "sync" else 2, []
    with serve("-k", klass, "-w", "1", "--threads", threads,
               "--request-timeout", limit, "--graceful-timeout", "120",
               binds=("http", "fcgi", "unix")) as s:
        first, = s.workers()
        http = [Http(s.addresses[i % 2 * 2]) for i in range(2 * len(SIZES))]
        fcgi = [Fcgi(s.addresses[1]) for _ in SIZES]
        stuck = [s.http() for _ in range(threads)]
        for c in http:
            c.get("/ok")
        for c in stuck:
            c.send(request("/sleep/500000"))
        s.wait_running("/sleep/500000", threads)
        for n, c in zip(SIZES * 2, http):
            c.send(request("/body", "", "POST", b"b" * n)
                   + request("/body", "", "POST", b"next"))
        for n, c in zip(SIZES, fcgi):
            body = b"b" * n
            c.send(fcgi_request(nginx_params("/body", "POST", b"x"), b"x", 4)
                   + fcgi_request(nginx_params("/body", "POST", body), body,
                                  5)
                   + fcgi_request(nginx_params("/counts"), b"", 6))
        # Of a connection on which a body is still arriving nothing is moved.
        wait_for(lambda: "Request timed out" in s.log() or sum(
            w["queue"] for w in s.status()["workers"]) == 5 * len(SIZES))
        if "Request timed out" in s.log():
            return None
        found.append(([c.read().status for c in stuck], [504] * threads,
                      "the stuck ones get 504"))
        got = []
        for c in http:
            try:
                got.append(tuple(c.read().body for _ in range(2)))
            except (OSError, Broken) as e:
                got.append(e)
        found.append((got, [(b"%d" % n, b"4") for n in SIZES * 2],
                      "bodies behind them are answered elsewhere"))
        got = []
        for c in fcgi:
            for i in (4, 5, 6):
                r = c.reply(i)
                got.append(r and r.response() and (
                    r.response().body if i < 6 else
                    r.response().json()[2] != first))
        found.append((got, [x for n in SIZES for x in (b"1", b"%d" % n, True)],
                      "over FastCGI too"))
        if re.search("Request timed out .*: (?!GET /sleep)", s.log()):
            return None
        for c in http + fcgi + stuck:
            c.close()
        found.append((wait_gone(first), True, "and the stuck worker is gone"))
    return found


def test_behind(klass):
    """Bodies of any size that wait behind a stuck caller are served by its
    successor, and what was pipelined after them."""
    for limit in (1, 2, 4, 8, 16, 32):
        found = behind(klass, limit)
        if found is not None:
            break
    else:
        ok(False, klass + ": a round in which only those that are stuck are "
           "over the limit")
        return
    for got, want, name in found:
        is_(got, want, klass + ": " + name)


def main():
    guard(int(os.environ.get("T_GUARD", 0)) or 900)
    only = sys.argv[1:]
    groups = [(test_kill,), (test_deaths, WAYS[1], True),
              (test_deaths, WAYS[0], False), (test_behind,), (test_fork,),
              (test_orphans,)]
    together([(test, klass, *more) for test, *more in groups
              for klass in ("sync", "gthread")
              if not only or test.__name__[5:] in only])
    done()


if __name__ == "__main__":
    main()
