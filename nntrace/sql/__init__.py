"""`nntrace sql`: DuckDB over one run or many. Needs the extra `[sql]`; import it only when used."""

from nntrace.sql.database import VIEWS, QueryError, complaint, connect
from nntrace.sql.output import write_csv, write_json, write_table

__all__ = ["VIEWS", "QueryError", "complaint", "connect", "write_csv", "write_json", "write_table"]
