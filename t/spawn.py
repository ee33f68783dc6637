#!/usr/bin/python3
"""gangway under those who start FastCGI programs, and nginx before them.

The real ones: spawn-fcgi (one process, several, workers of our own),
multiwatch, lighttpd, mod_fcgid; with the configuration of nginx that is
shipped. What each asks of a program at its end is asked here: TERM, USR1,
INT, HUP, KILL, of the program and of who started it.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from compare import FORM, Talk
from server import (APPS, IS_GANGWAY, TOP, Broken, Fcgi, Http, Nginx, Process,
                    _running, alive, children, find_program, free_port, need,
                    python_has, tmpdir, tree, wait_for)
from tap import attempt, done, guard, is_, note, ok, skip, skip_all

SAMPLE = os.path.join(TOP, "shim", "nginx", "gangway.conf")
SLOWER = int(os.environ.get("T_SLOWER", "1"))
TERM, INT, KILL, HUP, USR1 = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL,
                              signal.SIGHUP, signal.SIGUSR1)


def read(path):
    try:
        with open(path, errors="backslashreplace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def shown(text):
    note(text[-3000:])
    return False


class Spawned:
    """What `spawn-fcgi -F forks` leaves behind: pids, in no group of ours,
    on the unix socket `address`."""

    def __init__(self, *args, forks=1, cwd=APPS, env=None, wait=True,
                 before=(), log=True):
        self.dir = tmpdir()
        self.address, self.log_path = self.dir + "/s", self.dir + "/log"
        pids = self.dir + "/pids"
        extra = ["--log-file", self.log_path] if log else []
        argv = [*before, shutil.which("spawn-fcgi"), "-s", self.address,
                "-P", pids, "-F", str(forks), "-d", cwd, "--",
                find_program(), *extra, *args]
        clean = {k: v for k, v in os.environ.items()
                 if not k.startswith(("GANGWAY", "GUNICORN", "LISTEN_"))}
        self.calls = self.dir + "/calls"
        clean.update(PYTHONDONTWRITEBYTECODE="1", T_CALLS=self.calls,
                     **(env or {}))
        self.said = subprocess.run(argv, env=clean, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT,
                                   timeout=60).stdout.decode()
        self.pids = [int(p) for p in read(pids).split()]
        self.all = set(self.pids)
        _running.append(self)
        if wait and not wait_for(self.answers, 20 * SLOWER, 0.02):
            shown(self.said + self.log())

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0]:
            shown(self.log())
        self.kill()

    def log(self):
        return read(self.log_path)

    def answers(self):
        try:
            with Fcgi(self.address, timeout=5) as c:
                return c.request("/pid") is not None
        except (OSError, Broken):
            return False

    def began(self, path, n=1):
        """The pids that called the application for it, once n have."""
        def found():
            pids = [int(line.split()[0])
                    for line in read(self.calls).splitlines()
                    if line.split()[1] == path]
            return len(pids) >= n and pids
        return wait_for(found, 15 * SLOWER) or [0]

    def family(self):
        """All living processes that came of it."""
        for p in self.pids:
            self.all.update(tree(p))
        return sorted(p for p in self.all if alive(p))

    def gone(self, seconds=10):
        self.family()
        return wait_for(lambda: not any(map(alive, self.all)),
                        seconds * SLOWER)

    def signal(self, sig):
        for p in self.pids:
            if alive(p):
                os.kill(p, sig)

    def kill(self):
        for p in self.family():
            try:
                os.kill(p, KILL)
            except ProcessLookupError:
                pass
        if self in _running:
            _running.remove(self)


def site(address, public):
    """The configuration that is shipped, in this place."""
    text = read(SAMPLE)
    for a, b in (("unix:/run/gangway/app.sock", "unix:" + address),
                 ("/srv/app/public", public),
                 ("listen 80;", "listen 127.0.0.1:PORT;"),
                 ("include fastcgi_params;",
                  "include /etc/nginx/fastcgi_params;")):
        assert a in text, a
        text = text.replace(a, b)
    return text


def sample(address, public=None):
    return Nginx(site=site(address, public or tmpdir()))


class Asked(threading.Thread):
    """One request in the background; .status, 0 where it was lost."""

    def __init__(self, address, target):
        super().__init__()
        self.address, self.target = address, target
        self.status, self.body = 0, b""
        self.start()

    def run(self):
        try:
            if isinstance(self.address, str):
                with Fcgi(self.address, timeout=30 * SLOWER) as c:
                    r = c.request(self.target)
            else:
                with Http(self.address, timeout=30 * SLOWER) as c:
                    r = c.get(self.target)
            if r is not None and r.complete:
                self.status, self.body = r.status, r.body
        except (OSError, Broken):
            pass

    def result(self):
        self.join()
        return self.status


# --- nginx and spawn-fcgi

def test_admin():
    """A person in Django's admin, through the configuration we ship."""
    if not python_has("django"):
        skip("django is missing (Debian: python3-django)")
        return
    where, d = os.path.join(APPS, "djangosite"), tmpdir()
    env = {"T_DB": d + "/db", "GANGWAY_WORKERS": "2"}
    subprocess.run(["/usr/bin/python3", "-B", "manage.py", "prepare"],
                   cwd=where, env=dict(os.environ, **env), check=True)
    os.mkdir(d + "/public")
    with open(d + "/public/own.css", "w") as f:
        f.write("h1 {}\n")
    os.mkdir(d + "/public/.git")
    with open(d + "/public/.git/config", "w") as f:
        f.write("secret\n")
    os.chmod(d, 0o755)
    with Spawned("wsgi:application", cwd=where, env=env) as s, \
            sample(s.address, d + "/public") as n, n.http() as c:
        t = Talk(c)
        origin = "Host: localhost:%d\r\nOrigin: http://localhost:%d\r\n" % (
            n.address[1], n.address[1])

        def ask(target, method="GET", body=b"", headers=""):
            # One Host field: ours, as a browser writes it.
            c.send(("%s %s HTTP/1.1\r\n%s%s%s\r\n" % (
                method, target, origin, headers, "Cookie: %s\r\n" % "; ".join(
                    "%s=%s" % x for x in t.cookies.items())
                if t.cookies else "")).encode().replace(
                    b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n"
                    % len(body)) + body)
            r = c.read(method)
            for name, value in r.headers:
                if name == "set-cookie":
                    k, _, v = value.partition(";")[0].partition("=")
                    t.cookies[k] = v
            found = re.search(rb'csrfmiddlewaretoken" value="([^"]+)', r.body)
            t.token = found[1].decode() if found else t.token
            return r

        is_(ask("/admin/").status, 302, "admin: a stranger is sent to the "
            "login")
        is_(ask("/admin/login/?next=/admin/").status, 200, "admin: the login")
        r = ask("/admin/login/?next=/admin/", "POST", t.form(
            csrfmiddlewaretoken=t.token, username="anna",
            password="secret-1", next="/admin/"), FORM)
        ok(r.status == 302 and r["location"] == "/admin/"
           and "sessionid" in t.cookies, "admin: logged in", repr(r))
        ok(b"Welcome" in ask("/admin/").body, "admin: the first page")
        ask("/admin/auth/group/add/")
        r = ask("/admin/auth/group/add/", "POST", t.form(
            csrfmiddlewaretoken=t.token, name="Passengers",
            _save="Save"), FORM)
        is_((r.status, r["location"]), (302, "/admin/auth/group/"),
            "admin: a group is added")
        ok(b">Passengers</a>" in ask("/admin/auth/group/").body,
           "admin: and is in the list")
        r = ask("/static/admin/css/base.css")
        ok(r.status == 200 and r["content-type"].startswith("text/css")
           and len(r.body) > 5000, "admin: its static file", repr(r))
        r = ask("/own.css")
        ok(r.status == 200 and r.body == b"h1 {}\n",
           "a file in public/ is served", repr(r))
        is_(ask("/.git/config").status, 403, "a hidden one is not")
        ask("/admin/auth/group/")
        r = ask("/admin/logout/", "POST",
                t.form(csrfmiddlewaretoken=t.token), FORM)
        ok(r.status in (200, 302), "admin: logged out", repr(r))
        is_(ask("/admin/").status, 302, "admin: a stranger again")
        upload = os.urandom(1 << 20) * 8
        r = c.post("/upload", upload)
        ok(r.status == 200 and r.json()["length"] == len(upload),
           "an upload of 8 MB", repr(r))
        is_(c.get("/upload", "Content-Length: 99000000\r\n", "POST").status,
            413, "a larger one than is allowed")
        c.close()
        ok(len(children(s.pids[0])) == 2, "two workers served that")


def test_workers():
    """Where the number of workers counts."""
    for name, args, env, ini, want in (
            ("nobody said so", [], {}, "", 0),
            ("[gangway], which is for any place", [], {},
             "[gangway]\nworkers = 3\n", 0),
            ("GUNICORN_WORKERS", [], {"GUNICORN_WORKERS": "3"}, "", 0),
            ("[host]", [], {}, "[host]\nworkers = 3\n", 3),
            ("GANGWAY_WORKERS", [], {"GANGWAY_WORKERS": "3"}, "", 3),
            ("the command line", ["-w", "3"], {}, "", 3)):
        d = tmpdir()
        with open(d + "/gangway.ini", "w") as f:
            f.write(ini)
        with Spawned("--pythonpath", APPS, *args, "sleepy", cwd=d,
                     env=env) as s:
            ok(wait_for(lambda: len(children(s.pids[0])) == want, 10),
               "workers by %s: %d of our own" % (name, want), s.log())
            ok(("workers (" in s.log() and "is overridden by the host, "
                "fastcgi" in s.log()) == (want == 0 and bool(env or ini)),
               "workers by %s: the log says what does not count" % name,
               s.log())


def test_stop():
    """TERM and USR1 drain, INT does not, with and without our workers."""
    for kind, args in (("alone", []), ("three workers", ["-w", "3"])):
        for sig in (TERM, USR1):
            with Spawned(*args, "sleepy") as s, sample(s.address) as n:
                family = s.family()
                asked = [Asked(n.address, "/1000") for _ in range(3)]
                s.began("/1000", 3)
                s.signal(sig)
                is_([a.result() for a in asked], [200] * 3,
                    "%s, %s: what runs is finished" % (kind, sig.name))
                ok(s.gone() and len(family) >= 1,
                   "%s, %s: and no process is left" % (kind, sig.name),
                   str(s.family()))
                ok(os.path.exists(s.address), "%s, %s: the starter's socket "
                   "stays" % (kind, sig.name))
        with Spawned(*args, "sleepy") as s:
            asked = Asked(s.address, "/20000")
            s.began("/20000")
            s.signal(INT)
            ok(s.gone(5) and asked.result() == 0,
               "%s, INT: at once" % kind, s.log())


def test_killed_manager():
    with Spawned("-w", "3", "sleepy") as s:
        wait_for(lambda: len(children(s.pids[0])) == 3, 10)
        family = s.family()
        s.signal(KILL)
        ok(s.gone(3) and len(family) == 4,
           "a manager that is killed takes its workers along",
           str(family) + s.log())


def test_logs():
    """HUP opens the logs again where USR1 means the end."""
    for kind, args in (("alone", []), ("a worker", ["-w", "1"])):
        with Spawned(*args, "--access-logfile", "access.log", "sleepy",
                     cwd=tmpdir(), env={"GANGWAY_PYTHONPATH": APPS}) as s:
            d = os.readlink("/proc/%d/cwd" % s.pids[0])
            log = d + "/access.log"
            os.rename(log, log + ".1")
            s.signal(HUP)
            ok(wait_for(lambda: s.answers() and "/pid" in read(log), 10),
               kind + ": HUP opens the logs again", s.log())
            ok(alive(s.pids[0]), kind + ": and nothing else")


def test_several():
    """spawn-fcgi -F 3: a process that dies costs what it was doing."""
    with Spawned("-p", "one.pid", "sleepy", forks=3,
                 cwd=APPS) as s, sample(s.address) as n:
        is_(len(s.pids), 3, "-F 3 starts three")
        ok(all(not children(p) for p in s.pids), "each of them is alone")
        ok("pidfile (command line) is overridden" in s.log() and
           not os.path.exists(APPS + "/one.pid"),
           "a pid file, which is for one, is not made", s.log())
        seen = set()

        def all_seen():
            many = [Asked(n.address, "/30") for _ in range(12)]
            for a in many:
                a.join()
            seen.update(a.body for a in many)
            return len(seen) == 3
        ok(wait_for(all_seen, 20 * SLOWER), "all three serve", str(seen))
        for left in (2, 1):
            victim = Asked(s.address, "/20000")
            mine = s.began("/20000", 3 - left)[-1]
            os.kill(mine, KILL)
            is_(victim.result(), 0, "%d left: the killed one's is lost" % left)
            s.pids.remove(mine)
            got = [a.result() for a in [Asked(n.address, "/20")
                                        for _ in range(40)]]
            is_(got.count(200), 40, "%d left: 40 of 40 are answered" % left)
        s.signal(TERM)
        ok(s.gone(), "TERM ends what is left")



# --- multiwatch

class Watched(Spawned):
    """spawn-fcgi -n, multiwatch and gangway, in one process group."""

    def __init__(self, *args, forks=2, cwd=APPS, env=None):
        self.dir = tmpdir()
        self.address, self.log_path = self.dir + "/s", self.dir + "/log"
        self.calls = self.dir + "/calls"
        self.popen = Process(
            [shutil.which("spawn-fcgi"), "-n", "-s", self.address, "-d", cwd,
             "--", shutil.which("multiwatch"), "-f", str(forks), "--",
             find_program(), "--log-file", self.log_path, *args],
            env={"T_CALLS": self.calls, **(env or {})})
        self.said = ""
        self.pids, self.all = [self.popen.pid], {self.popen.pid}
        _running.append(self)
        if not wait_for(lambda: self.answers() and self.ours(forks),
                        20 * SLOWER, 0.02):
            shown(self.log() + self.popen.log())

    def ours(self, n):
        """multiwatch's children, when there are n."""
        found = children(self.popen.pid)
        return found if len(found) == n else []

    def kill(self):
        super().kill()
        self.popen.kill()


def test_multiwatch():
    if not need("multiwatch", "multiwatch"):
        return
    with Watched("sleepy") as w:
        first = w.ours(2)
        lost = Asked(w.address, "/20000")
        victim = w.began("/20000")[0]
        os.kill(victim, KILL)
        is_(lost.result(), 0, "multiwatch: a killed process costs its request")
        ok(victim in first and wait_for(
            lambda: w.ours(2) and w.ours(2) != first, 15 * SLOWER),
           "multiwatch: and is started again", str(w.ours(2)))
        ok(wait_for(w.answers, 10), "multiwatch: which serves")
    for name, args, env, n in (("alone", [], {}, 1),
                               ("workers", [], {"GANGWAY_WORKERS": "2"}, 3)):
        for sig in (TERM, INT, HUP):
            with Watched(*args, "sleepy", env=env) as w:
                ok(wait_for(lambda: all(len(tree(p)) == n
                                        for p in w.ours(2)), 10),
                   "multiwatch, %s: %d processes each" % (name, n))
                asked = [Asked(w.address, "/1000") for _ in range(2)]
                w.began("/1000", 2)
                w.family()
                os.kill(w.popen.pid, sig)
                is_([a.result() for a in asked], [200, 200],
                    "multiwatch, %s, %s: what runs is finished"
                    % (name, sig.name))
                ok(w.gone() and w.popen.wait(5) == 0,
                   "multiwatch, %s, %s: nothing is left"
                   % (name, sig.name), w.log())
        with Watched(*args, "sleepy", env=env) as w:
            asked = Asked(w.address, "/1000")
            w.began("/1000")
            w.family()
            os.kill(w.popen.pid, KILL)
            ok(asked.result() == 200 and w.gone(),
               "multiwatch, %s: killed, its processes finish and leave"
               % name, str(w.family()) + w.log())


def main():
    if not IS_GANGWAY:
        skip_all("gunicorn does not speak FastCGI")
    if not shutil.which("spawn-fcgi"):
        skip_all("spawn-fcgi is missing (Debian: spawn-fcgi)")
    guard(int(os.environ.get("T_GUARD", "240")))
    attempt(test_workers)
    attempt(test_killed_manager)
    attempt(test_logs)
    if Nginx.PROGRAM:
        attempt(test_admin)
        attempt(test_stop)
        attempt(test_several)
    else:
        skip("nginx is missing (Debian: nginx-light)", 30)
    attempt(test_multiwatch)
    done()


if __name__ == "__main__":
    main()
