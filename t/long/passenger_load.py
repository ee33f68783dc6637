#!/usr/bin/python3
"""Load while processes come and go under a real Passenger; not one request
may fail.

Clients that keep their connection to Apache and clients that make a new one
for each request, while the application is restarted by tmp/restart.txt and
by passenger-config, detached, recycled by our max_requests, and while Apache
is restarted gracefully. T_SECONDS (or the first argument) is how long each
of them takes. T_DOORS=stock: the same with Passenger's own loader.
"""
import collections
import os
import re
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from apache import SLOWER, Apache, Site, board, cannot, missing
from tap import attempt, done, guard, note, ok, skip, skip_all
from wait import wait_for
from wire import Broken, Http

ACCESS = "tmp/access.log"
SECONDS = float(sys.argv[1] if len(sys.argv) > 1
                else os.environ.get("T_SECONDS", "3"))


class Load:
    """Clients in threads; counts answers by process, and failures.

    Apache itself closes kept connections when it is restarted, which it
    cannot announce: what was sent at that moment and got no byte is sent
    again, where closing is expected, and counted. So is what got no byte on
    a new connection, where it is Apache's loss: because it never reached the
    application, whose access log has all that did, or because Passenger's
    module crashes children of Apache's then; Apache's log says how many.
    """

    def __init__(self, server, closing):
        self.server, self.closing = server, closing
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.pids = collections.Counter()
        self.failures = collections.Counter()
        self.examples = []
        self.kinds = collections.Counter()
        self.worst = 0.0
        self.closed, self.silent, self.sent = 0, [], 0
        self.threads = [threading.Thread(target=c, daemon=True)
                        for c in [self.kept] * 4 + [self.new] * 3]
        for t in self.threads:
            t.start()

    def one(self, kind, c, headers="", first=True):
        t0 = time.monotonic()
        with self.lock:
            self.sent += 1
            target = "/hello?%d" % self.sent
        try:
            r = c.get(target, headers)
            if r.status != 200 or not r.complete:
                raise Broken(repr(r))
            pid = int(r.body.split()[-1])
        except (OSError, Broken, ValueError) as e:
            with self.lock:
                if self.closing and str(e) == "end after b''":
                    if first:
                        self.silent.append(target)
                    else:
                        self.closed += 1
                    return False
                self.failures[kind + " " + type(e).__name__] += 1
                self.examples.append("%s: %r" % (kind, e))
            return False
        with self.lock:
            self.kinds[kind] += 1
            self.pids[pid] += 1
            self.worst = max(self.worst, time.monotonic() - t0)
        return r["connection"].lower() != "close"

    def client(self):
        return Http(self.server.address, timeout=30 * SLOWER)

    def kept(self):
        while not self.stop.is_set():
            c, first = self.client(), True
            while not self.stop.is_set() and self.one(
                    "kept", c, first=first):
                first = False
            c.close()

    def new(self):
        while not self.stop.is_set():
            c = self.client()
            self.one("new", c, "Connection: close\r\n")
            c.close()

    def served(self):
        with self.lock:
            return sum(self.pids.values())

    def give_up(self):
        self.stop.set()
        for t in self.threads:
            t.join(40 * SLOWER)

    def end(self, name, times, fewest):
        self.give_up()
        total = sum(self.pids.values())
        note("%s: %d requests (%d on kept connections), %d times, %d "
             "workers, worst %.0f ms, %s" % (
                 name, total, self.kinds["kept"], times, len(self.pids),
                 self.worst * 1000, dict(self.failures) or "no failure"))
        ok(not self.failures and total > 0, name + ": no request failed",
           "\n".join(self.examples[:8]))
        if self.closing:
            crashes = self.server.log().count("exit signal")

            def logged():
                with open(os.path.join(self.server.sites[0].folder,
                                       ACCESS)) as f:
                    return set(re.findall(r"/hello\?\d+", f.read()))
            # The line is written when the answer has been sent.
            wait_for(lambda: len(logged()) >= total, 10 * SLOWER)
            reached = logged()
            lost = [one for one in self.silent if one in reached]
            note("%s: Apache closed %d of its connections, and %d of its "
                 "children crashed (%d requests without an answer, %d of "
                 "them had reached us)" % (
                     name, self.closed, crashes, len(self.silent), len(lost)))
            ok(len(lost) <= crashes and len(reached) >= total,
               name + ": or it was Apache's", (len(lost), len(reached)))
        ok(len(self.pids) >= fewest, "%s: at least %d workers served" % (
            name, fewest), len(self.pids))
        ok(not any(t.is_alive() for t in self.threads),
           name + ": no request hangs")


# --- what happens meanwhile: each does it once, and waits until it is so

def other_process(a, old, seconds=20):
    return wait_for(lambda: set(a.applications()) - set(old),
                    seconds * SLOWER, 0.05)


def restart_txt(a):
    old = a.applications()
    path = os.path.join(a.sites[0].folder, "tmp", "restart.txt")
    with open(path, "w"):
        pass
    # Its time stamp counts in seconds, and must differ.
    restart_txt.stamp = max(restart_txt.stamp + 1, int(time.time()))
    os.utime(path, (restart_txt.stamp, restart_txt.stamp))
    return other_process(a, old)


restart_txt.stamp = 0


def restart_app(a):
    old = a.applications()
    said = a.passenger("restart-app", a.sites[0].folder)
    return other_process(a, old) or note(said)


def detach(a):
    old = a.applications()
    for p in reversed(old):         # some of them may be leaving already
        said = a.passenger("detach-process", str(p))
        if "Could not" not in said:
            return other_process(a, old) or note(said)
    return note(said)


def graceful(a):
    return a.restart()


def churn(door, name, what, settings):
    """Passenger's module may crash Apache's own first process at a graceful
    restart: that run says nothing, and there are two more."""
    left = 3
    while not run(door, "%s, %s" % (door, name), what, settings, left):
        left -= 1


def run(door, name, what, settings, left):
    """False, without a test: Apache has crashed."""
    folder = board(door, "hello:application", ["hello.py"],
                   {"gangway": settings})
    with Apache(Site(folder, door), conf="PassengerStatThrottleRate 0",
                mpm="mpm_prefork" if what is graceful else "mpm_event") as a:
        # A process must be there before it can be replaced.
        a.http(timeout=30 * SLOWER).get("/hello")
        first = a.applications()
        load = Load(a, what is graceful)
        end, times, fine = time.monotonic() + SECONDS, 0, True

        def go_on():
            if what is not None:
                return time.monotonic() < end or times == 0
            return time.monotonic() < end or (
                len(load.pids) < 5
                and time.monotonic() < end + 30 * SLOWER)
        while go_on():
            if what is None:
                time.sleep(0.1)
            elif not what(a):
                fine = False
                break
            times += 1
            # Each of them must see traffic.
            before = load.served()
            wait_for(lambda: load.served() > before + 100, 5 * SLOWER)
        if a.popen.poll() is not None and a.popen.returncode < 0 and left > 1:
            load.give_up()
            note("%s: Apache died of signal %d\n%s" % (
                name, -a.popen.returncode, a.log()[-1500:]))
            return False
        if what is None:
            times = 0
            ok(a.applications() == first, name + ": in the same process")
        load.end(name, times, times or 5)
        ok(fine, name + ": each one happened", (a.popen.poll(),
                                                a.log()[-3000:]))
        ok(a.stop(), name + ": stops, nothing is left")
        ok("Traceback" not in a.log(), name + ": nothing raised",
           a.log()[-3000:])
    return True


def main():
    why = missing()
    if why:
        skip_all(why)
    guard(int(SECONDS * 20 + 120))
    doors = [d for d in os.environ.get("T_DOORS", "").split(",") if d]
    quick = {"threads": 8}      # all clients find room in one process
    for door in doors or ("A exec", "A inside"):
        if cannot(door):
            skip("%s: %s" % (door, cannot(door)))
            continue
        for name, what, settings in (
                ("restart.txt", restart_txt, quick),
                ("restart-app", restart_app, quick),
                ("detach-process", detach, quick),
                ("Apache's graceful restart", graceful, dict(
                    quick, accesslog=ACCESS)),
                ("max_requests", None, dict(
                    quick, max_requests=50, max_requests_jitter=10))):
            if door != "stock" or what:
                attempt(churn, door, name, what, settings)
    done()


if __name__ == "__main__":
    main()
