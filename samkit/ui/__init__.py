"""Everything that knows Streamlit or Plotly: state, pickers, the prompt canvas, figures, and the skeleton all
experiment pages share.
"""
