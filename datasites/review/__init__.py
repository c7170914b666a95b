"""The review page: what a data owner does, in the browser of the hospital's own machine. See `docs/review-page.md`.

It decides nothing itself: every action goes through `Datasite`, as in the command line and the notebook, and is refused
by it in the same words. `guard` stands before all of it; a handler sees only requests of the owner's own window.
"""
