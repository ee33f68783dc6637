# The server as installed, over real sockets. One test a line.
if PYTHON
PY_TESTS += t/server/abuse.py
PY_TESTS += t/server/deaths.py
PY_TESTS += t/server/engine.py
PY_TESTS += t/server/crowd.py
PY_TESTS += t/server/hooks.py
PY_TESTS += t/server/recycle.py
PY_TESTS += t/server/lifecycle.py
PY_TESTS += t/server/limits.py
PY_TESTS += t/server/compare.py
PY_TESTS += t/server/upgrade.py
PY_TESTS += t/server/ctl.py
PY_TESTS += t/server/arbiter.py
PY_TESTS += t/server/messages.py
PY_TESTS += t/server/fastcgi.py
PY_TESTS += t/server/slow.py
PY_TESTS += t/server/http1.py
PY_TESTS += t/server/extension.py
PY_TESTS += t/server/venv.py
endif
PY_TESTS += t/server/example.py
PY_TESTS += t/server/native_server.py
