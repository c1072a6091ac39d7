"""Words to plans. Light: no torch here."""
