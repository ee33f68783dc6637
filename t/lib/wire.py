"""Clients that decide about every byte: Http and Fcgi, and what they read
and write. An answer is waited for as long as wait.PATIENCE; to say that none
comes, or no end, is to name the time (at_end(0.5)).
"""
import json
import socket
import struct

from wait import PATIENCE


# --- HTTP

class Broken(Exception):
    """The other side said something that is no answer."""


def connect(address, timeout=PATIENCE):
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


def reset(sock):
    """Close with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


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

    def __init__(self, address, timeout=PATIENCE):
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

    def at_end(self, seconds=PATIENCE):
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

    def __init__(self, address, timeout=PATIENCE):
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

    def at_end(self, seconds=PATIENCE):
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
