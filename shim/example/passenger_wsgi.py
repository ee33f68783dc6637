"""The first thing to put on a new host: a page that says where it runs.

It shows who started it; when gangway serves it, each setting, where its value
came from, and whether the host heeds it; and the request as it arrived. It
needs Python 3.9 and nothing else, and runs under any WSGI server:

    gangway                     # finds passenger_wsgi.py by itself
    gunicorn passenger_wsgi
    python3 passenger_wsgi.py

Other paths, to try a host out: /health, /echo (POST), /slow?s=0.5, /error,
/download?kb=100. Put your own application in this file's place afterwards:
what it shows is of use to you, but also to others.
"""

import email.parser
import email.policy
import hashlib
import html
import json
import os
import platform
import re
import sys
import time
from urllib.parse import parse_qsl

MAX_BODY = 100 * 1024 * 1024    # read and counted
MAX_PARSED = 1024 * 1024        # looked into
MAX_SLOW = 5.0                  # seconds
MAX_DOWNLOAD = 64 * 1024        # kilobytes

SECRET = re.compile(r"cookie|auth|passw|secret|token|session|credential"
                    r"|api.?key|private.?key|signature|^key$", re.I)
MASK = "\u2022" * 6


# What decides how much a host can take: always shown.
WORTH = ("worker_class", "workers", "threads", "worker_connections", "timeout",
         "graceful_timeout", "keepalive", "max_requests",
         "max_requests_jitter", "backlog")


# --- what is known of the host and the request

HOSTS = {
    "passenger": "Phusion Passenger",
    "fastcgi": "spawn-fcgi, multiwatch, lighttpd, mod_fcgid or the like",
    "systemd": "systemd (socket activation)",
    "cgi": "a web server, as a CGI program",
    "standalone": "a shell, a container or a service manager",
}


def host_of(environ):
    """Who started this process, as far as it can be seen from here."""
    named = environ.get("gangway.host")
    if named:
        return HOSTS.get(str(named), str(named))
    software = environ.get("SERVER_SOFTWARE", "")
    if "phusion" in software.lower() or any(
            name.startswith("PASSENGER_") for name in os.environ):
        return HOSTS["passenger"]
    for key, name in (("mod_wsgi.version", "Apache with mod_wsgi"),
                      ("uwsgi.version", "uWSGI")):
        if key in environ:
            return name
    if software.startswith("WSGIServer"):
        return "wsgiref, Python's own server for development"
    return software.split("/")[0] or "an unknown WSGI server"


def at_once(environ):
    """How many requests this application must expect at the same time."""
    rows = environ.get("gangway.settings") or ()
    known = {row[0]: row[1] for row in rows}
    if known.get("worker_class") == "gthread":
        threads = counted(known.get("threads"), "thread")
        if "workers" not in known or left_to_host(rows, "workers"):
            return "as many processes as the host starts, %s each" % threads
        return "%s, %s each" % (counted(known["workers"], "worker"), threads)
    threads = "several threads" if environ.get("wsgi.multithread") \
        else "one thread"
    if environ.get("wsgi.multiprocess"):
        return "several processes, %s each" % threads
    return "one process, " + threads


def counted(n, noun):
    return "%s %s%s" % (n, noun, "" if str(n) == "1" else "s")


def standing_of(row):
    """(what holds, the host's reason) of a row of gangway.settings."""
    what, _, why = (row[3] if len(row) > 3 else "").partition(": ")
    return what, why


def left_to_host(rows, name):
    return any(row[0] == name and "the host" in standing_of(row)[0]
               for row in rows)


def masked(name, value):
    return MASK if value and SECRET.search(name) else value


def masked_query(query):
    """A query string with the values that look secret taken out."""
    return "&".join(
        name + "=" + masked(name, value) if eq else name
        for name, eq, value in
        (part.partition("=") for part in query.split("&")))


def masked_setting(name, value):
    """A setting's value as text; NAME=VALUE pairs are masked one by one."""
    if isinstance(value, (list, tuple)):
        return ", ".join(masked_setting(name, item) for item in value)
    text = "" if value in (None, "None", "[]", "{}") else str(value)
    if text[0:1] + text[-1:] == "[]":     # a list, as Python writes it
        text = text[1:-1].replace("'", "")
    return re.sub(r"(\w*)=([^\s,]+)",
                  lambda m: m.group(1) + "=" + masked(m.group(1), m.group(2)),
                  text)


def title_case(name):
    return "-".join(word.capitalize() for word in name.split("_"))


def headers_of(environ):
    """The request's headers as (name, value), secrets masked."""
    found = []
    for key, value in sorted(environ.items()):
        if key.startswith("HTTP_"):
            found.append((title_case(key[5:]), value))
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            found.append((title_case(key), value))
    return [(name, masked_query(value) if name == "Referer"
             else masked(name, value)) for name, value in found]


class TooLarge(Exception):
    pass


def read_body(environ):
    """(length, sha256, the bytes where they are few enough to look into)."""
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdigit():
        left = int(length)
    else:   # without a length, only a server that marks the end is safe
        left = MAX_BODY + 1 if environ.get("wsgi.input_terminated") else 0
    total, digest, kept = 0, hashlib.sha256(), []
    while left > 0:
        chunk = stream.read(min(left, 65536))
        if not chunk:
            break
        left -= len(chunk)
        total += len(chunk)
        if total > MAX_BODY:
            raise TooLarge()
        digest.update(chunk)
        if total <= MAX_PARSED:
            kept.append(chunk)
    return (total, digest.hexdigest(),
            b"".join(kept) if total <= MAX_PARSED else None)


def fields_of(content_type, body):
    """A form's fields as (name, what it was), or [] for another body."""
    kind = content_type.split(";")[0].strip().lower()
    if not body:
        return []
    if kind == "application/x-www-form-urlencoded":
        pairs = parse_qsl(body.decode("utf-8", "replace"),
                          keep_blank_values=True)
        return [(name, masked(name, value)) for name, value in pairs]
    if kind != "multipart/form-data":
        return []
    head = b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n"
    message = email.parser.BytesParser(
        policy=email.policy.HTTP).parsebytes(head + body)
    fields = []
    for part in message.iter_parts():
        data = part.get_payload(decode=True) or b""
        name = part.get_param("name", "", header="content-disposition")
        filename = part.get_filename()
        if filename is not None:
            what = "file \u201c%s\u201d, %s" % (filename, size(len(data)))
        else:
            what = masked(str(name), data.decode("utf-8", "replace"))
        fields.append((str(name), what))
    return fields


def size(n):
    return "1 byte" if n == 1 else "{:,} bytes".format(n)


# --- the page

CSS = """
:root { --bg:#f5f6f8; --card:#fff; --ink:#1c2330; --soft:#626d7f;
  --line:#e4e7ec; --accent:#2457d6; --good:#18794e; --goodbg:#e4f5ec;
  --warn:#8a4b08; --warnbg:#fdf0d9;
  --mono:ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace; }
@media (prefers-color-scheme: dark) { :root { --bg:#12151b; --card:#1a1f28;
  --ink:#e6e9ef; --soft:#97a2b4; --line:#2b323e; --accent:#86a8ff;
  --good:#7fdcae; --goodbg:#15352a; --warn:#f5c26b; --warnbg:#3b2d12; } }
* { box-sizing:border-box }
body { margin:0; background:var(--bg); color:var(--ink);
  font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",
  sans-serif }
main { max-width:60rem; margin:0 auto; padding:2.5rem 1.25rem 4rem }
h1 { font-size:1.75rem; line-height:1.2; margin:.75rem 0 .35rem }
h2 { font-size:1.05rem; margin:0 0 .75rem }
p { margin:0 0 .75rem } .soft { color:var(--soft) }
.lead { color:var(--soft); margin-bottom:1.75rem }
.badge { display:inline-block; background:var(--goodbg); color:var(--good);
  border-radius:1rem; padding:.1rem .75rem; font-size:.875rem;
  font-weight:600 }
section { background:var(--card); border:1px solid var(--line);
  border-radius:.6rem; padding:1.25rem 1.4rem; margin-bottom:1.1rem }
.two { display:grid; gap:1.1rem; grid-template-columns:1fr 1fr }
.two section { margin:0 } .two { margin-bottom:1.1rem }
.facts { display:grid; gap:0; margin:0;
  grid-template-columns:minmax(8rem,auto) 1fr }
dt,dd { padding:.35rem 0; margin:0; border-top:1px solid var(--line) }
dt:first-of-type, dt:first-of-type + dd { border-top:0 }
dt { color:var(--soft); padding-right:1.25rem }
dd { overflow-wrap:anywhere; min-width:0 } dd.mono { padding-top:.5rem }
.mono, code, table { font-family:var(--mono); font-size:.84rem }
table { width:100%; border-collapse:collapse }
th { font:600 .8rem system-ui,"DejaVu Sans",sans-serif; color:var(--soft);
  text-align:left }
th,td { padding:.35rem 1.25rem .35rem 0; border-top:1px solid var(--line);
  vertical-align:top; overflow-wrap:anywhere }
thead th { border-top:0 } td:first-child { white-space:nowrap }
td:last-child { padding-right:0 } td.from { color:var(--soft) }
td:nth-child(2) { width:22% }
td.here { width:36%; color:var(--soft) }
td.here, .chip { font:.8rem/1.45 system-ui,"Segoe UI",Roboto,"DejaVu Sans",
  sans-serif }
.chip { display:inline-block; border-radius:.7rem; padding:0 .55rem;
  background:var(--bg); color:var(--soft); white-space:nowrap }
.chip.force { background:var(--goodbg); color:var(--good) }
.chip.over { background:var(--warnbg); color:var(--warn) }
details { margin-top:.9rem } summary { cursor:pointer; color:var(--accent) }
form { display:flex; gap:.6rem; flex-wrap:wrap; align-items:center;
  margin-bottom:.75rem }
input[type=text] { flex:1; min-width:9rem } input { font:inherit }
input[type=file] { flex:1; min-width:9rem; font-size:.875rem }
input[type=text], button { border:1px solid var(--line); border-radius:.4rem;
  padding:.4rem .75rem; background:var(--bg); color:var(--ink); font:inherit }
button { background:var(--accent); border-color:var(--accent);
  color:var(--card); font-weight:600; cursor:pointer }
a { color:var(--accent) } nav a { margin-right:1.1rem; white-space:nowrap }
@media (max-width:44rem) { .two, .facts {
  grid-template-columns:minmax(0,1fr) } dd { border:0; padding-top:0 }
  dt { padding-bottom:0 } thead { display:none }
  table, tbody, tr, td { display:block; width:auto }
  tr { border-top:1px solid var(--line); padding:.45rem 0 }
  tr:first-child { border-top:0 } tr td { width:auto }
  td { border:0; padding:.05rem 0 } td:first-child { font-weight:600 } }
"""


def esc(text):
    return html.escape(str(text), quote=True)


def facts(pairs, mono=False):
    return '<dl class="facts">%s</dl>' % "".join(
        "<dt>%s</dt><dd%s>%s</dd>" % (
            esc(name), ' class="mono"' if mono else "",
            esc(value) if value not in ("", None)
            else '<span class="soft">\u2014</span>')
        for name, value in pairs)


CHIPS = {"in force": " force", "overridden by the host": " over"}


def table(rows):
    out = ["<table><thead><tr><th>Setting<th>Value<th>From"
           "<th>Under this host</thead><tbody>"]
    for row in rows:
        name, value, source = row[:3]
        what, why = standing_of(row)
        here = '<span class="chip%s">%s</span>' % (
            CHIPS.get(what, ""), esc(what)) if what else ""
        out.append('<tr><td>%s<td>%s<td class="from">%s<td class="here">%s'
                   % (esc(name), esc(masked_setting(name, value)) or "\u2014",
                      esc(source), here + (" " + esc(why) if why else "")))
    return "".join(out) + "</tbody></table>"


def summary(rows):
    """What the host does with the settings, in a sentence."""
    kinds = [standing_of(row)[0] for row in rows]
    left = kinds.count("left to the host")
    over = kinds.count("overridden by the host")
    if not any(kinds):
        return ""
    if left + over == 0:
        text = "The host leaves all of them to gangway."
    else:
        text = "The host keeps %d of %d to itself%s." % (
            left + over, len(rows), "" if not over else
            ", %d of them although somebody gave a value" % over)
    return '<p class="soft">%s</p>' % esc(text)


def settings_section(environ):
    rows = environ.get("gangway.settings")
    if rows is None:
        if "gangway" in environ.get("SERVER_SOFTWARE", "").lower():
            note = "This server did not hand its settings on."
        else:
            note = "Served by gangway, this page lists every setting " \
                   "in force and where it came from."
        return '<section><h2>Settings</h2><p class="soft">%s</p></section>' \
            % esc(note)
    shown = [row for row in rows if row[2] != "default" or row[0] in WORTH
             or standing_of(row)[0] == "overridden by the host"]
    rest = [row for row in rows if row not in shown]
    out = ["<section><h2>Settings</h2>", summary(rows), table(shown)]
    if rest:
        out.append("<details><summary>%d more at their defaults</summary>%s"
                   "</details>" % (len(rest), table(rest)))
    return "".join(out) + "</section>"


def received_section(body, content_type):
    """What a form brought, after a POST."""
    total, digest, data = body
    pairs = [("Length", size(total)), ("SHA-256", digest)]
    fields = fields_of(content_type, data)
    out = "<section><h2>Received</h2>" + facts(pairs)
    if fields:
        out += "<h2 style=\"margin-top:1rem\">Fields</h2>" + facts(fields)
    elif data is None:
        out += '<p class="soft">Too long to look into.</p>'
    return out + "</section>"


def request_pairs(environ):
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    try:    # WSGI's strings are bytes in disguise
        path = path.encode("latin-1").decode("utf-8")
    except UnicodeError:
        pass
    return [
        ("Method", environ["REQUEST_METHOD"]),
        ("Path", path),
        ("Query", masked_query(environ.get("QUERY_STRING", ""))),
        ("Scheme", "%s, %s" % (environ.get("wsgi.url_scheme"),
                               environ.get("SERVER_PROTOCOL"))),
        ("Client", environ.get("REMOTE_ADDR")),
    ]


def host_pairs(environ):
    return [
        ("Started by", host_of(environ)),
        ("Server", environ.get("SERVER_SOFTWARE")),
        ("Address", "%s:%s" % (environ.get("SERVER_NAME") or "",
                               environ.get("SERVER_PORT"))),
        ("Concurrency", at_once(environ)),
        ("Process", os.getpid()),
    ]


def python_pairs():
    return [
        ("Version", "%s %s" % (platform.python_implementation(),
                               platform.python_version())),
        ("Prefix", sys.prefix),
        ("Directory", os.getcwd()),
        ("System", platform.platform(terse=True)),
    ]


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title><link rel="icon" href="data:,">
<style>{css}</style></head><body><main>
<span class="badge">{badge}</span>
<h1>{title}</h1>
<p class="lead">{lead}</p>
{sections}
</main></body></html>
"""


def try_section(base):
    link = '<a href="%s/%s">%s</a>'
    links = " ".join(link % (base, path, text) for path, text in (
        ("health", "health check"), ("slow?s=0.5", "half a second"),
        ("download?kb=1024", "download 1 MB"), ("error", "an error")))
    return ("<section><h2>Try it</h2>"
            '<form method="post" action="{0}/"><input type="text" '
            'name="message" aria-label="Message" value="Hello">'
            "<button>Send a form</button></form>"
            '<form method="post" action="{0}/" enctype="multipart/form-data">'
            '<input type="file" name="upload" aria-label="File">'
            "<button>Upload a file</button></form>"
            "<nav>{1}</nav></section>").format(base, links)


def page(environ, start_response):
    body = read_body(environ) if environ["REQUEST_METHOD"] == "POST" else None
    base = esc(environ.get("SCRIPT_NAME", "").rstrip("/"))
    sections = []
    if body is not None:
        sections.append(received_section(body,
                                         environ.get("CONTENT_TYPE", "")))
    sections.append('<div class="two"><section><h2>Host</h2>%s</section>'
                    "<section><h2>Python</h2>%s</section></div>"
                    % (facts(host_pairs(environ)), facts(python_pairs())))
    sections.append(settings_section(environ))
    sections.append(try_section(base))
    sections.append("<section><h2>Request</h2>%s<details open><summary>"
                    "Headers</summary>%s</details></section>"
                    % (facts(request_pairs(environ)),
                       facts(headers_of(environ), mono=True)))
    text = PAGE.format(
        css=CSS, badge="running", title="Your application is on board",
        lead="This is the example <code>passenger_wsgi.py</code>. Put your "
        "own in its place when what you see below is right.",
        sections="\n".join(sections))
    return answer(start_response, "200 OK", "text/html; charset=utf-8", text)


# --- the other paths

def answer(start_response, status, kind, text, extra=()):
    data = text.encode("utf-8", "replace")
    start_response(status, [
        ("Content-Type", kind),
        ("Content-Length", str(len(data))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; form-action 'self'; "
         "style-src 'unsafe-inline'; img-src data:"),
        *extra])
    return [data]


def plain(start_response, status, text, extra=()):
    return answer(start_response, status, "text/plain; charset=utf-8",
                  text + "\n", extra)


def number(environ, name, fallback, most):
    """A number of the query string, held within 0 and `most`."""
    text = dict(parse_qsl(environ.get("QUERY_STRING", ""))).get(name, "")
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        return fallback
    return min(float(text), most)


def health(environ, start_response):
    return answer(start_response, "200 OK", "text/plain", "ok")


def echo(environ, start_response):
    total, digest, data = read_body(environ)
    content_type = environ.get("CONTENT_TYPE", "")
    return answer(start_response, "200 OK", "application/json", json.dumps({
        "method": environ["REQUEST_METHOD"],
        "path": environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
        "query": masked_query(environ.get("QUERY_STRING", "")),
        "content_type": content_type,
        "length": total,
        "sha256": digest,
        "fields": fields_of(content_type, data),
        "headers": dict(headers_of(environ)),
    }, indent=1) + "\n")


def slow(environ, start_response):
    seconds = number(environ, "s", 0.5, MAX_SLOW)
    time.sleep(seconds)
    return plain(start_response, "200 OK", "waited %g seconds" % seconds)


def error(environ, start_response):
    raise RuntimeError("an error on purpose, to see what the host does")


def download(environ, start_response):
    kb = int(number(environ, "kb", 100, MAX_DOWNLOAD))
    start_response("200 OK", [
        ("Content-Type", "application/octet-stream"),
        ("Content-Length", str(kb * 1024)),
        ("Content-Disposition", 'attachment; filename="gangway.bin"')])
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    block = bytes(range(256)) * 4
    return (block for _ in range(kb))


ROUTES = {
    "": (page, "GET HEAD POST"),
    "/": (page, "GET HEAD POST"),
    "/health": (health, "GET HEAD"),
    "/echo": (echo, "POST PUT PATCH"),
    "/slow": (slow, "GET HEAD"),
    "/error": (error, "GET HEAD POST"),
    "/download": (download, "GET HEAD"),
}


def application(environ, start_response):
    function, methods = ROUTES.get(environ.get("PATH_INFO", ""), (None, ""))
    if function is None:
        return plain(start_response, "404 Not Found", "no such page")
    if environ["REQUEST_METHOD"] not in methods.split():
        return plain(start_response, "405 Method Not Allowed",
                     "allowed: " + methods,
                     [("Allow", methods.replace(" ", ", "))])
    try:
        return function(environ, start_response)
    except TooLarge:
        return plain(start_response, "413 Content Too Large",
                     "more than %s" % size(MAX_BODY))


if __name__ == "__main__":
    from wsgiref.simple_server import make_server
    with make_server("127.0.0.1", 8000, application) as server:
        print("http://127.0.0.1:8000/")
        server.serve_forever()
