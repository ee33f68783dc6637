#!/usr/bin/python3
"""Everything at once, under constant load, and counted.

64 connections (32 in `make check`), half of them kept and half new for each
request, of which one in twenty takes 200 ms and the others 1 ms; nothing is
tried twice. Through HUPs, TTIN and TTOU, hand-overs by USR2 and max_requests
not one request may fail; by `kill -9` of workers, one for each connection
that they held. At last the leaks: what the manager has after very many
recycles.

Without T_SECONDS (`make check`) each thing is done as often as shows it;
with it (`make soak`) all of them last so many seconds, one after the other;
an argument --full asks for 20 HUPs, 20 pairs of TTIN and TTOU, 5 hand-overs
(and 2 that are taken back) and 50,000 requests in each of four
configurations, 50 kills and 1,000 recycles, however long they take.
"""
import collections
import os
import random
import re
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from load import Load, figures, totals
from process import fd_count, processes, tmpdir
from server import Server
from tap import done, guard, note, ok, together
from wait import text_of, wait_for, wait_gone, wait_text

FULL = "--full" in sys.argv
SECONDS = float(os.environ.get("T_SECONDS", "0"))
LONG = FULL or SECONDS > 0
HUPS, PAIRS, HANDOVERS, ROLLBACKS, REQUESTS = (
    (20, 20, 5, 2, 50000) if FULL else (1, 1, 1, 1, 500))
KILLS, RECYCLES = (50, 1000) if FULL else (3, 40)
CONNECTIONS = 64 if LONG else 32
SHARE = SECONDS / 9     # there are nine groups


def path():
    return "/200" if random.random() < 0.05 else "/1"


def load_of(s, connections=CONNECTIONS):
    return Load(s, connections // 2, connections // 2, path=path,
                pause=0 if LONG else 0.02)


class Crew(Server):
    """.manager is who manages now, .n how many workers there are to be."""

    def __init__(self, klass, *more):
        self.pidfile = os.path.join(tmpdir(), "pid")
        self.n = (4 if klass == "gthread" else 8) if LONG else 2
        threads = [] if klass == "sync" else ["--threads", "16"]
        super().__init__(
            "sleepy:application", "-k", klass, "-w", self.n, *threads,
            "-p", self.pidfile, "--graceful-timeout", "60", *more)
        self.manager = self.pid

    def pids(self):
        return [w["pid"] for w in wait_for(
            lambda: self.status()["workers"])]

    def end(self):
        """Whoever manages now."""
        os.kill(self.manager, signal.SIGTERM)
        return wait_gone(self.manager)


def hup(s, load):
    old = s.pids()
    os.kill(s.manager, signal.SIGHUP)
    return all(wait_gone(pid) for pid in old)


def pair(s, load):
    """One more, in the slot above the others, and one fewer."""
    def slot(state):
        return any(w["slot"] == s.n and (not state or w["state"] == state)
                   for w in s.status()["workers"])

    def wanted(n):
        return wait_for(lambda: s.status().get("wanted") == n)
    os.kill(s.manager, signal.SIGTTIN)
    there = wanted(s.n + 1) and wait_for(lambda: slot("ready"))
    os.kill(s.manager, signal.SIGTTOU)
    return there and wanted(s.n) and wait_for(lambda: not slot(None))


def parent(pid):
    found = re.search(r"^PPid:\s*(\d+)", text_of("/proc/%d/status" % pid),
                      re.M)
    return int(found[1]) if found else 0


def second(s, load):
    """The new manager, when a worker of its own has answered; 0 if it does
    not get so far."""
    known = set(load.pids)
    os.kill(s.manager, signal.SIGUSR2)
    new = wait_for(lambda: text_of(s.pidfile + ".2"))
    if not new or not wait_for(lambda: any(
            parent(pid) == int(new) for pid in set(load.pids) - known)):
        return 0
    return int(new)


def handover(s, load):
    new, old = second(s, load), s.manager
    if not new:
        return False
    s.manager = new
    os.kill(old, signal.SIGTERM)
    return wait_gone(old) and wait_text(s.pidfile, "%d\n" % new)


def rollback(s, load):
    """The new one is not wanted after all."""
    new = second(s, load)
    if not new:
        return False
    os.kill(new, signal.SIGTERM)
    return wait_gone(new) and wait_for(
        lambda: not os.path.exists(s.pidfile + ".2"))


def calm(klass, port):
    """Nothing that is asked for costs a request."""
    name = "%s%s" % (klass, ", reuse_port" if port else "")
    with Crew(klass, *port, "--max-requests", "100",
              "--max-requests-jitter", "20") as s:
        end = time.monotonic() + SHARE
        load = load_of(s)
        load.more(1)
        missed, counts = [], collections.Counter()
        events = ([hup] * HUPS + [pair] * PAIRS + [handover] * HANDOVERS
                  + [rollback] * ROLLBACKS)
        random.shuffle(events)
        while events and not missed:
            event = events.pop()
            counts[event.__name__] += 1
            if not event(s, load):
                missed.append(event.__name__)
            if not events and time.monotonic() < end:
                events = random.sample([hup, pair, handover, rollback], 4)
        load.wait_total(REQUESTS)
        answered = load.end(name, recycles=s.log().count("Autorestarting"),
                            **counts)
        ok(answered and not load.failures and load.total() >= REQUESTS,
           name + ": no request failed", "\n".join(map(
               str, load.failures[:8])) + s.log()[-1500:])
        ok(not missed, name + ": every signal was followed",
           "%s\n%s" % (missed, s.log()[-1500:]))
        ok("Traceback" not in s.log() and "SIGKILL" not in s.log(),
           name + ": nothing was torn down", s.log()[-1500:])
        s.end()


def killed(klass, port):
    """kill -9 costs what the worker held, and is told in a line."""
    name = "%s%s, killed" % (klass, ", reuse_port" if port else "")
    with Crew(klass, *port, "--max-requests", "0") as s:
        end = time.monotonic() + SHARE
        load = load_of(s)
        kills = {}      # pid: (the round before it died, the last one after)

        def candidates():
            return [pid for pid in s.ready_workers() if pid in load.pids]
        while len(kills) < KILLS or time.monotonic() < end:
            # All ask, and some are answered.
            load.more(CONNECTIONS)
            victim = random.choice(wait_for(candidates) or [0])
            if victim == 0:
                break
            began = load.rounds
            os.kill(victim, signal.SIGKILL)
            wait_gone(victim)
            # The round that runs now may have looked before; the next one
            # sees all of it.
            kills[victim] = began, load.rounds + 1
        load.more(CONNECTIONS)
        answered = load.end(name, kills=len(kills))
        strange = [f for f in load.failures if not (
            f.pid in kills or (f.pid == 0 and any(
                a <= f.round <= b for a, b in kills.values())))]
        held = collections.Counter(f.pid for f in load.failures if f.pid)
        ok(answered and not strange and len(kills) >= KILLS,
           name + ": only what a killed worker held failed", strange[:8])
        ok(all(n <= CONNECTIONS // 2 for n in held.values()),
           name + ": once for each connection", held)
        wait_for(lambda: all("(pid:%d) was sent SIGKILL" % p in s.log()
                             for p in kills))
        lines = collections.Counter(re.findall(
            r"Worker \(pid:(\d+)\) was running: ", s.log()))
        ended = collections.Counter(re.findall(
            r"Worker \(pid:(\d+)\) was sent SIGKILL", s.log()))
        ok(all(ended[str(p)] == 1 for p in kills),
           name + ": each is in the log", ended)
        ok(all(n == 1 for n in lines.values())
           and set(lines) <= {str(p) for p in kills},
           name + ": its requests in one line", lines)
        note("%s: %d of %d were running something" % (
            name, len(lines), len(kills)))
        if FULL:
            ok(len(lines) >= len(kills) * 3 // 4,
               name + ": most were busy", len(lines))


# --- leaks

def rss_kb(pid):
    """Its own: the board's pages count as they are touched."""
    return int(re.search(r"RssAnon:\s*(\d+)",
                         text_of("/proc/%d/status" % pid)).group(1))


def shared_kb(pid):
    """Shared memory that has no file."""
    total = 0
    for line in text_of("/proc/%d/maps" % pid).splitlines():
        m = re.match(r"([0-9a-f]+)-([0-9a-f]+) ...s .*(/dev/zero|/memfd:|"
                     r"/dev/shm|/SYSV)", line)
        if m:
            total += int(m.group(2), 16) - int(m.group(1), 16)
    return total // 1024


def facts(s):
    return (fd_count(s.pid), shared_kb(s.pid),
            len(text_of("/proc/%d/maps" % s.pid).splitlines()))


def leaks():
    """Worker after worker, the manager stays as it was."""
    with Crew("gthread", "--max-requests", "20", "-w", "3",
              "--max-requests-jitter", "0") as s:
        end = time.monotonic() + SHARE
        load = load_of(s, CONNECTIONS if LONG else 8)

        def age():
            """How many workers there have been: from the log, for each look
            at the status is memory that a sanitizer keeps."""
            return s.log().count("Booting worker")

        def until(n):
            return wait_for(lambda: age() >= n, 3600 if FULL else 600, 0.05)
        until(RECYCLES // 5)
        early, rss = facts(s), rss_kb(s.pid)
        enough = until(RECYCLES)
        while time.monotonic() < end:
            load.more(100)
        load.end("leaks", recycles=age())
        rss_late = rss_kb(s.pid)
        s.wait_workers(3)
        late = facts(s)

        def zombies():
            return [p for p, (parent, state) in processes().items()
                    if parent == s.pid and state == "Z"]
        note("leaks: manager's fds, shared KB, maps: %s then %s; its memory "
             "%d KB then %d KB" % (early, late, rss, rss_late))
        ok(wait_for(lambda: not zombies()), "no defunct process", zombies())
        # Who asked last for the status may still have one.
        ok(enough and wait_for(lambda: fd_count(s.pid) <= early[0]),
           "the manager's descriptors", (early, late))
        ok(late[1] == early[1], "shared memory", (early, late))
        ok(rss_late <= rss + 128, "the manager's memory", (rss, rss_late))
        ok(not load.failures, "and no request failed", "%s\n%s" % (
            load.failures[:5], "\n".join(
                line for line in s.log().splitlines() if not re.search(
                    "Booting|exiting|Autorestarting", line))[-3000:]))


def main():
    guard(int(SECONDS * 4) + (3600 if FULL else 900))
    both = [(klass, port) for klass in ("gthread", "sync")
            for port in ([], ["--reuse-port"])]
    together([(calm, *b) for b in both] + [(killed, *b) for b in both]
             + [(leaks,)], 1 if LONG else 3)
    if FULL:
        ok(totals["requests"] >= 200000 and totals["workers"] >= 500,
           "enough of both", totals)
    figures("soak")
    done()


if __name__ == "__main__":
    main()
