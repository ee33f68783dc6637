"""Says its method and query. The garbage collector runs as often as it can,
and lets other threads run each time, as finalizers may."""
import gc
import random
import time

kept = []
gc.callbacks.append(lambda phase, info: time.sleep(0.0005))
gc.set_threshold(5)


def application(environ, start_response):
    kept.append([environ] + [[] for _ in range(random.randrange(8))])
    time.sleep(0.0005)
    body = "%(REQUEST_METHOD)s %(QUERY_STRING)s" % environ
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
