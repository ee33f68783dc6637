#!/usr/bin/python3
"""Native applications in the real server, over HTTP and FastCGI."""
import os
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from server import BUILD, Server
from tap import done, guard, is_, ok, together
from wire import Fcgi, fcgi_request, nginx_params

MODULE = "native:%s/t/apps/.libs/native_test.so" % os.path.abspath(BUILD)


def serve(symbol, *args):
    return Server(MODULE + ":" + symbol, *args, binds=("http", "fcgi+unix"))


def fcgi(s, *args, **more):
    with Fcgi(s.addresses[1]) as c:
        return c.request(*args, **more)


def parameters():
    with serve("app") as s:
        with s.http() as c:
            for i in range(3):
                r = c.get("/x?a=%d" % i)
                is_((r.status, r["x-role"], r.body),
                    (201, "1", b"q=a=%d none=null" % i),
                    "HTTP: request %d on one connection" % i)
            ok("content-length" in r, "HTTP: the length is told")
        r = fcgi(s, "/x?b=1")
        is_((r.status, r.body), (201, b"q=b=1 none=null"), "FastCGI")


def bodies():
    data = os.urandom(300000)
    with serve("by_str") as s:
        with s.http() as c:
            is_(c.post("/", data).body, data + b"!", "HTTP: a body of 300,000")
            is_(c.post("/", b"x").body, b"x!", "HTTP: a body of 1 after it")
        is_(fcgi(s, "/", "POST", data).body, data + b"!",
            "FastCGI: a body of 300,000")


def status():
    """The value returned is FastCGI's appStatus."""
    with serve("with_status") as s, Fcgi(s.addresses[1]) as c:
        for i in range(2):
            c.send(fcgi_request(nginx_params("/")))
            r = c.reply()
            is_((r.app_status, r.protocol_status, r.response().body),
                (42, 0, b"done"), "FastCGI: the application status")
        with s.http() as c:
            is_(c.get("/").body, b"done", "HTTP: there is none")


def long_answer():
    with serve("large") as s:
        with s.http() as c:
            r = c.get("/")
            ok(r.complete and r.body == b"0123456789" * 10000,
               "HTTP: an answer of 100,000")
            ok(c.get("/").complete, "HTTP: the connection is kept after it")
        is_(len(fcgi(s, "/").body), 100000, "FastCGI: an answer of 100,000")


def bad_answer():
    with serve("no_head") as s:
        with s.http() as c:
            is_(c.get("/").status, 500, "HTTP: no CGI response is a 500")
        is_(fcgi(s, "/").status, 500, "FastCGI: the same")
        ok("not a CGI response" in s.log(), "the log has the reason")


def cut_answer():
    """A connection that is cut while bytes wait for the client."""
    with serve("cut_short") as s:
        pids = s.workers()
        for i in range(20):
            with Fcgi(s.addresses[1]) as c:
                c.send(fcgi_request(nginx_params("/?cut")))
                s.wait_log("shorter", i + 1)
        is_(s.log().count("shorter"), 20, "FastCGI: answers that break off")
        is_(s.workers(), pids, "FastCGI: the worker lives on")
        is_(s.stop(), 0, "FastCGI: and leaves in order")


def many_at_once():
    bad = []

    def client(n):
        with s.http() as c:
            for i in range(50):
                r = c.get("/?%d-%d" % (n, i))
                if r.body != b"q=%d-%d none=null" % (n, i):
                    bad.append(r)

    with serve("app", "--threads", "4") as s:
        threads = [threading.Thread(target=client, args=(n,))
                   for n in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    is_(bad, [], "eight clients, each with its own answers")


guard(600)
together([(group,) for group in (
    many_at_once, parameters, bodies, status, long_answer, bad_answer,
    cut_answer)])
done()
