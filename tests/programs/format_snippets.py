"""Runs the Python of a document as it stands, in the present folder.

    format_snippets.py DOCUMENT...

Prints how many snippets ran; exit code 77 where h5py or Pillow is missing.
"""

import re
import sys

try:
    import h5py  # noqa: F401, the snippets need both
    import PIL.Image  # noqa: F401
except ImportError as missing:
    print("no h5py or no Pillow here:", missing)
    sys.exit(77)

for document in sys.argv[1:]:
    snippets = re.findall(r"^```python\n(.*?)^```", open(document).read(), re.DOTALL | re.MULTILINE)
    assert snippets, f"{document} has no Python"
    for snippet in snippets:
        exec(compile(snippet, document, "exec"), {})
    print(f"{document}: {len(snippets)} ran")
