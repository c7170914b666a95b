# A hospital's container: makes the datasite and publishes its table at the first start, then serves.
# What a crash cut off is done again at the next start; a store that is not there yet is waited for.
set -eu
: "${WARDROUND_HOME:?}" "${WARDROUND_EMAIL:?}" "${WARDROUND_STORE:?}"

if [ ! -e "$WARDROUND_HOME/datasite.toml" ]; then
    # the hospital's own secret for patients' pseudonyms, if it has one already; made at first use if not
    if [ -r /run/secrets/pseudonyms ] && [ ! -e "$WARDROUND_HOME/pseudonyms.key" ]; then
        (umask 077 && cp /run/secrets/pseudonyms "$WARDROUND_HOME/pseudonyms.key")
    fi
    wardround datasite init --email "$WARDROUND_EMAIL" --name "${WARDROUND_NAME:-}" --store "$WARDROUND_STORE"
fi

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
