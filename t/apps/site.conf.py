"""A site's own gunicorn.conf.py: every value from the environment, with a
default of its own, and hooks that log."""
import logging
import multiprocessing
import os


def number(name, default):
    return int(os.environ.get("GUNICORN_" + name, default))


def truth(name, default):
    return os.environ.get("GUNICORN_" + name, default).lower() == "true"


def text(name, default=None):
    return os.environ.get("GUNICORN_" + name, default) or default


worker_class = text("WORKER_CLASS", "gthread")
workers = number("WORKERS", max(2, min(2 * multiprocessing.cpu_count() + 1,
                                       8)))
threads = number("THREADS", 4)
worker_connections = number("WORKER_CONNECTIONS", 1000)
timeout = number("TIMEOUT", 120)
graceful_timeout = number("GRACEFUL_TIMEOUT", 30)
keepalive = number("KEEPALIVE", 5)
max_requests = number("MAX_REQUESTS", 1000)
max_requests_jitter = number("MAX_REQUESTS_JITTER", 50)
backlog = number("BACKLOG", 2048)
limit_request_line = number("LIMIT_REQUEST_LINE", 4094)
limit_request_fields = number("LIMIT_REQUEST_FIELDS", 100)
limit_request_field_size = number("LIMIT_REQUEST_FIELD_SIZE", 8190)
bind = text("BIND", "0.0.0.0:5100")
reuse_port = truth("REUSE_PORT", "true")
forwarded_allow_ips = text("FORWARDED_ALLOW_IPS", "*")
proxy_protocol = truth("PROXY_PROTOCOL", "false")
preload_app = truth("PRELOAD_APP", "false")
daemon = truth("DAEMON", "false")
pidfile = text("PIDFILE")
user = text("USER")
group = text("GROUP")
loglevel = text("LOGLEVEL", "info")
accesslog = text("ACCESS_LOG", "-")
errorlog = text("ERROR_LOG", "-")
access_log_format = text(
    "ACCESS_LOG_FORMAT",
    '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s')
capture_output = truth("CAPTURE_OUTPUT", "true")
reload = truth("RELOAD", "false")
reload_engine = text("RELOAD_ENGINE", "auto")
check_config = truth("CHECK_CONFIG", "false")
spew = truth("SPEW", "false")


def on_starting(server):
    log = logging.getLogger("gunicorn")
    log.info("Starting: %s, %d workers, %d threads", worker_class, workers,
             threads)


def worker_int(worker):
    logging.getLogger("gunicorn").info("Worker %s received INT or QUIT",
                                       worker.pid)


def worker_abort(worker):
    logging.getLogger("gunicorn").warning("Worker %s took too long",
                                          worker.pid)


def pre_fork(server, worker):
    pass


def post_fork(server, worker):
    logging.getLogger("gunicorn").debug("Worker %s spawned", worker.pid)


def pre_exec(server):
    logging.getLogger("gunicorn").info("Forked, executing again")


def child_exit(server, worker):
    logging.getLogger("gunicorn").info("Worker exited (pid: %s)", worker.pid)
