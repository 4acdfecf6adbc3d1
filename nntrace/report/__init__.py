"""`nntrace report`: writes a run as one self-contained HTML page, or its charts as pictures.

The package only reads a diagnosed `Trace`. It needs the extra `[report]`; import it only on use.
"""

from nntrace.report.page import render_html
from nntrace.report.pictures import render_chart

__all__ = ["render_chart", "render_html"]
