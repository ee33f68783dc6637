#!/usr/bin/python3
"""Requests through a real Apache and a real Passenger, by every door.

Flask and Django are put on board by each door (a passenger_wsgi.py that
takes the process over or stays inside it, a Passengerfile.json with
Passenger's protocol or with $PORT, gangway in the place of Python; and once
with the other protocol, "A http") and get the same requests. A table of doors and
requests ends the output. T_DOORS may name some of the doors ("A exec,D"),
and "stock": Passenger's own loader, to check the tests.
"""
import hashlib
import os
import random
import re
import socket
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from apache import (DOORS, Apache, Site, board, cannot, give, missing,
                    port_chosen, write)
from server import python_has
from tap import (done, guard, is_, note, ok, skip, skip_all,
                 together)
from wait import wait_for
from wire import Broken, chunked, request

FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
BLOCK = random.Random(6).randbytes(1 << 20)
HALF = "echo /echo/half"
REQUESTS = []


def row(name):
    def add(what):
        REQUESTS.append((name, what))
        return what
    return add


def sum_of(data):
    return len(data), hashlib.sha256(data).hexdigest()


class Place:
    """One application behind one door, at its three addresses: .main,
    .raw (uploads are not buffered by the host), .sub (mounted at /sub)."""

    def __init__(self, door, app, files, prepare=None):
        self.door, self.calls_at = door, None
        folder = board(door, app, files, {"gangway": {
            "threads": 8, "limit_request_fields": 300,
            "accesslog": "tmp/access.log"}})
        self.calls_at = os.path.join(folder, "tmp", "calls")
        write(folder, "public/static.txt", "from the host\n")
        env = {"T_CALLS": self.calls_at,
               "T_DB": os.path.join(folder, "tmp", "db")}
        if prepare:
            subprocess.run(prepare, cwd=folder, env=dict(os.environ, **env),
                           check=True)
        give(folder)
        conf = "".join("SetEnv %s %s\n" % pair for pair in env.items())
        group = os.path.basename(folder)
        self.folder = folder
        self.main = Site(folder, door, conf=conf, group=group)
        self.raw = Site(folder, door, group=group,
                        conf=conf + "PassengerBufferUpload off\n")
        self.sub = Site(folder, door, base="/sub", conf=conf,
                        group=group + "-sub")
        self.sites = [self.main, self.raw, self.sub]

    def http(self, site=None):
        return (site or self.main).http()

    def calls(self):
        try:
            with open(self.calls_at) as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []


def environ(r):
    return r.json()["environ"]


# --- the requests: each gives what it got and what it wanted

@row("methods")
def methods(p):
    got, names = [], ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
                      "PROPFIND")
    with p.http() as c:
        for m in names:
            body = b"" if m in ("GET", "OPTIONS") else b"body of " + m.encode()
            facts = c.get("/echo/m", "", m, body).json()
            got.append((facts["environ"]["REQUEST_METHOD"],
                        facts["length"] == len(body)))
    return got, [(m, True) for m in names]


@row("escaped path")
def escaped(p):
    raw = "/echo/a%20b/%C3%A4/%2525/%2F/;p,'%2b+?q=%20%26&r"
    with p.http() as c:
        e = environ(c.get(raw))
    uri = e.get("RAW_URI") or e["REQUEST_URI"]
    return ((e["PATH_INFO"], e["QUERY_STRING"], e["SCRIPT_NAME"],
             uri.lower()),
            ("/echo/a b/\xc3\xa4/%25///;p,'++", "q=%20%26&r", "",
             raw.lower()))


@row("base URI")
def base_uri(p):
    with p.http(p.sub) as c:
        e = environ(c.get("/sub/echo/x%20y?q"))
        slash = c.get("/sub/")
    return ((e["SCRIPT_NAME"], e["PATH_INFO"], slash.status),
            ("/sub", "/echo/x y", 200))


@row("query and fields")
def fields(p):
    with p.http() as c:
        e = environ(c.get("/echo/x?a=1&b=%C3%A4", "X-One-Two: v\r\n"
                          "X-Twice: 1\r\nX-Twice: 2\r\nX-Empty:\r\n"
                          "User-Agent: t/1\r\n"))
    return ([e.get(k) for k in ("QUERY_STRING", "HTTP_X_ONE_TWO",
                                "HTTP_X_TWICE", "HTTP_X_EMPTY",
                                "HTTP_USER_AGENT", "HTTP_HOST")],
            ["a=1&b=%C3%A4", "v", "1, 2", "", "t/1", "localhost"])


@row("WSGI's variables")
def variables(p):
    with p.http() as c:
        e = environ(c.get("/echo/x"))
        port = str(c.sock.getsockname()[1])
    if p.door in ("C", "A http"):   # its protocol has no port of the client's
        port = e.get("REMOTE_PORT")
    names = ("wsgi.url_scheme", "wsgi.run_once", "wsgi.multithread",
             "REMOTE_ADDR", "REMOTE_PORT", "SERVER_PROTOCOL")
    return ([e.get(k) for k in names],
            ["http", False, True, "127.0.0.1", port, "HTTP/1.1"])


@row("nothing secret is shown")
def secrets(p):
    with p.http() as c:
        facts = c.get("/echo/x", "Proxy: http://evil.invalid/\r\n").json()
    shown = [k for k in [*facts["environ"], *facts["process"]]
             if k in ("HTTP_PROXY", "PASSENGER_CONNECT_PASSWORD",
                      "PASSENGER_SPAWN_WORK_DIR", "IN_PASSENGER")
             or "~" in k]
    return shown, []


@row("Authorization")
def authorization(p):
    with p.http() as c:
        e = environ(c.get("/echo/x", "Authorization: Basic YTpi\r\n"))
    return e.get("HTTP_AUTHORIZATION"), "Basic YTpi"


def bodies(p, site):
    got, want = [], []
    with p.http(site) as c:
        for n in (0, 1, 1000, 65535, 131072, 131073, 3000000):
            body = (BLOCK * 3)[7:7 + n]
            facts = c.post("/echo/x", body).json()
            got.append((facts["length"], facts["sha256"]))
            want.append(sum_of(body))
    return got, want


@row("bodies")
def bodies_buffered(p):
    return bodies(p, p.main)


@row("bodies, not buffered")
def bodies_raw(p):
    return bodies(p, p.raw)


@row("20 MB")
def large(p):
    body = BLOCK * 20
    with p.http() as c:
        facts = c.post("/echo/x", body).json()
    return (facts["length"], facts["sha256"]), sum_of(body)


@row("20 MB, not buffered")
def large_raw(p):
    body = BLOCK * 20
    with p.http(p.raw) as c:
        facts = c.post("/echo/x", body).json()
    return (facts["length"], facts["sha256"]), sum_of(body)


def in_chunks(p, site):
    got, want = [], []
    with p.http(site) as c:
        for chunks in ((), (b"hello", b"world"), (b"0\r\n\r\n", b"\r\n"),
                       (BLOCK[:100000], b"x", BLOCK), (b"y",) * 3000):
            c.send(request("/echo/x", "Transfer-Encoding: chunked\r\n",
                           "PUT").replace(b"Content-Length: 0\r\n", b"")
                   + chunked(*chunks))
            facts = c.read().json()
            got.append((facts["length"], facts["sha256"]))
            want.append(sum_of(b"".join(chunks)))
    return got, want


@row("chunked upload")
def chunks_buffered(p):
    return in_chunks(p, p.main)


@row("chunked upload, not buffered")
def chunks_raw(p):
    return in_chunks(p, p.raw)


@row("Expect: 100-continue")
def expect(p):
    with p.http() as c:
        c.send(b"POST /echo/x HTTP/1.1\r\nHost: localhost\r\n"
               b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        first = c._until(b"\r\n\r\n")
        facts = c.send(b"12345").read().json()
    return (first[:12], facts["length"]), (b"HTTP/1.1 100", 5)


@row("form and files")
def form(p):
    parts = (b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\none'
             b'\r\n--xyz\r\nContent-Disposition: form-data; name="f"; '
             b'filename="n.bin"\r\n\r\n' + BLOCK[:70000] + b"\r\n--xyz--\r\n")
    with p.http() as c:
        plain = c.post("/form?q=1", b"a=1&a=2&b=%C3%A4", FORM).json()
        multi = c.post("/form", parts, "Content-Type: multipart/form-data; "
                       "boundary=xyz\r\n").json()
    return ((plain.get("form") or plain.get("post"), multi["files"]),
            ({"a": ["1", "2"], "b": ["\xe4"]}, {"f": ["n.bin", 70000]}))


def download(p, target):
    with p.http() as c:
        r = c.get(target)
        after = c.get("/echo/x").status
    want = bytes(range(256)) * (8 << 12)
    return ((r.status, r.complete, sum_of(r.body), after),
            (200, True, sum_of(want), 200))


@row("8 MB down")
def download_length(p):
    return download(p, "/send/%d" % (8 << 20))


@row("8 MB down, no length")
def download_streamed(p):
    return download(p, "/streamed/%d" % (8 << 20))


def gone(p, site, head, body):
    """A client leaves within its upload. That the application never sees
    it is the last row's to say."""
    with p.http(site) as c:
        pid = c.get("/echo/before").json()["pid"]
    with p.http(site) as c:
        c.send(b"POST /echo/half HTTP/1.1\r\nHost: x\r\n" + head
               + b"\r\n\r\n" + body)
    with p.http(site) as c:
        return c.get("/echo/after").json()["pid"], pid


@row("client gone within an upload")
def gone_upload(p):
    return gone(p, p.main, b"Content-Length: 400000", BLOCK[:200000])


@row("the same, not buffered")
def gone_raw(p):
    return gone(p, p.raw, b"Content-Length: 400000", BLOCK[:200000])


@row("the same, chunked")
def gone_chunks(p):
    return gone(p, p.raw, b"Transfer-Encoding: chunked",
                chunked(BLOCK)[:90000])


@row("client gone within a download")
def gone_download(p):
    before = p.calls()
    with p.http() as c:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.send(request("/send/%d" % (30 << 20)))
        c.sock.recv(1000)
    wait_for(lambda: "close" in p.calls()[len(before):])
    with p.http() as c:
        after = c.get("/echo/x").status
    calls = [c for c in p.calls()[len(before):] if c != HALF]
    return ((calls, after),
            (["begin %d" % (30 << 20), "close", "echo /echo/x"], 200))


@row("HEAD")
def head(p):
    got = []
    with p.http() as c:
        for _ in range(3):
            r = c.get("/send/70000", method="HEAD")
            got.append((r.status, r["content-length"], c.buf))
            got.append(len(c.get("/send/1000").body))
    return got, [(200, "70000", b""), 1000] * 3


@row("304 and 204")
def unchanged(p):
    got = []
    with p.http() as c:
        tag = c.get("/tagged")["etag"]
        for _ in range(3):
            r = c.get("/tagged", "If-None-Match: %s\r\n" % tag)
            got.append((r.status, r["etag"], c.buf))
            got.append((c.get("/empty").status, c.buf))
            got.append(c.get("/tagged").body)
    return got, [(304, '"one"', b""), (204, b""), b"tagged"] * 3


@row("cookies")
def cookies(p):
    with p.http() as c:
        r = c.get("/cookies", "Cookie: a=1; b=2\r\n")
    return ((r.json(), [v.partition(";")[0] for n, v in r.headers
                        if n == "set-cookie"]),
            ({"a": "1", "b": "2"}, ["c0=v0", "c1=v1", "c2=v2"]))


@row("200 fields in a request")
def many(p):
    with p.http() as c:
        e = environ(c.get("/echo/x", "".join("X-Many-%d: %d\r\n" % (n, n)
                                             for n in range(200))))
    return ([e.get("HTTP_X_MANY_%d" % n) for n in range(200)],
            [str(n) for n in range(200)])


@row("200 fields in an answer")
def many_back(p):
    with p.http() as c:
        r = c.get("/headers")
    return ([r["x-many-%d" % n] for n in range(200)],
            [str(n) for n in range(200)])


@row("a field of 8000 bytes")
def long_field(p):
    with p.http() as c:
        e = environ(c.get("/echo/x?" + "q" * 3000, "X-Long: %s\r\n"
                          % ("v" * 8000)))
    return ((len(e["QUERY_STRING"]), len(e["HTTP_X_LONG"])), (3000, 8000))


@row("login, in a session")
def login(p):
    with p.http() as c:
        page = c.get("/login")
        if page.status == 200:          # Flask
            back = c.post("/login", b"name=Anna", FORM)
        else:                           # Django, with its CSRF token
            where = "/admin/login/?next=/admin/"
            page = c.get(where)
            token = re.search(rb'csrfmiddlewaretoken" value="([^"]+)',
                              page.body)[1]
            cookie = page["set-cookie"].partition(";")[0]
            back = c.post(where, b"username=anna&password=secret-1&"
                          b"csrfmiddlewaretoken=" + token,
                          FORM + "Cookie: %s\r\n" % cookie)
        kept = [v.partition(";")[0] for n, v in back.headers
                if n == "set-cookie" and "session" in v]
        index = c.get("/", "Cookie: %s\r\n" % kept[0]).body.lower()
    return (back.status, b"anna" in index), (302, True)


@row("errors, and after them")
def errors(p):
    got = []
    for target in ("/error", "/nowhere", "/echo/x"):
        with p.http() as c:         # Apache closes it after a 500
            got.append(c.get(target).status)
    return got, [500, 404, 200]


@row("HTTP/1.0")
def old(p):
    with p.http() as c:
        r = c.get("/echo/x", version="1.0")
        return ((r.status, r.complete, c.at_end()), (200, True, True))


@row("client that has closed its half")
def half(p):
    with p.http() as c:
        c.send(request("/echo/x", "Connection: close\r\n", "POST", b"12345"))
        c.sock.shutdown(socket.SHUT_WR)
        return c.read().json()["length"], 5


@row("the host's own files")
def static(p):
    with p.http() as c:
        return c.get("/static.txt").body, b"from the host\n"


@row("half uploads reached nobody")
def nobody(p):
    return p.calls().count(HALF), 0


# --- doors

APPS = {
    "Flask": ("flask", "flaskapp:app", ["flaskapp.py", "facts.py"], None),
    "Django": ("django", "wsgi:application", ["djangosite", "facts.py"],
               ["/usr/bin/python3", "-B", "manage.py", "prepare"]),
}


def ask_all(a, name, p, table):
    for title, what in REQUESTS:
        case = "%s, %s: %s" % (p.door, name, title)
        try:
            fine = is_(*what(p), case)
        except (OSError, Broken, KeyError, IndexError, TypeError,
                ValueError) as e:
            fine = ok(False, case, "%s %s\n%s" % (
                type(e).__name__, e, a.log()[-3000:]))
        table[name, title][p.door] = "ok" if fine else "FAILED"


def run(door, apps, table):
    why = cannot(door)
    if why:
        for name in apps:
            for title, _ in REQUESTS:
                table[name, title][door] = "cannot"
            skip("%s, %s: %s" % (door, name, why), len(REQUESTS))
        return
    places = {name: Place(door, *APPS[name][1:]) for name in apps}
    with Apache(*(s for p in places.values() for s in p.sites)) as a:
        with port_chosen(door):
            for site in a.sites:
                site.http().get(site.base + "/echo/first")
        together([(ask_all, a, name, p, table)
                  for name, p in places.items()], 2)
        ok(a.stop(), door + ": stops, and all its processes are gone",
           a.log()[-3000:])
        # What libraries leave behind at the end is theirs.
        ours = r"output:  *#\d+ .*\b(conf|fcgi|shim)/\w+"
        for word in ("ERROR: AddressSanitizer", "runtime error",
                     "Fatal Python", ours):
            ok(not re.search(word, a.log()), "%s: no %s" % (door, word),
               a.log()[-3000:])


def show(doors, table):
    for name in dict.fromkeys(n for n, _ in table):
        note("")
        note("%-32s%s" % (name, "".join("%-10s" % d for d in doors)))
        for (app, title), cells in table.items():
            if app == name:
                note("%-32s%s" % (title, "".join(
                    "%-10s" % cells.get(d, "-") for d in doors)))


def main():
    why = missing()
    if why:
        skip_all(why)
    doors = [d for d in os.environ.get("T_DOORS", "").split(",") if d]
    doors = doors or DOORS + ("A http",)
    guard(900)
    apps = []
    for name, (module, *_) in APPS.items():
        if python_has(module):
            apps.append(name)
        else:
            skip("%s is missing (Debian: python3-%s)" % (module, module))
    table = {(n, title): {} for n in apps for title, _ in REQUESTS}
    together([(run, door, apps, table) for door in doors], 3)
    show(doors, table)
    done()


if __name__ == "__main__":
    main()
