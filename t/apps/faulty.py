"""For t/faults.py: what t/apps/native_test.c's by_str does, in Python."""


def application(environ, start_response):
    body = b"".join(iter(lambda: environ["wsgi.input"].read(70), b"")) + b"!"
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]
