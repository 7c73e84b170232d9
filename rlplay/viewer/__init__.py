"""The window: watch an agent, see what it thinks, pause, step, let it learn, play yourself.

* ``layout``: where each panel stands, as a pure function of the window's size.
* ``state``: what the keys do, as a pure function from state and intent to state; and which key means what.
* ``session``: what is shown: an environment and who acts in it (the agent, learning or not; you; a recording).
* ``timeline``: what was shown, found again exactly. ``learning``: an agent that learns in the window's own time.
* ``hands``, ``choices``, ``keys``, ``offers``: what a person does, which keys do something now, and why others do not.
* ``together``: several by one clock: ``compare`` of players, a ``mosaic`` of a vector's rows, a ``branch`` of what if.
* ``world``, ``dials``, ``cells``, ``cell_marks``: what is changed by hand. ``updates``: an update in numbers.
  ``bottom``: the timeline and the keys.
* ``panels``, ``drawing``: how it looks. ``maps``: values of states laid out for people.
* ``display``: a real window or none. ``waiting``: the window while something is loaded or compiled.
* ``window``: the loop that joins them; ``events``: keys and mouse. ``recording``: gif, mp4, png.
"""

import os

# Read by pygame when it is imported, so they stand before everything else here.
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ.setdefault("SDL_VIDEO_X11_WMCLASS", "rlplay")  # the window's class, however it was started
if not os.environ.get("XDG_RUNTIME_DIR"):  # SDL looks there for Wayland, and prints an error where it is not set
    os.environ["XDG_RUNTIME_DIR"] = os.devnull
