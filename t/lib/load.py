"""The load of t/long: many clients in one thread, and what became of each
request.

Some keep their connection, some make a new one for each request, some speak
FastCGI. One that is answered asks again; nothing is tried twice, so that each
request that is lost is seen. figures() adds up what all loads of a test were.
"""
import array
import collections
import random
import re
import select
import socket
import struct
import threading
import time

from process import fd_count, pss_kb, tree
from tap import note
from wait import PATIENCE, pace, wait_for
from wire import END, STDOUT, connect, fcgi_request, nginx_params, request

KEPT, NEW, FCGI = "kept", "new", "fcgi"
FCGI_REQUESTS = 200     # then a FastCGI client goes, and comes again
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")

Failure = collections.namedtuple(
    "Failure", "kind fresh pid round what seconds")


class Client:
    """One connection, and what it waits for."""

    def __init__(self, kind, address):
        self.kind, self.address = kind, address
        self.sock = None
        self.pid = 0            # who answered last on this connection
        self.asked = 0          # how often on this connection

    def drop(self):
        if self.sock is not None:
            self.sock.close()
        self.sock, self.pid, self.asked = None, 0, 0

    def left(self):
        """A FastCGI server may end a kept connection between two requests:
        there is no word to announce it."""
        try:
            return not self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def ask(self, path):
        self.began, self.buf = time.monotonic(), b""
        if self.sock is not None and self.kind == FCGI and (
                self.asked >= FCGI_REQUESTS or self.left()):
            self.drop()
        self.fresh = self.sock is None
        if self.fresh:
            self.sock = connect(self.address)
            self.sock.setblocking(False)
        self.asked += 1
        if self.kind == FCGI:
            self.sock.send(fcgi_request(nginx_params(path)))
        else:
            self.sock.send(request(path, "Connection: close\r\n"
                                   if self.kind == NEW else ""))

    def answer(self):
        """(the body, may the connection stay?) when it is whole, else
        None; ValueError when it is none."""
        if self.kind == FCGI:
            return self.fcgi_answer()
        head, mark, body = self.buf.partition(b"\r\n\r\n")
        if not mark:
            return None
        head = head.lower()
        length = LENGTH.search(head)
        if b" 200 " not in head[:20] or not length:
            raise ValueError("answer %r" % self.buf[:200])
        more = int(length.group(1)) - len(body)
        if more < 0:
            raise ValueError("too much: %r" % self.buf[:400])
        return None if more else (
            body, self.kind == KEPT and b"\r\nconnection: close" not in head)

    def fcgi_answer(self):
        at, out = 0, b""
        while len(self.buf) - at >= 8:
            _, kind, _, n, pad, _ = struct.unpack_from(">BBHHBB", self.buf,
                                                       at)
            if len(self.buf) - at < 8 + n + pad:
                return None
            if kind == STDOUT:
                out += self.buf[at + 8:at + 8 + n]
            elif kind == END:
                head, _, body = out.partition(b"\r\n\r\n")
                if self.buf[at + 12] != 0 or (
                        b"status:" in head.lower()
                        and b"status: 200" not in head.lower()):
                    raise ValueError("answer %r" % self.buf[:200])
                return body, True
            at += 8 + n + pad
        return None


class Load(threading.Thread):
    """The clients of a server (by its first HTTP and first FastCGI address).
    `path` makes the path of each request; the body ends in the pid of who
    answered. `pause`: seconds between two looks at all connections, for a
    load that leaves the machine time."""

    def __init__(self, server, kept=0, new=0, fcgi=0, path=lambda: "/",
                 pause=0.0):
        super().__init__(daemon=True)
        where = dict(zip(server.protocols[::-1], server.addresses[::-1]))
        self.clients = [
            Client(kind, where["fcgi" if kind == FCGI else "http"])
            for kind, n in ((KEPT, kept), (NEW, new), (FCGI, fcgi))
            for _ in range(n)]
        self.server, self.path, self.pause = server, path, pause
        self.poll = select.epoll()
        self.waiting = {}               # fd: Client
        self.pids = collections.Counter()
        self.failures = []
        self.times = array.array("f")   # seconds of each that was answered
        self.rounds = 0                 # looks at all connections
        self.stop = False
        self.before = cost(server)
        self.start()

    def begin(self, c):
        try:
            c.ask(self.path())
        except OSError as e:
            return self.failed(c, repr(e))
        self.poll.register(c.sock, select.EPOLLIN)
        self.waiting[c.sock.fileno()] = c

    def forget(self, c):
        if c.sock is not None and self.waiting.pop(c.sock.fileno(), None):
            self.poll.unregister(c.sock)

    def failed(self, c, what):
        self.failures.append(Failure(c.kind, c.fresh, c.pid, self.rounds,
                                     what, time.monotonic() - c.began))
        self.forget(c)
        c.drop()

    def readable(self, c):
        try:
            data = c.sock.recv(65536)
            if not data:
                return self.failed(c, "end after %r" % c.buf[:80])
            c.buf += data
            answer = c.answer()
            if answer is None:
                return
            pid = int(answer[0].split()[-1])
        except (OSError, ValueError, IndexError) as e:
            return self.failed(c, repr(e))
        self.forget(c)
        c.pid = pid
        self.times.append(time.monotonic() - c.began)
        self.pids[pid] += 1
        if not answer[1]:
            c.drop()

    def turn(self):
        # Who is seen in this round may have failed before it, never after.
        self.rounds += 1
        for fd, _ in self.poll.poll(1):
            self.readable(self.waiting[fd])

    def run(self):
        last = time.monotonic()
        idle = list(self.clients)
        while not self.stop:
            random.shuffle(idle)
            for c in idle:
                self.begin(c)
            self.turn()
            if self.pause:
                pace(self.pause)
            busy = set(self.waiting.values())
            idle = [c for c in self.clients if c not in busy]
            now = time.monotonic()
            if now - last > 5:
                last = now
                self.late(now - PATIENCE)
        # What was asked is answered still.
        end = time.monotonic() + PATIENCE
        while self.waiting and time.monotonic() < end:
            self.turn()
        self.late(time.monotonic())

    def late(self, before):
        for c in list(self.waiting.values()):
            if c.began < before:
                self.failed(c, "no answer")

    def total(self):
        return len(self.times)

    def wait_total(self, n):
        """Until so many were answered, or the thread has died."""
        return wait_for(lambda: self.total() >= n or not self.is_alive()) \
            and self.total() >= n

    def more(self, n):
        """Until so many more were answered."""
        return self.wait_total(self.total() + n)

    def end(self, name, **counts):
        """Stop, and say what it was; counts: recycles, kills, ... Is nobody
        left without an answer?"""
        self.stop = True
        self.join(2 * PATIENCE)
        counts = {"requests": self.total(), "workers": len(self.pids),
                  **counts, "lost": len(self.failures)}
        after = cost(self.server)
        note("%s: %s; %s; manager's descriptors %d, then %d, memory of all "
             "%d KB, then %d KB" % (
                 name, words(counts), percentiles(self.times),
                 self.before[0], after[0], self.before[1], after[1]))
        totals.update(counts)
        times.extend(self.times)
        return not self.is_alive() and not any(
            f.what == "no answer" for f in self.failures)


totals = collections.Counter()
times = array.array("f")


def cost(server):
    """(descriptors of the manager, KB of all)."""
    pid = getattr(server, "manager", server.pid)
    try:
        return fd_count(pid), pss_kb(tree(pid))
    except OSError:
        return 0, 0


def words(counts):
    return ", ".join("%d %s" % (n, what) for what, n in counts.items())


def percentiles(values):
    v = sorted(values) or [0.0]
    return "p50 %.0f ms, p99 %.0f ms, max %.0f ms" % tuple(
        v[int((len(v) - 1) * p)] * 1000 for p in (0.5, 0.99, 1))


def figures(title):
    """What all loads were together."""
    note("%s, in all: %s; %s" % (title, words(totals), percentiles(times)))
