#!/usr/bin/python3
"""A machine that runs out: of descriptors, of disk, of memory.

The worker says so, answers what it can, loses nothing that it has accepted,
and is as before when there is room again.
"""
import os
import resource
import socket
import stat
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import cpu_us, fd_count, tmpdir, tree
from server import GANGWAY, SLOWER, Server
from tap import done, guard, is_, note, ok, skip, together
from wait import PATIENCE, measure, pass_time, wait_for, wait_text
from wire import Broken, Fcgi, connect, request

LARGE = b"b" * (2 << 20)


def serve(*args, files=None, memory=None, env=None, **more):
    def limit():
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    path = os.path.join(tmpdir(), "file")
    with open(path, "wb") as f:
        f.truncate(8 << 20)
    more.setdefault("binds", ("http", "fcgi"))
    return Server("rude:application", "--keep-alive", "60", *args,
                  preexec_fn=limit,
                  env={"T_FILE": path, **(env or {})}, **more)


def status(s, *args, **more):
    """Of one request on a new connection; None without an answer."""
    try:
        with s.http() as c:
            return c.get(*args, **more).status
    except (OSError, Broken):
        return None


# --- descriptors

def slow_reader(address, data):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(PATIENCE)
    s.connect(address)
    s.sendall(data)
    return s


def size_of(sock):
    """What still comes, to the end."""
    size = 0
    try:
        while got := sock.recv(1 << 20):
            size += len(got)
    except OSError as e:
        note("cut after %d: %r" % (size, e))
    return size


def test_descriptors(klass):
    """More clients than descriptors."""
    with serve("-k", klass, "-w", "1", "--threads", "3", files=80) as s:
        pid, = s.workers()
        wait_for(lambda: not s.status()["workers"][0]["connections"])
        before = fd_count(pid)
        kept = [s.http() for _ in range(10)]
        good = [c.get("/ok").status for c in kept]
        slow = [slow_reader(s.address, request("/stream/256",
                                               "Connection: close\r\n"))]
        # It has the one caller of a sync worker to itself.
        sizes = [size_of(slow[0])] if klass == "sync" else []
        crowd = [connect(s.address) for _ in range(120)]
        slow += [slow_reader(s.address, request("/stream/256",
                                                "Connection: close\r\n"))]
        pids = tree(s.pid)
        s.wait_log("trying again every second")

        def share():
            cpu = cpu_us(pids)
            pass_time(0.5)
            return (cpu_us(pids) - cpu) / 1e6 / 0.5
        busy = measure(share, 0.5)
        note("%s: %d descriptors of 80, %.1f %% of a core" % (
            klass, fd_count(pid), busy * 100))
        ok(busy < 0.5, klass + ": descriptors are out: less than half a "
           "core", "%.1f %%" % (busy * 100))
        good += [c.get("/stream/1").status for c in kept]
        good += [c.post("/body", LARGE).status for c in kept]
        good += [c.get("/file").status for c in kept]
        is_(good, [200] * 40, klass + ": what was accepted is served, with "
            "bodies and files")
        if klass != "sync":
            sizes.append(size_of(slow[0]))
        for c in crowd:
            c.close()
        if klass == "sync":
            sizes.append(size_of(slow[1]))
        ok(wait_for(lambda: status(s, "/ok") == 200),
           klass + ": and is well again when the crowd goes")
        if klass != "sync":
            sizes.append(size_of(slow[1]))
        ok(len(sizes) == 2 and all(n > 256 * 16384 for n in sizes),
           klass + ": slow readers get all", sizes)
        for c in kept + slow:
            c.close()
        ok(wait_for(lambda: fd_count(pid) <= before),
           klass + ": descriptors come back",
           "%d, then %d" % (before, fd_count(pid)))
        ok(s.log().count("\n") < 60, klass + ": the log says it, and not "
           "without end", s.log()[-2000:])
        is_((s.workers(), s.stop()), ([pid], 0), klass + ": the same worker")


# --- disks

def wrapper(commands):
    """A program that runs these and then gangway, as the same process."""
    path = os.path.join(tmpdir(), "gangway")
    with open(path, "w") as f:
        f.write("#!/bin/sh\n%s\nexec '%s' \"$@\"\n" % (commands, GANGWAY))
    os.chmod(path, stat.S_IRWXU)
    return path


def mounted(where, size, then="true"):
    """Such a program in a mount namespace where that is a small disk."""
    inner = os.path.join(tmpdir(), "inner")
    with open(inner, "w") as f:
        f.write("#!/bin/sh\nmount -t tmpfs -o size=%s none '%s' && { %s; }\n"
                "exec '%s' \"$@\"\n" % (size, where, then, GANGWAY))
    return wrapper("exec unshare -m sh '%s' \"$@\"" % inner)


def can_mount():
    return subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def no_room(name, **more):
    """A body that needs a file, and the file cannot be had."""
    with serve("-k", "gthread", "-w", "1", **more) as s:
        pids = s.workers()
        got = []
        for extra in ("", "Connection: close\r\n"):
            got.append(status(s, "/body", extra, "POST", LARGE))
        with s.http() as c:
            c.send(b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                   b"chunked\r\n\r\n" + b"%x\r\n" % len(LARGE) + LARGE
                   + b"\r\n0\r\n\r\n")
            got.append(c.read().status)
        is_(got, [503] * 3, name + ": 503")
        with Fcgi(s.addresses[1]) as c:
            r = c.request("/body", "POST", LARGE)
            is_(r and r.status, 503, name + ": 503 over FastCGI")
            r = c.request("/body", "POST", b"small")
            is_(r and r.status, 200, name + ": on a connection that goes on")
        log = s.log()
        ok(log.count("temporary file") >= 3 and
           ("No such file" in log or "No space" in log or "denied" in log
            or "Read-only" in log), name + ": the log says why",
           log[-1500:])
        is_((status(s, "/body", "", "POST", b"x" * 200000), s.workers()),
            (200, pids), name + ": smaller ones are served on")


def test_no_folder():
    no_room("TMPDIR is not there", env={"TMPDIR": "/nowhere/at/all"})


def test_full_disk():
    if not can_mount():
        skip("cannot mount a small disk here (not root)", 5)
        return
    where = tmpdir()
    no_room("the disk for bodies is full", env={"TMPDIR": where},
            program=mounted(where, "1m"))


def test_full_logs():
    """Nobody can write a line: that is no reason not to serve."""
    for args in (["--access-logfile", "/dev/full"],
                 ["--access-logfile", "/dev/full", "--log-file", "/dev/full",
                  "--log-level", "debug", "--capture-output"]):
        with serve("-w", "1", *args) as s:
            pids = s.workers()
            with s.http() as c:
                got = [c.get("/ok").status for _ in range(50)]
            status(s, "/\x01")
            is_((got, s.workers()), ([200] * 50, pids),
                "logs on a full device: served on")
            is_(s.stop(), 0, "logs on a full device: stops in order")
    if not can_mount():
        skip("cannot mount a small disk here (not root)", 3)
        return
    d = tmpdir()
    program = mounted(d, "64k", "head -c 100000 /dev/zero >'%s/filler' "
                      "2>/dev/null" % d)
    with serve("-w", "1", "--access-logfile", d + "/access", "--log-file",
               d + "/error", program=program,
               env={"T_FILLER": d + "/filler"}) as s:
        pid, = s.workers()
        inside = "/proc/%d/root%s/" % (pid, d)
        with s.http() as c:
            is_([c.get("/ok").status for _ in range(50)], [200] * 50,
                "logs on a full disk: served on")
            c.get("/remove")
            c.get("/found-again")
        status(s, "/", "Bad Header: x\r\n")

        ok(wait_text(inside + "access", "/found-again"),
           "logs on a full disk: lines again when there is room")
        ok(wait_text(inside + "error", "Invalid request"),
           "logs on a full disk: the error log too")


# --- memory

def test_memory(klass):
    """What the application cannot have costs one 500."""
    if SLOWER > 1:
        skip("sanitizers need all the address space", 6)
        return
    with serve("-k", klass, "-w", "1", "--threads", "3",
               memory=400 << 20) as s:
        pids = s.workers()
        is_([status(s, "/memory/2000"), status(s, "/memory/10"),
             status(s, "/memory/2000"), status(s, "/ok")],
            [500, 200, 500, 200], klass + ": MemoryError: 500, and on")
        # Fill up to where hardly anything is left.
        for kb in (65536, 4096, 512, 64, 16, 4, 1):
            for _ in range(40):
                if status(s, "/hold/%d" % kb) != 200:
                    break
        got = set()
        for _ in range(30):
            got.add(status(s, "/ok"))
            got.add(status(s, "/body", "", "POST", b"x" * 250000))
            got.add(status(s, "/stream/100"))
            status(s, "/thread")
        with Fcgi(s.addresses[1]) as c:
            c.request("/body", "POST", b"x" * 250000)
        note("%s: memory is full: %s" % (klass, got))
        ok(None not in got, klass + ": memory is full: all are answered",
           s.log()[-2000:])

        def replaced():
            for kb in (64, 4):
                status(s, "/hold/%d" % kb)
            status(s, "/body", "", "POST", b"x" * 250000)   # so it is seen
            return pids[0] not in s.workers()
        ok(wait_for(replaced), klass + ": another worker comes",
           s.log()[-2000:])
        is_([status(s, "/ok"), status(s, "/stream/100"),
             status(s, "/body", "", "POST", LARGE), status(s, "/thread")],
            [200] * 4, klass + ": and all is as before")
        ok("Worker (pid:%d)" % pids[0] not in s.log() and
           "Worker exiting (pid: %d)" % pids[0] in s.log(),
           klass + ": and the full one has ended in order", s.log()[-2000:])
        is_(s.stop(), 0, klass + ": and stops in order")


def test_stack(name, *args, **more):
    """A recursion without end is the application's error on each thread."""
    with serve("-k", "gthread", "-w", "1", *args, **more) as s:
        pids = s.workers()
        crowd = [s.http() for _ in range(4)]
        for c in crowd:
            c.send(request("/recurse"))
        got = []
        for c in crowd:
            try:
                got.append(c.read().body)
            except (OSError, Broken) as e:
                got.append(repr(e))
        ok(b"RecursionError" in got and not
           set(got) - {b"RecursionError", b"main"} and s.workers() == pids,
           name + ": a deep recursion is a RecursionError", got)
        is_(s.stop(), 0, name + ": and stops in order")


def test_small_memory():
    """Threads leave the application most of what little there is."""
    if SLOWER > 1:
        skip("sanitizers need all the address space", 2)
        return
    with serve("-k", "gthread", "-w", "1", "--threads", "60",
               memory=600 << 20) as s:
        is_(status(s, "/memory/250"), 200,
            "60 threads in little memory: the application has most of it")
        ok("threads could be started" not in s.log(),
           "and all are there", s.log()[-1000:])


def main():
    guard(int(os.environ.get("T_GUARD", "900")))
    only = sys.argv[1:]
    together([(fn, *args) for fn, *args in (
        (test_memory, "sync"), (test_memory, "gthread"),
        (test_descriptors, "sync"), (test_descriptors, "gthread"),
        (test_no_folder,), (test_full_disk,), (test_full_logs,),
        (test_stack, "4 threads", "--threads", "4"), (test_small_memory,))
        if not only or fn.__name__[5:] in only])
    done()


if __name__ == "__main__":
    main()
