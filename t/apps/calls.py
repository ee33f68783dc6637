"""Small WSGI applications, one for each rule that t/wsgi.c looks at."""

import gc
import io
import logging
import os
import signal
import sys
import tempfile
import threading
from wsgiref.validate import validator

log = logging.getLogger("gangway")
TEXT = [("Content-Type", "text/plain")]
kept = []


class Body:
    """An iterable that says when it is closed."""

    def __init__(self, *chunks):
        self.chunks = iter(chunks)

    def __iter__(self):
        return self

    def __next__(self):
        chunk = next(self.chunks)
        if isinstance(chunk, BaseException):
            raise chunk
        return chunk

    def close(self):
        log.info("closed")


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def empty(environ, start_response):
    start_response("204 No Content", [])
    return []


def several(environ, start_response):
    start_response("200 OK", TEXT)
    return (b"one,", b"", b"two,", b"three")


def large_list(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"x" * 50000, b"y" * 50000]


def generator(environ, start_response):
    start_response("200 OK", TEXT)
    yield b""
    yield b"a"
    yield b"b"


def late_start(environ, start_response):
    yield b""
    start_response("200 OK", TEXT)
    yield b"late"


def closing(environ, start_response):
    start_response("200 OK", TEXT)
    return Body(b"a", b"b")


def closing_raises(environ, start_response):
    start_response("200 OK", TEXT)
    return Body(b"a", ValueError("in the middle"))


def closing_exit(environ, start_response):
    start_response("200 OK", TEXT)
    return Body(SystemExit(7))


def closing_text(environ, start_response):
    start_response("200 OK", TEXT)
    return Body("text")


def closing_unstarted(environ, start_response):
    return Body(b"a")


def close_fails(environ, start_response):
    class Bad(Body):
        def close(self):
            super().close()
            raise RuntimeError("bad close")
    start_response("200 OK", TEXT)
    return Bad(b"a")


def close_attr(environ, start_response):
    class Bad(Body):
        @property
        def close(self):
            raise RuntimeError("bad attribute")
    start_response("200 OK", TEXT)
    return Bad(b"a")


def never_starts(environ, start_response):
    return [b"x"]


def never_starts_empty(environ, start_response):
    return []


def returns_none(environ, start_response):
    start_response("200 OK", TEXT)


def returns_bytes(environ, start_response):
    start_response("200 OK", TEXT)
    return b"abc"


def returns_str_list(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"a", "b"]


def raises(environ, start_response):
    raise ValueError("spilt milk")


def raises_interrupt(environ, start_response):
    raise KeyboardInterrupt


def raises_surrogate(environ, start_response):
    raise ValueError("\ud800 and \u20ac")


def raises_unprintable(environ, start_response):
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError("no text")
    raise Odd()


# start_response

def twice(environ, start_response):
    start_response("200 OK", TEXT)
    start_response("200 OK", TEXT)
    return [b""]


def exc_info_before(environ, start_response):
    start_response("200 OK", TEXT)
    try:
        1 / 0
    except ZeroDivisionError:
        start_response("500 Oops", [("X-A", "b")], sys.exc_info())
    return [b"replaced"]


def exc_info_after(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"sent"
    try:
        1 / 0
    except ZeroDivisionError:
        start_response("500 Oops", TEXT, exc_info=sys.exc_info())
    yield b"not reached"


def exc_info_nothing(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"sent"
    start_response("500 Oops", TEXT, (None, None, None))


def exc_info_odd(environ, start_response):
    start_response("500 Oops", TEXT, 5)


def by_name(environ, start_response):
    start_response(status="200 OK", response_headers=TEXT, exc_info=None)
    return [b"named"]


def by_wrong_name(environ, start_response):
    start_response("200 OK", TEXT, colour=1)


def too_few(environ, start_response):
    start_response("200 OK")


def status_bytes(environ, start_response):
    start_response(b"200 OK", TEXT)
    return [b""]


def status_int(environ, start_response):
    start_response(200, TEXT)
    return [b""]


def headers_dict(environ, start_response):
    start_response("200 OK", {"A": "b"})
    return [b""]


def header_bytes(environ, start_response):
    start_response("200 OK", [(b"A", "b")])
    return [b""]


def header_int(environ, start_response):
    start_response("200 OK", [("A", 5)])
    return [b""]


def header_three(environ, start_response):
    start_response("200 OK", [("A", "b", "c")])
    return [b""]


def header_latin(environ, start_response):
    start_response("200 Gr\xfc\xdfe", [("X-A", "caf\xe9")])
    return [b"x"]


def header_wide(environ, start_response):
    start_response("200 OK", [("X-A", "\u20ac")])
    return [b"x"]


def header_newline(environ, start_response):
    start_response("200 OK", [("X-Good", "fine"), ("X-Bad", "a\r\nb: c")])
    return [b"x"]


def status_newline(environ, start_response):
    start_response("200 OK\n", [("X-Good", "fine")])
    return [b"x"]


def many_headers(environ, start_response):
    start_response("200 OK", [("X-%d" % i, "v") for i in range(40)])
    return [b"x"]


def swallows(environ, start_response):
    try:
        start_response("200 OK", [("A", "\u20ac")])
    except ValueError:
        start_response("400 Bad", TEXT)
    return [b"second"]


# write()

def writes(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"w1")
    write(b"")
    write(b"w2")
    return [b"r"]


def writes_only(environ, start_response):
    start_response("200 OK", TEXT)(b"w")
    return ()


def writes_text(environ, start_response):
    start_response("200 OK", TEXT)("w")
    return []


def writes_gone(environ, start_response):
    write = start_response("200 OK", TEXT)
    for _ in range(100):
        write(b"w")
    log.info("not reached")
    return []


def writes_wrong(environ, start_response):
    write = start_response("200 OK", TEXT)
    try:
        for _ in range(100):
            write(b"w")
    except BrokenPipeError:
        raise LookupError("of its own")


def writes_beside(environ, start_response):
    """Another thread is in write(): ours is refused, the end waits."""
    write = start_response("200 OK", TEXT)
    threading.Thread(target=write, args=(b"t" * 70000,)).start()
    try:
        for _ in range(100000):
            write(b"x")
    except RuntimeError:
        log.info("refused")
    return []


def keeps(environ, start_response):
    write = start_response("200 OK", TEXT)
    kept[:] = [environ, start_response, write]
    return [b"kept"]


def uses_kept(environ, start_response):
    old, start, write = kept
    told = []
    for f in (lambda: start("200 OK", []), lambda: write(b"x"),
              lambda: old["wsgi.input"].read(),
              lambda: next(old["wsgi.input"])):
        try:
            f()
            told.append("nothing")
        except Exception as e:
            told.append(type(e).__name__)
    print("after the end", file=old["wsgi.errors"])
    told.append(str(old is not environ and "mine" not in environ))
    old["mine"] = 1
    assert old["wsgi.input"] is not environ["wsgi.input"]
    kept.clear()
    start_response("200 OK", TEXT)
    return [" ".join(told).encode()]


# environ

def echo(environ, start_response):
    start_response("200 OK", TEXT)
    names = environ["QUERY_STRING"].split(",")
    return ["|".join(repr(environ.get(n)) for n in names).encode()]


def spoils(environ, start_response):
    environ.clear()
    environ["wsgi.version"] = None
    start_response("200 OK", TEXT)
    return [b"spoilt"]


def types(environ, start_response):
    start_response("200 OK", TEXT)
    bad = [k for k, v in environ.items() if type(k) is not str
           or "." not in k and type(v) is not str]
    return [repr((type(environ) is dict, bad)).encode()]


def simple(environ, start_response):
    data = environ["wsgi.input"].read(3)
    print("noted", file=environ["wsgi.errors"])
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(data)))])
    return [data]


valid = validator(simple)


def valid_generator_app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for line in environ["wsgi.input"]:
        yield line


valid_generator = validator(valid_generator_app)


# wsgi.input and wsgi.errors

def reading(how):
    def app(environ, start_response):
        f = environ["wsgi.input"]
        start_response("200 OK", TEXT)
        return [repr(how(f)).encode()]
    return app


def into(f):
    b = bytearray(4)
    return [(f.readinto(b), bytes(b)) for _ in range(4)]


def wrongly(f):
    told = []
    for call in (lambda: f.read(1, 2), lambda: f.read("x"),
                 lambda: f.readline(1.5), lambda: f.readinto(b"x")):
        try:
            told.append(call())
        except TypeError:
            told.append("TypeError")
    return told


read_all = reading(lambda f: (f.read(), f.read()))
read_none = reading(lambda f: f.read(None))
read_some = reading(lambda f: (f.read(4), f.read(0), f.read(-1), f.read(5)))
read_huge = reading(lambda f: f.read(1 << 70))
read_line = reading(lambda f: (f.readline(), f.readline(2), f.readline(100),
                               f.readline(None), f.readline()))
read_lines = reading(lambda f: f.readlines())
read_lines_hint = reading(lambda f: (f.readlines(4), f.read()))
read_iter = reading(lambda f: (list(f), next(f, "end")))
read_into = reading(into)
read_wrong = reading(wrongly)
read_size = reading(lambda f: len(f.read()))
read_buffered = reading(
    lambda f: io.TextIOWrapper(io.BytesIO(f.read())).readlines())


def errors(environ, start_response):
    e = environ["wsgi.errors"]
    e.write("part ")
    e.write("whole\nnext ")
    e.flush()
    e.writelines(["a\n", "b\nc\n"])
    e.write("\u20ac\udc80 last")
    try:
        e.write(b"bytes")
    except TypeError:
        e.write(" TypeError")
    start_response("200 OK", TEXT)
    return [b""]


def errors_long(environ, start_response):
    environ["wsgi.errors"].write("x" * 5000)
    environ["wsgi.errors"].write("y" * 5000)
    environ["wsgi.errors"].write("z" * 10000 + "\n")
    start_response("200 OK", TEXT)
    return [b""]


# wsgi.file_wrapper

def file_made(content=b"0123456789", **kw):
    f = tempfile.TemporaryFile(**kw)
    f.write(content)
    f.flush()
    f.seek(0)
    return f


class Noted:
    """A file that says when it is closed, and has no other secrets."""

    def __init__(self, f, without=()):
        self.f, self.without = f, without

    def __getattr__(self, name):
        if name in self.without:
            raise AttributeError(name)
        return getattr(self.f, name)

    def close(self):
        log.info("closed")
        self.f.close()


def wrapped(make, headers=(), before=None):
    def app(environ, start_response):
        f = make()
        start_response("200 OK", TEXT + list(headers))
        return environ["wsgi.file_wrapper"](f, 4)
    return app


def seeked():
    f = file_made()
    f.read(3)
    return f


def zipped():
    import gzip
    f = file_made(b"")
    with gzip.GzipFile(fileobj=f, mode="w") as g:
        g.write(b"unzipped")
    f.seek(0)
    return gzip.GzipFile(fileobj=f)


file_whole = wrapped(file_made)
file_seeked = wrapped(seeked)
file_limited = wrapped(file_made, [("Content-Length", "4")])
file_beyond = wrapped(file_made, [("Content-Length", "400")])
file_noted = wrapped(lambda: Noted(file_made()))
file_no_fileno = wrapped(lambda: Noted(file_made(), ["fileno"]))
file_memory = wrapped(lambda: io.BytesIO(b"0123456789"))
file_empty = wrapped(lambda: file_made(b""))
file_gzip = wrapped(zipped)
file_text = wrapped(lambda: io.TextIOWrapper(file_made()))
file_proc = wrapped(lambda: open("/proc/self/comm", "rb"))
file_raw = wrapped(lambda: open(__file__, "rb", buffering=0),
                   [("Content-Length", "3")])


def file_pipe(environ, start_response):
    r, w = os.pipe()
    os.write(w, b"piped")
    os.close(w)
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](os.fdopen(r, "rb"))


def file_after_write(environ, start_response):
    start_response("200 OK", TEXT)(b"first ")
    return environ["wsgi.file_wrapper"](file_made(), 4)


def file_iterated(environ, start_response):
    start_response("200 OK", TEXT)
    return Body(*environ["wsgi.file_wrapper"](file_made(), 4))


# the process

def blocks(environ, start_response):
    gc.collect()
    start_response("200 OK", TEXT)
    return [b"%d %d %d" % (sys.getallocatedblocks(), len(gc.get_objects()),
                           sys.getrefcount(None))]


def threads(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"%d" % threading.get_ident()]


def main_thread(environ, start_response):
    start_response("200 OK", TEXT)
    same = threading.current_thread() is threading.main_thread()
    return [b"%r %r" % (same, sys.argv)]


def executable(environ, start_response):
    import _ctypes  # wants libpython's symbols
    assert _ctypes
    start_response("200 OK", TEXT)
    return [sys.executable.encode() + b" " + sys.prefix.encode()]


def mixed(environ, start_response):
    """A bit of everything, for many calls at once."""
    data = environ["wsgi.input"].readline() + environ["wsgi.input"].read()
    write = start_response("200 OK", [("X-A", str(len(data)))])
    try:
        raise ValueError("x")
    except ValueError:
        start_response("201 Made", [("X-B", "y" * 10)], sys.exc_info())
    environ["wsgi.errors"].write("a line\n")
    write(data)
    return Body(b"x", data)


def handlers(environ, start_response):
    """USR1 raises, USR2 leaves; both in the process's own time."""
    def fails(number, frame):
        raise ValueError("in a handler")

    def leaves(number, frame):
        raise SystemExit
    signal.signal(signal.SIGUSR1, fails)
    signal.signal(signal.SIGUSR2, leaves)
    start_response("200 OK", TEXT)
    return [repr(signal.getsignal(signal.SIGINT)).encode()]


# logging

def logs(environ, start_response):
    logging.getLogger("gunicorn.error").warning("to gunicorn.error %d", 5)
    logging.getLogger("gunicorn").critical("to gunicorn")
    logging.getLogger("gangway.part").debug("to a child")
    start_response("200 OK", TEXT)
    return [b""]


# what is loaded

class Deep:
    class er:
        @staticmethod
        def app(environ, start_response):
            return hello(environ, start_response)


def factory(*args, **kw):
    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return [repr((args, kw)).encode()]
    return app


def bad_factory():
    raise ValueError("no application today")


def none_factory():
    return None


async def asgi(scope, receive, send):
    pass


class Asgi:
    async def __call__(self, scope, receive, send):
        pass


asgi_object = Asgi()
not_callable = 5
application = hello
