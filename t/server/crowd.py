#!/usr/bin/python3
"""More requests than a worker can run: who waits where, who is told to come
back later, who need not be served any more; and one caller of several that
never comes back.
"""
import os
import re
import socket
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import tmpdir
from server import SLOWER, Server
from tap import done, guard, is_, note, ok, together
from wait import (measure, pace, pass_time, text_of, wait_for, wait_gone,
                  wait_readable, wait_text)
from wire import Broken, Fcgi, fcgi_request, nginx_params, request


class Held:
    """A file: while it is there, requests for /held run."""

    def __init__(self):
        self.path = os.path.join(tmpdir(), "held")
        self.env = {"T_HELD": self.path}
        open(self.path, "w").close()

    def release(self):
        os.unlink(self.path)


def status(c):
    """(status, Retry-After), (None, None) where there is no answer."""
    try:
        r = c.read()
        return r.status, r["retry-after"] or None
    except (OSError, Broken):
        return None, None


def calls(path):
    """What the application was called for."""
    return [line.split()[1] for line in text_of(path).splitlines()]


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
    held = Held()
    # 12: more than one worker is called for here, less than half of those
    # that are refused.
    with Server("sleepy:application", "-w", workers, "-k", klass,
                "--threads", threads, "--worker-queue", "3",
                "--max-requests", "12", "--max-requests-jitter", "0",
                "--access-logfile", access, *more,
                env={"T_CALLS": seen, **held.env}) as s:
        s.wait_workers(workers)
        busy = []
        for i in range(room):       # one at a time: each finds a free caller
            busy.append(s.http())
            busy[-1].send(request("/held"))
            wait_text(seen, "/held", i + 1)
        t0 = time.monotonic()
        crowd = [s.http().open() for _ in range(40)]
        for c in crowd:
            c.send(request("/pid?crowd"))
        # The refused do not wait for those that run.
        early = wait_readable([c.sock for c in crowd], 40 - 3 * workers)
        took = time.monotonic() - t0
        held.release()
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
        note("%s: refused after %.2f s at most" % (name, took))
        is_([status(c)[0] for c in busy]
            + [got[c][0] for c in crowd if c not in refused],
            [200] * (room + served),
            name + ", worker_queue: the others are served")
        is_(calls(seen).count("/pid"), served,
            name + ", worker_queue: and only they are called")
        with s.http() as c:
            is_(c.get("/pid").status, 200, name + ", worker_queue: then "
                "there is room again")
        wait_text(access, re.compile(r'/pid\?crowd.*" 503 '), len(refused))
        is_(len(re.findall(r'/pid\?crowd.*" 503 ', text_of(access))),
            len(refused), name + ", worker_queue: the access log has them")
        # The last line may come a second later.
        wait_for(lambda: told(s) >= len(refused))
        is_(told(s), len(refused), name + ", worker_queue: and the error log")
        ok("Autorestarting" not in s.log(),
           name + ", worker_queue: no 503 counts for max_requests")
        s.wait_total("done", room + served + 1)
        count = sum(w["done"] for w in s.status()["workers"])
        ok(count < 40, name + ", worker_queue: nor as done, in the status",
           count)
        # One at once, then one a second.
        ok(s.log().count("The queue is full") <= workers * (2 + int(took)),
           name + ", worker_queue: in few lines", s.log()[-1500:])


def test_queue_fcgi():
    name = "FastCGI, worker_queue"
    held = Held()
    with Server("sleepy:application", "-w", "1", "-k", "sync",
                "--worker-queue", "2", "--keep-alive", "600",
                binds=("fcgi",), env=held.env) as s:
        busy = s.fcgi()
        busy.send(fcgi_request(nginx_params("/held")))
        s.wait_running("/held")
        crowd = [s.fcgi() for _ in range(6)]
        for i, c in enumerate(crowd):
            c.send(fcgi_request(nginx_params("/pid")))
            if i < 2:
                s.wait_total("queue", i + 1)
        got = [c.reply().response() for c in crowd[2:]]
        held.release()
        got = [c.reply().response() for c in crowd[:2]] + got
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
        crowd = [s.http().open() for _ in range(100)]
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
    seen, held = os.path.join(tmpdir(), "calls"), Held()
    with Server("sleepy:application", "-w", "1", "-k", "sync",
                "--keep-alive", "600", binds=("http", bind),
                env={"T_CALLS": seen, **held.env}) as s:
        busy, last, kept = s.http(), s.http(), []
        for _ in range(10):         # let in before the caller is busy
            kept.append(Fcgi2(s.addresses[1]) if bind == "fcgi"
                        else s.http())
            kept[-1].get("/pid")
        last.get("/pid")
        busy.send(request("/held"))
        s.wait_running("/held")
        for c in kept:
            c.send_one("/pid/late") if bind == "fcgi" else \
                c.send(request("/pid/late"))
        s.wait_total("queue", 10)
        for c in kept[:6]:
            reset(c)
        # Answered without a caller: by then it has seen that they left.
        last.send(b"nonsense\r\n\r\n")
        is_(last.read().status, 400, bind + ", gone: a bad one: 400 at once")
        held.release()
        is_(status(busy)[0], 200, bind + ", gone: the busy one: 200")
        for c in kept[6:]:
            is_(c.status(), 200, bind + ", gone: one that stayed: 200") \
                if bind == "fcgi" else \
                is_(status(c)[0], 200, bind + ", gone: one that stayed: 200")
        is_(calls(seen).count("/pid/late"), 4,
            bind + ", gone: only those that stayed were called")


def of_one_worker(s, count):
    """(pid, so many kept connections of it)"""
    found = {}
    while True:
        c = s.http()
        pid = int(c.get("/pid").body)
        found.setdefault(pid, []).append(c)
        if len(found[pid]) == count:
            break
    for other in found:
        for c in found[other] if other != pid else ():
            c.close()
    return pid, found[pid]


def test_idle(klass, *more):
    """A worker that has somebody free comes before one that has not."""
    name = klass + (", reuse_port" if more else "") + ", idle"
    held, pids = Held(), []

    def sixty():
        """How long the slowest took."""
        took = 0
        for _ in range(60):
            t0 = time.monotonic()
            with s.http() as c:
                pids.append(int(c.get("/pid").body))
            took = max(took, time.monotonic() - t0)
        return took
    threads = 1 if klass == "sync" else 2   # sync with more is gthread
    with Server("sleepy:application", "-w", "2", "-k", klass, "--threads",
                threads, "--keep-alive", "600", *more, env=held.env) as s:
        everyone = set(s.wait_workers(2))
        # All callers of one worker, for as long as the sixty take.
        pid, busy = of_one_worker(s, threads)
        for c in busy:
            c.send(request("/held"))
        s.wait_running("/held", len(busy))
        took = measure(sixty, 2)
        ok(took < 2 and set(pids) == everyone - {pid},
           name + ": sixty requests find the worker that is free",
           "%.2f s at most, by %s, not %d" % (took, set(pids), pid))
        held.release()
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
            # At one moment, which a look into /proc is not.
            found = self.s.status()["workers"]
            if found:
                self.least = min(self.least, len(found))
            t0 = time.monotonic()
            try:
                with self.s.http() as c:
                    if c.get("/pid").status != 200:
                        self.bad.append("status")
            except (OSError, Broken) as e:
                self.bad.append(repr(e))
            self.slowest = max(self.slowest, time.monotonic() - t0)
            self.count += 1
            pace(0.01)

    def __enter__(self):
        self.t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.t.join()


def stuck(klass, beside, limit):
    """One caller is stuck, others of its worker are not: what happens, and
    was the machine too slow to show it?"""
    held = Held()
    with Server("sleepy:application", "-w", "2", "-k", klass,
                "--threads", 1 + beside, "--request-timeout", limit,
                "--graceful-timeout", "600", "--keep-alive", "600",
                env=held.env) as s:
        s.wait_workers(2)
        # Kept connections of one worker, so that all four are its own.
        victim, mine = of_one_worker(s, 1 + beside)
        with Watch(s) as w:
            t0 = time.monotonic()
            mine[0].send(request("/600000"))
            pass_time(0.5 * limit)
            # These run past the moment at which the other is given up.
            t1 = time.monotonic()
            for c in mine[1:]:
                c.send(request("/held"))
            first = mine[0].read()
            took = time.monotonic() - t0
            held.release()
            got = [c.read() for c in mine[1:]]
            late = time.monotonic() - t1 >= limit
            gone = wait_gone(victim) and time.monotonic() - t0
            wait_for(lambda: w.count > 20)
        # Here and below: request_timeout may have ended them, too.
        missed = took >= limit + SLOWER or w.slowest >= 1.5 * SLOWER or (
            late and any(r.status == 504 for r in got))
        return victim, first, got, took, gone, w, s.log(), missed


def test_stuck(klass):
    limit, beside = 1, 0 if klass == "sync" else 3
    for _ in range(5):
        victim, first, got, took, gone, w, log, missed = stuck(klass, beside,
                                                               limit)
        if not missed:
            break
    is_(first.status, 504, klass + ", stuck: 504")
    ok(limit - 0.2 < took < limit + SLOWER,
       klass + ", stuck: at the limit", "%.2f s" % took)
    is_([(r.status, r.body) for r in got], [(200, b"%d" % victim)] * beside,
        klass + ", stuck: the %d beside it: 200" % beside)
    # Long before graceful_timeout.
    ok(gone, klass + ", stuck: its worker is gone then")
    note("%s: 504 after %.2f s, worker gone after %.2f s; %d requests "
         "meanwhile, the slowest took %.3f s, never fewer than %d workers"
         % (klass, took, gone, w.count, w.slowest, w.least))
    ok(w.least >= 2, klass + ", stuck: never fewer workers than configured",
       w.least)
    ok(not w.bad and w.slowest < 1.5 * SLOWER,
       klass + ", stuck: all others are served, soon",
       "%s, %.2f s" % (w.bad[:3], w.slowest))
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
        self.c = Fcgi(address)
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
    guard(int(os.environ.get("T_GUARD", "600")))
    only = sys.argv[1:]
    groups = (
        ("stuck", test_stuck, "sync"), ("stuck", test_stuck, "gthread"),
        ("queue", test_queue, "gthread", 2, "--reuse-port"),
        ("queue", test_queue, "sync", 2),
        ("queue", test_queue, "gthread", 1),
        ("queue", test_queue, "sync", 1),
        ("queue_fcgi", test_queue_fcgi), ("queue_off", test_queue_off),
        ("gone", test_gone, "http"), ("gone", test_gone, "fcgi"),
        ("idle", test_idle, "sync"), ("idle", test_idle, "gthread"),
        ("idle", test_idle, "sync", "--reuse-port"))
    together([group for name, *group in groups if not only or name in only])
    done()


if __name__ == "__main__":
    main()
