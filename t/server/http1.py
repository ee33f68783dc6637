#!/usr/bin/python3
"""HTTP/1.1 and 1.0 over real sockets, for sync and gthread: what a client
may rely on, what is refused, and what an application cannot break.

(Not called http.py: that name would hide Python's own package.)
"""
import hashlib
import os
import re
import socket
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import tmpdir
from server import Server
from tap import attempt, done, guard, is_, ok, together
from wait import PATIENCE, measure, pace, wait_for, wait_text
from wire import Broken, Http, chunked, request

END = b"\r\n\r\n"
H = b"Host: localhost\r\n"
TE = b"Transfer-Encoding: chunked\r\n"


def lines_of(path):
    try:
        with open(path) as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


def env(r):
    return r.json()["environ"]


# --- requests that are answered: name, bytes, check of the answer

def has(**want):
    return lambda r: all(env(r).get(k) == v for k, v in want.items())


def body(data):
    return lambda r: r.json()["sha256"] == hashlib.sha256(data).hexdigest()


def post(path, fields, data):
    return b"POST " + path + b" HTTP/1.1\r\n" + H + fields + b"\r\n" + data


ANSWERED = [
    ("get", request("/a?b=c&d"),
     has(PATH_INFO="/a", QUERY_STRING="b=c&d", REQUEST_METHOD="GET",
         SERVER_PROTOCOL="HTTP/1.1", SCRIPT_NAME="", RAW_URI="/a?b=c&d",
         REMOTE_ADDR="127.0.0.1", HTTP_HOST="localhost")),
    ("path is decoded once", request("/%41%2541/%C3%A9%2F?%41"),
     has(PATH_INFO="/A%41/\xc3\xa9/", QUERY_STRING="%41")),
    ("two slashes stay", request("//x//y"), has(PATH_INFO="//x//y")),
    ("empty query", request("/a?"), has(PATH_INFO="/a", QUERY_STRING="")),
    ("query with ?", request("/a?b?c"), has(QUERY_STRING="b?c")),
    ("absolute target", b"GET http://localhost/abs?q HTTP/1.1\r\n" + H
     + b"\r\n", has(PATH_INFO="/abs", QUERY_STRING="q")),
    ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n",
     has(REQUEST_METHOD="OPTIONS")),
    ("PATCH", request("/p", method="PATCH"), has(REQUEST_METHOD="PATCH")),
    ("DELETE with a body", request("/d", "", "DELETE", b"gone"),
     body(b"gone")),
    ("a header that comes twice is joined",
     request("/h", "X-A: 1\r\nX-A: 2\r\n"),
     lambda r: env(r).get("HTTP_X_A") in ("1,2", "1, 2")),
    ("header name in any case", request("/h", "x-MiXed: v\r\n"),
     has(HTTP_X_MIXED="v")),
    ("blanks around a value", request("/h", "X-A: \t v w \t\r\n"),
     has(HTTP_X_A="v w")),
    ("empty value", request("/h", "X-A:\r\n"), has(HTTP_X_A="")),
    ("obs-text value", request("/h", "X-A: \xe9\r\n"), has(HTTP_X_A="\xe9")),
    ("content type", request("/h", "Content-Type: text/x\r\n", "POST", b"b"),
     has(CONTENT_TYPE="text/x", CONTENT_LENGTH="1")),
    ("body by length", request("/p", "", "POST", b"x" * 5000),
     body(b"x" * 5000)),
    ("empty body", request("/p", "", "POST"), body(b"")),
    ("body with CRLFs", request("/p", "", "POST", b"\r\n\r\nGET / HTTP/1.1"),
     body(b"\r\n\r\nGET / HTTP/1.1")),
    ("readline", request("/lines", "", "POST", b"a\nbc\n\nd"),
     lambda r: body(b"a\nbc\n\nd")(r) and r.json()["pieces"] == 4),
    ("readlines", request("/readlines", "", "POST", b"a\nbc\n\nd"),
     lambda r: body(b"a\nbc\n\nd")(r) and r.json()["pieces"] == 4),
    ("iteration", request("/iter", "", "POST", b"a\nbc\n\nd"),
     lambda r: body(b"a\nbc\n\nd")(r) and r.json()["pieces"] == 4),
    ("read()", request("/whole", "", "POST", b"a\nbc"), body(b"a\nbc")),
    ("chunked", post(b"/c", TE, chunked(b"abc", b"d" * 300, b"\r\n")),
     body(b"abc" + b"d" * 300 + b"\r\n")),
    ("chunked, empty", post(b"/c", TE, chunked()), body(b"")),
    ("chunked, case and extensions",
     post(b"/c", b"transfer-encoding: Chunked\r\n",
          b"0003;a=b\r\nabc\r\nA\r\n0123456789\r\n0;x\r\n\r\n"),
     body(b"abc0123456789")),
    ("chunked, trailers are not headers",
     post(b"/c", TE, b"3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"),
     lambda r: body(b"abc")(r) and "HTTP_X_TRAILER" not in env(r)),
    ("unread body", request("/noread", "", "POST", b"y" * 2000),
     lambda r: r.json()["length"] == 0),
    ("Proxy is dropped", request("/h", "Proxy: http://evil/\r\n"),
     lambda r: "HTTP_PROXY" not in env(r)),
    ("underscore name is dropped",
     request("/h", "X-User: a\r\nX_User: b\r\nX_Other: c\r\n"),
     lambda r: env(r).get("HTTP_X_USER") == "a"
     and "HTTP_X_OTHER" not in env(r)),
    ("SCRIPT_NAME of a proxy", request("/app/h", "SCRIPT_NAME: /app/\r\n"),
     has(SCRIPT_NAME="/app", PATH_INFO="/h", HTTP_SCRIPT_NAME="/app/")),
    ("SCRIPT_NAME of a proxy, elsewhere",
     request("/apple", "SCRIPT_NAME: /app\r\n"),
     has(SCRIPT_NAME="", PATH_INFO="/apple")),
    ("X-Forwarded-For does not change REMOTE_ADDR",
     request("/h", "X-Forwarded-For: 1.2.3.4\r\n"),
     has(REMOTE_ADDR="127.0.0.1")),
    ("request line of 4094", request("/" + "a" * (4094 - 14)),
     lambda r: len(env(r)["PATH_INFO"]) == 4081),
    ("100 header fields", request("/h", "".join(
        "X-%d: 1\r\n" % i for i in range(99))), has(HTTP_X_98="1")),
    ("field of 8100", request("/h", "X-A: %s\r\n" % ("v" * 8100)),
     has(HTTP_X_A="v" * 8100)),
    ("empty line before the request", b"\r\n" + request("/crlf"),
     has(PATH_INFO="/crlf")),
]

# --- requests that are refused: name, bytes, allowed statuses. Each is
# followed by a whole good request on the same connection, which must not be
# answered, and none of it may reach the application.

REFUSED = [
    ("request line of 4095", request("/" + "a" * (4095 - 14)), {400, 414}),
    ("101 header fields", request("/h", "".join(
        "X-%d: 1\r\n" % i for i in range(100))), {431}),
    ("field of 8200", request("/h", "X-A: %s\r\n" % ("v" * 8200)), {431}),
    ("CL and TE", post(b"/s", b"Content-Length: 5\r\n" + TE, chunked()),
     {400}),
    ("TE and CL", post(b"/s", TE + b"Content-Length: 5\r\n", chunked()),
     {400}),
    ("two CL", post(b"/s", b"Content-Length: 1\r\nContent-Length: 2\r\n",
                    b"ab"), {400}),
    ("two equal CL", post(b"/s", b"Content-Length: 1\r\n" * 2, b"a"), {400}),
    ("CL list", post(b"/s", b"Content-Length: 1, 1\r\n", b"a"), {400}),
    ("CL with sign", post(b"/s", b"Content-Length: +1\r\n", b"a"), {400}),
    ("CL negative", post(b"/s", b"Content-Length: -1\r\n", b"a"), {400}),
    ("CL hex", post(b"/s", b"Content-Length: 0x1\r\n", b"a"), {400}),
    ("CL empty", post(b"/s", b"Content-Length:\r\n", b""), {400}),
    ("CL with blank inside", post(b"/s", b"Content-Length: 1 1\r\n", b"a"),
     {400}),
    ("CL of 2^64", post(b"/s", b"Content-Length: 18446744073709551617\r\n",
                        b"a"), {400, 413}),
    ("CL of 2^63", post(b"/s", b"Content-Length: 9223372036854775808\r\n",
                        b"a"), {400, 413}),
    ("TE xchunked", post(b"/s", b"Transfer-Encoding: xchunked\r\n",
                         chunked()), {400, 501}),
    ("TE identity", post(b"/s", b"Transfer-Encoding: identity\r\n", b""),
     {400, 501}),
    ("TE gzip, chunked", post(b"/s", b"Transfer-Encoding: gzip, chunked\r\n",
                              chunked()), {400, 501}),
    ("TE chunked, chunked", post(
        b"/s", b"Transfer-Encoding: chunked, chunked\r\n", chunked()),
     {400, 501}),
    ("TE twice", post(b"/s", TE * 2, chunked()), {400, 501}),
    ("TE chunked, gzip", post(b"/s", b"Transfer-Encoding: chunked, gzip\r\n",
                              chunked()), {400, 501}),
    ("TE with VT", post(b"/s", b"Transfer-Encoding: \x0bchunked\r\n",
                        chunked()), {400, 501}),
    ("TE in 1.0", b"POST /s HTTP/1.0\r\n" + H + TE + b"\r\n" + chunked(),
     {400, 501}),
    ("space before colon", post(b"/s", b"X-A : 1\r\n", b""), {400}),
    ("space before CL's colon", post(b"/s", b"Content-Length : 1\r\n", b"a"),
     {400}),
    ("obs-fold", post(b"/s", b"X-A: 1\r\n 2\r\n", b""), {400}),
    ("first field begins with a blank",
     b"GET /s HTTP/1.1\r\n X: 1\r\n" + H + b"\r\n", {400}),
    ("bare LF after a field", b"GET /s HTTP/1.1\r\nX-A: 1\n" + H + b"\r\n",
     {400}),
    ("bare LF after the request line", b"GET /s HTTP/1.1\n" + H + b"\r\n",
     {400}),
    ("bare CR in a value", post(b"/s", b"X-A: 1\rX-B: 2\r\n", b""), {400}),
    ("bare CR hides TE", post(b"/s", b"X:\rTransfer-Encoding: chunked\r\n",
                              b""), {400}),
    ("NUL in a value", post(b"/s", b"X-A: 1\0\r\n", b""), {400}),
    ("DEL in a name", post(b"/s", b"X-\x7fA: 1\r\n", b""), {400}),
    ("empty name", post(b"/s", b": 1\r\n", b""), {400}),
    ("no colon", post(b"/s", b"X-A\r\n", b""), {400}),
    ("name with a quote", post(b"/s", b'X"A: 1\r\n', b""), {400}),
    ("no Host in 1.1", b"GET /s HTTP/1.1\r\nX: 1\r\n\r\n", {400}),
    ("two Hosts", b"GET /s HTTP/1.1\r\n" + H + b"Host: b\r\n\r\n", {400}),
    ("no version", b"GET /s\r\n" + H + b"\r\n", {400, 505}),
    ("HTTP/2.0", b"GET /s HTTP/2.0\r\n" + H + b"\r\n", {400, 505}),
    ("HTTP/0.9", b"GET /s HTTP/0.9\r\n" + H + b"\r\n", {400, 505}),
    ("HTTP/1.10", b"GET /s HTTP/1.10\r\n" + H + b"\r\n", {400, 505}),
    ("http/1.1", b"GET /s http/1.1\r\n" + H + b"\r\n", {400, 505}),
    ("two blanks", b"GET  /s HTTP/1.1\r\n" + H + b"\r\n", {400}),
    ("blank in target", b"GET /s s HTTP/1.1\r\n" + H + b"\r\n", {400, 505}),
    ("relative target", b"GET s HTTP/1.1\r\n" + H + b"\r\n", {400}),
    ("lower-case method", b"get /s HTTP/1.1\r\n" + H + b"\r\n", {400, 501}),
    ("method with a colon", b"GE:T /s HTTP/1.1\r\n" + H + b"\r\n",
     {400, 501}),
    ("NUL in target", b"GET /s\0 HTTP/1.1\r\n" + H + b"\r\n", {400}),
    ("%00 in path", b"GET /s%00 HTTP/1.1\r\n" + H + b"\r\n", {400}),
    ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + END,
     {400}),
    ("Expect: something", request("/s", "Expect: miracles\r\n"), {417}),
    ("chunk size is no number", post(b"/s", TE, b"xyz\r\nabc\r\n0\r\n\r\n"),
     {400}),
    ("chunk size 0x3", post(b"/s", TE, b"0x3\r\nabc\r\n0\r\n\r\n"), {400}),
    ("chunk size +3", post(b"/s", TE, b"+3\r\nabc\r\n0\r\n\r\n"), {400}),
    ("chunk size -1", post(b"/s", TE, b"-1\r\nabc\r\n0\r\n\r\n"), {400}),
    ("chunk size after a blank", post(b"/s", TE,
                                      b" 3\r\nabc\r\n0\r\n\r\n"), {400}),
    ("chunk size of 2^64", post(b"/s", TE,
                                b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
     {400, 413}),
    ("chunk longer than its size", post(b"/s", TE,
                                        b"3\r\nabcXX0\r\n\r\n"), {400}),
    ("chunk ends with LF only", post(b"/s", TE, b"3\r\nabc\n0\r\n\r\n"),
     {400}),
    ("chunk size line ends with LF only", post(
        b"/s", TE, b"3\nabc\r\n0\r\n\r\n"), {400}),
    ("bare CR in a chunk extension", post(
        b"/s", TE, b"3;a\rb\r\nabc\r\n0\r\n\r\n"), {400}),
    ("bad trailer", post(b"/s", TE, b"3\r\nabc\r\n0\r\nX Y: 1\r\n\r\n"),
     {400}),
]


def cut_and_kept(r):
    """What must not depend on how the bytes were sent."""
    if r is None:
        return None
    data = r.body
    if r["content-type"] == "application/json":
        data = dict(r.json(), environ={k: v for k, v in env(r).items()
                                       if k != "REMOTE_PORT"})
    return (r.status, r.reason, data,
            [h for h in r.headers if h[0] != "date"])


def ask(address, data, mode="whole", method="GET", at_end=False):
    with Http(address) as c:
        try:
            r = c.send(data, mode).read(method)
        except (Broken, socket.timeout):
            return None
        return (r, c.at_end()) if at_end else r


def test_answered(s, title):
    for name, data, check in ANSWERED:
        method = data.split()[0].decode()
        want = ask(s.address, data, "whole", method)
        ok(want is not None and want.status == 200 and want.complete
           and check(want), "%s: %s" % (title, name), repr(want)[:3000])
        for mode in ("line", "byte"):
            if mode == "byte" and len(data) > 1000:
                continue
            got = ask(s.address, data, mode, method)
            ok(cut_and_kept(got) == cut_and_kept(want),
               "%s: %s, by %s" % (title, name, mode), repr(got)[:3000])


def test_refused(s, calls, title):
    for name, data, statuses in REFUSED:
        for mode in ("whole", "line", "byte"):
            if mode == "byte" and len(data) > 1000:
                continue
            before = len(lines_of(calls))
            got = ask(s.address, data + request("/smuggled"), mode,
                      at_end=True)
            status, ended = (got[0].status, got[1]) if got else (None, None)
            ok(status in statuses and ended
               and len(lines_of(calls)) == before,
               "%s: %s is refused, by %s" % (title, name, mode),
               "status %s, closed %s, calls %s"
               % (status, ended, lines_of(calls)[before:]))


def kept(s, t):
    with s.http() as c:
        ports = {env(c.get("/%d" % i))["REMOTE_PORT"] for i in range(3)}
        t(len(ports) == 1, "three requests on one connection")
        r = c.get("/", "Connection: close\r\n")
        t(r["connection"].lower() == "close" and c.at_end(),
          "Connection: close is said and done", repr(r))
        t("date" in r and "server" in r
          and re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
                           r["date"]) is not None,
          "Date and Server are there", repr(r))


def http10(s, t):
    with s.http() as c:
        r = c.get("/", version="1.0")
        t(r.status == 200 and c.at_end(), "1.0 closes", repr(r))
    with s.http() as c:
        ka = "Connection: keep-alive\r\n"
        r = c.get("/", ka, version="1.0")
        t(r["connection"].lower() == "keep-alive"
          and c.get("/again", ka, version="1.0").status == 200,
          "1.0 with keep-alive goes on", repr(r))
    with s.http() as c:
        r = c.send(b"GET /old HTTP/1.0\r\n\r\n").read()
        t(r.status == 200 and r.framing != "chunked" and c.at_end(),
          "1.0 without Host", repr(r))


def pipelined(s, t):
    data, want = b"", []
    for i in range(10):
        path = ("/sleep/%d" if i in (0, 5) else "/%d") % i
        payload = b"z" * (i * 100)
        want.append((path, len(payload) if i % 2 else 0))
        data += request(path, "", "POST" if i % 2 else "GET",
                        payload if i % 2 else b"")
    with s.http() as c:
        c.send(data)
        got = [(env(r)["PATH_INFO"], r.json()["length"])
               for r in (c.read() for _ in want)]
        t(got == want, "ten pipelined requests, in order", got)


def pipelined_close(s, t):
    with s.http() as c:
        c.send(request("/1") + request("/2", "Connection: close\r\n")
               + request("/3"))
        t([env(c.read())["PATH_INFO"] for _ in "12"] == ["/1", "/2"]
          and c.at_end(), "nothing is answered after close")


def pipelined_chunked(s, t):
    with s.http() as c:
        c.send(post(b"/1", TE, chunked(b"abc")) + request("/2"))
        got = [c.read().json() for _ in "12"]
        t([(g["environ"]["PATH_INFO"], g["length"]) for g in got]
          == [("/1", 3), ("/2", 0)], "request after a chunked one", got)


def unread(s, t):
    with s.http() as c:
        c.send(request("/noread", "", "POST", b"GET /smuggled " * 20000)
               + request("/next"))
        got = [env(c.read())["PATH_INFO"] for _ in "12"]
        t(got == ["/noread", "/next"],
          "an unread body is not the next request", got)


def cut_anywhere(s, t):
    with s.http() as c:
        one, two = request("/one", "", "POST", b"1234"), request("/two")
        c.send(one[:20])
        pace(0.02)      # so that it is read by itself
        c.send(one[20:] + two[:9])
        r = c.read()
        c.send(two[9:])
        got = [env(r)["PATH_INFO"], env(c.read())["PATH_INFO"]]
        t(got == ["/one", "/two"], "requests cut anywhere", got)


def test_connection(s, title):
    def t(cond, name, why=""):
        ok(cond, "%s: %s" % (title, name), why)
    for group in (kept, http10, pipelined, pipelined_close,
                  pipelined_chunked, unread, cut_anywhere):
        attempt(group, s, t)


def test_expect(s, title):
    head = request("/e", "Expect: 100-continue\r\n", "POST", b"12345")[:-5]
    with s.http() as c:
        c.send(head)
        try:
            while b"\r\n\r\n" not in c.buf and c.fill():
                pass
        except socket.timeout:
            pass
        ok(c.buf == b"HTTP/1.1 100 Continue\r\n\r\n",
           title + ": 100 Continue before the body", repr(c.buf))
        r = c.send(b"12345").read()
        ok(r.status == 200 and r.json()["length"] == 5,
           title + ": the answer after it", repr(r))
        ok(c.get("/after").status == 200, title + ": and the next request")
    with s.http() as c:
        r = c.send(head + b"12345").read()
        ok(r.status == 200 and r.json()["length"] == 5,
           title + ": a client that does not wait for it")
    with s.http() as c:
        r = c.get("/e", "Expect: 100-continue\r\n", "POST", b"1",
                  version="1.0")
        ok(r.status == 200 and not r.interim,
           title + ": no 100 for HTTP/1.0", repr(r.interim))


def test_cut(s, calls, title):
    """A body that the client cuts must never look whole."""
    data = [request("/cut-length", "", "POST", b"x" * 5000)[:-2500],
            post(b"/cut-chunk", TE, b"1000\r\n" + b"x" * 100),
            post(b"/cut-chunks", TE, b"3\r\nabc\r\n"),
            post(b"/cut-last", TE, b"3\r\nabc\r\n0\r\n")]
    for one in data:
        for way in ("shutdown", "close"):
            path = one.split()[1].decode()
            with s.http() as c:
                c.send(one)
                if way == "shutdown":
                    c.sock.shutdown(socket.SHUT_WR)
                    try:
                        r = c.read()
                        whole = r.status == 200
                    except (Broken, socket.timeout):
                        whole = False
                else:
                    whole = False
            s.http().get("/sync-point")
            ok(not whole and path not in lines_of(calls),
               "%s: %s, %s: not taken for whole" % (title, path[1:], way))


def test_big(s, title):
    data = os.urandom(1 << 20) * 20
    want = hashlib.sha256(data).hexdigest()
    with s.http() as c:
        r = c.post("/upload", data)
        ok(r.json()["sha256"] == want, title + ": 20 MB upload", repr(r)[:99])
        c.send(post(b"/upload", TE, b""))
        for i in range(0, len(data), 1 << 20):
            c.send(b"100000\r\n" + data[i:i + (1 << 20)] + b"\r\n")
        r = c.send(b"0\r\n\r\n").read()
        ok(r.json()["sha256"] == want, title + ": the same chunked")
        data = b"".join(b"x" * (i % 99) + b"\n" for i in range(20000))
        want = hashlib.sha256(data).hexdigest()
        for path in ("/lines", "/iter", "/readlines"):
            r = c.post(path, data)
            ok(r.status == 200 and r.json()["sha256"] == want,
               "%s: 1 MB of lines, %s" % (title, path), repr(r)[:99])


def test_forwarded(klass):
    for allow, want in (("127.0.0.0/8", "https"), ("10.0.0.0/8", "http"),
                        ("*", "https"), ("127.0.0.1", "https")):
        with Server("echo:application", "-k", klass,
                    "--forwarded-allow-ips", allow) as s, s.http() as c:
            r = c.get("/", "X-Forwarded-Proto: https\r\n")
            is_(env(r).get("wsgi.url_scheme"), want,
                "%s: X-Forwarded-Proto, trusting %s" % (klass, allow))
            if allow != "*":
                continue
            r = c.get("/", "X-Forwarded-Proto: https\r\n"
                      "X-Forwarded-Ssl: off\r\n")
            is_(r.status, 400, klass + ": contradictory schemes")


def test_keepalive(klass):
    with Server("echo:application", "-k", klass, "--keep-alive",
                "0") as s, s.http() as c:
        r = c.get("/")
        ok(r["connection"] == "close" and c.at_end(),
           klass + ": keepalive 0 keeps nothing", repr(r))
    with Server("echo:application", "-k", klass, "--keep-alive", "1") as s:
        seen = []

        def idle():
            with s.http() as c:
                try:
                    c.get("/")
                    t0 = time.monotonic()
                    seen.append(c.get("/").status == 200 and c.at_end())
                    return time.monotonic() - t0
                except Broken:      # the second came after that second
                    return PATIENCE
        took = measure(idle, 3)
        ok(seen and all(seen), klass + ": an idle connection is closed")
        ok(0.9 < took < 3, klass + ": after keepalive seconds", took)


def test_echo(klass):
    calls = tmpdir() + "/calls"
    with Server("echo:application", "-k", klass, "--threads", "4",
                env={"T_CALLS": calls}) as s:
        attempt(test_answered, s, klass)
        attempt(test_refused, s, calls, klass)
        attempt(test_connection, s, klass)
        attempt(test_expect, s, klass)
        attempt(test_cut, s, calls, klass)
        attempt(test_big, s, klass)
    with Server("echo:application", "-k", klass, binds=("unix",)) as s:
        with s.http() as c:
            r = c.get("/u")
            ok(r.status == 200 and env(r)["PATH_INFO"] == "/u"
               and env(r).get("REMOTE_ADDR", "") == "",
               klass + ": over a unix socket", repr(r))
        for host, name, port in (
                ("a.example", "a.example", "80"), ("a:81", "a", "81"),
                ("[::1]:8080", "[::1]", "8080"), ("[::1]", "[::1]", "80"),
                ("a:", "a", "80"), (":81", "localhost", "81"),
                ("", "localhost", "80")):
            with s.http() as c:
                r = c.send(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n"
                           % host.encode()).read()
                ok(r.status == 200 and has(SERVER_NAME=name,
                                           SERVER_PORT=port)(r),
                   "%s: on a unix socket, Host: %s" % (klass, host), repr(r))
        with s.http() as c:
            r = c.send(b"GET http://%s/ HTTP/1.1\r\nHost:\r\n\r\n"
                       % (b"a" * 3000)).read()
            ok(r.status == 200 and has(SERVER_NAME="a" * 3000)(r),
               klass + ": on a unix socket, a large name in the target",
               repr(r))


# --- what the application does: path, version, status, body (None: any),
# complete, may the connection go on?

LIST = b"list"
GEN = b"chunk 0\nchunk 1\nchunk 2\n"
ANSWERS = [
    ("gen", "1.1", 200, GEN, True, True),
    ("gen", "1.0", 200, GEN, True, False),
    ("empties", "1.1", 200, b"onetwo", True, True),
    ("nothing", "1.1", 200, b"", True, True),
    ("list", "1.1", 200, LIST, True, True),
    ("exact", "1.1", 200, b"1234512345", True, True),
    ("short", "1.1", 200, b"12345", False, False),
    ("long", "1.1", 200, b"12345", True, None),
    ("write", "1.1", 200, b"written twice and returned", True, True),
    ("late-start", "1.1", 200, b"late", True, True),
    ("exc-info", "1.1", 503, b"second head", True, True),
    ("exc-info-late", "1.1", 200, b"first ", False, False),
    ("raise-call", "1.1", 500, None, True, None),
    ("raise-start", "1.1", 500, None, True, None),
    ("raise-head", "1.1", 200, b"begun", False, False),
    ("raise-head", "1.0", 200, b"begun", None, False),
    ("never", "1.1", 500, None, True, None),
    ("twice", "1.1", 500, None, True, None),
    ("bad-status", "1.1", 500, None, True, None),
    ("bad-name", "1.1", 500, None, True, None),
    ("bad-value", "1.1", 500, None, True, None),
    ("bad-nul", "1.1", 500, None, True, None),
    ("bad-type", "1.1", 500, None, True, None),
    ("bad-chunk", "1.1", 500, None, True, None),
    ("bad-wide", "1.1", 500, None, True, None),
    ("no-content", "1.1", 204, b"", True, True),
    ("no-content-body", "1.1", 204, b"", True, True),
    ("not-modified", "1.1", 304, b"", True, True),
    ("hops", "1.1", 200, b"ok", True, True),
    ("many", "1.1", 200, b"ok", True, True),
    ("latin", "1.1", 200, b"ok", True, True),
    ("no-such", "1.1", 404, b"no such way\n", True, True),
]
UNCLOSED = {"raise-call", "no-such", "bad-type", "twice", "bad-status",
            "bad-name", "bad-value", "bad-nul", "bad-wide"}


def next_is_clean(c):
    """The connection ends, or the next answer on it is right."""
    if c.at_end(0.05):
        return True
    try:
        return c.get("/list/next").body == LIST
    except Broken:
        return not c.buf


def answer(s, title, way, method, version, status, want, complete, goes_on):
    with s.http() as c:
        r = c.get("/" + way, method=method, version=version)
        if method == "HEAD":
            # A failure may be told by the head, where it was in time.
            good = r.status in (status, 500) and next_is_clean(c)
        else:
            good = (r.status == status and want in (None, r.body)
                    and complete in (None, r.complete) and not c.buf)
            if goes_on:
                good = good and c.get("/list/next").body == LIST
            elif goes_on is False:
                good = good and c.at_end()
        ok(good and "x-evil" not in r,
           "%s: %s, %s %s" % (title, way, method, version), repr(r))


def test_answers(s, closed, title):
    for way, version, *rest in ANSWERS:
        for method in ("GET", "HEAD"):
            before = lines_of(closed).count("/" + way)
            attempt(answer, s, title, way, method, version, *rest)
            if way in UNCLOSED:
                continue

            def count():
                return lines_of(closed).count("/" + way) - before
            wait_for(count)
            is_(count(), 1, "%s: %s, %s %s: close() once"
                % (title, way, method, version))
    for way, why in (("no-content", "content-length"),
                     ("no-content", "transfer-encoding"),
                     ("not-modified", "transfer-encoding")):
        with s.http() as c:
            ok(why not in c.get("/" + way), "%s: %s has no %s"
               % (title, way, why))
    with s.http() as c:
        r = c.get("/many")
        is_([v for n, v in r.headers if n == "set-cookie"], ["a=1", "b=2"],
            title + ": two equal names stay two, in order")
        r = c.get("/hops")
        ok("keep-alive" not in r and r["x-kept"] == "yes"
           and "upgrade" not in r["connection"] and r.framing == "length",
           title + ": hop-by-hop headers are the server's", repr(r))
        r = c.get("/latin")
        is_((r.reason, r["x-a"]), ("Tr\xe8s bien", "\xe9t\xe9"),
            title + ": latin-1 in the head")
        r = c.get("/exact", method="HEAD")
        is_(r["content-length"], "10", title + ": HEAD keeps Content-Length")


def test_file(s, closed, data, title):
    for way, want in (("file", data), ("file-chunked", data),
                      ("file-offset", data[1000:]), ("file-like", data)):
        before = lines_of(closed).count("/" + way)
        with s.http() as c:
            r = c.get("/" + way)
            ok(r.complete and r.body == want
               and c.get("/list/next").body == LIST,
               "%s: wsgi.file_wrapper, %s" % (title, way), repr(r)[:500])
            r = c.get("/" + way, method="HEAD")
            ok(r.status == 200 and next_is_clean(c),
               "%s: wsgi.file_wrapper, %s, HEAD" % (title, way),
               repr(r)[:500])

            def count():
                return lines_of(closed).count("/" + way) - before
            wait_for(lambda: count() >= 2)
            is_(count(), 2, "%s: %s is closed" % (title, way))


def test_slow_reader(s, closed, title, others):
    before = lines_of(closed).count("/huge")
    with s.http() as slow:
        # Small enough that the kernel cannot take it all.
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.send(request("/huge"))
        while len(slow.buf) < 1000:
            slow.fill()
        if others:
            with s.http() as c:     # the slow one reads on only after that
                good = all(c.get("/list/next").body == LIST for _ in range(20))
            ok(good, title + ": others are served beside a slow reader")
        r = slow.read()
        ok(r.complete and len(r.body) == 16 << 20
           and r.body[:1] == b"A" and r.body[-1:] == bytes([65 + 255 % 26]),
           title + ": a slow reader gets all 16 MB")
    wait_text(closed, "/huge\n", before + 1)
    is_(lines_of(closed).count("/huge"), before + 1,
        title + ": close() once after a slow reader")
    with s.http() as gone:
        gone.send(request("/huge"))
        gone.fill()
    wait_text(closed, "/huge\n", before + 2)
    is_(lines_of(closed).count("/huge"), before + 2,
        title + ": close() once when the client goes away")


def test_stream(klass):
    d = tmpdir()
    closed, data = d + "/closed", os.urandom(300000)
    with open(d + "/file", "wb") as f:
        f.write(data)
    with Server("stream:application", "-k", klass, "--threads", "4",
                env={"T_CLOSED": closed, "T_FILE": d + "/file"}) as s:
        pids = s.workers()
        attempt(test_answers, s, closed, klass)
        attempt(test_file, s, closed, data, klass)
        attempt(test_slow_reader, s, closed, klass, klass != "sync")
        is_(s.workers(), pids, klass + ": no worker died of any of it")
        with s.http() as c:
            try:
                r = c.get("/raise-exit")
                good = r.status >= 500
            except (Broken, socket.timeout):
                good = True
            ok(good, klass + ": SystemExit of the application is no answer")
        ok(wait_for(lambda: s.answers(s.address, "http")),
           klass + ": and the server goes on")


def test_validated(klass):
    with Server("validated:application", "-k", klass) as s, s.http() as c:
        data = b"line\n" * 1000
        for path, want in (
                ("/read", hashlib.sha256(data).hexdigest().encode()),
                ("/lines", str(len(data)).encode()),
                ("/write", b"written and more"),
                ("/stream", b"".join(b"%d\n" % i for i in range(100))),
                ("/errors", b"plain"), ("/none", b""), ("/x?y", b"plain")):
            method = "POST" if path in ("/read", "/lines") else "GET"
            r = c.get(path, method=method,
                      body=data if method == "POST" else b"")
            ok(r.status in (200, 204) and r.body == want,
               "%s: wsgiref's validator, %s" % (klass, path),
               repr(r) + s.log()[-1500:])
        r = c.get("/x", method="HEAD")
        ok(r.status == 200, klass + ": wsgiref's validator, HEAD")
        ok("AssertionError" not in s.log(), klass + ": it found nothing")


def main():
    guard(int(os.environ.get("T_GUARD", "600")))
    together([(test, klass) for test in (
        test_echo, test_stream, test_keepalive, test_forwarded,
        test_validated) for klass in sys.argv[1:] or ("sync", "gthread")])
    done()


if __name__ == "__main__":
    main()
