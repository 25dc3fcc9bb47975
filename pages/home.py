"""Home: what this is, the experiments as cards, and the state of model, store and cache."""

from samkit.ui.home import home_page

home_page()
