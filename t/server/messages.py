#!/usr/bin/python3
"""What a person reads: one line for each thing that is wrong, and a page
that shows what is in force.
"""
import os
import re
import signal
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import Process, free_port, tmpdir
from server import TOP, Server, find_program
from tap import done, guard, is_, ok, together
from wait import wait_for, wait_gone, wait_text
from wire import Http

LISTENER = socket.create_server(("127.0.0.1", 0))
TAKEN = "127.0.0.1:%d" % LISTENER.getsockname()[1]
UNIX = os.path.join(tmpdir(), "taken")
with socket.socket(socket.AF_UNIX) as s:
    s.bind(UNIX)
    UNIX_LISTENER = s.dup()
    UNIX_LISTENER.listen()

FILES = {
    "app.py": "def application(environ, start_response):\n    pass\n",
    "finder.py": "import sys\nclass Old:\n    def find_module(self, name, "
        "path=None):\n        return None\nsys.meta_path.insert(0, Old())\n"
        "import logging\n"
        "logging.getLogger('gunicorn.error').error('from within')\n"
        "def application(environ, start_response):\n    pass\n",
    "typo.ini": "[gangway]\nworker = 3\n",
    "value.ini": "[gangway]\nthreads = many\n",
    "raises.conf.py": "raise RuntimeError('planned')\n",
    "value.conf.py": "threads = 'many'\n",
}

PRINTS = """print('at import')
def application(environ, start_response):
    print('in a request')
    start_response('204 No Content', [])
    return []
"""

# name, arguments, environment, exit status, what the one line must say
ONE_LINE = [
    ("nothing to run", [], {}, 1,
     ["no application", "gangway MODULE:CALLABLE", "passenger_wsgi.py"]),
    ("unknown option", ["--wrokers", "3", "app"], {}, 2,
     ["--wrokers", "did you mean --workers"]),
    ("no number", ["-w", "abc", "app"], {}, 2, ["--workers", "abc", "auto"]),
    ("variable", ["app"], {"GANGWAY_THREADS": "many"}, 1,
     ["threads", "'many'", "env GANGWAY_THREADS", "1 to 4096"]),
    ("setting in a file", ["-c", "typo.ini", "app"], {}, 1,
     ["typo.ini:2", "'worker'", "did you mean workers"]),
    ("value in a file", ["-c", "value.ini", "app"], {}, 1,
     ["threads", "'many'", "value.ini:2", "1 to 4096"]),
    ("value in a gunicorn.conf.py", ["-c", "value.conf.py", "app"], {}, 1,
     ["threads", "'many'", "value.conf.py", "1 to 4096"]),
    ("no such file", ["-c", "none.ini", "app"], {}, 1,
     ["none.ini", "command line", "No such file"]),
    ("error log", ["--log-file", "/none/x", "app"], {}, 1,
     ["errorlog", "command line", "/none/x", "No such file"]),
    ("access log", ["app"], {"GUNICORN_ACCESS_LOG": "/none/x"}, 1,
     ["accesslog", "env GUNICORN_ACCESS_LOG", "/none/x", "No such file"]),
    ("user", ["-u", "nobody-here", "app"], {}, 1, ["nobody-here"]),
    ("profile", ["--profile", "prod", "app"], {}, 1,
     ["'prod'", "did you mean production"]),
    ("class", ["-k", "gevent", "app"], {}, 1, ["gevent", "command line"]),
    ("certificate", ["--certfile", "x.pem", "app"], {}, 1,
     ["certfile", "command line", "less safe"]),
    ("address", ["-b", "foo:99999999", "app"], {}, 1,
     ["bind", "'foo:99999999'", "command line", "0 to 65535"]),
    ("address of a variable, checked", ["--check-config", "app"],
     {"GANGWAY_BIND": "127.0.0.1, [::1"}, 1,
     ["bind", "'[::1'", "env GANGWAY_BIND", "] is missing"]),
    ("log format", ["--access-logfile", "-", "--access-logformat", "%(x)s",
                    "app"], {}, 1,
     ["access_log_format", "'%(x)s'", "command line", "unknown atom"]),
    ("log format, checked", ["--check-config", "--access-logfile", "-",
                             "--access-logformat", "%", "app"], {}, 1,
     ["access_log_format", "'%'", "command line", "(ATOM)"]),
    ("no log format", ["--access-logfile", "-", "--access-logformat", "",
                       "app"], {}, 1,
     ["access_log_format", "''", "command line", "must not be empty"]),
    ("host without its socket", ["--host", "fastcgi", "app"], {}, 1,
     ["fastcgi", "descriptor 0", "standalone"]),
]


def put(d, name, text):
    with open(os.path.join(d, name), "w") as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read()


def folder():
    d = tmpdir()
    for name, text in FILES.items():
        put(d, name, text)
    return d


def run(*args, env=None):
    with Process([find_program(), *args], env=env, cwd=folder()) as p:
        return p.wait(), p.log()


def one_line():
    for name, args, env, want, words in ONE_LINE:
        status, out = run(*args, env=env)
        ok(status == want and out.count("\n") == 1 and
           all(w in out for w in words), name,
           "status %s\n%s" % (status, out))


def longer():
    status, out = run("-c", "raises.conf.py", "app")
    ok(status == 1 and "raises.conf.py" in out and
       out.endswith("RuntimeError: planned\n") and "gangway conf" not in out,
       "a settings file that raises: its own traceback", out)
    status, out = run("-w", "5", "-b", "127.0.0.1:%d" % free_port(), "none")
    is_((status, out.count("ModuleNotFoundError"), "frozen" in out),
        (3, 1, False), "no such module: said once, by five workers")
    status, out = run("app", env={"GATEWAY_INTERFACE": "CGI/1.1",
                                  "REQUEST_METHOD": "GET"})
    ok(status == 1 and "CGI program" in out and "--host" in out and
       "Listening" not in out, "a host that is not served yet", out)
    status, out = run("--check-config", "finder")
    ok(status == 0 and out.count("[ERROR] from within") == 1,
       "the loggers, beside a finder of Python 2's kind", out)
    status, out = run("--check-config", "app", env={"GANGWAY_THRAEDS": "1"})
    ok(status == 0 and "GANGWAY_THRAEDS" in out and "THREADS" in out.upper(),
       "--check-config shows the warnings", out)
    status, out = run("--print-config", "--host", "passenger", "none")
    ok("# started by passenger" in out and
       re.search(r"(?m)^bind .*; left to the host", out),
       "--print-config for a host that is named: what holds there", out)
    is_(run("--check-config", "--access-logformat", "%(x)s", "app"), (0, ""),
        "a log format that nobody needs")


def taken():
    def one(bind):
        status, out = run("-b", bind, "app")
        ok(status == 1 and bind in out.splitlines()[-1] and
           "cannot listen" in out.splitlines()[-1],
           "taken: " + bind.partition(":")[0], out)
    together([(one, TAKEN), (one, "unix:" + UNIX)])


def start_lines():
    for name, args, env, want in (
            ("given", ["-w", "3"], {"GANGWAY_THRAEDS": "1"},
             "gthread, 4 threads; 3 workers: command line"),
            ("sync, of a variable", ["-k", "sync"], {"GUNICORN_WORKERS": "1"},
             "sync, 1 thread; 1 worker: env GUNICORN_WORKERS"),
            ("auto", ["-w", "auto"], {}, " workers: "),
            ("profile", ["--profile", "development"], {},
             "no file, profile development; ")):
        with Server("hello", *args, env=env, defaults=False,
                    wait=False) as s:
            log = s.wait_log("Settings: ") or s.log()
            line = re.search("Settings: (.*)", log)
            ok(line and want in line.group(1), "start line: " + name,
               log[:1000])
            if "GANGWAY_THRAEDS" in env:
                ok(re.search(r"\[WARNING\] .*GANGWAY_THRAEDS", log),
                   "what is not heeded is in the log of the start",
                   log[:1000])


def page():
    with Server(None, cwd=os.path.join(TOP, "shim", "example"),
                env={"GUNICORN_THREADS": "3", "GANGWAY_RAW_ENV": "K=s3cret"}
                ) as s:
        with s.http() as c:
            text = c.get("/").body.decode()
        ok("a shell, a container" in text, "the page: host")
        ok(re.search("<td>threads<td>3<td[^>]*>env GUNICORN_THREADS<td[^>]*>"
                     "<span[^>]*>in force<", text),
           "the page: a setting, its value, its source and where it "
           "stands")
        ok("more at their defaults" in text, "the page: all others")
        ok("s3cret" not in text and "raw_env" in text,
           "the page: no value of a variable")


def printed():
    d = tmpdir()
    put(d, "app.py", PRINTS)
    log = os.path.join(d, "log")
    with Server("app", "--capture-output", "--log-file", log, cwd=d):
        for text in "at import", "in a request":
            ok(wait_text(log, text),
               "what is printed is in the log at once: " + text)


def shown():
    """What is asked for is on stdout, whoever has the output of a server."""
    d = tmpdir()
    put(d, "app.py", PRINTS)
    for flag, want in (("--print-config", "\nworkers "),
                       ("--check-config", "at import\n")):
        log = d + "/log" + flag
        status, out = run(flag, "--capture-output", "--log-file", log,
                          "--chdir", d, "app")
        ok(status == 0 and want in out,
           "with --capture-output: %s is on stdout" % flag, out)
        is_(read(log), "", "%s: and not in the log" % flag)


def printed_by_a_daemon():
    d = tmpdir()
    put(d, "app.py", PRINTS)
    log, address = os.path.join(d, "log"), ("127.0.0.1", free_port())
    status, out = run("-D", "-w", "1", "-b", "%s:%d" % address, "-p",
                      d + "/pid", "--capture-output", "--log-file", log,
                      "--chdir", d, "app")
    is_(status, 0, "a daemon with its output captured: it starts")

    def answer():
        try:
            with Http(address) as c:
                return c.get("/").status == 204
        except OSError:
            return False
    try:
        ok(wait_for(answer), "and answers", out)
        for text in "at import", "in a request":
            ok(wait_text(log, text),
               "what a daemon prints is in the log at once: " + text)
    finally:
        pid = read(d + "/pid")
        if pid:
            os.kill(int(pid), signal.SIGTERM)
            wait_gone(int(pid))


def left_alone():
    """Whoever ends what was started, a terminal that is closed or a job that
    is over, does not end the daemon."""
    d, left = tmpdir(), []
    for _ in range(10):
        with Process([find_program(), "-D", "--log-file", d + "/log",
                      "-b", "127.0.0.1:%d" % free_port(), "none"]) as p:
            p.popen.wait()
            try:
                os.killpg(p.pid, 0)
                left.append(p.pid)
            except ProcessLookupError:
                pass
    is_(left, [], "a daemon has left the group of who started it")


guard(int(os.environ.get("T_GUARD", "900")))
groups = (longer, taken, one_line, start_lines, left_alone, page, printed,
          shown, printed_by_a_daemon)
together([(fn,) for fn in groups
          if not sys.argv[1:] or fn.__name__ in sys.argv[1:]])
done()
