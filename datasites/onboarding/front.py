"""The front of a consortium's store: nginx before `rclone serve s3`, as a folder that is ready to be started.

nginx lets in who shows a certificate of the consortium that is not revoked, and lets each write only beneath its own
prefixes (`datasites.wire.keys`). What it cannot hold: who may read (everything there but public keys and mock twins is
encrypted), and, of rounds, which researcher a study is of, so that one researcher can spoil another's waiting messages.
Those are signed, so a spoiled one is refused and nothing is learned by it.
"""

from __future__ import annotations

import re
from pathlib import Path

from datasites.wire.files import write_atomically
from policies.errors import InvalidInput

BUCKET = "federation"
CODE = "CertificateRefused"  # as `datasites.wire.certified` knows it
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
# One component of a name as `keys.encode` writes it; `=` stands there for what it escapes.
_PART = r"[A-Za-z0-9@._+=-]+"
# What `datasites.wire.parts` puts beneath the name of a large object.
_PIECE = r"[0-9a-f]{64}/[0-9]{6}"
# Only these characters, and only these escapes: what nginx compares is then exactly what the store acts upon.
_RAW = r"(?:[A-Za-z0-9@._+=-]|%(?:40|2[Bb]|3[Dd]))"

_MOST_BYTES = "8m"  # what is larger than 2 MiB comes in parts
_CONF = r"""# Made by `wardround federation init`. It asks for client certificates, checks them against crl.pem, and
# holds each participant to its own prefixes. After crl.pem or store.pem have changed: ./reload.sh
daemon off;
worker_processes auto;
worker_shutdown_timeout 60s;  # a revoked participant's open connection ends then at the latest
pid nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
    log_format who '$time_iso8601 "$ssl_client_s_dn" $request_method $uri $status $body_bytes_sent';
    access_log access.log who;
    client_body_temp_path temp/body; proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/f; uwsgi_temp_path temp/u; scgi_temp_path temp/s;

    # who it is, and as what: the certificate's subject is CN=address,OU=hospital or OU=researcher
    map $ssl_client_s_dn $who { default ""; "~^CN=([a-z0-9@._-]+),OU=(?:hospital|researcher)$" $1; }
    map $ssl_client_s_dn $role { default ""; "~^CN=[a-z0-9@._-]+,OU=(hospital|researcher)$" $1; }

    # a name of an object, spelt plainly: no dots that climb, no slash that hides
    map $request_uri $plain {
        default 0;
        "~^[^?]*(?:/\.\.?(?:/|$|\?)|//)" 0;
        "~^/@BUCKET@/?(?:\?[^#]*)?$" 1;
        "~^/@BUCKET@(?:/@RAW@+)+(?:\?x-id=[A-Za-z]+)?$" 2;
    }
    map "$who $role $request_method $plain $uri" $allowed {
        default 0;
        "~^[^ ]+ [^ ]+ (?:GET|HEAD) [12] " 1;
        "~^([^ ]+) [^ ]+ (?:PUT|DELETE) 2 /@BUCKET@/(?:parts/)?(?:participants|own|coll)/\1/" 1;
        "~^([^ ]+) [^ ]+ (?:PUT|DELETE) 2 /@BUCKET@/(?:parts/)?p2p/@PART@/(?:inbox|outbox)/\1/" 1;
        "~^([^ ]+) [^ ]+ (?:PUT|DELETE) 2 /@BUCKET@/(?:parts/)?p2p/\1/(?:inbox|outbox)/@PART@/" 1;
        "~^([^ ]+) [^ ]+ (?:PUT|DELETE) 2 /@BUCKET@/rounds/@PART@/up/@PART@/\1$" 1;
        "~^([^ ]+) [^ ]+ (?:PUT|DELETE) 2 /@BUCKET@/parts/rounds/@PART@/up/@PART@/\1/@PIECE@$" 1;
        "~^([^ ]+) [^ ]+ (?:PUT|DELETE) 2 /@BUCKET@/(?:parts/)?gossip/@PART@/\1/" 1;
        "~^[^ ]+ researcher (?:PUT|DELETE) 2 /@BUCKET@/rounds/@PART@/down/@PART@/@PART@$" 1;
        "~^[^ ]+ researcher (?:PUT|DELETE) 2 /@BUCKET@/parts/rounds/@PART@/down/@PART@/@PART@/@PIECE@$" 1;
    }

    # a socket in this folder: nobody but this account reaches the objects past the front
    upstream objects { server unix:objects.sock; keepalive 16; }
    server {
        listen @LISTEN@ ssl;
        ssl_certificate store.pem; ssl_certificate_key store.key;
        ssl_client_certificate ca.pem; ssl_crl crl.pem; ssl_verify_client on; ssl_verify_depth 2;
        ssl_protocols TLSv1.2 TLSv1.3;
        # a resumed session is not checked against crl.pem again, so none is resumed
        ssl_session_cache off; ssl_session_tickets off;
        keepalive_timeout 30s;
        client_max_body_size @MOST@;
        error_page 495 496 = /refused-certificate;
        location = /refused-certificate {
            internal; default_type application/xml;
            return 403 '<?xml version="1.0"?><Error><Code>@CODE@</Code><Message>$ssl_client_verify</Message></Error>';
        }
        location / {
            default_type application/xml;
            if ($allowed = 0) {
                return 403 '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>not yours</Message></Error>';
            }
            if ($http_x_amz_copy_source) { return 403; }
            proxy_pass http://objects;
            proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
            proxy_request_buffering off; proxy_read_timeout 60s;
        }
    }
}
"""
_START = """#!/bin/sh
# Starts the store: rclone, which only this account can reach, and nginx before it. Needs the programs nginx and rclone.
# Run it as an account of its own: nginx works as whoever starts it.
set -eu
cd "$(dirname "$0")"
PATH=$PATH:/usr/local/sbin:/usr/sbin # where nginx is, and ordinary accounts do not look
mkdir -p objects/@BUCKET@ temp
rm -f objects.sock
RCLONE_AUTH_KEY=$(cat s3.key)
export RCLONE_AUTH_KEY
rclone serve s3 objects --addr unix://objects.sock --config /dev/null &
inner=$!
nginx -g "user $(id -un) $(id -gn);" -p "$PWD/" -c "$PWD/nginx.conf" &
front=$!
trap 'kill $front $inner 2>/dev/null || true' EXIT
trap 'exit 0' INT TERM
# when one of them ends, so does the other
while kill -0 $inner 2>/dev/null && kill -0 $front 2>/dev/null; do sleep 1; done
exit 1
"""
_RELOAD = """#!/bin/sh
# Heeds new certificates and a new list of revoked ones, and ends idle connections.
set -eu
cd "$(dirname "$0")"
PATH=$PATH:/usr/local/sbin:/usr/sbin
nginx -g "user $(id -un) $(id -gn);" -p "$PWD/" -c "$PWD/nginx.conf" -t -q
kill -HUP "$(cat nginx.pid)"
"""
_COMPOSE = """# The same as start.sh, in two containers: docker compose up -d. Both keep their files in this folder.
# After crl.pem or store.pem have changed: docker compose kill -s HUP front
name: wardround-store
services:
  front:
    image: docker.io/library/nginx:stable
    working_dir: /front
    entrypoint: [nginx, -g, "user root;", -p, /front/, -c, /front/nginx.conf]
    ports: ["@PORT@:@PORT@"]
    volumes: [".:/front"]
    restart: unless-stopped
  objects:
    image: docker.io/rclone/rclone:1
    working_dir: /front
    entrypoint: [/bin/sh, -c]
    command:
      - mkdir -p objects/@BUCKET@ temp && rm -f objects.sock && export RCLONE_AUTH_KEY=$$(cat s3.key) &&
        exec rclone serve s3 objects --addr unix://objects.sock --config /dev/null
    volumes: [".:/front"]
    network_mode: none # its socket in this folder is all that leads to it
    restart: unless-stopped
"""


def nginx_conf(bucket: str = BUCKET, port: int = 9443, address: str = "") -> str:
    """address: of this machine, to listen on; all when left out."""
    if not _BUCKET.fullmatch(bucket):
        raise InvalidInput(f"{bucket!r} is not a bucket's name.", "Use small letters, digits and dashes.")
    return _filled(_CONF, bucket, port, address)


def write_front(folder: Path, bucket: str, port: int, address: str = "") -> None:
    """The configuration and its start scripts; certificates and keys are put beside them."""
    write_atomically(folder / "nginx.conf", nginx_conf(bucket, port, address).encode())
    write_atomically(folder / "compose.yaml", _filled(_COMPOSE, bucket, port, address).encode())
    for name, text in (("start.sh", _START), ("reload.sh", _RELOAD)):
        write_atomically(folder / name, _filled(text, bucket, port, address).encode())
        (folder / name).chmod(0o700)


def _filled(text: str, bucket: str, port: int, address: str) -> str:
    listen = f"{address}:{port}" if address else f"{port}"
    words = {"BUCKET": bucket, "RAW": _RAW, "PART": _PART, "PIECE": _PIECE, "MOST": _MOST_BYTES, "CODE": CODE}
    for name, value in {**words, "PORT": str(port), "LISTEN": listen}.items():
        text = text.replace(f"@{name}@", value)
    return text
