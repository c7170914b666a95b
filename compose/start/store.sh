# The store's container. Keys are read from a file and never stand on a command line, where everybody could read them.
set -eu
mkdir -p /srv/store/federation
RCLONE_AUTH_KEY=$(cat /run/secrets/store_keys)
export RCLONE_AUTH_KEY
exec rclone serve s3 /srv/store --addr :9000 --cert /run/secrets/store_cert --key /run/secrets/store_key \
    --min-tls-version tls1.2 --config /tmp/none --cache-dir /tmp/cache
