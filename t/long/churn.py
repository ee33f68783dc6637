#!/usr/bin/python3
"""Load while workers come and go; not one request may fail.

Clients that keep their connection, clients that make a new one for each
request, and a FastCGI client; none of them tries anything twice. Workers are
recycled by max_requests, replaced by HUP, added and removed by TTIN and TTOU,
with reuse_port off and on. T_SECONDS (or the first argument) is how long each
of them takes: 5 for `make check`, more for `make soak`.
"""
import collections
import os
import signal
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import pss_kb, tree
from server import IS_GANGWAY, SLOWER, Server
from tap import attempt, done, guard, note, ok
from wait import wait_for
from wire import Broken, Fcgi, Http

SECONDS = float(sys.argv[1] if len(sys.argv) > 1
                else os.environ.get("T_SECONDS", "5"))


class Load:
    """Clients in threads; counts answers by worker, and failures."""

    def __init__(self, server):
        self.server = server
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.pids = collections.Counter()
        self.failures = collections.Counter()
        self.examples = []
        self.worst = 0.0
        clients = [self.kept] * 4 + [self.new] * 3
        if "fcgi" in server.protocols:
            clients += [self.fcgi]
        self.threads = [threading.Thread(target=c, daemon=True)
                        for c in clients]
        for t in self.threads:
            t.start()

    def one(self, kind, ask):
        """Run one request; may its connection be used again?"""
        t0 = time.monotonic()
        try:
            r = ask()
            if r is None or r.status != 200 or not r.complete:
                raise Broken(repr(r))
            pid = int(r.body.split()[-1])
        except (OSError, Broken, ValueError) as e:
            with self.lock:
                self.failures[kind + " " + type(e).__name__] += 1
                self.examples.append("%s: %r" % (kind, e))
            return False
        with self.lock:
            self.pids[pid] += 1
            self.worst = max(self.worst, time.monotonic() - t0)
        return r["connection"].lower() != "close"

    def kept(self):
        while not self.stop.is_set():
            with Http(self.server.address) as c:
                while not self.stop.is_set() and self.one(
                        "kept", lambda: c.get("/k")):
                    pass

    def new(self):
        while not self.stop.is_set():
            with Http(self.server.address) as c:
                self.one("new", lambda: c.get("/n", "Connection: close\r\n"))

    def fcgi(self):
        address = self.server.addresses[self.server.protocols.index("fcgi")]
        while not self.stop.is_set():
            try:
                c = Fcgi(address)
            except OSError as e:
                with self.lock:
                    self.failures["fcgi connect"] += 1
                    self.examples.append(repr(e))
                continue
            with c:
                for _ in range(500):
                    if self.stop.is_set() or not self.one(
                            "fcgi", lambda: c.request("/f")):
                        break
                    # The server may end a kept connection between two
                    # requests: FastCGI has no word to announce it.
                    c.sock.settimeout(0)
                    try:
                        if not c.sock.recv(1, socket.MSG_PEEK):
                            break
                    except BlockingIOError:
                        pass
                    except OSError:
                        break
                    c.sock.settimeout(10)

    def end(self, name, fewest_pids=0):
        self.stop.set()
        for t in self.threads:
            t.join(20)
        total = sum(self.pids.values())
        note("%s: %d requests, %d workers, worst %.0f ms, %s" % (
            name, total, len(self.pids), self.worst * 1000,
            dict(self.failures) or "no failure"))
        ok(not self.failures and total > 0, name + ": no request failed",
           "\n".join(self.examples[:8]))
        ok(len(self.pids) > fewest_pids,
           "%s: more than %d workers served" % (name, fewest_pids),
           len(self.pids))
        ok(not any(t.is_alive() for t in self.threads),
           name + ": no request hangs")


def recycle(s, seconds):
    time.sleep(seconds)


def hup(s, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        old = set(s.workers())
        s.send_signal(signal.SIGHUP)
        # A second one meanwhile would end this reload, not begin another.
        wait_for(lambda: not old & set(s.workers()), 20 * SLOWER, 0.05)
        time.sleep(0.3)


def scale(s, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for sig in (signal.SIGTTIN, signal.SIGTTIN,
                    signal.SIGTTOU, signal.SIGTTOU):
            s.send_signal(sig)
            time.sleep(0.3)


def churn(name, what, klass, args, fewest):
    binds = ("http", "fcgi") if IS_GANGWAY else ("http",)
    with Server("hello:application", "-w", "3", "-k", klass, "--threads",
                "4", "--graceful-timeout", "10", *args, binds=binds) as s:
        load = Load(s)
        what(s, SECONDS)
        load.end(name, fewest)
        if what is recycle and SECONDS > 30:
            note("%s: %d KB at the end" % (name, pss_kb(tree(s.pid))))
        ok(s.popen.poll() is None, name + ": the manager is there",
           s.log()[-1500:])
        ok("Traceback" not in s.log(), name + ": nothing raised",
           s.log()[-3000:])


def main():
    guard(int(SECONDS * 12 + 60))
    limits = ["--max-requests", "50", "--max-requests-jitter", "10"]
    for port in ([], ["--reuse-port"]):
        title = "reuse_port " + ("on" if port else "off")
        for klass in ("gthread", "sync") if SECONDS > 30 else ("gthread",):
            name = "%s, %s" % (title, klass)
            attempt(churn, name + ", max_requests", recycle, klass,
                    port + limits, 6)
            attempt(churn, name + ", HUP", hup, klass, port, 5)
            attempt(churn, name + ", TTIN and TTOU", scale, klass, port, 3)
    done()


if __name__ == "__main__":
    main()
