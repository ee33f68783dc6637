"""A private Apache with Phusion Passenger, and applications for its doors.

    with Apache(Site(folder), Site(other, base="/sub")) as a:
        a.sites[0].http().get("/")

Apache has its own configuration, loopback ports and state folder; the
applications run as an unprivileged user. stop() returns when all of its
processes are gone: Apache, Passenger's watchdog and core, applications.
board() puts an application into a folder the way a door wants it. Aboard is
that with its site, and serve() runs cases that share an Apache.
"""
import contextlib
import grp
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys

from process import Process, alive, children, free_port, running, tmpdir, tree
from server import APPS, BUILD, GANGWAY, TOP, find_program
from talk import Asked
import tap
from wait import PATIENCE, text_of, wait_for, wait_readable, wait_text
from wire import Http, connect

APACHE = "/usr/sbin/apache2"
MODULES = "/usr/lib/apache2/modules/mod_%s.so"
ROOT = "/usr/lib/ruby/vendor_ruby/phusion_passenger/locations.ini"
PYTHON = "/usr/bin/python3"
SHIM = os.path.join(TOP, "shim", "passenger", "passenger_wsgi.py")
IS_ROOT = os.getuid() == 0
# The application's user, who owns nothing else here.
USER = pwd.getpwnam("nobody") if IS_ROOT else pwd.getpwuid(os.getuid())
GROUP = grp.getgrgid(USER.pw_gid).gr_name

# How an application gets on board. "A http" is "A exec" with the protocol
# that C has; "stock" is Passenger's own loader.
DOORS = ("A exec", "A inside", "B", "C", "D")
BOTH = ("A exec", "A inside")


def missing():
    """Why there can be no Apache with Passenger here, or None."""
    for path, package in ((APACHE, "apache2"),
                          (MODULES % "mpm_event", "apache2"),
                          (MODULES % "passenger", "libapache2-mod-passenger"),
                          (ROOT, "passenger"),
                          ("/usr/bin/passenger-config", "passenger")):
        if not os.path.exists(path):
            return "%s is missing (Debian: %s)" % (path, package)
    return None


def sanitized():
    with open(os.path.join(BUILD, "Makefile")) as f:
        return re.search("^SAN_FLAGS = .*sanitize", f.read(), re.M)


def cannot(door):
    """Why this build cannot go through a door, or None."""
    if door == "A inside" and sanitized():
        return "a sanitized module cannot be imported by an ordinary Python"
    return None


def give(folder):
    """Let the application's user have a folder and all in it."""
    if IS_ROOT:
        for where, folders, files in os.walk(folder):
            for name in [where] + [os.path.join(where, f) for f in files]:
                os.chown(name, USER.pw_uid, USER.pw_gid,
                         follow_symlinks=False)


def public_dir():
    """A private folder into which other users may look."""
    folder = tmpdir()
    os.chmod(folder, 0o755)
    return folder


@contextlib.contextmanager
def port_chosen(door):
    """Where Passenger chooses a port for the application: one Passenger of
    this machine at a time, for each looks for a free one from 5000 on, and
    another may take it before the application listens there."""
    with socket.socket(socket.AF_UNIX) as mark:
        def mine():
            try:
                mark.bind("\0gangway-t.passenger")
            except OSError:
                return False
            return True
        if door in ("C", "A http"):
            wait_for(mine, 5 * PATIENCE)
        yield


@contextlib.contextmanager
def ends(pids):
    """Descriptors that are readable when these processes have ended."""
    fds = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            fds.append(os.pidfd_open(pid))
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


_installed = None


def installed():
    """The build as it is installed, where the application's user can read
    it: bin/gangway with its module, python/gangway."""
    global _installed
    if _installed is None:
        top = public_dir()
        for folder in ("bin", "lib/gangway", "python/gangway"):
            os.makedirs(os.path.join(top, folder))
        shutil.copy(find_program(), os.path.join(top, "bin", "gangway"))
        libs = os.path.join(os.path.dirname(GANGWAY), "shim", ".libs")
        package = os.path.join(TOP, "shim", "python", "gangway")
        for name in os.listdir(libs):
            if re.fullmatch(r"python3\.\d+\.so", name):
                shutil.copy(os.path.join(libs, name),
                            os.path.join(top, "lib", "gangway"))
        if os.path.exists(os.path.join(libs, "_core.so")):
            shutil.copy(os.path.join(libs, "_core.so"),
                        os.path.join(top, "python", "gangway"))
        for name in os.listdir(package):
            if name.endswith(".py"):
                shutil.copy(os.path.join(package, name),
                            os.path.join(top, "python", "gangway"))
        _installed = top
    return _installed


def ini(settings):
    return "".join("[%s]\n%s" % (section, "".join(
        "%s = %s\n" % pair for pair in values.items()))
        for section, values in settings.items())


def write(folder, name, text, mode=0o644):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def board(door, app, files, settings=None):
    """A folder with an application from t/apps, ready for a door.

    files are copied from t/apps; settings, {"gangway": {...}}, go into a
    gangway.ini. The folder is the application root; give() is the caller's.
    """
    folder = public_dir()
    for name in ("public", "tmp"):
        os.mkdir(os.path.join(folder, name))
    for name in files:
        source = os.path.join(APPS, name)
        if os.path.isdir(source):
            shutil.copytree(source, folder, dirs_exist_ok=True)
            os.chmod(folder, 0o755)     # not as the source has it
        else:
            shutil.copy(source, folder)
    module, _, name = app.partition(":")
    own = "from %s import %s as application\n" % (module,
                                                 name or "application")
    program = os.path.join(installed(), "bin", "gangway")
    settings = {k: dict(v) for k, v in (settings or {}).items()}
    if door == "stock":
        write(folder, "passenger_wsgi.py", own)
        return folder
    if door == "A http":
        settings.setdefault("gangway", {})["passenger_protocol"] = "http"
    if door.startswith("A"):
        how = "inside" if door == "A inside" else "exec"
        with open(SHIM) as f:
            text = f.read()
        for line, value in (("APP", app), ("HOW", how),
                            ("GANGWAY", program)):
            text, n = re.subn("(?m)^%s = .*$" % line,
                              "%s = %r" % (line, value), text)
            if n != 1:
                tap.bail("%s: %d lines '%s = '" % (SHIM, n, line))
        write(folder, "passenger_wsgi.py", text)
        if door == "A inside":
            os.mkdir(os.path.join(folder, "vendor"))
            os.symlink(os.path.join(installed(), "python", "gangway"),
                       os.path.join(folder, "vendor", "gangway"))
    elif door == "D":
        write(folder, "passenger_wsgi.py", own)
    else:
        command = {"app_start_command": program}
        if door == "B":
            command["app_supports_kuria_protocol"] = True
        write(folder, "Passengerfile.json", json.dumps(command))
        settings.setdefault("gangway", {})["app"] = app
    if settings:
        write(folder, "gangway.ini", ini(settings))
    return folder


class Site:
    """An application folder at an address of its own.

    base: mounted below the root; conf: more lines for its <VirtualHost>;
    group: its processes are shared with the sites of the same group.
    """

    def __init__(self, folder, door=None, base="", conf="", group=None,
                 env="production"):
        self.folder, self.door, self.base = folder, door, base
        self.conf, self.group, self.env = conf, group, env
        self.address = ("127.0.0.1", free_port())

    def http(self, **more):
        return Http(self.address, **more)

    def text(self):
        python = (os.path.join(installed(), "bin", "gangway")
                  if self.door == "D" else PYTHON)
        public = os.path.join(self.folder, "public")
        lines = ["PassengerAppRoot %s" % self.folder,
                 "PassengerAppEnv %s" % self.env]
        if self.group:
            lines += ["PassengerAppGroupName %s" % self.group]
        if self.base:
            lines = ["DocumentRoot %s" % os.path.join(self.folder, "tmp"),
                     "Alias %s %s" % (self.base, public),
                     "<Location %s>" % self.base,
                     "PassengerBaseURI %s" % self.base, *lines,
                     "</Location>"]
        else:
            lines = ["DocumentRoot %s" % public, *lines]
        if IS_ROOT:
            lines += ["PassengerUser %s" % USER.pw_name,
                      "PassengerGroup %s" % GROUP]
        return """Listen 127.0.0.1:%d
<VirtualHost 127.0.0.1:%d>
ServerName localhost
PassengerPython %s
AllowEncodedSlashes NoDecode
PassengerAllowEncodedSlashes on
%s
<Directory %s>
AllowOverride All
Require all granted
Options -MultiViews
</Directory>
%s
</VirtualHost>
""" % (self.address[1], self.address[1], python, "\n".join(lines), public,
            self.conf)


class Apache(Process):
    """Apache with Passenger and these sites, accepting when this returns."""

    def __init__(self, *sites, conf="", before=(), mpm="mpm_event"):
        self.sites, self.mpm = sites, mpm
        for site in sites:
            give(site.folder)
            site.apache = self
        # A port may have been taken meanwhile; and Passenger's module may
        # crash Apache while it starts (double free), seldom.
        for _ in range(4):
            if self.start(conf, before):
                return
            self.kill()
            tap.note("Apache does not start:\n" + self.log())
            for site in sites:
                site.address = ("127.0.0.1", free_port())
        tap.bail("Apache does not start")

    def start(self, conf, before):
        """Does it serve?"""
        self.state = state = public_dir()
        os.makedirs(state + "/instreg")
        with open(state + "/httpd.conf", "w") as f:
            f.write(self.text(conf))
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        if "LSAN_OPTIONS" in os.environ:
            copy = shutil.copy(os.path.join(TOP, "t", "lib", "lsan.supp"),
                               state)
            env["LSAN_OPTIONS"] = ("print_suppressions=0:suppressions="
                                   + copy)
        # Its environment reaches the applications: only this.
        super().__init__([*before, "/usr/bin/env", "-i"]
                         + ["%s=%s" % pair for pair in env.items()]
                         + [APACHE, "-D", "FOREGROUND", "-f",
                            state + "/httpd.conf"], cwd=state)
        wait_for(lambda: self.popen.poll() is not None or self.accepts(),
                 step=0.02)
        return self.popen.poll() is None and self.accepts()

    def text(self, conf):
        state = self.state
        lines = ["ServerRoot /etc/apache2", "ServerName localhost",
                 "PidFile %s/apache.pid" % state,
                 "DefaultRuntimeDir %s" % state,
                 "Mutex file:%s default" % state,
                 "ErrorLog %s/error.log" % state, "LogLevel warn"]
        if IS_ROOT:
            lines += ["User www-data", "Group www-data"]
        lines += ["LoadModule %s_module %s" % (m, MODULES % m) for m in (
            self.mpm, "authz_core", "dir", "mime", "alias", "env",
            "setenvif", "unixd") if os.path.exists(MODULES % m)]
        lines += ["TypesConfig /etc/mime.types",
                  "LoadModule passenger_module " + MODULES % "passenger",
                  "LimitRequestFields 0", "LimitRequestBody 0",
                  "ThreadsPerChild 32" if self.mpm == "mpm_event" else
                  "MinSpareServers 8",
                  "StartServers %d" % (1 if self.mpm == "mpm_event" else 12),
                  "MaxRequestWorkers 256", "MaxKeepAliveRequests 0",
                  "KeepAliveTimeout 60",
                  "PassengerRoot " + ROOT,
                  "PassengerInstanceRegistryDir %s/instreg" % state,
                  "PassengerLogFile %s/passenger.log" % state,
                  "PassengerDisableSecurityUpdateCheck on",
                  "PassengerDisableAnonymousTelemetry on",
                  "PassengerMaxPoolSize %d" % max(12, 2 * len(self.sites)),
                  "PassengerStartTimeout %d" % PATIENCE, conf,
                  "<Directory />", "AllowOverride None",
                  "Require all denied", "</Directory>"]
        return "\n".join(lines) + "\n" + "".join(
            site.text() for site in self.sites)

    def accepts(self):
        if "resuming normal operations" not in self.log():
            return False
        try:
            for site in self.sites:
                connect(site.address).close()
            return True
        except OSError:
            return False

    @property
    def address(self):
        return self.sites[0].address

    def http(self, **more):
        return Http(self.address, **more)

    def log(self):
        """What Apache and Passenger said, and applications through them."""
        text = super().log()
        for name in ("error.log", "passenger.log"):
            text += text_of(os.path.join(self.state, name))
        return text

    def core(self):
        """Passenger's core, or None."""
        for p in tree(self.pid):
            try:
                with open("/proc/%d/cmdline" % p, "rb") as f:
                    if f.read().startswith(b"Passenger core"):
                        return p
            except OSError:
                pass
        return None

    def applications(self, site=None):
        """The processes that Passenger started, of one site or of all."""
        core, found = self.core(), []
        for p in children(core) if core else []:
            try:
                where = os.readlink("/proc/%d/cwd" % p)
            except OSError:
                continue
            if where == (site or self.sites[0]).folder:
                found.append(p)
        return found

    def passenger(self, *args):
        """passenger-config ARGS; what it said."""
        return subprocess.run(
            ["/usr/bin/passenger-config", *args], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(os.environ, PASSENGER_INSTANCE_REGISTRY_DIR=os.path.join(
                self.state, "instreg"))).stdout

    def restart(self):
        """Apache's graceful restart; when this returns the old children
        and the old core are gone. With threads (mpm_event) Passenger's
        module crashes some of these children, and requests with them,
        whatever the application is; without (mpm_prefork) none is lost."""
        old = tree(self.pid)[1:]
        before = self.log().count("resuming normal operations")
        self.send_signal(signal.SIGUSR1)
        return wait_for(
            lambda: self.popen.poll() is not None
            or self.log().count("resuming normal operations") > before
            and not any(alive(p) for p in old) and self.core()
        ) and self.popen.poll() is None

    def stop(self, sig=signal.SIGTERM, seconds=PATIENCE):
        """End it. Are all of its processes gone, none of them killed?
        (Apache's own status is not asked: Passenger's module may crash it
        when all is done.)"""
        if self.popen.poll() is not None:
            self.kill()
            return False
        mine = tree(self.pid)
        with ends(mine[1:]) as fds:
            self.send_signal(sig)
            gone = (self.wait(seconds) is not None
                    and wait_readable(fds, seconds=seconds))
        if not gone:
            tap.note("still there: %s" % [p for p in mine if alive(p)])
        self.kill(mine)
        return gone

    def kill(self, also=()):
        if self in running:
            for p in {*also, *tree(self.pid)} - {self.pid}:
                with contextlib.suppress(ProcessLookupError):
                    if alive(p):
                        os.kill(p, signal.SIGKILL)
        super().kill()


sys.dont_write_bytecode = True


SLEEPY = ("sleepy:application", ["sleepy.py"])
HELD = ("held:application", ["held.py"])


class Aboard(Site):
    """One application of t/apps behind one door, with these settings. The
    calls of SLEEPY and HELD are noted in its tmp/calls."""

    def __init__(self, door, app=SLEEPY, htaccess="", extra=None, conf="",
                 env="production", **settings):
        folder = board(door, *app, {"gangway": settings}
                       if settings else None)
        for name, text in (extra or {}).items():
            write(folder, name, text)
        if htaccess:
            write(folder, "public/.htaccess", htaccess)
        super().__init__(folder, door, env=env,
                         conf=conf + "SetEnv T_CALLS tmp/calls\n")
        self.apache = None

    def get(self, target, headers=""):
        with self.http() as c:
            return c.get(target, headers)

    def ask(self, target):
        """In the background."""
        return Asked(self.address, target)

    def began(self, path, count=1):
        """Wait until the application was called so often for it."""
        return self.wait_text("tmp/calls", " %s\n" % path, count)

    def let_go(self, path):
        """Let HELD answer what waits at this path."""
        write(self.folder, "tmp/calls" + path.replace("/", "."), "")

    def processes(self):
        """Those that Passenger started for it."""
        return self.apache.applications(self)

    def read(self, name):
        return text_of(os.path.join(self.folder, name))

    def wait_text(self, name, text, count=1):
        return wait_text(os.path.join(self.folder, name), text, count)


def serve(cases, at_once=6, conf=""):
    """Run cases, each (what, door), behind one Apache. what(door) yields
    the site, or a list of sites, that it needs, and goes on when they are
    served; from a second yield when Apache has stopped: whether that left
    nothing."""
    begun, sites = [], []
    for what, door in cases:
        why = cannot(door)
        if why:
            tap.skip("%s, %s: %s" % (what.__name__, door, why))
            continue
        case = what(door)
        needs = next(case)
        sites += needs if isinstance(needs, list) else [needs]
        begun.append((case, door))

    def go_on(case, door, value=None):
        with contextlib.suppress(StopIteration), port_chosen(door):
            case.send(value)
    if begun:
        before = tap.failures()
        with Apache(*sites, conf=conf) as a:
            tap.together([(go_on, *case) for case in begun], at_once)
            stopped = a.stop()
            for case in begun:
                tap.attempt(go_on, *case, stopped)
            if tap.failures() > before:
                tap.note("\n".join(line for line in a.log().splitlines()
                                   if "imp module" not in line)[-20000:])
