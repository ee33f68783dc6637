#!/usr/bin/python3
"""The manager beside gunicorn's arbiter: the same cases, the same facts.

Each case starts a server in a folder of its own, does something to it, and
notes facts: exit statuses, who is alive, pid files, answers, log lines. It is
run with Debian's gunicorn and with gangway, both under gunicorn's profile.
Facts that differ must stand in DIFFERENCES, log lines that only one has in
LINES, each with its reason; and what stands there must be true.
"""
import collections
import concurrent.futures
import glob
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import (Process, alive, children, free_port, processes, tmpdir,
                     tree)
from server import GANGWAY, GUNICORN, SLOWER, Told
from tap import done, guard, is_, note, ok, skip_all
from wait import PATIENCE, Gate, wait_for, wait_gone
from wire import Broken, Http, request

APP = """
import os

def application(environ, start_response):
    words = environ["PATH_INFO"].strip("/").split("/")
    if words[0] == "gate":
        here = os.path.dirname(os.path.abspath(__file__))
        open(here + "/asleep", "w").close()
        open(here + "/gate").close()
    elif words[0] == "exit":
        os._exit(int(words[1]))
    body = {"pid": str(os.getpid()), "cwd": os.getcwd(),
            "env": os.environ.get("CASE", "-"),
            "ids": "%s %s %s" % (os.getuid(), os.getgid(), os.getgroups()),
            }.get(words[0], VERSION).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

VERSION = "one"
"""
TWO = APP.replace('"one"', '"two"')
BROKEN = "raise ValueError('planned')\n"

# Facts that differ: {(case, fact): reason}.
DIFFERENCES = {
    ("no app", "log"): "ours says where an application could be named",
    ("unknown option", "log"): "argparse's usage text and ours",
    ("bad value", "log"): "ours names source, value and range in one line",
    ("bad file value", "log"): "the same",
    ("bad file", "log"): "ours is one error, with the traceback",
    ("missing file", "log"): "ours names who asked for the file",
    ("bad app", "log"): "ours says so in the log, by the traceback's end",
    ("no such attribute", "log"): "gunicorn's message is on stderr, bare",
    ("bad app, preload", "log"):
        "gunicorn's raw traceback; ours is in the log",
    ("check, bad app", "log"): "the same",
    ("check, bad file", "log"): "as for a start",
    ("bind in use", "log"): "ours says the reason once a try, and what to do",
    ("bind in use", "pid file"): "gunicorn's is left behind",
    ("initgroups", "groups"): "without --group ours are the user's alone, "
        "gunicorn's has root's among them",
    ("pid file in use", "log"): "ours says what to do",
    ("pid file strange", "exit"): "what is no pid file is not overwritten",
    ("pid file strange", "pid file"): "the same",
    ("pid file strange", "log"): "the same",
    ("HUP, broken file", "alive"): "the server is not given up for a typo",
    ("HUP, broken file", "exit"): "the same",
    ("HUP, broken file", "body"): "the same",
    ("HUP, broken file", "log"): "the same",
    ("HUP, broken app", "alive"): "the old workers serve on",
    ("HUP, broken app", "exit"): "the same",
    ("HUP, broken app", "body"): "the same",
    ("HUP, broken app", "log"): "the same",
    ("worker gets HUP", "replaced"): "ignored: pkill -HUP does no harm",
    ("worker gets HUP", "log"): "the same",
    ("worker gets USR2", "replaced"): "the same",
    ("worker gets USR2", "log"): "the same",
    ("worker gets ABRT", "log"): "ours shows the stacks of all threads",
    ("worker exits 3", "alive"):
        "a worker that was healthy ends no server, whatever its exit status",
    ("worker exits 3", "exit"): "the same",
    ("worker exits 3", "body"): "the same",
    ("worker exits 3", "log"): "the same",
    ("timeout", "answer"): "504 when the time is over, instead of an end",
    ("timeout", "log"): "the request is named, with the stack it hung in",
    ("graceful timeout", "answer"): "503 when the time is over",
    ("graceful timeout", "log"): "the cut request is named",
    ("manager killed", "workers gone"):
        "gunicorn's sync workers look for it every timeout / 2 seconds",
    ("manager killed", "log"): "the same",
}

# Lines that one has and the other lacks, in any case: (who, pattern, reason).
LINES = [
    ("gangway", "Settings: ", "what is in force, and from where"),
    ("gangway", "Started by: ", "the host that was found"),
    ("gunicorn", "Worker with pid N was terminated due to signal ",
     "20.1's words; 26.1's are ours"),
    ("gangway", r"Worker \(pid:N\) was sent SIG", "26.1's words"),
    ("gangway", r"Worker \(pid:N\) exited with code ", "26.1 has that line"),
    ("gangway", r"Worker \(pid:N\) was running: ", "what a death has cost"),
    ("both", "Reason: ", "an error in 26.1 and here, information in 20.1"),
    ("both", "Autorestarting worker after current request",
     "gunicorn says it in the request, we after it; the count may differ"),
    ("gangway", r"The new program \(pid:N\) has left",
     "gunicorn's does not notice"),
    ("gangway", r"The new program \(pid:N\) exited", "the same"),
]


def write(*path_and_text):
    *path, text = path_and_text
    with open(os.path.join(*path), "w") as f:
        f.write(text)


def read(*path):
    try:
        with open(os.path.join(*path), errors="backslashreplace") as f:
            return f.read()
    except OSError:
        return None


def ready_for_signals(pid):
    """A worker of either has a handler of ABRT, the last one that it sets;
    a manager, and what it has just forked, has none."""
    m = re.search(r"SigCgt:\s*(\w+)", read("/proc/%d/status" % pid) or "")
    return m and int(m[1], 16) >> signal.SIGABRT - 1 & 1


def took_signal(pid):
    return not re.search(r"Pnd:\s*0*[1-9a-f]",
                         read("/proc/%d/status" % pid) or "")


class Side:
    """One case for one of the two."""

    def __init__(self, program):
        self.program = program
        self.name = os.path.basename(program)
        self.dir = tmpdir()
        os.chmod(self.dir, 0o755)
        self.address = ("127.0.0.1", free_port())
        self.facts = collections.OrderedDict()
        self.proc = None
        self.daemons = []
        self.roles = {}
        self.gate = None
        write(self.dir, "app.py", APP)

    def __setitem__(self, fact, value):
        self.facts[fact] = value

    # --- starting and ending

    def run(self, *args, app="app", wait=True, before=(), env=None):
        argv = [*before, self.program, *args] + ([app] if app else [])
        self.proc = Process(argv, cwd=self.dir, env={
            "GANGWAY_PROFILE": "gunicorn", **(env or {})})
        self.roles[self.proc.pid] = "M"
        if wait and not wait_for(lambda: self.body() is not None or
                                 self.proc.popen.poll() is not None,
                                 step=0.03):
            raise Broken("no answer: " + self.proc.log()[-2000:])
        return self

    def serve(self, *args, workers=2, **more):
        self.run("-b", "%s:%d" % self.address, "-w", str(workers), "-p",
                 "pid", "--graceful-timeout", "5", "--timeout", "120", *args,
                 **more)
        if self.settle(workers) != workers:
            raise Broken("no workers: " + self.proc.log()[-2000:])
        # Signals that come while they boot are another case.
        self.wait_log("Booting worker", workers)
        wait_for(lambda: self.body() is not None)
        if self.name == "gangway":      # one that boots dies in silence
            where, = glob.glob(self.dir + "/**/pid.ctl", recursive=True)
            Told(where).wait_workers(workers)
        return self

    def fails(self, *args, **more):
        self.run(*args, wait=False, **more)
        self["exit"] = self.proc.wait()

    def close(self):
        if self.proc is None:
            return
        left = [p for d in self.daemons for p in tree(d)]
        self.proc.kill()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    # --- looking

    def body(self, path="/"):
        try:
            with Http(self.address) as c:
                r = c.get(path)
                return r.body.decode() if r.status == 200 else r.status
        except (OSError, Broken):
            return None

    def workers(self, of=None):
        of = of or self.proc.pid
        return [p for p in children(of) if self.roles.get(p) is None]

    def pid_file(self, name="pid"):
        """Whose number it holds."""
        text = read(self.dir, name)
        if text is None:
            return None
        text = text.strip()
        return self.roles.get(int(text), "stranger") if text.isdigit() \
            else text

    def log(self):
        return self.proc.log() + (read(self.dir, "log") or "")

    def wait_log(self, text, times=1):
        return wait_for(lambda: self.log().count(text) >= times, step=0.03)

    def kill(self, sig, pid=None):
        os.kill(pid or self.proc.pid, sig)

    def settle(self, workers, of=None, gone=()):
        """Wait for so many workers that have set up their signals, and none
        of the old ones: how many, or which there are."""
        seen = []

        def right():
            seen[:] = self.workers(of)
            return (len(seen) == workers and not set(seen) & set(gone)
                    and all(map(ready_for_signals, seen)))
        return workers if wait_for(right, step=0.03) else seen

    def end(self, sig=signal.SIGTERM, pid=None):
        """Stop the manager; notes what is there after."""
        pid = pid or self.proc.pid
        wait_for(lambda: all(
            "Booting worker with pid: %d\n" % p
            in self.log() + (read(self.dir, "log.1") or "")
            for p in self.workers(pid)), step=0.03)
        mine = tree(pid)
        self.kill(sig, pid)
        if pid == self.proc.pid:
            self["exit"] = self.proc.wait()
        all(map(wait_gone, mine))
        self["left over"] = sum(map(alive, mine))
        self["pid file after"] = self.pid_file()

    def gone(self, pid):
        return wait_gone(pid)

    # --- the log, comparable

    def lines(self):
        """Of the managers in order, of the workers sorted."""
        masters, workers, rest = [], [], []
        for line in self.log().splitlines():
            m = re.match(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] "
                         r"\[(\d+)\] \[([A-Z]+)\] (.*)", line)
            if not m:
                rest.append(line)
                continue
            pid, level, text = m.groups()
            text = text.replace(self.dir, "DIR")
            if isinstance(self.address, tuple):
                text = text.replace(":%d" % self.address[1], ":PORT")
            text = re.sub(r"\b(?:gunicorn|gangway) \d+\.\d+\.\d+", "SERVER",
                          text)
            text = re.sub(r"\b\d{3,7}\b", "N", text)
            role = self.roles.get(int(pid), "W")
            line = "%s %s %s" % (role, level, text)
            (workers if role == "W" else masters).append(line)
        return masters + sorted(workers), rest


def in_time(s, fact, least, most, what):
    """Does it take so long? Again, when a stalled machine has made it slow
    (never fast)."""
    for _ in range(5):
        took = what()
        s[fact] = least < took < most
        if took < most:
            break


CASES = []


def case(name, **more):
    def register(f):
        CASES.append((name, f, more))
        return f
    return register


# --- starts that fail, and one-shots

def failing(name, *args, files={}, app="app"):
    def run(s):
        for path, text in files.items():
            write(s.dir, path, text)
        s.fails(*[a.replace("PORT", str(s.address[1])) for a in args],
                app=app)
        s["pid file"] = s.pid_file()
    CASES.append((name, run, {}))


HERE = ("-b", "127.0.0.1:PORT", "-p", "pid")
failing("no app", *HERE, app=None)
failing("unknown option", *HERE, "--no-such-option")
failing("bad value", *HERE, "-w", "-2")
failing("bad file value", *HERE, files={"gunicorn.conf.py": "workers = -3\n"})
failing("bad file", *HERE, files={"gunicorn.conf.py": "workers = = 1\n"})
failing("missing file", *HERE, "-c", "nowhere.py")
failing("bad app", *HERE, files={"app.py": BROKEN})
failing("no such attribute", *HERE, app="app:nothing")
failing("bad app, preload", *HERE, "--preload", files={"app.py": BROKEN})
failing("check", "--check-config")
failing("check, bad app", "--check-config", files={"app.py": BROKEN})
failing("check, bad file", "--check-config",
        files={"gunicorn.conf.py": "workers = -3\n"})


@case("bind in use")
def _(s):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(s.address)
        taken.listen()

        def tries():
            t0 = time.monotonic()
            s.fails("-b", "%s:%d" % s.address, "-p", "pid")
            return time.monotonic() - t0
        in_time(s, "patience", 3, 10 * SLOWER, tries)
    s["pid file"] = s.pid_file()


@case("pid file in use")
def _(s):
    write(s.dir, "pid", "%d\n" % os.getpid())
    s.fails("-b", "%s:%d" % s.address, "-p", "pid")
    s["pid file"] = s.pid_file()


@case("pid file stale")
def _(s):
    child = subprocess.Popen(["true"])
    child.wait()
    write(s.dir, "pid", "%d\n" % child.pid)
    s.serve()
    s["pid file"] = s.pid_file()
    s["mode"] = oct(os.stat(s.dir + "/pid").st_mode)
    s.end()


@case("pid file strange")
def _(s):
    write(s.dir, "pid", "dear diary\n")
    s.run("-b", "%s:%d" % s.address, "-p", "pid")
    s["pid file"] = s.pid_file()
    s["exit"] = s.proc.wait(0.1) if s.body() is None else s.proc.stop()


# --- start and stop

def stopping(name, sig):
    def run(s):
        s.serve()
        s["workers"] = len(s.workers())
        s["pid file"] = s.pid_file()
        s["body"] = s.body()
        s.end(sig)
    CASES.append((name, run, {}))


stopping("TERM", signal.SIGTERM)
stopping("INT", signal.SIGINT)
stopping("QUIT", signal.SIGQUIT)


def ask_slowly(s):
    """A request that stands at the gate."""
    if os.path.exists(s.dir + "/asleep"):
        os.unlink(s.dir + "/asleep")
    s.gate = s.gate or Gate(s.dir + "/gate")
    c = Http(s.address)
    c.send(request("/gate", "Connection: close\r\n"))
    wait_for(lambda: os.path.exists(s.dir + "/asleep"))
    return c


def answer(c):
    try:
        return c.read().status
    except (OSError, Broken):
        return "none"
    finally:
        c.close()


@case("TERM with a request")
def _(s):
    s.serve()
    c = ask_slowly(s)
    s.kill(signal.SIGTERM)
    s.wait_log("signal: term")
    wait_for(lambda: len(s.workers()) == 1)     # the idle one has left
    s.gate.open()
    s["answer"] = answer(c)
    s["exit"] = s.proc.wait()


@case("graceful timeout")
def _(s):
    def stop():
        s.serve("--graceful-timeout", "1", workers=1)
        c = ask_slowly(s)
        t0 = time.monotonic()
        s.end()
        took = time.monotonic() - t0
        s["answer"] = answer(c)
        return took
    in_time(s, "in time", 0, 4 * SLOWER, stop)


@case("unix socket")
def _(s):
    path = os.path.join(s.dir, "sock")
    s.run("-b", "unix:" + path, "-w", "1", "-m", "0027", "-p", "pid",
          wait=False)
    s.address = path
    s["serves"] = bool(wait_for(s.body))
    s["mode"] = oct(stat.S_IMODE(os.stat(path).st_mode))
    s["exit"] = s.proc.stop()
    s["socket after"] = os.path.exists(path)


@case("chdir and env")
def _(s):
    os.mkdir(s.dir + "/there")
    os.rename(s.dir + "/app.py", s.dir + "/there/app.py")
    s.serve("--chdir", "there", "-e", "CASE=told")
    s["cwd"] = os.path.basename(s.body("/cwd"))
    s["env"] = s.body("/env")
    s["pid file"] = sorted(os.listdir(s.dir))
    s.end()


@case("user and group", root=True)
def _(s):
    s.serve("-u", "nobody", "-g", "nogroup")
    s["ids"] = s.body("/ids")
    s["manager"] = read("/proc/%d/status" % s.proc.pid).split("Uid:")[1][:12]
    old = s.workers()
    s.kill(signal.SIGHUP)
    s["workers"] = s.settle(2, gone=old)
    s["ids again"] = s.body("/ids")
    s.end()


@case("initgroups", root=True)
def _(s):
    s.serve("-u", "nobody", "--initgroups")
    s["groups"] = s.body("/ids").partition("[")[2]
    s.end()


@case("systemd sockets")
def _(s):
    with socket.socket() as sock:
        sock.bind(s.address)
        sock.listen()
        s.proc = Process(
            ["bash", "-c", "exec 99<&%d; exec 3<&99 99<&-; LISTEN_PID=$$ "
             "LISTEN_FDS=1 exec %s -w 1 -p pid app"
             % (sock.fileno(), s.program)],
            cwd=s.dir, env={"GANGWAY_PROFILE": "gunicorn"},
            pass_fds=[sock.fileno()])
    s.roles[s.proc.pid] = "M"
    s["body"] = wait_for(s.body) or s.log()
    s.end()


# --- reload

@case("HUP")
def _(s):
    s.serve()
    old = s.workers()
    write(s.dir, "app.py", TWO)
    s.kill(signal.SIGHUP)
    s["workers"] = s.settle(2, gone=old)
    s["body"] = s.body()
    s["pid file"] = s.pid_file()
    s.end()


@case("HUP, more workers")
def _(s):
    write(s.dir, "gunicorn.conf.py", "workers = 1\n")
    s.run("-b", "%s:%d" % s.address, "-p", "pid")
    s["before"] = s.settle(1)
    old = s.workers()
    write(s.dir, "gunicorn.conf.py", "workers = 3\n")
    s.kill(signal.SIGHUP)
    s["after"] = s.settle(3, gone=old)
    s.wait_log("Booting worker", 4)
    s.kill(signal.SIGTTIN)
    s["one more"] = s.settle(4)
    s.wait_log("Booting worker", 5)
    old = s.workers()
    s.kill(signal.SIGHUP)
    s["as configured"] = s.settle(3, gone=old)
    s.wait_log("Booting worker", 8)
    s.end()


@case("HUP, preload")
def _(s):
    s.serve("--preload")
    old = s.workers()
    write(s.dir, "app.py", TWO)
    s.kill(signal.SIGHUP)
    s["workers"] = s.settle(2, gone=old)
    s["body"] = s.body()
    s.end()


def broken_reload(name, path, text):
    def run(s):
        write(s.dir, "gunicorn.conf.py", "workers = 2\n")
        s.serve("--graceful-timeout", "1")
        write(s.dir, path, text)
        s.kill(signal.SIGHUP)
        wait_for(lambda: s.proc.popen.poll() is not None
                 or "Reload abandoned" in s.log()
                 or "Not reloaded" in s.log())
        s["exit"] = s.proc.wait(0.3)
        s["alive"] = s.proc.popen.poll() is None
        s["body"] = s.proc.popen.poll() is None and s.body()
        # gunicorn may leave its file behind, or not: it is a race.
        s["pid file"] = s.name == "gunicorn" or s.pid_file() == "M"
    CASES.append((name, run, {}))


broken_reload("HUP, broken file", "gunicorn.conf.py", "workers = -1\n")
broken_reload("HUP, broken app", "app.py", BROKEN)


# --- scale and logs

@case("TTIN, TTOU")
def _(s):
    s.serve()
    for fact, sig, want in (("TTIN", signal.SIGTTIN, 3),
                            ("TTOU", signal.SIGTTOU, 2),
                            ("TTOU again", signal.SIGTTOU, 1)):
        s.kill(sig)
        s[fact] = s.settle(want)
        s.wait_log("Booting worker", 3)
    s.kill(signal.SIGTTOU)
    s.wait_log("signal: ttou", 3)
    s["never none"] = s.settle(1)
    s["body"] = s.body()
    s.end()


@case("USR1")
def _(s):
    s.serve("--log-file", "log")
    old = s.workers()
    os.rename(s.dir + "/log", s.dir + "/log.1")
    s.kill(signal.SIGUSR1)
    s["new file"] = wait_for(lambda: os.path.exists(s.dir + "/log"))
    s["same workers"] = s.workers() == old
    s["body"] = s.body()
    s.end()
    s["last line"] = "Shutting down" in (read(s.dir, "log") or "")


# --- USR2

def second(s, pid=None):
    """Send USR2; the new manager when it serves, else None."""
    booted = s.log().count("Booting worker")
    s.kill(signal.SIGUSR2, pid)
    text = wait_for(lambda: read(s.dir, "pid.2"))
    if not text:
        return None
    s.roles[int(text)] = "N"
    s.settle(2, int(text))
    s.wait_log("Booting worker", booted + 2)
    return int(text)


def pids(s):
    return s.pid_file(), s.pid_file("pid.2")


@case("USR2, the old one leaves")
def _(s):
    s.serve()
    new = second(s)
    s["pids"] = pids(s)
    s["workers"] = len(s.workers()), len(s.workers(new))
    s.kill(signal.SIGUSR2)
    s["child"] = s.wait_log("USR2 signal ignored. Child exists.")
    s.kill(signal.SIGUSR2, new)
    s["parent"] = s.wait_log("USR2 signal ignored. Parent exists.")
    s.kill(signal.SIGTERM)
    s["exit"] = s.proc.wait()
    s["promoted"] = s.wait_log("Master has been promoted.")
    wait_for(lambda: pids(s) == ("N", None))
    s["pids after"] = pids(s)
    s["body"] = s.body()
    s["served by the new"] = int(s.body("/pid")) in s.workers(new)
    s.end(pid=new)


@case("USR2, the new one leaves")
def _(s):
    s.serve()
    new = second(s)
    s.kill(signal.SIGTERM, new)
    s["new gone"] = s.gone(new)
    s["pids"] = pids(s)
    s["workers"] = len(s.workers())
    s["body"] = s.body()
    again = second(s)
    s["another"] = again is not None and pids(s)
    s.kill(signal.SIGQUIT, again)
    s["another gone"] = s.gone(again)
    s.end()


@case("USR2, the old one is killed")
def _(s):
    s.serve()
    new = second(s)
    left = s.workers()
    # gunicorn's new one gives up where the old one is still a zombie when it
    # looks.
    s.kill(signal.SIGSTOP, new)
    s.kill(signal.SIGKILL)
    s.proc.wait()
    s.kill(signal.SIGCONT, new)
    # gunicorn's orphans look around after a request.
    wait_for(lambda: s.body() and not any(map(alive, left)))
    s["promoted"] = s.wait_log("Master has been promoted.")
    wait_for(lambda: pids(s) == ("N", None))
    s["pids"] = pids(s)
    s["body"] = s.body()
    s.end(pid=new)


@case("USR2, the new one does not start")
def _(s):
    s.serve()
    write(s.dir, "gunicorn.conf.py", "workers = -1\n")
    s.kill(signal.SIGUSR2)
    s.wait_log("Error: ")
    wait_for(lambda: len(children(s.proc.pid)) == 2)
    s["children"] = len(children(s.proc.pid))
    s["body"] = s.body()
    s["pids"] = pids(s)
    s.end()


@case("USR2, reuse_port")
def _(s):
    """26.1's new master crashes here, 20.1's does not."""
    s.serve("--reuse-port")
    new = second(s)
    s["pids"] = pids(s)
    s.kill(signal.SIGTERM)
    s["exit"] = s.proc.wait()
    s["promoted"] = s.wait_log("Master has been promoted.")
    wait_for(lambda: pids(s) == ("N", None))
    s["body"] = s.body()
    s.end(pid=new)


# --- daemon

def daemon(s, *args):
    s.run("-D", "-b", "%s:%d" % s.address, "-w", "2", "-p",
          s.dir + "/pid", "--log-file", "log", "--graceful-timeout", "5",
          *args, wait=False)
    s["started"] = s.proc.wait()
    text = wait_for(lambda: read(s.dir, "pid"))
    pid = int(text)
    s.daemons.append(pid)
    s.roles[pid] = "M"
    wait_for(s.body)
    s.wait_log("Booting worker", 2)
    s.settle(2, pid)
    return pid


@case("daemon")
def _(s):
    pid = daemon(s)
    s["body"] = s.body()
    s["stdio"] = [os.readlink("/proc/%d/fd/%d" % (pid, i)) for i in range(3)]
    s["session"] = os.getsid(pid) != os.getsid(0), os.getsid(pid) == pid
    s["parent"] = processes()[pid][0] != os.getpid()
    s["umask"] = re.search(r"Umask:\s*(\d+)",
                           read("/proc/%d/status" % pid)).group(1)
    s["said"] = s.proc.log()
    s.end(pid=pid)


@case("daemon, WINCH")
def _(s):
    pid = daemon(s)
    s.kill(signal.SIGWINCH, pid)
    s["none"] = s.settle(0, pid)
    s["alive"] = alive(pid)
    s.kill(signal.SIGTTIN, pid)
    s["TTIN"] = s.settle(1, pid)
    old = s.workers(pid)
    s.kill(signal.SIGHUP, pid)
    s["HUP"] = s.settle(2, pid, old)
    s["body"] = s.body()
    s.end(pid=pid)


@case("daemon, USR2, WINCH, back")
def _(s):
    pid = daemon(s)
    new = second(s, pid)
    s.daemons.append(new)
    s["pids"] = pids(s)
    s.kill(signal.SIGWINCH, pid)
    s["none"] = s.settle(0, pid)
    s["by the new"] = int(s.body("/pid")) in s.workers(new)
    s.kill(signal.SIGHUP, pid)
    s["HUP"] = s.settle(2, pid)
    s.kill(signal.SIGTERM, new)
    s["new gone"] = s.gone(new)
    s["by the old"] = int(s.body("/pid")) in s.workers(pid)
    s["pids after"] = pids(s)
    s.end(pid=pid)


@case("WINCH")
def _(s):
    s.serve()
    old = s.workers()
    s.kill(signal.SIGWINCH)
    s.wait_log("signal: winch")
    s["same workers"] = s.workers() == old
    s.end()


# --- workers

def worker_gets(sig):
    def run(s):
        s.serve()
        victim = s.workers()[0]
        stays = sig in (signal.SIGUSR1, signal.SIGWINCH) or (
            s.name == "gangway" and sig in (signal.SIGHUP, signal.SIGUSR2))
        s.kill(sig, victim)
        wait_for(lambda: took_signal(victim))
        s["replaced"] = wait_gone(victim, 0.5 if stays else PATIENCE)
        s["workers"] = s.settle(2)
        s.wait_log("Booting worker", 3 if s.facts["replaced"] else 2)
        s["body"] = s.body()
        s.end()
    CASES.append(("worker gets " + sig.name[3:], run, {}))


for one in ("TERM", "INT", "QUIT", "KILL", "SEGV", "ABRT", "HUP", "USR1",
            "USR2", "WINCH"):
    worker_gets(getattr(signal, "SIG" + one))


@case("worker exits 1")
def _(s):
    s.serve()
    s.body("/exit/1")
    s.wait_log("Booting worker", 3)
    s["workers"] = s.settle(2)
    s.end()


@case("worker exits 3")
def _(s):
    s.serve()
    s.body("/exit/3")
    # Either it ends, or a third worker boots and it does not.
    wait_for(lambda: s.proc.popen.poll() is not None
             or s.name == "gangway" and s.log().count("Booting") == 3)
    s["exit"] = s.proc.wait(0.3)
    s["alive"] = s.proc.popen.poll() is None
    s["body"] = s.body()


@case("max_requests")
def _(s):
    s.serve("--max-requests", "20", workers=1)
    first = s.workers()
    seen = [s.body("/pid") for _ in range(15)]
    s["one"] = len(set(seen))
    for _ in range(10):
        s.body("/pid")
    s["replaced"] = s.settle(1, gone=first)
    s["body"] = s.body()
    s.end()


@case("timeout")
def _(s):
    def stuck():
        if s.proc:
            s.proc.stop()
        s.serve("--timeout", "2", workers=1)
        s["first"] = s.workers()
        t0 = time.monotonic()
        s["answer"] = answer(ask_slowly(s))
        return time.monotonic() - t0
    in_time(s, "in time", 1.5, 5 * SLOWER, stuck)
    s["replaced"] = s.settle(1, gone=s.facts.pop("first"))
    s["body"] = s.body()
    s.end()


@case("manager killed")
def _(s):
    s.serve()
    left = s.workers()
    s.kill(signal.SIGKILL)
    s.proc.wait()
    # gunicorn's look after half of --timeout, one minute.
    s["workers gone"] = all(wait_gone(
        p, PATIENCE if s.name == "gangway" else 0.5) for p in left)
    s["pid file"] = s.pid_file()


# --- running and comparing

def run_one(name, what, program):
    s = Side(program)
    try:
        what(s)
        if s.proc.popen.poll() is None and s.facts.get("alive") is None:
            s.proc.stop()
    except Exception as e:
        s["died"] = "%s %s" % (type(e).__name__, e)
    finally:
        text = s.log() if s.proc else ""
        masters, rest = s.lines() if s.proc else ([], [])
        s.close()
    return s.facts, masters, rest, text


def tolerated(line, who, used):
    for i, (whose, pattern, _reason) in enumerate(LINES):
        if whose in (who, "both") and re.search(pattern, line):
            used.add(i)
            return True
    return False


def said(theirs, ours, used_lines):
    """What both have to say in their logs, without what LINES lists."""
    return ([x for x in theirs[1] if not tolerated(x, "gunicorn", used_lines)],
            [x for x in ours[1] if not tolerated(x, "gangway", used_lines)])


def alike(name, theirs, ours, used_lines):
    """All that must be the same; the log's lines of both."""
    facts = list(dict.fromkeys([*theirs[0], *ours[0]]))
    a, b = said(theirs, ours, used_lines)
    return a, b, (("died" not in theirs[0]) and all(
        theirs[0].get(fact) == ours[0].get(fact)
        for fact in facts if (name, fact) not in DIFFERENCES)
        and ((name, "log") in DIFFERENCES or a == b))


def compare(name, case, theirs, ours, used, used_lines):
    # What gunicorn does may hang on how late it looks; ours may not.
    for _ in range(3):
        a, b, good = alike(name, theirs, ours, used_lines)
        if good:
            break
        theirs = run_one(name, case, GUNICORN)
    for who in theirs, ours:
        ok("died" not in who[0], name + ": it ran to its end",
           who[0].get("died"))
    facts = list(dict.fromkeys([*theirs[0], *ours[0]]))
    for fact in facts:
        key = (name, fact)
        if key in DIFFERENCES:
            used[key] = (used.get(key, False)
                         or theirs[0].get(fact) != ours[0].get(fact))
        else:
            is_(ours[0].get(fact), theirs[0].get(fact),
                "%s: %s" % (name, fact))
    key = (name, "log")
    if key in DIFFERENCES:
        used[key] = a != b or theirs[2] != ours[2]
        return
    missing = collections.Counter(a) - collections.Counter(b)
    extra = collections.Counter(b) - collections.Counter(a)
    ok(a == b, name + ": the log", "only gunicorn: %s\nonly gangway: %s\n%s"
       % (sorted(missing), sorted(extra), "\n".join(b)))


def main():
    if not os.access(GUNICORN, os.X_OK):
        skip_all("gunicorn is missing (Debian: gunicorn)")
    guard(600)
    only = sys.argv[1:]
    chosen = [(n, f) for n, f, more in CASES
              if (not only or any(o in n for o in only))
              and (os.getuid() == 0 or not more.get("root"))]
    used, used_lines = {}, set()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        runs = [(n, f, pool.submit(run_one, n, f, GUNICORN),
                 pool.submit(run_one, n, f, GANGWAY)) for n, f in chosen]
        for name, case, theirs, ours in runs:
            theirs, ours = theirs.result(), ours.result()
            compare(name, case, theirs, ours, used, used_lines)
            if only:
                for who, x in (("gunicorn", theirs), ("gangway", ours)):
                    note("%s %s: %s\n%s" % (name, who, dict(x[0]), x[3]))
    for key, differs in used.items():
        ok(differs, "%s: %s differs, as the list says" % key, DIFFERENCES[key])
    if not only:
        is_(sorted(k for k in DIFFERENCES if k not in used
                   and os.getuid() == 0), [],
            "the list has no case that there is not")
    done()


if __name__ == "__main__":
    main()
