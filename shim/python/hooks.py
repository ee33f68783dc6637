"""What the hooks of a gunicorn.conf.py are given, and who calls them.

The build makes a text of this file inside the module; C puts in:
say(level, text)     a line, or several, of the error log
requests()           how many this worker has answered
report(heading)      log the exception that is being handled
interrupted(n, end)  a hook that a signal asked for begins, or has ended
hook(name)           the function of the configuration file, or None

Nothing here imports what it can do without: a manager is to stay small.
"""
import os
import sys

__name__ = "gangway.hooks"      # what its classes are said to be from

DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50
LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR,
          "critical": CRITICAL}


class Logger:
    """server.log and worker.log: gunicorn's methods, our error log."""

    def __init__(self, cfg=None):
        self.cfg = cfg
        self.loglevel = LEVELS.get(
            str(getattr(cfg, "loglevel", "info")).lower(), INFO)

    def log(self, level, msg, *args, **more):
        if isinstance(level, str):
            level = LEVELS.get(level.lower(), INFO)
        if level < self.loglevel:
            return
        text = str(msg)
        if args:
            if len(args) == 1 and isinstance(args[0], dict) and args[0]:
                args = args[0]
            text = text % args
        info = more.get("exc_info")
        if info:
            text += trace(info)
        say(level, text)

    def debug(self, msg, *args, **more):
        if self.loglevel <= DEBUG:
            self.log(DEBUG, msg, *args, **more)

    def info(self, msg, *args, **more):
        self.log(INFO, msg, *args, **more)

    def warning(self, msg, *args, **more):
        self.log(WARNING, msg, *args, **more)

    warn = warning

    def error(self, msg, *args, **more):
        self.log(ERROR, msg, *args, **more)

    def critical(self, msg, *args, **more):
        self.log(CRITICAL, msg, *args, **more)

    fatal = critical

    def exception(self, msg, *args, **more):
        more.setdefault("exc_info", True)
        self.log(ERROR, msg, *args, **more)

    def isEnabledFor(self, level):
        return level >= self.loglevel

    @property
    def error_log(self):
        import logging
        return logging.getLogger("gunicorn.error")

    @property
    def access_log(self):
        import logging
        return logging.getLogger("gunicorn.access")


def trace(info):
    import traceback
    if isinstance(info, BaseException):
        info = type(info), info, info.__traceback__
    elif not isinstance(info, tuple):
        info = sys.exc_info()
    return "\n" + "".join(traceback.format_exception(*info)).rstrip("\n")


def nothing(*_):
    """What stands for a hook that is not set."""


class Setting:
    def __init__(self, name, value):
        self.name, self.value = name, value

    def get(self):
        return self.value

    def __repr__(self):
        return "<Setting %s = %r>" % (self.name, self.value)


class Config:
    """server.cfg and worker.cfg: every setting by its name, read only."""

    def __init__(self, values=None):
        self.__dict__["settings"] = {
            name: Setting(name, value)
            for name, value in (values or {}).items()}

    def __getattr__(self, name):
        # The settings may not be there yet while this is being copied.
        found = self.__dict__.get("settings", {}).get(name)
        if found is None:
            raise AttributeError("no setting %r" % name)
        if name in HOOKS:
            return hook(name) or nothing
        if name == "worker_class":
            return worker_class(found.value)
        return found.value

    def __setattr__(self, name, value):
        raise AttributeError("a hook cannot change the setting %r: it is "
                             "in use already" % name)

    def set(self, name, value):
        self.__setattr__(name, value)

    @property
    def worker_class_str(self):
        return self.settings["worker_class"].value

    @property
    def is_ssl(self):
        return bool(self.certfile or self.keyfile)

    @property
    def address(self):
        found = []
        for text in self.bind:
            kind, colon, rest = text.partition(":")
            if kind == "unix" and colon:
                found.append("/" + rest.lstrip("/")
                             if rest.startswith("//") else rest)
                continue
            host, colon, port = text.rpartition("://")[2].rpartition(":")
            found.append((host.strip("[]"), int(port))
                         if colon and port.isdigit() else text)
        return found

    @property
    def env(self):
        return dict(pair.split("=", 1) for pair in self.raw_env)

    @property
    def uid(self):
        return os.geteuid()

    @property
    def gid(self):
        return os.getegid()


class Listener:
    """One of server.LISTENERS and worker.sockets."""

    def __init__(self, name, fd):
        self.name, self.fd = name, fd

    def __str__(self):
        return self.name

    def fileno(self):
        return self.fd

    @property
    def sock(self):
        import socket
        return socket.socket(fileno=os.dup(self.fd))

    def getsockname(self):
        with self.sock as s:
            return s.getsockname()


class Pidfile:
    def __init__(self, name):
        self.fname, self.pid = name, os.getpid()


class App:
    """server.app and worker.app."""

    callable = None

    @property
    def cfg(self):
        return server.cfg

    def wsgi(self):
        return self.callable


class Server:
    """What stands for gunicorn's Arbiter."""

    START_CTX = {}

    def __init__(self):
        self.pid = os.getpid()
        self.app = App()
        self.cfg = Config()
        self.log = Logger(self.cfg)
        self.WORKERS = {}
        self.LISTENERS = []
        self.worker_age = 0
        self.reexec_pid = 0
        self.master_pid = 0
        self.systemd = False
        self._workers = 0

    @property
    def master_name(self):
        return "Master.2" if self.master_pid else "Master"

    @property
    def num_workers(self):
        return self._workers

    @property
    def address(self):
        return self.cfg.address

    @property
    def timeout(self):
        return self.cfg.timeout

    @property
    def worker_class(self):
        return self.cfg.worker_class

    @property
    def proc_name(self):
        return self.cfg.proc_name or self.cfg.wsgi_app

    @property
    def pidfile(self):
        return Pidfile(self.cfg.pidfile) if self.cfg.pidfile else None


class Tmp:
    """worker.tmp: gunicorn's heartbeat file; the server has no need of it."""

    def notify(self):
        pass

    def close(self):
        pass

    def last_update(self):
        import time
        return time.monotonic()


class Worker:
    """One worker; in the manager the same object from pre_fork to
    child_exit, with what hooks put on it."""

    def __init__(self, age, limit, ppid):
        self.age, self.ppid = age, ppid
        self.pid = "[booting]"
        self.cfg, self.log, self.app = server.cfg, server.log, server.app
        self.timeout = self.cfg.timeout
        self.max_requests = limit or sys.maxsize
        self.tmp = Tmp()
        self.booted = self.aborted = False
        self.reloader = None

    def __str__(self):
        return "<Worker %s>" % self.pid

    def notify(self):
        pass

    @property
    def nr(self):
        return requests() if self.pid == os.getpid() else 0

    @property
    def sockets(self):
        return server.LISTENERS

    @property
    def address(self):
        return server.address

    @property
    def wsgi(self):
        return self.app.callable

    @property
    def alive(self):
        return self.__dict__.get("alive", True)

    @alive.setter
    def alive(self, value):
        """worker.alive = False asks it to leave when it has finished."""
        if self.alive and not value and self.pid == os.getpid():
            os.kill(self.pid, 15)
        self.__dict__["alive"] = bool(value)


class SyncWorker(Worker):
    pass


class ThreadWorker(Worker):
    pass


def worker_class(name):
    return {"sync": SyncWorker, "gthread": ThreadWorker}.get(name, Worker)


class Request:
    """What pre_request gets. What it changes, the application sees."""

    must_close = False
    proxy_protocol_info = None

    def __init__(self, environ):
        self._environ = environ

    def __getattr__(self, name):
        # Only what is asked for is made; then it is an attribute.
        make = MAKERS.get(name)
        if make is None:
            raise AttributeError("a request has no %r" % name)
        value = make(self._environ)
        self.__dict__[name] = value
        if name == "headers":
            self.__dict__["_headers"] = list(value)
        return value

    def should_close(self):
        return self.must_close

    def force_close(self):
        self.must_close = True


def req_uri(env):
    uri = env.get("RAW_URI") or env.get("REQUEST_URI")
    if uri:
        return uri
    from urllib.parse import quote
    uri = quote(env.get("SCRIPT_NAME", "") + env.get("PATH_INFO", ""),
                encoding="latin-1")
    query = env.get("QUERY_STRING")
    return uri + "?" + query if query else uri


def req_path(env):
    uri = req_uri(env)
    if "://" in uri and not uri.startswith("/"):
        uri = "/" + uri.partition("://")[2].partition("/")[2]
    return uri.partition("#")[0].partition("?")[0]


def req_headers(env):
    found = [(name[5:].replace("_", "-"), value)
             for name, value in env.items()
             if name[:5] == "HTTP_" and type(value) is str]
    for name in "CONTENT_TYPE", "CONTENT_LENGTH":
        if env.get(name):
            found.append((name.replace("_", "-"), env[name]))
    return found


def req_version(env):
    number = env.get("SERVER_PROTOCOL", "").rpartition("/")[2].split(".")
    try:
        return int(number[0]), int(number[1])
    except (ValueError, IndexError):
        return 1, 0


def req_peer(env):
    if not env.get("REMOTE_ADDR"):
        return ""
    return env["REMOTE_ADDR"], int(env.get("REMOTE_PORT") or 0)


MAKERS = {
    "method": lambda env: env["REQUEST_METHOD"],
    "uri": req_uri,
    "path": req_path,
    "query": lambda env: env.get("QUERY_STRING", ""),
    "fragment": lambda env: req_uri(env).partition("#")[2],
    "headers": req_headers,
    "version": req_version,
    "scheme": lambda env: env["wsgi.url_scheme"],
    "body": lambda env: env["wsgi.input"],
    "peer_addr": req_peer,
    "remote_addr": req_peer,
    "trailers": lambda env: [],
}


def apply(req):
    """Give the application what a hook has made of the request."""
    made, env = req.__dict__, req._environ
    for name, key in (("method", "REQUEST_METHOD"), ("query", "QUERY_STRING"),
                      ("scheme", "wsgi.url_scheme")):
        if name in made and made[name] != MAKERS[name](env):
            env[key] = made[name]
    if "uri" in made and made["uri"] != req_uri(env):
        env["RAW_URI"] = made["uri"]
    if "path" in made and made["path"] != req_path(env):
        from urllib.parse import unquote
        path = unquote(made["path"], "latin-1")
        script = env.get("SCRIPT_NAME", "")
        env["PATH_INFO"] = path[len(script):] if (
            script and path.startswith(script)) else path
    if "headers" in made and list(made["headers"]) != made["_headers"]:
        apply_headers(env, made["headers"], made["_headers"])


def apply_headers(env, now, before):
    for name, _ in before:
        env.pop(header_key(name), None)
    for name, value in now:
        key = header_key(name)
        if key in ("CONTENT_TYPE", "CONTENT_LENGTH") or key not in env:
            env[key] = value
        else:
            env[key] += "," + value


def header_key(name):
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


class Response:
    """What post_request gets: how the application answered."""

    upgrade = False

    def __init__(self, req, status, headers, sent, headers_sent, chunked):
        self.req, self.status, self.headers = req, status, headers
        self.sent, self.headers_sent, self.chunked = (sent, headers_sent,
                                                      chunked)

    @property
    def status_code(self):
        try:
            return int(self.status.split(None, 1)[0])
        except (AttributeError, ValueError, IndexError):
            return None

    @property
    def response_length(self):
        for name, value in self.headers:
            if name.lower() == "content-length" and value.strip().isdigit():
                return int(value)
        return None

    @property
    def must_close(self):
        return self.req.must_close


# --- who calls them

HOOKS = frozenset((
    "on_starting", "on_reload", "when_ready", "pre_fork", "post_fork",
    "post_worker_init", "worker_int", "worker_abort", "pre_exec",
    "pre_request", "post_request", "child_exit", "worker_exit",
    "nworkers_changed", "on_exit", "ssl_context", "on_dirty_starting",
    "dirty_post_fork", "dirty_worker_init", "dirty_worker_exit"))

server = Server()
waiting = {}            # age: a worker that has no number yet
me = None               # the worker that this process is


def settings(values, listeners):
    server.cfg = Config(values)
    server.log = Logger(server.cfg)
    server.LISTENERS[:] = [Listener(*one) for one in listeners]


def run(name, *args):
    function = hook(name)
    if function is not None:
        function(*args)


def own(age, limit, pid):
    """The object of the worker that we are."""
    global me
    if me is None or me.pid != pid:
        me = waiting.pop(age, None) or Worker(age, limit, server.pid)
        me.pid, me.ppid = pid, os.getppid()
        waiting.clear()
    return me


def of_server(name, pid, parent, workers):
    server.pid, server.master_pid = pid, parent
    server._workers = workers
    if name == "nworkers_changed":
        return
    run(name, server)


def nworkers_changed(pid, parent, now, before):
    server.pid, server.master_pid = pid, parent
    server._workers = now
    run("nworkers_changed", server, now, None if before < 0 else before)


def pre_fork(parent, age, limit):
    server.master_pid = parent
    server.worker_age = age
    waiting[age] = Worker(age, limit, server.pid)
    run("pre_fork", server, waiting[age])


def forked(age, pid):
    worker = waiting.pop(age, None)
    if worker is not None and pid > 0:
        worker.pid = pid
        server.WORKERS[pid] = worker


def child_exit(parent, age, pid, call):
    server.master_pid = parent
    worker = server.WORKERS.pop(pid, None)
    if worker is None:
        worker = Worker(age, 0, server.pid)
        worker.pid = pid
    if call:
        run("child_exit", server, worker)


def of_worker(name, age, limit, pid):
    worker = own(age, limit, pid)
    if name == "post_worker_init":
        run(name, worker)
        worker.booted = True
    else:
        run(name, server, worker)


def on_signal(name, code):
    def handler(sig, frame):
        interrupted(code, False)
        if name == "worker_abort":
            me.aborted = True
        try:
            run(name, me)
        except Exception:
            report("Error in the hook " + name)
        finally:
            interrupted(code, True)
        if name == "worker_abort":
            raise SystemExit(1)
    return handler


def of_worker_signal(name):
    if name == "worker_abort":
        me.aborted = True
    run(name, me)


def catch(name, code, *signals):
    import _signal
    handler = on_signal(name, code)
    for sig in signals:
        _signal.signal(sig, handler)


# --- requests

def before_request(function, environ):
    req = Request(environ)
    function(me, req)
    if len(req.__dict__) > 1:
        apply(req)
    return req


def after_request(function, environ, req, answer):
    if req is None:
        req = Request(environ)
    function(me, req, environ, Response(req, *answer) if answer else None)


def after_request_3(function, environ, req, answer):
    function(me, req or Request(environ), environ)


def after_request_2(function, environ, req, answer):
    function(me, req or Request(environ))


def after_request_for(function):
    """How to call it: post_request may take 2, 3 or 4 arguments."""
    import inspect
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return after_request
    for count, call in (4, after_request), (3, after_request_3):
        try:
            signature.bind(*range(count))
            return call
        except TypeError:
            pass
    return after_request_2


# --- where there is no gunicorn to import from

class HaltServer(BaseException):
    def __init__(self, reason, exit_status=1):
        self.reason, self.exit_status = reason, exit_status


class AppImportError(Exception):
    pass


VERSION = 26, 1, 0
GUNICORN = {
    "gunicorn": {
        "version_info": VERSION, "SERVER": "gunicorn",
        "__version__": ".".join(map(str, VERSION)),
        "SERVER_SOFTWARE": "gunicorn/" + ".".join(map(str, VERSION))},
    "gunicorn.arbiter": {"Arbiter": Server},
    "gunicorn.config": {"Config": Config},
    "gunicorn.errors": {"HaltServer": HaltServer,
                        "AppImportError": AppImportError},
    "gunicorn.glogging": {"Logger": Logger},
    "gunicorn.http": {"Request": Request},
    "gunicorn.http.message": {"Request": Request},
    "gunicorn.http.wsgi": {"Response": Response},
    "gunicorn.workers": {},
    "gunicorn.workers.base": {"Worker": Worker},
    "gunicorn.workers.gthread": {"ThreadWorker": ThreadWorker},
    "gunicorn.workers.sync": {"SyncWorker": SyncWorker},
}


class Loader:
    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.__dict__.update(GUNICORN[module.__name__])


def gunicorn_spec(name):
    if name not in GUNICORN:
        return None
    from importlib.machinery import ModuleSpec
    return ModuleSpec(name, Loader(), origin="gangway", is_package=any(
        other.startswith(name + ".") for other in GUNICORN))
