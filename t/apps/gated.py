"""Cannot be imported while the file $T_GATE is there; says its pid."""
import os
import time

while os.path.exists(os.environ["T_GATE"]):
    time.sleep(0.01)


def application(environ, start_response):
    body = b"%d" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]
