"""Says its pid, as soon as it may: what begins is noted, by pid and path, in
the file named by T_CALLS, and /held waits until there is a file of that name
with .held at its end (/held/x: .held.x)."""
import os
import time


def application(environ, start_response):
    calls, path = os.environ["T_CALLS"], environ["PATH_INFO"]
    with open(calls, "a") as f:
        f.write("%d %s\n" % (os.getpid(), path))
    if path.startswith("/held"):
        while not os.path.exists(calls + path.replace("/", ".")):
            time.sleep(0.005)
    body = b"%d" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]
