"""Files of an authority's folder, and how long what it signs is good. Apart, for commands that only name them."""

from __future__ import annotations

KEY, CERTIFICATE, REVOKED, REGISTER = "ca.key", "ca.pem", "crl.pem", "register.json"
ROOT_DAYS, CERTIFICATE_DAYS, LIST_DAYS = 3650, 397, 400
