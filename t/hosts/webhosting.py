#!/usr/bin/python3
"""deploy.sh webhosting: what an upload holds, and that it runs.

The zip is unpacked by a user who owns nothing else, and serves the Flask
application in it with an empty environment: inside a Python, as a program,
by passenger_wsgi.py under Apache with Passenger, and by dispatch.fcgi under
spawn-fcgi and under Apache with mod_fcgid.
"""
import configparser
import contextlib
import hashlib
import io
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import zipfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from apache import Apache, Site, missing
from process import Process, children, free_port, tmpdir, tree
from server import BUILD, TOP, need, python_has
from tap import attempt, done, guard, is_, ok, skip, skip_all, together
from wait import wait_for
from wire import Fcgi, Http

PYTHON = "/usr/bin/python3"
MAKER = os.path.join(TOP, "shim", "passenger", "upload.py")
VERSION = "%d.%d" % sys.version_info[:2]
NOBODY = dict(user=65534, group=65534, extra_groups=[]) \
    if os.getuid() == 0 else {}
# What is closed to others on the desk, and stays so.
CLOSED = {".env": 0o600, "keys/a.key": 0o600, "keys/b.key": 0o640,
          "keys/sign.sh": 0o700}
CLEAN = ["env", "-i", "PATH=/usr/bin:/bin"]
# Flask and what it is made of, as a site would have them in vendor/.
VENDORED = ("flask", "werkzeug", "jinja2", "markupsafe", "itsdangerous",
            "click", "colorama", "blinker")
APP = '''
import os, sys
import flask
app = flask.Flask(__name__)
@app.route("/")
def index():
    return "boarded with " + os.path.dirname(os.path.dirname(flask.__file__))
@app.route("/where/<path:rest>")
def where(rest):
    e = flask.request.environ
    return "%s|%s|%s" % (e["SCRIPT_NAME"], rest,
                         e.get("HTTP_AUTHORIZATION", ""))
@app.route("/pid")
def pid():
    return str(os.getpid())
application = app
'''


def ready():
    """Skip it all where there is nothing to upload."""
    if not os.path.exists(os.path.join(BUILD, "shim", "upload", ".libs",
                                       "_core.so")):
        skip_all("built without Python")
    with open(os.path.join(BUILD, "Makefile")) as f:
        text = f.read()
    if re.search("^SAN_FLAGS = .*sanitize", text, re.M):
        skip_all("an upload is not made with sanitizers")
    if not re.search("^PYTHON_VERSION = %s$" % re.escape(VERSION), text, re.M):
        skip_all("built for another Python than " + PYTHON)
    if not need("unzip", "unzip") or not python_has("flask"):
        skip_all("unzip or Flask is missing (Debian: unzip, python3-flask)")


def put(folder, **files):
    for name, text in files.items():
        with open(os.path.join(folder, name.replace("__", ".")), "w") as f:
            f.write(text)
    return folder


def flask_site():
    """A site as it lies on somebody's desk, with loose modes."""
    folder = put(tmpdir(), passenger_wsgi__py=APP, notes__txt="secret\n")
    vendor = os.path.join(folder, "vendor")
    code = "import %s\nfor m in %s: print(m.__path__[0])" % (
        ", ".join(VENDORED[:6]), ", ".join(VENDORED[:6]))
    found = subprocess.run([PYTHON, "-c", code], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split()
    beside = os.path.dirname(found[0])
    found += [os.path.join(beside, name) for name in VENDORED[6:]
              if os.path.isdir(os.path.join(beside, name))]
    for path in found:
        shutil.copytree(path, os.path.join(vendor, os.path.basename(path)),
                        ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("public", "tmp", ".git", "venv"):
        os.mkdir(os.path.join(folder, name))
    put(os.path.join(folder, "public"), style__css="body {}\n")
    put(os.path.join(folder, "tmp"), old__log="")
    put(os.path.join(folder, ".git"), config="")
    put(os.path.join(folder, "venv"), pyvenv__cfg="version = 3.0\n")
    put(folder, run__sh="#!/bin/sh\n")
    os.chmod(os.path.join(folder, "run.sh"), 0o775)
    os.chmod(os.path.join(folder, "notes.txt"), 0o666)
    os.mkdir(os.path.join(folder, "keys"), 0o700)
    for name, mode in CLOSED.items():
        put(folder, **{name.replace(".", "__"): "x = 1\n"})
        os.chmod(os.path.join(folder, name), mode)
    os.chmod(os.path.join(folder, "public", "style.css"), 0o600)
    return folder


def make(appdir, *args, out=None):
    """(exit status, what it said, the zip)."""
    out = out or os.path.join(tmpdir(), "gangway-webhosting")
    done = subprocess.run(
        [PYTHON, "-B", MAKER, appdir, out, *args, "--program", BUILD,
         "--core", PYTHON, BUILD], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout, out + ".zip"


def unpack(archive):
    """The application's folder, unpacked by the user who runs it."""
    folder = tmpdir()
    if NOBODY:
        os.chown(folder, NOBODY["user"], NOBODY["group"])
        os.chmod(os.path.dirname(archive), 0o755)
        os.chmod(archive, 0o644)
    os.chmod(folder, 0o755)
    subprocess.run(["unzip", "-q", archive, "-d", folder], check=True,
                   cwd="/", **NOBODY)
    return os.path.join(folder, "gangway-webhosting")


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


# --- what is in it

def contents():
    with zipfile.ZipFile(ARCHIVE) as z:
        modes = {i.filename.partition("/")[2]: i.external_attr >> 16
                 for i in z.infolist()}
    for name in ("passenger_app.py", "gangway.ini", "notes.txt",
                 "vendor/flask/__init__.py", "tmp/restart.txt",
                 "public/style.css", "public/dispatch.fcgi",
                 "public/.htaccess", "gangway/__init__.py",
                 "gangway/fits.py", "gangway/probe.py", "gangway/made.txt",
                 "gangway/lib/libbsd.so.0", "gangway/lib/libmd.so.0",
                 "READ-ME-gangway.txt", "passenger_wsgi.py"):
        ok(name in modes, "it holds " + name)
    ok(any(n.startswith("gangway/_core.cpython-") for n in modes),
       "it holds an object for this Python")
    for name in ("tmp/old.log", ".git/", "venv/"):
        ok(name not in modes, "it leaves out " + name)
    is_(sorted(n for n in modes if "libpython" not in n and re.match(
        r"gangway/lib/lib(c|m|z|expat|pthread|dl)\.", n)), [],
        "the host's own libraries stay the host's")
    wrong = [n for n, m in modes.items() if stat.S_IMODE(m) != CLOSED.get(
        n, 0o700 if n == "keys/" else 0o755 if n.endswith("/") or n in (
            "", "run.sh", "public/dispatch.fcgi", "gangway/bin/gangway")
        else 0o644)]
    is_(wrong, [], "folders and scripts are 755, files 644, and what is "
        "closed stays closed, outside public/")
    folder = ARCHIVE[:-len(".zip")]
    is_({n: stat.S_IMODE(os.stat(os.path.join(folder, n)).st_mode)
         for n in CLOSED}, CLOSED, "in the folder, too")
    is_(sorted(os.listdir(os.path.dirname(ARCHIVE))),
        ["gangway-webhosting", "gangway-webhosting.zip"],
        "nothing else is left beside it")
    is_(sorted(n for n in modes if n.startswith("public/")),
        ["public/", "public/.htaccess", "public/dispatch.fcgi",
         "public/style.css"], "public/ holds nothing that is secret")
    ini = configparser.ConfigParser()
    ini.read(os.path.join(ROOT, "gangway.ini"))
    is_(ini["gangway"]["app"], "passenger_app:application",
        "gangway.ini names the application")
    modes = {os.stat(os.path.join(w, n)).st_mode & 0o022
             for w, d, f in os.walk(ROOT) for n in d + f}
    is_(modes, {0}, "unpacked, nothing is for others to write")


def same_again():
    out = os.path.join(tmpdir(), "gangway-webhosting")
    status, said, again = make(SITE, out=out)
    is_((status, digest(again)), (0, digest(ARCHIVE)),
        "made once more it is the same")
    status, said, again = make(SITE, out=out)
    is_((status, digest(again)), (0, digest(ARCHIVE)), "in its own place, too")
    other = os.path.join(SITE, "vendor", "odd")
    os.mkdir(other)
    put(other, **{"a__cpython-36m-x86_64-linux-gnu__so": ""})
    said = make(SITE)[1]
    shutil.rmtree(other)
    ok("vendor/odd has an object for another Python, and none for " + VERSION
       in said, "a package for another Python is named", said)
    shutil.rmtree(os.path.join(out, "gangway"))
    status, said, _ = make(SITE, out=out)
    ok(status == 1 and "not made by this" in said,
       "a folder of somebody else's is left alone", said)


def which_application():
    sys.path.insert(0, os.path.dirname(MAKER))
    import upload
    app, other = "application = 1\n", "x = 1\n"
    for name, want, files in (
            ("its passenger_wsgi.py", "passenger_wsgi:application",
             dict(passenger_wsgi__py=app, app__py=app)),
            ("gangway.ini", "shop:app",
             dict(gangway__ini="[gangway]\napp = shop:app\n", wsgi__py=app)),
            ("gunicorn.conf.py", "shop:app",
             dict(gunicorn__conf__py="wsgi_app = 'shop:app'\n",
                  wsgi__py=app)),
            ("gunicorn.conf.py, a call", "shop:make('a')",
             dict(gunicorn__conf__py='wsgi_app = "shop:make(\'a\')"\n')),
            ("a gangway.ini without it", "wsgi:application",
             dict(gangway__ini="[env]\napp = none\n", wsgi__py=app)),
            ("an imported name", "app:app",
             dict(app__py="from shop import site as app\n")),
            ("a function", "main:application",
             dict(main__py="def application(e, s):\n    app = 1\n")),
            ("our own passenger_wsgi.py", "app:app",
             dict(passenger_wsgi__py="GANGWAY_BOARDED\n" + app,
                  app__py="app = 1\n")),
            ("nothing", None, dict(wsgi__py=other, readme=app))):
        is_(upload.find_app(put(tmpdir(), **files)), want,
            "the application, by " + name)
    folder = tmpdir()
    os.mkdir(os.path.join(folder, "site"))
    put(os.path.join(folder, "site"), wsgi__py=app)
    is_(upload.find_app(folder), "site.wsgi:application",
        "the application, Django's way")
    status, said, _ = make(put(tmpdir(), readme=""))
    ok(status == 1 and "--app" in said, "none at all is said", said)


def links():
    """What comes from elsewhere is named, and no more open than there."""
    import upload
    home, app, stage = tmpdir(), tmpdir(), os.path.join(tmpdir(), "stage")
    for folder in (app + "/public", home + "/pics"):
        os.mkdir(folder, 0o700)
    for folder, name, mode in (
            (app, "page.html", 0o600), (app + "/public", "style.css", 0o600),
            (home, "key", 0o600), (home, "notes", 0o640),
            (home + "/pics", "a.png", 0o600)):
        put(folder, **{name.replace(".", "__"): "x"})
        os.chmod(os.path.join(folder, name), mode)
    for name, target in (
            ("public/key", home + "/key"), ("public/pics", home + "/pics"),
            ("notes", os.path.relpath(home + "/notes", app)),
            ("public/page.html", "../page.html"), ("again", "public")):
        os.symlink(target, os.path.join(app, name))
    os.symlink("a.png", home + "/pics/b.png")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        upload.copy_app(app, stage)
    for name, mode in (
            ("public/style.css", 0o644), ("public/page.html", 0o644),
            ("page.html", 0o600), ("again/style.css", 0o600),
            ("public/key", 0o600), ("public/pics", 0o700),
            ("public/pics/a.png", 0o600), ("public/pics/b.png", 0o600),
            ("notes", 0o640)):
        st = os.lstat(os.path.join(stage, name))
        is_((oct(stat.S_IMODE(st.st_mode)), stat.S_ISLNK(st.st_mode)),
            (oct(mode), False), "links: the mode of " + name)
    is_(sorted(re.findall(r"(\S+) is a link to (\S+),", said.getvalue())),
        sorted((os.path.join(app, name), os.path.realpath(
            os.path.join(app, name)))
            for name in ("public/key", "public/pics", "again/key",
                         "again/pics", "notes")),
        "links: those that lead elsewhere are named")


def named_in_settings():
    """Its name is put into [gangway], whatever else is called app."""
    import upload
    new = "wsgi:create('a', 1)"
    for name, text in (
            ("over another", "[gangway]\napp = old:app\nthreads = 4\n"),
            ("wsgi_app", "[gangway]\nwsgi_app: old:app\nthreads = 4\n"),
            ("an empty one", "[gangway]\napp =\nthreads = 4\n"),
            ("where there is none", "[gangway]  ; ours\nthreads = 4\n"),
            ("at the end", "[env]\na = 1\n[gangway]"),
            ("a variable of that name", "[env]\napp = production\n\n"
             "[gangway]\nthreads = 4\n"),
            ("a profile's", "[profile small]\napp = small:app\n\n"
             "[gangway]\nthreads = 4\napp = big:app\n"),
            ("without the section", "[env]\napp = production\n")):
        folder = put(tmpdir(), gangway__ini=text)
        want = configparser.ConfigParser(inline_comment_prefixes=";")
        want.read_string(text)
        want = {s: dict(want[s]) for s in want.sections()}
        want.setdefault("gangway", {}).pop("wsgi_app", None)
        want["gangway"]["app"] = new
        ok(upload.settings(folder, new), "gangway.ini: " + name)
        got = configparser.ConfigParser()
        got.read(os.path.join(folder, "gangway.ini"))
        is_({s: dict(got[s]) for s in got.sections()}, want,
            "gangway.ini: %s: no more is changed" % name)
        is_(upload.find_app(folder), new, "gangway.ini: %s: found" % name)
    folder = put(tmpdir(), gangway__ini="[gangway]\napp = a:b ; c:d\n")
    is_(upload.find_app(folder), "a:b", "gangway.ini: with a comment")


def named_in_entries():
    """A name that calls a function, with what its arguments need."""
    import upload
    for app in ("wsgi:create('prod')", 'wsgi:create("it\'s $HOME", \'a\\b\')'):
        stage = tmpdir()
        upload.put_entries(stage, app, ["3.11", VERSION])
        with open(os.path.join(stage, "passenger_wsgi.py")) as f:
            text = f.read()
        values = {}
        try:
            exec(text[:text.index("\nimport ")], values)
        except SyntaxError as e:
            values["APP"] = e
        is_(values["APP"], app, "passenger_wsgi.py names " + app)
        with open(os.path.join(stage, "public", "dispatch.fcgi")) as f:
            text = f.read()
        run = subprocess.run(
            ["sh", "-c", text[:text.index("\ncase ")] +
             "\nprintf '%s|%s' \"$APP\" \"$VERSIONS\""],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        is_(run.stdout, "%s|3.11 %s" % (app, VERSION),
            "dispatch.fcgi names " + app)


def by_pip():
    """vendor/ from requirements.txt, where there is none yet."""
    if not python_has("pip"):
        skip("pip is missing (Debian: python3-pip)", 5)
        return
    folder = put(tmpdir(), app__py="application = 1\n", requirements__txt=(
        "--no-index\n--find-links wheels\nboarded\n"))
    os.mkdir(os.path.join(folder, "wheels"))
    about = "boarded-1.0.dist-info/"
    with zipfile.ZipFile(os.path.join(
            folder, "wheels", "boarded-1.0-py3-none-any.whl"), "w") as z:
        for name, text in (
                ("boarded.py", "said = 1\n"),
                (about + "METADATA", "Metadata-Version: 2.1\nName: boarded\n"
                 "Version: 1.0\n"),
                (about + "WHEEL", "Wheel-Version: 1.0\nGenerator: by hand\n"
                 "Root-Is-Purelib: true\nTag: py3-none-any\n"),
                (about + "RECORD", "")):
            z.writestr(name, text)
    status, said, archive = make(folder)
    is_(status, 0, "requirements.txt: it is made")
    with zipfile.ZipFile(archive) as z:
        ok("gangway-webhosting/vendor/boarded.py" in z.namelist(),
           "requirements.txt: its packages are in vendor/", said)
    is_(digest(make(folder)[2]), digest(archive),
        "requirements.txt: made once more it is the same")
    put(folder, requirements__txt="--no-index\nno-such-thing\n")
    status, said, archive = make(folder)
    ok(status == 1 and "no-such-thing" in said and "vendor/" in said,
       "requirements.txt: what cannot be had is said", said)
    ok(not os.path.exists(archive), "requirements.txt: and nothing is made")


# --- that it runs

def answers(address, pid, name, first):
    """The first request of all, and whose code answered."""
    def get():
        try:
            with Http(address) as c:
                return c.get("/")
        except OSError:
            return None
    got = wait_for(get)
    is_(got and (got.status, got.body.decode()),
        (200, "boarded with " + os.path.join(ROOT, "vendor")),
        name + ": " + first)
    worker = (children(pid) or [pid])[0]
    with open("/proc/%d/maps" % worker) as f:
        maps = f.read()
    is_(sorted(set(re.findall(r"\S*lib(?:bsd|md|uv|inih|fcgi)\.so\S*",
                              maps))),
        sorted(os.path.join(ROOT, "gangway", "lib", n) for n in os.listdir(
            os.path.join(ROOT, "gangway", "lib"))
            if re.match(r"lib(bsd|md|uv|inih|fcgi)\.", n)),
        name + ": by the libraries of the upload")
    with open("/proc/%d/status" % worker) as f:
        uid = int(re.search(r"^Uid:\s+(\d+)", f.read(), re.M).group(1))
    ok(uid != 0 or not NOBODY, name + ": as somebody")


def serve(name, *argv):
    address = ("127.0.0.1", free_port())
    with Process(CLEAN + list(argv) + ["-b", "%s:%d" % address, "-w", "1"],
                 cwd=ROOT, **NOBODY) as p:
        answers(address, p.pid, name, "the first answer")
        is_(p.stop(), 0, name + ": stops with 0")


def inside():
    serve("inside", "PYTHONPATH=vendor", PYTHON, "-m", "gangway")


def program():
    serve("the program", "PYTHONPATH=vendor",
          os.path.join(ROOT, "gangway", "bin", "gangway"))


def spawned():
    spawn = need("spawn-fcgi", "spawn-fcgi")
    if not spawn:
        return
    for how in ("auto", "exec"):
        entry = os.path.join(ROOT, "public", "dispatch.fcgi")
        with open(entry) as f:
            text = f.read()
        put(os.path.dirname(entry),
            dispatch__fcgi=text.replace("HOW=auto", "HOW=" + how))
        address = ("127.0.0.1", free_port())
        with Process(CLEAN + [spawn, "-n", "-a", address[0], "-p",
                              str(address[1]), "--", entry],
                     cwd="/", **NOBODY) as p:
            with fcgi(address, p) as c:
                r = c.request("/")
                is_((r.status, r.body.decode()),
                    (200, "boarded with " + os.path.join(ROOT, "vendor")),
                    "spawn-fcgi, %s: the first answer" % how)
            exe = {os.readlink("/proc/%d/exe" % q) for q in tree(p.pid)}
            ok(all(("python" in e) == (how == "auto") for e in exe),
               "spawn-fcgi, %s: nothing between" % how, exe)
            is_(p.stop(), 0, "spawn-fcgi, %s: stops with 0" % how)
        put(os.path.dirname(entry), dispatch__fcgi=text)


def as_cgi():
    """What cannot be served is said to the visitor."""
    run = subprocess.run(
        CLEAN + ["GATEWAY_INTERFACE=CGI/1.1", "REQUEST_METHOD=GET",
                 os.path.join(ROOT, "public", "dispatch.fcgi")], cwd="/",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, **NOBODY)
    ok(run.stdout.startswith("Status: 500 ") and "needs FastCGI" in
       run.stdout, "as CGI, where all fits: a page", run.stdout)


def document_root():
    """The probe warns of a folder that is shown whole."""
    code = "import sys; from gangway import probe; " \
        "print(list(probe.folders({'DOCUMENT_ROOT': sys.argv[1]}))[0])"
    for shown, warned in ((ROOT, True), (os.path.dirname(ROOT), True),
                          (os.path.join(ROOT, "public"), False), ("", False)):
        run = subprocess.run(CLEAN + [PYTHON, "-B", "-c", code, shown],
                             cwd=ROOT, stdout=subprocess.PIPE, text=True,
                             **NOBODY)
        is_("VISITORS" in run.stdout, warned, "probe: document root "
            + (os.path.relpath(shown, ROOT) if shown else "unknown"))


def fcgi(address, p):
    """A connection to what is being started."""
    def opened():
        try:
            return Fcgi(address)
        except OSError:
            return None
    return wait_for(lambda: p.popen.poll() is not None or opened()) \
        and opened()


def passenger():
    """The first answer of all comes through a real Passenger, and so does
    the page that says why there can be none."""
    why = missing()
    if why:
        skip(why)
        return
    exec_root, (odd_root, other) = unpack(ARCHIVE), misfit()
    path = os.path.join(exec_root, "passenger_wsgi.py")
    with open(path) as f:
        text = f.read()
    put(exec_root, passenger_wsgi__py=text.replace('HOW = "auto"',
                                                   'HOW = "exec"'))
    sites = [Site(root, door="A") for root in (ROOT, exec_root, odd_root)]
    with Apache(*sites) as a:
        for name, site in zip(("inside", "the program"), sites):
            with site.http() as c:
                r = c.get("/")
                is_((r.status, r.body.decode()),
                    (200, "boarded with " + os.path.join(site.folder,
                                                         "vendor")),
                    "Passenger, %s: the first answer" % name)
                is_(c.get("/where/a%20b").body, b"|a b|",
                    "Passenger, %s: a path" % name)
                is_(c.get("/style.css").body, b"body {}\n",
                    "Passenger, %s: a file is a file" % name)
                is_(c.get("/gangway.ini").status, 404,
                    "Passenger, %s: gangway.ini is not shown" % name)
            log = os.path.join(site.folder, "tmp", "gangway.log")
            ok(os.path.exists(log), "Passenger, %s: it has its log" % name)
        exe = [os.path.basename(os.readlink("/proc/%d/exe" % p))
               for site in sites[:2] for p in a.applications(site)]
        ok(exe and "python" in exe[0] and exe[-1] == "gangway",
           "Passenger: by Python and by the program", exe)
        with sites[2].http() as c:
            r = c.get("/")
            is_((r.status, r["content-type"]),
                (500, "text/plain; charset=utf-8"),
                "Passenger, no object: a 500 of plain text")
            names_both(r.body.decode(), other, "Passenger, no object")
        ok("needed is " + other in a.log(),
           "Passenger, no object: Passenger's log has it, too")


HTTPD = """
ServerRoot %(d)s
ServerName localhost
Listen 127.0.0.1:%(port)d
PidFile %(d)s/pid
DefaultRuntimeDir %(d)s
Mutex file:%(d)s default
ErrorLog %(d)s/error.log
LogLevel warn
%(modules)s
TypesConfig /dev/null
FcgidIPCDir %(d)s/ipc
FcgidProcessTableFile %(d)s/shm
DocumentRoot %(root)s/public
<Directory />
    AllowOverride None
    Require all denied
</Directory>
<Directory %(root)s/public>
    AllowOverride FileInfo Options=ExecCGI
    Options SymLinksIfOwnerMatch
    Require all granted
</Directory>
"""
MODULES = ("mpm_event", "authz_core", "mime", "dir", "rewrite", "fcgid",
           "env", "setenvif", "unixd")


def apache(root):
    """Apache with mod_fcgid, of the user who owns the site; or None."""
    program = need("apache2", "apache2, libapache2-mod-fcgid")
    where = "/usr/lib/apache2/modules/mod_%s.so"
    if program and not os.path.exists(where % "fcgid"):
        skip("mod_fcgid is missing (Debian: libapache2-mod-fcgid)")
    if not program or not os.path.exists(where % "fcgid"):
        return None
    d, port = tmpdir(), free_port()
    os.chmod(d, 0o755)
    put(d, conf=HTTPD % dict(d=d, port=port, root=root, modules="".join(
        "LoadModule %s_module %s\n" % (m, where % m) for m in MODULES
        if os.path.exists(where % m))))
    if NOBODY:
        os.chown(d, NOBODY["user"], NOBODY["group"])
    p = Process(CLEAN + [program, "-f", d + "/conf", "-DFOREGROUND"], cwd="/",
                **NOBODY)
    p.address, p.error_log = ("127.0.0.1", port), d + "/error.log"
    return p


def mod_fcgid():
    p = apache(ROOT)
    if p is None:
        return
    with p:
        get = requester(p)
        r = wait_for(lambda: get("/"))
        is_(r and (r.status, r.body.decode()),
            (200, "boarded with " + os.path.join(ROOT, "vendor")),
            "mod_fcgid: the first answer")
        for path, want in (
                ("/where/x", "|x|"), ("/where/a%20b/%C3%A4", "|a b/\u00e4|"),
                ("/where/a+b&c", "|a+b&c|"), ("/where/x/?q=1", "|x/|")):
            r = get(path)
            is_(r and (r.status, r.body.decode()), (200, want),
                "mod_fcgid: " + path)
        r = get("/where/x", "Authorization: Basic eDp5\r\n")
        is_(r and r.body.decode(), "|x|Basic eDp5",
            "mod_fcgid: Authorization arrives")
        r = get("/style.css")
        is_(r and r.body, b"body {}\n", "mod_fcgid: a file is a file")
        for path in ("/gangway.ini", "/notes.txt", "/vendor/flask/app.py",
                     "/tmp/gangway.log", "/../gangway.ini"):
            r = get(path)
            ok(r and r.status in (400, 404),
               "mod_fcgid: %s is not shown" % path, r)
        entry = os.path.join(ROOT, "public", "dispatch.fcgi")
        old = get("/pid").body
        shutil.copy2(entry, entry + ".new")
        if NOBODY:
            os.chown(entry + ".new", NOBODY["user"], NOBODY["group"])
        os.replace(entry + ".new", entry)
        r = get("/pid")
        ok(r and r.status == 200 and r.body != old,
           "mod_fcgid: a dispatch.fcgi that is put there anew starts anew",
           r)
        p.stop()


def requester(p):
    def get(path, headers=""):
        try:
            with Http(p.address) as c:
                return c.get(path, headers)
        except OSError:
            return None
    return get


def probe():
    """The page that says what a host allows, through each form."""
    for name, argv in (
            ("inside", [PYTHON, "-m", "gangway"]),
            ("the program", [os.path.join(ROOT, "gangway/bin/gangway")])):
        address = ("127.0.0.1", free_port())
        with Process(CLEAN + argv + ["-b", "%s:%d" % address, "-w", "1",
                                     "gangway.probe:application"],
                     cwd=ROOT, **NOBODY) as p:
            p.address = address
            r = wait_for(lambda: requester(p)("/"))
            text = r.body.decode() if r else ""
            for want in (r"door +standalone",
                         r"form +%s" % ("inside" if name == "inside"
                                        else "as the program"),
                         r"Python +CPython " + re.escape(VERSION),
                         r"upload: Python .*: fits",
                         r"upload: C library .*: fits",
                         r"threads +64 of 64", r"processes +8 of 8",
                         r"open files +\d+", r"requests at once +workers 1",
                         re.escape(ROOT) + r"/tmp +writable, \d+ MB"):
                ok(re.search(want, text), "probe, %s: %s" % (name, want),
                   text)
            is_(p.stop(), 0, "probe, %s: stops with 0" % name)
    left = [n for n in os.listdir(os.path.join(ROOT, "tmp"))
            if "probe" in n]
    is_(left, [], "probe: what it wrote is gone")


# --- where it does not fit

def misfit():
    """The upload as it looks to a Python that it has no object for."""
    root = unpack(ARCHIVE)
    home = os.path.join(root, "gangway")
    core = next(n for n in os.listdir(home) if n.startswith("_core."))
    other = "3.%d" % (sys.version_info[1] + 1)
    os.rename(os.path.join(home, core), os.path.join(home, re.sub(
        r"cpython-\d+", "cpython-" + other.replace(".", ""), core)))
    made = os.path.join(home, "made.txt")
    with open(made) as f:
        text = f.read().replace(VERSION, other)
    put(home, made__txt=text)
    return root, other


def names_both(text, other, name):
    ok(re.search(r"Python: this host has %s\S*, needed is %s\." % (
        re.escape(VERSION), re.escape(other)), text),
       name + ": names what is there and what is needed", text)


def wrong_python():
    root, other = misfit()
    run = subprocess.run(CLEAN + [PYTHON, "-m", "gangway"], cwd=root,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, **NOBODY)
    last = run.stderr.strip().splitlines()[-1]
    ok(run.returncode != 0 and "here is " + VERSION in last and
       "needed is " + other in last, "python3 -m gangway: one line", last)
    entry = os.path.join(root, "public", "dispatch.fcgi")
    run = subprocess.run(
        CLEAN + ["GATEWAY_INTERFACE=CGI/1.1", "REQUEST_METHOD=GET", entry],
        cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, **NOBODY)
    ok(run.stdout.startswith("Status: 500 "), "as CGI: a 500", run.stdout)
    names_both(run.stdout, other, "as CGI")
    run = subprocess.run(CLEAN + [entry], cwd="/", stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, **NOBODY)
    is_(run.returncode, 1, "from a shell: exits 1")
    names_both(run.stdout, other, "from a shell")
    page_of_passenger(root, other)
    page_of_fastcgi(root, other, entry)


def page_of_passenger(root, other):
    """What the host's own loader finds in passenger_wsgi.py."""
    code = "import passenger_wsgi as p\n" \
        "def start(status, headers): print(status, dict(headers)" \
        "['Content-Type'])\n" \
        "print(b''.join(p.application({}, start)).decode())"
    run = subprocess.run(CLEAN + [PYTHON, "-c", code], cwd=root,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, **NOBODY)
    ok(run.stdout.startswith("500 Internal Server Error text/plain"),
       "passenger_wsgi.py: a 500 of plain text", run.stdout + run.stderr)
    names_both(run.stdout, other, "passenger_wsgi.py")
    ok("needs Python %s, and this host has no /" % other in run.stdout,
       "passenger_wsgi.py: nor does the program run here", run.stdout)
    ok("here is " + VERSION in run.stderr,
       "passenger_wsgi.py: the host's log has it, too", run.stderr)


def page_of_fastcgi(root, other, entry):
    spawn = need("spawn-fcgi", "spawn-fcgi")
    if spawn:
        address = ("127.0.0.1", free_port())
        with Process(CLEAN + [spawn, "-n", "-a", address[0], "-p",
                              str(address[1]), "--", entry],
                     cwd="/", **NOBODY) as p:
            for n in (1, 2):
                with fcgi(address, p) as c:
                    r = c.request("/", method="POST", body=b"x" * 100000)
                    is_(r.status, 500, "spawn-fcgi: a 500 (%d)" % n)
                    names_both(r.body.decode(), other,
                               "spawn-fcgi (%d)" % n)
            is_(p.stop(signal.SIGTERM), -signal.SIGTERM,
                "spawn-fcgi: stops when told")
    p = apache(root)
    if p is not None:
        with p:
            r = wait_for(lambda: requester(p)("/any/path"))
            is_(r and (r.status, r["content-type"]),
                (500, "text/plain; charset=utf-8"), "mod_fcgid: a 500")
            names_both(r.body.decode() if r else "", other, "mod_fcgid")


def old_library():
    """A host whose glibc is older than this one's."""
    root = unpack(ARCHIVE)
    made = os.path.join(root, "gangway", "made.txt")
    with open(made) as f:
        text = re.sub(r"(?m)^glibc .*", "glibc 9.99", f.read())
    put(os.path.dirname(made), made__txt=text)
    run = subprocess.run(CLEAN + [PYTHON, "gangway/fits.py"], cwd=root,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, **NOBODY)
    ok(re.search(r"C library: this host has glibc \d\.\d+, needed is glibc "
                 r"9\.99 or later\.", run.stdout),
       "another glibc is named with the one that is needed", run.stdout)


# In the place of libtool: a source is read as far as all that it includes,
# and what is linked must be there.
READ_ONLY = """#!/bin/sh
while case $1 in --*) ;; *) false ;; esac; do shift; done
case " $* " in *" -c "*) exec "$@" -E ;; esac
was='' target=''
for part; do
    case $was:$part in
    -o:*) target=$part ;;
    *.lo|*.la) [ -e "$part" ] || { echo "$part is missing"; exit 1; } ;;
    esac
    was=$part
done
: >"$target"
"""


def built_alone():
    """As for a Python that the main build is not for: an empty folder, and
    no more of it than the object. That all which this needs is made, and
    made before it is used, is seen without compiling it all again."""
    if os.path.exists(os.path.join(TOP, "config.status")):
        skip("the source folder is configured itself")
        return
    clean = {k: v for k, v in os.environ.items()
             if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    folder = tmpdir()
    # What configure found out for the main build.
    with open(os.path.join(BUILD, "config.log")) as f:
        found = re.findall(r"(?m)^(?!ac_cv_env_)\w+_cv_\w+=.*$", f.read())
    put(folder, known="\n".join(found) + "\n", libtool__sh=READ_ONLY)
    libtool = os.path.join(folder, "libtool.sh")
    os.chmod(libtool, 0o755)
    for argv in (
            [os.path.abspath(os.path.join(TOP, "configure")),
             "--cache-file=known", "--disable-dependency-tracking",
             "--with-python=python-" + VERSION],
            ["make", "-j2", "LIBTOOL=" + libtool, "shim/upload/_core.la"]):
        run = subprocess.run(argv, cwd=folder, env=clean, text=True,
                             stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if not ok(run.returncode == 0, "in an empty folder: "
                  + os.path.basename(argv[0]), run.stdout[-2000:]):
            break


def another_python():
    """A real one, where there is one."""
    names = ["python3.%d" % n for n in range(6, 20)
             if "3.%d" % n != VERSION]
    found = [p for p in (shutil.which(n) for n in names) if p and
             subprocess.run([p, "-c", ""], stdin=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL).returncode == 0]
    if not found:
        skip("no Python of another version is installed", 2)
        return
    root = unpack(ARCHIVE)
    run = subprocess.run(CLEAN + [found[0], "gangway/fits.py"], cwd=root,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    is_(run.returncode, 1, "%s: does not fit" % found[0])
    ok("needed is %s." % VERSION in run.stdout, "and says what would",
       run.stdout + run.stderr)


SITE = ARCHIVE = ROOT = None


def prepare():
    """Make the upload and unpack it once for all."""
    global SITE, ARCHIVE, ROOT
    ready()
    SITE = flask_site()
    status, said, ARCHIVE = make(SITE)
    if not ok(status == 0, "it is made", said):
        done()
    is_(stat.S_IMODE(os.stat(ARCHIVE).st_mode), 0o600,
        "the zip is its owner's")
    ROOT = unpack(ARCHIVE)


def one_after_the_other(*groups):
    for group in groups:
        attempt(group)


def main():
    guard(900)
    prepare()
    # Those that look at all of it, and those that change what is printed.
    one_after_the_other(contents, which_application, links,
                        named_in_settings, named_in_entries)
    together([(one_after_the_other, *groups) for groups in (
        [by_pip], [built_alone], [passenger],
        [spawned, mod_fcgid, as_cgi],       # they have one dispatch.fcgi
        [same_again], [another_python], [wrong_python],
        [inside, program, probe, document_root], [old_library])])
    done()


if __name__ == "__main__":
    main()
