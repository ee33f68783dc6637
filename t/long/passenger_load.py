#!/usr/bin/python3
"""Load while processes come and go under a real Passenger; not one request
may fail.

Clients that keep their connection to Apache and clients that make a new one
for each request, while the application is restarted by tmp/restart.txt and
by passenger-config, detached, recycled by our max_requests, and while Apache
is restarted gracefully. `make check` has a taste of it: each happens twice,
all at once, under clients that pause. T_SECONDS above 30 (`make soak`, or
the first argument) is how long each of them takes, one after the other and
as fast as it can; --full is 300. T_DOORS=stock: the same with Passenger's own
loader.
"""
import collections
import os
import re
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from apache import Aboard, Apache, cannot, missing, serve
from process import alive
from tap import done, guard, note, ok, skip, skip_all, together
from wait import PATIENCE, pace, wait_for
from wire import Broken, Http

HELLO = ("hello:application", ["hello.py"])
ACCESS = "tmp/access.log"
SECONDS = (300 if "--full" in sys.argv else float(
    sys.argv[1] if len(sys.argv) > 1 else os.environ.get("T_SECONDS", "0")))
FULL = SECONDS > 30
TIMES = 1 if FULL else 2        # at least so often
PAUSE = 0 if FULL else 0.01     # of each client
TRAFFIC = 100 if FULL else 20   # what each event must see of it


APACHES_500 = b"The server encountered an internal error or"


class Load:
    """Clients in threads; counts answers by process, and failures.

    Apache itself closes kept connections when it is restarted, which it
    cannot announce: what was sent at that moment and got no byte is sent
    again, where closing is expected, and counted. So is what got no byte on
    a new connection, or a 500 of Apache's own (an old child asks a Passenger
    that has gone), where it is Apache's loss: because it never reached the
    application, whose access log has all that did, or because Passenger's
    module crashes children of Apache's then; Apache's log says how many.
    """

    def __init__(self, site, closing):
        self.site, self.closing = site, closing
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
            if self.closing and r.status == 500 and APACHES_500 in r.body:
                with self.lock:
                    self.silent.append(target)
                return False
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
        return Http(self.site.address)

    def kept(self):
        while not self.stop.is_set():
            c, first = self.client(), True
            while not self.stop.is_set() and self.one(
                    "kept", c, first=first):
                first = False
                pace(PAUSE)
            c.close()

    def new(self):
        while not self.stop.is_set():
            c = self.client()
            self.one("new", c, "Connection: close\r\n")
            c.close()
            pace(PAUSE)

    def served(self):
        with self.lock:
            return sum(self.pids.values())

    def give_up(self):
        self.stop.set()
        for t in self.threads:
            t.join(PATIENCE)

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
            crashes = self.site.apache.log().count("exit signal")

            def logged():
                return set(re.findall(r"/hello\?\d+", self.site.read(ACCESS)))
            # The line is written when the answer has been sent.
            wait_for(lambda: len(logged()) >= total)
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

def other_process(a, old):
    return wait_for(lambda: set(a.processes()) - set(old), step=0.05)


def restart_txt(a):
    old = a.processes()
    path = os.path.join(a.folder, "tmp", "restart.txt")
    with open(path, "w"):
        pass
    # Its time stamp counts in seconds, and must differ.
    a.stamp = max(getattr(a, "stamp", 0) + 1, int(time.time()))
    os.utime(path, (a.stamp, a.stamp))
    return other_process(a, old)


def restart_app(a):
    old = a.processes()
    said = a.apache.passenger("restart-app", a.folder)
    return other_process(a, old) or note(said)


def detach(a):
    old = a.processes()
    for p in reversed(old):         # some of them may be leaving already
        said = a.apache.passenger("detach-process", str(p))
        if "Could not" not in said:
            return other_process(a, old) or note(said)
    return note(said)


def graceful(a):
    return a.apache.restart()


def nothing(a):
    """Workers are recycled by themselves."""
    pace(0.05)
    return True


def churn(a, name, what):
    """One kind of it, under load. None, without a test, where Apache has
    crashed; else the processes that are left."""
    # A process must be there before it can be replaced.
    a.get("/hello")
    first = a.processes()
    load = Load(a, what is graceful)
    end, times, fine = time.monotonic() + SECONDS, 0, True

    def go_on():
        return (time.monotonic() < end or times < TIMES
                or what is nothing and len(load.pids) < 5)
    while fine and go_on():
        fine = what(a)
        times += bool(fine)
        # Each of them must see traffic.
        before = load.served()
        wait_for(lambda: load.served() > before + TRAFFIC
                 or a.apache.popen.poll() is not None)
    died = a.apache.popen.poll()
    if died is not None and died < 0:
        load.give_up()
        note("%s: Apache died of signal %d\n%s" % (
            name, -died, a.apache.log()[-1500:]))
        return None
    if what is nothing:
        times = 0
        ok(a.processes() == first, name + ": in the same process")
    load.end(name, times, times or 5)
    ok(fine, name + ": each one happened", (died, a.apache.log()[-3000:]))
    return a.processes()


def case(name, what, **settings):
    """As serve() wants it."""
    def run(door):
        title = "%s, %s" % (door, name)
        # All clients find room in one process.
        a = Aboard(door, HELLO, threads=8, **settings)
        yield a
        left = churn(a, title, what)
        stopped = yield
        ended(a, title, stopped and left and not any(map(alive, left)))
    return run


def ended(a, name, stopped):
    ok(stopped, name + ": stops, nothing is left")
    text = a.apache.log() + a.read("tmp/gangway.log")
    ok("Traceback" not in text, name + ": nothing raised", text[-3000:])


def gracefully(door):
    """Passenger's module may crash Apache's own first process at a graceful
    restart: that run says nothing, and there are two more."""
    name = door + ", Apache's graceful restart"
    for _ in range(3):
        a = Aboard(door, HELLO, threads=8, accesslog=ACCESS)
        with Apache(a, conf="PassengerStatThrottleRate 0",
                    mpm="mpm_prefork") as apache:
            if churn(a, name, graceful) is not None:
                ended(a, name, apache.stop())
                return
    ok(False, name + ": Apache died three times")


def main():
    why = missing()
    if why:
        skip_all(why)
    guard(int(SECONDS * 20 + 900))
    doors = []
    for door in (os.environ.get("T_DOORS") or "A exec,A inside").split(","):
        if cannot(door):
            skip("%s: %s" % (door, cannot(door)))
        else:
            doors.append(door)
    cases = [(case(name, what, **settings), door) for door in doors
             for name, what, settings in (
                 ("restart-app", restart_app, {}),
                 ("detach-process", detach, {}),
                 ("max_requests", nothing, dict(
                     max_requests=50, max_requests_jitter=10)),
                 ("restart.txt", restart_txt, {}))
             if door != "stock" or what is not nothing]
    together([(gracefully, door) for door in doors] +
             [(serve, cases, 1 if FULL else 4, "PassengerStatThrottleRate 0")],
             1 if FULL else 3)
    done()


if __name__ == "__main__":
    main()
