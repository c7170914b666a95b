# A hospital's own Prometheus. It shares the network of the hospital's container, where the agent tells its numbers on
# loopback, and listens on loopback too: nothing on that network, such as the store, can ask it.
set -eu
prometheus --config.file=/opt/monitoring/prometheus.yaml --storage.tsdb.path=/var/lib/prometheus \
    --storage.tsdb.retention.time=90d --web.listen-address=127.0.0.1:9090 &
prometheus=$!
trap 'kill $prometheus 2>/dev/null; wait $prometheus; exit 0' INT TERM
# where the hospital's container ends, so does the network: whoever starts this one again gives it the new one
while kill -0 $prometheus 2>/dev/null && [ "$(ls /sys/class/net | wc -l)" -gt 1 ]; do sleep 1; done
kill $prometheus 2>/dev/null || true
wait $prometheus || true
sleep 15 # by which a container that is started again by itself is back
exit 1
