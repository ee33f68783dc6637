#!/usr/bin/python3
"""Who stands above and beside the manager: a second one after USR2, a
service manager, the kernel where it is process 1, other users, and nobody.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import (Process, alive, children, fd_count, free_port, processes,
                     tmpdir)
from server import APPS, GANGWAY, SLOWER, Told, python_package
from tap import done, guard, is_, ok, skip, together
from wait import PATIENCE, Gate, holds, measure, wait_for, wait_gone
from wire import Broken, Fcgi, Http, request

APP = """
import os, subprocess, sys, threading

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stay":
        open("gate").close()
    elif path == "/linger":     # who would never end by itself
        threading.Thread(target=open, args=("gate",)).start()
    elif path == "/orphan":
        subprocess.run("{ : <gate; } & { : <gate; } &", shell=True)
    body = ("%d %s %s" % (os.getpid(), sys.prefix, VERSION)).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

VERSION = "one"
"""


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return None


class Manager(Process):
    """gangway in a folder of its own, with the application above."""

    def __init__(self, *args, argv=None, folder=None, binds=None, workers=2,
                 env=None, wait=True, cwd=None, ini="", **more):
        self.folder = folder or tmpdir()
        if folder is None:
            os.chmod(self.folder, 0o755)
        write(self.folder + "/app.py", APP)
        if ini:
            write(self.folder + "/gangway.ini", ini)
        self.address = ("127.0.0.1", free_port())
        self.pidfile = self.folder + "/pid"
        binds = ["%s:%d" % self.address] if binds is None else binds
        argv = [*(argv or [GANGWAY]), *sum((["-b", b] for b in binds), []),
                "-p", self.pidfile, "--graceful-timeout", "5",
                "--pythonpath", self.folder, *args]
        if not ini:
            argv += ["-w", str(workers)]
        super().__init__([*argv, "app"], cwd=cwd or self.folder, env=env,
                         **more)
        self.managers = [self.pid]
        name = os.path.join(cwd or self.folder,
                            argv[len(argv) - argv[::-1].index("-p")] + ".ctl")
        self.told = Told(name)
        if ini:
            workers = int(re.search(r"workers = (\d+)", ini)[1])
        # No client finds a socket by a name longer than that.
        if wait and not (wait_for(self.body) and (
                len(name) > 107 or self.told.wait_workers(workers))):
            raise Broken("no answer: " + self.log()[-3000:])

    def body(self, path="/", address=None):
        try:
            with Http(address or self.address) as c:
                r = c.get(path)
                return r.body.decode() if r.status == 200 else None
        except (OSError, Broken):
            return None

    def pid_of(self, connection=None):
        r = connection.get("/") if connection else None
        return int((r.body.decode() if r else self.body()).split()[0])

    def crew(self, pid=None):
        return [p for p in children(pid or self.managers[-1])
                if p not in self.managers]

    def upgrade(self, workers=2):
        """USR2; the new manager, when it serves."""
        booted = self.log().count("Booting worker")
        os.kill(self.managers[-1], signal.SIGUSR2)
        text = wait_for(lambda: read(self.pidfile + ".2"))
        if not text:
            raise Broken("no new manager: " + self.log()[-3000:])
        self.managers.append(int(text))
        wait_for(lambda: self.log().count("Booting worker")
                 >= booted + workers)
        # READY comes a moment after that line.
        wait_for(lambda: all(os.path.exists("/proc/%d" % p)
                             and threads(p) > 1 for p in self.crew())
                 and len(self.crew()) == workers)
        return int(text)

    def leave(self, i, sig=signal.SIGTERM):
        """Manager number i is told to leave; did it?"""
        pid = self.managers.pop(i)
        os.kill(pid, sig)
        if pid == self.pid:
            return self.wait() is not None
        return wait_gone(pid)

    def promoted(self):
        return wait_for(lambda: read(self.pidfile)
                        == "%d\n" % self.managers[-1]
                        and not os.path.exists(self.pidfile + ".2"))

    def finish(self, name):
        pid = self.managers[-1]
        workers = self.crew(pid)
        os.kill(pid, signal.SIGTERM)
        ok(all(map(wait_gone, [pid, *workers])), name + ": ends",
           self.log()[-2000:])
        ok(not os.path.exists(self.pidfile), name + ": no pid file is left")
        ok("Traceback" not in self.log(), name + ": nothing raised",
           self.log()[-3000:])


def threads(pid):
    m = re.search(r"Threads:\s*(\d+)", read("/proc/%d/status" % pid) or "")
    return int(m.group(1)) if m else 0


# --- how it was started

def once_more(name, s, prefix=None):
    """Upgrade it, and let the old one leave."""
    new = s.upgrade()
    old_crew = s.crew(s.pid)
    ok(s.leave(0), name + ": the old one leaves", s.log()[-2000:])
    ok(s.promoted(), name + ": the new one has the pid file",
       s.log()[-2000:])
    body = s.body()
    ok(body and int(body.split()[0]) in s.crew(new)
       and not any(map(alive, old_crew)),
       name + ": and serves", "%s %s" % (body, s.log()[-1000:]))
    if prefix:
        is_(body.split()[1], prefix, name + ": in the same Python")
    s.finish(name)


def forms():
    with Manager() as s:
        once_more("a full path", s)
    with Manager("--chdir", APPS, argv=["./" + os.path.basename(GANGWAY)],
                 cwd=os.path.dirname(GANGWAY)) as s:
        once_more("a relative path", s)
    path = os.path.dirname(GANGWAY) + ":" + os.environ["PATH"]
    with Manager(argv=["/usr/bin/env", "gangway"], env={"PATH": path}) as s:
        once_more("found in PATH", s)


def forms_of_python():
    venv = os.path.join(os.path.realpath(tmpdir()), "v")
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", venv],
                   check=True)
    os.symlink(GANGWAY, venv + "/bin/gangway")
    with Manager(argv=["bin/gangway"], cwd=venv) as s:
        once_more("in a virtual environment", s, venv)
    package, why = python_package()
    if package is None:
        skip(why, 2)
        return
    with Manager(argv=["/usr/bin/python3", "-m", "gangway"],
                 env={"PYTHONPATH": package}) as s:
        once_more("python3 -m gangway", s)
    shutil.copytree(package + "/gangway", venv + "/lib/python%d.%d/"
                    "site-packages/gangway" % sys.version_info[:2])
    write(venv + "/bin/server", "#!%s/bin/python3\nimport sys, gangway\n"
          "sys.exit(gangway.main())\n" % venv)
    os.chmod(venv + "/bin/server", 0o755)
    with Manager(argv=["bin/server"], cwd=venv) as s:
        once_more("a script of a virtual environment", s, venv)


def moved_link():
    """Started in a folder that is a link, which then leads elsewhere."""
    where = os.path.realpath(tmpdir())
    os.chmod(where, 0o755)
    link = where + "/current"
    for name in "old", "new":
        os.mkdir(where + "/" + name)
        write(where + "/" + name + "/app.py", APP)
    os.symlink("old", link)
    with Manager("-p", where + "/pid", folder=link,
                 env={"PWD": link}) as s:
        s.pidfile = where + "/pid"
        os.unlink(link)
        os.symlink("new", link)
        new = s.upgrade()
        is_(os.readlink("/proc/%d/cwd" % new), where + "/new",
            "a link as folder: the new one is where it leads now")
        s.leave(0)
        s.promoted()
        os.unlink(link)
        os.symlink("old", link)
        write(where + "/old/app.py", "import os; os._exit(9)\n")
        os.kill(new, signal.SIGHUP)
        ok(wait_for(lambda: "Reload abandoned" in s.log())
           and wait_for(lambda: os.readlink("/proc/%d/cwd" % new)
                        == where + "/new"),
           "a link as folder: a reload that fails goes back",
           os.readlink("/proc/%d/cwd" % new))
        write(where + "/old/app.py", APP)
        os.kill(new, signal.SIGHUP)
        ok(wait_for(lambda: os.readlink("/proc/%d/cwd" % new)
                    == where + "/old"),
           "a link as folder: a reload follows it too")
        s.finish("a link as folder")
    os.unlink(link)
    os.symlink("old", link)
    with Manager(folder=link, env={"PWD": where + "/new"}) as s:
        new = s.upgrade()
        is_(os.readlink("/proc/%d/cwd" % new), where + "/old",
            "a PWD of another folder is not believed")
        s.leave(0)
        s.promoted()
        s.finish("a PWD of another folder")


def moved_names():
    """There, what is named from the working directory moves with it."""
    name = "names in a folder that is a link: "
    where = os.path.realpath(tmpdir())
    os.chmod(where, 0o755)
    link = where + "/current"
    ours = ["app.pid", "app.pid.ctl", "app.sock"]

    def files(folder):
        return sorted(f for f in os.listdir(where + "/" + folder)
                      if f.startswith("app.") and f != "app.py")

    def lead(to):
        os.unlink(link)
        os.symlink(to, link)
    for folder in "old", "new":
        os.mkdir(where + "/" + folder)
        write(where + "/" + folder + "/app.py", APP)
    os.symlink("old", link)
    with Manager("-p", "app.pid", folder=link, binds=["unix:app.sock"],
                 env={"PWD": link}, wait=False) as s:
        s.address, s.pidfile = link + "/app.sock", link + "/app.pid"
        ok(wait_for(s.body) and files("old") == ours,
           name + "the start", files("old"))
        lead("new")
        write(where + "/new/app.py", "import os; os._exit(9)\n")
        s.send_signal(signal.SIGHUP)
        ok(wait_for(lambda: "Reload abandoned" in s.log())
           and wait_for(lambda: not files("new"))
           and files("old") == ours
           and s.body(address=where + "/old/app.sock"),
           name + "a reload that fails", (files("old"), files("new")))
        write(where + "/new/app.py", APP)
        s.send_signal(signal.SIGHUP)
        ok(wait_for(lambda: files("new") == ours and not files("old"))
           and s.body(),
           name + "a reload", (files("old"), files("new")))
        lead("old")
        new = s.upgrade()
        ok(files("old") == ["app.pid.2", "app.sock"] and s.pid_of()
           in s.crew(new) and s.body(address=where + "/new/app.sock"),
           name + "both serve after USR2", (files("old"), files("new")))
        s.leave(0)
        ok(s.promoted() and wait_for(lambda: files("old") == ours),
           name + "the old one leaves", (files("old"), files("new")))
        ok(wait_for(lambda: not files("new")),
           name + "and what only it had goes", files("new"))
        s.finish(name + "the end")
        is_(files("old"), [], name + "and nothing is left")


def deep_names():
    """In a folder whose name is too long for that of a socket."""
    folder = tmpdir() + "/" + "x" * 110
    os.mkdir(folder)
    with Manager("-p", "app.pid", "-b", "unix:app.sock", folder=folder) as s:
        s.pidfile = folder + "/app.pid"
        ok(wait_for(lambda: all(os.path.exists(folder + "/app." + end)
                                for end in ("pid", "pid.ctl", "sock"))),
           "a deep folder: all files are there",
           os.listdir(folder))
        s.finish("a deep folder")
        is_(os.listdir(folder), ["app.py"], "a deep folder: none is left")


def title(pid):
    # setproctitle() adds a blank to a title as long as the program's name.
    return (read("/proc/%d/cmdline" % pid) or "").partition("\0")[0].rstrip()


def names():
    """What ps shows."""
    with Manager("-n", "shop") as s:
        ok(wait_for(lambda: title(s.pid) == "gangway: master [shop]"),
           "names: the manager", title(s.pid))
        ok(wait_for(lambda: all(title(p) == "gangway: worker [shop]"
                                for p in s.crew())),
           "names: its workers", list(map(title, s.crew())))
        new = s.upgrade()
        is_(title(new), "gangway: master [shop.2]", "names: the second")
        s.leave(0)
        s.promoted()
        ok(wait_for(lambda: title(new) == "gangway: master [shop]"),
           "names: which becomes the first", title(new))
        s.finish("names")
    with Manager(workers=1) as s:
        ok(wait_for(lambda: title(s.pid) == "gangway: master [app]"),
           "names: without -n its application's", title(s.pid))


def lost_program():
    program = tmpdir() + "/gangway"
    shutil.copy(GANGWAY, program)
    libs = os.path.join(os.path.dirname(GANGWAY), "shim", ".libs")
    with Manager(argv=[program], env={"GANGWAY_LIBDIR": libs}) as s:
        os.unlink(program)
        os.kill(s.pid, signal.SIGUSR2)
        ok(wait_for(lambda: "exited with code" in s.log())
           and program in s.log(), "a program that has gone: is said",
           s.log()[-2000:])
        ok(s.body() and s.wait(0.2) is None,
           "a program that has gone: the old one goes on")
        shutil.copy(GANGWAY, program)
        once_more("a program that is there again", s)


def next_version():
    """A program that is started by a link is found by it again."""
    folder = tmpdir()
    for name in "12":
        shutil.copy(GANGWAY, folder + "/" + name)
    link = folder + "/current"
    os.symlink("1", link)
    libs = os.path.join(os.path.dirname(GANGWAY), "shim", ".libs")
    with Manager(argv=[link], env={"GANGWAY_LIBDIR": libs}) as s:
        os.unlink(link)
        os.symlink("2", link)
        new = s.upgrade()
        is_(os.readlink("/proc/%d/exe" % new), folder + "/2",
            "a link to the next version: USR2 starts that")
        s.leave(0)
        s.promoted()
        s.finish("a link to the next version")


# --- what the two share

def kept_connection(port):
    """It lives on while either manager leaves."""
    name = "a kept connection%s: " % (", reuse_port" if port else "")
    with Manager("--keep-alive", "60", *port) as s:
        with Http(s.address) as idle, Http(s.address) as busy:
            first = s.pid_of(idle)
            s.pid_of(busy)
            new = s.upgrade()
            ok(first in s.crew(s.pid), name + "an old worker has it")
            # Half a request has come when the old worker leaves.
            busy.send(b"GET / HTTP/1.1\r\nHos")
            ok(s.leave(0), name + "the old manager leaves",
               s.log()[-2000:])
            ok(s.pid_of(idle) in s.crew(new), name + "a new one has it")
            busy.send(b"t: x\r\n\r\n")
            is_(busy.read().status, 200,
                name + "with what was read of a request")
            is_(idle.get("/")["connection"].lower() == "close", False,
                name + "and keeps it")
            s.promoted()
            third = s.upgrade()
            theirs = []     # connections of the newest
            while len(theirs) < 3:
                c = Http(s.address).open()
                if s.pid_of(c) in s.crew(third):
                    theirs.append(c)
                else:
                    c.close()
            ok(s.leave(1), name + "the newest leaves again")
            pids = {s.pid_of(c) for c in theirs}
            ok(pids <= set(s.crew(new)), name + "the other has them back",
               (pids, s.crew(new)))
        s.finish(name.rstrip(": "))


def ask_all(s, n=60):
    """So many new connections at once: how many were answered?"""
    got = []

    def one():
        got.append(s.body())
    clients = [threading.Thread(target=one) for _ in range(n)]
    for t in clients:
        t.start()
    for t in clients:
        t.join()
    return sum(b is not None for b in got)


def listening(pid):
    """Its listening TCP sockets, by inode."""
    wanted = set()
    with open("/proc/%d/net/tcp" % pid) as f:
        for line in f.read().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                wanted.add(fields[9])
    found = set()
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            m = re.match(r"socket:\[(\d+)\]",
                         os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        except OSError:
            continue
        if m and m.group(1) in wanted:
            found.add(m.group(1))
    return found


def many_sockets():
    """reuse_port with other numbers of workers on the two sides."""
    ini = "[gangway]\nworkers = %d\nreuse_port = true\n"
    with Manager(ini=ini % 3) as s:
        before = listening(s.pid)
        is_(len(before), 3, "reuse_port: a socket for each worker")
        write(s.folder + "/gangway.ini", ini % 5)
        new = s.upgrade(5)
        is_(listening(new), before, "reuse_port: the new one has all")
        is_(ask_all(s), 60, "reuse_port: both serve")
        s.leave(0)
        is_(ask_all(s), 60, "reuse_port: five serve on three sockets")
        s.promoted()
        for sig in (signal.SIGTTIN, signal.SIGTTOU):
            os.kill(new, sig)
        is_(ask_all(s), 60, "reuse_port: and after TTIN and TTOU")
        write(s.folder + "/gangway.ini", ini % 1)
        last = s.upgrade(1)
        s.leave(0)
        is_(ask_all(s), 60, "reuse_port: one serves on three sockets")
        is_(listening(last), before, "reuse_port: none was closed")
        ok(s.promoted(), "reuse_port: the pid file", s.log()[-1000:])
        s.finish("reuse_port")


def files():
    """Socket files, FastCGI, and addresses that come and go."""
    where = tmpdir()
    http, fcgi, port = where + "/h", where + "/f", free_port()
    ini = "[gangway]\nworkers = 2\nbind = %s\n"
    first = "unix:%s, fcgi+unix:%s" % (http, fcgi)
    with Manager(ini=ini % first, binds=[], wait=False) as s:
        s.address = http

        def both():
            try:
                with Fcgi(fcgi) as c:
                    return s.body() and c.request("/").status == 200
            except OSError:
                return False
        ok(wait_for(both), "files: HTTP and FastCGI")
        s.upgrade()
        s.leave(1)
        ok(both(), "files: the new one leaves, the files stay")
        write(s.folder + "/gangway.ini",
              ini % (first + ", 127.0.0.1:%d" % port))
        s.upgrade()
        # Workers of the two would not mean the same by a listener's number.
        with Http(http) as kept:
            while s.pid_of(kept) in s.crew():
                kept.close()
            os.kill(s.managers.pop(0), signal.SIGTERM)
            r = kept.get("/")
            while r.status == 200 and r["connection"].lower() != "close":
                r = kept.get("/")
            is_(r.status, 200, "files: a kept connection gets a last answer")
        ok(wait_for(lambda: len(s.managers) == 1 and s.promoted()),
           "files: the old one leaves", s.log()[-1000:])
        ok(both(), "files: the old one leaves, the files stay")
        ok(s.body(address=("127.0.0.1", port)),
           "files: what `bind` has more is opened")
        s.promoted()
        s.finish("files")
        is_(os.listdir(where), [], "files: the last one removes them")


def taken_file():
    """A socket file that somebody else has put in place of ours."""
    path = tmpdir() + "/s"
    with Manager(binds=["unix:" + path], wait=False) as s:
        s.address = path
        ok(wait_for(s.body), "another's file: the start")
        os.unlink(path)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            other.listen()
            s.upgrade()
            s.leave(0)
            s.promoted()
            s.finish("another's file")
            ok(os.path.exists(path), "another's file: is left alone")


def strangers():
    """GUNICORN_FD from another program; who is kept by others."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        fd = sock.fileno()
        with Manager(pass_fds=[fd], wait=False, env={
                "GUNICORN_FD": str(fd),
                "GUNICORN_PID": str(os.getpid())}) as s:
            s.address = sock.getsockname()
            ok(wait_for(s.body), "GUNICORN_FD is served",
               s.log()[-2000:])
            ok("bind is ignored" in s.log(), "and bind is not")
            is_(read(s.pidfile + ".2"), "%d\n" % s.pid,
                "the pid file is the second")
            s.stop()
            is_(os.path.exists(s.pidfile + ".2"), False, "and goes")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        with Manager(stdin=sock, wait=False, binds=[],
                     env={"GANGWAY_WORKERS": "2"}) as s:
            def answers():
                try:
                    with Fcgi(sock.getsockname()) as c:
                        return c.request("/").status == 200
                except OSError:
                    return False
            ok(wait_for(answers), "on descriptor 0")
            os.kill(s.pid, signal.SIGUSR2)
            ok(wait_for(lambda: "USR2 signal ignored" in s.log())
               and answers(), "USR2 is refused there", s.log()[-1000:])


def descriptors():
    """Generation after generation has no more of them."""
    with Manager() as s:
        def count():
            return (fd_count(s.managers[-1]), max(map(fd_count, s.crew())))
        counts = []
        for _ in range(4):
            s.upgrade()
            s.leave(0)
            s.promoted()
            # What one opens while it takes over is closed again.
            counts and wait_for(lambda: count() == counts[0], 5)
            counts.append(count())
        is_(len(set(counts)), 1, "descriptors: as many in each generation")
        s.finish("descriptors")


# --- the service manager

class Notify:
    """What systemd would hear. It reads all the time: the kernel keeps ten
    messages, and drops READY where ten of a watchdog stand before it."""

    def __init__(self, abstract=False):
        name = tmpdir() + "/notify"
        self.address = "\0" + name if abstract else name
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.address)
        self.env = {"NOTIFY_SOCKET": "@" + name if abstract else name}
        self.heard, self.marks = [], 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            text = self.sock.recv(4096).decode()
            if text == "MARK":
                self.marks += 1
            else:
                self.heard.append(text)

    def listen(self):
        """All that was said by now."""
        want = self.marks + 1
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as us:
            us.sendto(b"MARK", self.address)
        wait_for(lambda: self.marks >= want)
        return self.heard

    def hears(self, text, times=1):
        return wait_for(lambda: sum(text in m.split("\n")
                                    for m in self.listen()) >= times)


def notices():
    n = Notify()
    with Manager(env=n.env) as s:
        ok(n.hears("READY=1"), "systemd: READY", n.heard)
        ok(not any("WATCHDOG" in m for m in n.heard),
           "systemd: no watchdog was asked for")
        del n.heard[:]
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        s.send_signal(signal.SIGHUP)
        ok(n.hears("RELOADING=1"), "systemd: RELOADING", n.heard)
        usec = [int(line.partition("=")[2]) for m in n.heard
                for line in m.split("\n") if line.startswith("MONOTONIC")]
        ok(len(usec) == 1 and before <= usec[0] <= before + 60e6,
           "systemd: with the time", (before, usec))
        ok(n.hears("READY=1") and s.log().count("Worker exiting") >= 1,
           "systemd: READY when the last worker is new", n.heard)
        del n.heard[:]
        write(s.folder + "/app.py", "raise ValueError('planned')\n")
        s.send_signal(signal.SIGHUP)
        ok(n.hears("READY=1"), "systemd: READY when it is given up",
           n.heard)
        write(s.folder + "/app.py", APP)
        new = s.upgrade()
        del n.heard[:]
        s.leave(0)
        ok(n.hears("MAINPID=%d" % new), "systemd: MAINPID by the old one",
           n.heard)
        ok(n.hears("MAINPID=%d" % new, 2) and n.hears("READY=1"),
           "systemd: and by the new one", n.heard)
        ok(not any("STOPPING" in m for m in n.heard),
           "systemd: no STOPPING while it goes on", n.heard)
        s.promoted()
        third = s.upgrade()
        del n.heard[:]
        s.leave(1)
        n.listen()
        is_(n.heard, [], "systemd: nothing of one that came to nothing")
        os.kill(new, signal.SIGTERM)
        ok(n.hears("STOPPING=1"), "systemd: STOPPING", n.heard)
        ok(third != new and wait_gone(new), "systemd: stopped")
    n = Notify(abstract=True)
    with Manager(env=dict(n.env, WATCHDOG_USEC="300000")) as s:
        ok(n.hears("READY=1"), "systemd: a name in no folder")

        def seven():
            t0 = time.monotonic()
            n.listen()
            del n.heard[:]
            n.hears("WATCHDOG=1", 7)
            return time.monotonic() - t0
        took = measure(seven, 3 * SLOWER)
        ok(0.5 < took < 3 * SLOWER,
           "systemd: WATCHDOG at half of its time", "7 in %.2f s" % took)
        new = s.upgrade()
        s.leave(0)
        s.promoted()
        del n.heard[:]
        ok(n.hears("WATCHDOG=1", 3), "systemd: the next one says it too")
    n = Notify()
    with Manager(env=dict(n.env, WATCHDOG_USEC="1000",
                          WATCHDOG_PID="1")) as s:
        ok(n.hears("READY=1") and holds(lambda: len(n.listen()) == 1, 0.2),
           "systemd: a watchdog for somebody else", n.heard)


def activation():
    """LISTEN_FDS: kept over an upgrade, by the new one too."""
    n = Notify()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        fd = sock.fileno()
        script = ("exec 99<&%d; exec 3<&99 99<&-; LISTEN_PID=$$ "
                  'LISTEN_FDS=1 exec "$0" "$@"' % fd)
        with Manager(argv=["bash", "-c", script, GANGWAY], binds=[],
                     pass_fds=[fd], wait=False, env=n.env) as s:
            s.address = sock.getsockname()
            ok(wait_for(s.body) and "Started by: systemd"
               in s.log(), "activation: is served", s.log()[-2000:])
            once_more("activation", s)
            is_(s.log().count("Started by: systemd"), 2,
                "activation: the new one knows it too")


# --- process 1, other users, nobody

def process_one():
    if os.getuid() != 0 or subprocess.run(
            ["unshare", "-pf", "--mount-proc", "true"],
            stderr=subprocess.DEVNULL).returncode != 0:
        skip("process 1: needs root and namespaces", 4)
        return
    with Manager(argv=["unshare", "-pf", "--mount-proc", GANGWAY]) as s:
        one = wait_for(lambda: children(s.pid))[0]
        gate = Gate(s.folder + "/gate")
        for _ in range(5):
            s.body("/orphan")

        def strays():
            return [p for p, (parent, state) in processes().items()
                    if parent == one and (state == "Z" or read(
                        "/proc/%d/comm" % p) == "sh\n")]
        there = wait_for(lambda: len(strays()) == 10)
        gate.open()
        ok(there and wait_for(lambda: not strays()),
           "process 1: the orphans of others are collected", strays())
        is_(len(children(one)), 2, "process 1: two workers")
        os.kill(one, signal.SIGUSR2)
        ok(wait_for(lambda: "USR2 signal ignored" in s.log()),
           "process 1: has no successor, which would end with it",
           s.log()[-1000:])
        os.kill(one, signal.SIGTERM)
        is_(s.wait(), 0, "process 1: TERM ends it with 0")


def other_user():
    if os.getuid() != 0:
        skip("another user: needs root", 11)
        return
    log = tmpdir() + "/log"
    os.chmod(os.path.dirname(log), 0o777)
    sock = os.path.dirname(log) + "/sock"
    with Manager("-u", "nobody", "-g", "nogroup", "--log-file", log,
                 "--access-logfile", log, "-b", "unix:" + sock) as s:
        def status(pid, name):      # [] of one that has gone
            m = re.search(name + r":[ \t]*(.*)",
                          read("/proc/%d/status" % pid) or "")
            return m.group(1).split() if m else []
        wait_for(lambda: len(s.crew()) == 2 and all(
            status(p, "Uid")[:1] not in ([], ["0"]) for p in s.crew()))
        for pid in s.crew():
            is_((status(pid, "Uid"), status(pid, "Gid"),
                 status(pid, "Groups")),
                (["65534"] * 4, ["65534"] * 4, ["65534"]),
                "another user: all ids of a worker")
        is_(status(s.pid, "Uid"), ["0"] * 4, "another user: the manager")
        is_(os.stat(sock).st_uid, 65534, "another user: the socket file")
        os.rename(log, log + ".1")
        s.send_signal(signal.SIGUSR1)
        ok(wait_for(lambda: s.body("/moved") and "/moved" in
                    (read(log) or "")),
           "another user: workers open a new log", read(log))
        old = s.crew()
        s.send_signal(signal.SIGHUP)
        ok(wait_for(lambda: len(s.crew()) == 2
                    and not set(old) & set(s.crew()))
           and wait_for(lambda: status(s.crew()[0], "Uid")
                        == ["65534"] * 4),
           "another user: after HUP too")
    folder = tmpdir()
    os.chmod(folder, 0o755)
    log = folder + "/log"
    ini = ("[gangway]\nworkers = 1\nuser = %s\nerrorlog = " + log + "\n")
    with Manager(ini=ini % "nobody", folder=folder) as s:
        write(folder + "/gangway.ini", ini % "daemon")
        write(folder + "/app.py", "raise ValueError('planned')\n")
        s.send_signal(signal.SIGHUP)
        ok(wait_for(lambda: "Reload abandoned" in read(log)),
           "another user: a reload that fails", read(log))
        os.rename(log, log + ".1")
        s.send_signal(signal.SIGUSR1)
        ok(wait_for(lambda: os.path.exists(log) and
                    os.stat(log).st_uid != 0),
           "another user: a new log", read(log))
        is_(os.stat(log).st_uid, 65534,
            "another user: it is the one's in force")
        write(folder + "/app.py", APP)
        s.send_signal(signal.SIGHUP)
        ok(wait_for(lambda: s.crew() and all(
            status(p, "Uid") == ["1"] * 4 for p in s.crew())),
           "another user: a reload changes it")
        os.rename(log, log + ".2")
        s.send_signal(signal.SIGUSR1)
        ok(wait_for(lambda: os.path.exists(log) and
                    os.stat(log).st_uid == 1),
           "another user: and whose the next log is")
    with Manager("-u", "no-such-user", wait=False) as s:
        is_(s.wait(), 1, "a user that is not there")
    folder = tmpdir()
    os.chmod(folder, 0o777)
    with Manager("-u", "root", folder=folder, wait=False,
                 argv=["setpriv", "--reuid", "65534", "--regid", "65534",
                       "--clear-groups", GANGWAY]) as s:
        ok(s.wait() not in (0, None) and "cannot become" in s.log(),
           "who is not root cannot become another", s.log()[-1500:])


def killed(name, path=None, app=None):
    """No worker outlives a killed manager, whatever it is doing."""
    limit, booted = 1 * SLOWER + 0.2, []

    def once():
        with Manager("--preload") if app is None else Manager() as s:
            Gate(s.folder + "/gate")        # is never opened
            pids = s.crew()
            if path:
                Http(s.address).send(request(path))
                s.told.wait_running(path)
            if app:
                write(s.folder + "/app.py", app + APP)
                s.send_signal(signal.SIGHUP)
                booted.append(wait_for(lambda: len(s.crew()) > 2))
                pids = s.crew()
            s.send_signal(signal.SIGKILL)
            t0 = time.monotonic()
            return (time.monotonic() - t0 if all(map(wait_gone, pids))
                    else PATIENCE)
    took = measure(once, limit)
    if app:
        ok(all(booted), name + ": a new worker boots")
    ok(took < limit, name + ": nobody is left", "%.2f s" % took)


def patience(name, path, sig, leave):
    """graceful_timeout holds, whatever a worker does."""
    limit = 4 * SLOWER

    def once():
        with Manager("--graceful-timeout", "1") as s:
            Gate(s.folder + "/gate")        # is never opened
            pids = s.crew()

            asked, seen = [], set()

            def all_have_one():
                """One worker may take all that come at once."""
                some = [Http(s.address).send(request(path)) for _ in range(4)]
                asked.extend(some)
                if path == "/stay":
                    seen.update(w["pid"] for w in s.told.status()["workers"]
                                if w["running"])
                    return seen == set(pids)
                seen.update(int(c.read().body.split()[0]) for c in some)
                return seen == set(pids)
            wait_for(all_have_one)
            t0 = time.monotonic()
            s.send_signal(sig)
            good = wait_for(lambda: len([p for p in pids if not alive(p)])
                            >= leave)
            took = time.monotonic() - t0
            if sig != signal.SIGTERM:
                s.send_signal(signal.SIGQUIT)
            return took if good else PATIENCE
    took = measure(once, limit)
    ok(took < limit, "graceful_timeout: %s, %s" % (sig.name[3:], name),
       "%.1f s" % took)


def busy_orders(*signals):
    """A server that got them, in this order, while a hook ran."""
    folder = tmpdir()
    os.chmod(folder, 0o755)
    write(folder + "/gunicorn.conf.py", """
def child_exit(server, worker):
    open("busy", "w").close()
    open("gate").close()
""")
    gate = Gate(folder + "/gate")
    s = Manager(workers=1, folder=folder)
    os.kill(s.pid_of(), signal.SIGKILL)
    wait_for(lambda: os.path.exists(folder + "/busy"))
    for sig in signals:
        os.kill(s.pid, sig)
        # Of two that wait in the kernel the lower number would be the first.
        wait_for(lambda: re.search(r"ShdPnd:\s*0+$", read(
            "/proc/%d/status" % s.pid), re.M))
    gate.open()
    s.gate = gate
    return s


def in_order():
    """Orders that come while the manager is busy keep their order."""
    with busy_orders(signal.SIGUSR2, signal.SIGTERM) as s:
        is_(s.wait(), 0, "USR2, TERM while a hook runs: it leaves")
        new = wait_for(lambda: read(s.pidfile) or read(s.pidfile + ".2"))
        if ok(new and wait_for(s.body), "and the new one serves",
              s.log()[-2000:]):
            s.managers = [int(new)]
            s.promoted()
            s.finish("USR2, TERM while a hook runs")
    with busy_orders(signal.SIGTTOU, signal.SIGTTIN, signal.SIGTTIN) as s:
        ok(wait_for(lambda: s.log().count("Handling signal: tt") == 3
                    and len(s.crew()) == 3),
           "TTOU, TTIN, TTIN while a hook runs: never less than one, then "
           "three", s.log()[-1500:])
        s.finish("TTOU, TTIN, TTIN while a hook runs")


GROUPS = [(kept_connection, []), (kept_connection, ["--reuse-port"]),
          (notices,), (forms,), (forms_of_python,), (other_user,),
          (many_sockets,), (descriptors,)]
GROUPS += [(patience, name, path, sig, leave)
           for name, path in (("a request that stays", "/stay"),
                              ("a thread that stays", "/linger"))
           for sig, leave in ((signal.SIGTERM, 2), (signal.SIGHUP, 2),
                              (signal.SIGTTOU, 1))]
GROUPS += [(killed, "killed while idle"),
           (killed, "killed while it serves", "/stay"),
           (killed, "killed while a worker boots", None,
            "open('gate').close()\n")]
GROUPS += [(group,) for group in (
    moved_link, moved_names, deep_names, in_order, names, lost_program,
    next_version, files, taken_file, strangers, activation, process_one)]


def main():
    guard(600)
    only = sys.argv[1:]
    together([group for group in GROUPS
              if not only or group[0].__name__ in only], 6)
    done()


if __name__ == "__main__":
    main()
