# The researcher's container: joins, and copies the notebooks as they came with the image to where they can be changed.
set -eu
cd "$HOME"
[ -e notebooks ] || cp -r /opt/notebooks notebooks
(umask 077 && mkdir -p "$WARDROUND_HOME")
/bin/sh /opt/start/join.sh
# where the notebooks look for it; the files that it names lie beside it
ln -sfn researcher/federation.toml federation/federation.toml
exec jupyter lab --ip=0.0.0.0 --port=8888 --no-browser --ServerApp.root_dir="$HOME"
