"""The privacy ledger: events, never a summed epsilon; reserve, commit, refund."""
