"""Starts servers and speaks to them over real sockets.

Server (gangway, or gunicorn as the measure), Nginx (a private one in front)
are context managers; what they started is ended by its own process group,
also when the test dies. Http and Fcgi are clients that decide about every
byte. cpu_us() and pss_kb() say what a process tree costs.
"""
import atexit
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import tap

TOP = os.environ.get("top_srcdir") or os.path.dirname(
    os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("top_builddir") or TOP
APPS = os.path.join(TOP, "t", "apps")
GANGWAY = os.path.abspath(os.environ.get("GANGWAY")
                          or os.path.join(BUILD, "gangway"))
GUNICORN = "/usr/bin/gunicorn"
# The tests of HTTP may be run against gunicorn, to check the tests.
IS_GANGWAY = os.path.basename(GANGWAY) != "gunicorn"

# Sanitizers: a default is for what is waited for, not for what must not be.
SLOWER = int(os.environ.get("T_SLOWER", "1"))

_running = []
_ports = []     # the marks of those that were given, held while we live


@atexit.register
def _stop_all():
    for p in reversed(_running[:]):
        p.kill()


def tmpdir():
    """A private folder that goes away with the test."""
    d = tempfile.mkdtemp(prefix="gangway-t.")
    atexit.register(shutil.rmtree, d, True)
    return d


def free_port():
    """A loopback port below the ephemeral ones, so that no client's own
    port can take it before the server does; marked by an abstract socket,
    so that no other test is given it, nor this one again."""
    while True:
        port = random.randrange(15000, 32000)
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind("\0gangway-t.port.%d" % port)
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        _ports.append(mark)
        return port


def wait_for(what, seconds=10 * SLOWER, step=0.01):
    """Call what() until it is true; its value, or the last false one."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() >= end:
            return value
        time.sleep(step)


# --- processes

def processes():
    """{pid: (parent, state)} of this machine."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as f:
                    rest = f.read().rpartition(")")[2].split()
                found[int(name)] = (int(rest[1]), rest[0])
            except OSError:
                pass
    return found


def children(pid):
    return sorted(p for p, (parent, state) in processes().items()
                  if parent == pid and state != "Z")


def tree(pid):
    """pid and all its descendants."""
    table, found = processes(), [pid]
    for p in found:
        found += [q for q, (parent, state) in table.items() if parent == p]
    return found


def alive(pid):
    """Until its last thread is gone: the first may be a zombie while another
    one still holds the sockets, on which connections are then queued."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            rest = f.read().rpartition(")")[2].split()
    except OSError:
        return False
    return rest[0] != "Z" or int(rest[17]) > 1


def cpu_us(pids):
    """Microseconds that the living threads of these processes have run."""
    total = 0
    for pid in pids:
        try:
            tasks = os.listdir("/proc/%d/task" % pid)
        except OSError:
            continue
        for t in tasks:
            try:
                with open("/proc/%d/task/%s/schedstat" % (pid, t)) as f:
                    total += int(f.read().split()[0])
            except OSError:
                pass
    return total / 1000


def pss_kb(pids):
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                total += sum(int(line.split()[1]) for line in f
                             if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def fd_count(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


class Process:
    """A program in a process group of its own, its output in a file."""

    def __init__(self, argv, env=None, cwd=None, stdin=subprocess.DEVNULL,
                 **more):
        self.dir = tmpdir()
        self.argv = argv
        self.log_path = os.path.join(self.dir, "output")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("GANGWAY", "GUNICORN", "LISTEN_"))}
        self.env.update(PYTHONDONTWRITEBYTECODE="1", **(env or {}))
        with open(self.log_path, "wb") as out:
            self.popen = subprocess.Popen(
                argv, stdin=stdin, stdout=out, stderr=out, env=self.env,
                cwd=cwd, start_new_session=True, **more)
        self.pid = self.popen.pid
        _running.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0] and exc[0] is not SystemExit:
            tap.note(self.log()[-4000:])
        self.stop()

    def log(self):
        with open(self.log_path, errors="backslashreplace") as f:
            return f.read()

    def send_signal(self, sig):
        os.kill(self.pid, sig)

    def wait(self, seconds=10 * SLOWER):
        """The exit status, or None while it runs."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, sig=signal.SIGTERM, seconds=15 * SLOWER):
        """End it; its exit status (None: it had to be killed)."""
        if self.popen.poll() is None:
            self.send_signal(sig)
        status = self.wait(seconds)
        self.kill()
        return status

    def kill(self):
        # The group is ours (a new session); its number stays taken as
        # long as one of it lives.
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.popen.wait()
        if self in _running:
            _running.remove(self)


def find_program(path=None):
    path = path or GANGWAY
    if not os.access(path, os.X_OK):
        tap.bail("%s is missing: build it, or set GANGWAY" % path)
    return path


class Server(Process):
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
        if defaults and not any(a in ("-w", "--workers") for a in args):
            argv += ["-w", "1"]
        argv += [str(a) for a in args]
        if app:
            argv.append(app)
        super().__init__(argv, env=env, cwd=cwd or APPS, **more)
        if wait and not self.wait_ready():
            self.kill()
            tap.note(self.log()[-6000:])
            tap.bail("no answer from: " + " ".join(argv))

    def answers(self, address, protocol):
        try:
            if protocol == "fcgi":
                with Fcgi(address, timeout=5 * SLOWER) as c:
                    return c.request("/ready") is not None
            return Http(address, timeout=5 * SLOWER).get("/ready").status > 0
        except (OSError, Broken):
            return False

    def wait_ready(self, seconds=20 * SLOWER):
        def ready():
            return self.popen.poll() is not None or all(
                self.answers(a, p)
                for a, p in zip(self.addresses, self.protocols))
        wait_for(ready, seconds, 0.02)
        return self.popen.poll() is None and ready()

    def workers(self):
        return children(self.pid)

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
                 "fastcgi_read_timeout 30s; %s }"
                 % ("on" if keep else "off", FASTCGI_PARAMS),
                 "upstream app { server %s; %s }"
                 % (target, "keepalive 8;" if keep else ""))


# --- HTTP

class Broken(Exception):
    """The other side said something that is no answer."""


def connect(address, timeout=10 * SLOWER):
    if isinstance(address, str):
        s = socket.socket(socket.AF_UNIX)
    else:
        s = socket.socket(socket.AF_INET6 if ":" in address[0]
                          else socket.AF_INET)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.settimeout(timeout)
    try:
        s.connect(address)
    except BaseException:
        s.close()
        raise
    return s


class Response:
    """One answer. complete: the body ended as its framing promised."""

    def __init__(self, version, status, reason, headers):
        self.version, self.status, self.reason = version, status, reason
        self.headers = headers          # [(lower-case name, value)]
        self.body, self.complete, self.framing = b"", False, ""
        self.interim = []

    def __getitem__(self, name):
        """The value of a header, "" when it is not there."""
        return ", ".join(v for n, v in self.headers if n == name.lower())

    def __contains__(self, name):
        return any(n == name.lower() for n, _ in self.headers)

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return {"environ": {}, "length": None, "sha256": None}

    def __repr__(self):
        return "<%s %s %s %r%s>" % (self.status, self.reason, self.headers,
                                    self.body[:200],
                                    "" if self.complete else " (cut)")


def parse_head(head):
    lines = head.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    status, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not status.isdigit():
        raise Broken("status line %r" % lines[0])
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip() or "\n" in line:
            raise Broken("header line %r" % line)
        headers.append((name.lower(), value.strip()))
    return Response(version, int(status), reason, headers)


class Http:
    """A client connection that sends exactly the bytes it is given."""

    def __init__(self, address, timeout=10 * SLOWER):
        self.address, self.timeout = address, timeout
        self.sock, self.buf = None, b""

    def __enter__(self):
        return self.open()

    def __exit__(self, *_):
        self.close()

    def open(self):
        if self.sock is None:
            self.sock, self.buf = connect(self.address, self.timeout), b""
        return self

    def close(self):
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def send(self, data, mode="whole"):
        """mode: "whole", "line" (one send a line) or "byte"."""
        self.open()
        try:
            if mode == "whole":
                self.sock.sendall(data)
            elif mode == "line":
                for line in data.splitlines(keepends=True):
                    self.sock.sendall(line)
            else:
                for i in range(len(data)):
                    self.sock.sendall(data[i:i + 1])
        except (BrokenPipeError, ConnectionResetError):
            pass        # refused early: the answer is what counts
        return self

    def fill(self):
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            data = b""
        self.buf += data
        return bool(data)

    def _until(self, mark):
        while mark not in self.buf:
            if not self.fill():
                raise Broken("end after %r" % self.buf[:300])
        found, _, self.buf = self.buf.partition(mark)
        return found

    def _exactly(self, n):
        """Up to n bytes; fewer only at the end."""
        parts, have = [], 0
        while have < n:
            if not self.buf and not self.fill():
                break
            part = self.buf[:n - have]
            self.buf = self.buf[len(part):]
            parts.append(part)
            have += len(part)
        return b"".join(parts)

    def read(self, method="GET"):
        """One response, by its framing."""
        interim = []
        while True:
            r = parse_head(self._until(b"\r\n\r\n"))
            if r.status >= 200 or r.status == 101:
                break
            interim.append(r.status)
        r.interim = interim
        if method == "HEAD" or r.status in (204, 304):
            r.framing, r.complete = "none", True
        elif "transfer-encoding" in r:
            r.framing = "chunked"
            self._read_chunks(r)
        elif "content-length" in r:
            n = int(r["content-length"])
            r.framing, r.body = "length", self._exactly(n)
            r.complete = len(r.body) == n
        else:
            r.framing = "close"
            while self.fill():
                pass
            r.body, self.buf, r.complete = self.buf, b"", True
        return r

    def _read_chunks(self, r):
        parts = []
        try:
            while True:
                n = int(self._until(b"\r\n").partition(b";")[0], 16)
                part = self._exactly(n)
                parts.append(part)
                if len(part) != n or self._exactly(2) != b"\r\n":
                    break
                if n == 0:
                    r.complete = True
                    break
        except (Broken, ValueError):
            pass
        r.body = b"".join(parts)

    def at_end(self, seconds=5 * SLOWER):
        """Does the server close (without a further byte)?"""
        self.sock.settimeout(seconds)
        try:
            return not self.buf and not self.fill()
        except socket.timeout:
            return False
        finally:
            if self.sock:
                self.sock.settimeout(self.timeout)

    def get(self, target="/", headers="", method="GET", body=b"",
            version="1.1", mode="whole"):
        self.send(request(target, headers, method, body, version), mode)
        return self.read(method)

    def post(self, target, body, headers="", **more):
        return self.get(target, headers, "POST", body, **more)


def request(target="/", headers="", method="GET", body=b"", version="1.1"):
    """The bytes of one request; headers is text of CRLF-ended lines."""
    head = "%s %s HTTP/%s\r\nHost: localhost\r\n%s" % (
        method, target, version, headers)
    if body or method in ("POST", "PUT"):
        head += "Content-Length: %d\r\n" % len(body)
    return head.encode("latin-1") + b"\r\n" + body


def chunked(*chunks):
    return b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks + (b"",))


# --- FastCGI

(BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES,
 GET_VALUES_RESULT, UNKNOWN_TYPE) = range(1, 12)


def record(kind, ident, content=b"", padding=0):
    return struct.pack(">BBHHBB", 1, kind, ident, len(content), padding, 0) \
        + content + b"\0" * padding


def length_bytes(n, long=False):
    return bytes([n]) if n < 128 and not long else struct.pack(
        ">I", n | 0x80000000)


def pairs(items, long=False):
    out = []
    for name, value in items:
        name = name.encode("latin-1") if isinstance(name, str) else name
        value = value.encode("latin-1") if isinstance(value, str) else value
        out += [length_bytes(len(name), long), length_bytes(len(value), long),
                name, value]
    return b"".join(out)


def unpairs(data):
    found, i = [], 0
    while i < len(data):
        sizes = []
        for _ in range(2):
            if data[i] < 128:
                sizes.append(data[i])
                i += 1
            else:
                sizes.append(struct.unpack_from(">I", data, i)[0]
                             & 0x7fffffff)
                i += 4
        name, value = data[i:i + sizes[0]], data[i + sizes[0]:i + sum(sizes)]
        found.append((name.decode(), value.decode()))
        i += sum(sizes)
    return found


def stream(kind, ident, data, step=65535, padding=0):
    """A stream of records with its empty one at the end."""
    parts = [record(kind, ident, data[i:i + step], padding)
             for i in range(0, len(data), step)]
    return b"".join(parts) + record(kind, ident, b"", 0)


def nginx_params(target="/", method="GET", body=b"", extra=()):
    """What nginx sends: SCRIPT_NAME is the whole path, no PATH_INFO."""
    path, _, query = target.partition("?")
    params = {
        "QUERY_STRING": query, "REQUEST_METHOD": method, "CONTENT_TYPE": "",
        "CONTENT_LENGTH": str(len(body)) if body else "",
        "SCRIPT_FILENAME": "/srv/www" + path, "SCRIPT_NAME": path,
        "REQUEST_URI": target, "DOCUMENT_URI": path,
        "DOCUMENT_ROOT": "/srv/www", "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_SCHEME": "http", "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": "nginx/1.22.1", "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "4711", "SERVER_ADDR": "192.0.2.1",
        "SERVER_PORT": "80", "SERVER_NAME": "localhost",
        "REDIRECT_STATUS": "200", "HTTP_HOST": "localhost"}
    params.update(extra)
    return [(k, v) for k, v in params.items() if v is not None]


def fcgi_request(params, body=b"", ident=1, keep=True, role=1, padding=0,
                 step=65535, long=False):
    """The bytes of one whole request."""
    return (record(BEGIN, ident, struct.pack(">HB5x", role, keep))
            + stream(PARAMS, ident, pairs(params, long), step, padding)
            + stream(STDIN, ident, body, step, padding))


class FcgiReply:
    def __init__(self):
        self.out, self.err = b"", b""
        self.app_status = self.protocol_status = None
        self.records = 0

    def response(self):
        """The CGI answer as a Response; None when there is no head."""
        head, mark, body = self.out.partition(b"\r\n\r\n")
        if not mark:
            return None
        r = parse_head(b"HTTP/1.1 200 OK\r\n" + head)
        if "status" in r:
            status, _, r.reason = r["status"].partition(" ")
            r.status = int(status)
        r.body = body
        r.complete = self.protocol_status == 0
        return r


class Fcgi:
    """A client connection that sends exactly the records it is given."""

    def __init__(self, address, timeout=10 * SLOWER):
        self.sock = connect(address, timeout)
        self.buf = b""
        self.replies = {}       # by id, those not yet ended too
        self.management = []    # (type, content)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data, mode="whole"):
        try:
            if mode == "byte":
                for i in range(len(data)):
                    self.sock.sendall(data[i:i + 1])
            else:
                self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def read_record(self):
        """(type, id, content), or None at the end."""
        while True:
            if len(self.buf) >= 8:
                v, kind, ident, n, pad, _ = struct.unpack_from(
                    ">BBHHBB", self.buf)
                if v != 1:
                    raise Broken("version %d" % v)
                if len(self.buf) >= 8 + n + pad:
                    content = self.buf[8:8 + n]
                    self.buf = self.buf[8 + n + pad:]
                    return kind, ident, content
            try:
                data = self.sock.recv(262144)
            except ConnectionResetError:
                data = b""
            if not data:
                if self.buf:
                    raise Broken("cut inside a record")
                return None
            self.buf += data

    def step(self):
        """Take one record in. (type, id), or None at the end."""
        got = self.read_record()
        if got is None:
            return None
        kind, ident, content = got
        if ident == 0:
            self.management.append((kind, content))
            return kind, ident
        r = self.replies.setdefault(ident, FcgiReply())
        r.records += 1
        if r.protocol_status is not None:
            raise Broken("record %d for the ended request %d" % (kind, ident))
        if kind == STDOUT:
            r.out += content
        elif kind == STDERR:
            r.err += content
        elif kind == END:
            r.app_status, r.protocol_status = struct.unpack(
                ">IB3x", content)
        else:
            raise Broken("record type %d" % kind)
        return kind, ident

    def reply(self, ident=1):
        """Read until request `ident` has ended; its reply, or None when
        the connection ends first."""
        while True:
            r = self.replies.get(ident)
            if r is not None and r.protocol_status is not None:
                return self.replies.pop(ident)
            if self.step() is None:
                return None

    def managed(self):
        """The next management record."""
        while not self.management:
            if self.step() is None:
                return None
        return self.management.pop(0)

    def at_end(self, seconds=5 * SLOWER):
        self.sock.settimeout(seconds)
        try:
            return self.read_record() is None
        except socket.timeout:
            return False

    def request(self, target="/", method="GET", body=b"", extra=(), ident=1,
                keep=True, **more):
        """A request as nginx sends it, and its answer (or None)."""
        self.send(fcgi_request(nginx_params(target, method, body, extra),
                               body, ident, keep, **more))
        r = self.reply(ident)
        return r and r.response()


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
