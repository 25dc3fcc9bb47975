"""The pages of sweeps: the list, one sweep, and two side by side."""
