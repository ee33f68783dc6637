"""Answers with what it was asked, as JSON: environ, body length and hash.

Each call's path goes to the file named by T_CALLS, so that a test can tell
what reached the application. /lines and /iter read the body in other ways,
/noread leaves it, /sleep takes its time, /gate/NAME stands at that gate
(wait.Gate) in $T_GATES.
"""
import hashlib
import json
import os
import time


def record(name, text):
    path = os.environ.get(name)
    if path:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(fd, text.encode("utf-8", "backslashreplace") + b"\n")
        os.close(fd)


def pieces(environ):
    stream, path = environ["wsgi.input"], environ.get("PATH_INFO", "")
    if path.startswith("/noread"):
        return
    if path.startswith("/lines"):
        while line := stream.readline():
            yield line
    elif path.startswith("/iter"):
        yield from stream
    elif path.startswith("/readlines"):
        yield from stream.readlines()
    elif path.startswith("/whole"):
        yield stream.read()
    else:
        while chunk := stream.read(10000):
            yield chunk


def application(environ, start_response):
    path = environ.get("PATH_INFO", "")
    record("T_CALLS", path)
    if path.startswith("/sleep"):
        time.sleep(0.2)
    if path.startswith("/gate/"):
        open(os.path.join(os.environ["T_GATES"], path[6:])).close()
    if path.startswith("/errors"):
        print("a line for the log", file=environ["wsgi.errors"], flush=True)
    digest, length, count = hashlib.sha256(), 0, 0
    for piece in pieces(environ):
        digest.update(piece)
        length += len(piece)
        count += 1
    facts = {"environ": {k: v for k, v in environ.items()
                         if isinstance(v, (str, bool, int))},
             "length": length, "sha256": digest.hexdigest(), "pieces": count}
    body = json.dumps(facts, sort_keys=True).encode()
    start_response("200 OK", [("Content-Type", "application/json"),
                              ("Content-Length", str(len(body)))])
    return [body]
