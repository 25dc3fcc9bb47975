"""A page that does what an experiment's does for the live channel: registers its canvas and encodes its picture.

Its query says how: `?picture=coins&side=256&encode=no`.
"""

import streamlit as st

from samkit.media.samples import load_sample
from samkit.ui.state.labs import page_lab
from samkit.ui.state.live_work import LiveWork, live_token
from samkit.ui.state.models import shared_model

query = st.query_params
model = shared_model(query.get("model", "nano-sam2"))
side = int(query["side"]) if "side" in query else None
picture = load_sample(query["picture"])
token = live_token(query.get("canvas", "main"), LiveWork(model, picture, side=side))
if query.get("encode") != "no":
    _ = page_lab(model).encoding(model, picture, side=side).value
st.text(token)
