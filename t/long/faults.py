#!/usr/bin/python3
"""The n-th malloc, accept, fork, send ... of the server fails, n = 1..N.

t/apps/faults.c is loaded into a server with a native application; the same
requests are made again and again, each time with a later call that fails.
Never may a process crash, a client hang or a descriptor stay behind, and
afterwards all is as before. What is wrong is told with the function that
failed. With T_SECONDS (`make soak`) every n is taken, for so many seconds in
all, and Python's memory, too.
"""
import contextlib
import errno
import mmap
import os
import re
import signal
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import alive, fd_count, tmpdir
from server import BUILD, Server
from tap import done, guard, is_, note, ok, skip_all, together
from wait import pace, wait_for
from wire import (ABORT, Broken, Fcgi, chunked, connect, fcgi_request,
                  nginx_params, record, request)

SECONDS = float(os.environ.get("T_SECONDS", "0"))
LONG = SECONDS > 0
AT_ONCE = 6
(MALLOC, CALLOC, REALLOC, ACCEPT, FORK, SEND, FCNTL, PWRITE, RECVMSG, THREAD,
 SENDFILE) = (1 << i for i in range(11))
NAMES = ("malloc", "calloc", "realloc", "accept", "fork", "send", "dup",
         "pwrite", "recvmsg", "pthread_create", "sendfile")
LIBS = os.path.abspath(BUILD) + "/t/apps/.libs/"
APP = "native:" + LIBS + "native_test.so:by_str"
BODY, BIG = b"b" * 3000, b"B" * 300000


class Faults:
    """What t/apps/faults.c reads."""

    def __init__(self):
        self.path = os.path.join(tmpdir(), "faults")
        with open(self.path, "wb") as f:
            f.truncate(4096)
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 4096)

    def arm(self, mask, n, times=1, error=0, pid=0):
        self.map[:28] = struct.pack("7i", 0, n, times, error, pid, 0, 0)
        self.map[:4] = struct.pack("i", mask)

    def off(self):
        """Was any call made to fail?"""
        self.map[:4] = bytes(4)
        return struct.unpack_from("i", self.map, 20)[0] > 0

    def failed(self):
        """Which function was made to fail."""
        what = struct.unpack_from("i", self.map, 24)[0]
        return " and ".join(name for i, name in enumerate(NAMES)
                            if what & 1 << i) or "none"

    def left(self):
        return struct.unpack_from("i", self.map, 4)[0]


def serve(faults, *args, app=APP, **more):
    return Server(app, "--max-requests", "0", "--graceful-timeout", "5",
                  *args, binds=("http", "fcgi", "unix"),
                  env={"LD_PRELOAD": LIBS + "faults.so",
                       "T_FAULTS": faults.path}, **more)


# --- one of everything; each returns True when it was answered in full

def kept(s):
    with s.http() as c:
        return all(c.post("/", b).body == b + b"!" for b in (BODY, b"", BIG))


def in_chunks(s):
    with s.http() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
               b"X-Long: " + b"h" * 6000 + b"\r\n\r\n" + chunked(BODY, BIG))
        return c.read().body == BODY + BIG + b"!"


def pipelined(s):
    with s.http() as c:
        c.send(request("/", "", "POST", BODY) * 5)
        return all(c.read().body == BODY + b"!" for _ in range(5))


def slowly(s):
    """The head in two pieces, the answer to someone who does not read."""
    with connect(s.addresses[2]) as sock:
        data = request("/", "Connection: close\r\n", "POST", BIG * 2)
        sock.sendall(data[:30])
        sock.sendall(data[30:])
        pace(0.01)
        size = 0
        while got := sock.recv(65536):
            size += len(got)
        return size > len(BIG) * 2


def multiplexed(s):
    with Fcgi(s.addresses[1]) as c:
        for i in (1, 2, 3):
            c.send(fcgi_request(nginx_params("/", "POST", BODY * i),
                                BODY * i, i))
        c.send(fcgi_request(nginx_params("/", "POST", BIG), BIG, 4))
        c.send(record(ABORT, 9))
        bodies = [BODY, BODY * 2, BODY * 3, BIG]
        return all(r and r.response() and r.response().body == b + b"!" for
                   r, b in zip([c.reply(i) for i in (1, 2, 3, 4)], bodies))


def refused(s):
    with s.http() as c:
        return c.send(b"G\0T / HTTP/1.1\r\n\r\n").read().status == 400


MIX = (kept, in_chunks, pipelined, slowly, multiplexed, refused)


def mix(s):
    """What was not answered, and who was left waiting."""
    bad, hung = [], []
    for one in MIX:
        try:
            if not one(s):
                bad.append(one.__name__)
        except socket.timeout:
            hung.append(one.__name__)
        except (OSError, Broken, ValueError):
            bad.append(one.__name__)
    return bad, hung


def in_time(since):
    """Is there time left of what each of the tests has?"""
    return not LONG or time.monotonic() < since + SECONDS * AT_ONCE / len(
        TESTS)


# --- the worker

def test_worker(name, mask, app=APP, most=10**6, times=1, error=0, step=1):
    faults = Faults()
    with serve(faults, "-w", "1", "-k", "gthread", "--threads", "2",
               app=app) as s:
        pid, = s.workers()
        for _ in range(3):
            mix(s)
        before = fd_count(pid)
        n, wrong, spoilt = 0, [], 0
        t0 = time.monotonic()
        while n < most and not wrong and in_time(t0):
            n += step
            faults.arm(mask, n, times, error, pid)
            bad, hung = mix(s)
            hit = faults.off()
            spoilt += bool(bad)
            if hung:
                wrong.append("call %d (%s): hang: %s" % (
                    n, faults.failed(), hung))
            if s.workers() != [pid]:
                wrong.append("call %d (%s): the worker died" % (
                    n, faults.failed()))
            elif not hit:
                break
        is_(mix(s), ([], []), name + ": in the end all is answered")
        note("%s: %d calls, %d spoilt an answer, %.1f s" % (
            name, n, spoilt, time.monotonic() - t0))
        ok(not wrong, name + ": no hang, no death",
           "\n".join(wrong) + "\n" + s.log()[-1500:])
        ok(s.workers() == [pid] and wait_for(
            lambda: fd_count(pid) <= before + 1), name + ": no descriptor "
            "stays behind", "%s, then %s" % (
                before, alive(pid) and os.listdir("/proc/%d/fd" % pid)))
        is_(s.stop(), 0, name + ": it stops in order")


def test_crowd(name, mask):
    """Memory is out while more clients come than ever before."""
    faults = Faults()
    with serve(faults, "-w", "1", "--threads", "2") as s:
        pid, = s.workers()
        faults.arm(mask, 1, 10**6, 0, pid)
        crowd = [connect(s.addresses[0]) for _ in range(300)]
        # No longer than that: a lack that lasts replaces a worker that is
        # older than five seconds.
        wait_for(lambda: fd_count(pid) > 300
                 or "Cannot accept" in s.log(), 2)
        faults.off()
        for c in crowd:
            c.close()
        ok(s.workers() == [pid], name + ": the worker lives",
           s.log()[-1000:])
        is_(mix(s), ([], []), name + ": and answers")


# --- the manager

NOT_DONE = re.compile("Reload abandoned|Not reloaded")


def reload(s):
    """Until none of the workers is left, or it says why not."""
    old, n = set(s.workers()), len(NOT_DONE.findall(s.log()))
    hups = s.log().count("Hang up")
    s.send_signal(signal.SIGHUP)
    return s.wait_log("Hang up", hups + 1) and wait_for(
        lambda: s.popen.poll() is not None or not old & set(s.workers())
        or len(NOT_DONE.findall(s.log())) > n, step=0.05)


def test_manager(name, mask, step):
    """It scales, replaces and reloads while its calls fail."""
    faults = Faults()
    with serve(faults, "-w", "2") as s:
        n, wrong, t0 = 1 - step, [], time.monotonic()
        while n < 3000 and not wrong and in_time(t0):
            n += step
            faults.arm(mask, n, 1, 0, s.pid)
            s.send_signal(signal.SIGTTIN)
            for pid in s.workers()[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            s.send_signal(signal.SIGUSR1)
            if not wait_for(lambda: s.answers(s.address, "http")):
                wrong.append("call %d (%s): no answer" % (
                    n, faults.failed()))
            # A HUP that is served before it would give back the second one.
            ttou = s.log().count("signal: ttou")
            s.send_signal(signal.SIGTTOU)
            s.wait_log("signal: ttou", ttou + 1)
            if not reload(s):
                wrong.append("call %d (%s): no reload, nor a word" % (
                    n, faults.failed()))
            hit = faults.off()
            if s.popen.poll() is not None:
                wrong.append("call %d (%s): it ended: %s" % (
                    n, faults.failed(), s.popen.poll()))
            elif not s.wait_workers(2):
                wrong.append("call %d (%s): %s, not two" % (
                    n, faults.failed(), s.workers()))
            elif not hit:
                break
        note("%s: %d calls" % (name, n))
        ok(not wrong, name + ": the manager survives",
           "\n".join(wrong) + s.log()[-2000:])
        old = s.workers()
        s.send_signal(signal.SIGHUP)
        ok(wait_for(lambda: len(s.workers()) == 2 and
                    not set(s.workers()) & set(old)),
           name + ": and reloads when all is well again", s.log()[-1500:])
        is_(s.stop(), 0, name + ": and stops in order")


# --- the start

def test_start(name, mask, runs):
    """It serves, or it ends with a word and an exit status."""
    faults = Faults()
    big = 1 << 30
    faults.arm(mask, big)
    with serve(faults, "-w", "1"):
        total = big - faults.left()
    step = 1 if LONG else max(1, total // runs)
    wrong, ended, served, t0 = [], 0, 0, time.monotonic()
    for n in range(1, total + 1, step):
        if not in_time(t0):
            break
        faults.arm(mask, n)
        with serve(faults, "-w", "1", wait=False) as s:
            if s.wait_ready():
                served += 1
                status = s.stop()
                if status != 0:
                    wrong.append("call %d (%s): served, then %s" % (
                        n, faults.failed(), status))
            else:
                ended += 1
                status = s.popen.poll()
                # Libraries that cannot be loaded have no words of ours.
                if status is None or status <= 0 or not s.log().strip():
                    wrong.append("call %d (%s): status %s: %s" % (
                        n, faults.failed(), status, s.log()[-300:]))
    note("%s: %d calls, tried each %d.; %d served, %d ended" % (
        name, total, step, served, ended))
    ok(not wrong, name + ": it serves or says why not",
       "\n".join(wrong[:20]))


MEMORY = MALLOC | CALLOC | REALLOC
TESTS = [
    (test_worker, "memory", MEMORY),
    (test_worker, "memory, 8 in a row", MEMORY, APP, 10**6, 8, 0, 5),
    (test_worker, "accept", ACCEPT),
    (test_worker, "accept, ECONNABORTED", ACCEPT, APP, 99, 3,
     errno.ECONNABORTED),
    (test_worker, "send", SEND),
    (test_worker, "send, EINTR", SEND, APP, 999, 2, errno.EINTR),
    (test_worker, "send, EAGAIN", SEND, APP, 999, 1, errno.EAGAIN),
    (test_worker, "dup", FCNTL),
    (test_worker, "dup, 20 in a row", FCNTL, APP, 99, 20),
    (test_worker, "pwrite", PWRITE),
    (test_worker, "pwrite, EINTR", PWRITE, APP, 999, 3, errno.EINTR),
    (test_crowd, "crowd, realloc", REALLOC),
    (test_crowd, "crowd, memory", MEMORY),
    (test_manager, "manager, memory", MEMORY, 1 if LONG else 36),
    (test_manager, "manager, fork", FORK, 1),
    (test_start, "start, memory", MEMORY, 15),
    (test_start, "start, threads", THREAD, 9),
    (test_start, "start, fork", FORK, 9)]
if LONG:
    TESTS.append((test_worker, "Python, memory", MEMORY,
                  "faulty:application"))


def main():
    if os.environ.get("T_SLOWER", "1") != "1":
        skip_all("sanitizers have their own malloc")
    guard(int(os.environ.get("T_GUARD", SECONDS * 4 + 900)))
    only = sys.argv[1:]
    # The longest first.
    together([t for t in sorted(TESTS, key=lambda t: t[0] != test_manager)
              if not only or t[1] in only], AT_ONCE)
    done()


if __name__ == "__main__":
    main()
