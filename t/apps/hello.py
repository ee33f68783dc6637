"""Hellos: `application` counts its calls, `plain` is always the same."""
import itertools
import os
import threading

_calls = itertools.count(1)


def application(environ, start_response):
    body = b"Hello %d from %d\n" % (next(_calls), os.getpid())
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]


def plain(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", "13")])
    return [b"Hello, World!"]


def big(environ, start_response, body=b"x" * 102400):
    start_response("200 OK", [("Content-Type", "application/octet-stream"),
                              ("Content-Length", str(len(body)))])
    return [body]


def length(environ, start_response):
    n = 0
    while chunk := environ["wsgi.input"].read(65536):
        n += len(chunk)
    body = b"%d\n" % n
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]


def counted(environ, start_response):
    """Costs the least: for measuring. /big is a body that will not fit."""
    body = b"Hello %d\n" % next(_calls)
    if environ["PATH_INFO"] == "/big":
        body = bytes(1 << 20)
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]


def burning(environ, start_response, started=[]):
    """Beside a thread that never lets go of the CPU by itself."""
    if not started:
        started.append(threading.Thread(target=_burn, daemon=True))
        started[0].start()
    return counted(environ, start_response)


def _burn():
    while True:
        pass
