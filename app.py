"""The dashboard's frame: store, navigation, choice of runs. Started by `gradscope ui` or `streamlit run app.py`."""

from pathlib import Path

import streamlit as st

from pages.frame import back, choice, command, late, room, source

st.set_page_config(page_title="GradScope", page_icon="📉", layout="wide")
late.forget_pages_left()
command.carry_out()
with st.sidebar:
    back.one_step_a_page()
    room.close_ranks()
st.logo(Path(__file__).parent / "pages/frame/logo.svg", size="large")

navigation = st.navigation(
    {
        "Runs": [
            st.Page("pages/runs/1_Runs.py", title="Runs", icon=":material/list:", default=True),
            # the first page stands at the root whatever its address; people try its name too
            st.Page("pages/runs/1_Runs.py", title="Runs", url_path="runs", visibility="hidden"),
            st.Page("pages/runs/2_Launch.py", title="Launch", icon=":material/rocket_launch:", url_path="launch"),
        ],
        "Observe": [
            st.Page(
                "pages/observe/0_Diagnosis.py",
                title="Diagnosis",
                icon=":material/stethoscope:",
                url_path="diagnosis",
            ),
            st.Page(
                "pages/observe/1_Gradient_decay.py",
                title="Gradient decay",
                icon=":material/trending_down:",
                url_path="gradient_decay",
            ),
            st.Page(
                "pages/observe/2_Layers_over_time.py",
                title="Layers over time",
                icon=":material/grid_on:",
                url_path="layers_over_time",
            ),
            st.Page(
                "pages/observe/3_Learning_curves.py",
                title="Learning curves",
                icon=":material/show_chart:",
                url_path="learning_curves",
            ),
        ],
        "Compare": [
            st.Page(
                "pages/compare/1_Compare.py", title="Compare", icon=":material/compare_arrows:", url_path="compare"
            ),
            st.Page("pages/compare/2_What_if.py", title="What if", icon=":material/tune:", url_path="what_if"),
        ],
        "Test": [
            st.Page(
                "pages/test/1_Noise_robustness.py",
                title="Noise robustness",
                icon=":material/grain:",
                url_path="noise_robustness",
            ),
            st.Page("pages/test/2_Saliency.py", title="Saliency", icon=":material/image_search:", url_path="saliency"),
            st.Page(
                "pages/test/3_What_it_looks_at.py",
                title="What it looks at",
                icon=":material/visibility:",
                url_path="what_it_looks_at",
            ),
        ],
        "Methods": [
            st.Page(
                "pages/methods/1_Pseudo_normalisation.py",
                title="Pseudo-normalisation",
                icon=":material/healing:",
                url_path="pseudo_normalisation",
            ),
            st.Page(
                "pages/methods/2_Distillation.py",
                title="Distillation",
                icon=":material/school:",
                url_path="distillation",
            ),
            st.Page(
                "pages/methods/3_Elastic_exits.py",
                title="Elastic exits",
                icon=":material/call_split:",
                url_path="elastic_exits",
            ),
            st.Page("pages/methods/4_Papers.py", title="Papers", icon=":material/article:", url_path="papers"),
        ],
    },
    expanded=True,  # else the last section is folded away once there are more than a dozen pages
)

choice.sidebar(source.the_store())
navigation.run()
