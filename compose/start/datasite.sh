# A hospital's container: joins and publishes its table at the first start, then serves.
# What a crash cut off is done again at the next start; a store that is not there yet is waited for.
set -eu
: "${WARDROUND_HOME:?}"

# joining ends with a look at everything, the store too
until python3 -I -c "import socket; socket.create_connection(('store', 9443), 5)" 2>/dev/null; do
    echo "the store cannot be reached yet"
    sleep 2
done
# the hospital's own secret for patients' pseudonyms, if it has one already; made at first use if not
if [ -r /run/secrets/pseudonyms ] && [ ! -e "$WARDROUND_HOME/pseudonyms.key" ]; then
    (umask 077 && cp /run/secrets/pseudonyms "$WARDROUND_HOME/pseudonyms.key")
fi
/bin/sh /opt/start/join.sh

if [ ! -e "$WARDROUND_HOME/published" ]; then
    while true; do
        status=0
        wardround datasite publish --table /data/table.csv --dictionary /data/dictionary.toml || status=$?
        [ "$status" -eq 4 ] || break # 4: something cannot be reached now
        sleep 2
    done
    [ "$status" -eq 0 ] || exit "$status"
    touch "$WARDROUND_HOME/published"
fi

rm -f "$WARDROUND_HOME/agent.json" # by which an agent that was killed would still be taken for healthy
exec wardround datasite serve
