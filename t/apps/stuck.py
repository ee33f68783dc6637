"""Requests that hang: /python in Python's own sleep, which can be unwound,
/c in the C library, /gil there with the interpreter's lock held."""
import ctypes
import time


def application(environ, start_response):
    if environ["PATH_INFO"] == "/python":
        try:
            time.sleep(600)
        finally:
            print("unwound", flush=True)
    if environ["PATH_INFO"] == "/c":
        ctypes.CDLL(None).sleep(600)
    if environ["PATH_INFO"] == "/gil":
        ctypes.PyDLL(None).pause()
    start_response("200 OK", [("Content-Length", "0")])
    return []
