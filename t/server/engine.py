#!/usr/bin/python3
"""The worker when things go wrong inside it: callers that stick with others
queued behind them, clients that take nothing, processes that die. No
request that was read may be lost without an answer or a line in the log.
"""
import contextlib
import os
import random
import signal
import socket
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import Process, alive, fd_count, free_port, tmpdir
from server import APPS, Server, find_program
from tap import done, guard, is_, ok, together
from wait import (PATIENCE, holds, measure, pass_time, text_of, wait_for,
                  wait_gone, wait_text)
from wire import (ABORT, Broken, Fcgi, Http, connect, fcgi_request,
                  nginx_params, record, request)


def pid_of(s):
    """Who answers on a new connection; None when nobody does."""
    try:
        with s.http() as c:
            return int(c.get("/pid").body)
    except (OSError, Broken, ValueError):
        return None


def answers(conns):
    """The status and body of each; None where there is no answer."""
    found = []
    for c in conns:
        try:
            r = c.open().read()
            found.append((r.status, r.body))
        except (OSError, Broken):
            found.append(None)
    return found


# --- callers that stick

def test_behind(klass):
    """All callers are stuck: who waits behind them is served elsewhere."""
    threads = 1 if klass == "sync" else 2
    access = os.path.join(tmpdir(), "access")
    with Server("sleepy:application", "-w", "1", "-k", klass, "--threads",
                threads, "--request-timeout", "1", "--timeout", "600",
                "--graceful-timeout", "600", "--keep-alive", "600",
                "--access-logfile", access,
                env={"T_CALLS": access + ".calls"}) as s:
        first = pid_of(s)
        kept = [s.http() for _ in range(20)]
        for c in kept:
            c.get("/pid")
        stuck = [s.http() for _ in range(threads)]
        for c in stuck:
            c.send(request("/600000"))
        s.wait_running("/600000", threads)
        for i, c in enumerate(kept):
            if i % 4 == 0:
                c.send(request("/pid", "", "POST", b"x" * 100))
            elif i % 4 == 1:
                c.send(request("/pid") * 2)
            elif i % 4 == 2:
                c.send(request("/app/pid", "SCRIPT_NAME: /app\r\n"))
            else:
                c.send(request("/pid"))
        is_([a and a[0] for a in answers(stuck)], [504] * threads,
            klass + ": the stuck ones get 504")
        got = answers(kept)
        is_([a and a[0] for a in got], [200] * 20,
            klass + ": twenty queued behind them are answered")
        ok(all(a and int(a[1]) != first for a in got),
           klass + ": by the replacement")
        got = answers(kept[1::4])
        is_([a and a[0] for a in got], [200] * 5,
            klass + ": and what was pipelined after them")
        # Long before --timeout or graceful_timeout would end it.
        ok(wait_gone(first), klass + ": the stuck worker is gone soon")
        with open(access) as f:
            lines = [line for line in f if "/600000" in line]
        ok(len(lines) == threads and all('1.1" 504 ' in x for x in lines),
           klass + ": each 504 is in the access log", lines)
        with open(access + ".calls") as f:
            paths = [line.split()[1] for line in f]
        ok("/app/pid" not in paths and paths.count("/pid") >= 40,
           klass + ": SCRIPT_NAME of a proxy counts there, too", paths)


def flood():
    """A stuck request with much behind it: how long it took to send that,
    the connection's state after the answer, and the answer."""
    with Server("sleepy:application", "-w", "1", "-k", "sync",
                "--request-timeout", "1", "--graceful-timeout", "5") as s:
        c = s.http().open()
        t0 = time.monotonic()
        c.send(request("/600000"))
        c.sock.setblocking(False)
        try:
            for _ in range(1000):
                c.sock.send(request("/pid") * 100)
        except OSError:     # what it did not take fills the kernel's buffers
            pass
        took = time.monotonic() - t0
        c.sock.settimeout(PATIENCE)

        def state():        # struct tcp_info's first byte
            return c.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        wait_for(lambda: state() != b"\1")
        return took, state(), answers([c])[0]


def test_late_pipeliner():
    """A 504 reaches a client that has sent more than was read."""
    for _ in range(5):
        took, state, got = flood()
        if took < 0.8:      # all was sent before the answer
            break
    # A reset would overtake the answer on a longer way than ours.
    is_(state, b"\x08", "a late one with much behind it: no reset")
    is_(got and got[0], 504, "but a 504")


def test_large_behind():
    """A head that is larger than what is read ahead of its turn."""
    with Server("sleepy:application", "-w", "1") as s:
        for n, want in ((40, 200), (300, 431)):
            c = s.http()
            c.send(request("/300") + request("/pid", "".join(
                "X-%d: %s\r\n" % (i, "x" * 4000) for i in range(n))))
            is_([c.read().status, c.read().status], [200, want],
                "a head of %d KB behind another request" % (n * 4))
            c.close()


def test_own_variables():
    """No caller sees what another's request said."""
    methods, wrong = ("GET", "POST"), []

    def client():
        with s.http() as c:
            for _ in range(2000):
                method, query = random.choice(methods), random.choice("12")
                r = c.get("/?" + query, method=method)
                if r.body != b"%s %s" % (method.encode(), query.encode()):
                    wrong.append((method, query, r.body))
    with Server("collected:application", "-w", "1", "--threads", "4") as s:
        clients = [threading.Thread(target=client) for _ in range(4)]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
    is_(wrong, [], "four callers, each with its own variables")


def test_behind_fcgi():
    with Server("sleepy:application", "-w", "1", "-k", "sync",
                "--request-timeout", "1", "--graceful-timeout", "10",
                "--keep-alive", "600", binds=("fcgi",)) as s:
        kept = [s.fcgi() for _ in range(10)]
        for c in kept:
            c.request("/pid")
        stuck = s.fcgi()
        stuck.send(fcgi_request(nginx_params("/600000")))
        s.wait_running("/600000")
        for c in kept:
            c.send(fcgi_request(nginx_params("/pid", "POST", b"body"),
                                b"body", 1))
            c.send(fcgi_request(nginx_params("/pid"), b"", 2))
        r = stuck.reply()
        is_(r and r.response().status, 504, "FastCGI: the stuck one: 504")
        got = []
        for c in kept:
            for i in (1, 2):
                r = c.reply(i)
                got.append(r and r.response().status)
        is_(got, [200] * 20, "FastCGI: those queued behind it are answered")


def test_aborted():
    """A client that aborts does not hide a stuck caller."""
    with Server("sleepy:application", "-w", "1", "-k", "sync",
                "--request-timeout", "1", "--graceful-timeout", "3",
                "--keep-alive", "600", binds=("fcgi", "http")) as s:
        c, h = s.fcgi(), Http(s.addresses[1])
        first = int(h.get("/pid").body)
        c.send(fcgi_request(nginx_params("/600000")))
        s.wait_running("/600000")
        c.send(record(ABORT, 1))
        ok(c.reply() is not None, "an aborted request is ended")
        h.send(request("/pid"))
        r = answers([h])[0]
        ok(r and r[0] == 200 and int(r[1]) != first,
           "its caller is found stuck all the same", repr(r))


def test_head():
    """Our own pages have no body where none was asked for."""
    with Server("sleepy:application", "-w", "1", "--request-timeout", "1",
                "--graceful-timeout", "1", "--limit-request-body",
                "10") as s:
        for what, want, data in (
                ("late", b"504", request("/600000", method="HEAD")),
                ("refused", b"413", request("/", method="HEAD",
                                            body=b"x" * 11))):
            with s.http() as c:
                c.send(data)
                while c.fill():
                    pass
                ok(c.buf[9:12] == want and c.buf.endswith(b"\r\n\r\n"),
                   "HEAD, %s: no body" % what, c.buf)


def test_late_after(bind):
    """A caller that is late when its answer is whole: nothing is cut."""
    conf = os.path.join(tmpdir(), "conf.py")
    with open(conf, "w") as f:
        f.write("import threading\n"
                "def post_request(worker, req, env, resp):\n"
                "    if env['PATH_INFO'] == '/large/8192':\n"
                "        threading.Event().wait(600)\n")
    with Server("rude:application", "-c", conf, "-w", "1", "-k", "sync",
                "--request-timeout", "1", "--timeout", "600",
                "--graceful-timeout", "600", binds=(bind,)) as s:
        worker, = s.workers()
        if bind == "http":
            c = s.http()
            c.sock = slow_socket(s.address)
            c.send(request("/large/8192"))
        else:
            c = s.fcgi()
            c.send(fcgi_request(nginx_params("/large/8192")))
        ok(s.wait_log("(its answer was out"),
           bind + ": a caller is late after its answer", s.log())
        # Its replacement is there: now it would be ended.
        wait_for(s.ready_workers)
        ok(holds(lambda: alive(worker), 0.3),
           bind + ": its worker stays while that goes out")
        r = c.read() if bind == "http" else c.reply().response()
        is_(len(r.body), 8 << 20, bind + ": all of it comes")
        if bind == "http":
            ok(c.at_end(), "http: then the connection ends")
        c.close()
        ok(wait_gone(worker), bind + ": and the worker, then")


def test_alone():
    """Without a manager a worker that cannot serve any more leaves."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", free_port()))
    sock.listen(64)
    seen = os.path.join(tmpdir(), "calls")
    with Process([find_program(), "-k", "sync", "--request-timeout", "1",
                  "--graceful-timeout", "2", "--keep-alive", "600",
                  "sleepy:application"],
                 stdin=sock, cwd=APPS, env={"T_CALLS": seen}) as p:
        address = sock.getsockname()
        with Fcgi(address) as c:
            ok(c.request("/pid") is not None, "alone: answers")
            with Fcgi(address) as d:
                d.request("/pid")   # new ones are left to other processes
                c.send(fcgi_request(nginx_params("/600000")))
                wait_text(seen, "/600000")
                d.send(fcgi_request(nginx_params("/pid")))
                r = c.reply()
                is_(r and r.response().status, 504, "alone: 504")
                r = d.reply()
                is_(r and r.response().status, 503,
                    "alone: who is behind it gets 503")
        ok(p.wait() is not None, "alone: it leaves for a successor")
    sock.close()


def test_cut(klass):
    """What graceful_timeout cuts is answered 503 and named."""
    def cut():
        with Server("sleepy:application", "-w", "1", "-k", klass,
                    "--threads", "1", "--graceful-timeout", "2",
                    "--keep-alive", "600") as s:
            a, b = s.http(), s.http()
            b.get("/pid")
            a.send(request("/600000"))
            s.wait_running("/600000")
            b.send(request("/pid?behind"))
            s.wait_total("queue", 1)
            s.send_signal(signal.SIGTERM)
            got = [r and r[0] for r in answers([a, b])]
            return got, s.wait(), s.log()
    # The worker has half a second for it before the manager ends it: on a
    # machine that stalls then, once more.
    for _ in range(5):
        got, status, log = cut()
        if got == [503, 503]:
            break
    is_(got, [503, 503], klass + ": cut by graceful_timeout: 503")
    ok(status is not None, klass + ": and the server ends")
    ok("GET /600000" in log and "GET /pid" in log,
       klass + ": both are named", log[-2000:])


def test_full_neighbour():
    """Under reuse_port a stuck worker's socket is the neighbours' too."""
    held = os.path.join(tmpdir(), "held")
    open(held, "w").close()

    def crowd():
        nonlocal got
        conns = [s.http().open() for _ in range(20)]
        t0 = time.monotonic()
        for c in conns:
            c.send(request("/pid"))
        got = [a and a[0] for a in answers(conns)]
        return time.monotonic() - t0
    got = None
    with Server("sleepy:application", "-w", "2", "-k", "sync",
                "--reuse-port", env={"T_HELD": held}) as s:
        s.wait_workers(2)
        busy = s.http()
        busy.send(request("/held"))
        s.wait_running("/held")
        took = measure(crowd, 3)
        is_(got, [200] * 20,
            "reuse_port: one worker busy, all are answered")
        ok(took < 3, "reuse_port: at once", "%.1f s" % took)
        os.unlink(held)
        busy.read()


def stopped(pid):
    """Is each of its threads?"""
    states = []
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/stat" % (pid, task)) as f:
            states.append(f.read().rpartition(")")[2].split()[0])
    return set(states) == {"T"}


def test_given_and_gone():
    """A connection whose client has gone on its way to another worker."""
    calls = os.path.join(tmpdir(), "calls")
    with Server("sleepy:application", "-w", "2", "--keep-alive", "600",
                env={"T_CALLS": calls}) as s:
        heir, other = s.wait_workers(2)
        os.kill(heir, signal.SIGSTOP)       # whoever connects is other's
        wait_for(lambda: stopped(heir))
        conns = [s.http() for _ in range(30)]
        is_([int(c.get("/pid").body) for c in conns], [other] * 30,
            "thirty connections of one worker")
        s.send_signal(signal.SIGTTOU)
        ok(wait_for(lambda: s.workers() == [heir]),
           "it leaves, and gives them away")
        for c in conns:
            c.send(request("/gone"))
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              struct.pack("ii", 1, 0))
            c.close()
        os.kill(heir, signal.SIGCONT)
        is_([s.http().get("/pid").status for _ in range(30)],
            [200] * 30, "the heir serves")
        with open(calls) as f:
            ok("/gone" not in f.read(), "and nobody who has no address")


def test_named():
    # AddressSanitizer makes an exit status of a signal, where it can.
    options = os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0"
    with Server("sleepy:application", "-w", "1", "--threads", "4",
                env={"ASAN_OPTIONS": options}) as s:
        beside, dies = s.http(), s.http()
        beside.send(request("/600000?beside"))
        s.wait_running("/600000")
        dies.send(request("/segv"))
        ok(s.wait_log("SIGSEGV"), "a death by signal is logged")
        ok(s.wait_log("GET /segv") and s.wait_log("GET /600000"),
           "with the requests that ran", s.log()[-1500:])


# --- clients that take nothing

def slow_socket(address):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(PATIENCE)
    s.connect(address)
    return s


def test_no_reader(klass):
    """The client's slowness is not the application's."""
    with Server("stream:application", "-w", "1", "-k", klass, "--threads",
                1 if klass == "sync" else 2, "--request-timeout", "1",
                "--graceful-timeout", "3") as s:
        workers = s.workers()
        sock = slow_socket(s.address)
        sock.sendall(request("/huge"))
        sock.recv(1, socket.MSG_PEEK)
        pass_time(1.5)      # more than request_timeout
        is_(s.workers(), workers,
            klass + ": a client that does not read costs no worker")
        size, data = 0, sock.recv(65536)
        while data:
            size += len(data)
            if size > 16 << 20:
                break
            data = sock.recv(1 << 20)
        ok(size > 16 << 20, klass + ": and gets all when it reads",
           str(size))


def test_file(bind):
    """A file for a slow client: the loop's, and few descriptors."""
    path = os.path.join(tmpdir(), "big")
    with open(path, "wb") as f:
        f.truncate(24 << 20)
    with Server("stream:application", "-w", "1", "-k", "sync",
                binds=(bind,), env={"T_FILE": path}) as s:
        worker = s.workers()[0]
        before = fd_count(worker)
        sock = slow_socket(s.address)
        sock.sendall(fcgi_request(nginx_params("/file"), b"", 1, False)
                     if bind == "fcgi" else
                     request("/file", "Connection: close\r\n"))
        sock.recv(100)
        wait_for(lambda: not s.running())
        ok(fd_count(worker) < before + 10, bind + ": few descriptors",
           "%d, then %d" % (before, fd_count(worker)))
        if bind == "fcgi":
            with s.fcgi() as c:
                ok(c.request("/list") is not None,
                   bind + ": the caller is free")
        else:
            with s.http() as c:
                is_(c.get("/list").status, 200, bind + ": the caller is free")
        size, data = 100, b"x"
        while data:
            data = sock.recv(1 << 20)
            size += len(data)
        ok(size > 24 << 20, bind + ": all of it arrives", str(size))
        sock.close()
        ok(wait_for(lambda: fd_count(worker) <= before + 1),
           bind + ": descriptors come back")


def test_half_closed():
    """A web server that hangs up on an answer that nobody takes."""
    with Server("rude:application", "-w", "1",
                binds=("fcgi+unix",)) as s:
        worker, = s.workers()
        s.fcgi().request("/ok")
        before = fd_count(worker)
        socks = [connect(s.address) for _ in range(10)]
        for sock in socks:
            sock.sendall(fcgi_request(nginx_params("/large/1024")))
            sock.shutdown(socket.SHUT_WR)
        for sock in socks:
            sock.recv(1)
        ok(wait_for(lambda: fd_count(worker) <= before),
           "half-closed FastCGI connections are closed",
           "%d, then %d" % (before, fd_count(worker)))


def test_linger():
    """The last answer, to a client that has sent more than is read."""
    with Server("rude:application", "-w", "1") as s:
        sock = slow_socket(s.address)
        sock.sendall(request("/large/8192", "Connection: close\r\n") +
                     b"x" * 300000)
        size, data = 0, b"x"
        try:
            while data:
                data = sock.recv(1 << 20)
                size += len(data)
        except ConnectionResetError:
            pass
        sock.close()
        ok(size > 8 << 20, "the last answer arrives, whatever is behind it",
           str(size))


def test_arriving():
    """Silence within a request is not silence before one."""
    with Server("rude:application", "-w", "1", "--keep-alive", "1",
                binds=("http", "fcgi")) as s:
        body = b"0123456789"
        params = nginx_params("/body", "POST", body)
        c = Fcgi(s.addresses[1])
        data = fcgi_request(params, body, 2)
        c.send(fcgi_request(nginx_params("/sleep/50"), b"", 1) + data[:-13])
        is_(c.reply(1).response().status, 200, "FastCGI: one before it")
        h = s.http()
        h.sock = slow_socket(s.address)
        h.send(request("/large/8192"))
        h.sock.recv(1, socket.MSG_PEEK)
        h.send(request("/body", method="POST", body=body)[:-5])
        is_(len(h.read().body), 8 << 20, "HTTP: a slow one before it")
        # Longer than --keep-alive.
        ok(not c.at_end(1.4), "FastCGI: a body that pauses is waited for")
        c.sock.settimeout(PATIENCE)
        c.send(data[-13:])
        r = c.reply(2)
        is_(r and r.response().body, b"10", "FastCGI: and answered")
        h.send(body[-5:])
        is_(h.read().body, b"10", "HTTP: so is the one behind")


# --- signals that the application handles, too

def test_handlers(klass, *how):
    """Its handlers run, and the worker does what it was told in any case."""
    name, env = " ".join((klass,) + how), dict.fromkeys(how, "1")
    threads = 1 if klass == "sync" else 3
    calls = os.path.join(tmpdir(), "calls")
    log = os.path.join(tmpdir(), "log")

    def called(what, n=1):
        return text_of(calls).split("\n").count(what) >= n

    def gone(pid):
        return wait_gone(pid) and wait_for(
            lambda: pid_of(s) not in (None, pid))
    with Server("handlers:application", "-w", "1", "-k", klass, "--threads",
                threads, "--log-file", log, "--graceful-timeout", "600",
                env={"T_CALLS": calls, **env}) as s:
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            pid = pid_of(s)
            os.kill(pid, sig)
            ok(gone(pid), "%s: %s: the worker leaves" % (name, sig.name))
            ok(called("%d %s" % (pid, sig.name)),
               "%s: %s: the application's handler ran" % (name, sig.name))
        pid = pid_of(s)
        if "T_EXIT" not in env:
            os.rename(log, log + ".1")
            os.kill(pid, signal.SIGUSR1)
            ok(wait_for(lambda: os.path.exists(log) and called(
                "%d SIGUSR1" % pid)) and pid_of(s) == pid,
               name + ": USR1: its handler, and the log is opened again")
        crowd = [s.http() for _ in range(threads)]
        for c in crowd:
            c.send(request("/child" if threads == 1 else "/beside"))
        got = [c.read().body for c in crowd]
        ok(set(got) - {b"main"} == {b"7"},
           name + ": TERM to a child: the handler ran there", got)
        for c in crowd:
            c.close()
        is_(pid_of(s), pid, name + ": and the worker is still there")
        with s.http() as c, s.http() as d:
            callers = (c, d)[:threads]
            for one in callers:
                one.send(request("/wait"))
            wait_for(lambda: called("waits", len(callers)))
            os.kill(pid, signal.SIGTERM)
            is_({one.read().body for one in callers}, {b"called"},
                name + ": TERM in a request: it sees to it, and no more")
        ok(gone(pid), name + ": and the worker leaves")
        with s.http() as c:
            pid = int(c.get("/alarm").body)
        ok(wait_for(lambda: called("%d SIGALRM" % pid)),
           name + ": ALRM to an idle worker: its handler runs")
        is_(gone(pid) if "T_EXIT" in env else pid_of(s) == pid, True,
            name + ": and may end it")
        is_(s.stop(), 0, name + ": TERM to all: 0")


def test_chained_handler():
    """One that calls the handler which stood there before: ours."""
    calls = os.path.join(tmpdir(), "calls")

    def dumps():
        with open(calls) as f:
            return f.read().count("Current thread")
    with Server("handlers:application", "-w", "1", env={
            "T_CALLS": calls, "T_FAULT": "1"}) as s:
        pid = pid_of(s)
        os.kill(pid, signal.SIGUSR1)
        ok(wait_for(dumps), "faulthandler with chain: it dumps")
        for _ in range(50):
            pid_of(s)
        os.kill(pid, signal.SIGTERM)
        ok(wait_gone(pid), "faulthandler with chain: TERM: the worker leaves")
        ok(dumps() <= 2, "faulthandler with chain: once", dumps())


def test_late_handlers():
    """Those that a request sets are noticed a moment later."""
    with Server("handlers:application", "-w", "1", "-k", "sync",
                "--graceful-timeout", "600", env={
                    "T_CALLS": os.path.join(tmpdir(), "calls"),
                    "T_LATE": "1"}) as s:
        pid = pid_of(s)

        def told():
            if alive(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            return not alive(pid)
        ok(wait_for(told, step=0.1),
           "a handler set by a request: the worker leaves", s.log())
        s.kill()


def main():
    guard(int(os.environ.get("T_GUARD", "600")))
    only = sys.argv[1:]
    groups = (
        ("own_variables", test_own_variables),
        ("handlers", test_handlers, "sync"),
        ("handlers", test_handlers, "gthread"),
        ("handlers", test_handlers, "gthread", "T_EXIT"),
        ("cut", test_cut, "sync"), ("cut", test_cut, "gthread"),
        ("alone", test_alone), ("arriving", test_arriving),
        ("behind", test_behind, "sync"), ("behind", test_behind, "gthread"),
        ("late_after", test_late_after, "http"),
        ("late_after", test_late_after, "fcgi"),
        ("no_reader", test_no_reader, "sync"),
        ("no_reader", test_no_reader, "gthread"),
        ("pipeliner", test_late_pipeliner),
        ("behind_fcgi", test_behind_fcgi), ("aborted", test_aborted),
        ("head", test_head), ("large_behind", test_large_behind),
        ("file", test_file, "http"), ("file", test_file, "fcgi"),
        ("neighbour", test_full_neighbour), ("given", test_given_and_gone),
        ("named", test_named), ("handlers", test_late_handlers),
        ("handlers", test_chained_handler),
        ("half_closed", test_half_closed), ("linger", test_linger))
    together([group for name, *group in groups if not only or name in only],
             6)
    done()


if __name__ == "__main__":
    main()
