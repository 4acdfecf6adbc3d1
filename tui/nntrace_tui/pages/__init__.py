"""What each page of the monitor shows: frozen values made from a `Trace` by pure functions.

No Textual in here. A page is built in the follower's thread and drawn by the screen of its name.
"""
