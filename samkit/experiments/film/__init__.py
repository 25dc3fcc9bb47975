"""Objects followed through a film, frame by frame: what `samkit.experiments.video_priors` runs."""
