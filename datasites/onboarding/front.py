"""The front of a consortium's store: nginx before `rclone serve s3`, as a folder that is ready to be started.

nginx lets in who shows a certificate of the consortium that is not revoked, and holds each to what the rules (`access`)
say of the address and role that stand in the certificate: what it may read, list, write and delete. Unknown means
refused: a certificate, spelling, method or query that our own clients do not send. As rules name no participant,
nothing has to be told to the front when one joins.

What it cannot hold: which researcher a study is of is in no name, so a researcher who knows the digest of another's
study (no list that it gets tells one) can take or replace the messages that wait there. Those are sealed and signed:
nothing is learned, and a replaced one is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from datasites.onboarding import access
from datasites.wire.files import write_atomically
from policies.errors import InvalidInput

BUCKET = "federation"
CODE = "CertificateRefused"  # as `datasites.wire.certified` knows it
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
# One component of a name as `keys.encode` writes it, in a request's path and in a query. Only these characters, and
# only these escapes: what nginx compares is then exactly what the store acts upon.
_IN_PATH = "(?:[A-Za-z0-9@._+=-]|%(?:40|2[Bb]|3[Dd]))+"
_IN_QUERY = "(?:[A-Za-z0-9._-]|%40|%2B|%3D)+"
_VALUE = "(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*"  # of what only says from where in a list to go on
_KEY = (
    f"(?:list-type=2|delimiter=(?:%2F)?|encoding-type=url|max-keys=[0-9]+|(?:start-after|continuation-token)={_VALUE})"
)
_MOST_BYTES = "8m"  # what is larger than 2 MiB comes in parts
_CONF = r"""# Made by `wardround federation init`, or `federation front`. It asks for client certificates, checks them
# against crl.pem, and holds each to its own boxes. After a change here, of crl.pem or of store.pem: ./reload.sh
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
    map $ssl_client_s_dn $who { default ""; "~^CN=(@LOCAL@@@LOCAL@),OU=(?:hospital|researcher)$" $1; }
    map $ssl_client_s_dn $who_in_query { default ""; "~^CN=(@LOCAL@)@(@LOCAL@),OU=(?:hospital|researcher)$" $1%40$2; }
    map $ssl_client_s_dn $role { default ""; "~^CN=@LOCAL@@@LOCAL@,OU=(hospital|researcher)$" $1; }

    # what is asked about, if it is spelt as our clients spell it: an object, or a list of names; never with a component
    # of dots, which could climb
    map $request_uri $asked {
        default "";
        "~\.\.|(?:/|=|%2F)\.(?:/|%2F|[?&]|$)" "";
        "~^/@BUCKET@(?:/@IN_PATH@)+$" object;
        "~^/@BUCKET@\?[A-Za-z0-9%&=._~-]+$" list;
    }
    # nothing is copied: with x-amz-copy-source no line fits
    map "$request_method $asked$http_x_amz_copy_source $args" $act {
        default "";
        "~^(?:GET|HEAD) object $" read;
        "~^(?:PUT|DELETE) object $" write;
        "~^GET list (?:.*&)?delimiter=%2F(?:&|$)" folders;
        "~^GET list " list;
    }
    # which folder is listed; none where the query is very long, or a key is unknown, missing or there twice
    map $args $folder {
        default "";
        "~^.{4000}" "";
        "~(?:^|&)([a-z-]+)=(?:.*&)?\1=" "";
        "~^(?=(?:.*&)?list-type=2(?:&|$))(?:@KEY@&)*prefix=(@IN_QUERY@(?:%2F@IN_QUERY@)*)%2F(?:&@KEY@)*$" $1;
    }

    # the rules: datasites/onboarding/access.py
    map "$role $act $who $uri" $object {
        default 0;
@OBJECTS@
    }
    map "$role $act $who_in_query $folder" $list {
        default 0;
@LISTS@
    }
    map "$object$list" $allowed { default 0; 10 1; 01 1; }

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
            proxy_pass http://objects;
            proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
            proxy_set_header x-amz-copy-source "";
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
    words = {"OBJECTS": _lines(_objects(bucket)), "LISTS": _lines(_lists())}
    words |= {"BUCKET": bucket, "IN_PATH": _IN_PATH, "IN_QUERY": _IN_QUERY, "KEY": _KEY, "LOCAL": "[a-z0-9._-]+"}
    for name, value in {**words, "MOST": _MOST_BYTES, "CODE": CODE, "PORT": str(port), "LISTEN": listen}.items():
        text = text.replace(f"@{name}@", value)
    return text


def _lines(patterns: Iterable[str]) -> str:
    return "\n".join(f'        "~^{one}$" 1;' for one in patterns)


def _objects(bucket: str) -> Iterator[str]:
    """What `ROLE ACT WHO PATH` looks like where the rules allow it."""
    for role in access.ROLES:
        for acts, names in (("(?:read|write)", access.written(role)), ("read", access.read(role))):
            yield from (f"{role} {acts} ([^ ]+) /{bucket}/{_pattern(name, '/')}" for name in names)


def _lists() -> Iterator[str]:
    """What `ROLE ACT WHO FOLDER` looks like where the rules allow it, spelt as in a query."""
    for role in access.ROLES:
        for folder, deeper in access.listed(role):
            levels = "*" if deeper is None else f"{{0,{deeper}}}"
            below = "" if deeper == 0 else f"(?:%2F{_part('%2F')}){levels}"
            yield f"{role} (?:list|folders) ([^ ]+) {_pattern(folder, '%2F')}{below}"
        yield from (f"{role} folders ([^ ]+) {_pattern(one, '%2F')}" for one in access.FOLDERS[role])


def _pattern(rule: str, slash: str) -> str:
    """The regular expression of a rule's names, once their spelling was looked at. The participant's address was
    matched before, as the first group."""
    part = _part(slash)
    spelt = {access.WHO: r"\1", access.ANY: part, access.REST: f"{part}(?:{slash}{part})*"}
    return slash.join(spelt.get(one) or re.escape(one) for one in rule.split("/"))


def _part(slash: str) -> str:
    """Any one component."""
    return f"(?:(?!{slash}).)+" if len(slash) > 1 else f"[^{slash}]+"
