# The researcher's container: the notebooks as they came with the image, copied once to where they can be changed.
set -eu
cd "$HOME"
[ -e notebooks ] || cp -r /opt/notebooks notebooks
mkdir -p federation
cp /data/federation.toml federation/federation.toml
exec jupyter lab --ip=0.0.0.0 --port=8888 --no-browser --ServerApp.root_dir="$HOME"
