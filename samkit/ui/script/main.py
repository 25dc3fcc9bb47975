"""What Streamlit runs for each visitor and each change. Home.py at the top names it.

It lies in a folder of its own: Streamlit serves a folder called pages beside its script in an older way of its own, and
puts the script's folder on the import path.
"""

from samkit.ui.router import route

# Streamlit calls the script __main__ and leaves it as the process's main module, so a process that this one spawns
# imports it again, under another name. There is no visitor there.
if __name__ == "__main__":
    route()
