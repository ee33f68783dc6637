#!/usr/bin/python3
"""Everything at once, under constant load, and counted.

64 connections, half of them kept and half new for each request, of which one
in twenty takes 200 ms and the others 1 ms; nothing is tried twice. Through
HUPs, TTIN and TTOU, hand-overs by USR2 and max_requests not one request may
fail; by `kill -9` of workers, one for each connection that they held. At last
the leaks: what the manager has after very many recycles.

T_SECONDS below 60 (`make check`) is a short form; `make soak`, or an argument
--full, is the long one: 20 HUPs, 20 pairs of TTIN and TTOU, 5 hand-overs (and
2 that are taken back) and 50,000 requests in each of four configurations, 50 kills, 1,000 recycles.
"""
import collections
import os
import random
import re
import select
import signal
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import alive, children, fd_count, processes, tmpdir
from server import SLOWER, Server
from tap import attempt, done, guard, note, ok
from wait import wait_for

FULL = ("--full" in sys.argv
        or float(os.environ.get("T_SECONDS", "5")) >= 60)
HUPS, PAIRS, HANDOVERS, ROLLBACKS, REQUESTS = (
    (20, 20, 5, 2, 50000) if FULL else (1, 1, 1, 1, 500))
KILLS, RECYCLES = (50, 1000) if FULL else (3, 40)
CONNECTIONS = 64
PATIENCE = 30 * SLOWER


class Client:
    """One connection of the load, and what became of it."""

    def __init__(self, kept):
        self.kept = kept
        self.sock = None
        self.pid = 0            # who answered last on this connection

    def begin(self, load):
        """Send a request; on a new connection if there is none."""
        self.began = time.monotonic()
        self.buf = b""
        self.fresh = self.sock is None
        ms = 200 if random.random() < 0.05 else 1
        try:
            if self.fresh:
                self.pid = 0
                self.sock = socket.create_connection(load.address, 10)
                self.sock.setsockopt(socket.IPPROTO_TCP,
                                     socket.TCP_NODELAY, 1)
            self.sock.send(b"GET /%d HTTP/1.1\r\nHost: x\r\n%s\r\n" % (
                ms, b"" if self.kept else b"Connection: close\r\n"))
        except OSError as e:
            return load.failed(self, repr(e))
        load.poll.register(self.sock, select.EPOLLIN)
        load.by_fd[self.sock.fileno()] = self

    def readable(self, load):
        try:
            data = self.sock.recv(4096)
        except OSError as e:
            return load.failed(self, repr(e))
        if not data:
            return load.failed(self, "end after %r" % self.buf[:80])
        self.buf += data
        head, mark, body = self.buf.partition(b"\r\n\r\n")
        if not mark:
            return
        head = head.lower()
        m = re.search(rb"content-length: *(\d+)", head)
        if not m or len(body) < int(m.group(1)):
            return
        load.forget(self)
        if b" 200 " not in head[:20] or len(body) != int(m.group(1)):
            return load.failed(self, repr(self.buf[:200]))
        self.pid = int(body)
        load.pids[self.pid] += 1
        load.worst = max(load.worst, time.monotonic() - self.began)
        if not self.kept or b"connection: close" in head:
            self.sock.close()
            self.sock = None


class Load(threading.Thread):
    """All clients, by one epoll; one that is answered asks again."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address = address
        self.poll = select.epoll()
        self.by_fd = {}
        self.pids = collections.Counter()
        self.failures = []      # when, kept, fresh, last pid, what, took
        self.worst = 0.0
        self.stop = False
        self.start()

    def forget(self, c):
        if self.by_fd.pop(c.sock.fileno(), None):
            self.poll.unregister(c.sock)

    def failed(self, c, what):
        now = time.monotonic()
        self.failures.append((now, c.kept, c.fresh, c.pid, what,
                              "%.2f s" % (now - c.began)))
        if c.sock is not None:
            self.forget(c)
            c.sock.close()
            c.sock = None

    def run(self):
        clients = [Client(i % 2 == 0) for i in range(CONNECTIONS)]
        last = time.monotonic()
        while not self.stop:
            busy = set(self.by_fd.values())
            for c in clients:
                if c not in busy:
                    c.begin(self)
            for fd, _ in self.poll.poll(1):
                self.by_fd[fd].readable(self)
            now = time.monotonic()
            if now - last > 5:
                last = now
                for c in list(self.by_fd.values()):
                    if now - c.began > PATIENCE:
                        self.failed(c, "no answer in %d s" % PATIENCE)
        # What was asked is answered still.
        end = time.monotonic() + PATIENCE
        while self.by_fd and time.monotonic() < end:
            for fd, _ in self.poll.poll(1):
                self.by_fd[fd].readable(self)
        for c in list(self.by_fd.values()):
            self.failed(c, "no answer at the end")

    def total(self):
        return sum(self.pids.values())

    def end(self):
        self.stop = True
        self.join(PATIENCE + 10)


def start(klass, port, *more):
    pidfile = os.path.join(tmpdir(), "pid")
    shape = (["-w", "8"] if klass == "sync"
             else ["-w", "4", "--threads", "16"])
    s = Server("sleepy:application", "-k", klass, *shape, *port, "-p",
               pidfile, "--graceful-timeout", "20", *more)
    s.pidfile, s.manager = pidfile, s.pid
    return s


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def hup(s):
    old = set(children(s.manager))
    os.kill(s.manager, signal.SIGHUP)
    return wait_for(lambda: not old & set(children(s.manager)), PATIENCE)


def pair(s):
    for sig in (signal.SIGTTIN, signal.SIGTTOU):
        n = len(re.findall("signal: tt", s.log()))
        os.kill(s.manager, sig)
        if not wait_for(lambda: len(re.findall("signal: tt", s.log())) > n,
                        PATIENCE):
            return False
        time.sleep(0.2)
    return True


def second(s):
    """The new manager, when it has its workers; 0 if it does not get so
    far."""
    os.kill(s.manager, signal.SIGUSR2)
    new = wait_for(lambda: read(s.pidfile + ".2"), PATIENCE)
    if not new or not wait_for(lambda: len(children(int(new))) >= 4,
                               PATIENCE):
        return 0
    return int(new)


def handover(s):
    new, old = second(s), s.manager
    if not new:
        return False
    s.manager = new
    os.kill(old, signal.SIGTERM)
    return wait_for(lambda: read(s.pidfile) == "%d\n" % new and (
        s.popen.poll() is not None if old == s.pid else not alive(old)),
        PATIENCE)


def rollback(s):
    """The new one is not wanted after all."""
    new = second(s)
    if not new:
        return False
    os.kill(new, signal.SIGTERM)
    return wait_for(lambda: not alive(new)
                    and not os.path.exists(s.pidfile + ".2"), PATIENCE)


def calm(klass, port):
    """Nothing that is asked for costs a request."""
    name = "%s%s" % (klass, ", reuse_port" if port else "")
    with start(klass, port, "--max-requests", "100",
               "--max-requests-jitter", "20") as s:
        load = Load(s.address)
        events = ([hup] * HUPS + [pair] * PAIRS + [handover] * HANDOVERS
                  + [rollback] * ROLLBACKS)
        random.shuffle(events)
        missed = [e.__name__ for e in events if not e(s)]
        while load.total() < REQUESTS and load.is_alive():
            time.sleep(0.2)
        load.end()
        note("%s: %d requests, %d workers, %d HUPs, %d pairs, %d "
             "hand-overs, %d taken back, worst %.0f ms, %d failed" % (
                 name, load.total(), len(load.pids), HUPS, PAIRS, HANDOVERS,
                 ROLLBACKS, load.worst * 1000, len(load.failures)))
        ok(not load.failures and load.total() >= REQUESTS,
           name + ": no request failed", "\n".join(map(
               str, load.failures[:8])) + s.log()[-1500:])
        ok(not missed, name + ": every signal was followed",
           "%s\n%s" % (missed, s.log()[-1500:]))
        ok("Traceback" not in s.log() and "SIGKILL" not in s.log(),
           name + ": nothing was torn down", s.log()[-1500:])
        totals["requests"] += load.total()
        totals["workers"] += len(load.pids)
        stop_all(s)


def stop_all(s):
    os.kill(s.manager, signal.SIGTERM)
    wait_for(lambda: not alive(s.manager), PATIENCE)


def killed(klass, port):
    """kill -9 costs what the worker held, and is told in a line."""
    name = "%s%s, killed" % (klass, ", reuse_port" if port else "")
    with start(klass, port, "--max-requests", "0") as s:
        load = Load(s.address)
        time.sleep(0.5)
        kills = {}
        while len(kills) < KILLS:
            victim = random.choice(children(s.pid) or [0])
            if victim in load.pids and victim not in kills:
                began = time.monotonic()
                os.kill(victim, signal.SIGKILL)
                wait_for(lambda: not alive(victim), PATIENCE)
                kills[victim] = began, time.monotonic()
            time.sleep(random.uniform(0.2, 0.6))
        time.sleep(1)
        load.end()
        strange = [f for f in load.failures if not (
            f[3] in kills or (f[3] == 0 and any(
                a <= f[0] < b + SLOWER for a, b in kills.values())))]
        held = collections.Counter(f[3] for f in load.failures if f[3])
        note("%s: %d requests, %d kills, %d failed (%d on kept "
             "connections), worst %.0f ms" % (
                 name, load.total(), len(kills), len(load.failures),
                 sum(held.values()), load.worst * 1000))
        ok(not strange, name + ": only what a killed worker held failed",
           strange[:8])
        ok(all(n <= CONNECTIONS // 2 for n in held.values()),
           name + ": once for each connection", held)
        wait_for(lambda: all("(pid:%d) was sent SIGKILL" % p in s.log()
                             for p in kills), PATIENCE)
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
                         read("/proc/%d/status" % pid)).group(1))


def shared_kb(pid):
    """Shared memory that has no file."""
    total = 0
    for line in read("/proc/%d/maps" % pid).splitlines():
        m = re.match(r"([0-9a-f]+)-([0-9a-f]+) ...s .*(/dev/zero|/memfd:|"
                     r"/dev/shm|/SYSV)", line)
        if m:
            total += int(m.group(2), 16) - int(m.group(1), 16)
    return total // 1024


def facts(s):
    return (fd_count(s.pid), shared_kb(s.pid),
            len(read("/proc/%d/maps" % s.pid).splitlines()))


def leaks():
    """Worker after worker, the manager stays as it was."""
    with start("gthread", [], "--max-requests", "20", "-w", "3",
               "--max-requests-jitter", "0") as s:
        load = Load(s.address)

        def until(n):
            return wait_for(lambda: s.log().count("Booting worker") >= n,
                            120 * SLOWER if not FULL else 900, 0.2)
        until(RECYCLES // 5)
        early, rss = facts(s), rss_kb(s.pid)
        until(RECYCLES)
        load.end()
        wait_for(lambda: len(children(s.pid)) == 3, PATIENCE)
        time.sleep(0.5)
        late, rss_late = facts(s), rss_kb(s.pid)

        def zombies():
            return [p for p, (parent, state) in processes().items()
                    if parent == s.pid and state == "Z"]
        note("leaks: %d recycles, %d requests, %d failed; manager's fds, "
             "shared KB, maps: %s then %s; its memory %d KB then %d KB" % (
                 s.log().count("Booting worker"), load.total(),
                 len(load.failures), early, late, rss, rss_late))
        ok(wait_for(lambda: not zombies(), PATIENCE), "no defunct process",
           zombies())
        ok(late[0] <= early[0], "the manager's descriptors", (early, late))
        ok(late[1] == early[1], "shared memory", (early, late))
        ok(rss_late <= rss + 128, "the manager's memory", (rss, rss_late))
        ok(not load.failures, "and no request failed", "%s\n%s" % (
            load.failures[:5], "\n".join(
                line for line in s.log().splitlines() if not re.search(
                    "Booting|exiting|Autorestarting", line))[-3000:]))


def main():
    guard(3600 if FULL else 180)
    for klass in ("gthread", "sync"):
        for port in ([], ["--reuse-port"]):
            attempt(calm, klass, port)
    note("together: %d requests, %d workers" % (
        totals["requests"], totals["workers"]))
    if FULL:
        ok(totals["requests"] >= 200000 and totals["workers"] >= 500,
           "enough of both", totals)
    for klass in ("gthread", "sync"):
        for port in ([], ["--reuse-port"]):
            attempt(killed, klass, port)
    attempt(leaks)
    done()


totals = collections.Counter()
if __name__ == "__main__":
    main()
