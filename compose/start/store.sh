# The store's container: the consortium's front (datasites/onboarding/front.py) as `wardround federation init` made it.
# It is seen under /front, which cannot be written to; the objects and what the front writes lie in the volume.
set -eu
cd /srv/store
for file in nginx.conf start.sh reload.sh s3.key store.key store.pem ca.pem crl.pem; do
    ln -sfn "/front/$file" "$file"
done
ln -sfn /dev/stdout access.log # who did what: the container's log
exec /bin/sh ./start.sh
