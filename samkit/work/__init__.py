"""Running experiments: what is to be run, with what, now or later. Nothing here knows a screen."""
