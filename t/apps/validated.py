"""wsgiref's validator around an application that reads, writes and streams."""
import hashlib
from wsgiref.validate import validator


def mixed(environ, start_response):
    path, stream = environ["PATH_INFO"], environ["wsgi.input"]
    head = [("Content-Type", "text/plain")]
    if path == "/read":
        digest = hashlib.sha256()
        while chunk := stream.read(1000):
            digest.update(chunk)
        start_response("200 OK", head)
        return [digest.hexdigest().encode()]
    if path == "/lines":
        lines = [stream.readline(), *stream.readlines(50), *stream]
        start_response("200 OK", head)
        return [str(sum(map(len, lines))).encode()]
    if path == "/write":
        start_response("200 OK", head)(b"written")
        return [b" and more"]
    if path == "/stream":
        start_response("200 OK", head)
        return (b"%d\n" % i for i in range(100))
    if path == "/errors":
        environ["wsgi.errors"].write("one line\n")
        environ["wsgi.errors"].writelines(["two\n", "three\n"])
        environ["wsgi.errors"].flush()
    if path == "/none":
        start_response("204 No Content", [])
        return []
    start_response("200 OK", head)
    return [b"plain"]


application = validator(mixed)
