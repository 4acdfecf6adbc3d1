"""`nntrace report`: a run as one self-contained HTML page, or its charts as pictures.

A pure reader of a diagnosed `Trace`. Needs the extra `[report]`; import it when it is used.
"""

from nntrace.report.page import render_html
from nntrace.report.pictures import render_chart

__all__ = ["render_chart", "render_html"]
