"""Who may come in: one browser, with a link that works once, for as long as the command runs.

All secrets are random, and in this process's memory alone.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from http.cookies import CookieError, SimpleCookie

COOKIE = "wardround_review"


class Door:
    """Of one running server.

    at: the beginning of every path. Browsers do not tell ports apart when they send cookies, so a page that another
    user of this machine serves on a port of theirs would be sent the cookie, were it not bound to a path that they do
    not know.
    """

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.origin = f"http://{self.host}"
        self.at = f"/{secrets.token_urlsafe(18)}"
        self.form_token = secrets.token_urlsafe(32)
        self._link = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self._used = False
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """The link, for the owner alone."""
        return f"{self.origin}{self.at}/open?link={self._link}"

    def open(self, link: str) -> bool:
        """Whether this is the link, used for the first time. A wrong one does not use it up."""
        with self._lock:
            if self._used or not _same(link, self._link):
                return False
            self._used = True
            return True

    @property
    def cookie(self) -> str:
        """A `Set-Cookie` header, for the browser that came with the link. It ends with the browser, or the server."""
        return f"{COOKIE}={self._session}; Path={self.at}/; HttpOnly; SameSite=Strict"

    def knows(self, cookies: str) -> bool:
        """Whether a `Cookie` header is that browser's."""
        try:
            found = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            return False
        return self._used and found is not None and _same(found.value, self._session)

    def gave(self, form_token: str) -> bool:
        """Whether a form is from a page of this server's, as other sites' pages cannot read its token."""
        return _same(form_token, self.form_token)


def _same(given: str, secret: str) -> bool:
    """In a time that does not tell how much of it was right."""
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())
