"""What calls cost, what they may cost, and the ledger of what they did cost."""
