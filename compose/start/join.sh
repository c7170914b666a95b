# Joins the federation by the invitation, at the first start and whenever there is another one: a renewed certificate.
# Keys lie in WARDROUND_HOME under a passphrase that is read from a file of its own at each start.
set -eu
: "${WARDROUND_HOME:?}"
export WARDROUND_INVITATION_PASSPHRASE_FILE=/run/secrets/invitation_passphrase

invitation=$(sha256sum </run/secrets/invitation)
if [ "$(cat "$WARDROUND_HOME/invitation.joined" 2>/dev/null)" != "$invitation" ]; then
    [ -e "$WARDROUND_HOME/identity.json" ] || set -- --passphrase-file /run/secrets/passphrase
    wardround federation join /run/secrets/invitation "$@"
    printf '%s\n' "$invitation" >"$WARDROUND_HOME/invitation.joined"
fi
