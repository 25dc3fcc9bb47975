"""The experiments: one file each, with Params, run() and a Result. They know no page and no store."""
