"""A small Flask site: session login, form, upload, download, static, errors."""
import hashlib
import os

from flask import (Flask, abort, jsonify, redirect, render_template_string,
                   request, send_file, session, url_for)

app = Flask(__name__, static_folder=os.environ.get("T_STATIC", "."),
            static_url_path="/static")
app.secret_key = "only for tests"
PAGE = """<!doctype html><title>{{ title }}</title>
<form method=post><input name=name value="{{ name }}"><input type=submit>
</form><p>{{ name or "nobody" }} at {{ url_for("index", _external=True) }}
"""


@app.route("/")
def index():
    return render_template_string(PAGE, title="index",
                                  name=session.get("name", ""))


@app.route("/hello")
def hello():
    return "Hello, World!"


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "POST":
        session["name"] = request.form["name"]
        return redirect(url_for("index"))
    return render_template_string(PAGE, title="login", name="")


@app.route("/form", methods=["POST"])
def form():
    return jsonify(form=request.form.to_dict(flat=False),
                   query=request.args.to_dict(flat=False),
                   files={k: [f.filename, len(f.read())]
                          for k, f in request.files.items()})


@app.route("/upload", methods=["POST"])
def upload():
    digest, n = hashlib.sha256(), 0
    while chunk := request.stream.read(65536):
        digest.update(chunk)
        n += len(chunk)
    return jsonify(length=n, sha256=digest.hexdigest())


@app.route("/download")
def download():
    return send_file(os.environ["T_BIG"], mimetype="application/octet-stream",
                     conditional=True)


@app.route("/environ")
def facts():
    names = ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_METHOD",
             "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_X_TEST")
    return jsonify({n: request.environ.get(n) for n in names},
                   url=request.url)


@app.route("/error")
def error():
    raise RuntimeError("planned")


@app.route("/teapot")
def teapot():
    abort(418)


application = app
