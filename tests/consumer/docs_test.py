"""The names that docs/from-pjrt-rs.md gives for ours are in the headers. `python3 tests/consumer/docs_test.py`."""

import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "from-pjrt-rs.md").read_text()
HEADERS = {p: p.read_text() for p in (ROOT / "include/pjrt").glob("**/*.hpp") if p.parent.name not in ("abi", "detail")}


def ours() -> list[str]:
    """What stands in the second column between backticks and is a name."""
    cells = [line.split("|")[2] for line in PAGE.splitlines() if line.startswith("| ") and line.count("|") >= 4]
    names = [n for cell in cells for n in re.findall(r"`([^`]*)`", cell)]
    return [n.removeprefix("pjrt::") for n in names if re.fullmatch(r"[A-Za-z_]\w*(::\w+)*", n)]


def defined(name: str) -> bool:
    owner, _, member = name.rpartition("::")
    if not owner:
        return any(re.search(rf"\b(class|struct|using|enum class)\b[^;{{]*\b{name}\b|\b{name}\(|\b{name} = ", text) for text in HEADERS.values())
    for text in HEADERS.values():
        begin = re.search(rf"^ *(class|struct)( PJRT_EXPORT)? {owner}\b[^;{{]*{{", text, re.MULTILINE)
        if begin:
            end = text.find("\n};", begin.end())
            return re.search(rf"\b{member}\b", text[begin.end():end]) is not None
    return False


class FromPjrtRs(unittest.TestCase):
    def test_names_what_is_there(self):
        names = ours()
        self.assertGreater(len(names), 150)
        self.assertEqual([n for n in names if not defined(n)], [])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
