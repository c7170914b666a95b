"""How a hospital comes into a federation: certificates, invitations, the store's front, and what a doctor checks."""
