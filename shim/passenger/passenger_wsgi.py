"""This file puts gangway behind Phusion Passenger.

Copy it into your application's folder under the name that the host wants
(mostly passenger_wsgi.py), and edit the lines below where their defaults
will not do. Then touch tmp/restart.txt.

If your application lives in a file of that same name, give it another one,
such as myapp.py, and name it here: APP = "myapp:application".
"""

APP = ""        # module:callable; "": what `app` in gangway.ini or
                # GANGWAY_APP says
HOW = "auto"    # "inside": in this interpreter, by the package gangway;
                # "exec": by the program gangway; "auto": what there is
GANGWAY = ""    # the program's path; "": GANGWAY_BIN, bin/gangway, PATH
VENV = ""       # a virtual environment; "": VIRTUAL_ENV, venv, .venv

# ------------------------------------------------------------------------
# From here on there is nothing to edit.

import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
AGAIN = ("%s puts gangway in front of the application, and cannot be the "
         "application itself: put that into a file of another name, such as "
         "myapp.py, and write app = myapp:application into gangway.ini "
         "(or the line APP at the top of this file)" % __file__)


def __getattr__(name):
    # Somebody imports this module to find the application in it.
    if name == "application":
        raise ImportError(AGAIN)
    raise AttributeError("module %r has no attribute %r" % (__name__, name))


def find_venv():
    """The folder of the virtual environment to be used, or None."""
    for folder in (VENV, os.environ.get("VIRTUAL_ENV"), "venv", ".venv"):
        folder = folder and os.path.join(HERE, folder)
        if folder and os.path.exists(os.path.join(folder, "pyvenv.cfg")):
            return folder
    return None


def find_program():
    """The program gangway, or None."""
    for path in (GANGWAY, os.environ.get("GANGWAY_BIN"), "bin/gangway"):
        path = path and os.path.join(HERE, path)
        if path and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return shutil.which("gangway")


def find_inside(venv):
    """The package's main(); an ImportError says why not."""
    import site
    if venv and os.path.realpath(venv) != os.path.realpath(sys.prefix):
        python = "python%d.%d" % sys.version_info[:2]
        folder = os.path.join(venv, "lib", python, "site-packages")
        if os.path.isdir(folder):
            before = len(sys.path)
            site.addsitedir(folder)
            # What is installed there goes before what the host has.
            sys.path[:] = sys.path[before:] + sys.path[:before]
        else:
            sys.stderr.write("gangway: %s is not used: this is %s, and it is "
                             "for another version\n" % (venv, python))
    for folder in (os.path.join(HERE, "vendor"), HERE):
        if os.path.isdir(folder):
            sys.path.insert(0, folder)
    from gangway import main
    return main


def execute(program, venv, args):
    """Become the program; returns only by an OSError."""
    vendor = os.path.join(HERE, "vendor")
    if os.path.isdir(vendor):
        path = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = vendor + (os.pathsep + path if path else "")
    if venv:
        os.environ["VIRTUAL_ENV"] = venv
    os.execv(program, [program] + args)


def board():
    """Start gangway. Returns why it cannot be started."""
    args = [APP] if APP else []
    venv = find_venv()
    why = []
    os.environ["GANGWAY_BOARDED"] = "1"
    if HOW in ("auto", "inside"):
        try:
            main = find_inside(venv)
        except ImportError as e:
            why.append("the package gangway cannot be used by Python %d.%d: "
                       "%s" % (sys.version_info[:2] + (e,)))
        else:
            status = main(args)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    if HOW in ("auto", "exec"):
        program = find_program()
        try:
            if program:
                execute(program, venv, args)
            why.append("there is no program gangway: not bin/gangway here, "
                       "not in PATH, and no GANGWAY_BIN names it")
        except OSError as e:
            why.append("%s: %s" % (program, e.strerror))
    return why or ["HOW = %r is none of \"auto\", \"inside\", \"exec\"" % HOW]


if "GANGWAY_BOARDED" in os.environ:
    raise ImportError(AGAIN)
REASON = "gangway cannot be started here:\n" + "".join(
    "- %s\n" % why for why in board())
sys.stderr.write(REASON)
sys.stderr.flush()


def application(environ, start_response):
    """The reason, for whoever set this up; by the host's own server."""
    body = REASON.encode("utf-8", "replace")
    start_response("500 Internal Server Error",
                   [("Content-Type", "text/plain; charset=utf-8"),
                    ("Content-Length", str(len(body)))])
    return [body]
