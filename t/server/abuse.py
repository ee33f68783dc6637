#!/usr/bin/python3
"""Clients that send garbage, clients that leave or do not read.

Whatever comes, no worker dies of it, no descriptor and no memory stays
behind, every begun body is closed, and others are answered meanwhile. With
T_SECONDS above 30 (`make soak`) the numbers are the full ones: 10,000
connections of garbage, 1000 clients that leave of each kind, and a soak of
so many seconds.
"""
import os
import random
import socket
import ssl
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import anon_kb, fd_count, tmpdir
from server import SLOWER, TOP, Server
from tap import done, guard, is_, note, ok, together
from wait import PATIENCE, holds, measure, pace, wait_for
from wire import (GET_VALUES, Broken, Fcgi, chunked, connect, fcgi_request,
                  nginx_params, pairs, record, request, reset)

SECONDS = float(os.environ.get("T_SECONDS", "0"))
LONG = SECONDS > 30
SEED = int(os.environ.get("T_SEED", "0")) or random.randrange(1 << 30)
MB = 1024


def serve(*args, file_size=1 << 20, env=None, **more):
    path = os.path.join(tmpdir(), "file")
    with open(path, "wb") as f:
        f.truncate(file_size)
    more.setdefault("binds", ("http", "fcgi"))
    return Server("rude:application", "--max-requests", "0",
                  "--keep-alive", "60", "--timeout", "600", *args,
                  env={"T_FILE": path, **(env or {})}, **more)


class Beside:
    """A polite client that asks all the time; not one may fail."""

    def __init__(self, s):
        self.s, self.count, self.worst, self.failed = s, 0, 0.0, []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stop.is_set():
            t0 = time.monotonic()
            try:
                with self.s.http() as c:
                    if c.get("/ok").status != 200:
                        self.failed.append("status")
            except (OSError, Broken) as e:
                self.failed.append(repr(e))
            self.worst = max(self.worst, time.monotonic() - t0)
            self.count += 1
            pace(0.005)

    def end(self, name):
        self.stop.set()
        self.thread.join()
        note("%s: %d polite requests, worst %.0f ms"
             % (name, self.count, self.worst * 1000))
        ok(not self.failed and self.count > 0,
           name + ": others are answered meanwhile", self.failed[:5])


class Watched:
    """A server that has to be afterwards what it was before."""

    def __init__(self, s, name, workers):
        self.s, self.name = s, name
        self.pids = sorted(s.wait_workers(workers))
        self.warm()
        self.idle()
        self.fds = [fd_count(p) for p in self.pids]
        self.rss = [anon_kb(p) for p in self.pids]
        self.tracebacks = s.log().count("Traceback")
        self.beside = Beside(s)

    def idle(self):
        """Until nobody is connected."""
        return wait_for(lambda: not sum(
            w["connections"] for w in self.s.status()["workers"]))

    def warm(self):
        """What is taken once for good is taken before the measure."""
        for _ in range(30):
            with self.s.http() as c:
                c.get("/stream")
                c.post("/body", b"x" * 300000)
                c.get("/file")

    def end(self):
        name, s = self.name, self.s
        self.beside.end(name)
        if not is_(s.workers(), self.pids, name + ": no worker died"):
            log = s.log()
            at = log.find("==ERROR")        # a sanitizer's report
            note(log[at:at + 6000] if at >= 0 else log[-3000:])
            return

        def same():
            return all(fd_count(p) <= n
                       for p, n in zip(self.pids, self.fds))
        wait_for(same)
        note("%s: descriptors %s, then %s; %s KB, then %s" % (
            name, self.fds, [fd_count(p) for p in self.pids], self.rss,
            [anon_kb(p) for p in self.pids]))
        ok(same(), name + ": descriptors come back")
        ok(SLOWER > 1 or wait_for(lambda: all(
            anon_kb(p) - n < 8 * MB for p, n in zip(self.pids, self.rss))),
            name + ": memory comes back", [anon_kb(p) for p in self.pids])
        n = s.log().count("Traceback") - self.tracebacks
        ok(n < 20, name + ": fewer than 20 tracebacks", n)


def closed_all(s):
    """Was every body that was begun closed once? By its own word."""
    def same():
        with s.http() as c:
            begun, closed, _ = c.get("/counts").json()
        return begun == closed
    return wait_for(same)


def in_threads(n, fn, items):
    """Call fn(item) for all of them, n at once."""
    items, lock = iter(items), threading.Lock()

    def run():
        while True:
            with lock:
                item = next(items, None)
            if item is None:
                return
            fn(item)
    threads = [threading.Thread(target=run, daemon=True) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


# --- garbage

def corpus(name):
    folder = os.path.join(TOP, "t", "corpus", name)
    for entry in sorted(os.listdir(folder)):
        with open(os.path.join(folder, entry), "rb") as f:
            yield f.read()


def tls_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    obj = ssl.create_default_context().wrap_bio(
        incoming, outgoing, server_hostname="localhost")
    try:
        obj.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def mutate(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at, what = rng.randrange(len(data) + 1), rng.randrange(7)
        if what == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif what == 1 and at < len(data):
            data[at] = rng.choice(b"\0\r\n :;,\t\xff0")
        elif what == 2:
            data[at:at] = rng.randbytes(rng.randrange(1, 20))
        elif what == 3:
            del data[at:at + rng.randrange(1, 20)]
        elif what == 4:
            data[at:at] = data[at:at + rng.randrange(1, 200)]
        elif what == 5:
            data[at:at] = b"A" * rng.choice((100, 5000, 70000))
        else:
            del data[at:]
    return bytes(data)


class Garbage:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.heads = [
            request("/ok"), request("/body", "", "POST", b"x" * 3000),
            request("/body", "Transfer-Encoding: chunked\r\n", "PUT")
            .replace(b"Content-Length: 0\r\n", b"") + chunked(b"abc" * 100),
            request("/body", "Expect: 100-continue\r\n", "POST", b"y" * 99),
            request("/ok") * 5, request("/stream/2", "", "HEAD"),
            request("/ok", "X-Forwarded-For: 1.2.3.4\r\nCookie: a=b\r\n"),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + request("/ok"),
            b"GET http://a/b HTTP/1.1\r\nHost: b\r\n\r\n",
            b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", b"GET /\r\n",
            *corpus("http")]
        body = b"z" * 5000
        post = nginx_params("/body", "POST", body)
        self.streams = [
            fcgi_request(nginx_params("/ok")),
            fcgi_request(post, body, 7, False, padding=3, step=100),
            fcgi_request(post, body, 1, long=True) * 3,
            fcgi_request(nginx_params("/stream/9"), b"", 2)
            + record(2, 2) + fcgi_request(nginx_params("/ok"), b"", 3),
            record(9, 0, b"\x0f\0FCGI_MPXS_CONNS\x0e\0FCGI_MAX_CONNS"),
            record(77, 0, b"?"), record(1, 1, b"\0\2\0\0\0\0\0\0"),
            *corpus("fastcgi")]
        self.hello = tls_hello()

    def one(self):
        """(to which protocol, bytes)"""
        rng, what = self.rng, self.rng.randrange(10)
        if what == 0:
            data = rng.randbytes(rng.choice((1, 7, 100, 5000, 100000)))
        elif what == 1:
            data = self.hello if rng.randrange(2) else mutate(rng, self.hello)
        elif what < 4:
            data = rng.choice(self.heads)
            data = data[:rng.randrange(len(data) + 1)]
        elif what < 7:
            data = mutate(rng, rng.choice(self.heads))
        else:
            return rng.randrange(10) > 0, mutate(rng,
                                                 rng.choice(self.streams))
        return rng.randrange(5) == 0, data


def throw(s, left, end, fcgi, data):
    """Send it, and part in one of four ways."""
    try:
        sock = connect(s.addresses[fcgi])
    except OSError as e:
        left.append(repr(e))
        return
    try:
        sock.sendall(data)
        if end == 0:
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        elif end == 1:
            sock.settimeout(0.02)
            sock.recv(100)
    except socket.timeout:
        if end == 0:
            left.append("it does not close: %r" % data[:2000])
    except OSError:
        pass
    if end == 2:
        reset(sock)
    else:
        sock.close()


def test_garbage(klass):
    n = 10000 if LONG else 1500
    name, refused = klass + ", %d of garbage" % n, []
    made = Garbage(SEED)
    with serve("-k", klass, "-w", "2", "--threads", "2") as s:
        w = Watched(s, name, 2)
        in_threads(8, lambda g: throw(s, refused, *g),
                   ((i % 4, *made.one()) for i in range(n)))
        ok(not refused, name + ": none finds the door shut, all an end", refused[:3])
        ok(closed_all(s), name + ": every body is closed")
        w.end()
        is_(s.stop(), 0, name + ": and it stops in order")


# --- clients that leave

POST = b"p" * 20000

# name, HTTP bytes, FastCGI bytes, wait for that much of the answer
STAGES = [
    ("before the head", b"", b"", 0),
    ("in the head", request("/ok")[:20],
     fcgi_request(nginx_params("/ok"))[:60], 0),
    ("in the body", request("/body", "", "POST", POST)[:9000],
     fcgi_request(nginx_params("/body", "POST", POST), POST)[:9000], 0),
    ("in a body of a file", request("/body", "", "POST", POST * 40)[:600000],
     fcgi_request(nginx_params("/body", "POST", POST * 40),
                  POST * 40)[:600000], 0),
    ("in a chunk", request("/body", "Transfer-Encoding: chunked\r\n")
     + chunked(POST)[:5000], None, 0),
    ("after the body", request("/body", "", "POST", POST),
     fcgi_request(nginx_params("/body", "POST", POST), POST), 0),
    ("while it sleeps", request("/sleep/5"),
     fcgi_request(nginx_params("/sleep/5")), 0),
    ("before a stream", request("/stream"),
     fcgi_request(nginx_params("/stream")), 0),
    ("within a stream", request("/stream"),
     fcgi_request(nginx_params("/stream")), 1),
    ("before a file", request("/file"),
     fcgi_request(nginx_params("/file")), 0),
    ("within a file", request("/file"),
     fcgi_request(nginx_params("/file")), 30000),
    ("within the second of three", request("/ok") + request("/stream")
     + request("/ok"),
     b"".join(fcgi_request(nginx_params(p), b"", i) for i, p in
              enumerate(("/ok", "/stream", "/ok"), 1)), 1000),
]


def depart(address, data, some, end):
    try:
        sock = connect(address)
    except OSError:
        return
    try:
        if data:
            sock.sendall(data)
        while some > 0 and (got := sock.recv(some)):
            some -= len(got)
        if end == "half":
            sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    if end == "reset":
        reset(sock)
    else:
        sock.close()


def test_leave(klass):
    n = 1000 if LONG else 40 // SLOWER
    with serve("-k", klass, "-w", "1", "--threads", "3") as s:
        for i, protocol in enumerate(("HTTP", "FastCGI")):
            w = Watched(s, "%s, clients that leave, %s"
                        % (klass, protocol), 1)
            for name, *data, some in STAGES:
                if data[i] is None:
                    continue
                for end in ("close", "reset", "half"):
                    in_threads(6, lambda _: depart(
                        s.addresses[i], data[i], some, end), range(n))
                    if s.workers() != w.pids:
                        ok(False, "%s: %s, %s" % (w.name, name, end))
                        break
            ok(closed_all(s), w.name + ": every body is closed")
            w.end()
        is_(s.stop(), 0, klass + ", clients that leave: it stops in order")


# --- clients in a hurry

def test_pipelined(klass):
    """Who sends twenty requests at once waits for no clock of ours."""
    with serve("-k", klass, "-w", "1", "--threads", "1") as s:
        for path in ("/ok", "/sleep/2"):
            answers = []

            def once():
                with s.http() as c:
                    t0 = time.monotonic()
                    c.send(request(path, "", "POST", b"x") * 20)
                    answers.extend(c.read().status for _ in range(20))
                    return time.monotonic() - t0
            # A clock of ours would make one slow again.
            worst = max(measure(once, 0.5 * SLOWER) for _ in range(4))
            ok(set(answers) == {200} and worst < 0.5 * SLOWER, "%s: twenty "
               "pipelined %s at once" % (klass, path), "%.2f s" % worst)


def established(port):
    """How many connections the kernel has there: under load a RST is not
    delivered by the time that close() returns."""
    with open("/proc/net/tcp") as f:
        rows = [line.split() for line in f]
    return sum(row[1].endswith(":%04X" % port) and row[3] == "01"
               for row in rows)


def test_reset(klass):
    """Requests of clients that are known to be gone are not called."""
    gate = os.path.join(tmpdir(), "gate")
    open(gate, "w").close()
    with serve("-k", klass, "-w", "1", "--threads", "1",
               "--worker-connections", "500", env={"T_GATE": gate}) as s:
        def called():
            with s.http() as c:
                return c.get("/counts").json()[0]
        before = called()
        with s.http() as first:
            first.send(request("/gate"))
            s.wait_running("/gate")
            socks = [connect(s.address) for _ in range(200)]
            for n, sock in enumerate(socks):
                # Of who sends that much ahead no more is read: that he has
                # left is seen by asking for it only.
                ahead = b"GET /%s" % (b"x" * 200000) if n < 20 else b""
                sock.sendall(request("/sleep/100") + ahead)
            # Some of them; the others wait in the kernel to be accepted.
            s.wait_total("queue", 1)
            for sock in socks:
                reset(sock)
            wait_for(lambda: established(s.address[1]) == 1)
            os.unlink(gate)
            good = first.read().status == 200
        is_((good, called() - before), (True, 1), klass + ": behind 200 "
            "that were reset nobody waits")
        ok(s.wait_log("The client left before its turn: GET /sleep/100", 200),
           klass + ": and the log says who left")


def send_all(sock, data, seconds):
    """As much of it as is taken; how much, once nothing was for a while."""
    sent = 0
    sock.settimeout(seconds)
    while sent < len(data):
        try:
            sent += sock.send(data[sent:sent + (1 << 20)])
        except OSError:
            break
    return sent


def test_growth(klass):
    """What a client asks for and does not take is not made for it."""
    n, kb = 40, 1024
    with serve("-k", klass, "-w", "1") as s:
        pid, = s.workers()
        with s.http() as c:
            c.get("/large/%d" % kb)
            before = anon_kb(pid)

            def grown():
                return SLOWER == 1 and anon_kb(pid) > before + 16 * MB
            c.send(request("/large/%d" % kb) * n)
            ok(holds(lambda: not grown(), 0.3),
               klass + ": %d answers of %d KB that are not read" % (n, kb),
               "%d KB, then %d" % (before, anon_kb(pid)))
            is_([len(c.read().body) for _ in range(n)], [kb << 10] * n,
                klass + ": are all there when they are")
            c.send(request("/stream/2048"))
            ok(holds(lambda: not grown(), 0.3),
               klass + ": one of 32 MB in pieces that is not read",
               "%d KB, then %d" % (before, anon_kb(pid)))
            is_(len(c.read().body), 2048 * 16384,
                klass + ": is there when it is")
        ask = record(GET_VALUES, 0, pairs([("FCGI_MAX_CONNS", ""),
                                           ("FCGI_MPXS_CONNS", "")]))
        data = ask * (24 * (MB << 10) // len(ask))
        with Fcgi(s.addresses[1]) as c:
            reply = len(c.send(ask).sock.recv(4096))
            sent = send_all(c.sock, data, 0.3)
            n = sent // len(ask)
            ok(holds(lambda: not grown(), 0.1),
               klass + ": nor the replies to %d records" % n,
               "%d KB, then %d" % (before, anon_kb(pid)))
            c.sock.settimeout(PATIENCE)
            left = n * reply
            while left > 0 and (got := c.sock.recv(min(left, 1 << 20))):
                left -= len(got)
            is_(left, 0, klass + ": all of them come when they are read")
            c.send(data[sent:sent + -sent % len(ask)] +
                   fcgi_request(nginx_params("/ok")))
            is_(c.reply().response().status, 200, klass + ": and a request")


# --- for a long time

def load(s, seconds, requests):
    """Six clients, for so long or for so many requests; how many they were.
    """
    data = b"x" * 300000
    end, counts = time.monotonic() + seconds, [0] * 6

    def client(i):
        n = 0
        while (time.monotonic() < end if seconds
               else n < requests / len(counts)):
            with s.http() as h, Fcgi(s.addresses[1]) as f:
                for _ in range(30):
                    h.get("/ok?%d" % n)
                    f.request("/ok")
                    h.post("/body", data[:n % 3000])
                    f.request("/stream/2")
                    h.get("/stream/2")
                    n += 5
                h.get("/file")
                h.post("/body", data)
                n += 2
                counts[i] = n
    in_threads(len(counts), client, range(len(counts)))
    return sum(counts)


def test_soak(klass):
    """What is lost with each request is lost in each round; what the
    allocator takes once is not."""
    with serve("-k", klass, "-w", "1", "--threads", "3") as s:
        pid, = s.wait_workers(1)
        load(s, SECONDS / 2 if LONG else 0, 1800)

        def growth():
            kb = anon_kb(pid)
            n = load(s, SECONDS / 2 if LONG else 0, 1800)
            grown = (anon_kb(pid) - kb) * 1024
            note("%s: %d requests grew it by %d bytes (%.1f each)"
                 % (klass, n, grown, grown / n))
            return grown / n
        ok((growth() if SLOWER > 1 else measure(growth, 64)) < 64
           or SLOWER > 1,
           klass + ": less than 64 bytes a request of growth")
        is_(s.workers(), [pid], klass + ": by one worker")


def main():
    guard(int(os.environ.get("T_GUARD", 0)) or int(900 + 40 * SECONDS))
    note("T_SEED=%d" % SEED)
    only = sys.argv[1:]
    groups = [(test, klass) for test in (
        test_pipelined, test_leave, test_garbage, test_reset, test_growth,
        test_soak) for klass in ("sync", "gthread")
        if not only or test.__name__[5:] in only]
    together(groups, 1 if LONG else 3)
    done()


if __name__ == "__main__":
    main()
