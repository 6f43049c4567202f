"""Findings as other tools read them. Pure: findings in, text or JSON out."""
