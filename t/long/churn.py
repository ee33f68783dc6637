#!/usr/bin/python3
"""Load while workers come and go; not one request may fail.

Clients that keep their connection, clients that make a new one for each
request, and a FastCGI client; none of them tries anything twice. Workers are
recycled by max_requests, replaced by HUP, added and removed by TTIN and TTOU,
with reuse_port off and on. Without T_SECONDS (`make check`) each lasts until
enough workers have come and gone; with it (`make soak`) all of them last so
many seconds, worker class sync too.
"""
import os
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from load import Load, figures
from server import IS_GANGWAY, Server
from tap import done, guard, ok, together
from wait import measure, wait_for, wait_gone

SECONDS = float(sys.argv[1] if len(sys.argv) > 1
                else os.environ.get("T_SECONDS", "0"))
LONG = SECONDS > 0


def recycle(s, load):
    """max_requests does it."""
    load.more(100)


def hup(s, load):
    old = s.workers()
    s.send_signal(signal.SIGHUP)
    # A second one meanwhile would end this reload, not begin another.
    for pid in old:
        if not wait_gone(pid):
            raise RuntimeError("worker %d stays" % pid)


def scale(s, load):
    """Two more, which have answered, then two fewer."""
    for sig, n in ((signal.SIGTTIN, 4), (signal.SIGTTIN, 5),
                   (signal.SIGTTOU, 4), (signal.SIGTTOU, 3)):
        s.send_signal(sig)
        if not wait_for(lambda: len(s.workers()) == n, step=0.05):
            raise RuntimeError("there are not %d workers" % n)
        if n == 5:
            wait_for(lambda: set(s.workers()) <= set(load.pids), step=0.05)


def churn(name, what, klass, args, fewest, seconds):
    """What is done, until more than `fewest` workers have served, and so
    many seconds."""
    binds = ("http", "fcgi") if IS_GANGWAY else ("http",)
    with Server("hello:application", "-w", "3", "-k", klass, "--threads",
                "4", "--graceful-timeout", "60", *args, binds=binds) as s:
        load = Load(s, kept=4, new=3, fcgi=len(binds) - 1,
                    pause=0 if LONG else 0.002)
        end = time.monotonic() + seconds
        load.more(1)
        while (len(load.pids) <= fewest or time.monotonic() < end) \
                and not load.failures and load.is_alive():
            what(s, load)
        answered = load.end(name, recycles=s.log().count("Autorestarting"))
        ok(not load.failures and load.total() > 0,
           name + ": no request failed",
           "\n".join(map(str, load.failures[:8])))
        ok(len(load.pids) > fewest,
           "%s: more than %d workers served" % (name, fewest),
           len(load.pids))
        ok(answered, name + ": no request hangs")
        ok(s.popen.poll() is None, name + ": the manager is there",
           s.log()[-1500:])
        ok("Traceback" not in s.log(), name + ": nothing raised",
           s.log()[-3000:])


def stop_takes():
    """Seconds of a stop, while someone has connected and says nothing, and
    another has a kept connection that a worker was given by another."""
    with Server("hello:application", "-w", "2", "--graceful-timeout", "100",
                "--max-requests", "3", "--max-requests-jitter", "0") as s, \
            s.http() as kept, s.http() as silent:
        silent.open()
        first = kept.get("/").body.split()[-1]
        # Its worker leaves, and gives it away.
        while kept.get("/").body.split()[-1] == first:
            pass
        t0 = time.monotonic()
        s.send_signal(signal.SIGTERM)
        s.wait()
        return time.monotonic() - t0


def stop():
    took = measure(stop_takes, 20)
    ok(took < 20, "a stop waits for no silent client", "%.1f s" % took)


def main():
    guard(int(SECONDS * 4 + 600))
    limits = ["--max-requests", "50", "--max-requests-jitter", "10"]
    cases = []
    for port in ([], ["--reuse-port"]):
        title = "reuse_port " + ("on" if port else "off")
        for klass in ("gthread", "sync") if LONG else ("gthread",):
            name = "%s, %s" % (title, klass)
            cases += [
                (name + ", max_requests", recycle, klass, port + limits, 6),
                (name + ", HUP", hup, klass, port, 5),
                (name + ", TTIN and TTOU", scale, klass, port, 3)]
    groups = [(churn, *case, SECONDS / len(cases)) for case in cases]
    together(groups + [(stop,)], 1 if LONG else 3)
    figures("churn")
    done()


if __name__ == "__main__":
    main()
