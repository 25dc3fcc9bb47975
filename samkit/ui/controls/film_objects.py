"""The objects that are followed through a film: which one prompts go to; names, colours, more and fewer of them."""

from dataclasses import replace
from functools import partial

import streamlit as st

from samkit.experiments.steering import MAX_OBJECTS
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.recorded import FilmTable

NAME_CHARACTERS = 40
TICK = " :material/check_small:"


def object_choice(table: FilmTable) -> None:
    """Which object prompts go to, where there are several, and a way to change what there is."""
    numbers = list(range(len(table.objects)))
    if len(numbers) > 1:
        steering, marked, key = table.steering, table.marked(), f"film_object_{len(numbers)}"
        # Set even where it is the same: a name may be another one.
        st.session_state[key] = table.object
        st.segmented_control(
            "Object",
            numbers,
            format_func=lambda number: plain_text(steering.name(number)) + (TICK if number in marked else ""),
            key=key,
            required=True,
            label_visibility="collapsed",
            help="The object that prompts and memories belong to. A tick: something marks it, and Segment follows it",
            on_change=lambda: table.choose_object(st.session_state[key]),
        )
    with st.popover("Objects", icon=":material/category:", help="Add, name, colour or remove objects"):
        for number in numbers:
            _object(table, number)
        st.button(
            "Add an object",
            icon=":material/add:",
            key="add_object",
            disabled=len(numbers) >= MAX_OBJECTS,
            on_click=table.add_object,
            help="Then mark it: on a frame of the film, or on a picture that becomes a memory",
        )
        if len(numbers) > 1:
            st.caption(
                "Each object is followed alone: masks of two objects may overlap, and stay as the model gives them."
            )


def _object(table: FilmTable, number: int) -> None:
    steering = table.steering
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        color = st.color_picker(
            "Colour", steering.color(number), key=f"object_color_{number}", label_visibility="collapsed"
        )
        name = st.text_input(
            f"Name of object {number + 1}",
            table.objects[number].name,
            placeholder=f"Object {number + 1}",
            key=f"object_name_{number}",
            max_chars=NAME_CHARACTERS,
            label_visibility="collapsed",
        )
        if len(table.objects) > 1:
            st.button(
                "Remove",
                icon=":material/close:",
                key=f"remove_object_{number}",
                type="tertiary",
                help="With its memories and marks; the run goes too",
                on_click=partial(_remove, table, number),
            )
    changed = replace(table.objects[number], name=name.strip())
    if color != steering.color(number):
        changed = replace(changed, color=color)
    if changed != table.objects[number]:
        table.change_object(number, changed)
        st.rerun(scope="fragment")


def _remove(table: FilmTable, number: int) -> None:
    table.remove_object(number)
    # The widgets are numbered, and each object after this one has another number from here on.
    forget_object_words()


def forget_object_words() -> None:
    """The objects are others than before: what is typed and chosen for one of them goes by its number."""
    for key in [str(key) for key in st.session_state if str(key).startswith(("object_name_", "object_color_"))]:
        del st.session_state[key]
