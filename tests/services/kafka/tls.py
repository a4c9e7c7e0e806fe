"""Certificates for a test: an authority, a server, a client, and an authority that nobody trusts. Made by openssl's command."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificates(NamedTuple):
    """PEM files. `server` is key and certificate in one, as Kafka wants it; the client's are apart, as clients want them."""

    authority: Path
    server: Path
    client: Path
    client_key: Path
    stranger: Path


def certificates(home: Path) -> Certificates:
    """Make them in this directory."""
    home.mkdir(parents=True, exist_ok=True)
    for name in ("authority", "stranger"):
        _openssl(home, *_REQUEST, "-x509", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    for name in ("server", "client"):
        names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
        _openssl(home, *_REQUEST, "-subj", f"/CN={name}", *names, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-copy_extensions", "copy", "-days", "2"]
        _openssl(home, "x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    both = home / "server-with-key.pem"
    both.write_bytes((home / "server.key").read_bytes() + (home / "server.pem").read_bytes())
    return Certificates(home / "authority.pem", both, home / "client.pem", home / "client.key", home / "stranger.pem")


_REQUEST = ("req", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "2")


def _openssl(home: Path, *arguments: str) -> None:
    ended = subprocess.run(["openssl", *arguments], cwd=home, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, f"openssl {' '.join(arguments)}: {ended.stderr}"
