#!/usr/bin/python3
"""Workers that have served for long enough, or that never get so far: the
limits on memory, age and start, the pause between recycles, and the end of
graceful_timeout for those that do not listen. Nobody who asks may notice.
"""
import os
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import Process, alive, free_port, tmpdir
from server import APPS, SLOWER, Server, find_program
from tap import attempt, done, guard, is_, ok
from wait import wait_for
from wire import Broken, request


class Load:
    """Asks all the time, one connection a request; notes what went wrong,
    and which workers answered when."""

    def __init__(self, server, clients=2, target="/pid"):
        self.server, self.target = server, target
        self.bad, self.seen, self.count = [], {}, 0
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True)
                        for _ in range(clients)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()

    def run(self):
        while not self.over.is_set():
            try:
                with self.server.http(timeout=20) as c:
                    r = c.get(self.target)
                if r.status != 200:
                    self.bad.append(r)
                self.seen.setdefault(int(r.body), time.monotonic())
            except (OSError, Broken, ValueError) as e:
                self.bad.append(e)
            self.count += 1
            time.sleep(0.002)


def pid_of(s):
    try:
        with s.http(timeout=10) as c:
            return int(c.get("/pid").body)
    except (OSError, Broken, ValueError):
        return None


def settled(s, workers):
    """Wait until as many have answered; who they are."""
    seen = set()

    def look():
        seen.add(pid_of(s))
        seen.intersection_update(s.workers())
        return len(seen) >= workers
    wait_for(look, 10 * SLOWER)
    return seen


def booted(s):
    return s.log().count("Booting worker")


def born_at(pid):
    """When the kernel says it began, in seconds; None when it is gone."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            ticks = int(f.read().rpartition(")")[2].split()[19])
    except OSError:
        return None
    return ticks / os.sysconf("SC_CLK_TCK")


# --- memory and age

def test_rss(klass):
    mb = 150 if SLOWER == 1 else 600
    with Server("greedy:application", "-w", "2", "-k", klass,
                "--max-requests", "0", "--max-rss", "%dM" % mb) as s:
        wait_for(lambda: booted(s) == 2)
        with Load(s) as load:
            with s.http(timeout=20) as c:
                large = int(c.get("/grow/%d" % (mb + 10)).body)
            ok(wait_for(lambda: not alive(large), 15 * SLOWER),
               klass + ", max_rss: the large one is replaced")
            is_(len(s.workers()), 2, klass + ", max_rss: by another")
            # Not again and again.
            time.sleep(1.5)
            is_(booted(s), 3, klass + ", max_rss: and no other is")
        ok(load.count > 50 and not load.bad,
           klass + ", max_rss: no request is lost", load.bad[:3])
        ok("Worker (pid:%d) has " % large in s.log()
           and "MB of memory (max_rss)" in s.log(),
           klass + ", max_rss: a line says why", s.log()[-1500:])


def test_lifetime():
    with Server("greedy:application", "-w", "2", "--max-requests", "0",
                "--max-lifetime", "1", "--max-lifetime-jitter", "0") as s:
        with Load(s) as load:
            ok(wait_for(lambda: booted(s) >= 6, 15 * SLOWER),
               "max_lifetime: workers are replaced, over and over")
            ok(len(s.workers()) >= 2, "max_lifetime: never fewer than asked")
        ok(load.count > 50 and not load.bad,
           "max_lifetime: no request is lost", load.bad[:3])
        ok("has served for 1 s (max_lifetime)" in s.log(),
           "max_lifetime: a line says why")
    # Six: four might leave together once in two thousand times.
    with Server("greedy:application", "-w", "6", "--max-lifetime", "4",
                "--max-lifetime-jitter", "3") as s:
        t0 = time.monotonic()
        ends = []
        wait_for(lambda: booted(s) >= 6)

        def watch():
            n = s.log().count("(max_lifetime)")
            while len(ends) < n:
                ends.append(time.monotonic() - t0)
            return n >= 6
        wait_for(watch, 30 * SLOWER)
        ok(len(ends) >= 6 and ends[5] - ends[0] > 0.3,
           "max_lifetime_jitter: they do not leave together", ends)


def test_pause():
    with Server("greedy:application", "-w", "3", "--max-requests", "0",
                "--max-lifetime", "1", "--max-lifetime-jitter", "0",
                "--recycle-pause", "2") as s:
        wait_for(lambda: booted(s) >= 3)
        first, born = set(s.workers()), []

        def watch():
            new = set(s.workers()) - first - {p for p, _ in born}
            found = [(p, born_at(p)) for p in new]
            born.extend(sorted((b for b in found if b[1] is not None),
                               key=lambda b: b[1]))
            return len(born) >= 3
        with Load(s) as load:
            wait_for(watch, 15 * SLOWER)
            gaps = [b[1] - a[1] for a, b in zip(born, born[1:])]
            ok(len(gaps) >= 2 and min(gaps) > 1.8,
               "recycle_pause: one at a time, 2 s between them", gaps)
        is_(load.bad, [], "recycle_pause: no request is lost")
    with Server("greedy:application", "-w", "3", "--max-requests", "10",
                "--max-requests-jitter", "0", "--recycle-pause", "600") as s:
        with Load(s, 4) as load:
            ok(wait_for(lambda: s.log().count("Autorestarting") >= 3,
                        20 * SLOWER), "recycle_pause: all three have had "
               "max_requests", s.log()[-800:])
            n = load.count
            wait_for(lambda: load.count > n + 100, 20 * SLOWER)
        is_(booted(s), 4, "recycle_pause: one is replaced, the others serve")
        is_(load.bad, [], "recycle_pause: no request is lost, max_requests")
        os.kill(max(settled(s, 3)), signal.SIGKILL)
        ok(wait_for(lambda: booted(s) > 4, 5 * SLOWER),
           "recycle_pause: a death is made good at once")


# --- the start

def test_boot():
    flag = os.path.join(tmpdir(), "stick")
    open(flag, "w").close()
    for deaf in ("", "1"):
        name = "boot_timeout" + (", deaf" if deaf else "")
        with Process([find_program(), "-b", "127.0.0.1:%d" % free_port(),
                      "-w", "2", "--boot-timeout", str(SLOWER),
                      "greedy:application"],
                     env={"T_BOOT": flag, "T_DEAF": deaf}, cwd=APPS) as p:
            t0 = time.monotonic()
            is_(p.wait(15 * SLOWER), 3, name + ": at the first start: exit 3")
            ok(time.monotonic() - t0 < 5 * SLOWER, name + ": in time")
            log = p.log()
        ok("was not ready in time (boot_timeout)" in log
           and "Worker failed to boot." in log, name + ": the log says so",
           log)
        if not deaf:
            ok('greedy.py", line' in log and "in stick" in log,
               name + ": and where it was stuck", log)
    os.unlink(flag)
    with Server("greedy:application", "-w", "2", "--max-requests", "0",
                "--boot-timeout", str(2 * SLOWER), env={"T_BOOT": flag}) as s:
        old = settled(s, 2)
        with Load(s) as load:
            open(flag, "w").close()
            s.send_signal(signal.SIGHUP)
            ok(wait_for(lambda: "Reload abandoned" in s.log(), 15 * SLOWER),
               "boot_timeout: a reload that hangs is abandoned",
               s.log()[-1500:])
            ok(wait_for(lambda: set(s.workers()) == old, 5 * SLOWER),
               "boot_timeout: the old ones serve on", s.workers())
            is_(load.bad, [], "boot_timeout: nobody notices")
        victim = min(old)
        os.kill(victim, signal.SIGKILL)
        ok(wait_for(lambda: s.log().count("boot_timeout") >= 3, 20 * SLOWER),
           "boot_timeout: a worker that hangs later is tried again")
        is_(pid_of(s), max(old), "boot_timeout: and the server goes on")
        os.unlink(flag)
        ok(wait_for(lambda: len(s.workers()) == 2
                    and {pid_of(s) for _ in range(20)} - old, 15 * SLOWER),
           "boot_timeout: until it is well", s.log()[-1500:])


# --- the end

def test_deaf(klass):
    """graceful_timeout is the manager's: what a worker does about it, and
    what its signals say, does not matter."""
    for how in ("stop", "reload", "fewer"):
        name = "%s, deaf, %s" % (klass, how)
        with Server("greedy:application", "-w", "2", "-k", klass,
                    "--graceful-timeout", "2", "--timeout", "60",
                    "--request-timeout", "60", "--threads", "1") as s:
            everyone = settled(s, 2)
            held = [s.http(timeout=20) for _ in range(2)]
            for c in held:
                c.send(request("/deaf"))
            time.sleep(0.5)
            t0 = time.monotonic()
            if how == "stop":
                s.send_signal(signal.SIGTERM)
                is_(s.wait(15 * SLOWER), 0, name + ": it ends")
            elif how == "reload":
                s.send_signal(signal.SIGHUP)
                wait_for(lambda: not any(map(alive, everyone)), 15 * SLOWER)
                ok(pid_of(s) and len(s.workers()) == 2, name + ": it serves")
            else:
                s.send_signal(signal.SIGTTOU)
                wait_for(lambda: sum(map(alive, everyone)) == 1, 15 * SLOWER)
            took = time.monotonic() - t0
            left = sum(map(alive, everyone))
            is_(left, 1 if how == "fewer" else 0, name + ": they are gone")
            ok(took < 2 + 2 * SLOWER, name + ": within graceful_timeout",
               "%.1f s" % took)
            for c in held:
                c.close()


def main():
    guard(int(os.environ.get("T_GUARD", "180")))
    only = sys.argv[1:]
    for name, fn, *args in (
            ("rss", test_rss, "sync"), ("rss", test_rss, "gthread"),
            ("lifetime", test_lifetime), ("pause", test_pause),
            ("boot", test_boot), ("deaf", test_deaf, "sync"),
            ("deaf", test_deaf, "gthread")):
        if not only or name in only:
            attempt(fn, *args)
    done()


if __name__ == "__main__":
    main()
