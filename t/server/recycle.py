#!/usr/bin/python3
"""Workers that have served for long enough, or that never get so far: the
limits on memory, age and start, the pause between recycles, and the end of
graceful_timeout for those that do not listen. Nobody who asks may notice.
"""
import os
import re
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import Process, alive, free_port, tmpdir
from server import APPS, SLOWER, Server, find_program
from tap import done, guard, is_, ok, together
from wait import holds, pace, wait_for, wait_gone
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
                with self.server.http() as c:
                    r = c.get(self.target)
                if r.status != 200:
                    self.bad.append(r)
                self.seen.setdefault(int(r.body), time.monotonic())
            except (OSError, Broken, ValueError) as e:
                self.bad.append(e)
            self.count += 1
            pace(0.01)


def pid_of(s):
    try:
        with s.http() as c:
            return int(c.get("/pid").body)
    except (OSError, Broken, ValueError):
        return None


BOOTED = re.compile(r"Booting worker with pid: (\d+)")


def booted(s):
    return len(BOOTED.findall(s.log()))


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
        s.wait_workers(2)
        with Load(s) as load:
            with s.http() as c:
                large = int(c.get("/grow/%d" % (mb + 10)).body)
            ok(wait_gone(large), klass + ", max_rss: the large one is "
               "replaced")
            ok(s.wait_workers(2), klass + ", max_rss: by another")
            # Not again and again: it looks once a second.
            holds(lambda: booted(s) == 3, 1.2)
            is_(booted(s), 3, klass + ", max_rss: and no other is")
            wait_for(lambda: load.count > 50)
        ok(load.count > 50 and not load.bad,
           klass + ", max_rss: no request is lost", load.bad[:3])
        ok("Worker (pid:%d) has " % large in s.log()
           and "MB of memory (max_rss)" in s.log(),
           klass + ", max_rss: a line says why", s.log()[-1500:])


def test_lifetime():
    with Server("greedy:application", "-w", "2", "--max-requests", "0",
                "--max-lifetime", "1", "--max-lifetime-jitter", "0") as s:
        with Load(s) as load:
            ok(wait_for(lambda: booted(s) >= 6),
               "max_lifetime: workers are replaced, over and over")
            # At one moment, which a look into /proc is not.
            ok(len(s.status()["workers"]) >= 2,
               "max_lifetime: never fewer than asked")
            wait_for(lambda: load.count > 50)
        ok(not load.bad, "max_lifetime: no request is lost", load.bad[:3])
        ok("has served for 1 s (max_lifetime)" in s.log(),
           "max_lifetime: a line says why")


def test_jitter():
    """Between one and three seconds, each for itself."""
    lives, over = {}, set()

    def watch():
        found = s.status()["workers"]
        for w in found:
            if w["state"] == "ready" and not w["replace"]:
                lives[w["pid"]] = w["uptime"] or 0
        over.update(p for p in lives if p not in [
            w["pid"] for w in found if w["state"] == "ready"
            and not w["replace"]])
        ended = [lives[p] for p in over]
        # All twelve alike, to that degree: four times in ten millions.
        return ended and max(ended) - min(ended) > 0.4 or len(ended) >= 12
    with Server("greedy:application", "-w", "4", "--max-lifetime", "2",
                "--max-lifetime-jitter", "1") as s:
        wait_for(watch, step=0.05)
        ended = [lives[p] for p in over]
        ok(ended and max(ended) - min(ended) > 0.4,
           "max_lifetime_jitter: they do not leave together", ended)


def test_pause():
    with Server("greedy:application", "-w", "3", "--max-requests", "0",
                "--max-lifetime", "1", "--max-lifetime-jitter", "0",
                "--recycle-pause", "1") as s:
        log = s.wait_log(BOOTED, 3)
        first, start, born = set(BOOTED.findall(log)[:3]), born_at(s.pid), {}

        def watch():
            for p in s.workers():
                if str(p) in first or p in born:
                    continue
                at = born_at(p)
                if at is not None:
                    born[p] = at
            return len(born) >= 3
        with Load(s) as load:
            wait_for(watch)
            after = [at - start for at in sorted(born.values())]
            # The first when it has served for 1 s. Ticks are hundredths.
            ok(len(after) >= 3 and all(
                after[i] > 1 + i - 0.05 for i in range(3)),
               "recycle_pause: one at a time, 1 s between them", after)
        is_(load.bad, [], "recycle_pause: no request is lost")


def test_long_pause():
    with Server("greedy:application", "-w", "3", "--max-requests", "10",
                "--max-requests-jitter", "0", "--recycle-pause", "600") as s:
        with Load(s, 4) as load:
            ok(s.wait_log("Autorestarting", 3), "recycle_pause: all three "
               "have had max_requests", s.log()[-800:])
            n = load.count
            wait_for(lambda: load.count > n + 100)
        is_(booted(s), 4, "recycle_pause: one is replaced, the others serve")
        is_(load.bad, [], "recycle_pause: no request is lost, max_requests")
        os.kill(max(s.workers()), signal.SIGKILL)
        ok(wait_for(lambda: booted(s) > 4),
           "recycle_pause: a death is made good at once")


# --- the start

def test_stuck_start(deaf):
    name = "boot_timeout" + (", deaf" if deaf else "")
    flag = os.path.join(tmpdir(), "stick")
    open(flag, "w").close()
    for _ in range(5):      # the machine may be busy once
        with Process([find_program(), "-b", "127.0.0.1:%d" % free_port(),
                      "-w", "2", "--boot-timeout", str(SLOWER),
                      "greedy:application"],
                     env={"T_BOOT": flag, "T_DEAF": deaf}, cwd=APPS) as p:
            t0 = time.monotonic()
            status = p.wait()
            took = time.monotonic() - t0
            log = p.log()
        # It may not even have come so far as to be stuck.
        if status != 3 or (took < 5 * SLOWER and (deaf or "in stick" in log)):
            break
    is_(status, 3, name + ": at the first start: exit 3")
    ok(took < 5 * SLOWER, name + ": in time", "%.1f s" % took)
    ok("was not ready in time (boot_timeout)" in log
       and "Worker failed to boot." in log, name + ": the log says so", log)
    if not deaf:
        ok('greedy.py", line' in log and "in stick" in log,
           name + ": and where it was stuck", log)


def started(*args, **more):
    """A server whose boot_timeout is short: on a busy machine, once more."""
    for _ in range(4):
        s = Server(*args, wait=False, **more)
        if s.wait_ready() and s.wait_workers(2):
            return s
        s.stop()
    return Server(*args, **more)


def test_boot():
    flag = os.path.join(tmpdir(), "stick")
    with started("greedy:application", "-w", "2", "--max-requests", "0",
                 "--boot-timeout", str(2 * SLOWER),
                 env={"T_BOOT": flag}) as s:
        old = set(s.wait_workers(2))
        with Load(s) as load:
            open(flag, "w").close()
            s.send_signal(signal.SIGHUP)
            ok(s.wait_log("Reload abandoned"),
               "boot_timeout: a reload that hangs is abandoned",
               s.log()[-1500:])
            ok(wait_for(lambda: set(s.workers()) == old),
               "boot_timeout: the old ones serve on", s.workers())
            is_(load.bad, [], "boot_timeout: nobody notices")
        victim = min(old)
        os.kill(victim, signal.SIGKILL)
        ok(s.wait_log("boot_timeout", 3),
           "boot_timeout: a worker that hangs later is tried again")
        is_(pid_of(s), max(old), "boot_timeout: and the server goes on")
        os.unlink(flag)
        ok(wait_for(lambda: set(s.ready_workers()) - old)
           and set(s.wait_workers(2) or ()) - old,
           "boot_timeout: until it is well", s.log()[-1500:])


# --- the end

def deaf_end(how, klass):
    """(are all gone who should, how long did it take, does it go on?)"""
    with Server("greedy:application", "-w", "2", "-k", klass,
                "--graceful-timeout", "1", "--timeout", "600",
                "--request-timeout", "600", "--threads", "1") as s:
        everyone = s.wait_workers(2)
        held = [s.http() for _ in range(2)]
        for i, c in enumerate(held):    # each finds one that is free
            c.send(request("/deaf"))
            s.wait_running("/deaf", i + 1)
        t0, well = time.monotonic(), True
        if how == "stop":
            s.send_signal(signal.SIGTERM)
            well = s.wait() == 0
        elif how == "reload":
            s.send_signal(signal.SIGHUP)
            wait_for(lambda: not any(map(alive, everyone)))
        else:
            s.send_signal(signal.SIGTTOU)
            wait_for(lambda: sum(map(alive, everyone)) == 1)
        took = time.monotonic() - t0
        left = sum(map(alive, everyone))
        if how == "reload":
            well = pid_of(s) and len(s.wait_workers(2) or ()) == 2
        for c in held:
            c.close()
        return left, took, well


def test_deaf(klass, how):
    """graceful_timeout is the manager's: what a worker does about it, and
    what its signals say, does not matter."""
    name = "%s, deaf, %s" % (klass, how)
    for _ in range(5):      # the machine may be busy once
        left, took, well = deaf_end(how, klass)
        if took < 1 + 2 * SLOWER:
            break
    if how == "stop":
        ok(well, name + ": it ends, with 0")
    elif how == "reload":
        ok(well, name + ": it serves")
    is_(left, 1 if how == "fewer" else 0, name + ": they are gone")
    ok(took < 1 + 2 * SLOWER, name + ": within graceful_timeout",
       "%.1f s" % took)


def main():
    guard(int(os.environ.get("T_GUARD", "600")))
    only = sys.argv[1:]
    groups = (
        ("boot", test_boot), ("rss", test_rss, "sync"),
        ("rss", test_rss, "gthread"), ("pause", test_pause),
        ("lifetime", test_lifetime), ("lifetime", test_jitter),
        ("pause", test_long_pause), ("boot", test_stuck_start, ""),
        ("boot", test_stuck_start, "1"),
        *(("deaf", test_deaf, klass, how) for klass in ("sync", "gthread")
          for how in ("stop", "reload", "fewer")))
    together([group for name, *group in groups if not only or name in only],
             5)
    done()


if __name__ == "__main__":
    main()
