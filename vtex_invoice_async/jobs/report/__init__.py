"""What a journal says of its runs, gathered once and written as a page, as Markdown or as JSON.

`gather` reads the journal into one `facts.Report`; `as_json`, `as_markdown` and `page` write it.
Only `page` needs the `report` extra.
"""

from __future__ import annotations
