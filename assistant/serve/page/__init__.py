"""The page in the browser: its parts, what happens on them, and what a session looks like there."""
