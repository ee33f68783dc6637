#!/usr/bin/python3
"""More requests than a worker can run: who waits where, who is told to come
back later, who need not be served any more; and one caller of several that
never comes back.
"""
import os
import re
import select
import socket
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import alive, tmpdir
from server import SLOWER, Server
from tap import attempt, done, guard, is_, note, ok
from wait import wait_for
from wire import Broken, Fcgi, fcgi_request, nginx_params, request


def pid_of(s):
    try:
        with s.http(timeout=10) as c:
            return int(c.get("/pid").body)
    except (OSError, Broken, ValueError):
        return None


def status(c):
    """(status, Retry-After), (None, None) where there is no answer."""
    try:
        r = c.read()
        return r.status, r["retry-after"] or None
    except (OSError, Broken):
        return None, None


def calls(path):
    """What the application was called for."""
    try:
        with open(path) as f:
            return [line.split()[1] for line in f]
    except FileNotFoundError:
        return []


def everybody(s, workers, room):
    """Wait until each has answered: so many at once that one who is busy
    leaves the next to another, and few in all, for they count."""
    found = set()
    # Or the first there gets them all, for some rounds.
    wait_for(lambda: s.log().count("Booting worker") >= workers)
    time.sleep(0.3 * SLOWER)

    def look():
        crowd = []
        for _ in range(room):
            crowd.append(s.http(timeout=20))
            crowd[-1].send(request("/400"))
            time.sleep(0.05)
        for c in crowd:
            found.add(int(c.read().body))
            c.close()
        return len(found) >= workers
    wait_for(look, 10 * SLOWER)


def readable(conns):
    return select.select([c.sock for c in conns], [], [], 0)[0]


def told(s):
    """How many 503s the lines about a full queue speak of."""
    return sum(int(line.split("The queue is full: ")[1].split()[0])
               for line in s.log().splitlines()
               if "The queue is full: " in line)


# --- a full queue

def test_queue(klass, workers, *more):
    name = "%s, %d workers%s" % (klass, workers, ", reuse_port" if more
                                 else "")
    seen = os.path.join(tmpdir(), "calls")
    access = os.path.join(tmpdir(), "access")
    threads = 1 if klass == "sync" else 2
    room = workers * threads
    with Server("sleepy:application", "-w", workers, "-k", klass,
                "--threads", threads, "--worker-queue", "3",
                "--max-requests", "30", "--max-requests-jitter", "0",
                "--access-logfile", access, *more,
                env={"T_CALLS": seen}) as s:
        if workers > 1:
            everybody(s, workers, room)
        busy, before = [], calls(seen).count("/pid")
        for i in range(room):       # one at a time: each finds a free caller
            busy.append(s.http(timeout=20))
            busy[-1].send(request("/%d" % (2500 * SLOWER)))
            wait_for(lambda: calls(seen).count("/%d" % (2500 * SLOWER)) > i,
                     5 * SLOWER)
        time.sleep(0.3)             # a look around
        t0 = time.monotonic()
        crowd = [s.http(timeout=20).open() for _ in range(40)]
        for c in crowd:
            c.send(request("/pid?crowd"))
        # The refused do not wait for those that run.
        wait_for(lambda: len(readable(crowd)) >= 40 - 3 * workers
                 or readable(busy))
        early, took = not readable(busy), time.monotonic() - t0
        got = {c: status(c) for c in crowd}
        refused = [c for c in crowd if got[c][0] != 200]
        served = 40 - len(refused)
        # A worker that is quick to accept may refuse what another could
        # have had: each has a bound of its own.
        ok(early and 3 <= served <= 3 * workers,
           name + ", worker_queue: all but three for each are refused",
           (early, served))
        is_({got[c] for c in refused}, {(503, "1")},
            name + ", worker_queue: by 503 and Retry-After")
        note("refused after %.2f s at most" % took)
        is_([status(c)[0] for c in busy]
            + [got[c][0] for c in crowd if c not in refused],
            [200] * (room + served),
            name + ", worker_queue: the others are served")
        is_(calls(seen).count("/pid") - before, served,
            name + ", worker_queue: and only they are called")
        with s.http(timeout=20) as c:
            is_(c.get("/pid").status, 200, name + ", worker_queue: then "
                "there is room again")
        with open(access) as f:
            is_(sum('/pid?crowd' in line and '" 503 ' in line for line in f),
                len(refused), name + ", worker_queue: the access log has "
                "them")
        ok("Autorestarting" not in s.log(),
           name + ", worker_queue: no 503 counts for max_requests")
        time.sleep(1.1)             # the next line may come a second later
        pid_of(s)
        is_(wait_for(lambda: told(s) == len(refused), 5) and told(s),
            len(refused), name + ", worker_queue: and the error log")
        ok(s.log().count("The queue is full") <= 2 * workers,
           name + ", worker_queue: in few lines", s.log()[-1500:])


def test_queue_fcgi():
    name = "FastCGI, worker_queue"
    seen, long = os.path.join(tmpdir(), "calls"), "/%d" % (2500 * SLOWER)
    with Server("sleepy:application", "-w", "1", "-k", "sync",
                "--worker-queue", "2", "--keep-alive", 60 * SLOWER,
                binds=("fcgi",), env={"T_CALLS": seen}) as s:
        busy = s.fcgi(timeout=20)
        busy.send(fcgi_request(nginx_params(long)))
        wait_for(lambda: long in calls(seen), 10 * SLOWER)
        crowd = [s.fcgi(timeout=20) for _ in range(6)]
        for c in crowd:
            c.send(fcgi_request(nginx_params("/pid")))
            time.sleep(0.05)
        got = [c.reply().response() for c in crowd]
        is_([r.status for r in got], [200] * 2 + [503] * 4,
            name + ": two wait, four are refused")
        is_({r["retry-after"] for r in got[2:]}, {"1"},
            name + ": with Retry-After")
        is_(busy.reply().response().status, 200, name + ": the first: 200")
        r = crowd[3].request("/pid")
        is_(r and r.status, 200,
            name + ": a refused one's connection goes on")


def test_queue_off():
    with Server("sleepy:application", "-w", "1", "--threads", "1") as s:
        crowd = [s.http(timeout=30).open() for _ in range(100)]
        for c in crowd:
            c.send(request("/10"))
        is_({status(c) for c in crowd}, {(200, None)},
            "without worker_queue all wait, and are served")


# --- nobody there, and somebody free

def reset(c):
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                      struct.pack("ii", 1, 0))
    c.close()


def test_gone(bind):
    """Who has left while its request waited is not served."""
    seen = os.path.join(tmpdir(), "calls")
    with Server("sleepy:application", "-w", "1", "-k", "sync",
                binds=("http", bind), env={"T_CALLS": seen}) as s:
        busy = s.http(timeout=20)
        kept = []
        for _ in range(10):         # let in before the caller is busy
            kept.append(Fcgi2(s.addresses[1]) if bind == "fcgi"
                        else s.http(timeout=20))
            kept[-1].get("/pid")
        before = len(calls(seen))
        busy.send(request("/%d" % (1500 * SLOWER)))
        wait_for(lambda: len(calls(seen)) > before)
        for c in kept:
            c.send_one("/pid/late") if bind == "fcgi" else \
                c.send(request("/pid/late"))
        time.sleep(0.2)
        for c in kept[:6]:
            reset(c)
        is_(status(busy)[0], 200, bind + ", gone: the busy one: 200")
        for c in kept[6:]:
            is_(c.status(), 200, bind + ", gone: one that stayed: 200") \
                if bind == "fcgi" else \
                is_(status(c)[0], 200, bind + ", gone: one that stayed: 200")
        is_(calls(seen).count("/pid/late"), 4,
            bind + ", gone: only those that stayed were called")


def test_idle(klass, *more):
    """A worker that has somebody free comes before one that has not."""
    name = klass + (", reuse_port" if more else "") + ", idle"
    with Server("sleepy:application", "-w", "2", "-k", klass, "--threads",
                "2", *more) as s:
        found = set()
        wait_for(lambda: found.add(pid_of(s)) or len(found) == 2)
        busy = [s.http(timeout=30) for _ in range(1 if klass == "sync"
                                                  else 2)]
        # Both of one worker's callers.
        first = busy[0]
        first.send(request("/%d" % (3000 * SLOWER)))
        if klass == "gthread":
            owner = None
            while owner is None:
                c = s.http(timeout=30)
                pid = int(c.get("/pid").body)
                c.send(request("/%d" % (3000 * SLOWER)))
                owner = pid
            busy[1] = c
        time.sleep(0.3)
        took, pids = [], []
        for _ in range(60):
            t0 = time.monotonic()
            pids.append(pid_of(s))
            took.append(time.monotonic() - t0)
        ok(max(took) < 2 * SLOWER and None not in pids,
           name + ": sixty requests find the worker that is free",
           "%.2f s at most, by %s" % (max(took), set(pids)))
        is_([status(c)[0] for c in busy], [200] * len(busy),
            name + ": the long ones are served")


# --- one caller that does not come back

class Watch:
    """How many workers there are and how many answer, at all times."""

    def __init__(self, s):
        self.s, self.over = s, threading.Event()
        self.least, self.slowest, self.count, self.bad = 99, 0, 0, []
        self.t = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.over.is_set():
            self.least = min(self.least, len(self.s.workers()))
            t0 = time.monotonic()
            try:
                with self.s.http(timeout=30) as c:
                    if c.get("/pid").status != 200:
                        self.bad.append("status")
            except (OSError, Broken) as e:
                self.bad.append(repr(e))
            self.slowest = max(self.slowest, time.monotonic() - t0)
            self.count += 1
            time.sleep(0.005)

    def __enter__(self):
        self.t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.t.join()


def test_stuck(klass):
    workers, limit = 2, 2 * SLOWER
    beside = 0 if klass == "sync" else 3
    with Server("sleepy:application", "-w", workers, "-k", klass,
                "--threads", "4", "--request-timeout", limit,
                "--graceful-timeout", 6 * SLOWER) as s:
        found = set()
        wait_for(lambda: found.add(pid_of(s)) or len(found) == workers)
        # Kept connections of one worker, so that all four are its own.
        mine, others, victim = [], [], None
        while len(mine) < 1 + beside:
            c = s.http(timeout=60)
            pid = int(c.get("/pid").body)
            victim = victim or pid
            (mine if pid == victim else others).append(c)
        for c in others:
            c.close()
        with Watch(s) as w:
            t0 = time.monotonic()
            mine[0].send(request("/600000"))
            time.sleep(0.5 * limit)
            # These run past the moment at which the other is given up.
            for c in mine[1:]:
                c.send(request("/%d" % (750 * limit)))
            r = mine[0].read()
            took = time.monotonic() - t0
            is_(r.status, 504, klass + ", stuck: 504")
            ok(limit - 0.2 < took < limit + 1 * SLOWER,
               klass + ", stuck: at the limit", "%.2f s" % took)
            got = [c.read() for c in mine[1:]]
            is_([(r.status, int(r.body)) for r in got],
                [(200, victim)] * beside,
                klass + ", stuck: the %d beside it: 200" % beside)
            ok(wait_for(lambda: not alive(victim), 15 * SLOWER),
               klass + ", stuck: its worker is gone then")
            gone = time.monotonic() - t0
            wait_for(lambda: w.count > 20)
        note("%s: 504 after %.2f s, worker gone after %.2f s; %d requests "
             "meanwhile, the slowest took %.3f s, never fewer than %d workers"
             % (klass, took, gone, w.count, w.slowest, w.least))
        ok(w.least >= workers, klass + ", stuck: never fewer workers than "
           "configured", w.least)
        ok(not w.bad and w.slowest < 1.5 * SLOWER,
           klass + ", stuck: all others are served, soon",
           "%s, %.2f s" % (w.bad[:3], w.slowest))
        log = s.log()
        at = log.find("Request timed out after")
        # What the signal that ends it has to say may come before or after
        # the lines of the others: threads are counted, not lines.
        threads = re.findall(r"hread 0x(\w+)[^\n]*\n((?:  File [^\n]*\n)+)",
                             log[at:])
        ok("GET /600000 (answered 504" in log, klass + ", stuck: a line "
           "names it", log[-3000:])
        is_(len({t for t, lines in threads if "in application" in lines}),
            1 + beside, klass + ", stuck: the log has where each thread is")


class Fcgi2:
    """What test_gone needs of a FastCGI connection."""

    def __init__(self, address):
        self.c = Fcgi(address, timeout=20)
        self.sock = self.c.sock

    def get(self, target):
        return self.c.request(target)

    def send_one(self, target):
        self.c.send(fcgi_request(nginx_params(target)))

    def status(self):
        return self.c.reply().response().status

    def close(self):
        self.c.close()


def main():
    guard(int(os.environ.get("T_GUARD", "180")))
    only = sys.argv[1:]
    for name, fn, *args in (
            ("queue", test_queue, "sync", 1),
            ("queue", test_queue, "gthread", 1),
            ("queue", test_queue, "sync", 2),
            ("queue", test_queue, "gthread", 2, "--reuse-port"),
            ("queue_fcgi", test_queue_fcgi), ("queue_off", test_queue_off),
            ("gone", test_gone, "http"), ("gone", test_gone, "fcgi"),
            ("idle", test_idle, "sync"), ("idle", test_idle, "gthread"),
            ("idle", test_idle, "sync", "--reuse-port"),
            ("stuck", test_stuck, "sync"), ("stuck", test_stuck, "gthread")):
        if not only or name in only:
            attempt(fn, *args)
    done()


if __name__ == "__main__":
    main()
