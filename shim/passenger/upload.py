#!/usr/bin/python3
"""Put an application and gangway together for a host that takes uploads.

    upload.py APPDIR OUT [--app MODULE[:NAME]] --program BUILD
        --core PYTHON BUILD ...

makes the folder OUT and OUT.zip. deploy.sh webhosting calls it, after it has
built `upload` in these folders. The same input makes the same zip.
"""
import argparse
import ast
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
SUFFIX = "import sysconfig as s;print('%s %s' % (s.get_python_version()," \
    " s.get_config_var('EXT_SUFFIX')))"

# Never part of an application: what tools keep beside the sources.
LEFT_OUT = {".git", ".hg", ".svn", ".bzr", "CVS", "__pycache__", ".tox",
            ".idea", ".vscode", ".mypy_cache", ".pytest_cache",
            ".ruff_cache", ".DS_Store", "Thumbs.db"}
# Libraries that are there wherever a Python is; the host's must be used.
OF_THE_HOST = re.compile(
    r"(ld-linux.*|linux-vdso|linux-gate|lib(c|m|dl|rt|pthread|util|resolv|"
    r"crypt|nsl|gcc_s|stdc\+\+|z|expat))\.so")
# Of a gangway.ini: other sections may have an app of their own.
SECTION = re.compile(r"^\[gangway\](.*?)(?=^\[|\Z)", re.M | re.S)
APP_LINE = re.compile(r"^(?:app|wsgi_app)[ \t]*[=:][ \t]*(?P<app>.*?)"
                      r"[ \t]*(?:[ \t];.*)?$", re.M)
# Our own files; an application may have its own of these.
MARK = "GANGWAY_BOARDED"        # in our passenger_wsgi.py
STARTUP = "passenger_wsgi.py"
RENAMED = "passenger_app.py"


def die(text):
    sys.exit("deploy.sh: " + text)


def say(text):
    print("deploy.sh: " + text)


def read(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        return f.read()


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as f:
        f.write(text)


def run(*argv):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE,
                          universal_newlines=True).stdout


# --- the application

def left_out(folder, name, top):
    path = os.path.join(folder, name)
    return (name in LEFT_OUT or name.endswith((".pyc", ".pyo"))
            or os.path.exists(os.path.join(path, "pyvenv.cfg"))
            or top and (name == "tmp" or name.startswith("gangway-webhosting")
                        or is_ours(path)))


def is_ours(folder):
    return os.path.exists(os.path.join(folder, "made.txt")) and \
        os.path.exists(os.path.join(folder, "fits.py"))


def leaves(path, home):
    """Where a link leads to, if that is not in the folder home."""
    real = os.path.realpath(path)
    return real if os.path.islink(path) and \
        os.path.commonpath([real, home]) != home else None


def copy_app(source, target, above=(), shown=False, home=None):
    """A folder with what its links point to, the newest time of a file.
    Shown: it is in public/, and not by a link that leads out of home."""
    real = os.path.realpath(source)
    home = home or real
    if real in above:
        die("%s is a link to a folder that it is in" % source)
    os.makedirs(target, exist_ok=True)
    newest = 0
    for name in sorted(os.listdir(source)):
        path, to = os.path.join(source, name), os.path.join(target, name)
        if left_out(source, name, not above):
            continue
        seen = shown or not above and name == "public"
        other = leaves(path, home)
        if other and os.path.exists(path):
            say("%s is a link to %s, outside the application: it is in the "
                "upload, no more open than there" % (path, other))
            seen = False
        if os.path.isdir(path):
            newest = max(newest, copy_app(path, to, above + (real,), seen,
                                          other or home))
        elif os.path.isfile(path):
            shutil.copy2(path, to)
            newest = max(newest, os.stat(path).st_mtime)
        else:
            say("left out, for it is no file: " + path)
            continue
        os.chmod(to, fit_mode(to, seen, os.stat(path).st_mode))
    return newest


def fit_mode(path, shown, mode):
    """Nothing that others may write, as suexec wants it; and nothing that is
    closed to others is opened, but what the web server shows itself."""
    if os.path.isdir(path):
        return 0o755 if shown else mode & 0o755 | stat.S_IRWXU
    if shown:
        return 0o755 if mode & stat.S_IXUSR else 0o644
    return mode & 0o755 | stat.S_IRUSR | stat.S_IWUSR


def defines(path, names=("application", "app")):
    """Which of these names a Python file defines at its outermost level."""
    try:
        body = ast.parse(read(path)).body
    except (SyntaxError, ValueError):
        return None
    found = set()
    for node in body:
        for part in ast.walk(node) if not isinstance(
                node, (ast.FunctionDef, ast.ClassDef)) else [node]:
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                found.add(part.id)
            elif isinstance(part, ast.alias):
                found.add(part.asname or part.name)
            elif isinstance(part, (ast.FunctionDef, ast.ClassDef)):
                found.add(part.name)
    return next((name for name in names if name in found), None)


def named_in_settings(folder):
    """What a gangway.ini or a gunicorn.conf.py calls the application."""
    path = os.path.join(folder, "gangway.ini")
    section = SECTION.search(read(path)) if os.path.exists(path) else None
    found = APP_LINE.search(section.group(1)) if section else None
    path = os.path.join(folder, "gunicorn.conf.py")
    if not section and os.path.exists(path):
        found = re.search(r"^wsgi_app\s*=\s*([\"'])(?P<app>.+?)\1",
                          read(path), re.M)
    return found.group("app") if found else None


def find_app(folder):
    """module:name of the application in a folder; None when in doubt."""
    named = named_in_settings(folder)
    if named:
        return named
    candidates = [STARTUP, "wsgi.py", "app.py", "application.py", "main.py"]
    candidates += [os.path.join(name, "wsgi.py")
                   for name in sorted(os.listdir(folder))]
    for path in candidates:
        full = os.path.join(folder, path)
        if os.path.isfile(full) and MARK not in read(full):
            name = defines(full)
            if name:
                return path[:-3].replace(os.sep, ".") + ":" + name
    return None


def make_way(stage, app):
    """The application's own startup file gets another name, so that ours
    can have it; the application's name is then another, too."""
    own = os.path.join(stage, STARTUP)
    if not os.path.exists(own) or MARK in read(own):
        return app
    if os.path.exists(os.path.join(stage, RENAMED)):
        die("%s and %s are both there: name the application with --app and "
            "rename one" % (STARTUP, RENAMED))
    os.rename(own, os.path.join(stage, RENAMED))
    say("the application's %s is %s in the upload" % (STARTUP, RENAMED))
    return re.sub(r"^passenger_wsgi(\.py)?(?=$|:)", RENAMED[:-3] + r"\1", app)


def settings(stage, app):
    """gangway.ini names the application; True when it does."""
    path = os.path.join(stage, "gangway.ini")
    if not os.path.exists(path):
        if os.path.exists(os.path.join(stage, "gunicorn.conf.py")):
            return False    # a gangway.ini would take its place
        write(path, read(os.path.join(HERE, "gangway.ini")))
    text, line = read(path), "app = " + app
    section = SECTION.search(text)
    if not section:
        write(path, "[gangway]\n" + line + "\n\n" + text)
        return True
    new, n = APP_LINE.subn(lambda m: line, section.group(1), count=1)
    if n == 0:
        first, _, rest = new.partition("\n")
        new = first + "\n" + line + "\n" + rest
    write(path, text[:section.start(1)] + new + text[section.end(1):])
    return True


def packages(stage, python):
    """vendor/: what is there, else what requirements.txt names."""
    vendor = os.path.join(stage, "vendor")
    wanted = os.path.join(stage, "requirements.txt")
    if os.path.isdir(vendor):
        if os.path.exists(wanted):
            say("vendor/ is taken as it is; without it, requirements.txt "
                "would be installed")
        return
    os.mkdir(vendor)
    if not os.path.exists(wanted):
        return
    say("installing requirements.txt into vendor/")
    got = subprocess.run([python, "-m", "pip", "install", "--quiet",
                          "--disable-pip-version-check", "--no-compile",
                          "--no-input", "--target", vendor, "-r", wanted],
                         stdin=subprocess.DEVNULL)
    if got.returncode != 0:
        die("pip could not install requirements.txt (%s -m pip): put the "
            "packages into vendor/ of the application by other means"
            % python)


def made_for(stage, versions):
    """Say which packages have objects for other Pythons only."""
    for where, _, files in os.walk(os.path.join(stage, "vendor")):
        tags = {m.group(1) for m in (re.match(r".*\.cpython-(\d+)[^.]*\.so$",
                                              name) for name in files) if m}
        lacking = [v for v in versions if v.replace(".", "") not in tags]
        if tags and lacking:
            say("%s has an object for another Python, and none for %s" % (
                os.path.relpath(where, stage), ", ".join(lacking)))


# --- gangway

def glibc_of(paths):
    """The glibc that these objects need, as a text."""
    found = re.findall(r"\bGLIBC_(\d+)\.(\d+)", run("readelf", "-VW", *paths))
    return "%d.%d" % max((int(a), int(b)) for a, b in found) if found else ""


def libraries_of(path):
    """{soname: path} of what an object needs beside the host's own."""
    found = {}
    for line in run("ldd", path).splitlines():
        m = re.match(r"\s*(\S+) => (\S.*?) \(0x", line)
        if not m and "not found" in line:
            die("%s: %s" % (path, line.strip()))
        if m and not OF_THE_HOST.match(m.group(1)):
            found[m.group(1)] = m.group(2)
    return found


def copy_object(source, target, mode=0o644):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(os.path.realpath(source), target)
    os.chmod(target, 0o755)
    run("strip", "--strip-unneeded", target)
    os.chmod(target, mode)
    return target


def put_server(home, program, cores):
    """The package gangway with its objects, libraries and program."""
    source = os.path.join(TOP, "shim", "python", "gangway")
    for name in sorted(os.listdir(source)):
        if name.endswith(".py"):
            write(os.path.join(home, name), read(os.path.join(source, name)))
    inside, versions, libs = [], [], {}
    for python, build in cores:
        version, suffix = run(python, "-c", SUFFIX).split()
        core = os.path.join(build, "shim", "upload", ".libs", "_core.so")
        libs.update(libraries_of(core))
        inside.append(copy_object(core, os.path.join(home, "_core" + suffix)))
        versions.append(version)
    lib = os.path.join(home, "lib")
    inside += [copy_object(path, os.path.join(lib, soname))
               for soname, path in sorted(libs.items())]
    alone, about = put_program(home, program, libs)
    about.update(machine=os.uname().machine, glibc=glibc_of(inside),
                 pythons=" ".join(versions))
    about["program-glibc"] = glibc_of(inside + alone)
    write(os.path.join(home, "made.txt"), "".join(
        "%s %s\n" % item for item in sorted(about.items())))
    return versions


def put_program(home, build, have):
    """The program, for hosts whose Python cannot be used from inside."""
    upload = os.path.join(build, "shim", "upload")
    python = re.search(r'#define PYTHON_PROGRAM "(.*)/bin/(.*)"', read(
        os.path.join(build, "config.h")))
    program = os.path.join(upload, "gangway")
    module = os.path.join(upload, ".libs", "python.so")
    version = run(program, "--version")
    libs = dict(libraries_of(module), **libraries_of(program))
    link = re.search(r"libpython(\d\.\d+)", " ".join(libs))
    put = [copy_object(program, os.path.join(home, "bin", "gangway"), 0o755)]
    if link:
        put.append(copy_object(module, os.path.join(
            home, "lib", "gangway", "python%s.so" % link.group(1))))
    put += [copy_object(libs[soname], os.path.join(home, "lib", soname))
            for soname in sorted(set(libs) - set(have))]
    about = {"version": re.search(r"\d[\w.]*", version).group(0)}
    if link:
        about["program-python"] = link.group(1)
        about["program-library"] = os.path.join(
            python.group(1), "lib", python.group(2))
    return put, about


# --- the doors

def set_line(text, name, value):
    """NAME = ... or NAME=... at a line's start gets this value, which is
    quoted as the language of the text wants it."""
    return re.sub(r"^(%s\s*=[ ]?)(?:\"[^\"]*\"|'[^']*'|[^\s#]*)(?=\s|$)"
                  % name, lambda m: m.group(1) + value, text,
                  count=1, flags=re.M)


def put_file(stage, path, text, mode=0o644):
    """Ours, where the application has none of that name."""
    to = os.path.join(stage, path)
    if os.path.lexists(to):
        say("%s is the application's own and stays; ours is "
            "gangway/entries/%s" % (path, os.path.basename(path)))
        to = os.path.join(stage, "gangway", "entries", os.path.basename(path))
    write(to, text)
    os.chmod(to, mode)


def put_entries(stage, app, versions):
    """app: what the entries must name, or "" when the settings do."""
    text = read(os.path.join(HERE, STARTUP))
    if app:
        text = set_line(text, "APP", ascii(app))
    if not os.path.exists(os.path.join(stage, STARTUP)):
        write(os.path.join(stage, STARTUP), text)
    text = set_line(read(os.path.join(HERE, "dispatch.fcgi")), "VERSIONS",
                    shlex.quote(" ".join(versions)))
    if app:
        text = set_line(text, "APP", shlex.quote(app))
    put_file(stage, "public/dispatch.fcgi", text, 0o755)
    put_file(stage, "public/.htaccess", read(os.path.join(HERE, "htaccess")))
    put_file(stage, "READ-ME-gangway.txt",
             read(os.path.join(HERE, "upload.txt")))
    write(os.path.join(stage, "tmp", "restart.txt"), "")


# --- the zip

def zip_folder(folder, target, kept, stamp):
    """The application's files (kept) keep their times, for Apache and Python
    go by them; all else gets that of the newest, so that the zip is the same
    when nothing has changed."""
    base = os.path.basename(folder)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED,
                         compresslevel=9) as z:
        for name in sorted(paths_below(folder) | {"."}):
            path = os.path.join(folder, name)
            when = min(os.stat(path).st_mtime, stamp) if name in kept else \
                stamp
            when = max(int(when), 315532800) // 2 * 2   # what a zip can say
            zip_one(z, path, os.path.normpath(os.path.join(base, name)), when)
            os.utime(path, (when, when))


def zip_one(z, path, name, when):
    is_folder = os.path.isdir(path)
    info = zipfile.ZipInfo(name + "/" * is_folder, time.gmtime(when)[:6])
    info.create_system = 3      # Unix: its modes count
    info.external_attr = os.stat(path).st_mode << 16 | is_folder << 4
    info.compress_type = zipfile.ZIP_STORED if is_folder else \
        zipfile.ZIP_DEFLATED
    data = b""
    if not is_folder:
        with open(path, "rb") as f:
            data = f.read()
    z.writestr(info, data)


def paths_below(folder):
    return {os.path.relpath(os.path.join(where, name), folder)
            for where, folders, files in os.walk(folder)
            for name in folders + files}


def arguments():
    parser = argparse.ArgumentParser(prog="deploy.sh webhosting")
    parser.add_argument("appdir")
    parser.add_argument("out")
    parser.add_argument("--app", default="")
    parser.add_argument("--program", required=True)
    parser.add_argument("--core", action="append", nargs=2, required=True)
    args = parser.parse_args()
    args.appdir = os.path.abspath(args.appdir)
    args.out = os.path.abspath(args.out)
    return args


def main():
    args = arguments()
    app = args.app or find_app(args.appdir)
    if not app:
        die("no application is found in %s: name it with --app MODULE:NAME"
            % args.appdir)
    if os.path.lexists(args.out) and not is_ours(
            os.path.join(args.out, "gangway")):
        die("%s is there, and was not made by this: move it away" % args.out)
    if os.path.lexists(os.path.join(args.appdir, "gangway")) and not is_ours(
            os.path.join(args.appdir, "gangway")):
        die("%s/gangway would be in the server's place: it must have another "
            "name" % args.appdir)
    os.umask(0o022)
    # Closed to others until it is whole; and so is the zip afterwards, for
    # it holds what is closed in the application.
    work = tempfile.mkdtemp(prefix=os.path.basename(args.out) + ".",
                            dir=os.path.dirname(args.out))
    stage, made = os.path.join(work, "folder"), os.path.join(work, "zip")
    try:
        newest = copy_app(args.appdir, stage)
        kept = {path for path in paths_below(stage)
                if os.path.isfile(os.path.join(stage, path))}
        packages(stage, args.core[0][0])
        app = make_way(stage, app)
        named = settings(stage, app)
        versions = put_server(os.path.join(stage, "gangway"),
                              args.program, args.core)
        made_for(stage, versions)
        put_entries(stage, "" if named else app, versions)
        shutil.rmtree(args.out, ignore_errors=True)
        os.rename(stage, args.out)
        stamp = int(os.environ.get("SOURCE_DATE_EPOCH") or newest)
        zip_folder(args.out, made, kept, stamp)
        os.chmod(made, 0o600)
        target = args.out + ".zip"
        os.replace(made, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    say("%s runs %s on Python %s (%.1f MB)" % (
        target, app, ", ".join(versions),
        os.path.getsize(target) / 1e6))


if __name__ == "__main__":
    try:
        main()
    except (OSError, subprocess.CalledProcessError) as e:
        die(str(e))
