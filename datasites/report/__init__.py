"""The record of a study, or of a whole datasite, for those who must answer for it: see docs/compliance.md."""
