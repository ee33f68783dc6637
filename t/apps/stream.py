"""Every way in which a WSGI application answers, rightly and wrongly.

The path names the way. Each body's close() writes its path to the file
named by T_CLOSED; a test counts the lines.
"""
import os
import sys

from echo import record

TEXT = [("Content-Type", "text/plain")]


class Body:
    """An iterable whose close() is counted."""

    def __init__(self, path, items):
        self.path, self.items = path, iter(items)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.items)

    def close(self):
        record("T_CLOSED", self.path)


def gen(start, *_):
    start("200 OK", TEXT)
    return (b"chunk %d\n" % i for i in range(3))


def empties(start, *_):
    start("200 OK", TEXT)
    return [b"", b"one", b"", b"two", b""]


def nothing(start, *_):
    start("200 OK", TEXT)
    return []


def plain_list(start, *_):
    start("200 OK", TEXT)
    return [b"list"]


def exact(start, *_):
    start("200 OK", TEXT + [("Content-Length", "10")])
    return (b"12345" for _ in range(2))


def short(start, *_):
    start("200 OK", TEXT + [("Content-Length", "10")])
    return [b"12345"]


def long(start, *_):
    start("200 OK", TEXT + [("Content-Length", "5")])
    return [b"123", b"45678", b"9"]


def write(start, *_):
    put = start("200 OK", TEXT)
    put(b"written ")
    put(b"twice ")
    return [b"and returned"]


def late_start(start, *_):
    def body():
        start("200 OK", TEXT)
        yield b"late"
    return body()


def exc_info(start, *_):
    start("200 OK", TEXT)
    try:
        raise ValueError("planned")
    except ValueError:
        start("503 Later", TEXT, sys.exc_info())
    return [b"second head"]


def exc_info_late(start, *_):
    start("200 OK", TEXT)

    def body():
        yield b"first "
        try:
            raise ValueError("planned")
        except ValueError:
            start("500 Too Late", TEXT, sys.exc_info())
        yield b"never"
    return body()


def raise_call(start, *_):
    raise ValueError("planned")


def raise_start(start, *_):
    start("200 OK", TEXT)

    def body():
        raise ValueError("planned")
        yield b""
    return body()


def raise_head(start, *_):
    start("200 OK", TEXT)

    def body():
        yield b"begun"
        raise ValueError("planned")
    return body()


def raise_exit(start, *_):
    raise SystemExit(7)


def never(start, *_):
    return [b"no head"]


def twice(start, *_):
    start("200 OK", TEXT)
    start("201 Created", TEXT)
    return [b"x"]


def bad_status(start, *_):
    start("200 OK\r\nX-Evil: 1", TEXT)
    return [b"x"]


def bad_name(start, *_):
    start("200 OK", TEXT + [("X-A\r\nX-Evil", "1")])
    return [b"x"]


def bad_value(start, *_):
    start("200 OK", TEXT + [("X-A", "1\r\nX-Evil: 1")])
    return [b"x"]


def bad_nul(start, *_):
    start("200 OK", TEXT + [("X-A", "1\0002")])
    return [b"x"]


def bad_type(start, *_):
    start(200, TEXT)
    return [b"x"]


def bad_chunk(start, *_):
    start("200 OK", TEXT)
    return ["text, not bytes"]


def bad_wide(start, *_):
    start("200 OK", TEXT + [("X-A", "\u20ac")])
    return [b"x"]


def no_content(start, *_):
    start("204 No Content", [])
    return []


def no_content_body(start, *_):
    start("204 No Content", [("Content-Length", "4")])
    return [b"body"]


def not_modified(start, *_):
    start("304 Not Modified", [("ETag", '"x"')])
    return [b"body"]


def hops(start, *_):
    start("200 OK", TEXT + [("Content-Length", "2"), ("X-Kept", "yes"),
                            ("Transfer-Encoding", "chunked"),
                            ("Connection", "upgrade"), ("Keep-Alive", "9")])
    return [b"ok"]


def many(start, *_):
    start("200 OK", TEXT + [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"),
                            ("Content-Length", "2")])
    return [b"ok"]


def latin(start, *_):
    start("200 Tr\xe8s bien", TEXT + [("X-A", "\xe9t\xe9")])
    return [b"ok"]


def huge(start, *_):
    n = 16 << 20
    start("200 OK", TEXT + [("Content-Length", str(n))])
    return (bytes([65 + i % 26]) * 65536 for i in range(n // 65536))


def noread(start, *_):
    start("200 OK", TEXT + [("Content-Length", "6")])
    return [b"unread"]


def _wrapped(start, environ, length, offset=0, block=8192):
    path = os.environ["T_FILE"]
    f = open(path, "rb")
    f.seek(offset)
    head = list(TEXT)
    if length:
        head.append(("Content-Length",
                     str(os.path.getsize(path) - offset)))
    start("200 OK", head)

    class Counted:
        def read(self, n):
            return f.read(n)

        def close(self):
            f.close()
            record("T_CLOSED", environ["PATH_INFO"])

        if "like" not in environ["PATH_INFO"]:
            def fileno(self):
                return f.fileno()

            def tell(self):
                return f.tell()

            def seek(self, *a):
                return f.seek(*a)
    return environ["wsgi.file_wrapper"](Counted(), block)


def file(start, environ):
    return _wrapped(start, environ, True)


def file_chunked(start, environ):
    return _wrapped(start, environ, False)


def file_offset(start, environ):
    return _wrapped(start, environ, True, 1000)


def file_like(start, environ):
    return _wrapped(start, environ, True)


def application(environ, start_response):
    path = environ["PATH_INFO"]
    name = path.strip("/").split("/")[0].replace("-", "_")
    way = globals().get("plain_list" if name == "list" else name)
    if way is None or name.startswith("_"):
        start_response("404 Not Found", TEXT)
        return [b"no such way\n"]
    result = way(start_response, environ)
    if name.startswith("file"):
        return result           # the server must see the wrapper itself
    return Body(path, result)
