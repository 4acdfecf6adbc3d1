"""What each page of the monitor shows: frozen values made from a `Trace` by pure functions.

Nothing in here uses Textual. The follower's thread builds a page; the screen of the same name
draws it.
"""
