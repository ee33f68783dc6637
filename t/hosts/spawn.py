#!/usr/bin/python3
"""gangway under those who start FastCGI programs, and nginx before them.

The real ones: spawn-fcgi (one process, several, workers of our own),
multiwatch, lighttpd, mod_fcgid; with the configuration of nginx that is
shipped. What each asks of a program at its end is asked here: TERM, USR1,
INT, HUP, KILL, of the program and of who started it.
"""
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import Process, alive, children, free_port, running, tmpdir, tree
from server import (APPS, IS_GANGWAY, TOP, Nginx, find_program, need,
                    python_has)
from talk import FORM, Asked, Talk
from tap import done, guard, is_, note, ok, skip, skip_all, together
from wait import PATIENCE, text_of, wait_for, wait_text
from wire import Broken, Fcgi, connect

APPS = os.path.abspath(APPS)
SAMPLE = os.path.join(TOP, "shim", "nginx", "gangway.conf")
SBIN = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
TERM, INT, KILL, HUP, USR1 = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL,
                              signal.SIGHUP, signal.SIGUSR1)


def shown(text):
    note(text[-3000:])
    return False


def dead(pid):
    """Has its last thread gone, and with it its descriptors?"""
    try:
        return not alive(pid) and len(os.listdir("/proc/%d/task" % pid)) < 2
    except OSError:
        return True


class Spawned:
    """What `spawn-fcgi -F forks` leaves behind: pids, in no group of ours,
    on the unix socket `address`."""

    def __init__(self, *args, forks=1, cwd=APPS, env=None, wait=True,
                 before=(), log=True, starter=()):
        self.dir = tmpdir()
        self.address, self.log_path = self.dir + "/s", self.dir + "/log"
        pids = self.dir + "/pids"
        extra = ["--log-file", self.log_path] if log else []
        argv = [*before, shutil.which("spawn-fcgi"), "-s", self.address,
                "-P", pids, "-F", str(forks), "-d", cwd, *starter, "--",
                find_program(), *extra, *args]
        clean = {k: v for k, v in os.environ.items()
                 if not k.startswith(("GANGWAY", "GUNICORN", "LISTEN_"))}
        self.calls = self.dir + "/calls"
        clean.update(PYTHONDONTWRITEBYTECODE="1", T_CALLS=self.calls,
                     **(env or {}))
        self.said = subprocess.run(argv, env=clean, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT,
                                   timeout=PATIENCE).stdout.decode()
        self.pids = [int(p) for p in text_of(pids).split()]
        self.all = set(self.pids)
        running.append(self)
        if wait and not wait_for(self.answers, step=0.02):
            shown(self.said + self.log())

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0]:
            shown(self.log())
        self.kill()

    def log(self):
        return text_of(self.log_path)

    def answers(self):
        try:
            with Fcgi(self.address) as c:
                return c.request("/pid") is not None
        except (OSError, Broken):
            return False

    def began(self, path, n=1):
        """The pids that called the application for it, once n have."""
        def found():
            pids = [int(line.split()[0])
                    for line in text_of(self.calls).splitlines()
                    if line.split()[1] == path]
            return len(pids) >= n and pids
        return wait_for(found) or [0]

    def let_go(self, path):
        """Let `held` answer what waits at this path."""
        open(self.calls + path.replace("/", "."), "w").close()

    def leaving(self, n):
        """Wait until so many workers have been told to go (at debug)."""
        return wait_text(self.log_path, "Worker leaving", n)

    def family(self):
        """All living processes that came of it."""
        for p in self.pids:
            self.all.update(tree(p))
        return sorted(p for p in self.all if alive(p))

    def gone(self):
        self.family()
        return wait_for(lambda: not any(map(alive, self.all)))

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
        if self in running:
            running.remove(self)


def site(address, public):
    """The configuration that is shipped, in this place."""
    text = text_of(SAMPLE)
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
        c.send(b"POST /upload HTTP/1.1\r\nHost: a\r\n"
               b"Content-Length: 99000000\r\n\r\n")
        is_(c.read().status, 413, "a larger one than is allowed")
        c.close()
        ok(len(children(s.pids[0])) == 2, "two workers served that")


def test_workers():
    """Where the number of workers counts."""
    together([(workers_by, *row) for row in (
            ("nobody said so", [], {}, "", 0),
            ("[gangway], which is for any place", [], {},
             "[gangway]\nworkers = 3\n", 0),
            ("GUNICORN_WORKERS", [], {"GUNICORN_WORKERS": "3"}, "", 0),
            ("[host]", [], {}, "[host]\nworkers = 3\n", 3),
            ("GANGWAY_WORKERS", [], {"GANGWAY_WORKERS": "3"}, "", 3),
            ("the command line", ["-w", "3"], {}, "", 3))], 3)


def workers_by(name, args, env, ini, want):
    d = tmpdir()
    with open(d + "/gangway.ini", "w") as f:
        f.write(ini)
    with Spawned("--pythonpath", APPS, *args, "sleepy", cwd=d,
                 env=env) as s:
        ok(wait_for(lambda: len(children(s.pids[0])) == want),
           "workers by %s: %d of our own" % (name, want), s.log())
        ok(("workers (" in s.log() and "is overridden by the host, "
            "fastcgi" in s.log()) == (want == 0 and bool(env or ini)),
           "workers by %s: the log says what does not count" % name,
           s.log())


def test_page():
    """The bundled example names this host and what it keeps to itself."""
    with Spawned("-p", "x.pid", cwd=os.path.abspath(
            os.path.join(TOP, "shim", "example"))) as s, \
            sample(s.address) as n, n.http() as c:
        text = c.get("/").body.decode()
        ok("spawn-fcgi, multiwatch, lighttpd" in text, "the page: the host")
        for name, chip, why in (
                ("threads", ' force">in force', ""),
                ("workers", '">left to the host', "it starts as many"),
                ("pidfile", ' over">overridden by the host',
                 "it may start several")):
            row = text.partition("<td>%s<td>" % name)[2].partition("<tr>")[0]
            ok('class="chip' + chip in row and why in row,
               "the page: " + name, row)


ALONE_OR_NOT = (("alone", [], 1), ("three workers", ["-w", "3"], 3))


def stop_drains(kind, args, n, sig):
    """TERM and USR1 drain, with and without our workers."""
    with Spawned("--log-level", "debug", *args, "held") as s, \
            sample(s.address) as web:
        family = s.family()
        asked = [Asked(web.address, "/held") for _ in range(3)]
        s.began("/held", 3)
        s.signal(sig)
        s.leaving(n)
        s.let_go("/held")
        is_([a.result() for a in asked], [200] * 3,
            "%s, %s: what runs is finished" % (kind, sig.name))
        ok(s.gone() and len(family) >= 1,
           "%s, %s: and no process is left" % (kind, sig.name),
           str(s.family()))
        ok(os.path.exists(s.address), "%s, %s: the starter's socket "
           "stays" % (kind, sig.name))


def stop_cuts(kind, args):
    """INT does not wait: neither for what would never end, nor for the
    time that it would be given."""
    with Spawned("--graceful-timeout", "3600", *args, "held") as s:
        asked = Asked(s.address, "/held")
        s.began("/held")
        s.signal(INT)
        ok(s.gone() and asked.result() == 503,
           "%s, INT: at once" % kind, s.log())


def test_killed_manager():
    with Spawned("-w", "3", "sleepy") as s:
        wait_for(lambda: len(children(s.pids[0])) == 3)
        family = s.family()
        s.signal(KILL)
        ok(s.gone() and len(family) == 4,
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
            ok(wait_for(lambda: s.answers() and "/pid" in text_of(log)),
               kind + ": HUP opens the logs again", s.log())
            ok(alive(s.pids[0]), kind + ": and nothing else")


def test_user():
    """`user` protects: in force for root, the starter's for all others."""
    if os.getuid() != 0:
        skip("only root can change the user", 4)
        return
    d, nobody = tmpdir(), pwd.getpwnam("nobody").pw_uid
    os.chmod(d, 0o755)
    shutil.copy(APPS + "/hello.py", d)

    def uids(s):
        return {line.split()[1] for p in s.family()
                for line in text_of("/proc/%d/status" % p).splitlines()
                if line.startswith("Uid:")}
    for name, args, starter, want in (
            ("user, started by root", ["-u", "nobody"], [], {nobody}),
            ("user, and workers", ["-u", "nobody", "-w", "2"], [],
             {0, nobody}),
            ("user, started by another", ["-u", "daemon"], ["-u", "nobody"],
             {nobody}),
            ("user, and workers, started by another",
             ["-u", "daemon", "-w", "2"], ["-u", "nobody"], {nobody})):
        with Spawned(*args, "hello", cwd=d, starter=starter, log=False) as s:
            ok(s.answers() and uids(s) == {str(u) for u in want}, name,
               str(uids(s)))


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
            # On new connections: those of nginx stay where they are.
            many = [Asked(s.address, "/100") for _ in range(12)]
            for a in many:
                a.join()
            seen.update(a.body for a in many)
            return len(seen) == 3
        ok(wait_for(all_seen), "all three serve", str(seen))
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


# --- syslog

# A /dev of our own, with a log in it, for this process tree only.
OWN_DEV = """set -e
mount -t tmpfs -o mode=755 dev "$1/dev"
for n in null zero full random urandom; do
	: >"$1/dev/$n"
	mount --bind "/dev/$n" "$1/dev/$n"
done
ln -s /proc/self/fd "$1/dev/fd"
: >"$1/dev/log"
mount --bind "$1/log" "$1/dev/log"
mount --rbind "$1/dev" /dev
shift
exec "$@"
"""


def reloads_to_syslog(own, heard):
    """Whatever a reload changes about the log, - is syslog."""
    d = tmpdir()
    ini, log = d + "/gangway.ini", d + "/error.log"

    def settings(level, where):
        with open(ini, "w") as f:
            f.write("[gangway]\nloglevel = %s\nerrorlog = %s\n[host]\n"
                    "workers = 1\n" % (level, where))

    settings("info", "-")
    with Spawned("-c", ini, "hello", before=own, log=False) as s:
        good, lines = heard(["Booting worker"])
        for level, where in (("debug", "-"), ("debug", log), ("info", "-")):
            settings(level, where)
            s.signal(HUP)
            if where == "-":
                good, lines = heard(["Booting worker"])
            else:
                good = wait_text(log, "Booting worker")
            ok(good, "syslog: after a reload to %s, %s" % (
                level, "-" if where == "-" else "a file"), str(lines))


def test_syslog():
    """With standard error given away, syslog has what goes wrong."""
    d = tmpdir()
    os.mkdir(d + "/dev")
    own = ["unshare", "-m" if os.getuid() == 0 else "-rm", "/bin/sh", "-c",
           OWN_DEV, "sh", d]
    reader = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    reader.bind(d + "/log")
    try:
        tried = subprocess.run([*own, "/bin/true"], stderr=subprocess.PIPE)
    except FileNotFoundError:
        skip("unshare is missing (Debian: util-linux)")
        return
    if tried.returncode != 0:
        skip("no mount namespace of our own, for a /dev/log: %s"
             % tried.stderr.decode().strip())
        return
    with open(d + "/broken.py", "w") as f:
        f.write("import no_such_thing\n")

    def heard(want):
        """Do lines come that hold these, one after the other?"""
        lines = []
        reader.settimeout(PATIENCE)
        try:
            for text in want:
                while not lines or text not in lines[-1]:
                    lines.append(reader.recv(8192).decode())
        except socket.timeout:
            return False, lines
        return True, lines

    for name, args, env, want in (
            ("a misspelt option", ["--wokers", "3", "hello"], {},
             ["Not started", "unrecognized argument: --wokers"]),
            ("a bad value", ["hello"], {"GANGWAY_THREADS": "many"},
             ["Invalid value for threads: 'many'"]),
            ("a log in no folder", ["--log-file", "/no/such/log", "hello"],
             {}, ["errorlog (command line): cannot open /no/such/log"]),
            ("no such module", ["no_such_module"], {},
             ["No module named 'no_such_module'"]),
            ("an application that breaks", ["--pythonpath", d, "broken"], {},
             ["cannot be imported", "broken.py", "import no_such_thing",
              "ModuleNotFoundError"]),
            ("a user that is none", ["-u", "no-such-user", "hello"], {},
             ["no-such-user"]),
            ("an application that is none", ["native:/no/such.so"], {},
             ["/no/such.so"])):
        with Spawned(*args, env=env, before=own, wait=False, log=False) as s:
            good, lines = heard(want)
            ok(good, "syslog: " + name, "".join(lines) + s.said)
            ok("exited with" in s.said or s.gone(),
               "syslog: %s: it does not start" % name, s.said)
    with Spawned("hello", before=own, log=False) as s:
        good, lines = heard(["Started by: fastcgi", "Booting worker"])
        ok(good and all("<30>" in x and " gangway[%d]: " % s.pids[0] in x
                        for x in lines[-2:]),
           "syslog: a good start, with facility and pid", str(lines))
    reloads_to_syslog(own, heard)
    # Not with an error log of its own, and not where stderr is somebody's.
    with Spawned("hello", before=own) as s:
        ok("Booting worker" in s.log(), "an error log has what syslog had")
    p = Process([*own, shutil.which("spawn-fcgi"), "-n", "-s", d + "/n", "-d",
                 APPS, "--", find_program(), "--threads", "many", "hello"])
    with p:
        is_(p.wait(), 2, "with -n: it does not start")
        ok("'many'" in p.log(), "with -n: standard error says why", p.log())
    reader.setblocking(False)
    left = []
    try:
        while True:
            left.append(reader.recv(8192))
    except BlockingIOError:
        pass
    ok(not any(b"many" in x for x in left), "with -n: and nobody else")


# --- multiwatch

class Kept(Spawned):
    """A starter that stays, and the processes below it."""

    def __init__(self, argv, forks, env=None):
        self.popen, self.said = Process(argv, env=env), ""
        self.pids, self.all = [self.popen.pid], {self.popen.pid}
        running.append(self)
        if not wait_for(lambda: self.answers() and self.ours(forks),
                        step=0.02):
            shown(self.log() + self.popen.log())

    def ours(self, n):
        """The starter's children, when there are n."""
        found = children(self.popen.pid)
        return found if len(found) == n else []

    def kill(self):
        super().kill()
        self.popen.kill()


class Watched(Kept):
    """spawn-fcgi -n, which becomes multiwatch, and two of ours."""

    def __init__(self, *args, env=None):
        self.dir = tmpdir()
        self.address, self.log_path = self.dir + "/s", self.dir + "/log"
        self.calls = self.dir + "/calls"
        super().__init__(
            [shutil.which("spawn-fcgi"), "-n", "-s", self.address, "-d", APPS,
             "--", shutil.which("multiwatch"), "-f", "2", "--",
             find_program(), "--log-file", self.log_path, *args], 2,
            {"T_CALLS": self.calls, **(env or {})})


def test_multiwatch():
    with Watched("sleepy") as w:
        first = w.ours(2)
        lost = Asked(w.address, "/100000")
        victim = w.began("/100000")[0]
        os.kill(victim, KILL)
        is_(lost.result(), 0, "multiwatch: a killed process costs its request")
        ok(victim in first and wait_for(
            lambda: w.ours(2) and w.ours(2) != first),
           "multiwatch: and is started again", str(w.ours(2)))
        ok(wait_for(w.answers), "multiwatch: which serves")


WATCHED = (("alone", {}, 1), ("workers", {"GANGWAY_WORKERS": "2"}, 3))


def watched_stop(name, env, n, sig):
    with Watched("--log-level", "debug", "held", env=env) as w:
        ok(wait_for(lambda: all(len(tree(p)) == n for p in w.ours(2))),
           "multiwatch, %s: %d processes each" % (name, n))
        asked = [Asked(w.address, "/held") for _ in range(2)]
        w.began("/held", 2)
        w.family()
        os.kill(w.popen.pid, sig)
        # The workers of both; who is alone is his own.
        w.leaving(2 * max(n - 1, 1))
        w.let_go("/held")
        what = "multiwatch, %s, %s" % (name, sig.name)
        if sig == KILL:
            ok([a.result() for a in asked] == [200, 200] and w.gone(),
               "multiwatch, %s: killed, its processes finish and leave"
               % name, str(w.family()) + w.log())
            return
        is_([a.result() for a in asked], [200, 200],
            what + ": what runs is finished")
        ok(w.gone() and w.popen.wait() == 0,
           what + ": nothing is left", w.log())


# --- lighttpd and mod_fcgid

class Lighttpd(Kept):
    def __init__(self):
        self.dir = tmpdir()
        self.web = ("127.0.0.1", free_port())
        self.log_path, self.calls = self.dir + "/log", self.dir + "/calls"
        with open(self.dir + "/conf", "w") as f:
            f.write("""
server.document-root = "%(d)s"
server.port = %(port)d
server.bind = "127.0.0.1"
server.modules = ("mod_fastcgi")
server.errorlog = "%(d)s/error"
fastcgi.server = ("/" => ((
    "socket" => "%(d)s/s", "max-procs" => 2, "check-local" => "disable",
    "fix-root-scriptname" => "enable",
    "bin-path" => "%(bin)s --chdir %(apps)s --log-file %(d)s/log held",
    "bin-environment" => ("T_CALLS" => "%(d)s/calls")
)))
""" % {"d": self.dir, "port": self.web[1], "bin": find_program(),
                "apps": APPS})
        super().__init__([shutil.which("lighttpd", path=SBIN), "-D", "-f",
                          self.dir + "/conf"], 2)

    def answers(self):
        return Asked(self.web, "/pid").result() == 200

    def closed(self):
        """It has been told to stop, and takes nothing new."""
        try:
            connect(self.web).close()
            return False
        except OSError:
            return True


def test_lighttpd():
    with Lighttpd() as s:
        first = s.ours(2)
        ok(len(first) == 2 and "Started by: fastcgi" in s.log(),
           "lighttpd: two processes", s.log())
        os.kill(first[0], KILL)
        wait_for(lambda: dead(first[0]))
        got = [Asked(s.web, "/20") for _ in range(20)]
        is_([a.result() for a in got], [200] * 20,
            "lighttpd: one that is killed costs nothing")
        ok(wait_for(lambda: s.answers() and s.ours(2)),
           "lighttpd: and is started again", str(s.ours(2)))
        asked = Asked(s.web, "/held")
        s.began("/held")
        s.family()
        os.kill(s.popen.pid, INT)
        wait_for(s.closed)
        s.let_go("/held")
        is_(asked.result(), 200, "lighttpd, INT: what runs is finished")
        ok(s.gone(), "lighttpd, INT: nothing is left", str(s.family()))


def test_lighttpd_killed():
    with Lighttpd() as s:
        s.family()
        os.kill(s.popen.pid, KILL)
        ok(s.gone(), "lighttpd, killed: nothing is left", str(s.family()))


FCGID = """
ServerName localhost
ServerRoot %(d)s
PidFile %(d)s/pid
DefaultRuntimeDir %(d)s
Listen 127.0.0.1:%(port)d
LoadModule mpm_event_module %(m)s/mod_mpm_event.so
LoadModule authz_core_module %(m)s/mod_authz_core.so
LoadModule alias_module %(m)s/mod_alias.so
LoadModule fcgid_module %(m)s/mod_fcgid.so
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 8
ServerLimit 1
ErrorLog %(d)s/log
User www-data
Group www-data
FcgidIPCDir %(d)s/ipc
FcgidProcessTableFile %(d)s/table
FcgidInitialEnv T_CALLS %(d)s/calls
ScriptAlias /app "%(d)s/www/app.fcgi"
<Directory "%(d)s/www">
	Options +ExecCGI
	SetHandler fcgid-script
	Require all granted
</Directory>
"""


class Fcgid(Spawned):
    """Apache with mod_fcgid; `pids` is Apache's first process."""

    def __init__(self, httpd, modules):
        self.dir = d = tmpdir()
        os.chmod(d, 0o777)
        self.web = ("127.0.0.1", free_port())
        self.log_path, self.calls = d + "/log", d + "/calls"
        for name in "www", "ipc":
            os.mkdir(d + "/" + name)
            os.chmod(d + "/" + name, 0o777)
        os.chmod(d + "/www", 0o755)
        with open(d + "/www/app.fcgi", "w") as f:
            f.write("#!/bin/sh\nexec '%s' --chdir '%s' --log-level debug "
                    "held\n"
                    % (find_program(), APPS))
        os.chmod(d + "/www/app.fcgi", 0o755)
        with open(d + "/httpd.conf", "w") as f:
            f.write(FCGID % {"d": d, "port": self.web[1], "m": modules})
        self.popen = Process([httpd, "-DFOREGROUND", "-f",
                              d + "/httpd.conf"])
        self.said = ""
        self.pids, self.all = [self.popen.pid], {self.popen.pid}
        running.append(self)
        if not wait_for(lambda: Asked(self.web, "/app/pid").result() == 200):
            shown(self.log() + self.popen.log())

    def kill(self):
        super().kill()
        self.popen.kill()


def test_fcgid():
    httpd = need("apache2", "apache2")
    modules = "/usr/lib/apache2/modules"
    if not httpd:
        return
    if not os.path.exists(modules + "/mod_fcgid.so"):
        skip("mod_fcgid is missing (Debian: libapache2-mod-fcgid)")
        return
    if os.getuid() == 0 and subprocess.run(
            [find_program(), "--version"], user="www-data", group="www-data",
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ).returncode != 0:
        skip("www-data may not enter the folder of the program")
        return
    with Fcgid(httpd, modules) as s:
        ok("Started by: fastcgi" in s.log(), "mod_fcgid: serves", s.log())
        short = Asked(s.web, "/app/held/short")
        long = Asked(s.web, "/app/held/long")
        s.began("/held/short")
        s.began("/held/long")
        os.kill(s.popen.pid, USR1)
        s.leaving(2)
        s.let_go("/held/short")
        is_(short.result(), 200,
            "mod_fcgid, graceful restart: what runs is finished")
        is_(long.result(), 503, "mod_fcgid: what takes too long is answered "
            "before the process is killed")
        ok("Worker graceful timeout" in s.log(),
           "mod_fcgid: and is in the log", s.log())
        ok(wait_for(lambda: Asked(s.web, "/app/pid").result() == 200),
           "mod_fcgid: a new process serves")
        s.family()
        os.kill(s.popen.pid, TERM)
        ok(s.gone(), "mod_fcgid: nothing is left", str(s.family()))


def main():
    if not IS_GANGWAY:
        skip_all("gunicorn does not speak FastCGI")
    if not shutil.which("spawn-fcgi"):
        skip_all("spawn-fcgi is missing (Debian: spawn-fcgi)")
    guard(int(os.environ.get("T_GUARD", "900")))
    # What takes longest comes first.
    groups = [(test_fcgid,), (test_syslog,)]
    if Nginx.PROGRAM:
        groups += [(test_admin,), (test_several,), (test_page,)]
        groups += [(stop_drains, *kind, sig) for kind in ALONE_OR_NOT
                   for sig in (TERM, USR1)]
        groups += [(stop_cuts, *kind[:2]) for kind in ALONE_OR_NOT]
    else:
        skip("nginx is missing (Debian: nginx-light)", 30)
    if need("multiwatch", "multiwatch"):
        groups += [(test_multiwatch,)]
        groups += [(watched_stop, *kind, sig) for kind in WATCHED
                   for sig in (TERM, INT, HUP, KILL)]
    if need("lighttpd", "lighttpd"):
        groups += [(test_lighttpd,), (test_lighttpd_killed,)]
    groups += [(test_workers,), (test_user,), (test_logs,),
               (test_killed_manager,)]
    together(groups, 5)
    done()


if __name__ == "__main__":
    main()
