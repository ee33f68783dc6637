#!/usr/bin/python3
"""gangwayctl and the control socket: who finds whom, what is shown, what is
done, and that no client can hold the manager up.
"""
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import Process, cpu_us, fd_count, free_port, tmpdir
from server import APPS, BUILD, SLOWER, Server, find_program
from tap import done, guard, is_, note, ok, together
from wait import PATIENCE, holds, measure, pass_time, wait_for, wait_gone
from wire import Fcgi, request

CTL = os.path.abspath(os.path.join(BUILD, "gangwayctl"))


def ctl(*args, **env):
    """(exit status, output, errors)"""
    clean = {k: v for k, v in os.environ.items()
             if not k.startswith(("GANGWAY", "XDG_"))}
    p = subprocess.run([find_program(CTL), *map(str, args)],
                       env=dict(clean, **env), capture_output=True,
                       timeout=PATIENCE)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def status(*args, **env):
    code, out, err = ctl(*args, "status", "--json", **env)
    if code != 0:
        note(err)
    return json.loads(out) if code == 0 else None


def runtime():
    d = tmpdir()
    os.chmod(d, 0o700)
    return d


def serve(*args, run=None, app="sleepy:application", env=None, **more):
    return Server(app, *args, env=dict(env or {},
                                       XDG_RUNTIME_DIR=run or runtime()),
                  **more)


def is_socket(path, mode=0o600):
    try:
        st = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == mode


def speak(path, data):
    """What comes back for these bytes."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        s.connect(path)
        got = b""
        try:
            s.sendall(data)
            while True:
                more = s.recv(65536)
                if not more:
                    return got
                got += more
        except OSError:
            return got


# --- finding it

def test_default():
    run = runtime()
    code, _, err = ctl("status", XDG_RUNTIME_DIR=run)
    is_(code, 2, "nobody there: exit 2")
    ok("no server is found" in err, "nobody there: it says so", err)
    with serve("-w", "2", run=run) as s:
        path = "%s/gangway/%d.ctl" % (run, s.pid)
        ok(is_socket(path), "by default it is in XDG_RUNTIME_DIR, mode 0600")
        is_(stat.S_IMODE(os.stat(run + "/gangway").st_mode), 0o700,
            "in a folder of mode 0700")
        is_((status(XDG_RUNTIME_DIR=run) or {}).get("pid"), s.pid,
            "gangwayctl finds it")
        is_((status(GANGWAY_CONTROL_SOCKET=path) or {}).get("pid"), s.pid,
            "by GANGWAY_CONTROL_SOCKET too")
        with serve(run=run) as other:
            code, _, err = ctl("status", XDG_RUNTIME_DIR=run)
            ok(code == 2 and path in err and "%d.ctl" % other.pid in err,
               "of two it wants one named", err)
            os.kill(other.pid, signal.SIGKILL)
            other.wait()
            is_((status(XDG_RUNTIME_DIR=run) or {}).get("pid"), s.pid,
                "one that was killed does not count")
            is_(os.listdir(run + "/gangway"), ["%d.ctl" % s.pid],
                "and its socket is removed")
        s.stop()
        is_(os.listdir(run + "/gangway"), [], "it goes with its server")
    with serve("--no-control-socket", run=run) as s:
        is_(os.listdir(run + "/gangway"), [], "no-control-socket: none")
    os.rmdir(run + "/gangway")
    os.chmod(run, 0o755)
    with serve(run=run) as s:
        ok(not os.path.exists(run + "/gangway"),
           "a folder that others may look into is not used")


def test_places():
    d = tmpdir()
    pid, other = d + "/app.pid", d + "/other"
    with serve("-p", pid) as s:
        ok(is_socket(pid + ".ctl"), "with a pid file it is beside it")
        is_((status("-p", pid) or {}).get("pid"), s.pid, "-p finds it")
        is_((status(GANGWAY_PIDFILE=pid) or {}).get("pid"), s.pid,
            "GANGWAY_PIDFILE too")
        left = s.workers()
        os.kill(s.pid, signal.SIGKILL)
        s.wait()
        code, _, err = ctl("-p", pid, "status")
        ok(code == 2 and "its server has gone" in err,
           "no worker answers for a manager that was killed", err)
        for worker in left:
            wait_gone(worker)
    with serve("-p", pid) as s:
        is_((status("-p", pid) or {}).get("pid"), s.pid,
            "its socket is no obstacle to the next")
    ok(not os.path.exists(pid + ".ctl"), "which removes it")
    conf = d + "/g.conf.py"
    with open(conf, "w") as f:
        f.write("control_socket = %r\ncontrol_socket_mode = 0o660\n" % other)
    with serve("-c", conf) as s:
        ok(is_socket(other, 0o660), "control_socket and its mode")
        with open(conf, "w") as f:
            f.write("control_socket = %r\ncontrol_socket_mode = 0o666\n"
                    % (other + "2"))
        is_(ctl("-s", other, "reload", "--no-wait")[0], 0, "reload")
        ok(wait_for(lambda: is_socket(other + "2", 0o666)
                    and not os.path.exists(other)),
           "a reload moves it, and its mode", s.log()[-800:])
    with open(other, "w") as f:
        f.write("mine")
    with Process([find_program(), "-b", "127.0.0.1:%d" % free_port(),
                  "--control-socket", other, "sleepy:application"],
                 cwd=APPS) as p:
        is_(p.wait(), 1, "where there is a file: exit 1")
        ok("control_socket " + other in p.log(), "and a line", p.log())
    with open(other) as f:
        is_(f.read(), "mine", "and the file stays")
    is_(ctl()[0], 64, "no command: exit 64")
    is_(ctl("dance")[0], 64, "an unknown command: exit 64")


# --- what is shown and done

def test_orders():
    d = tmpdir()
    path, log, flag = d + "/c", d + "/error.log", d + "/stick"
    gate = d + "/gate"
    open(gate, "w").close()
    with open(d + "/app.py", "w") as f:
        f.write("import os\nif os.path.exists(%r): raise ValueError(1)\n"
                "from rude import application\n" % flag)
    with serve("-w", "2", "-k", "gthread", "--threads", "2",
               "--control-socket", path, "--error-logfile", log,
               "--pythonpath", APPS, "--timeout", "600", app="app", cwd=d,
               env={"T_GATE": gate}) as s:
        s.wait_workers(2)
        busy = [s.http() for _ in range(3)]
        for c in busy[:2]:
            c.send(request("/gate"))
        s.wait_running("/gate", 2)
        st = status("-s", path)
        ok(sum((w["running"] for w in st["workers"]), []).count(
            "GET /gate") == 2, "status: what is running is named", str(st))

        def settled():
            st = status("-s", path)
            return (sum(w["connections"] for w in st["workers"]) == 2
                    and all(w["heartbeat"] < 2 * SLOWER
                            for w in st["workers"]) and st)
        st = wait_for(settled) or {}
        is_({k: st.get(k) for k in ("ok", "pid", "state", "wanted",
                                    "generation", "class", "threads")},
            {"ok": True, "pid": s.pid, "state": "serving", "wanted": 2,
             "generation": 1, "class": "gthread", "threads": 2},
            "status: the server")
        is_(sorted(w["pid"] for w in st["workers"]), s.workers(),
            "status: its workers")
        is_(sum(w["busy"] for w in st["workers"]), 2, "status: busy")
        ok(all(w["state"] == "ready" and w["rss"] > 1 << 20
               and w["uptime"] >= 0 and w["heartbeat"] < 2 * SLOWER
               and w["requests"] >= w["done"] for w in st["workers"]),
           "status: state, memory, age, requests", st["workers"])
        code, out, err = ctl("-s", path, "status")
        rows = out.split("\n\n")[1].splitlines()
        ok(code == 0 and len(rows) == 3 and rows[0].split()[:3] ==
           ["PID", "SLOT", "GEN"] and "GET /" in out
           and all(str(w) in out for w in s.workers()),
           "status: the table", out + err)
        os.unlink(gate)
        is_([c.read().status for c in busy[:2]], [200, 200],
            "status: nobody is disturbed")

        is_(ctl("-s", path, "scale", "4")[0], 0, "scale 4")
        ok(wait_for(lambda: len(s.workers()) == 4),
           "scale 4: there are four")
        is_(ctl("-s", path, "scale", "1")[0], 0, "scale 1")
        ok(wait_for(lambda: len(s.workers()) == 1),
           "scale 1: there is one")
        code, _, err = ctl("-s", path, "scale", "100000")
        ok(code == 1 and "new start" in err, "scale too far: exit 1", err)
        for word in ("0", "-1", "x", "1x", ""):
            is_(ctl("-s", path, "scale", word)[0], 64, "scale %r" % word)
        is_(len(s.workers()), 1, "scale: changes nothing then")

        old = s.workers()
        is_(ctl("-s", path, "reload")[0], 0, "reload: exit 0")

        def renewed():
            st = status("-s", path)
            return len([w for w in st["workers"]
                        if w["state"] == "ready"]) == 2 and st
        st = status("-s", path)
        ok(not any(w["generation"] == 1 and w["state"] == "ready"
                   for w in st["workers"]), "reload: no old one serves", st)
        st = wait_for(renewed) or status("-s", path)
        ok(st["generation"] == 2 and len([w for w in st["workers"]
           if w["state"] == "ready"]) == 2 and st["state"] == "serving"
           and not any(w["generation"] == 1 and w["state"] == "ready"
                       for w in st["workers"]),
           "reload: all are new, as many as configured", str(st))
        ok(wait_for(lambda: not set(old) & set(s.workers())),
           "reload: the old one is gone")
        open(flag, "w").close()
        code, _, err = ctl("-s", path, "reload")
        ok(code == 1 and "given up" in err, "a broken reload: exit 1", err)
        is_(status("-s", path)["generation"], 2, "and nothing has changed")
        os.unlink(flag)

        os.rename(log, log + ".1")
        is_(ctl("-s", path, "reopen")[0], 0, "reopen")
        ok(wait_for(lambda: os.path.exists(log)), "reopen: a new file")
        open(gate, "w").close()
        busy[2].send(request("/gate"))
        s.wait_running("/gate")
        with Process([find_program(CTL), "-s", path, "stop"]) as stop:
            wait_for(lambda: s.status().get("state") == "stopping")
            ok(s.status().get("state") == "stopping"
               and holds(lambda: stop.popen.poll() is None, 0.3),
               "stop: when all is done", s.status())
            os.unlink(gate)
            is_(stop.wait(), 0, "stop: exit 0")
        is_(busy[2].read().status, 200, "stop: what ran is served")
        is_(s.wait(), 0, "stop: the server's exit status is 0")
        ok(not os.path.exists(path), "stop: the socket is gone")
        with open(log + ".1") as f:
            text = f.read()
        ok("Asked to reload" in text and "Asked for 4 workers" in text,
           "orders are in the log")


def test_moved():
    """An order that moves the socket it came by, and one that closes it."""
    d = tmpdir()
    conf, first, second = d + "/c.ini", d + "/1", d + "/2"
    text = "[gangway]\nworkers = 0\ncontrol_socket = %s\n"

    def write(more):
        with open(conf, "w") as f:
            f.write(text % more)

    def says(path, command):
        try:
            return json.loads(speak(path, b'{"command": "%s"}\n' % command))
        except (OSError, ValueError) as e:
            return {"error": repr(e)}
    write(first)
    with serve("-c", conf, wait=False, defaults=False) as s:
        # The file is there a moment before anybody listens.
        wait_for(lambda: says(first, b"status").get("pid") == s.pid)
        write(second)
        is_(says(first, b"reload"), {"ok": True, "pid": s.pid},
            "reload to another control_socket: is answered")
        ok(is_socket(second) and not os.path.exists(first),
           "and then it is there")
        for _ in range(2):
            is_(says(second, b"status").get("pid"), s.pid,
                "and answers there too")
        write(second + "\ncontrol_socket_disable = true")
        says(second, b"reload")
        ok(wait_for(lambda: not os.path.exists(second)),
           "reload to none: it is gone")
        write(second)
        s.send_signal(signal.SIGHUP)
        ok(wait_for(lambda: says(second, b"status").get("pid") == s.pid),
           "and one more: who comes then is answered")


def test_cut():
    """A gangwayctl that the machine was too slow for asks again."""
    path = tmpdir() + "/c"
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        s.bind(path)
        s.listen()
        with Process([find_program(CTL), "-s", path, "reopen"]) as p:
            s.accept()[0].close()
            c, _ = s.accept()
            line = c.recv(4096)
            c.sendall(b'{"ok": true, "pid": 1}\n')
            c.close()
            is_((line, p.wait()), (b'{"command":"reopen"}\n', 0),
                "who was cut before it was heard asks again")


# --- clients that misbehave

BAD = [
    ("nothing", b"\n"), ("no JSON", b"hello\n"), ("a list", b"[]\n"),
    ("no command", b"{}\n"), ("a number for one", b'{"command": 1}\n'),
    ("unknown", b'{"command": "dance"}\n'),
    ("twice", b'{"command": "stop", "command": "status"}\n'),
    ("a NUL", b'{"command": "stop\\u0000"}\n'), ("zeros", bytes(100) + b"\n"),
    ("scale without a number", b'{"command": "scale"}\n'),
    ("scale by text", b'{"command": "scale", "workers": "9"}\n'),
    ("scale by much", b'{"command": "scale", "workers": 99999999999}\n'),
    ("scale below", b'{"command": "scale", "workers": -1}\n'),
    ("scale to none", b'{"command": "scale", "workers": 0}\n'),
    ("deep", b"[" * 4000 + b"\n"), ("long", b"x" * 5000),
    ("long and valid", b'{"command": "status"' + b" " * 5000 + b"}\n"),
]


def test_abuse():
    path = tmpdir() + "/c"
    with serve("-w", "2", "--control-socket", path) as s:
        fds = fd_count(s.pid)
        for name, data in BAD:
            got = speak(path, data)
            try:
                reply = json.loads(got)
            except ValueError:
                reply = {}
            ok(reply.get("ok") is False and reply.get("error"),
               "refused: " + name, repr(got[:200]))
        is_(status("-s", path)["wanted"], 2, "and nothing came of it")
        got = set()

        def half():
            t0 = time.monotonic()
            got.add(speak(path, b'{"command": '))
            return time.monotonic() - t0
        took = measure(half, 1.5 + SLOWER)
        is_(got, {b""}, "half a request: cut")
        ok(0.8 < took < 1.5 + SLOWER, "after a second", "%.2f s" % took)

        # All places taken, more in the queue; none of them says anything.
        def replaced():
            """How long it takes beside them."""
            wait_for(lambda: all(w["uptime"] and w["uptime"] > 1
                                 for w in s.status()["workers"]))
            idle, before = [], fd_count(s.pid)
            for _ in range(6):
                c = socket.socket(socket.AF_UNIX)
                c.setblocking(False)
                try:
                    c.connect(path)
                except BlockingIOError:
                    pass
                idle.append(c)
            wait_for(lambda: fd_count(s.pid) > before)
            victim = s.workers()[0]
            booted = s.log().count("Booting worker")
            t0 = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            s.wait_log("Booting worker", booted + 1)
            took = time.monotonic() - t0
            good.append(len(s.workers()) == 2 and victim not in s.workers())
            waited.append(status("-s", path))
            for c in idle:
                c.close()
            return took
        good, waited = [], []
        took = measure(replaced, SLOWER, 10)
        ok(all(good),
           "idle clients: the manager replaces a worker meanwhile")
        ok(took < SLOWER, "idle clients: at once", "%.2f s" % took)
        ok(all(waited), "idle clients: who waits gets an answer")

        # One that takes nothing, and one that leaves.
        full = socket.socket(socket.AF_UNIX)
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        full.connect(path)
        full.sendall(b'{"command": "status"}\n')
        for _ in range(50):
            c = socket.socket(socket.AF_UNIX)
            c.connect(path)     # waits for a place in the queue
            c.sendall(b'{"command": "status"}\n')
            c.close()
        st = status("-s", path)
        ok(st and st["state"] == "serving", "clients that leave: it goes on")
        full.close()

        def slept():
            before = cpu_us([s.pid])
            pass_time(0.5)
            return (cpu_us([s.pid]) - before) / 1e6
        ok(measure(slept, 0.1) < 0.1, "and then sleeps")
        ok(wait_for(lambda: fd_count(s.pid) == fds),
           "and no descriptor is left", "%d, then %d" % (
            fds, fd_count(s.pid)))


# --- hosts and USR2

def test_host():
    d = tmpdir()
    run, path = runtime(), d + "/c"
    for asked in (False, True):
        sock = socket.socket()
        sock.bind(("127.0.0.1", free_port()))
        sock.listen(64)
        env = {"GANGWAY_WORKERS": "2", "XDG_RUNTIME_DIR": run}
        if asked:
            env["GANGWAY_CONTROL_SOCKET"] = path
        with Process([find_program(), "sleepy:application"], stdin=sock,
                     cwd=APPS, env=env) as p:
            with Fcgi(sock.getsockname()) as c:
                ok(c.request("/pid") is not None, "under a host: it serves")
            if not asked:
                ok(not os.path.exists(run + "/gangway"),
                   "under a host there is no socket unless set")
            else:
                st = status("-s", path)
                is_(st and st["pid"], p.pid, "under a host, when set")
                code, _, err = ctl("-s", path, "reopen")
                ok(code == 1 and "reload" in err, "reopen is refused there",
                   err)
        sock.close()


def test_upgrade():
    d = tmpdir()
    pid = d + "/app.pid"
    with serve("-p", pid, "-w", "2") as s:
        s.send_signal(signal.SIGUSR2)

        def second():
            try:
                with open(pid + ".2") as f:
                    return int(f.read())
            except (OSError, ValueError):
                return 0
        new = wait_for(second)
        ok(new, "USR2: there is a new manager")
        s.wait_log("Booting worker", 4)
        is_((status("-p", pid) or {}).get("pid"), s.pid,
            "USR2: the socket is the old one's")
        is_(ctl("-p", pid, "stop", "--no-wait")[0], 0, "USR2: stop it")
        s.wait()
        ok(wait_for(lambda: is_socket(pid + ".ctl")
                    and (status("-p", pid) or {}).get("pid") == new),
           "USR2: then it is the new one's")
        is_(ctl("-p", pid, "stop")[0], 0, "USR2: which stops as well")
        ok(wait_gone(new), "USR2: and is gone")
        ok(not os.path.exists(pid + ".ctl"), "USR2: with its socket")


def main():
    guard(int(os.environ.get("T_GUARD", "900")))
    only = sys.argv[1:]
    together([(fn,) for name, fn in (
        ("orders", test_orders), ("abuse", test_abuse),
        ("upgrade", test_upgrade), ("places", test_places),
        ("default", test_default), ("moved", test_moved),
        ("host", test_host), ("cut", test_cut)) if not only or name in only])
    done()


if __name__ == "__main__":
    main()
