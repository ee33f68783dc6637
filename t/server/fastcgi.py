#!/usr/bin/python3
"""FastCGI on the wire, by a client that decides about every record; then
the variables that each web server's way of asking must become; then two
foreign programs, cgi-fcgi and spawn-fcgi.
"""
import hashlib
import os
import random
import signal
import socket
import subprocess
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import Process, free_port, tmpdir
from server import APPS, IS_GANGWAY, Server, find_program, need
from tap import attempt, done, guard, is_, ok, skip_all, together
from wait import Gate, wait_for, wait_text
from wire import (ABORT, BEGIN, END, GET_VALUES, GET_VALUES_RESULT, PARAMS,
                  STDIN, STDOUT, UNKNOWN_TYPE, Broken, Fcgi, fcgi_request,
                  nginx_params, pairs, record, stream, unpairs)

ROLE = 1


def begin(ident=1, keep=True, role=ROLE):
    return record(BEGIN, ident, struct.pack(">HB5x", role, keep))


def lines_of(path):
    try:
        with open(path) as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


def env(r):
    return r.json()["environ"]


def good(r, path=None, body=None):
    return (r is not None and r.status == 200 and r.complete
            and path in (None, env(r).get("PATH_INFO"))
            and body in (None, r.json()["length"]))


# --- the wire

def keep_conn(s, t, **_):
    with s.fcgi() as c:
        t(all(good(c.request("/k%d" % i), "/k%d" % i) for i in range(3)),
          "KEEP_CONN: three requests on one connection")
    with s.fcgi() as c:
        t(good(c.request("/one", keep=False), "/one") and c.at_end(),
          "without KEEP_CONN the connection closes after the answer")
    with s.fcgi() as c:
        t(good(c.request("/p", "POST", b"x" * 100000), "/p", 100000),
          "a body of 100,000")
        r = c.request("/none", "POST", b"")
        t(good(r, "/none", 0), "an empty body")


def padding(s, t, **_):
    with s.fcgi() as c:
        for pad in (1, 7, 8, 255):
            r = c.request("/pad", "POST", b"abc" * 50, padding=pad)
            t(good(r, "/pad", 150), "records with %d bytes of padding" % pad)
        for step in (1, 7, 8, 1000):
            r = c.request("/step", "POST", b"abc" * 50, step=step)
            t(good(r, "/step", 150), "streams in records of %d" % step)
        r = c.request("/long", long=True)
        t(good(r, "/long"), "every length in four bytes")
        for n in (126, 127, 128, 129, 255, 256, 16384):
            r = c.request("/len", extra=[("HTTP_X_A", "v" * n)])
            t(good(r) and env(r).get("HTTP_X_A") == "v" * n,
              "a value of %d bytes" % n)


def by_byte(s, t, **_):
    data = fcgi_request(nginx_params("/byte", "POST", b"12345"), b"12345")
    with s.fcgi() as c:
        r = c.send(data, "byte").reply()
        t(r is not None and good(r.response(), "/byte", 5), "byte by byte")
    rnd = random.Random(1)
    for i in range(20):
        with s.fcgi() as c:
            at = sorted(rnd.sample(range(1, len(data)), 3))
            for a, b in zip([0] + at, at + [len(data)]):
                c.send(data[a:b])
            r = c.reply()
            if not t(r is not None and good(r.response(), "/byte", 5),
                     "cut at %s" % at):
                break


def multiplexed(s, t, klass, gates, **_):
    bodies = {1: b"a" * 10, 2: b"b" * 70000, 300: b"", 65535: b"d" * 5}
    queues = []
    for ident, body in bodies.items():
        params = pairs(nginx_params("/m%d" % ident, "POST", body))
        parts = [begin(ident)]
        parts += [record(PARAMS, ident, params[i:i + 50])
                  for i in range(0, len(params), 50)]
        parts.append(record(PARAMS, ident))
        parts += [record(STDIN, ident, body[i:i + 9999])
                  for i in range(0, len(body), 9999)]
        parts.append(record(STDIN, ident))
        queues.append(parts)
    data, rnd = b"", random.Random(2)
    while queues:
        q = rnd.choice(queues)
        data += q.pop(0)
        queues = [q for q in queues if q]
    with s.fcgi() as c:
        c.send(data)
        for ident, body in bodies.items():
            r = c.reply(ident)
            t(r and good(r.response(), "/m%d" % ident, len(body)),
              "interleaved with three others: id %d" % ident,
              repr(r and r.out[:300]))
        t(good(c.request("/after", ident=7), "/after"),
          "the connection goes on")
    with s.fcgi() as c:
        # Both are read at once, however long the first one takes.
        c.send(fcgi_request(nginx_params("/sleep/a"), ident=9)
               + fcgi_request(nginx_params("/b"), ident=9))
        r = c.reply(9)
        t(r and good(r.response(), "/sleep/a") and c.reply(9) is None,
          "an id that is in use is not begun again", repr(r and r.out))
    with s.fcgi() as c, s.fcgi() as other:
        c.send(fcgi_request(nginx_params("/sleep/a"), ident=9))
        if klass != "sync":     # it runs when another is answered
            other.request("/other")
        c.send(record(ABORT, 9))
        c.reply(9)
        t(good(c.request("/again", ident=9), "/again"),
          "an id that was aborted is free again")
    with s.fcgi() as c:
        c.send(b"".join(fcgi_request(nginx_params("/p%d" % i), ident=i)
                        for i in range(1, 21)))
        got = [c.reply(i) for i in range(1, 21)]
        t(all(r and good(r.response(), "/p%d" % i)
              for i, r in enumerate(got, 1)),
          "twenty whole requests in one write")
    if klass == "sync":
        return
    with s.fcgi() as c:
        gate = Gate(gates + "/long")
        c.send(fcgi_request(nginx_params("/gate/long"), ident=1)
               + fcgi_request(nginx_params("/quick"), ident=2))
        order = []
        while len(order) < 2:
            got = c.step()
            if got is None:
                break
            if got[0] == END:
                order.append(got[1])
                gate.open()
        t(order == [2, 1], "a quick request overtakes a slow one", order)


def aborted(s, t, calls, **_):
    with s.fcgi() as c:
        c.send(begin(5) + record(PARAMS, 5, pairs(nginx_params("/abort1")))
               + record(ABORT, 5))
        r = c.reply(5)
        t(r is not None and r.protocol_status == 0,
          "ABORT before the body ends: END_REQUEST")
        t("/abort1" not in lines_of(calls), "and no call")
        c.send(stream(STDIN, 5, b"too late"))
        t(good(c.request("/again", ident=5), "/again"),
          "the id is free again, what came late is ignored")
        c.send(fcgi_request(nginx_params("/sleep"), ident=6)
               + record(ABORT, 6))
        r = c.reply(6)
        t(r is not None, "ABORT while the application runs: END_REQUEST")
        c.send(record(ABORT, 99))
        t(good(c.request("/again", ident=6), "/again"),
          "ABORT of what is not there is ignored")
    for name, data in (
            ("after BEGIN", begin()),
            ("in PARAMS", begin() + record(PARAMS, 1, pairs(
                nginx_params("/gone1")))),
            ("in STDIN", begin() + stream(PARAMS, 1, pairs(
                nginx_params("/gone1", "POST", b"12345")))
             + record(STDIN, 1, b"123"))):
        with s.fcgi() as c:
            c.send(data)
        with s.fcgi() as c:
            t(good(c.request("/sync")) and "/gone1" not in lines_of(calls),
              "the client goes away %s: no call" % name)


def short_body(s, t, calls, **_):
    params = nginx_params("/short", "POST", b"x" * 100)
    with s.fcgi() as c:
        r = c.send(fcgi_request(params, b"x" * 50)).reply()
        r = r and r.response()
        t((r is None or r.status != 200) and "/short" not in lines_of(calls),
          "STDIN shorter than CONTENT_LENGTH is not taken for whole",
          repr(r))
    with s.fcgi() as c:
        r = c.send(fcgi_request(params, b"x" * 150)).reply()
        r = r and r.response()
        t(r is None or r.status != 200 or r.json()["length"] == 100,
          "STDIN longer than CONTENT_LENGTH is cut or refused", repr(r))
    with s.fcgi() as c:
        r = c.request("/no-length", "POST", b"x" * 50,
                      [("CONTENT_LENGTH", None)])
        t(good(r, "/no-length", 50), "a body without CONTENT_LENGTH",
          repr(r))
    for bad in ("-1", "abc", "1 1", "99999999999999999999"):
        with s.fcgi() as c:
            r = c.request("/bad-length", "POST", b"x",
                          [("CONTENT_LENGTH", bad)])
            t(r is None or r.status >= 400,
              "CONTENT_LENGTH %s is refused" % bad, repr(r))


def management(s, t, **_):
    names = ["FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"]

    def values(c, ask):
        c.send(record(GET_VALUES, 0, pairs([(n, "") for n in ask])))
        got = c.managed()
        return (unpairs(got[1])
                if got and got[0] == GET_VALUES_RESULT else None)
    with s.fcgi() as c:
        got = values(c, names)
        t(got is not None and sorted(n for n, _ in got) == names
          and dict(got)["FCGI_MPXS_CONNS"] == "1"
          and all(v.isdigit() and int(v) > 0 for _, v in got),
          "GET_VALUES answers all three", repr(got))
    with s.fcgi() as c:
        got = values(c, names[:1] * 4)
        t(got is not None and [n for n, _ in got] == names[:1],
          "the same name four times is answered once", repr(got))
        got = values(c, ["FCGI_OTHER", names[2]])
        t(got == [(names[2], "1")], "unknown names are left out", repr(got))
        got = values(c, [])
        t(got == [], "nothing asked, nothing answered", repr(got))
        got = values(c, [names[0]] * 1000)
        t(got is not None and len(got) == 1, "one name a thousand times",
          repr(got))
        t(good(c.request("/values")), "then a request")
    with s.fcgi() as c:
        for kind in (12, 99, 255, 0):
            c.send(record(kind, 0, b"what?"))
            got = c.managed()
            t(got is not None and got[0] == UNKNOWN_TYPE
              and got[1][:1] == bytes([kind]),
              "management type %d is UNKNOWN_TYPE" % kind, repr(got))
        t(good(c.request("/unknown")), "then a request")
        c.send(begin(3) + record(GET_VALUES, 0, pairs([(names[0], "")]))
               + stream(PARAMS, 3, pairs(nginx_params("/between")))
               + stream(STDIN, 3, b""))
        r = c.reply(3)
        t(r and good(r.response(), "/between")
          and [k for k, _ in c.management] == [GET_VALUES_RESULT],
          "GET_VALUES inside a request")


def roles(s, t, calls, **_):
    for role in (0, 2, 3, 4, 65535):
        with s.fcgi() as c:
            c.send(fcgi_request(nginx_params("/role"), ident=2, role=role))
            r = c.reply(2)
            t(r is not None and r.protocol_status == 3
              and "/role" not in lines_of(calls),
              "role %d is refused by END_REQUEST, UNKNOWN_ROLE" % role)
            t(good(c.request("/role-ok", ident=2), "/role-ok"),
              "role %d: the connection goes on" % role)


def big(s, t, **_):
    data = os.urandom(1 << 20) * 20
    with s.fcgi() as c:
        r = c.request("/big", "POST", data)
        t(good(r, "/big") and
          r.json()["sha256"] == hashlib.sha256(data).hexdigest(),
          "20 MB upload")
    for n in (60, 200, 1000):
        with s.fcgi() as c:
            try:
                r = c.request("/params", extra=[
                    ("HTTP_X_%d" % i, "v" * 1000) for i in range(n)])
            except Broken as e:
                r = e
            t(r is None or (not isinstance(r, Broken) and (
                r.status >= 400 or good(r, "/params"))),
              "%d KB of variables are answered or refused" % n, repr(r))
        with s.fcgi() as c:
            t(good(c.request("/still")), "and the server is there")
    lost = []
    for n in range(1170, 1202):  # what we add must find room, too
        with s.fcgi() as c:
            if c.request("/many", extra=[
                    ("X%d" % i, "v") for i in range(n)]) is None:
                lost.append(n)
    t(not lost, "about as many variables as there may be", lost)


def garbage(s, t, **_):
    rnd = random.Random(3)
    whole = fcgi_request(nginx_params("/g", "POST", b"body"), b"body")
    streams = [("version 2", b"\2" + whole[1:]),
               ("an HTTP request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
               ("a pair that is longer than the stream", begin()
                + record(PARAMS, 1, b"\x05\x7fshort") + record(PARAMS, 1)),
               ("a pair of 4 GB", begin() + record(
                   PARAMS, 1, b"\xff\xff\xff\xff\xff\xff\xff\xffx")
                + record(PARAMS, 1)),
               ("a length that is cut", begin()
                + record(PARAMS, 1, b"\x80\x00") + record(PARAMS, 1)),
               ("no variables", begin() + record(PARAMS, 1)
                + record(STDIN, 1)),
               ("an empty name", begin() + stream(
                   PARAMS, 1, pairs([("", "x"), ("A", "")]))
                + record(STDIN, 1)),
               ("BEGIN of 3 bytes", record(BEGIN, 1, b"\0\1\1")),
               ("BEGIN twice", begin() + begin() + whole[16:]),
               ("PARAMS without BEGIN", whole[16:]),
               ("STDIN before PARAMS end", begin()
                + record(STDIN, 1, b"early") + record(STDIN, 1)),
               ("PARAMS after their end", begin() + record(PARAMS, 1)
                + record(PARAMS, 1, b"\1\1AB") + record(STDIN, 1)),
               ("the server's own types", record(END, 1, b"\0" * 8)
                + record(STDOUT, 1, b"x") + record(UNKNOWN_TYPE, 0, b"\0" * 8)
                + record(GET_VALUES_RESULT, 0, b"")),
               ("request with id 0", whole.replace(b"\1\1\0\1", b"\1\1\0\0",
                                                   1)),
               ("GET_VALUES with a broken pair", record(GET_VALUES, 0,
                                                        b"\x7f\x7fA"))]
    streams += [("random bytes %d" % i, rnd.randbytes(2000))
                for i in range(20)]
    for i in range(100):
        bad = bytearray(whole)
        for _ in range(rnd.randrange(1, 6)):
            bad[rnd.randrange(len(bad))] = rnd.randrange(256)
        streams.append(("mutation %d" % i, bytes(bad)))
    pids = s.workers()
    bad = []
    for name, data in streams:
        with s.fcgi() as c:
            c.send(data)
            try:
                c.sock.shutdown(socket.SHUT_WR)
                while c.step() is not None:
                    pass
            except socket.timeout:
                bad.append(name + ": connection stays open")
            except OSError:
                pass
            except (Broken, struct.error) as e:
                bad.append("%s: %s" % (name, e))
    t(not bad, "%d broken streams end" % len(streams), "\n".join(bad))
    with s.fcgi() as c:
        t(good(c.request("/after"), "/after") and s.workers() == pids,
          "and no worker died")


def log_stream(s, t, **_):
    with s.fcgi() as c:
        c.send(fcgi_request(nginx_params("/errors")))
        r = c.reply()
        t(r is not None and (b"a line for the log" in r.err or
                             s.wait_log("a line for the log")),
          "wsgi.errors goes to the STDERR stream or to the log")


def test_wire(klass):
    def t(cond, name, why=""):
        return ok(cond, "%s: %s" % (klass, name), why)
    gates = tmpdir()
    calls = gates + "/calls"
    # What delays the stop does so for longer than it is waited for.
    with Server("echo:application", "-k", klass, "--threads", "4",
                "--graceful-timeout", "600", binds=("fcgi", "fcgi+unix"),
                env={"T_CALLS": calls, "T_GATES": gates}) as s:
        for group in (keep_conn, padding, by_byte, multiplexed, aborted,
                      short_body, management, roles, big, garbage,
                      log_stream):
            attempt(group, s, t, calls=calls, klass=klass, gates=gates)
        with Fcgi(s.addresses[1]) as c:
            t(good(c.request("/unix"), "/unix"), "over a unix socket")
            mode = os.stat(s.addresses[1]).st_mode & 0o777
            t(mode & 0o007 == 0, "which others may not use",
              "mode %o" % mode)
            # The connection is open and idle: it must not delay the stop.
            is_(s.stop(), 0, klass + ": TERM ends it with 0")


# --- answers

ANSWERS = [("gen", 200, b"chunk 0\nchunk 1\nchunk 2\n"),
           ("list", 200, b"list"), ("nothing", 200, b""),
           ("exact", 200, b"1234512345"), ("long", 200, b"12345"),
           ("write", 200, b"written twice and returned"),
           ("late-start", 200, b"late"), ("exc-info", 503, b"second head"),
           ("raise-call", 500, None), ("raise-start", 500, None),
           ("never", 500, None), ("bad-status", 500, None),
           ("bad-name", 500, None), ("bad-value", 500, None),
           ("bad-chunk", 500, None), ("no-content", 204, b""),
           ("not-modified", 304, b""), ("no-such", 404, b"no such way\n")]


def test_answers(klass):
    def t(cond, name, why=""):
        return ok(cond, "%s: %s" % (klass, name), why)
    d = tmpdir()
    closed, data = d + "/closed", os.urandom(300000)
    with open(d + "/file", "wb") as f:
        f.write(data)
    with Server("stream:application", "-k", klass, binds=("fcgi",),
                env={"T_CLOSED": closed, "T_FILE": d + "/file"}) as s:
        with s.fcgi() as c:
            for way, status, want in ANSWERS:
                r = c.request("/" + way)
                t(r is not None and r.status == status and r.complete
                  and want in (None, r.body) and "x-evil" not in r
                  and "transfer-encoding" not in r, way, repr(r))
            r = c.request("/list", "HEAD")
            t(r is not None and r.status == 200 and r.body == b"", "HEAD",
              repr(r))
            for way, want in (("file", data), ("file-chunked", data),
                              ("file-offset", data[1000:]),
                              ("file-like", data)):
                r = c.request("/" + way)
                t(r is not None and r.body == want, "file wrapper, " + way)
            r = c.request("/huge")
            t(r is not None and len(r.body) == 16 << 20, "16 MB answer")
        for way, begun in (("short", b"12345"), ("raise-head", b"begun")):
            with s.fcgi() as c:
                c.send(fcgi_request(nginx_params("/" + way)))
                try:
                    r = c.reply()
                except Broken:
                    r = None
                t(r is None or r.app_status != 0 or r.protocol_status != 0,
                  way + ": is not ended as if whole", repr(r and r.out))
        before = lines_of(closed).count("/huge")
        with s.fcgi() as c:
            c.send(fcgi_request(nginx_params("/huge")))
            c.step()
        wait_text(closed, "/huge\n", before + 1)
        is_(lines_of(closed).count("/huge"), before + 1,
            klass + ": close() once when the client goes away")
        with s.fcgi() as c:
            t(good_text(c.request("/list")), "and the server is there")


def good_text(r):
    return r is not None and r.status == 200 and r.body == b"list"


# --- the variables: name, arguments, what is sent beside a plain nginx
# request for /x/y?q, what the application must see (None: not there)

APACHE = [("SERVER_SOFTWARE", "Apache/2.4.71 (Debian)")]
VARIABLES = [
    ("nginx: all in SCRIPT_NAME", [], [],
     {"SCRIPT_NAME": "", "PATH_INFO": "/x/y", "QUERY_STRING": "q",
      "REQUEST_METHOD": "GET", "CONTENT_LENGTH": None,
      "REMOTE_ADDR": "192.0.2.7", "SERVER_NAME": "localhost",
      "REQUEST_URI": "/x/y?q", "wsgi.url_scheme": "http"}),
    ("nginx: empty PATH_INFO", [], [("PATH_INFO", "")],
     {"SCRIPT_NAME": "", "PATH_INFO": "/x/y"}),
    ("nginx: split by fastcgi_split_path_info", [],
     [("SCRIPT_NAME", "/x"), ("PATH_INFO", "/y")],
     {"SCRIPT_NAME": "/x", "PATH_INFO": "/y"}),
    ("mount point", ["--script-name", "/x"], [],
     {"SCRIPT_NAME": "/x", "PATH_INFO": "/y"}),
    ("mount point is hit exactly", ["--script-name", "/x/y"], [],
     {"SCRIPT_NAME": "/x/y", "PATH_INFO": ""}),
    ("mount point ends at a segment", ["--script-name", "/x"],
     [("SCRIPT_NAME", "/xyz")], {"SCRIPT_NAME": "", "PATH_INFO": "/xyz"}),
    ("mount point, lighttpd's split", ["--script-name", "/x"],
     APACHE[:0] + [("SERVER_SOFTWARE", "lighttpd/1.4.69"),
                   ("SCRIPT_NAME", "/x/y"), ("PATH_INFO", "/z")],
     {"SCRIPT_NAME": "/x", "PATH_INFO": "/y/z"}),
    ("mod_fcgid: as it is", [], APACHE + [
        ("SCRIPT_NAME", "/app.fcgi"), ("PATH_INFO", "/foo"),
        ("REQUEST_URI", "/app.fcgi/foo")],
     {"SCRIPT_NAME": "/app.fcgi", "PATH_INFO": "/foo"}),
    ("mod_fcgid: no PATH_INFO", [], APACHE + [
        ("SCRIPT_NAME", "/app.fcgi"), ("REQUEST_URI", "/app.fcgi")],
     {"SCRIPT_NAME": "/app.fcgi", "PATH_INFO": ""}),
    ("mod_fcgid: rewritten, REDIRECT_URL", [], APACHE + [
        ("SCRIPT_NAME", "/site/dispatch.fcgi"), ("PATH_INFO", "/foo"),
        ("REDIRECT_URL", "/site/foo"), ("REQUEST_URI", "/site/foo?q")],
     {"SCRIPT_NAME": "/site", "PATH_INFO": "/foo"}),
    ("mod_fcgid: rewritten at the root", [], APACHE + [
        ("SCRIPT_NAME", "/dispatch.fcgi"), ("PATH_INFO", "/foo"),
        ("REDIRECT_URL", "/foo"), ("REQUEST_URI", "/foo")],
     {"SCRIPT_NAME": "", "PATH_INFO": "/foo"}),
    ("mod_proxy_fcgi: ProxyPass", [], APACHE + [
        ("SCRIPT_FILENAME", "proxy:fcgi://127.0.0.1:9000/srv/x/y")],
     {"SCRIPT_NAME": "", "PATH_INFO": "/x/y"}),
    ("mod_proxy_fcgi: SetHandler", [], APACHE + [
        ("SCRIPT_FILENAME", "proxy:fcgi://127.0.0.1:9000/srv/x"),
        ("SCRIPT_NAME", "/x"), ("PATH_INFO", "/y")],
     {"SCRIPT_NAME": "/x", "PATH_INFO": "/y"}),
    ("the path is not rebuilt from REQUEST_URI", [],
     [("REQUEST_URI", "/a/../%2e%2e/x%2Fy")],
     {"PATH_INFO": "/x/y", "REQUEST_URI": "/a/../%2e%2e/x%2Fy"}),
    ("latin-1", [], [("SCRIPT_NAME", "/\xe9")], {"PATH_INFO": "/\xe9"}),
    ("HTTP_PROXY is dropped", [], [("HTTP_PROXY", "http://evil/")],
     {"HTTP_PROXY": None}),
    ("framing of the web server's client is dropped", [],
     [("HTTP_TRANSFER_ENCODING", "chunked"), ("HTTP_CONTENT_LENGTH", "9"),
      ("HTTP_CONTENT_TYPE", "a/b")],
     {"HTTP_TRANSFER_ENCODING": None, "HTTP_CONTENT_LENGTH": None,
      "HTTP_CONTENT_TYPE": None}),
    ("odd names are dropped", [],
     [("HTTP_X\nA", "1"), ("HTTP_X:B", "1"), ("HTTP_X_OK", "1")],
     {"HTTP_X\nA": None, "HTTP_X:B": None, "HTTP_X_OK": "1"}),
    ("a client cannot be wsgi.*", [],
     [("wsgi.url_scheme", "https"), ("wsgi.multithread", "x")],
     {"wsgi.url_scheme": "http"}),
    ("HTTPS", [], [("HTTPS", "on")], {"wsgi.url_scheme": "https"}),
    ("HTTPS off", [], [("HTTPS", "off")], {"wsgi.url_scheme": "http"}),
    ("REQUEST_SCHEME", [], [("REQUEST_SCHEME", "https")],
     {"wsgi.url_scheme": "https"}),
    ("Authorization", [], [("HTTP_AUTHORIZATION", "Basic eDp5")],
     {"HTTP_AUTHORIZATION": "Basic eDp5"}),
    ("Authorization by a rewrite", [],
     [("REDIRECT_HTTP_AUTHORIZATION", "Basic eDp5")],
     {"HTTP_AUTHORIZATION": "Basic eDp5"}),
    ("no SERVER_NAME and PORT", [],
     [("SERVER_NAME", None), ("SERVER_PORT", None)], {}),
    ("no QUERY_STRING", [], [("QUERY_STRING", None)], {"QUERY_STRING": ""}),
    ("the web server's own variables stay", [], [("MY_VAR", "v")],
     {"MY_VAR": "v"}),
]


def test_variables():
    by_args = {}
    for case in VARIABLES:
        by_args.setdefault(tuple(case[1]), []).append(case)
    for args, cases in by_args.items():
        with Server("echo:application", *args, binds=("fcgi",)) as s:
            for name, _, extra, want in cases:
                with s.fcgi() as c:
                    r = c.request("/x/y?q", extra=extra)
                    got = env(r) if r else {}
                    ok(r is not None and r.status == 200
                       and all(got.get(k) == v for k, v in want.items())
                       and got.get("SERVER_NAME") and got.get("SERVER_PORT"),
                       "variables: " + name,
                       "wanted %s\ngot %s" % (want, {
                           k: got.get(k) for k in want} if got else r))
            if args:
                continue
            with s.fcgi() as c:
                both = nginx_params("/x") + [("HTTP_X_A", "1"),
                                             ("HTTP_X_A", "2")]
                r = c.send(fcgi_request(both)).reply()
                r = r and r.response()
                is_(r and env(r).get("HTTP_X_A"), "2",
                    "variables: the last of two equal names wins")


# --- foreign programs

def test_cgi_fcgi():
    program = need("cgi-fcgi", "libfcgi-bin")
    if not program:
        return
    with Server("echo:application", binds=("fcgi", "fcgi+unix")) as s:
        for address in ("%s:%d" % s.addresses[0], s.addresses[1]):
            out = subprocess.run(
                [program, "-bind", "-connect", address], input=b"posted",
                env={"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "6",
                     "SCRIPT_NAME": "/cgi", "PATH_INFO": "/x",
                     "SERVER_PROTOCOL": "HTTP/1.1", "QUERY_STRING": "",
                     "SERVER_NAME": "localhost", "SERVER_PORT": "80"},
                stdout=subprocess.PIPE).stdout
            head, _, body = out.partition(b"\r\n\r\n")
            ok(b"application/json" in head and b'"length": 6' in body
               and b'"PATH_INFO": "/x"' in body,
               "cgi-fcgi gets its answer (%s)"
               % ("unix" if address[0] == "/" else "tcp"), repr(out))


def test_spawn_fcgi():
    program = need("spawn-fcgi", "spawn-fcgi")
    if not program:
        return
    for sig in (signal.SIGTERM, signal.SIGUSR1):
        for where in ("tcp", "unix"):
            if where == "tcp":
                address = ("127.0.0.1", free_port())
                args = ["-a", address[0], "-p", str(address[1])]
            else:
                address = tmpdir() + "/s"
                args = ["-s", address]
            with Process([program, "-n", *args, "--", find_program(),
                          "echo:application"], cwd=APPS) as p:
                def answers():
                    try:
                        with Fcgi(address) as c:
                            return good(c.request("/spawned"), "/spawned")
                    except OSError:
                        return False
                ok(wait_for(answers), "spawn-fcgi starts it, " + where,
                   p.log())
                is_(p.stop(sig), 0, "and %s ends it with 0, %s"
                    % (sig.name, where))
                if where == "unix":
                    ok(os.path.exists(address),
                       "a socket that was given is not removed")


def main():
    if not IS_GANGWAY:
        skip_all("gunicorn does not speak FastCGI")
    guard(int(os.environ.get("T_GUARD", "600")))
    together([(test_wire, "gthread"), (test_wire, "sync"),
              (test_answers, "sync"), (test_answers, "gthread"),
              (test_variables,), (test_cgi_fcgi,), (test_spawn_fcgi,)])
    done()


if __name__ == "__main__":
    main()
