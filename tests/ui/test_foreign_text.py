"""No text that is not ours reaches Streamlit's Markdown as it is."""

import ast

from tests.ui.foreign_text import FIRST, UI, sites

OURS = {
    "bench/bench.py": ["scene.page.tabs"],
    "bench/header.py": ["page.entry.title", "about.idea", "about.look_for", "about.paper", "about.try_label"],
    "bench/keep.py": ["outcome.run.run_id", "outcome.run.url", "page.entry.module_name"],
    "bench/opened_run.py": ["work.dtype", "_missing_sentence(key, pending.entries[key])", "name"],
    "bench/results.py": ["line"],
    "bench/share.py": ["_shown(page, work)"],
    "bench/kept_figures.py": ["escape(title)"],
    "bench/sweeping/dialog.py": ["_price_text(found)", "kind", "how", "listed(known)"],
    "bench/sweeping/draft.py": ["file"],
    "bench/sweeping/own_pictures.py": [
        "known.found_masks",
        "_told(known.holds.cases, known.holds.pictures, known.holds.source.masks is not None)",
        "_told(cases, pictures, source.masks is not None)", "label", "told",
    ],
    "bench/sweeping/page_sweep.py": ["now.state", "now.told(unit)", "told"],
    "bench/long_encoding.py": ["encoding", "time_text(encoding.seconds)", "look.figures"],
    "bench/tables/film.py": ["aside.what", "step.note", "job.run.done", "job.run.total", "what"],
    "bench/tables/film_steps.py": ["step.label", "step.help"],
    "bench/tables/pair.py": ["letter", "name"],
    "controls/film_objects.py": ["range(len(table.objects))", "number"],
    "controls/film_picker.py": ["width", "height", "sample.title", "there.what"],
    "controls/frame_picker.py": [
        "{sample.name: sample.title for sample in SAMPLE_VIDEOS.values()}",
        "width",
        "height",
    ],
    "controls/knob_values.py": ["label", "options"],
    "controls/knobs.py": [
        "self.name", "self.label", "self.help", "self.low_name", "self.high_name", "self.impossible(panel)",
        "info.label", "info.help", "low.help", "high.help", "name",
    ],
    "controls/mask_inputs.py": [
        "role.idea", "role.name", "role.title", "role.help", "role.icon", "_details(work, role)", "strokes",
    ],
    "controls/masks_panel.py": ["index"],
    "controls/memories.py": ["bank.sha256", "frame"],
    "controls/memory_models.py": ["what", "model.config.memory_lack"],
    "controls/model_picker.py": [
        "entry.title", "entry.licence", "entry.origin", "entry.filename",
        "filter(None, (entry.size_text, STATE_TEXTS[state]))", "memory_line(entry.local_path())",
        "released_memory_line(entry.name)",
    ],
    "controls/own_models.py": ["FAMILY_WORDS.get(told.family, '')", "memory_line(path)"],
    "controls/pair_editor.py": ["sample.title"],
    "controls/paste_drop.py": ["sentence"],
    "controls/prompt_editor.py": ["title", "no_prompt", "_text(prompt)", "text", "name", "label"],
    "controls/rotary.py": ["part.name", "result.params.rotary_on", "title"],
    "controls/running_film.py": ["frame"],
    "controls/swept_values.py": ["info.help", "how_to_write(info, listed)", "understood(values)"],
    "experiments/block_norms.py": [
        "shown_block(side.result)", "result.tables", "params.channel", "outlier_block(result)",
        "share_text(above.mean())", "outside", "outlier_blocks_text(result)", "outlier_blocks_text(side.result)",
        "result.index('similarity_grid_h')", "result.index('similarity_grid_w')",
    ],
    "experiments/cross_image.py": ["title"],
    "experiments/position_encoding.py": [
        "result.index('row')", "result.index('column')", "map(str, windows)",
        "channel_name(side.model, params.channel)",
    ],
    "experiments/fine_tuning.py": [
        "result.index('changed_weights')", "result.index('weights')", "share_text(result.value('changed_share'))",
        "result.index('only_in_one')",
    ],
    "experiments/video_priors.py": ["result.index('frames')", "title", "self.name", "info.help"],
    "experiments/window_size.py": ["reading"],
    "experiments/window_sweep.py": [
        "map(str, usual)", "scene.model.max_window", "asked.repeats", "asked.stage", "known.other", "name",
    ],
    "home.py": ["card.title", "card.question", "card.text", "sum((entry.on_disk for entry in entries))"],
    "parts/downloads.py": ["download.label"],
    "router.py": ["entry.title"],
    "runs/compare_view.py": ["label", "number", "range(len(grounds))", "several"],
    "runs/run_view.py": ["_file_tabs(bundle)", "entry.title"],
    "runs/runs_list.py": ["first.title", "_chosen_text(table, page.runs)"],
    "runs/runs_search.py": ["label"],
    "runs/transfer.py": ["label", "number", "total", "done"],
    "sweeps/cell_panel.py": ["entry.title"],
    "sweeps/charts.py": ["left_out"],
    "sweeps/compare_view.py": ["_sentence(found, mean, metric, better)", "left_out", "letter"],
    "sweeps/sweep_view.py": ["tabs", "ICONS.get(now.state, '')", "now.state", "now.text"],
    "sweeps/sweeps_list.py": [
        "entry.title", "page", "pages", "now.state", "now.text",
        "what_to_choose([sweep.spec.experiment for sweep in pair])",
    ],
    "sweeps/tables.py": ["sentence"],
    "state/films.py": ["content"],
    "state/store_state.py": ["done", "total"],
}  # fmt: skip
"""File of the pages -> expressions in it that hold nothing but our own words and numbers, or were made plain where they
were put together. Whoever adds one has looked where it comes from.
"""
NUMBERS = ("sum(",)


def test_foreign_text_is_made_plain_wherever_it_reaches_markdown():
    found = [site for site in sites() if site.text not in OURS.get(site.file, []) and not site.text.startswith(NUMBERS)]
    assert not found, "hand these to plain_text, or say in OURS why they are ours:\n" + "\n".join(map(str, found))


def test_what_is_said_to_be_ours_is_still_there():
    there = {(site.file, site.text) for site in sites()}
    assert [(file, text) for file, texts in OURS.items() for text in texts if (file, text) not in there] == []


def test_the_walk_sees_what_it_is_for():
    """Each kind of call is one that Streamlit has."""
    import streamlit as st

    assert {name for name in FIRST if not hasattr(st, name)} == set()
    calls = [
        node
        for file in UI.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
    ]
    assert len(calls) > 1000
