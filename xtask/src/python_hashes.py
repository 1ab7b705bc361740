"""Writes the hashes of the files that pip may take for each of the packages on standard input.

Those are the wheels for CPython 3.8 to 3.12 on Linux on x86-64, those of the stable ABI that were made for
an earlier one included, or the source where there is none.
The index is the one that pip uses.
"""

import json
import re
import subprocess
import sys
import urllib.request

WANTED = re.compile(
    r"-(py3|py2\.py3|cp3[0-9]+)(\.[a-z0-9]+)*"
    r"-(none|abi3|cp3(8|9|10|11|12))(\.[a-z0-9]+)*"
    r"-(any|(linux|manylinux[a-z0-9_]*)_x86_64(\.[a-z0-9_]+)*)\.whl$"
)


def index():
    shown = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(shown, capture_output=True, text=True, check=True).stdout
    found = re.search(r"index-url='([^']*)'", lines)
    return (found.group(1) if found else "https://pypi.org/simple").rstrip("/")


def files(base, name):
    headers = {"Accept": "application/vnd.pypi.simple.v1+json"}
    name = re.sub(r"[-_.]+", "-", name).lower()
    request = urllib.request.Request(f"{base}/{name}/", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["files"]


def main():
    base = index()
    known = {}
    for line in sorted(set(sys.stdin.read().split())):
        name, version = line.split("==")
        listed = known.setdefault(name, files(base, name) if name not in known else [])
        begin = re.compile(r"^" + re.sub(r"[-_.]+", "[-_.]+", name) + "-" + re.escape(version) + r"(-|\.tar\.gz$)", re.I)
        ours = [file for file in listed if begin.match(file["filename"])]
        wheels = [file for file in ours if WANTED.search(file["filename"])]
        taken = wheels or [file for file in ours if file["filename"].endswith(".tar.gz")]
        if not taken:
            sys.exit(f"{line}: the index has no file for it")
        for digest in sorted({file["hashes"]["sha256"] for file in taken}):
            print(line, digest)


main()
