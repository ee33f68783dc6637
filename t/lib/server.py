"""Servers under test, and the web servers in front of them.

Server (gangway, or gunicorn as the measure) and Nginx (a private one) are
context managers and answer when they are made. What gangway does is seen by
Server.status(), which is what `gangwayctl status --json` shows, and waited
for by wait_ready(), wait_workers(), wait_running() and wait_log().
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys

from process import Process, children, free_port, tmpdir
import tap
from wait import PATIENCE, wait_for
from wire import Broken, Fcgi, Http, connect

TOP = os.environ.get("top_srcdir") or os.path.abspath(
    __file__ + "/../../..")
BUILD = os.environ.get("top_builddir") or TOP
APPS = os.path.join(TOP, "t", "apps")
GANGWAY = os.path.abspath(os.environ.get("GANGWAY")
                          or os.path.join(BUILD, "gangway"))
GUNICORN = "/usr/bin/gunicorn"
# The tests of HTTP may be run against gunicorn, to check the tests.
IS_GANGWAY = os.path.basename(GANGWAY) != "gunicorn"

# Sanitizers: a default is for what is waited for, not for what must not be.
SLOWER = int(os.environ.get("T_SLOWER", "1"))


def find_program(path=None):
    path = path or GANGWAY
    if not os.access(path, os.X_OK):
        tap.bail("%s is missing: build it, or set GANGWAY" % path)
    return path


class Told:
    """What a manager says of itself on its control socket."""

    def __init__(self, path):
        self.path = path

    def control_sockets(self):
        return [self.path]

    def status(self):
        """What the server says of itself, as `gangwayctl status --json`
        shows it; {"workers": []} while it says nothing."""
        nothing = {"workers": []}
        for path in self.control_sockets():
            try:
                with connect(path) as sock:
                    sock.sendall(b'{"command": "status"}\n')
                    with sock.makefile() as f:
                        return json.loads(f.readline())
            except (OSError, ValueError):
                continue
        return nothing

    def ready_workers(self):
        """The processes that serve, oldest first."""
        return [w["pid"] for w in sorted(self.status()["workers"],
                                         key=lambda w: w["age"])
                if w["state"] == "ready" and not w["replace"]]

    def wait_workers(self, count, seconds=PATIENCE):
        """Until exactly so many serve, and there is no other; who they are,
        or False."""
        def look():
            found = self.status()["workers"]
            return (len(found) == count and all(
                w["state"] == "ready" and not w["replace"] for w in found)
                and [w["pid"] for w in sorted(found, key=lambda w: w["age"])])
        return wait_for(look, seconds)

    def running(self):
        """["GET /path", ...]: what the application runs (of each worker the
        first eight)."""
        return [line for w in self.status()["workers"]
                for line in w["running"]]

    def wait_running(self, path, count=1, seconds=PATIENCE):
        """Until the application runs so many requests for this path."""
        return wait_for(lambda: sum(
            line.split()[-1] == path for line in self.running()) >= count,
            seconds)

    def wait_total(self, name, count, seconds=PATIENCE):
        """Until the workers' numbers of that name ("busy", "queue",
        "connections", "requests", "done") add up to `count` at least."""
        return wait_for(lambda: sum(w[name] for w in self.status()[
            "workers"]) >= count, seconds)


class Server(Process, Told):
    """A server with an application from t/apps, answering when this returns.

    binds: "http", "unix", "fcgi", "fcgi+unix", or text for -b; the address
    of the first is .address (a (host, port) or a path), all are .addresses.
    """

    def __init__(self, app, *args, binds=("http",), program=None, wait=True,
                 env=None, cwd=None, defaults=True, **more):
        program = find_program(program)
        self.is_gangway = os.path.basename(program) != "gunicorn"
        where = tmpdir()
        argv, self.addresses, self.protocols = [program], [], []
        for i, bind in enumerate(binds):
            fcgi = bind.startswith("fcgi")
            if bind in ("http", "fcgi"):
                address = ("127.0.0.1", free_port())
                text = "%s:%d" % address
                if fcgi:
                    text = "fcgi://" + text
            elif bind in ("unix", "fcgi+unix"):
                address = os.path.join(where, "s%d" % i)
                text = bind + ":" + address
            else:
                address, text = parse_address(bind), bind
            argv += ["-b", text]
            self.addresses.append(address)
            self.protocols.append("fcgi" if fcgi else "http")
        self.address = self.addresses[0] if self.addresses else None
        args = [str(a) for a in args]
        if "sync" in args and "--threads" in args:
            # More would make it gthread, as gunicorn has it.
            args[args.index("--threads") + 1] = "1"
        if defaults and not any(a in ("-w", "--workers") for a in args):
            argv += ["-w", "1"]
        argv += args
        if app:
            argv.append(app)
        self.cwd = cwd or APPS
        super().__init__(argv, env=env, cwd=self.cwd, **more)
        if wait and not self.wait_ready():
            self.kill()
            tap.note(self.log()[-6000:])
            tap.bail("no answer from: " + " ".join(argv))

    def answers(self, address, protocol):
        try:
            if protocol == "fcgi":
                with Fcgi(address, timeout=PATIENCE) as c:
                    return c.request("/ready") is not None
            return Http(address, timeout=PATIENCE).get("/ready").status > 0
        except (OSError, Broken):
            return False

    def wait_ready(self, seconds=PATIENCE):
        def ready():
            return self.popen.poll() is not None or all(
                self.answers(a, p)
                for a, p in zip(self.addresses, self.protocols))
        wait_for(ready, seconds, 0.02)
        return self.popen.poll() is None and ready()

    def workers(self):
        return children(self.pid)

    def control_sockets(self):
        if "--control-socket" in self.argv:
            return [self.argv[self.argv.index("--control-socket") + 1]]
        for flag in ("-p", "--pid"):
            if flag in self.argv:
                name = self.argv[self.argv.index(flag) + 1] + ".ctl"
                return [os.path.join(self.cwd, name)]
        return glob.glob(self.env["XDG_RUNTIME_DIR"] + "/gangway/*.ctl")

    def http(self, **more):
        return Http(self.address, **more)

    def fcgi(self, **more):
        return Fcgi(self.address, **more)


def parse_address(text):
    text = text.partition("://")[2] or text
    if "unix:" in text:
        return text.partition("unix:")[2]
    host, _, port = text.rpartition(":")
    return (host.strip("[]") or "127.0.0.1", int(port))


class Nginx(Process):
    """nginx on a free port; `locations` is the inside of its server {},
    `outside` goes beside it (upstreams). Or `site`, whole, in which
    127.0.0.1:PORT is where it listens. Waits until it accepts."""

    PROGRAM = shutil.which("nginx", path=os.environ.get("PATH", "")
                           + ":/usr/sbin:/usr/local/sbin")

    def __init__(self, locations="", outside="", site=None):
        d = tmpdir()
        os.chmod(d, 0o755)
        self.address = ("127.0.0.1", free_port())
        # As root the workers would drop to a user who may not enter our
        # folder; as anyone else the directive is refused.
        user = "user root;" if os.getuid() == 0 else ""
        temps = "".join("%s_temp_path %s/%s;\n" % (n, d, n) for n in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        if site is None:
            site = ("%s\nserver { listen 127.0.0.1:PORT; "
                    "server_name localhost;\n%s\n}" % (outside, locations))
        with open(d + "/nginx.conf", "w") as f:
            f.write("""%s
daemon off; worker_processes 1; pid %s/pid; error_log stderr warn;
events { worker_connections 512; }
http {
%saccess_log off; client_max_body_size 0; default_type text/plain;
types { text/css css; }
%s
}
""" % (user, d, temps, site.replace("PORT", str(self.address[1]))))
        super().__init__([self.PROGRAM, "-p", d, "-c", d + "/nginx.conf",
                          "-e", "stderr"])
        if not wait_for(self.accepts):
            tap.note(self.log())
            tap.bail("nginx does not start")

    def accepts(self):
        try:
            connect(self.address, 1).close()
            return True
        except OSError:
            return False

    def http(self, **more):
        return Http(self.address, **more)


FASTCGI_PARAMS = "".join("fastcgi_param %s %s;\n" % pair for pair in (
    ("QUERY_STRING", "$query_string"), ("REQUEST_METHOD", "$request_method"),
    ("CONTENT_TYPE", "$content_type"), ("CONTENT_LENGTH", "$content_length"),
    ("SCRIPT_FILENAME", "$document_root$fastcgi_script_name"),
    ("SCRIPT_NAME", "$fastcgi_script_name"), ("REQUEST_URI", "$request_uri"),
    ("DOCUMENT_URI", "$document_uri"), ("DOCUMENT_ROOT", "$document_root"),
    ("SERVER_PROTOCOL", "$server_protocol"), ("REQUEST_SCHEME", "$scheme"),
    ("HTTPS", "$https if_not_empty"), ("GATEWAY_INTERFACE", "CGI/1.1"),
    ("SERVER_SOFTWARE", "nginx/$nginx_version"),
    ("REMOTE_ADDR", "$remote_addr"), ("REMOTE_PORT", "$remote_port"),
    ("SERVER_ADDR", "$server_addr"), ("SERVER_PORT", "$server_port"),
    ("SERVER_NAME", "$server_name"), ("REDIRECT_STATUS", "200")))


def nginx_fastcgi(address, keep):
    """nginx before a FastCGI server: fastcgi_params as Debian has them."""
    target = ("unix:" + address if isinstance(address, str)
              else "%s:%d" % address)
    return Nginx("location / { fastcgi_pass app; fastcgi_keep_conn %s;\n"
                 "fastcgi_read_timeout 120s; %s }"
                 % ("on" if keep else "off", FASTCGI_PARAMS),
                 "upstream app { server %s; %s }"
                 % (target, "keepalive 8;" if keep else ""))


def need(program, package):
    """The path of a program, or None after a SKIP line naming its package."""
    path = shutil.which(program, path=os.environ.get("PATH", "")
                        + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        tap.skip("%s is missing (Debian: %s)" % (program, package))
    return path


def python_package():
    """A folder for PYTHONPATH with the package gangway in it, put together
    from the build; or None, and why not."""
    core = os.path.join(BUILD, "shim", ".libs", "_core.so")
    if not os.path.exists(core):
        return None, "built without Python"
    with open(os.path.join(BUILD, "Makefile")) as f:
        if re.search("^SAN_FLAGS = .*sanitize", f.read(), re.M):
            return None, "the sanitizers want a program of their own"
    folder = tmpdir()
    home = os.path.join(folder, "gangway")
    os.mkdir(home)
    for name in ("__init__.py", "__main__.py"):
        shutil.copy(os.path.join(TOP, "shim", "python", "gangway", name),
                    home)
    shutil.copy(core, home)
    return folder, None


def python_has(*modules):
    """Does the interpreter that runs the applications have them?"""
    code = "import " + ", ".join(modules)
    return subprocess.run(["/usr/bin/python3", "-c", code],
                          stderr=subprocess.DEVNULL).returncode == 0


sys.dont_write_bytecode = True
