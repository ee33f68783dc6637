#!/usr/bin/python3
"""Flask and Django answer behind gangway as they do behind gunicorn.

One conversation (login, form, upload, download, static file with Range,
errors) is held with gunicorn, with each way to gangway (sync and gthread;
HTTP, unix socket, nginx before FastCGI on TCP and unix, connections kept or
not), and what the client saw is compared: status, headers and bodies, apart
from what a server owns or what differs in each process.
"""
import hashlib
import os
import random
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import tmpdir
from server import (APPS, GUNICORN, IS_GANGWAY, Nginx, Server, nginx_fastcgi,
                    python_has)
from talk import FORM, Talk
from tap import attempt, done, guard, is_, ok, skip, skip_all, together

MULTI = "Content-Type: multipart/form-data; boundary=xyz\r\n"
PARTS = (b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n'
         b'--xyz\r\nContent-Disposition: form-data; name="f"; filename="n.bin"'
         b"\r\nContent-Type: application/octet-stream\r\n\r\n"
         + bytes(range(256)) * 40 + b"\r\n--xyz--\r\n")
# Each more than the server and the kernel keep in memory on the way.
UPLOAD = random.Random(5).randbytes(1 << 20) * 4
DOWNLOAD = 16       # MB


def talk_flask(t):
    t.ask("index", "/")
    t.ask("login page", "/login")
    t.ask("login", "/login", "POST", t.form(name="Anna"), FORM)
    t.ask("index after login", "/")
    t.ask("form", "/form?q=1&q=2", "POST", b"a=1&a=2&b=%C3%A4", FORM)
    t.ask("multipart form", "/form", "POST", PARTS, MULTI)
    t.ask("upload", "/upload", "POST", UPLOAD)
    t.ask("download", "/download")
    t.ask("part of the download", "/download",
          headers="Range: bytes=1000000-1999999\r\n")
    t.ask("end of the download", "/download",
          headers="Range: bytes=-1000\r\n")
    r = t.ask("static file", "/static/file.css")
    t.ask("static file, Range", "/static/file.css",
          headers="Range: bytes=5-9\r\n")
    t.ask("static file, bad Range", "/static/file.css",
          headers="Range: bytes=999999-\r\n")
    t.ask("static file, unchanged", "/static/file.css",
          headers="If-None-Match: %s\r\n" % r["etag"])
    t.ask("static file, HEAD", "/static/file.css", "HEAD")
    t.ask("404", "/nowhere")
    t.ask("405", "/upload")
    t.ask("418", "/teapot")
    t.ask("error page", "/error")
    t.ask("after the error", "/hello")
    t.ask("OPTIONS", "/login", "OPTIONS")
    t.ask("environ", "/environ?x=%20y", headers="X-Test: v\r\n")


def talk_django(t):
    t.ask("index", "/")
    t.ask("admin without login", "/admin/")
    t.ask("login page", "/admin/login/?next=/admin/")
    t.ask("wrong password", "/admin/login/?next=/admin/", "POST",
          t.form(csrfmiddlewaretoken=t.token, username="anna",
                 password="wrong", next="/admin/"), FORM)
    t.ask("login", "/admin/login/?next=/admin/", "POST",
          t.form(csrfmiddlewaretoken=t.token, username="anna",
                 password="secret-1", next="/admin/"), FORM)
    t.ask("admin", "/admin/")
    t.ask("index after login", "/")
    t.ask("list of users", "/admin/auth/user/?q=anna")
    t.ask("no csrf token", "/admin/auth/group/add/", "POST",
          t.form(name="x"), FORM)
    t.ask("group form", "/admin/auth/group/add/")
    t.ask("add a group, and be sent back", "/admin/auth/group/add/", "POST",
          t.form(csrfmiddlewaretoken=t.token, name=""), FORM)
    t.ask("form", "/form?q=1", "POST", b"a=1&a=2&b=%C3%A4", FORM)
    t.ask("multipart form", "/form", "POST", PARTS, MULTI)
    t.ask("upload", "/upload", "POST", UPLOAD)
    t.ask("streamed answer", "/stream")
    t.ask("static file", "/static/board.css")
    t.ask("admin's static file", "/static/admin/css/base.css")
    t.ask("static file, HEAD", "/static/board.css", "HEAD")
    t.ask("missing slash", "/admin")
    t.ask("404", "/nowhere")
    t.ask("error page", "/error")
    t.ask("after the error", "/")


def talk_through(server, talk):
    with server.http() as client:
        t = Talk(client)
        talk(t)
        return t.seen


def compare(title, want, got):
    ok([n for n, _ in got] == [n for n, _ in want], title + ": all answered")
    for (name, a), (_, b) in zip(want, got):
        a, b = [(x if not isinstance(x, bytes) or len(x) < 3000
                 else x[:1500] + hashlib.sha256(x).digest()) for x in a], \
            [(x if not isinstance(x, bytes) or len(x) < 3000
              else x[:1500] + hashlib.sha256(x).digest()) for x in b]
        is_(b, a, "%s: %s" % (title, name))


def through_all(title, app, talk, **more):
    # Its kept connections must not run out while this machine is busy.
    with Server(app, "-w", "1", "-k", "gthread", "--threads", "4",
                "--keep-alive", "60", program=GUNICORN, **more) as s:
        want = talk_through(s, talk)
        good = {200, 204, 206, 301, 302, 304, 403, 404, 405, 416, 418, 500}
        ok(all(a[0] in good and a[4] for _, a in want)
           and sum(a[0] == 200 for _, a in want) > len(want) // 3,
           title + ": gunicorn, the measure",
           [(n, a[0], a[4]) for n, a in want])
        if not IS_GANGWAY:
            compare(title + ", gunicorn again", want, talk_through(s, talk))
            return
        with Nginx("location / { proxy_pass http://%s:%d; "
                   "proxy_set_header Host $http_host; }" % s.address) as n:
            fronted = talk_through(n, talk)
    for klass in ("sync", "gthread"):
        with Server(app, "-k", klass, "--threads", "4", "--keep-alive", "60",
                    binds=("http", "unix", "fcgi", "fcgi+unix"),
                    **more) as s:
            for name, address in zip(("HTTP", "unix socket"), s.addresses):
                s.address = address
                attempt(lambda: compare(
                    "%s, %s, %s" % (title, klass, name), want,
                    talk_through(s, talk)))
            if not Nginx.PROGRAM:
                skip("nginx is missing (Debian: nginx)", 4)
                continue
            for address in s.addresses[2:]:
                for keep in (False, True):
                    name = "%s, %s, nginx, FastCGI on %s%s" % (
                        title, klass,
                        "unix" if isinstance(address, str) else "TCP",
                        ", kept" if keep else "")
                    with nginx_fastcgi(address, keep) as n:
                        # nginx changes answers too: gunicorn behind it is
                        # the measure here.
                        attempt(lambda: compare(name, fronted,
                                                talk_through(n, talk)))


def test_flask():
    if not python_has("flask"):
        skip("flask is missing (Debian: python3-flask)")
        return
    d = tmpdir()
    os.mkdir(d + "/static")
    with open(d + "/static/file.css", "w") as f:
        f.write("".join("line %d {}\n" % i for i in range(1000)))
    part = random.Random(4).randbytes(1 << 20)
    with open(d + "/big", "wb") as f:
        for i in range(DOWNLOAD):
            f.write(part[i * 1000:] + part[:i * 1000])
    through_all("Flask", "flaskapp:app", talk_flask,
                env={"T_STATIC": d + "/static", "T_BIG": d + "/big"})


def test_django():
    if not python_has("django"):
        skip("django is missing (Debian: python3-django)")
        return
    site, d = os.path.join(APPS, "djangosite"), tmpdir()
    env = {"T_DB": d + "/db"}
    subprocess.run(["/usr/bin/python3", "-B", "manage.py", "prepare"],
                   cwd=site, env=dict(os.environ, **env), check=True)
    through_all("Django", "wsgi:application", talk_django, cwd=site, env=env)


def main():
    if not os.access(GUNICORN, os.X_OK):
        skip_all("gunicorn, the measure, is missing (Debian: gunicorn)")
    guard(int(os.environ.get("T_GUARD", "600")))
    together([(test_flask,), (test_django,)])
    done()


if __name__ == "__main__":
    main()
