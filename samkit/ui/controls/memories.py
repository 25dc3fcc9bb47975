"""The memories that steer a film: those recorded so far, and ways to record more."""

from collections.abc import Collection, Sequence

import streamlit as st

from samkit.errors import BadInput, PictureError
from samkit.experiments.inputs import Prior
from samkit.media.drawing import mask_from_png
from samkit.models.memory_bank import MemoryBank
from samkit.models.sam import SamModel
from samkit.scratch import scratch
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.inline_image import inline_image
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.film_marks import Place
from samkit.ui.state.public import check_upload
from samkit.ui.state.recorded import FilmTable, Recorded
from samkit.ui.state.workspace import Workspace

MEMORIES_IN_A_ROW = 4
NOTHING_RECORDED = (
    "Mark an object on a frame of the film and press “Segment”. Or mark it on other pictures: “Record this memory” "
    "makes each of them something to look for in the film."
)


def recorded_memories(table: FilmTable, waiting: Collection[Place]) -> None:
    """Each memory as a thumbnail with its mask; a button forgets it. Then what is marked on frames.

    waiting: where marks have changed since the run
    """
    st.markdown(f"**Memories** · {len(table.recorded)} recorded")
    banks = ({0: table.bank} if table.bank is not None else {}) | table.banks
    for number, bank in sorted(banks.items()):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            whose = f" of {plain_text(table.steering.name(number))}" if len(table.objects) > 1 else ""
            st.caption(f":material/memory: {len(bank.prompts)} from a memory bank{whose}, {bank.sha256[:12]}")
            key = f"forget_bank_{number}" if number else "forget_bank"
            st.button(
                "Forget", on_click=table.forget_bank, args=(number,), icon=":material/close:", key=key, type="tertiary"
            )
    places = table.marked_places()
    if not table.recorded and not banks and not places:
        st.info(NOTHING_RECORDED, icon=":material/memory:")
        return
    numbered = list(enumerate(table.recorded))
    for start in range(0, len(numbered), MEMORIES_IN_A_ROW):
        with st.container(key=f"memories_{start}"):
            columns = st.columns(MEMORIES_IN_A_ROW, gap="small")
        for (index, memory), column in zip(numbered[start : start + MEMORIES_IN_A_ROW], columns, strict=False):
            with column:
                _memory(table, index, memory)
    if places:
        _marks(table, places, waiting)


def _marks(table: FilmTable, places: Sequence[Place], waiting: Collection[Place]) -> None:
    """A button for each marked frame goes there; the one beside it takes the marks back."""
    several = len(table.objects) > 1
    with st.container(horizontal=True, gap="xsmall", key="chip_corrections"):
        st.caption("Marked on:", width="content")
        for place in places:
            frame, number = place
            whose = f", {plain_text(table.steering.name(number))}" if several else ""
            new = place in waiting
            st.button(
                f"frame {frame}{whose}",
                icon=":material/fiber_new:" if new else None,
                key=f"chip_correction_{frame}_{number}",
                help="Go to this frame" + (". The run does not have these marks yet" if new else ""),
                on_click=table.stand_at,
                args=(place,),
            )
            st.button(
                f"Take back the marks on frame {frame}{whose}",
                icon=":material/close:",
                key=f"chip_uncorrect_{frame}_{number}",
                help="Take these marks back",
                on_click=table.unmark,
                args=(place,),
            )


def _memory(table: FilmTable, index: int, memory: Recorded) -> None:
    prior = memory.prior
    whose = f" of {table.steering.name(prior.object)}" if len(table.objects) > 1 else ""
    inline_image(memory.thumbnail, f"Memory {index + 1}{whose}: {prior.picture.name} with its mask", "samkit-thumb")
    st.button(
        f"frame {prior.film_frame} of the film" if prior.film_frame is not None else plain_text(prior.picture.name),
        icon=":material/close:",
        icon_position="right",
        key=f"forget_{index}",
        type="tertiary",
        help=f"Remove this memory{plain_text(whose)}",
        on_click=table.remove,
        args=(index,),
    )


def record_mask_file(work: Workspace, table: FilmTable) -> None:
    """A memory from a mask that was made elsewhere."""
    with st.popover(
        "From a mask file", icon=":material/contrast:", help="A black and white picture of the same size as this one"
    ):
        upload = st.file_uploader(
            "Mask of this picture, PNG: white is the object", type="png", key="mask_upload", max_upload_size=16
        )
        if upload is None or table.mask_upload == upload.file_id:
            return
        table.mask_upload = upload.file_id
        with sentences():
            check_upload(upload.name, upload.size)
            mask, picture = mask_from_png(upload), work.picture
            if mask.shape != picture.size:
                raise PictureError(
                    f"The mask has {mask.shape[1]} × {mask.shape[0]} pixels, the picture {picture.width} × "
                    f"{picture.height}: both must have the same size."
                )
            table.record(Prior(picture, mask=mask), mask)
            st.rerun(scope="fragment")


def load_bank_file(table: FilmTable, model: SamModel) -> None:
    """Memories that were saved earlier."""
    with st.popover("From a memory bank", icon=":material/memory:", help="A file that samkit saved"):
        upload = st.file_uploader("Memory bank", type="safetensors", key="bank_upload", max_upload_size=200)
        if upload is not None and table.bank_upload != upload.file_id:
            table.bank_upload = upload.file_id
            with sentences():
                check_upload(upload.name, upload.size, film=True)
                table.take_bank(read_bank(upload.getvalue(), model))
                st.rerun(scope="fragment")


def read_bank(content: bytes, model: SamModel) -> MemoryBank:
    """The bank in a file's content. Raises BadInput where it can't be read as one, is empty, or is another model's."""
    with scratch("bank") as folder:
        file = folder / "bank.safetensors"
        file.write_bytes(content)
        bank = MemoryBank.load(file)
    if not bank.prompts:
        raise BadInput("This memory bank is empty: record a memory and save it again.")
    if bank.prompts[0].memory.model_sha256 != model.info.sha256:
        raise BadInput(
            f"This memory bank was made by a model other than {model.info.name}, and models don't read each other's: "
            "choose that model, or record anew."
        )
    return bank
